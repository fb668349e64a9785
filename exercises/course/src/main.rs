//! `cargo course`: what to do next, and whether it is done.
//!
//! A student edits one file and runs one command. The command builds that file, talks with it over real sockets, and shows the
//! conversation with the cause of the first failure.
//!
//! ```text
//! catalog ── which exercises, which checks          checks/   what each check does
//! runner ─── runs them: stage (program, clients, seed) ── client, student ── wire (the record)
//! ahead ──── runs several checks side by side
//! cause ──── from what was seen (problem) to why (causes): probe and queues (what the process does, and the kernel has for it), bytes
//! quiz ───── predictions, and the experiments that answer them: lab (sockets, and what was called)
//! report ─── what the student reads                 commands/ what there is to type; progress is a text file
//! running ── no program outlives the runner         dev       what authors need: starters, mutants
//! ```

mod ahead;
mod bytes;
mod catalog;
mod cause;
mod causes;
mod checks;
mod client;
mod commands;
mod dev;
mod excess;
mod fault;
mod flood;
mod json;
mod life;
mod load_subject;
mod newcomer;
mod probe;
mod problem;
mod process;
mod progress;
mod project;
mod queues;
mod quiz;
mod regions;
mod report;
mod rooms;
mod runner;
mod running;
mod scratch;
mod shape;
mod stage;
mod stop;
mod student;
mod subject;
mod terminal;
mod timing;
mod transcript;
mod upstream;
mod web;
mod web_subject;
mod wire;
mod workers;

use clap::{Parser, Subcommand};
use commands::{Refused, check, grade, help, keep, overview, pack, quiz as asking, serve, watch};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// The course: exercises on network servers, checked over real sockets.
#[derive(Debug, Parser)]
#[command(name = "cargo course", bin_name = "cargo course", after_help = AFTER_HELP)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Exit code: 0 passed, 1 a check failed, 2 does not build or wrong usage, 3 the grader or the machine failed.\n\n\
     Example: cargo course check e06";

#[derive(Debug, Subcommand)]
enum Command {
    /// Build an exercise and run its checks, up to the first that fails
    Check(check::Check),
    /// Check again on each save; keys give hints and move on
    Watch {
        /// Which: e06, 6 or e06-echo [default: the next one]
        exercise: Option<String>,
    },
    /// Run your server in the foreground, to try it by hand
    Serve(serve::Serve),
    /// Run one check and show the conversation, and what your program says, while it happens
    Poke(check::Poke),
    /// Show the next of the hints
    Hint {
        /// Which: e06, 6 or e06-echo [default: the next one]
        exercise: Option<String>,
    },
    /// Explain a cause: what happened in the kernel, how to see it, what to do
    Explain {
        /// As a report names it; without it, all names
        cause: Option<String>,
    },
    /// Predict what the kernel does, then see the experiment
    Quiz(asking::Quiz),
    /// List the exercises
    List,
    /// Show how far you are
    Status(overview::Status),
    /// Show the model answer: after a pass, or after all hints
    Solution {
        /// Which: e06, 6 or e06-echo
        exercise: String,
        /// Before it is passed; that is noted
        #[arg(long)]
        anyway: bool,
    },
    /// Put the starter back; what you wrote is kept
    Reset {
        /// Which: e06, 6 or e06-echo
        exercise: String,
    },
    /// Bring back what was there before the last reset
    Undo {
        /// Which: e06, 6 or e06-echo
        exercise: String,
    },
    /// For teachers: run everything, a point a check
    Grade(grade::Grade),
    /// For teachers: make a copy without solutions
    Pack(pack::Pack),
    /// For authors: keep starters and graders right
    #[command(subcommand)]
    Dev(dev::Command),
}

fn main() -> ExitCode {
    // Before anything is started: a signal that comes now finds nothing to end.
    let ready = running::end_with_us(terminal::restore).map_err(Refused::from);
    let ran = terminal::until_nobody_reads(|| ready.and_then(|()| run(Args::parse().command)));
    match ran {
        Some(Ok(code)) => ExitCode::from(code),
        Some(Err(Refused(text, code))) => {
            let _ = writeln!(io::stderr(), "error: {text}");
            ExitCode::from(code)
        }
        None => ExitCode::from(terminal::NOBODY_READS),
    }
}

fn run(command: Option<Command>) -> Result<u8, Refused> {
    match command {
        None => overview::now(),
        Some(Command::Check(args)) => check::check(&args),
        Some(Command::Watch { exercise }) => watch::watch(exercise.as_deref()),
        Some(Command::Serve(args)) => serve::serve(&args),
        Some(Command::Poke(args)) => check::poke(&args),
        Some(Command::Hint { exercise }) => help::hint(exercise.as_deref()),
        Some(Command::Explain { cause }) => help::explain(cause.as_deref()),
        Some(Command::Quiz(args)) => asking::quiz(&args),
        Some(Command::List) => overview::list(),
        Some(Command::Status(args)) => overview::status(&args),
        Some(Command::Solution { exercise, anyway }) => help::solution(&exercise, anyway),
        Some(Command::Reset { exercise }) => keep::reset(&exercise),
        Some(Command::Undo { exercise }) => keep::undo(&exercise),
        Some(Command::Grade(args)) => grade::grade(&args),
        Some(Command::Pack(args)) => pack::pack(&args),
        Some(Command::Dev(command)) => dev::run(command),
    }
}
