//! A thread for each client: the code of the iterative server, many times at once.
//!
//! The kernel switches between clients, so a session may simply wait. A thread costs a stack and a place in the
//! scheduler, and memory that is shared has to be shared with care: see `Shared` in `src/server/shared.rs`.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    server::{STACK, Server, ServerArgs},
    units::{MAX_COUNT, at_least_one},
};
use std::{num::NonZeroUsize, process::ExitCode, sync::Arc, thread};

/// A server with a thread for each client.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  thread-per-client --listen 127.0.0.1:8080 --service command --max-clients 2
  nc 127.0.0.1 8080          three of them: the third is told to come back later")]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Clients served at once. Those beyond are told that there is no room.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT))]
    max_clients: NonZeroUsize,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut server = Server::open(&args.server)?;
    while let Some(client) = server.accept()? {
        // Without a limit, a client that connects often enough decides how much memory we use.
        let Some(client) = client.admit(args.max_clients.get()) else { continue };
        let client = Arc::new(client);
        let theirs = Arc::clone(&client);
        let thread = thread::Builder::new().name("client".to_owned()).stack_size(STACK);
        if let Err(error) = thread.spawn(move || theirs.serve()) {
            tracing::warn!(%error, "no thread for a client");
            client.refuse();
        }
    }
    server.finish()
}
