//! The command `load URL`: plan, run with progress, write what came out.

use super::{
    LoadArgs, Report,
    args::{OutputArgs, is_stdout, unwritten},
    html,
    run::{self, Progress},
    text::{Counted, grouped},
};
use crate::{
    cli::Failure,
    net::{
        descriptors,
        signals::{self, Signal, Watch},
    },
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    path::Path,
    sync::mpsc::{Receiver, channel},
};

/// Runs what the flags ask for and writes the result.
///
/// # Errors
///
/// As [`LoadArgs::plan`] and [`run()`]; a result that cannot be written. And when it is written: that not one request was served.
pub fn run(args: &LoadArgs) -> Result<(), Failure> {
    args.output.check()?;
    let limit = descriptors::raise_limit()?;
    let plan = args.plan()?;
    afford(plan.clients, plan.threads, limit)?;
    let (interrupt, _watch) = interrupts()?;
    let bar = bar();
    let (record, measured) = run::run(&plan, &interrupt, |progress| show(&bar, progress))?;
    bar.finish_and_clear();
    let report = Report::new(&plan, &record, &measured);
    write(&report, &args.output)?;
    served(&report)
}

/// Whether anything was: else there is a result, but no server that it could speak of.
fn served(Report { requests, errors, .. }: &Report) -> Result<(), Failure> {
    if requests.answered > 0 || requests.started == 0 {
        return Ok(());
    }
    let failed = errors.iter().map(|(kind, count)| format!("{} failed: {kind}", grouped(*count)));
    let unfinished =
        (requests.unfinished > 0).then(|| format!("{} under way at the end", grouped(requests.unfinished)));
    let why: Vec<String> = failed.chain(unfinished).collect();
    Err(Failure::Unanswered(format!(
        "nothing was served: of {}, {}",
        Counted(requests.started, "request"),
        why.join(", ")
    )))
}

/// Whether so many clients may have a descriptor each.
///
/// # Errors
///
/// They may not: part of them would fail, and that would say nothing about the server.
pub(super) fn afford(clients: usize, threads: usize, limit: u64) -> Result<(), Failure> {
    // Standard streams, signals and a file; for each thread an event loop, its waker and its timer.
    let needed = (clients + 8 + 3 * threads) as u64;
    if needed <= limit {
        return Ok(());
    }
    let (clients, needed, limit) = (Counted::new(clients, "client"), Counted(needed, "open file"), grouped(limit));
    Err(Failure::Run(format!(
        "{needed} for {clients}, and {limit} allowed: raise that with `ulimit -n`, or choose fewer --clients"
    )))
}

/// SIGINT and SIGTERM, as messages.
pub(super) fn interrupts() -> Result<(Receiver<()>, Watch), Failure> {
    let (sender, interrupt) = channel();
    let watch = signals::watch(move |signal| {
        if signal == Signal::Stop {
            // An error means that the receiver is gone: the run is over anyway.
            let _ = sender.send(());
        }
    })?;
    Ok((interrupt, watch))
}

/// On stderr, and only if that is a terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {elapsed}/{len} {msg}");
    let bar = ProgressBar::new(1000);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn show(bar: &ProgressBar, Progress { elapsed, total, answered, failed }: Progress) {
    bar.set_length(total.as_millis() as u64);
    bar.set_position(elapsed.min(total).as_millis() as u64);
    let rate = answered as f64 / elapsed.as_secs_f64().max(0.001);
    bar.set_message(format!("{rate:.0} answers/s, {failed} failed"));
}

fn write(report: &Report, output: &OutputArgs) -> Result<(), Failure> {
    if let Some(file) = &output.json {
        let json = serde_json::to_string_pretty(report)? + "\n";
        save(file, &json)?;
    }
    if let Some(file) = &output.html {
        save(file, &html::of(report))?;
    }
    if !output.takes_stdout() {
        say(&report.to_string())?;
    }
    Ok(())
}

/// Writes a file, or to stdout for `-`.
pub(super) fn save(file: &Path, text: &str) -> Result<(), Failure> {
    if is_stdout(file) {
        return say(text);
    }
    fs::write(file, text).map_err(|error| unwritten(file, &error))
}

/// Writes to stdout. A closed stdout is no error: its reader wants no more.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
