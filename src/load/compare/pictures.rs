//! Plots of a comparison over the number of clients: for its page, and as files for other texts.

use super::{Comparison, Row, Spread};
use crate::load::{
    html::{micros, short},
    plot::{Axis, Line, Plot, Scale},
};

const MIB: f64 = 1024.0 * 1024.0;

/// Something that was measured under each load.
pub(super) struct Quantity {
    /// Its name in the name of a file.
    file: &'static str,
    pub(super) title: &'static str,
    /// The label of its axis.
    axis: &'static str,
    /// That of its kind of quantity, whatever the values.
    scale: Scale,
    format: fn(f64) -> String,
    of: fn(&Row) -> Option<f64>,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity {
        file: "throughput",
        title: "Throughput",
        axis: "good answers a second",
        scale: Scale::Linear,
        format: short,
        of: |row| median(row.requests_per_second),
    },
    Quantity {
        file: "cpu",
        title: "CPU time of the server",
        axis: "CPU time for a good answer",
        scale: Scale::Ratios,
        format: micros,
        of: |row| median(row.cpu_us_per_request),
    },
    Quantity {
        file: "memory",
        title: "Memory",
        axis: "MiB at the end",
        scale: Scale::Ratios,
        format: short,
        of: |row| median(row.memory_bytes).map(|bytes| bytes / MIB),
    },
    Quantity {
        file: "p99",
        title: "Latency that 99 of 100 stay under",
        axis: "99th percentile",
        scale: Scale::Ratios,
        format: micros,
        of: |row| median(row.p99_us),
    },
];

fn median(spread: Option<Spread>) -> Option<f64> {
    spread.map(|spread| spread.median)
}

/// A plot of each quantity for the rows of one load.
pub(super) fn over_clients(rows: &[&Row], load: &str) -> [(&'static Quantity, Plot<'static>); 4] {
    QUANTITIES.each_ref().map(|quantity| (quantity, quantity.over_clients(rows, load)))
}

/// Pictures with the names of their files: a plot of each quantity for each load, if there is anything to draw.
pub(super) fn of(comparison: &Comparison) -> Vec<(String, String)> {
    let mut pictures = Vec::new();
    for (service, connections, rows) in comparison.loads() {
        let load = format!("{}, {}", service.as_str(), connections.as_str());
        for (quantity, plot) in over_clients(&rows, &load) {
            let file = format!("{}-{}-{}.svg", service.as_str(), connections.short(), quantity.file);
            pictures.extend(plot.picture().map(|picture| (file, picture)));
        }
    }
    pictures
}

impl Quantity {
    /// A line for each architecture.
    fn over_clients(&'static self, rows: &[&Row], load: &str) -> Plot<'static> {
        let mut lines: Vec<Line> = Vec::new();
        for row in rows {
            let Some(value) = (self.of)(row) else { continue };
            let name = row.architecture.as_str();
            let point = (row.clients as f64, value);
            let doubtful = row.is_doubtful().then_some(point);
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => {
                    line.points.push(point);
                    line.doubtful.extend(doubtful);
                }
                None => {
                    let (name, look) = (name.to_owned(), row.architecture.number());
                    lines.push(Line { name, look, points: vec![point], doubtful: doubtful.into_iter().collect() });
                }
            }
        }
        lines.sort_by_key(|line| line.look);
        let x = Axis { name: "clients", scale: Scale::Ratios, format: &short };
        let y = Axis { name: self.axis, scale: self.scale, format: &self.format };
        Plot { title: format!("{}: {load}", self.title), x, y, lines }
    }
}
