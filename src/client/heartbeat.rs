//! Whether the peer is still there: asked when it has been silent, given up when it does not answer.
//!
//! A peer whose machine lost its power, or whose process is stopped, says nothing, and TCP says nothing either: a
//! connection without traffic is a memory that two machines have. TCP's own keep-alive asks after two hours by default,
//! and asks the kernel: a process that hangs is alive to it.
//!
//! ```text
//!              interval of silence                    timeout of silence
//!   Quiet ───────────────────────────▶ Asked ─────────────────────────────▶ dead
//!     ▲                                  │
//!     └───────── anything heard ─────────┘
//! ```
//!
//! All input is a sign of life, not only the acknowledgement. So a dead peer is found within interval + timeout of its
//! last byte, and a busy connection pays nothing.
//!
//! ```
//! use socket_patterns::client::{Beat, Heartbeat, HeartbeatConfig, demo};
//! use std::{io::{BufRead, BufReader, Write}, time::Duration};
//!
//! let server = demo::command_server()?;
//! let now = || socket_patterns::net::clock::now().instant;
//! let mut stream = socket_patterns::net::connect::connect(server.address(), Duration::from_secs(5))?;
//! let config = HeartbeatConfig { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) };
//! let mut heartbeat = Heartbeat::new(config, now());
//!
//! // Half an hour of silence, had anybody the time: it is worth a question.
//! assert_eq!(heartbeat.expire(now() + Duration::from_secs(1800)), Some(Beat::Ask));
//! stream.write_all(b"HEARTBEAT\n")?;
//! let mut answer = String::new();
//! BufReader::new(stream).read_line(&mut answer)?;
//! assert_eq!(answer, "HEARTBEAT_ACK\n");
//! heartbeat.heard(now());
//! assert_eq!(heartbeat.expire(now()), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{resilience::later, time::Instant};
use std::time::Duration;

/// How soon a silent peer is asked and how long it may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// Silence after which it is asked.
    pub interval: Duration,
    /// Silence after the question that means that it is gone. Longer than the longest pause that is not an outage.
    pub timeout: Duration,
}

impl Default for HeartbeatConfig {
    /// Ten seconds, and five: an outage is noticed in the time that a person needs to wonder.
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) }
    }
}

/// The heartbeat of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    config: HeartbeatConfig,
    /// When the peer was last heard.
    heard: Instant,
    /// When it was asked, if it has not been heard since.
    asked: Option<Instant>,
}

/// The step to take in a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Ask.
    Ask,
    /// Close the connection.
    Dead {
        /// How long the peer has been silent.
        silent: Duration,
    },
}

impl Heartbeat {
    /// For a connection that was just established.
    #[must_use]
    pub fn new(config: HeartbeatConfig, now: Instant) -> Self {
        Self { config, heard: now, asked: None }
    }

    /// Something arrived.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// When [`Self::expire`] has something to say, if nothing is heard before.
    #[must_use]
    pub fn next(&self) -> Instant {
        match self.asked {
            None => later(self.heard, self.config.interval),
            Some(asked) => later(asked, self.config.timeout),
        }
    }

    /// Looks at the clock. Hear first what has arrived: a program that was stopped itself finds answers waiting.
    pub fn expire(&mut self, now: Instant) -> Option<Beat> {
        if now < self.next() {
            return None;
        }
        if self.asked.is_some() {
            return Some(Beat::Dead { silent: now.saturating_duration_since(self.heard) });
        }
        // From now on, not from when it was due: it could not answer before it was asked.
        self.asked = Some(now);
        Some(Beat::Ask)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::base, *};

    const SECOND: Duration = Duration::from_secs(1);
    const NANO: Duration = Duration::from_nanos(1);
    const CONFIG: HeartbeatConfig = HeartbeatConfig { interval: Duration::from_secs(10), timeout: SECOND };

    #[test]
    fn a_silent_peer_is_found_within_interval_and_timeout() {
        let start = base();
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        let asked = start + 10 * SECOND;
        assert_eq!((heartbeat.expire(asked - NANO), heartbeat.expire(asked)), (None, Some(Beat::Ask)));
        assert_eq!(heartbeat.expire(asked), None, "once");
        assert_eq!(heartbeat.expire(asked + SECOND - NANO), None);
        assert_eq!(heartbeat.next(), asked + SECOND);
        assert_eq!(heartbeat.expire(asked + SECOND), Some(Beat::Dead { silent: 11 * SECOND }));
    }

    #[test]
    fn every_input_is_a_sign_of_life() {
        let start = base();
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        heartbeat.heard(start + 9 * SECOND);
        assert_eq!(heartbeat.expire(start + 10 * SECOND), None);
        assert_eq!(heartbeat.expire(start + 19 * SECOND), Some(Beat::Ask));
        heartbeat.heard(start + 19 * SECOND + SECOND / 2);
        assert_eq!(heartbeat.next(), start + 29 * SECOND + SECOND / 2);
    }

    #[test]
    fn a_client_that_slept_too_long_asks_before_it_judges() {
        let start = base();
        let mut heartbeat = Heartbeat::new(CONFIG, start);
        let woken = start + 3600 * SECOND;
        assert_eq!((heartbeat.expire(woken), heartbeat.expire(woken)), (Some(Beat::Ask), None));
        assert_eq!(heartbeat.next(), woken + SECOND);
    }
}
