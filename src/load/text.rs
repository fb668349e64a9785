//! A result for people.

use super::report::{Latency, Report};
use std::fmt::{self, Display, Formatter};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { load, requests, throughput, connections, .. } = self;
        writeln!(f, "{}", Title(self))?;
        writeln!(f)?;
        let rate = throughput.requests_per_second;
        writeln!(f, "requests   {:>11}/s  {:>12} started", rated(rate), grouped(requests.started))?;
        let bytes = Bytes(throughput.bytes_per_second).to_string();
        writeln!(f, "received   {bytes:>11}/s  {:>12} answered", grouped(requests.answered))?;
        for (kind, count) in &self.errors {
            writeln!(f, "{:26}{:>12} failed: {kind}", "", grouped(*count))?;
        }
        if requests.abandoned > 0 {
            writeln!(f, "{:26}{:>12} abandoned", "", grouped(requests.abandoned))?;
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
        writeln!(f)?;
        let (served, clients) = (grouped(connections.clients_served), grouped(load.clients as u64));
        write!(f, "clients    {served} of {clients} served, ")?;
        writeln!(f, "{}", Counted(connections.made as usize, "connection"))?;
        cost(f, self)?;
        for note in notes(self) {
            writeln!(f, "note: {}", note.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

/// What was done, in one line.
pub(super) struct Title<'r>(pub(super) &'r Report);

impl Display for Title<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let load = &self.0.load;
        write!(f, "{}: {}, ", load.target, Counted(load.clients, "client"))?;
        match load.rate {
            Some(rate) => write!(f, "open loop at {}/s", grouped(rate))?,
            None => write!(f, "closed loop")?,
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
        write!(f, ", {}", Counted(load.threads, "thread"))
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
    let (processes, threads) = (Counted(server.processes, "process"), Counted(server.threads, "thread"));
    writeln!(f, "server     {processes}, {threads}, {memory}")
}

/// What makes the numbers mean something else than they seem to. A line may break where its text does.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let Report { load, requests, connections, .. } = report;
    let mut notes = Vec::new();
    if load.interrupted {
        notes.push("interrupted before its time".to_owned());
    }
    if requests.never_sent > 0 {
        let count = grouped(requests.never_sent);
        notes.push(format!(
            "{count} requests were due and never sent, because all clients waited for answers. They are\n\
             in no latency above: the server cannot keep this rate, or --clients is too small for it"
        ));
    }
    if connections.unasked > 0 {
        notes.push(format!("on {} connections bytes came that nobody had asked for", grouped(connections.unasked)));
    }
    // At a low rate there are not requests for everybody.
    let asked = if load.rate.is_some() { requests.started.min(load.clients as u64) } else { load.clients as u64 };
    let silent = asked.saturating_sub(connections.clients_served);
    if silent > 0 && requests.started > 0 {
        notes.push(format!("{} of {} clients were never served", grouped(silent), grouped(asked)));
    }
    notes
}

/// `3 clients`, `1 process`.
struct Counted(usize, &'static str);

impl Display for Counted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plural = match self.0 {
            1 => "",
            _ if self.1.ends_with('s') => "es",
            _ => "s",
        };
        write!(f, "{} {}{plural}", grouped(self.0 as u64), self.1)
    }
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

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
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
        assert_eq!(
            [Counted(1, "process"), Counted(2, "process"), Counted(1000, "client")].map(|counted| counted.to_string()),
            ["1 process", "2 processes", "1,000 clients"]
        );
    }
}
