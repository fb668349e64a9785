//! Milestone 1: the HTTP core.
//!
//! A reverse proxy in front of one server: it parses, forwards and relays, both directions at once, within limits and
//! deadlines. Follow a request: `src/proxy/clients.rs` hears it, `src/proxy/exchange/` carries it, `src/proxy/headers.rs`
//! writes it anew. Where a message ends is decided in `src/http/framing.rs`.

use clap::Parser;
use socket_patterns::{
    cli,
    proxy::{self, ProxyArgs},
    units::Checked,
};
use std::process::ExitCode;

/// Milestone 1: a reverse proxy for one backend, a new connection for each request.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "Example: milestone1 --listen 127.0.0.1:8080 --backend localhost:3000")]
struct Args {
    #[command(flatten)]
    proxy: Checked<ProxyArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| {
        proxy::run(&args.proxy, |plan| {
            plan // milestone 1: parse, forward, relay
        })
    })
}
