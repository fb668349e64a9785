//! An event loop for each processor, and threads for what an event loop must not do: what large servers are made of.
//!
//! A master starts workers and replaces those that die (`src/server/hybrid/`). A worker is the event-driven server, except
//! that what takes long to compute goes to a bounded pool of threads. The price: more parts, and clients that are dealt out
//! without regard to who has time.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    net::{DriverConfig, Reactor, Sessions},
    server::{Master, Place, Role, ServerArgs, Threads},
    units::{Checked, Flags, MAX_COUNT, MAX_THREADS, MAX_WORKERS, Pointless, at_least_one, duration, number},
};
use std::{num::NonZeroUsize, process::ExitCode, sync::Arc, thread, time::Duration};

/// A server with several event loops, and threads for work.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  hybrid --listen 127.0.0.1:8080 --service http --workers 2
  curl http://127.0.0.1:8080/cpu/3000 & curl http://127.0.0.1:8080/     the second does not wait for the first")]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Processes with an event loop each [default: one for each processor].
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_WORKERS))]
    workers: Option<NonZeroUsize>,
    /// Clients at once, in equal shares, rounded up. Those beyond a worker's share wait in its backlog until one
    /// leaves.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT))]
    max_clients: NonZeroUsize,
    /// Threads of each worker that compute.
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one::<NonZeroUsize>(MAX_THREADS))]
    cpu_threads: NonZeroUsize,
    #[command(flatten)]
    waiting: Checked<WaitingArgs>,
    /// How often in a row a worker that dies within ten seconds is replaced, each time later.
    #[arg(long, value_name = "N", default_value = "8", value_parser = number::<u32>(0..=MAX_COUNT))]
    max_restarts: u32,
}

/// Requests that may wait for a thread that computes.
#[derive(Debug, clap::Args)]
struct WaitingArgs {
    /// Requests of each worker that may wait for one of these threads; those beyond are answered with 503.
    #[arg(long, value_name = "N", default_value = "16", value_parser = number::<usize>(0..=MAX_COUNT))]
    cpu_queue: usize,
    /// How long a request may wait for such a thread.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    queue_timeout: Duration,
}

impl Flags for WaitingArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["queue_timeout"],
        when: |matches| matches.get_one("cpu_queue") == Some(&0_usize),
        because: "--cpu-queue 0 lets no request wait",
    }];
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    let workers = args.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut master = Master::open(&args.server, workers, args.max_restarts)?;
    while let Some(number) = master.wait()? {
        match master.start(number) {
            Role::Master(same) => master = same,
            Role::Worker(place) => return work(args, place, args.max_clients.get().div_ceil(workers)),
        }
    }
    master.finish()
}

fn work(args: &Args, place: Place, max_connections: usize) -> Result<(), Failure> {
    let threads = Threads::new(args.cpu_threads.get(), args.waiting.cpu_queue, args.waiting.queue_timeout)?;
    let (outbox, seats) = (threads.outbox(), Arc::clone(place.shared()));
    let sessions = Sessions::new(move |_, now| seats.seated(now))
        .counting(Arc::clone(place.shared().traffic()))
        .computing(threads);
    let mut reactor = Reactor::new(sessions, DriverConfig { max_connections, ..DriverConfig::default() })?;
    outbox.wakes(reactor.remote());
    let _watch = place.open(&mut reactor)?;
    reactor.run()?;
    Ok(())
}
