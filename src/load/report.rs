//! The result of a run, as values: what text, JSON and HTML show.

use super::{
    Record,
    record::{Slot, Times},
    run::{Measured, Plan},
};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, time::Duration};

/// The result of a run. Its JSON has the same names; times are in microseconds unless the name says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The load of the run.
    pub load: Load,
    /// The outcome of the requests.
    pub requests: Requests,
    /// How much went through.
    pub throughput: Throughput,
    /// From when a request was meant to start until its answer was complete; good answers only. `null`: there was none.
    #[serde(serialize_with = "if_measured")]
    pub latency_us: Latency,
    /// From when a request really started. At a fixed rate it hides how long requests waited for a free client.
    #[serde(serialize_with = "if_measured")]
    pub service_time_us: Latency,
    /// Failed requests by kind. Kinds that did not happen are left out.
    pub errors: BTreeMap<String, u64>,
    /// Connections.
    pub connections: Connections,
    /// Handshakes; `null` without TLS.
    pub handshakes: Option<Handshakes>,
    /// The processor time that it cost.
    pub cpu: Cpu,
    /// The memory of the server's processes at the end, with all clients still connected. Only with `--server-pid`.
    pub server: Option<Memory>,
    /// The run in equal parts, for plots.
    pub series: Series,
}

/// The load of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// The URL of the server.
    pub target: String,
    /// `closed` or `open`.
    pub loop_kind: &'static str,
    /// Requests a second that were meant to start; open loop only.
    pub rate: Option<u64>,
    /// How many clients.
    pub clients: usize,
    /// Threads of the load generator.
    pub threads: usize,
    /// `HTTP/1.1`, `HTTP/2`, `echo` or `command`.
    pub protocol: &'static str,
    /// Requests under way on a connection at most, one behind the other.
    pub pipeline: u32,
    /// HTTP/2: requests under way on a connection at most.
    pub streams: Option<u32>,
    /// HTTP/2: the fewest streams that the server allowed on a connection, as far as it said.
    pub streams_allowed: Option<u32>,
    /// Whether a connection carried more than one request.
    pub keep_alive: bool,
    /// How long it counted.
    pub duration_seconds: f64,
    /// How long it ran before it counted.
    pub warm_up_seconds: f64,
    /// The user ended it before its time.
    pub interrupted: bool,
}

/// The outcome of the requests that were meant to start while it counted: `started = answered + failed + unfinished`.
#[derive(Debug, Clone, Serialize)]
pub struct Requests {
    /// Requests that started.
    pub started: u64,
    /// With a good answer before the end.
    pub answered: u64,
    /// Failed before the end; see [`Report::errors`].
    pub failed: u64,
    /// Under way when the run ended. They are in no latency.
    pub unfinished: u64,
    /// How long the oldest of these had waited by then, in microseconds. `null`: there was none.
    pub longest_unfinished_us: Option<f64>,
    /// Due at the fixed rate, but never started: no client was free until the end. They are in no latency.
    pub never_sent: u64,
}

/// How much went through while it counted.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// Good answers a second.
    pub requests_per_second: f64,
    /// Bytes received a second, heads included.
    pub bytes_per_second: f64,
}

/// A distribution, in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Latency {
    /// The shortest.
    pub min: f64,
    /// The average.
    pub mean: f64,
    /// Half are shorter.
    pub p50: f64,
    /// Nine of ten are shorter.
    pub p90: f64,
    /// 19 of 20 are shorter.
    pub p95: f64,
    /// 99 of 100 are shorter.
    pub p99: f64,
    /// 999 of 1,000 are shorter.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
    /// Pairs of percentile and microseconds, denser towards 100.
    pub percentiles: Vec<(f64, f64)>,
}

/// Connections over the whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Connections {
    /// Connections made, before the start and in the warm-up, too.
    pub made: u64,
    /// Clients that got at least one good answer before the end, the warm-up included.
    pub clients_served: u64,
    /// Connections ended because bytes arrived that no request had asked for.
    pub unasked: u64,
    /// HTTP/2: requests that the server handed back when it said goodbye, and that were sent again.
    pub sent_again: u64,
}

