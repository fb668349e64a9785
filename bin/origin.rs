//! A small HTTP server to put behind a proxy: it says who answers, waits, fails, sends and takes as much as it is asked to.
//!
//! Read `src/service/http/`; everything it does is there. One event loop runs all connections.

use clap::Parser;
use socket_patterns::{
    cli::{self, Failure, ListenArgs},
    net::{Driver, DriverConfig, DriverKind, Sessions, descriptors, signals},
    service::{
        Http,
        http::{HttpConfig, Name},
    },
};
use std::{process::ExitCode, sync::Arc};

/// A small HTTP server: the backend to try proxies and clients with.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  origin --listen 127.0.0.1:3000 --name a
  curl http://127.0.0.1:3000/          says who answers, and what else to ask for")]
struct Args {
    #[command(flatten)]
    listen: ListenArgs,
    /// The name of this server; each answer has it in its field X-Backend.
    #[arg(long, default_value = "origin")]
    name: Name,
    /// How the event loop talks to the kernel: epoll (on macOS: kqueue), io-uring where the system allows it, or auto, which is
    /// epoll.
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    driver: DriverKind,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| run(args))
}

fn run(Args { listen, name, driver }: Args) -> Result<(), Failure> {
    let _log = cli::start_logging(&listen.log_level);
    descriptors::raise_limit()?;
    let driver = driver.choose()?;
    let config = Arc::new(HttpConfig { name, ..HttpConfig::default() });
    let listener = listen.open()?;
    let address = listener.local_addr()?;

    let sessions = Sessions::new(move |_, now| Http::new(Arc::clone(&config), now));
    let mut origin = Driver::new(&driver, sessions, DriverConfig::default())?;
    origin.listen(listener)?;
    let remote = origin.remote();
    let _signals = signals::watch(move |signal| {
        if signal == signals::Signal::Stop {
            remote.drain(listen.drain_timeout);
        }
    })?;
    cli::ready(address);
    tracing::info!("{driver}");
    origin.run()?;
    Ok(())
}
