//! Trying again, and when not to. Six small decisions that the proxy and the client share, each a file:
//!
//! | question | answer |
//! |---|---|
//! | how long to wait before the next try? | [`Backoff`] |
//! | is it worth asking this server at all? | [`Breaker`] |
//! | is somebody asking too often? | [`TokenBucket`] |
//! | would one more retry make an outage worse? | [`RetryBudget`] |
//! | how much time has this try, of the time that all tries have? | [`DeadlineBudget`] |
//! | which of a server's addresses is tried, and for how long? | [`Dial`] |
//!
//! All are pure: the time and the dice come in. The reasons are those of Nygard, *Release It!*, and of the chapters on
//! overload in Google's *Site Reliability Engineering*: what fails under load must not be asked more, but less.

mod backoff;
mod breaker;
mod bucket;
mod deadline;
mod dial;
mod retry_budget;

pub use backoff::Backoff;
pub use breaker::{Admit, Breaker, BreakerConfig, BreakerState};
pub use bucket::TokenBucket;
pub use deadline::DeadlineBudget;
pub use dial::{ATTEMPT_DELAY, Dial, is_our_shortage};
pub use retry_budget::RetryBudget;

use crate::time::Instant;
use std::time::Duration;

/// `now` and `by` later; a century, where the sum is beyond the range of the clock. A time that means "never" must not
/// panic.
pub(crate) fn later(now: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(by).unwrap_or_else(|| now + CENTURY)
}

#[cfg(test)]
fn base() -> Instant {
    // Any instant will do: the tests count from it and never read the clock again.
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}
