//! Reading the clocks: where time enters the library.

use crate::time::{Instant, Now};
use std::time::SystemTime;

/// Reads both clocks. A driver does so once a turn; everything else is told.
#[must_use]
pub fn now() -> Now {
    // The lint sends all other code here.
    #[allow(clippy::disallowed_methods)]
    Now { instant: Instant::now(), wall: SystemTime::now() }
}
