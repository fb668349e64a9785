//! One thread, all clients, and the kernel does the reading and writing: the server only hears of results.
//!
//! Where *event-driven* asks who is ready, this says what is wanted and is told when it is done
//! (`src/net/proactor/`). Linux only, and not everywhere: where the kernel refuses, one line says why.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    server::ServerArgs,
    units::{MAX_COUNT, at_least_one},
};
use std::{num::NonZeroUsize, process::ExitCode};

/// A server with one completion loop for all clients (io_uring).
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "Example: io-uring --listen 127.0.0.1:8080 --service http")]
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

#[cfg(not(target_os = "linux"))]
fn run(_: &Args) -> Result<(), Failure> {
    Err(Failure::Usage("io_uring is not available: only Linux has it; use event-driven instead".to_owned()))
}

#[cfg(target_os = "linux")]
fn run(Args { server, max_clients }: &Args) -> Result<(), Failure> {
    use socket_patterns::{
        net::{DriverConfig, Proactor, Sessions, descriptors},
        server::Shared,
    };
    use std::sync::Arc;

    let _log = cli::start_logging(&server.listen.log_level);
    descriptors::raise_limit()?;
    let (shared, within) = (Shared::new(server), server.listen.drain_timeout);
    let seats = Arc::clone(&shared);
    let sessions = Sessions::new(move |_, now| seats.seated(now)).counting(Arc::clone(shared.traffic()));
    let config = DriverConfig { max_connections: max_clients.get(), ..DriverConfig::default() };
    // Before the listener: a program that cannot serve should not take the port.
    let mut proactor = Proactor::new(sessions, config)?;
    let listener = server.listen.open()?;
    let address = listener.local_addr()?;
    proactor.listen(listener)?;
    let _signals = shared.obey_signals(proactor.remote(), within)?;
    cli::ready(address);
    proactor.run()?;
    shared.report();
    Ok(())
}
