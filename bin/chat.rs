//! A chat server: rooms, and people who talk in them with `nc` or telnet.
//!
//! The rules are in `src/chat/hall/`, which knows no sockets; `src/chat/house.rs` is the lock around them, and the way of a message to
//! clients of other workers.

use clap::Parser;
use socket_patterns::{
    chat::{self, ChatArgs},
    cli,
    units::Checked,
};
use std::process::ExitCode;

/// A chat: rooms, and people who talk in them.
#[derive(Debug, Parser)]
#[command(name = env!("CARGO_BIN_NAME"))]
#[command(after_help = "\
Example:
  chat --listen 127.0.0.1:8080
  nc 127.0.0.1 8080                  twice, each in a terminal of its own
  /nick ann
  /join lobby
  hello                              said to everybody in the lobby but you
  /msg bob psst
  kill -USR1 PID                     says how many are here")]
struct Args {
    #[command(flatten)]
    chat: Checked<ChatArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| chat::run(&args.chat))
}
