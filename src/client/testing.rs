//! Helpers of the client's tests.

use crate::time::Instant;

/// The time at which every test starts.
// Any instant will do: the tests only add to it.
#[allow(clippy::disallowed_methods)]
pub(super) fn base() -> Instant {
    Instant::now()
}
