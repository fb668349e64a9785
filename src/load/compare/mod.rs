//! `load compare`: every architecture under the same loads, in turns.
//!
//! ```text
//!   matrix    which cells, in which order        architecture × service × connections × clients, round by round
//!   server    one architecture, started for one cell and stopped after it
//!   summary   rounds of a cell ──▶ medians and what it could not do
//!   text, html
//! ```
//!
//! A fresh server for each cell: none inherits a backlog, a cache or a heap from the one before. Rounds are interleaved,
//! and every other round goes backwards: what drifts while this runs, drifts for all.

mod args;
mod html;
mod matrix;
mod server;
mod summary;
mod text;

pub use args::CompareArgs;
pub use matrix::{Architecture, Cell, Connections, Service};
pub use summary::{Comparison, Row, Spread};

use super::{
    HttpScript, LineScript, Plan, Report, Scheme, Script, Target,
    command::{interrupts, save, say},
    run,
};
use crate::{cli::Failure, http::Method, net::descriptors};
use indicatif::{ProgressBar, ProgressStyle};
use server::Server;
use std::{path::Path, sync::mpsc::Receiver};

/// Measures what the flags ask for and writes the result.
///
/// # Errors
///
/// No architecture is built: exit code 2. One that does not start, or a result that cannot be written.
pub fn compare(args: &CompareArgs) -> Result<(), Failure> {
    descriptors::raise_limit()?;
    let matrix = args.matrix();
    let missing = matrix.missing()?;
    let (interrupt, _watch) = interrupts()?;
    let cells = matrix.cells();
    let bar = bar(cells.len());
    let mut reports: Vec<(Cell, Report)> = Vec::new();
    let mut interrupted = false;
    for cell in cells {
        bar.set_message(cell.to_string());
        let report = measure(args, &cell, &interrupt)?;
        bar.inc(1);
        // One that was cut short says less than the others.
        if report.load.interrupted {
            interrupted = true;
            break;
        }
        reports.push((cell, report));
    }
    bar.finish_and_clear();
    let comparison = Comparison::of(args, &reports, missing, interrupted);
    write(args, &comparison)
}

fn measure(args: &CompareArgs, cell: &Cell, interrupt: &Receiver<()>) -> Result<Report, Failure> {
    let server = Server::start(cell)?;
    let plan = plan(args, cell, &server)?;
    let (record, measured) = run::run(&plan, interrupt, |_| {})?;
    Ok(Report::new(&plan, &record, &measured))
}

fn plan(args: &CompareArgs, cell: &Cell, server: &Server) -> Result<Plan, Failure> {
    let keep_alive = cell.connections == Connections::Kept;
    let scheme = match cell.service {
        Service::Echo => Scheme::Echo,
        Service::Command => Scheme::Command,
        Service::Http => Scheme::Http,
    };
    let name = cell.service.as_str();
    let path = if scheme == Scheme::Http { "/bytes/128" } else { "" };
    let target: Target = format!("{name}://{}{path}", server.address()).parse().map_err(Failure::Run)?;
    let script = match scheme {
        Scheme::Http => HttpScript::new(&target, Method::Get, &[], &[], keep_alive).map(Script::Http),
        _ => LineScript::new(scheme, scheme.usual_line(), keep_alive).map(Script::Lines),
    };
    Ok(Plan {
        to: server.address(),
        target,
        script: script.map_err(Failure::Run)?,
        clients: cell.clients,
        threads: 1,
        pipeline: 1,
        keep_alive,
        duration: args.duration(),
        warm_up: args.warm_up(),
        timeout: args.timeout,
        rate: None,
        server: Some(server.pid()),
    })
}

/// On stderr, and only if that is a terminal.
fn bar(cells: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left: {msg}");
    let bar = ProgressBar::new(cells as u64);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn write(args: &CompareArgs, comparison: &Comparison) -> Result<(), Failure> {
    if let Some(file) = &args.output.json {
        save(file, &(serde_json::to_string_pretty(comparison)? + "\n"))?;
    }
    if let Some(file) = &args.output.html {
        save(file, &html::of(comparison))?;
    }
    if args.output.json.as_deref() != Some(Path::new("-")) {
        say(&comparison.to_string());
    }
    Ok(())
}
