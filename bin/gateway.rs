//! A gateway: HTTP on one side, the lines of a command server on the other.
//!
//! Clients of HTTP have the patience of HTTP, and get its status codes: `src/gateway/outcome.rs` says which error of the one
//! side is which of the other. The way to the command server is that of the program `client` (`src/client/`).

use clap::Parser;
use socket_patterns::{
    cli,
    gateway::{self, GatewayArgs},
    units::Checked,
};
use std::process::ExitCode;

/// HTTP in front of a command server: requests become commands, answers and errors become responses.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  event-driven --service command --listen 127.0.0.1:3000 &
  gateway --backend localhost:3000
  curl http://127.0.0.1:8080/ping
  printf 'PING\\nDELAY 500 slow\\nECHO quick\\n' | curl -N --data-binary @- http://127.0.0.1:8080/command")]
struct Args {
    #[command(flatten)]
    gateway: Checked<GatewayArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| gateway::run(&args.gateway))
}
