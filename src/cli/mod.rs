//! Parts that all binaries share: where they listen, where logs go, how a run ends.
//!
//! - stdout carries `READY ADDR` ([`ready`]) and answers; logs and errors go to stderr ([`start_logging`]).
//! - Nothing that is said on stderr is waited for longer than a moment, and nothing ends because it cannot be said ([`say`]).
//! - All command lines are read in the same way, and all exit codes mean the same ([`parse`], [`EXIT_CODES`], [`main`]).

mod clients;
mod data;
mod exit;
pub mod file;
mod listen;
mod log;
mod parse;
mod secret;
mod stderr;

pub use clients::clients_per_worker;
pub use data::DataFolder;
pub use exit::{Failure, main, ready, ready_command, ready_tls};
pub use listen::{ListenArgs, address};
pub use log::{
    ACCESS, EventFormat, Lines, LogFilter, LogGuard, Logging, Place, Places, start, start_logging,
    start_logging_unthreaded,
};
pub use parse::{EXIT_CODES, parse, prepared};
pub use secret::secret;
pub use stderr::{log_lines_lost, say};
