//! Reading the clocks: where time enters the library.

use crate::time::{Instant, Now};
use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

/// Reads both clocks. A driver does so once a turn; everything else is told.
#[must_use]
pub fn now() -> Now {
    // The lint sends all other code here.
    #[allow(clippy::disallowed_methods)]
    Now { instant: Instant::now(), wall: SystemTime::now() }
}

impl Instant {
    /// Reads the clock.
    #[must_use]
    #[allow(clippy::disallowed_methods)] // As above.
    pub fn now() -> Self {
        static FIRST: OnceLock<std::time::Instant> = OnceLock::new();
        let now = std::time::Instant::now();
        Self::FIRST + now.saturating_duration_since(*FIRST.get_or_init(|| now))
    }

    /// The time from this until now.
    #[must_use]
    #[allow(clippy::disallowed_methods)] // The caller asked for the clock.
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on() {
        let (now, day) = (now().instant, Duration::from_secs(86_400));
        assert!(Instant::FIRST <= now && now.elapsed() < day && now <= super::now().instant);
    }
}