/// Handshakes of TLS, of all connections from the first to the last moment.
#[derive(Debug, Clone, Serialize)]
pub struct Handshakes {
    /// Those in which the server showed its certificate.
    pub full: u64,
    /// Those that resumed an earlier session.
    pub resumed: u64,
    /// How many a second were over while it counted. Connections that are kept have theirs before that.
    pub per_second: f64,
    /// From when a connection was there until its handshake was over.
    #[serde(serialize_with = "if_measured")]
    pub latency_us: Latency,
    /// `1.2` or `1.3`; `null`: no handshake came to its end.
    pub version: Option<&'static str>,
    /// The group of the key exchange.
    pub key_exchange: Option<&'static str>,
    /// The cipher suite.
    pub suite: Option<&'static str>,
}

impl Handshakes {
    fn of(record: &Record, per_second: f64) -> Self {
        Self {
            full: record.handshakes.len() - record.resumed,
            resumed: record.resumed,
            per_second,
            latency_us: Latency::of(&record.handshakes),
            version: record.facts.map(|facts| facts.version),
            key_exchange: record.facts.map(|facts| facts.key_exchange),
            suite: record.facts.map(|facts| facts.suite),
        }
    }
}

/// CPU time while it counted, user and system, divided by the good answers. `null`: not measured here.
#[derive(Debug, Clone, Serialize)]
pub struct Cpu {
    /// Of the load generator.
    pub own_us_per_request: Option<f64>,
    /// Of the server and its descendants; needs `--server-pid`.
    pub server_us_per_request: Option<f64>,
}

/// Memory and threads of a process and its descendants.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// Processes.
    pub processes: usize,
    /// Threads of all of them.
    pub threads: usize,
    /// Resident bytes; shared pages count in each process.
    pub resident_bytes: u64,
    /// Resident bytes with shared pages divided among the processes that share them.
    pub proportional_bytes: Option<u64>,
}

/// The run in equal parts.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// How long a part is.
    pub seconds: f64,
    /// Good answers in each.
    pub answered: Vec<u64>,
    /// Failures in each.
    pub failed: Vec<u64>,
    /// The longest latency among the answers of each.
    pub worst_us: Vec<f64>,
}

impl Report {
    /// The report on a run of `plan`, from its record.
    #[must_use]
    pub fn new(plan: &Plan, record: &Record, measured: &Measured) -> Self {
        let seconds = measured.counted.as_secs_f64();
        let a_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Self {
            load: Load::of(plan, record, measured),
            requests: Requests {
                started: record.started,
                answered: record.answered,
                failed: record.failures.total(),
                unfinished: record.unfinished,
                longest_unfinished_us: (record.unfinished > 0).then_some(record.longest_wait.as_secs_f64() * 1e6),
                never_sent: record.never_sent,
            },
            throughput: Throughput {
                requests_per_second: a_second(record.completed),
                bytes_per_second: a_second(record.received),
            },
            latency_us: Latency::of(&record.latency),
            service_time_us: Latency::of(&record.service),
            errors: record.failures.iter().map(|(kind, count)| (kind.to_string(), count)).collect(),
            connections: Connections {
                made: record.connections,
                clients_served: record.served,
                unasked: record.unasked,
                sent_again: record.sent_again,
            },
            handshakes: plan.security.as_ref().map(|_| Handshakes::of(record, a_second(record.shaken))),
            cpu: Cpu {
                own_us_per_request: per_request(measured.own_cpu, record.completed),
                server_us_per_request: per_request(measured.server_cpu, record.completed),
            },
            server: measured.server.map(|usage| Memory {
                processes: usage.processes,
                threads: usage.threads,
                resident_bytes: usage.resident,
                proportional_bytes: usage.proportional,
            }),
            series: Series::of(record, measured.counted),
        }
    }
}

impl Load {
    fn of(plan: &Plan, record: &Record, measured: &Measured) -> Self {
        let streams = plan.script.has_streams().then_some(plan.at_once);
        Self {
            target: plan.target.to_string(),
            loop_kind: if plan.rate.is_some() { "open" } else { "closed" },
            rate: plan.rate,
            clients: plan.clients,
            threads: plan.threads,
            protocol: plan.script.protocol(),
            pipeline: if streams.is_some() { 1 } else { plan.at_once },
            streams,
            streams_allowed: record.allowed.filter(|allowed| *allowed != u32::MAX),
            keep_alive: plan.keep_alive,
            duration_seconds: measured.counted.as_secs_f64(),
            warm_up_seconds: plan.warm_up.as_secs_f64(),
            interrupted: measured.interrupted,
        }
    }
}

