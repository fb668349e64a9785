//! Services as sessions: what the demo servers say, under whichever architecture runs them.
//!
//! Reading order: [`lines`] (where a line ends), [`line_session`] (a conversation in lines), [`echo`] and [`command`], then
//! [`http`].

pub mod command;
pub mod echo;
pub mod http;
pub mod line_session;
pub mod lines;
#[cfg(test)]
pub(crate) mod testing;

pub use command::Command;
pub use echo::Echo;
pub use http::{Http, HttpConfig};

use crate::buf::Output;
use std::{fmt, io::Write};

/// No further request is looked at while this many bytes of answers wait. An answer may be ten times longer than what
/// asked for it: without a bound, a peer that asks and never reads would choose how much memory we use.
const HIGH_WATER: usize = 64 * 1024;

/// Writes formatted text into an output.
fn say(output: &mut Output, text: fmt::Arguments<'_>) {
    output.write_fmt(text).expect("an output is memory and takes everything");
}
