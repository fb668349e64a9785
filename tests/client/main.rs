//! The client and its server, killed, stopped, slow and gone. Black boxes: the real program, real sockets, and a server that
//! keeps a book of what it executed.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod failing;
mod library;
mod outages;

use support::shell::Shell;

const SERVER: &str = env!("CARGO_BIN_EXE_event-driven");

/// The client, connected to `server`, with waits that suit a test.
fn client(server: &str, args: &[&str]) -> Shell {
    let quick = ["--connect", server, "--backoff", "5ms", "--backoff-cap", "20ms"];
    let patient: &[&str] = if args.contains(&"--reconnects") { &[] } else { &["--reconnects", "10000"] };
    Shell::start(env!("CARGO_BIN_EXE_client"), &[&quick, patient, args].concat())
}
