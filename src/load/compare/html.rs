//! A comparison as a page.

use super::{Comparison, Row, Spread, pictures, text};
use crate::load::{
    html::by_percentile,
    page::{escaped, page, table},
    text::{Bytes, Micros, Seconds, grouped},
};
use std::fmt::Write as _;

/// The page: for each service and kind of connections, plots over the number of clients and a table.
pub(super) fn of(comparison: &Comparison) -> String {
    let mut body = String::from("<h1>One service, several architectures</h1>\n");
    let rounds = if comparison.rounds == 1 {
        "one round".to_owned()
    } else {
        format!("medians of {} rounds", comparison.rounds)
    };
    let about = format!("{}; {rounds} of {} a cell", comparison.machine, Seconds(comparison.seconds));
    let _ = writeln!(body, "<p class=\"faint\">{}</p>", escaped(&about));
    body += "<p>Load generator and server share the machine: throughput says what is left, CPU time a request what a \
             server costs. Each client asks again as soon as it was answered (closed loop).</p>\n";
    if comparison.rows.iter().any(Row::is_doubtful) {
        let _ = writeln!(
            body,
            "<p>A hollow mark in a plot, and {DOUBTFUL} in a table: not every client was served, or requests failed. The \
             numbers are those of the others.</p>"
        );
    }
    if comparison.interrupted {
        body += "<p><b>Interrupted: some loads are missing, or have fewer rounds.</b></p>\n";
    }
    if !comparison.missing.is_empty() {
        let names: Vec<_> = comparison.missing.iter().map(|architecture| architecture.as_str()).collect();
        let _ = writeln!(body, "<p class=\"faint\">Not built, so not measured: {}.</p>", names.join(", "));
    }
    for (service, connections, rows) in comparison.loads() {
        let _ = writeln!(body, "<h2>{}, {}</h2>", service.as_str(), connections.as_str());
        body += &section(&rows, &format!("{}, {}", service.as_str(), connections.as_str()));
    }
    page("load compare", &body)
}

fn section(rows: &[&Row], load: &str) -> String {
    let mut out = String::new();
    for (quantity, plot) in pictures::over_clients(rows, load) {
        let _ = writeln!(out, "<h3>{}</h3>", quantity.title);
        out += &plot.figure();
    }
    if let Some(most) = rows.iter().map(|row| row.clients).max() {
        let _ = writeln!(out, "<h3>Latency by percentile, clients: {}</h3>", grouped(most as u64));
        let largest = rows.iter().filter(|row| row.clients == most && !row.latency_us.percentiles.is_empty());
        let all: Vec<_> =
            largest.map(|row| (name_and_served(row), row.architecture.number(), &row.latency_us)).collect();
        let title = format!("Latency by percentile: {load}, clients: {}", grouped(most as u64));
        out += &by_percentile(title, &all).figure();
    }
    out + &numbers(rows) + &failures(rows)
}

/// The name, and for how many its latency speaks if not for all.
fn name_and_served(row: &Row) -> String {
    let name = row.architecture.as_str();
    match row.clients_served {
        served if served < row.clients as u64 => {
            format!("{name} ({} of {} served)", grouped(served), grouped(row.clients as u64))
        }
        _ => name.to_owned(),
    }
}

/// Everything that failed; the same trouble under several loads is said once.
fn failures(rows: &[&Row]) -> String {
    let mut all: Vec<(&str, String, Vec<String>)> = Vec::new();
    for row in rows.iter().filter(|row| !row.failures.is_empty()) {
        let (name, what, clients) = (row.architecture.as_str(), row.failures.join("; "), grouped(row.clients as u64));
        match all.iter_mut().find(|(who, said, _)| (*who, &**said) == (name, &*what)) {
            Some((.., loads)) => loads.push(clients),
            None => all.push((name, what, vec![clients])),
        }
    }
    if all.is_empty() {
        return "<p>Every client was served and no request failed.</p>\n".to_owned();
    }
    let mut out = String::from("<h3>What could not be done</h3>\n<ul>\n");
    for (name, what, loads) in all {
        let _ = writeln!(out, "<li>{name}, clients: {}: {}</li>", loads.join(" and "), escaped(&what));
    }
    out + "</ul>\n"
}

/// After the name of an architecture whose numbers are not those of all clients: as hollow as its mark in a plot.
const DOUBTFUL: &str = " ○";

fn numbers(rows: &[&Row]) -> String {
    let head = ["architecture", "clients", "served", "answers/s", "p50", "p99", "CPU/answer", "memory", "threads"];
    let micros = |value: Option<Spread>| value.map_or("–".to_owned(), |value| Micros(value.median).to_string());
    let row = |row: &&Row| {
        [
            format!("{}{}", row.architecture.as_str(), if row.is_doubtful() { DOUBTFUL } else { "" }),
            grouped(row.clients as u64),
            row.requests_per_second.map_or("–".to_owned(), |_| grouped(row.clients_served)),
            text::rate(row.requests_per_second),
            micros(row.p50_us),
            micros(row.p99_us),
            micros(row.cpu_us_per_request),
            row.memory_bytes.map_or("–".to_owned(), |bytes| Bytes(bytes.median).to_string()),
            text::threads(row),
        ]
    };
    table(std::iter::once(head.map(str::to_owned)).chain(rows.iter().map(row)))
}
