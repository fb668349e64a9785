//! Services as sessions: what the demo servers say, under whichever architecture runs them.
//!
//! Reading order: [`lines`] (where a line ends), [`line_session`] (a conversation in lines), [`echo`] and [`command`].

pub mod command;
pub mod echo;
pub mod line_session;
pub mod lines;
#[cfg(test)]
pub(crate) mod testing;

pub use command::Command;
pub use echo::Echo;

use crate::buf::Output;
use std::{fmt, io::Write};

/// Writes formatted text into an output.
fn say(output: &mut Output, text: fmt::Arguments<'_>) {
    output.write_fmt(text).expect("an output is memory and takes everything");
}
