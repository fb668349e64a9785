//! Milestone 2: load balancing and health checks.
//!
//! New since milestone 1: one of several backends is chosen, one that lives, and another one if it fails. Read `src/lb/`
//! (which one), `src/health/` (which live), `src/proxy/exchange/retry.rs` (may it be sent again).

use clap::Parser;
use socket_patterns::{
    cli,
    proxy::{self, BalanceArgs, ProxyArgs},
    units::Checked,
};
use std::process::ExitCode;

/// Milestone 2: a reverse proxy that balances over backends and notices when one dies.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(
    after_help = "Example: milestone2 --backend localhost:3000,weight=3 --backend localhost:3001 --health-path /health"
)]
struct Args {
    #[command(flatten)]
    proxy: Checked<ProxyArgs>,
    #[command(flatten)]
    balance: Checked<BalanceArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| {
        proxy::run(&args.proxy, |plan| {
            plan // milestone 1: parse, forward, relay
                .balance(args.balance.0) // milestone 2: choose a living backend     <- new
        })
    })
}
