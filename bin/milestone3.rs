//! Milestone 3: connection pooling.
//!
//! New since milestone 2: connections to backends are kept and shared, and a request waits when all are busy. Read
//! `src/pool/`, and `State::Wait` and `State::Probe` in `src/proxy/exchange/`.

use clap::Parser;
use socket_patterns::{
    cli,
    pool::PoolArgs,
    proxy::{self, BalanceArgs, ProxyArgs},
    units::Checked,
};
use std::process::ExitCode;

/// Milestone 3: a reverse proxy that balances, and keeps its connections to backends.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(
    after_help = "Example: milestone3 --backend localhost:3000 --backend localhost:3001,max=50 --admin 127.0.0.1:9090"
)]
struct Args {
    #[command(flatten)]
    proxy: Checked<ProxyArgs>,
    #[command(flatten)]
    balance: Checked<BalanceArgs>,
    #[command(flatten)]
    pool: Checked<PoolArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| {
        proxy::run(&args.proxy, |plan| {
            plan // milestone 1: parse, forward, relay
                .balance(args.balance.0) // milestone 2: choose a living backend
                .pool(&args.pool) // milestone 3: keep connections          <- new
        })
    })
}
