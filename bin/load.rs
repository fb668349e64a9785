//! A load generator: many clients at once, in a closed loop or at a fixed rate, with every failure counted.
//!
//! Start with `src/load/clients.rs`, the clients of one thread, and `src/load/schedule.rs`, which is what makes a fixed
//! rate honest.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    load::{self, LoadArgs},
};
use std::process::ExitCode;

/// Asks a server as many clients would, and tells how they were served.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  load http://127.0.0.1:8080/ --clients 100 --duration 10s
  load http://127.0.0.1:8080/ --clients 100 --rate 5000      a pause of the server shows in the latency
  load echo://127.0.0.1:8080 --no-keep-alive --json -")]
struct Args {
    #[command(flatten)]
    load: LoadArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    cli::main(|| run(&args))
}

fn run(Args { load }: &Args) -> Result<(), Failure> {
    load::command::run(load)
}
