//! The outcomes of reloads, for statistics: how many, how the last one ended, and since when the configuration counts.

use serde_json::{Value, json};
use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The outcomes so far. One for all configurations of a process.
#[derive(Debug)]
pub(super) struct Outcomes(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    done: u64,
    failed: u64,
    last_failed: bool,
    /// The start of the process, or the last reload that was done.
    loaded: SystemTime,
}

impl Outcomes {
    /// The first configuration has just been read.
    pub(super) fn new(now: SystemTime) -> Self {
        Self(Mutex::new(Counts { done: 0, failed: 0, last_failed: false, loaded: now }))
    }

    /// A reload has ended.
    pub(super) fn count(&self, done: bool, now: SystemTime) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.last_failed = !done;
        if done {
            counts.done += 1;
            counts.loaded = now;
        } else {
            counts.failed += 1;
        }
    }

    /// For `/stats`.
    pub(super) fn stats(&self) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "reloads": {"done": counts.done, "failed": counts.failed},
            "last_reload_successful": !counts.last_failed,
            "loaded_timestamp_seconds": counts.loaded.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_reload_that_failed_leaves_the_configuration_as_old_as_it_was() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let outcomes = Outcomes::new(at(100));
        let expect = |done: u64, failed: u64, successful: bool, loaded: u64| {
            json!({
                "reloads": {"done": done, "failed": failed},
                "last_reload_successful": successful,
                "loaded_timestamp_seconds": loaded,
            })
        };
        assert_eq!(outcomes.stats(), expect(0, 0, true, 100));
        outcomes.count(false, at(200));
        assert_eq!(outcomes.stats(), expect(0, 1, false, 100));
        outcomes.count(true, at(300));
        assert_eq!(outcomes.stats(), expect(1, 1, true, 300));
    }
}
