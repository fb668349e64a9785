//! The report of a load tester, and what it must say.
//!
//! No clock decides. The server notes when it had read a request and when nothing of its reply had been sent yet. A request took at
//! least as long as lies between the two; and at most as long as from what the server did before it until the next thing that it heard
//! from that client. So for each time there are bounds which hold on a busy machine, too, and the same percentile of the lower and of the
//! upper bounds are the bounds of the percentile.

use super::{Run, house::Asked};
use crate::{
    load_subject::{Figure, Load, Tally},
    problem::{Problem, Seen, Topic},
};
use std::time::{Duration, Instant};

/// Rounding, and tasks that print whole milliseconds.
const ROUNDING: f64 = 1.0;
const NAMES: [&str; 4] = ["p50", "p90", "p99", "max"];
const PERCENT: [usize; 4] = [50, 90, 99, 100];

/// Percentiles: p50, p90, p99 and max, in milliseconds.
type Times = [f64; 4];

/// A report that could be read.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) tally: Tally,
    throughput: f64,
    /// `None`: nothing was answered.
    latency: Option<Times>,
    service: Option<Times>,
}

impl Report {
    /// Reads it; complains about its first line that is none.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let mut lines = text.lines();
        let mut tally = [0; 6];
        for ((name, _), number) in Tally::default().lines().into_iter().zip(&mut tally) {
            *number = line(&mut lines, &format!("{name} 100"), |words| match words {
                [word, number] if *word == name => number.parse().ok(),
                _ => None,
            })?;
        }
        let [requests, answered, refused, ended, timeout, wrong] = tally;
        let tally = Tally { requests, answered, refused, ended, timeout, wrong };
        let throughput = line(&mut lines, "throughput 412.3", |words| match words {
            ["throughput", number] => finite(number),
            _ => None,
        })?;
        let latency =
            line(&mut lines, "latency p50 2.11 p90 4.02 p99 80.41 max 91.01", |words| times("latency", words))?;
        let service =
            line(&mut lines, "service p50 2.11 p90 4.02 p99 80.41 max 91.01", |words| times("service", words))?;
        Ok(Self { tally, throughput, latency, service })
    }
}

/// The next line, if it is like `example`.
fn line<'a, T>(
    lines: &mut impl Iterator<Item = &'a str>,
    example: &str,
    read: impl Fn(&[&str]) -> Option<T>,
) -> Result<T, Problem> {
    let line = lines.next().unwrap_or("");
    read(&line.split_whitespace().collect::<Vec<_>>()).ok_or_else(|| {
        let problem = Problem::new(format!("on stdout a line like `{example}`"), Seen::Wrong(line.into()));
        Problem { expected: example.into(), ..problem }.about(Topic::Load(Load::Form))
    })
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

fn times(name: &str, words: &[&str]) -> Option<Option<Times>> {
    match words {
        [word, "none"] if *word == name => Some(None),
        [word, "p50", p50, "p90", p90, "p99", p99, "max", max] if *word == name => {
            Some(Some([finite(p50)?, finite(p90)?, finite(p99)?, finite(max)?]))
        }
        _ => None,
    }
}

/// The bounds of what one request took, in milliseconds: of its latency, and of its service time.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    latency: [f64; 2],
    service: [f64; 2],
}

fn millis(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}

impl Run<'_> {
    /// Complains unless each request came once, and none before it was due.
    pub(super) fn expect_requests(&self, asked: &[Asked]) -> Result<(), Problem> {
        for number in 0..self.requests {
            let times = asked.iter().filter(|asked| asked.number == number).count();
            if times != 1 {
                let wanted = format!("that each of the requests 0 to {} comes once", self.requests - 1);
                return Err(Problem::new(wanted, Seen::Asked { number, times }));
            }
        }
        for Asked { number, read, .. } in asked {
            let after = read.saturating_duration_since(self.started);
            if after + Duration::from_millis(1) < self.due(*number) {
                let due = self.due(*number).as_millis();
                let wanted = format!("request {number} at {due} ms after the beginning, or later");
                return Err(Problem::new(wanted, Seen::Early { number: *number, after }));
            }
        }
        Ok(())
    }

    /// How long after the beginning a request is due.
    fn due(&self, number: u64) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(number as f64 / rate as f64))
    }

    /// The requests of each client, in their order. One client may have several connections; of several clients each keeps its own.
    fn of_each_client(&self, asked: &[Asked]) -> Vec<Vec<Asked>> {
        let connections =
            if self.clients == 1 { 1 } else { asked.iter().map(|asked| asked.connection + 1).max().unwrap_or(0) };
        let of = |client: usize| asked.iter().filter(move |asked| self.clients == 1 || asked.connection == client);
        (0..connections).map(|client| of(client).copied().collect()).collect()
    }

    /// The bounds for each request that was answered.
    fn bounds(&self, asked: &[Asked]) -> Vec<Bounds> {
        // The run began before this: a request that came had been due.
        let begun = asked.iter().filter_map(|asked| asked.read.checked_sub(self.due(asked.number))).min();
        let begun = begun.unwrap_or(self.started);
        let mut all = Vec::new();
        for client in self.of_each_client(asked) {
            let mut free = self.started;
            for (at, Asked { number, read, acts, good, .. }) in client.iter().enumerate() {
                let over = client.get(at + 1).map_or(self.over, |next| next.read);
                if let (Some(acts), true) = (acts, good) {
                    let service = [millis(*read, *acts), millis(free, over)];
                    let latency = match self.rate {
                        None => service,
                        Some(_) => {
                            [millis(begun + self.due(*number), *acts), millis(self.started + self.due(*number), over)]
                        }
                    };
                    all.push(Bounds { latency, service });
                }
                free = acts.unwrap_or(free);
            }
        }
        all
    }

    /// Complains about a number in the report that cannot be.
    pub(super) fn expect_times(&self, report: &Report, asked: &[Asked]) -> Result<(), Problem> {
        let bounds = self.bounds(asked);
        let of = |which: fn(&Bounds) -> [f64; 2]| bounds.iter().map(which).collect::<Vec<_>>();
        expect_line("latency", report.latency, &of(|bounds| bounds.latency))?;
        expect_line("service", report.service, &of(|bounds| bounds.service))?;
        let answered = bounds.len() as f64;
        let first = asked.first().map_or(self.started, |asked| asked.read);
        let last = asked.iter().filter_map(|asked| asked.acts).max().unwrap_or(first);
        let (longest, shortest) = (millis(self.started, self.over), millis(first, last).max(0.1));
        // Rounded to one digit, or to none.
        let limits = [answered * 1000.0 / longest - 1.0, answered * 1000.0 / shortest + 1.0];
        let figure = Figure { line: "throughput", name: "", bounds: limits, got: report.throughput, all: limits };
        expect_figure(figure, 0.0)
    }
}

