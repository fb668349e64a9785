//! When to try again to connect, and when to stop trying.
//!
//! Each wait is twice as long as the one before ([`Backoff`]): a server that is being restarted is reached at once, one
//! that is gone for the night costs two packets a minute. The jitter keeps a thousand clients that lost it together from
//! coming back together.
//!
//! ```
//! use socket_patterns::client::{Reconnect, demo};
//! use std::{sync::mpsc, time::Duration};
//!
//! let server = demo::command_server()?;
//! let mut reconnect = Reconnect::default();
//! let (_keep, pause) = mpsc::channel::<()>();
//! let stream = loop {
//!     match socket_patterns::net::connect::connect(server.address(), Duration::from_secs(1)) {
//!         Ok(stream) => break stream,
//!         Err(error) => match reconnect.failed(0.5 /* a random number */) {
//!             Ok(again) => drop(pause.recv_timeout(again.after)),
//!             Err(_) => return Err(error.into()),
//!         },
//!     }
//! };
//! reconnect.proven();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::resilience::Backoff;
use std::time::Duration;

/// One series of tries to connect. Its end is a connection that has proven itself, or giving up.
#[derive(Debug, Clone, Copy)]
pub struct Reconnect {
    backoff: Backoff,
    tries: u32,
    failed: u32,
}

/// The next try of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// How long to wait before it.
    pub after: Duration,
    /// Which one it is, from 1.
    pub attempt: u32,
    /// How many there are at most.
    pub of: u32,
}

/// The series is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaveUp {
    /// How many tries it had.
    pub tries: u32,
}

/// The default of a client: 100 ms, doubled up to 30 s, a quarter more or less.
pub const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, cap: Duration::from_secs(30), jitter: 0.25 };

/// How often it tries unless it is told otherwise: for a minute, roughly.
pub const TRIES: u32 = 10;

impl Default for Reconnect {
    fn default() -> Self {
        Self::new(BACKOFF, TRIES)
    }
}

impl Reconnect {
    /// A series of at most `tries`.
    #[must_use]
    pub fn new(backoff: Backoff, tries: u32) -> Self {
        Self { backoff, tries, failed: 0 }
    }

    /// A connection was lost, or a try failed. `unit` is random, from 0 to 1.
    ///
    /// # Errors
    ///
    /// That was the last try. The next call begins a new series.
    pub fn failed(&mut self, unit: f64) -> Result<Again, GaveUp> {
        if self.failed >= self.tries {
            self.failed = 0;
            return Err(GaveUp { tries: self.tries });
        }
        let after = self.backoff.delay(self.failed, unit);
        self.failed += 1;
        Ok(Again { after, attempt: self.failed, of: self.tries })
    }

    /// The peer has answered something: the next loss begins a new series. Not when the connection is established: a server
    /// that accepts and closes at once would be asked ten times a second for ever.
    pub fn proven(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_jitter_and_end() {
        for (unit, share) in [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)] {
            let mut reconnect = Reconnect::default();
            for _ in 0..2 {
                for (n, wait) in [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000].into_iter().enumerate()
                {
                    let after = Duration::from_millis(wait).mul_f64(share);
                    let again = Again { after, attempt: n as u32 + 1, of: 10 };
                    assert_eq!(reconnect.failed(unit), Ok(again));
                }
                assert_eq!(reconnect.failed(unit), Err(GaveUp { tries: 10 }));
            }
        }
    }

    #[test]
    fn only_an_answer_begins_a_new_series() {
        let mut reconnect = Reconnect::new(BACKOFF, 2);
        let first = reconnect.failed(0.5);
        reconnect.proven();
        assert_eq!(reconnect.failed(0.5), first);
        assert_eq!(reconnect.failed(0.5).map(|again| again.attempt), Ok(2));
        assert!(reconnect.failed(0.5).is_err());
        assert_eq!(Reconnect::new(BACKOFF, 0).failed(0.5), Err(GaveUp { tries: 0 }));
    }
}
