//! One thread, all clients: no client waits, because nothing blocks.
//!
//! The kernel says which sockets have news (`src/net/reactor/`), and each session hears its own. A client costs a few
//! hundred bytes instead of a thread. The price: a session that computes for long holds up all clients.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    net::{DriverConfig, Reactor, Sessions, descriptors},
    server::{ServerArgs, Shared},
    units::{MAX_COUNT, at_least_one},
};
use std::{num::NonZeroUsize, process::ExitCode, sync::Arc};

/// A server with one event loop for all clients.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "Example: event-driven --listen 127.0.0.1:8080 --service http")]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Clients at once. Those beyond wait in the backlog until one leaves.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT))]
    max_clients: NonZeroUsize,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(Args { server, max_clients }: &Args) -> Result<(), Failure> {
    let _log = cli::start_logging(&server.listen.log_level);
    descriptors::raise_limit()?;
    let listener = server.listen.open()?;
    let address = listener.local_addr()?;
    let (shared, within) = (Shared::new(server), server.listen.drain_timeout);

    let seats = Arc::clone(&shared);
    let sessions = Sessions::new(move |_, now| seats.seated(now)).counting(Arc::clone(shared.traffic()));
    let config = DriverConfig { max_connections: max_clients.get(), ..DriverConfig::default() };
    let mut reactor = Reactor::new(sessions, config)?;
    reactor.listen(listener)?;
    let _signals = shared.obey_signals(reactor.remote(), within)?;
    cli::ready(address);
    reactor.run()?;
    shared.report();
    Ok(())
}
