//! A process for each client: the oldest way to serve many, and still the one that isolates best.
//!
//! A child has a copy of everything and shares nothing. A child that crashes takes its own client with it and no other.
//! How the parent starts and reaps its children, and how that goes wrong, is in `src/server/fork.rs`.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    server::{Children, Fork, Next, Server, ServerArgs},
    units::{MAX_COUNT, at_least_one},
};
use std::{num::NonZeroUsize, process::ExitCode};

/// A server with a process for each client.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  fork --listen 127.0.0.1:8080
  nc 127.0.0.1 8080          some of them; then, from another terminal: pgrep -a fork")]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Clients served at once, by a child each. Those beyond are told that there is no room.
    #[arg(long, value_name = "N", default_value = "256", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT))]
    max_clients: NonZeroUsize,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut server = Server::open_single_threaded(&args.server)?;
    let mut children = Children::new(&server)?;
    loop {
        let client = match server.wait()? {
            Next::Client(client) => client.admit(args.max_clients.get().saturating_add(children.leaving())),
            Next::Rung => None,
            Next::Stop => break,
        };
        children.reap();
        let Some(client) = client else { continue };
        match children.fork() {
            Ok(Fork::Child(child)) => child.live(server, &client),
            Ok(Fork::Parent(child)) => children.adopt(child, client),
            Err(error) => {
                tracing::warn!(%error, "no process for a client");
                client.refuse();
            }
        }
    }
    children.finish(&server);
    server.finish()
}
