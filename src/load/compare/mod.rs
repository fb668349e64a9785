//! `load compare`: every architecture under the same loads, in turns.
//!
//! ```text
//!   matrix    which cells, in which order        architecture × service × connections × clients, round by round
//!   server    one architecture, started for one cell and stopped after it
//!   summary   rounds of a cell ──▶ medians and what it could not do
//!   text, html, pictures
//! ```
//!
//! A fresh server for each cell: none inherits a backlog, a cache or a heap from the one before. Rounds are interleaved,
//! and every other round goes backwards: what drifts while this runs, drifts for all.

mod args;
mod html;
mod matrix;
mod pictures;
mod server;
mod summary;
mod text;

pub use args::CompareArgs;
pub use matrix::{Architecture, Cell, Connections};
pub use summary::{Comparison, Outcome, Row, Spread};

use super::{
    HttpScript, LineScript, Plan, Report, Scheme, Script, Target,
    command::{afford, interrupts, save, say},
    run,
};
use crate::{cli::Failure, http::Method, net::descriptors, service::Service};
use indicatif::{ProgressBar, ProgressStyle};
use server::{Absence, Server};
use std::{collections::BTreeMap, sync::mpsc::Receiver};

/// Measures what the flags ask for and writes the result.
///
/// # Errors
///
/// No architecture is built: exit code 2. None of them starts, or a result cannot be written. Or, after it is written:
/// no server answered a request.
pub fn compare(args: &CompareArgs) -> Result<(), Failure> {
    args.output.check()?;
    if let Some(directory) = args.svg.as_ref().filter(|directory| !directory.is_dir()) {
        return Err(Failure::Usage(format!("--svg {}: no such directory", directory.display())));
    }
    let limit = descriptors::raise_limit()?;
    let matrix = args.matrix();
    afford(matrix.clients.iter().copied().max().unwrap_or(0), 1, limit)?;
    let missing = matrix.missing()?;
    let (interrupt, _watch) = interrupts()?;
    let cells = matrix.cells();
    let bar = bar(cells.len());
    let mut rounds: Vec<(Cell, Outcome)> = Vec::new();
    let mut unavailable: BTreeMap<Architecture, String> = BTreeMap::new();
    let mut interrupted = false;
    for cell in cells {
        bar.set_message(cell.to_string());
        let outcome = round(args, &cell, &mut unavailable, &interrupt)?;
        interrupted = match &outcome {
            // One that was cut short says less than the others.
            Ok(report) => report.load.interrupted,
            // Ctrl-C reaches a server that starts, too.
            Err(_) => interrupt.try_recv().is_ok(),
        };
        if interrupted {
            break;
        }
        bar.inc(1);
        rounds.push((cell, outcome));
    }
    bar.finish_and_clear();
    write(args, &Comparison::of(args, &rounds, missing, interrupted))?;
    match rounds.first() {
        Some((cell, Err(why))) if rounds.iter().all(|(_, outcome)| outcome.is_err()) => {
            Err(Failure::Run(format!("nothing was measured: {} {why}", cell.architecture.as_str())))
        }
        Some(_) if rounds.iter().flat_map(|(_, outcome)| outcome).all(|report| report.requests.answered == 0) => {
            Err(Failure::Unanswered("nothing was served: no server answered a single request".to_owned()))
        }
        _ => Ok(()),
    }
}

/// One round of a cell. An architecture that is not available here is not tried again.
fn round(
    args: &CompareArgs,
    cell: &Cell,
    unavailable: &mut BTreeMap<Architecture, String>,
    interrupt: &Receiver<()>,
) -> Result<Outcome, Failure> {
    if let Some(why) = unavailable.get(&cell.architecture) {
        return Ok(Err(why.clone()));
    }
    let server = match Server::start(cell) {
        Ok(server) => server,
        Err(Absence { why, for_good }) => {
            if for_good {
                unavailable.insert(cell.architecture, why.clone());
            }
            return Ok(Err(why));
        }
    };
    let plan = plan(args, cell, &server)?;
    let (record, measured) = run::run(&plan, interrupt, |_| {})?;
    Ok(Ok(Report::new(&plan, &record, &measured)))
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
        security: None,
        clients: cell.clients,
        threads: 1,
        at_once: 1,
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
    if let Some(directory) = &args.svg {
        for (file, picture) in pictures::of(comparison) {
            save(&directory.join(file), &picture)?;
        }
    }
    if !args.output.takes_stdout() {
        say(&comparison.to_string())?;
    }
    Ok(())
}
