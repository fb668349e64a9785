//! A store of keys and values that speaks RESP: redis-cli and other clients of Redis work with it.
//!
//! The commands are in `src/store/command/`, which knows no sockets; `src/store/engine.rs` runs one after the other.

use clap::Parser;
use socket_patterns::{
    cli,
    store::{self, StoreArgs},
    units::Checked,
};
use std::process::ExitCode;

/// A store of keys and values that speaks RESP, as Redis does.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  store --listen 127.0.0.1:8080
  redis-cli -p 8080 set greeting hello
  redis-cli -p 8080 get greeting
  redis-benchmark -p 8080 -t set,get -n 100000 -q
  store --data ./store-data          changes last
  store --data ./store-data --appendfsync always
  store --in-memory --maxmemory 100m --maxmemory-policy allkeys-lru
  kill -USR1 PID                     says what it has done")]
struct Args {
    #[command(flatten)]
    store: Checked<StoreArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| store::run(&args.store))
}
