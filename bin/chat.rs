//! A chat server: rooms, and people who talk in them with `nc`, telnet, or on a page in a browser.
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
  http://127.0.0.1:8080/             in a browser, and beside it
  nc 127.0.0.1 8080
  /nick ann
  /join lobby
  hello                              said to everybody in the lobby but you
  /msg bob psst
  /register PASSWORD                 keep the name
  chat --data ./chat-data            accounts and histories last
  kill -USR1 PID                     says how many are here")]
struct Args {
    #[command(flatten)]
    chat: Checked<ChatArgs>,
}

fn main() -> ExitCode {
    let args: Args = cli::parse();
    cli::main(|| chat::run(&args.chat))
}
