//! Milestone 5: TLS and HTTP/2.
//!
//! New since milestone 4: clients may speak TLS, on a listener of its own, and HTTP/2. Read `src/tls/`, beginning with
//! `terminator/mod.rs`, `src/proxy/secured/`, `src/http2/` and `src/proxy/streams/`.

use clap::Parser;
use socket_patterns::{
    cache::CacheArgs,
    cli,
    pool::PoolArgs,
    proxy::{self, BalanceArgs, Http2Args, ProxyArgs, TlsArgs},
    units::Checked,
};
use std::process::ExitCode;

/// Milestone 5: a reverse proxy that balances, keeps its connections to backends, caches, and speaks TLS and HTTP/2 with its clients.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(
    after_help = "Example: milestone5 --backend localhost:3000 --tls-listen 127.0.0.1:8443 --certificate site.pem --key site.key"
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
    #[command(flatten)]
    tls: Checked<TlsArgs>,
    #[command(flatten)]
    http2: Checked<Http2Args>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| {
        proxy::run(&args.proxy, |plan| {
            plan // milestone 1: parse, forward, relay
                .balance(args.balance.0) // milestone 2: choose a living backend
                .pool(&args.pool) // milestone 3: keep connections
                .cache(&args.cache) // milestone 4: answer from memory
                .tls(&args.tls) // milestone 5: speak TLS       <- new
                .http2(&args.http2) // milestone 5: speak HTTP/2       <- new
        })
    })
}
