//! Forward proxy: its clients name the server, in plain or through tunnels.
//!
//! The exchange, the pool and the cache are those of the milestones; in the place of the balancer stands the request's own
//! target. Read `src/proxy/forward/`, beginning with `mod.rs` and `guard.rs`, and `origin.rs` and `tunnel.rs` in
//! `src/proxy/exchange/`.

use clap::Parser;
use socket_patterns::{
    cache::CacheArgs,
    cli,
    pool::PoolArgs,
    proxy::{self, ForwardArgs, ProxyArgs},
    units::Checked,
};
use std::process::ExitCode;

/// A forward proxy: `curl -x` for http, tunnels (CONNECT) for https, and a cache if it is given memory.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "Example: forward-proxy --cache-size 256m --allow 10.1.0.0/16 --admin 127.0.0.1:9090")]
// Other defaults than a reverse proxy's: it has many servers, and nobody knows for how long they keep a connection.
#[command(
    mut_arg("backend", |arg| arg.hide(true)),
    mut_arg("pool_max", |arg| arg.default_value("20")),
    mut_arg("pool_idle_timeout", |arg| arg.default_value("30s")),
    mut_arg("cache_size", |arg| arg.default_value("0")),
)]
pub(crate) struct Args {
    #[command(flatten)]
    proxy: Checked<ProxyArgs>,
    #[command(flatten)]
    forward: Checked<ForwardArgs>,
    #[command(flatten)]
    pool: Checked<PoolArgs>,
    #[command(flatten)]
    cache: Checked<CacheArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| {
        proxy::run(&args.proxy, |plan| {
            plan // milestone 1: parse, forward, relay
                .forward_by_name(&args.forward) // where the client says       <- instead of a balancer
                .pool(&args.pool) // milestone 3: keep connections
                .cache(&args.cache) // milestone 4: answer from memory
        })
    })
}
