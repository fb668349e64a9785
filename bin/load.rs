//! A load generator: many clients at once, in a closed loop or at a fixed rate, with every failure counted.
//!
//! Start with `src/load/clients/`, the clients of one thread, and `src/load/schedule.rs`, which is what makes a fixed
//! rate honest.

use clap::{Parser, Subcommand};
use socket_patterns::{
    cli,
    load::{self, LoadArgs, compare::CompareArgs},
    units::Checked,
};
use std::process::ExitCode;

/// Asks a server as many clients would, and tells how they were served.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  load http://127.0.0.1:8080/ --clients 100 --duration 10s
  load http://127.0.0.1:8080/ --clients 100 --rate 5000      shows a pause of the server
  load http://127.0.0.1:8080/ --http2 --streams 32           many requests at once on each connection
  load https://localhost:8443/ --ca site.pem --no-keep-alive a handshake for each request
  load echo://127.0.0.1:8080 --no-keep-alive --json -
  load compare --quick --html report.html                    every architecture in turns")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts every architecture, measures all under the same loads, and tells what each costs and could not do.
    Compare(Checked<CompareArgs>),
}

fn main() -> ExitCode {
    if let Some(Err(misspelt)) = std::env::args().nth(1).map(|word| load::args::check_first_word(&word)) {
        return cli::main(|| Err(misspelt));
    }
    let args: Args = cli::parse();
    cli::main(|| match &args.command {
        Some(Command::Compare(args)) => load::compare::compare(args),
        None => load::command::run(&args.load),
    })
}
