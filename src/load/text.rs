//! A result for people.

use super::report::{Handshakes, Latency, Report};
pub(super) use crate::units::{Counted, grouped};
use std::fmt::{self, Display, Formatter};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { load, requests, throughput, connections, .. } = self;
        writeln!(f, "{}", Title(self))?;
        writeln!(f)?;
        let rate = throughput.requests_per_second;
        writeln!(f, "answers    {:>11}/s  {:>12} started", rated(rate), grouped(requests.started))?;
        let bytes = Bytes(throughput.bytes_per_second).to_string();
        writeln!(f, "received   {bytes:>11}/s  {:>12} answered", grouped(requests.answered))?;
        for (kind, count) in &self.errors {
            writeln!(f, "{:26}{:>12} failed: {kind}", "", grouped(*count))?;
        }
        if requests.unfinished > 0 {
            writeln!(f, "{:26}{:>12} under way at the end", "", grouped(requests.unfinished))?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "           {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "p50", "p90", "p95", "p99", "p99.9", "max", "mean"
        )?;
        line(f, "latency", &self.latency_us)?;
        if load.rate.is_some() {
            line(f, "service", &self.service_time_us)?;
        }
        if let Some(handshakes) = &self.handshakes {
            line(f, "handshake", &handshakes.latency_us)?;
        }
        writeln!(f)?;
        let (served, clients) = (grouped(connections.clients_served), grouped(load.clients as u64));
        write!(f, "clients    {served} of {clients} served, ")?;
        writeln!(f, "{}", Counted(connections.made, "connection"))?;
        if let Some(handshakes) = &self.handshakes {
            writeln!(f, "handshakes {}", Shaken(handshakes))?;
        }
        cost(f, self)?;
        for note in notes(self) {
            writeln!(f, "note: {}", note.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

/// The handshakes of a run, in one line.
pub(super) struct Shaken<'r>(pub(super) &'r Handshakes);

impl Display for Shaken<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Handshakes { full, resumed, per_second, version, key_exchange, suite, .. } = self.0;
        write!(f, "{} full, {} resumed, {}/s", grouped(*full), grouped(*resumed), rated(*per_second))?;
        if let (Some(version), Some(key_exchange), Some(suite)) = (version, key_exchange, suite) {
            write!(f, "; TLS {version}, {key_exchange}, {suite}")?;
        }
        Ok(())
    }
}

/// The load of a run, in one line.
pub(super) struct Title<'r>(pub(super) &'r Report);

impl Display for Title<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let load = &self.0.load;
        write!(f, "{}: {}, ", load.target, Counted::new(load.clients, "client"))?;
        match load.rate {
            Some(rate) => write!(f, "open loop at {}/s", grouped(rate))?,
            None => write!(f, "closed loop")?,
        }
        if let Some(streams) = load.streams {
            write!(f, ", {}", load.protocol)?;
            if streams > 1 {
                write!(f, " with {}", Counted(streams.into(), "stream"))?;
            }
        }
        if !load.keep_alive {
            write!(f, ", a new connection each")?;
        }
        if load.pipeline > 1 {
            write!(f, ", pipelines of {}", load.pipeline)?;
        }
        write!(f, ", {}", Seconds(load.duration_seconds))?;
        if load.warm_up_seconds > 0.0 {
            write!(f, " after {} of warm-up", Seconds(load.warm_up_seconds))?;
        }
        write!(f, ", {}", Counted::new(load.threads, "thread"))
    }
}

fn line(f: &mut Formatter<'_>, name: &str, latency: &Latency) -> fmt::Result {
    let Latency { p50, p90, p95, p99, p99_9, max, mean, .. } = *latency;
    write!(f, "{name:10}")?;
    for micros in [p50, p90, p95, p99, p99_9, max, mean] {
        let shown = if latency.percentiles.is_empty() { "–".to_owned() } else { Micros(micros).to_string() };
        write!(f, " {shown:>9}")?;
    }
    writeln!(f)
}

fn cost(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    write!(f, "CPU time   ")?;
    match report.cpu.own_us_per_request {
        Some(micros) => write!(f, "{micros:.1} µs a request here")?,
        None => write!(f, "not measured here")?,
    }
    if let Some(micros) = report.cpu.server_us_per_request {
        write!(f, ", {micros:.1} µs a request in the server")?;
    }
    writeln!(f)?;
    let Some(server) = report.server else { return Ok(()) };
    let memory = Bytes(server.proportional_bytes.unwrap_or(server.resident_bytes) as f64);
    let (processes, threads) = (Counted::new(server.processes, "process"), Counted::new(server.threads, "thread"));
    writeln!(f, "server     {processes}, {threads}, {memory}")
}

