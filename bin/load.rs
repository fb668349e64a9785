//! A load generator: many clients at once, in a closed loop or at a fixed rate, with every failure counted.
//!
//! Start with `src/load/clients.rs`, the clients of one thread, and `src/load/schedule.rs`, which is what makes a fixed
//! rate honest.

use clap::{Parser, Subcommand};
use socket_patterns::{
    cli::{self, Failure},
    load::{self, LoadArgs, compare::CompareArgs},
};
use std::process::ExitCode;

/// Asks a server as many clients would, and tells how they were served.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  load http://127.0.0.1:8080/ --clients 100 --duration 10s
  load http://127.0.0.1:8080/ --clients 100 --rate 5000      a pause of the server shows in the latency
  load echo://127.0.0.1:8080 --no-keep-alive --json -
  load compare --quick --html report.html                    every architecture, started and measured in turns")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: Option<LoadArgs>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts every architecture, measures all under the same loads, and tells what each costs and could not do.
    Compare(CompareArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    cli::main(|| match (&args.command, &args.load) {
        (Some(Command::Compare(args)), _) => load::compare::compare(args),
        (None, Some(args)) => load::command::run(args),
        (None, None) => Err(Failure::Usage("whom? Give a URL, or `compare`; see --help".to_owned())),
    })
}
