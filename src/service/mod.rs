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
use clap::ValueEnum;
use serde::Serialize;
use std::{fmt, io::Write};

/// The services that every architecture offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Every line comes back with its number.
    Echo,
    /// Lines that ask, in order or by number: PING, ECHO, TIME, STATS, HEARTBEAT, DELAY, HELP, QUIT.
    Command,
    /// HTTP/1.1 with test paths, such as /bytes/1000.
    Http,
}

impl Service {
    /// As in the flag `--service`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Command => "command",
            Self::Http => "http",
        }
    }

    /// Something that a client may say.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Echo => "hello\n",
            Self::Command => "PING\n",
            Self::Http => "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        }
    }

    /// The answer that a client gets instead of being served, when there is no room. It is in the client's own
    /// protocol: a connection that is closed without a word looks like a crash.
    #[must_use]
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Echo => "Busy: try again later.\n",
            Self::Command => "ERROR busy: try again later\n",
            Self::Http => {
                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nRetry-After: 1\r\nConnection: close\r\n\r\nbusy\n"
            }
        }
    }
}

/// No further request is looked at while this many bytes of answers wait. An answer may be ten times longer than what
/// asked for it: without a bound, a peer that asks and never reads would choose how much memory we use.
const HIGH_WATER: usize = 64 * 1024;

/// Writes formatted text into an output.
fn say(output: &mut Output, text: fmt::Arguments<'_>) {
    output.write_fmt(text).expect("an output is memory and takes everything");
}
