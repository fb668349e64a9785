//! A result as a page.

use super::{
    page::{escaped, page, table},
    plot::{Axis, Line, Plot, Scale},
    report::{Latency, Report},
    text::{Bytes, Counted, Micros, Shaken, Title, grouped, notes, rated},
};
use std::fmt::Write as _;

/// The page of one run.
#[must_use]
pub fn of(report: &Report) -> String {
    let mut body = format!("<h1>{}</h1>\n", escaped(&report.load.target));
    let _ = writeln!(body, "<p class=\"faint\">{}</p>", escaped(&Title(report).to_string()));
    for note in notes(report) {
        let _ = writeln!(body, "<p><b>Note: {}.</b></p>", escaped(&note.replace('\n', " ")));
    }
    body += &summary(report);
    body += "<h2>Over time</h2>\n";
    body += &over_time(report).figure();
    body += "<h2>The longest latency, over time</h2>\n";
    body += &worst(report).figure();
    body += "<h2>Latency by percentile</h2>\n";
    body += &by_percentile("Latency by percentile".to_owned(), &distributions(report)).figure();
    body += &percentiles(report);
    body += "<h2>Errors</h2>\n";
    body += &errors(report);
    page(&format!("load {}", report.load.target), &body)
}

fn summary(report: &Report) -> String {
    let Report { load, requests, throughput, connections, cpu, .. } = report;
    let micros = |value: Option<f64>| value.map_or("not measured".to_owned(), |micros| format!("{micros:.1} µs"));
    let mut rows = vec![
        ["".to_owned(), "".to_owned()],
        ["protocol".to_owned(), load.protocol.to_owned()],
        ["good answers a second".to_owned(), rated(throughput.requests_per_second)],
        ["received a second".to_owned(), Bytes(throughput.bytes_per_second).to_string()],
        ["requests started".to_owned(), grouped(requests.started)],
        ["answered".to_owned(), grouped(requests.answered)],
        ["failed".to_owned(), grouped(requests.failed)],
        ["under way at the end".to_owned(), grouped(requests.unfinished)],
        ["due and never sent".to_owned(), grouped(requests.never_sent)],
        [
            "clients served".to_owned(),
            format!("{} of {}", grouped(connections.clients_served), grouped(load.clients as u64)),
        ],
        ["CPU time a request, load generator".to_owned(), micros(cpu.own_us_per_request)],
        ["CPU time a request, server".to_owned(), micros(cpu.server_us_per_request)],
    ];
    if let Some(streams) = load.streams {
        rows.insert(2, ["streams on a connection".to_owned(), grouped(streams.into())]);
    }
    let rare = ["under way at the end", "due and never sent"];
    rows.retain(|[name, value]| !rare.contains(&name.as_str()) || value != "0");
    if let Some(handshakes) = &report.handshakes {
        rows.push(["handshakes".to_owned(), Shaken(handshakes).to_string()]);
    }
    if let Some(server) = report.server {
        let memory = Bytes(server.proportional_bytes.unwrap_or(server.resident_bytes) as f64);
        let (processes, threads) = (Counted::new(server.processes, "process"), Counted::new(server.threads, "thread"));
        let value = format!("{memory}, {processes}, {threads}");
        rows.push(["the server at the end".to_owned(), value]);
    }
    table(rows)
}

fn over_time(report: &Report) -> Plot<'static> {
    let series = &report.series;
    let line = |name: &str, look, counts: &[u64]| Line {
        name: name.to_owned(),
        look,
        points: times(series.seconds).zip(counts.iter().map(|count| *count as f64 / series.seconds)).collect(),
        doubtful: Vec::new(),
    };
    let mut lines = vec![line("good answers a second", 0, &series.answered)];
    if series.failed.iter().any(|count| *count > 0) {
        lines.push(line("failures a second", 3, &series.failed));
    }
    let y = Axis { name: "a second", scale: Scale::Linear, format: &short };
    Plot { title: "Answers over time".to_owned(), x: SECONDS, y, lines }
}

