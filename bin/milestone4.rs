//! Milestone 4: caching.
//!
//! New since milestone 3: responses are stored and answer later requests, as RFC 9111 allows; one request is made for
//! many that ask the same at once. Read `src/cache/`, and `cache.rs`, `serve.rs`, `follow.rs` and `keep.rs` in
//! `src/proxy/exchange/`.

use clap::Parser;
use socket_patterns::{
    cache::CacheArgs,
    cli,
    pool::PoolArgs,
    proxy::{self, BalanceArgs, ProxyArgs},
    units::Checked,
};
use std::process::ExitCode;

/// Milestone 4: a reverse proxy that balances, keeps its connections to backends, and caches.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(
    after_help = "Example: milestone4 --backend localhost:3000 --backend localhost:3001 --cache-size 1g --admin 127.0.0.1:9090"
)]
struct Args {
    #[command(flatten)]
    proxy: Checked<ProxyArgs>,
    #[command(flatten)]
    balance: Checked<BalanceArgs>,
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
                .balance(args.balance.0) // milestone 2: choose a living backend
                .pool(&args.pool) // milestone 3: keep connections
                .cache(&args.cache) // milestone 4: answer from memory       <- new
        })
    })
}