/// Notes on what makes the numbers mean something else than they seem to. A line may break where its text does.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let Report { load, requests, connections, .. } = report;
    let mut notes = Vec::new();
    if load.interrupted {
        notes.push("interrupted before its time".to_owned());
    }
    if requests.never_sent > 0 {
        let count = Counted(requests.never_sent, "request");
        notes.push(format!(
            "{count} due and never sent, because all clients waited for answers. The latencies above\n\
             leave that out: the server cannot keep this rate, or --clients is too small for it"
        ));
    }
    // As a rule each client has a request under way at the end. It means something if it had waited longer than all others.
    if let Some(longest) = requests.longest_unfinished_us.filter(|longest| *longest > report.latency_us.max) {
        let (count, longest) = (Counted(requests.unfinished, "request"), Micros(longest));
        notes.push(format!(
            "{count} under way at the end, the oldest for {longest}: longer than any that was answered.\n\
             The latencies above leave that out"
        ));
    }
    if let (Some(streams), Some(allowed)) = (load.streams, load.streams_allowed)
        && allowed < streams
    {
        let most = Counted(allowed.into(), "stream");
        notes.push(format!(
            "the server allows {most} on a connection: no more were used, of the {streams} of --streams"
        ));
    }
    if connections.sent_again > 0 {
        let count = Counted(connections.sent_again, "request");
        notes.push(format!("{count} handed back by the server when it said GOAWAY, and sent again"));
    }
    if connections.unasked > 0 {
        notes.push(format!("on {} bytes came without a request", Counted(connections.unasked, "connection")));
    }
    // At a low rate there are not enough requests for all clients.
    let asked = if load.rate.is_some() { requests.started.min(load.clients as u64) } else { load.clients as u64 };
    let silent = asked.saturating_sub(connections.clients_served);
    if silent > 0 && requests.started > 0 {
        notes.push(never_served(silent, asked));
    }
    notes
}

/// `3 of 4 clients were never served`.
pub(super) fn never_served(silent: u64, clients: u64) -> String {
    let verb = if silent == 1 { "was" } else { "were" };
    format!("{} of {} {verb} never served", grouped(silent), Counted(clients, "client"))
}

/// How long something took: a short time with its own unit.
pub(super) struct Seconds(pub(super) f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds > 0.0 && seconds < 0.1 => Micros(seconds * 1e6).fmt(f),
            seconds => write!(f, "{seconds:.1} s"),
        }
    }
}

/// A time with three digits that matter.
pub(super) struct Micros(pub(super) f64);

impl Display for Micros {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            micros if micros < 999.5 => (micros, "µs"),
            micros if micros < 999_500.0 => (micros / 1e3, "ms"),
            micros => (micros / 1e6, "s"),
        };
        let digits = usize::from(value < 99.95) + usize::from(value < 9.995);
        write!(f, "{value:.digits$} {unit}")
    }
}

/// A number of bytes with three digits that matter.
pub(super) struct Bytes(pub(super) f64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut value = self.0;
        let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
        let mut unit = units.next().unwrap_or_default();
        while value >= 1023.5
            && let Some(larger) = units.next()
        {
            value /= 1024.0;
            unit = larger;
        }
        let digits = if unit == "B" { 0 } else { usize::from(value < 99.95) + usize::from(value < 9.995) };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// A number a second: with three digits that matter, if it is small.
pub(super) fn rated(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 9.995 => format!("{rate:.2}"),
        rate if rate < 99.95 => format!("{rate:.1}"),
        rate => grouped(rate.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        for (micros, text) in [
            (0.0, "0.00 µs"),
            (9.994, "9.99 µs"),
            (9.996, "10.0 µs"),
            (999.4, "999 µs"),
            (999.6, "1.00 ms"),
            (45_600.0, "45.6 ms"),
            (999_600.0, "1.00 s"),
        ] {
            assert_eq!(Micros(micros).to_string(), text);
        }
        for (rate, text) in [
            (0.0, "0"),
            (0.04, "0.04"),
            (1.2, "1.20"),
            (9.994, "9.99"),
            (9.996, "10.0"),
            (99.96, "100"),
            (1234.5, "1,235"),
        ] {
            assert_eq!(rated(rate), text);
        }
        for (seconds, text) in [(0.0, "0.0 s"), (0.01, "10.0 ms"), (0.3, "0.3 s"), (10.0, "10.0 s")] {
            assert_eq!(Seconds(seconds).to_string(), text);
        }
        for (bytes, text) in
            [(0.0, "0 B"), (1023.0, "1023 B"), (1024.0, "1.00 KiB"), (1.5e6, "1.43 MiB"), (5e12, "4657 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