fn worst(report: &Report) -> Plot<'static> {
    let points = times(report.series.seconds).zip(report.series.worst_us.iter().copied()).collect();
    let name = "longest latency among the answers of each moment".to_owned();
    let line = Line { name, look: 0, points, doubtful: Vec::new() };
    Plot { title: "The longest latency, over time".to_owned(), x: SECONDS, y: LATENCY, lines: vec![line] }
}

/// The middles of so long moments.
fn times(seconds: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |number| (f64::from(number) + 0.5) * seconds)
}

const SECONDS: Axis<'static> = Axis { name: "seconds", scale: Scale::Linear, format: &short };

/// The scale of every latency: microseconds and seconds have a place on it.
const LATENCY: Axis<'static> = Axis { name: "latency", scale: Scale::Ratios, format: &micros };

/// Latency, and at a fixed rate service time beside it.
fn distributions(report: &Report) -> Vec<(String, usize, &Latency)> {
    let mut all = vec![("latency, from when it was due".to_owned(), 0, &report.latency_us)];
    if report.load.rate.is_some() {
        all.push(("service time, from when it was sent".to_owned(), 1, &report.service_time_us));
    } else {
        all[0].0 = "latency".to_owned();
    }
    if let Some(handshakes) = &report.handshakes {
        all.push(("handshake, from when its connection was there".to_owned(), 2, &handshakes.latency_us));
    }
    all
}

/// Distributions on a scale that gives each further nine the same room: 90 %, 99 %, 99.9 %.
pub(super) fn by_percentile(title: String, distributions: &[(String, usize, &Latency)]) -> Plot<'static> {
    let lines = distributions.iter().map(|(name, look, latency)| Line {
        name: name.clone(),
        look: *look,
        points: latency.percentiles.iter().map(|(percentile, us)| (100.0 / (100.0 - percentile), *us)).collect(),
        doubtful: Vec::new(),
    });
    let x = Axis { name: "percentile, each further nine as wide", scale: Scale::Ratios, format: &percent };
    Plot { title, x, y: LATENCY, lines: lines.collect() }
}

fn percentiles(report: &Report) -> String {
    let mut rows = vec![["", "min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"].map(str::to_owned)];
    for (name, _, latency) in distributions(report) {
        // Short names: the table has many columns.
        let name = name.split(',').next().unwrap_or_default();
        let Latency { min, mean, p50, p90, p95, p99, p99_9, max, .. } = *latency;
        let [min, mean, p50, p90, p95, p99, p99_9, max] =
            [min, mean, p50, p90, p95, p99, p99_9, max].map(|us| match latency.percentiles[..] {
                [] => "–".to_owned(),
                _ => Micros(us).to_string(),
            });
        rows.push([name.to_owned(), min, mean, p50, p90, p95, p99, p99_9, max]);
    }
    table(rows)
}

fn errors(report: &Report) -> String {
    if report.errors.is_empty() {
        return "<p>None.</p>\n".to_owned();
    }
    let head = [("kind".to_owned(), "requests".to_owned())];
    let rows = report.errors.iter().map(|(kind, count)| (kind.clone(), grouped(*count)));
    table(head.into_iter().chain(rows).map(|(kind, count)| [kind, count]))
}

/// A place on the scale of nines: 1 is 0 %, 10 is 90 %, 100 is 99 %.
fn percent(ratio: f64) -> String {
    let percent = 100.0 - 100.0 / ratio;
    let digits = (ratio.log10().round() - 2.0).max(0.0) as usize;
    format!("{percent:.digits$} %")
}

pub(super) fn micros(us: f64) -> String {
    let text = Micros(us).to_string();
    // On an axis, 1.00 ms is 1 ms.
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number} {unit}")
}

/// 1500 as `1.5 k`.
pub(super) fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e3 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let text = format!("{value:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!([1.0, 10.0, 100.0, 1000.0].map(percent), ["0 %", "90 %", "99 %", "99.9 %"]);
        assert_eq!([0.5, 100.0, 1000.0, 2_500_000.0].map(micros), ["0.5 µs", "100 µs", "1 ms", "2.5 s"]);
        assert_eq!([0.0, 1500.0, 20_000.0, 1e6].map(short), ["0", "1.5 k", "20 k", "1 M"]);
    }
}
