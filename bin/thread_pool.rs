//! A fixed number of threads: clients come and go, threads stay.
//!
//! The cost of a burst is decided before it comes: `--workers` clients are served, `--queue` clients wait, and the
//! others are told at once that there is no room. The price: a client that says nothing holds a worker all the same.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure},
    server::{Pool, Server, ServerArgs},
    units::{Checked, Flags, MAX_COUNT, MAX_THREADS, Pointless, at_least_one, duration, number},
};
use std::{num::NonZeroUsize, process::ExitCode, time::Duration};

/// A server with a pool of threads and a bounded queue.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  thread-pool --listen 127.0.0.1:8080 --workers 1 --queue 1 --queue-timeout 5s
  nc 127.0.0.1 8080          three of them: one is served, one waits, one is sent away")]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Threads, and so clients served at once.
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_least_one::<NonZeroUsize>(MAX_THREADS))]
    workers: NonZeroUsize,
    #[command(flatten)]
    waiting: Checked<WaitingArgs>,
}

/// Clients that may wait for a thread.
#[derive(Debug, clap::Args)]
struct WaitingArgs {
    /// Clients that may wait for a thread.
    #[arg(long, value_name = "N", default_value = "64", value_parser = number::<usize>(0..=MAX_COUNT))]
    queue: usize,
    /// How long a client may wait for a thread.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    queue_timeout: Duration,
}

impl Flags for WaitingArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["queue_timeout"],
        when: |matches| matches.get_one("queue") == Some(&0_usize),
        because: "--queue 0 lets no client wait",
    }];
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(&args))
}

fn run(args: &Args) -> Result<(), Failure> {
    // First: a program that cannot serve should not say that it is ready.
    let pool = Pool::new(args.workers.get(), args.waiting.queue, args.waiting.queue_timeout)?;
    let mut server = Server::open(&args.server)?;
    while let Some(client) = server.accept()? {
        pool.submit(client);
    }
    pool.finish_by(server.deadline());
    server.finish()
}
