//! The store between real clients on real sockets, and beside a real `redis-server`.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod commands;
mod compare;
mod lasting;
mod limits;
mod redis;
mod resp;
mod scenes;

use support::process::{Process, start};

fn store(args: &[&str]) -> Process {
    start(env!("CARGO_BIN_EXE_store"), args)
}

/// The drivers to try, as flags.
fn drivers() -> Vec<[&'static str; 2]> {
    let others: &[&str] = if cfg!(target_os = "linux") { &["epoll", "io-uring"] } else { &["auto"] };
    others.iter().map(|driver| ["--driver", driver]).collect()
}
