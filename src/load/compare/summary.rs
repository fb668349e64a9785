//! From rounds to rows: medians, their spread, and what could not be done.

use super::{
    args::CompareArgs,
    matrix::{Architecture, Cell, Connections},
};
use crate::{
    load::{
        Report,
        report::{Latency, if_measured},
        text::{Counted, grouped, never_served},
    },
    service::Service,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// A value over several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of some values; `None` without any. Of an even number, the mean of the two in the middle.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median, min, max })
    }
}

/// The outcome of one round of a cell: what was measured, or why its server did not start.
pub type Outcome = Result<Report, String>;

/// The results of one cell.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The service.
    pub service: Service,
    /// How long connections lived.
    pub connections: Connections,
    /// How many clients asked.
    pub clients: usize,
    /// The architecture of the server.
    pub architecture: Architecture,
    /// Good answers a second. `null`: it did not start.
    pub requests_per_second: Option<Spread>,
    /// Latency that half of the good answers stayed under, in microseconds. `null`: there was no good answer.
    pub p50_us: Option<Spread>,
    /// Latency that 99 of 100 stayed under.
    pub p99_us: Option<Spread>,
    /// CPU time of the server for a good answer, in microseconds. `null`: not measured here, or no good answer.
    pub cpu_us_per_request: Option<Spread>,
    /// Memory at the end, all clients connected, in bytes: shared pages divided among who shares them where that is known.
    pub memory_bytes: Option<Spread>,
    /// Processes of the server at the end.
    pub processes: Option<usize>,
    /// Threads of all of them.
    pub threads: Option<usize>,
    /// The fewest clients that got a good answer before the end of a round.
    pub clients_served: u64,
    /// Failed requests of all rounds, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Its failures, in words.
    pub failures: Vec<String>,
    /// The latency of the round with the median throughput. `null`: it had no good answer.
    #[serde(serialize_with = "if_measured")]
    pub latency_us: Latency,
}

/// The whole comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The machine, in a few words.
    pub machine: String,
    /// How often each cell was measured.
    pub rounds: u32,
    /// How long in each round.
    pub seconds: f64,
    /// The user ended it: what is there is true, but not all.
    pub interrupted: bool,
    /// Architectures whose programs were not there.
    pub missing: Vec<Architecture>,
    /// One for each cell, in order.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Sums up what was measured.
    #[must_use]
    pub fn of(args: &CompareArgs, rounds: &[(Cell, Outcome)], missing: Vec<Architecture>, interrupted: bool) -> Self {
        let mut cells: BTreeMap<Cell, Vec<&Outcome>> = BTreeMap::new();
        for (cell, outcome) in rounds {
            cells.entry(*cell).or_default().push(outcome);
        }
        Self {
            machine: machine(),
            rounds: args.rounds(),
            seconds: args.duration().as_secs_f64(),
            interrupted,
            missing,
            rows: cells.iter().map(|(cell, rounds)| Row::of(cell, rounds)).collect(),
        }
    }

    /// The rows of each service and kind of connections.
    pub(super) fn loads(&self) -> impl Iterator<Item = (Service, Connections, Vec<&Row>)> {
        let same = |one: &Row, other: &Row| (one.service, one.connections) == (other.service, other.connections);
        self.rows.chunk_by(same).map(|rows| (rows[0].service, rows[0].connections, rows.iter().collect()))
    }
}

impl Row {
    fn of(cell: &Cell, rounds: &[&Outcome]) -> Self {
        let reports: Vec<&Report> = rounds.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        let rate = |report: &&&Report| report.throughput.requests_per_second;
        let rates = Spread::of(reports.iter().map(|report| rate(&report)));
        let distance = |report: &&&Report| (rate(report) - rates.map_or(0.0, |rates| rates.median)).abs();
        let middle = reports.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let answered = || reports.iter().filter(|report| report.requests.answered > 0);
        let servers = || reports.iter().filter_map(|report| report.server);
        let mut errors: BTreeMap<String, u64> = BTreeMap::new();
        for (kind, count) in reports.iter().flat_map(|report| &report.errors) {
            *errors.entry(kind.clone()).or_default() += count;
        }
        let memory = servers().map(|server| server.proportional_bytes.unwrap_or(server.resident_bytes) as f64);
        let mut row = Self {
            service: cell.service,
            connections: cell.connections,
            clients: cell.clients,
            architecture: cell.architecture,
            requests_per_second: rates,
            p50_us: Spread::of(answered().map(|report| report.latency_us.p50)),
            p99_us: Spread::of(answered().map(|report| report.latency_us.p99)),
            cpu_us_per_request: Spread::of(reports.iter().filter_map(|report| report.cpu.server_us_per_request)),
            memory_bytes: Spread::of(memory),
            processes: servers().map(|server| server.processes).max(),
            threads: servers().map(|server| server.threads).max(),
            clients_served: reports.iter().map(|report| report.connections.clients_served).min().unwrap_or(0),
            errors,
            failures: rounds.iter().filter_map(|outcome| outcome.as_ref().err().cloned()).collect(),
            latency_us: middle.map(|report| report.latency_us.clone()).unwrap_or_default(),
        };
        row.failures.dedup();
        if !reports.is_empty() {
            row.failures.extend(row.shortcomings(reports.iter().map(|report| report.requests.started).sum()));
        }
        row
    }

    /// Whether its numbers are not those of all clients: some were not served, or requests failed.
    pub(super) fn is_doubtful(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Warnings that a reader should see before the numbers.
    fn shortcomings(&self, started: u64) -> Vec<String> {
        let mut all = Vec::new();
        let unserved = (self.clients as u64).saturating_sub(self.clients_served);
        if unserved > 0 {
            all.push(never_served(unserved, self.clients as u64));
        }
        for (kind, count) in &self.errors {
            all.push(format!("{} of {}: {kind}", grouped(*count), Counted(started, "request")));
        }
        all
    }
}

/// The machine that the numbers were measured on.
fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut text = format!("{} {}, {cpus} CPUs", std::env::consts::OS, std::env::consts::ARCH);
    if !release.trim().is_empty() {
        text += &format!(", kernel {}", release.trim());
    }
    if let Some(load) = load.split(' ').next().filter(|load| !load.is_empty()) {
        text += &format!(", load average {load} at the end");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
    }
}
