//! A store of keys and values that speaks RESP, as Redis does.
//!
//! ```text
//!   client ─▶ Server ─▶ Engine ─▶ a command ─▶ Keyspace ─▶ Log ─▶ Writer: one thread, one directory
//!            (an App)   checks,   (command/)   keys,               append, fdatasync, rewrite
//!                       clients                memory
//! ```
//!
//! One event loop runs everything but the file: a command sees no other halfway, and no key has a lock. [`Engine`] is pure:
//! bytes and time come in, [`Effect`](world::Effect)s and records of changes go out.
//!
//! Reading order: `request` and `reply` in [`crate::resp`] (the protocol), `value/` (what a key holds), `keyspace` (all keys), `command/` (what each command
//! does) and `table` (which there are), `engine` (one command after the other) and `waiting`, `evict` and `housekeeping` (what happens
//! besides), `log` and `dump` (what the file holds), `file` (where it is) and `writer` (the thread that writes it), `server` and `run`.

mod args;
mod client;
mod command;
mod config;
mod dump;
mod engine;
mod evict;
mod extended;
mod fault;
mod file;
mod glob;
mod housekeeping;
mod keyspace;
mod log;
mod random;
mod run;
mod server;
mod table;
#[doc(hidden)]
pub mod trial;
mod value;
mod waiting;
mod world;
mod writer;

use crate::resp::{number, reply, request, words};

pub use args::StoreArgs;
pub use engine::Engine;
pub use run::run;
