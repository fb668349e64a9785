//! A page of numbers in the text format of Prometheus, or in that of OpenMetrics 1.0, which is nearly the same.
//!
//! ```text
//! # HELP proxy_requests_total Requests whose head was understood.
//! # TYPE proxy_requests_total counter
//! proxy_requests_total 1027
//! ```

use crate::proxy::measures::{BOUNDS, Reading};
use std::fmt::{self, Display, Write as _};

/// The behaviour of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    out: String,
    open_metrics: bool,
}

/// The names and values that tell the numbers of one family apart.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    pub(super) fn new(open_metrics: bool) -> Self {
        Self { out: String::with_capacity(16 * 1024), open_metrics }
    }

    /// Begins a family: all numbers of that name follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.begin(name, word, help);
    }

    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // There, a family of counters is called without the ending of its numbers.
        let name = if self.open_metrics { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A number of the family `name`.
    pub(super) fn number(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        // Writing to a string does not fail.
        let _ = self.write_number(name, labels, value);
    }

    fn write_number(&mut self, name: &str, labels: Labels<'_>, value: impl Display) -> fmt::Result {
        self.out.write_str(name)?;
        write_labels(&mut self.out, labels)?;
        writeln!(self.out, " {value}")
    }

    /// The same with labels that were written before.
    pub(super) fn row(&mut self, name: &str, labels: &Written, value: impl Display) {
        self.out.push_str(name);
        self.out.push_str(&labels.0);
        // Writing to a string does not fail.
        let _ = writeln!(self.out, " {value}");
    }

    /// Begins a family of histograms.
    pub(super) fn histograms(&mut self, name: &str, help: &str) -> Histograms {
        self.begin(name, "histogram", help);
        #[allow(clippy::cast_precision_loss)] // Half a minute is no large number.
        let bounds = BOUNDS.map(|bound| format!("\",le=\"{:?}\"}} ", bound as f64 / 1e6));
        Histograms { name: name.to_owned(), bounds }
    }

    /// A histogram of the family.
    pub(super) fn histogram(&mut self, family: &Histograms, (label, value): (&str, &str), reading: &Reading) {
        let mut start = String::new();
        // Writing to a string does not fail.
        let _ = write!(start, "{{{label}=\"");
        let _ = write_escaped(&mut start, value);
        let mut row = |ending: &str, after: &str, number: &dyn Display| {
            self.out.push_str(&family.name);
            self.out.push_str(ending);
            self.out.push_str(&start);
            self.out.push_str(after);
            let _ = writeln!(self.out, "{number}");
        };
        for (bound, up_to) in family.bounds.iter().zip(reading.up_to) {
            row("_bucket", bound, &up_to);
        }
        row("_bucket", "\",le=\"+Inf\"} ", &reading.count);
        row("_sum", "\"} ", &reading.seconds);
        row("_count", "\"} ", &reading.count);
    }

    /// The type of the content, and the content.
    pub(super) fn end(mut self) -> (&'static str, String) {
        if self.open_metrics {
            self.out.push_str("# EOF\n");
            return ("application/openmetrics-text; version=1.0.0; charset=utf-8", self.out);
        }
        ("text/plain; version=0.0.4; charset=utf-8", self.out)
    }
}

/// A family of histograms, with the ends of the labels of its buckets.
pub(super) struct Histograms {
    name: String,
    bounds: [String; BOUNDS.len()],
}

/// Labels as they are written.
pub(super) struct Written(String);

impl Written {
    pub(super) fn new(labels: Labels<'_>) -> Self {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = write_labels(&mut out, labels);
        Self(out)
    }
}

fn write_labels(out: &mut String, labels: Labels<'_>) -> fmt::Result {
    for (at, (label, value)) in labels.iter().enumerate() {
        write!(out, "{}{label}=\"", if at == 0 { '{' } else { ',' })?;
        write_escaped(out, value)?;
        out.write_char('"')?;
    }
    out.write_str(if labels.is_empty() { "" } else { "}" })
}

fn write_escaped(out: &mut String, value: &str) -> fmt::Result {
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            '\n' => out.write_str("\\n")?,
            // Both formats allow them, and a terminal obeys them.
            c if c.is_control() => out.write_char(char::REPLACEMENT_CHARACTER)?,
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(open_metrics: bool) -> (&'static str, String) {
        let mut page = Page::new(open_metrics);
        page.family("a_total", Kind::Counter, "Some.");
        page.number("a_total", &[], 7);
        page.number("a_total", &[("b", "x\"\\\n\u{1b}é"), ("c", "")], 0.5);
        page.family("b", Kind::Gauge, "Others.");
        page.number("b", &[], 1);
        let family = page.histograms("c_seconds", "Times.");
        page.histogram(&family, ("d", "e"), &Reading { up_to: [1; 15], count: 2, seconds: 60.5 });
        page.end()
    }

    #[test]
    fn a_page_in_both_formats() {
        let (kind, text) = page(false);
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        let start = "# HELP a_total Some.\n# TYPE a_total counter\na_total 7\na_total{b=\"x\\\"\\\\\\n\u{fffd}é\",c=\"\"} 0.5\n\
                     # HELP b Others.\n# TYPE b gauge\nb 1\n\
                     # HELP c_seconds Times.\n# TYPE c_seconds histogram\nc_seconds_bucket{d=\"e\",le=\"0.0005\"} 1\n";
        assert!(text.starts_with(start), "{text}");
        let end = "c_seconds_bucket{d=\"e\",le=\"30.0\"} 1\nc_seconds_bucket{d=\"e\",le=\"+Inf\"} 2\n\
                   c_seconds_sum{d=\"e\"} 60.5\nc_seconds_count{d=\"e\"} 2\n";
        assert!(text.ends_with(end), "{text}");
        let (kind, open) = page(true);
        assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert_eq!(open, text.replace("HELP a_total", "HELP a").replace("TYPE a_total", "TYPE a") + "# EOF\n");
    }
}
