//! Two protocols in one server, configured by one file.
//!
//! ```text
//!   multi.toml ──▶ Config ──▶ [http]     event loop, thread ──▶ sessions of service::Http
//!                        ╰──▶ [command]  event loop, thread ──▶ sessions of service::Command
//! ```
//!
//! The protocols share the process: its file, its log, its signals, its statistics. They share no event loop and no places for clients,
//! so that a flood of one is not the other's: what computes for long, or has all its places taken, holds up its own protocol alone.
//!
//! Reading order: `config` (the keys, and how a mistake is told), `run`.

mod config;
mod run;

pub use config::Config;
pub use run::{MultiArgs, run};