fn expect_line(line: &'static str, got: Option<Times>, bounds: &[[f64; 2]]) -> Result<(), Problem> {
    let Some(got) = got.filter(|_| !bounds.is_empty()) else {
        if got.is_none() == bounds.is_empty() {
            return Ok(());
        }
        let wanted = if bounds.is_empty() { format!("{line} none") } else { format!("{line} p50 ...") };
        let seen = if bounds.is_empty() { format!("{line} p50 ...") } else { format!("{line} none") };
        let problem = Problem::new(format!("on stdout the line `{wanted}`"), Seen::Wrong(seen.into()));
        return Err(Problem { expected: wanted.into(), ..problem }.about(Topic::Load(Load::Form)));
    };
    let sorted = [0, 1].map(|which: usize| {
        let mut all: Vec<f64> = bounds.iter().map(|bounds| bounds[which]).collect();
        all.sort_by(f64::total_cmp);
        all
    });
    let rank = |all: &[f64], percent: usize| all[(all.len() * percent).div_ceil(100).max(1) - 1];
    let all = [sorted[0][0], rank(&sorted[1], 100)];
    for ((name, percent), got) in NAMES.into_iter().zip(PERCENT).zip(got) {
        let bounds = [rank(&sorted[0], percent), rank(&sorted[1], percent)];
        expect_figure(Figure { line, name, bounds, got, all }, ROUNDING)?;
    }
    Ok(())
}

fn expect_figure(figure: Figure, some: f64) -> Result<(), Problem> {
    let Figure { line, name, bounds: [least, most], got, .. } = figure;
    if least - some <= got && got <= most + some {
        return Ok(());
    }
    let wanted =
        format!("in the report `{line}{}{name}` from {least:.1} to {most:.1}", if name.is_empty() { "" } else { " " });
    Err(Problem::new(wanted, Seen::Figure(figure)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "requests 3\nanswered 2\nrefused 0\nended 1\ntimeout 0\nwrong 0\nthroughput 4.5\n\
                        latency p50 1 p90 2.5 p99 3 max 4\nservice p50 1 p90 2 p99 3 max 4\n";

    #[test]
    fn a_report_is_read_and_a_line_that_is_none_is_found() {
        let report = Report::read(GOOD).unwrap();
        assert_eq!((report.tally.requests, report.tally.ended, report.latency), (3, 1, Some([1.0, 2.5, 3.0, 4.0])));
        for (from, to) in [("ended 1", "ended x"), ("4.5", "NaN"), ("p90 2.5 ", ""), ("answered 2\n", "")] {
            let problem = Report::read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!(problem.topic, Some(Topic::Load(Load::Form)), "{from}");
        }
        let none = GOOD.replace("latency p50 1 p90 2.5 p99 3 max 4", "latency none");
        assert_eq!(Report::read(&none).unwrap().latency, None);
    }

    #[test]
    fn the_bounds_of_a_percentile_are_those_of_its_rank() {
        let bounds: Vec<[f64; 2]> = (1..=100).map(|at| [f64::from(at), f64::from(at) + 0.5]).collect();
        let good = [50.2, 90.2, 99.2, 100.2];
        expect_line("latency", Some(good), &bounds).unwrap();
        for at in 0..4 {
            for wrong in [-3.0, 3.0] {
                let mut times = good;
                times[at] += wrong;
                let problem = expect_line("latency", Some(times), &bounds).unwrap_err();
                assert!(matches!(problem.seen, Seen::Figure(Figure { name, .. }) if name == NAMES[at]));
            }
        }
        expect_line("latency", None, &[]).unwrap();
        expect_line("latency", None, &bounds).unwrap_err();
        expect_line("latency", Some(good), &[]).unwrap_err();
    }
}
