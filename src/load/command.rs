//! The command `load URL`: plan, run with progress, write what came out.

use super::{
    LoadArgs, Report,
    args::OutputArgs,
    html,
    run::{self, Progress},
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
    io::{self, Write as _},
    path::Path,
    sync::mpsc::{Receiver, channel},
};

/// Runs what the flags ask for and writes the result.
///
/// # Errors
///
/// As [`LoadArgs::plan`] and [`run()`]; a result that cannot be written.
pub fn run(args: &LoadArgs) -> Result<(), Failure> {
    descriptors::raise_limit()?;
    let plan = args.plan()?;
    let (interrupt, _watch) = interrupts()?;
    let bar = bar();
    let (record, measured) = run::run(&plan, &interrupt, |progress| show(&bar, progress))?;
    bar.finish_and_clear();
    write(&Report::new(&plan, &record, &measured), &args.output)
}

/// SIGINT and SIGTERM, as messages.
pub(super) fn interrupts() -> Result<(Receiver<()>, Watch), Failure> {
    let (sender, interrupt) = channel();
    let watch = signals::watch(move |signal| {
        if signal == Signal::Stop {
            // Nobody listens: the run is over anyway.
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
    if output.json.as_deref() != Some(Path::new("-")) {
        say(&report.to_string());
    }
    Ok(())
}

/// Writes a file, or to stdout for `-`.
pub(super) fn save(file: &Path, text: &str) -> Result<(), Failure> {
    if file == Path::new("-") {
        say(text);
        return Ok(());
    }
    fs::write(file, text).map_err(|error| Failure::Run(format!("cannot write {}: {error}", file.display())))
}

/// To stdout. Who closed it does not want to know.
pub(super) fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
