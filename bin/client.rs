//! A client that survives its server: it reconnects, repeats what may be repeated, and says what it does not know.
//!
//! The patterns are in `src/client/`, each usable alone; the program is `src/client/shell.rs`.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    client::{ClientArgs, shell},
    units::Checked,
};
use std::process::ExitCode;

/// Sends commands from stdin to a command server, and prints the answers.
///
/// The exit code is 0 if every command was answered, 3 if one was not, and 1 if there is no server.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  thread-per-client --service command &
  client                                   then type PING; restart the server, and type it again
  seq 1000 | sed 's/^/ECHO /' | client --in-flight 100 --stats")]
struct Args {
    #[command(flatten)]
    client: Checked<ClientArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let _log = shell::start_logging();
    shell::run(&args.client)
}
