//! What every binary's command line has in common: how values are written, where logs go, how a run ends.
//!
//! - Durations are written `250ms`, `30s`, `5m` ([`duration()`]), sizes `512`, `16k`, `1m` ([`size()`]).
//! - stdout carries `READY ADDR` ([`ready`]) and answers; logs and errors go to stderr ([`start_logging`]).
//! - Exit 0 when all went well or a drain ended, 1 for a failure at run time, 2 for wrong usage ([`main`]).

mod duration;
mod exit;
mod listen;
mod log;
mod size;

pub use duration::{MAX_DURATION, duration, nonzero_duration};
pub use exit::{Failure, main, ready};
pub use listen::{ListenArgs, address};
pub use log::{LogFilter, LogGuard, start_logging};
pub use size::size;
