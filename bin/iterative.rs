//! One client at a time: the simplest server there is.
//!
//! While one client is served, the others wait in the kernel's backlog: connected, as far as they can tell, and
//! unheard. One client that says nothing keeps all others out until `--idle-timeout`. The gain is worth knowing as
//! well: without concurrency there is nothing to lock, nothing to share and nothing to leak.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    server::{Server, ServerArgs},
};
use std::process::ExitCode;

/// A server that serves one client after another.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  iterative --listen 127.0.0.1:8080
  nc 127.0.0.1 8080          and a second one, which is greeted when the first has left")]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut server = Server::open(&args.server)?;
    while let Some(client) = server.accept()? {
        client.serve();
    }
    server.finish()
}
