//! A comparison for people: one table a load.

use super::{Comparison, Row, Spread};
use crate::load::text::{Bytes, Counted, Micros, Seconds, grouped, rated};
use std::fmt::{self, Display, Formatter};

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        let rounds = if self.rounds == 1 { "1 round".to_owned() } else { format!("medians of {} rounds", self.rounds) };
        let spread = |row: &Row| row.requests_per_second.is_some_and(|rate| rate.min < rate.max);
        // Of one round, or of rounds that were all alike, there are no brackets to explain.
        let brackets = if self.rows.iter().any(spread) { "; in brackets the smallest and the largest" } else { "" };
        writeln!(f, "{rounds} of {} a cell{brackets}", Seconds(self.seconds))?;
        let mut load = None;
        for row in &self.rows {
            let this = (row.service, row.connections, row.clients);
            if load.replace(this) != Some(this) {
                let (service, connections) = (row.service.as_str(), row.connections.as_str());
                writeln!(f, "\n{service}, {connections}, clients: {}", grouped(row.clients as u64))?;
                writeln!(
                    f,
                    "  {:18} {:>27} {:>9} {:>9} {:>10} {:>10}  threads",
                    "", "answers/s", "p50", "p99", "CPU/answer", "memory"
                )?;
            }
            line(f, row)?;
        }
        if !self.missing.is_empty() {
            let names: Vec<_> = self.missing.iter().map(|architecture| architecture.as_str()).collect();
            writeln!(f, "\nnot built, so not measured: {}", names.join(", "))?;
        }
        if self.interrupted {
            writeln!(f, "\ninterrupted: some loads are missing, or have fewer rounds")?;
        }
        Ok(())
    }
}

fn line(f: &mut Formatter<'_>, row: &Row) -> fmt::Result {
    let micros = |value: Option<Spread>| value.map_or("–".to_owned(), |value| Micros(value.median).to_string());
    let memory = row.memory_bytes.map_or("–".to_owned(), |bytes| Bytes(bytes.median).to_string());
    write!(f, "  {:18} {:>27}", row.architecture.as_str(), rate(row.requests_per_second))?;
    write!(f, " {:>9} {:>9} {:>10}", micros(row.p50_us), micros(row.p99_us), micros(row.cpu_us_per_request))?;
    writeln!(f, " {memory:>10}  {}", threads(row))?;
    for failure in &row.failures {
        writeln!(f, "  {:18} └ {failure}", "")?;
    }
    Ok(())
}

/// `1,234 (1,000–1,300)`.
pub(super) fn rate(spread: Option<Spread>) -> String {
    let Some(spread) = spread else { return "–".to_owned() };
    let [median, min, max] = [spread.median, spread.min, spread.max].map(rated);
    if min == max { median } else { format!("{median} ({min}–{max})") }
}

/// `5`, or with several processes `5 in 2 processes`.
pub(super) fn threads(row: &Row) -> String {
    match (row.threads, row.processes) {
        (Some(threads), Some(processes @ 2..)) => {
            format!("{} in {}", grouped(threads as u64), Counted::new(processes, "process"))
        }
        (Some(threads), _) => grouped(threads as u64),
        (None, _) => "–".to_owned(),
    }
}