impl Latency {
    /// A distribution recorded in nanoseconds.
    #[must_use]
    pub fn of(times: &Times) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let at = |percentile: f64| micros(times.value_at_quantile(percentile / 100.0).min(times.max()));
        Self {
            min: micros(times.min()),
            mean: times.mean() / 1000.0,
            p50: at(50.0),
            p90: at(90.0),
            p95: at(95.0),
            p99: at(99.0),
            p99_9: at(99.9),
            max: micros(times.max()),
            percentiles: spread(times.len()).map(|percentile| (percentile, at(percentile))).collect(),
        }
    }
}

/// Nothing was answered in no time at all: what has no values has no percentiles, either.
pub(super) fn if_measured<S: Serializer>(latency: &Latency, serializer: S) -> Result<S::Ok, S::Error> {
    Some(latency).filter(|latency| !latency.percentiles.is_empty()).serialize(serializer)
}

/// Percentiles worth showing for so many values: ten for each further nine, up to where one value is left.
fn spread(values: u64) -> impl Iterator<Item = f64> {
    let decades = (values.max(1) as f64).log10().ceil().max(1.0) as u32;
    (0..decades).flat_map(|nines| {
        let (start, width) = (100.0 - 100.0 / 10_f64.powi(nines as i32), 90.0 / 10_f64.powi(nines as i32));
        (0..10).map(move |step| start + width * f64::from(step) / 10.0)
    })
}

impl Series {
    fn of(record: &Record, counted: Duration) -> Self {
        let whole = counted.as_nanos().div_ceil(record.slot.as_nanos().max(1));
        let mut slots = record.slots.clone();
        // A stall at the end leaves parts in which nothing came.
        slots.resize(usize::try_from(whole).unwrap_or(0).min(super::record::MAX_SLOTS), Slot::default());
        Self {
            seconds: record.slot.as_secs_f64(),
            answered: slots.iter().map(|slot| slot.answered).collect(),
            failed: slots.iter().map(|slot| slot.failed).collect(),
            worst_us: slots.iter().map(|slot| slot.worst as f64 / 1000.0).collect(),
        }
    }
}

fn per_request(cpu: Option<Duration>, requests: u64) -> Option<f64> {
    cpu.filter(|_| requests > 0).map(|cpu| cpu.as_secs_f64() * 1e6 / requests as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_get_denser_towards_the_end() {
        let all: Vec<f64> = spread(1000).collect();
        assert_eq!((all.len(), all[0], all[1], all[10], all[11], all[20]), (30, 0.0, 9.0, 90.0, 90.9, 99.0));
        assert!(all.is_sorted() && all.last().is_some_and(|last| *last < 100.0));
        assert_eq!(spread(0).count(), 10);
    }

    #[test]
    fn a_distribution_is_read_from_its_histogram() {
        let mut times = Times::new(3).unwrap();
        assert_eq!(Latency::of(&times).percentiles, []);
        for micros in 1..=1000 {
            times.record(micros * 1000).unwrap();
        }
        let latency = Latency::of(&times);
        let near = |got: f64, expected: f64| (got - expected).abs() <= expected / 500.0;
        for (got, expected) in [
            (latency.min, 1.0),
            (latency.mean, 500.5),
            (latency.p50, 500.0),
            (latency.p95, 950.0),
            (latency.p99, 990.0),
            (latency.p99_9, 999.0),
            (latency.max, 1000.0),
        ] {
            assert!(near(got, expected), "{got} for {expected}");
        }
        assert!(latency.percentiles.iter().all(|(_, micros)| *micros <= latency.max));
    }

    #[test]
    fn a_request_that_was_not_answered_costs_nothing_that_could_be_told() {
        assert_eq!(per_request(Some(Duration::from_secs(1)), 0), None);
        assert_eq!(per_request(None, 5), None);
        assert_eq!(per_request(Some(Duration::from_secs(1)), 4), Some(250_000.0));
    }
}
