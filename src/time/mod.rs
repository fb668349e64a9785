//! Time as an argument: one reading of both clocks per turn, deadlines in a wheel.

mod instant;
pub mod wheel;

pub use instant::Instant;

use std::time::{Duration, SystemTime};

/// One reading of the clocks, taken by the driver once a turn and passed down.
///
/// `instant` orders events and never jumps; `wall` is what a `Date` field or a log line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time: deadlines, durations.
    pub instant: Instant,
    /// Calendar time (UTC): `Date`, logs. Never used for deadlines.
    pub wall: SystemTime,
}

impl Now {
    /// Both clocks `by` later. A simulated world uses this to let time pass.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self { instant: self.instant + by, wall: self.wall + by }
    }
}
