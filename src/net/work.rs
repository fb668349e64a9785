//! Carrying out what sessions want computed: the processor's time, really spent.
//!
//! Sleeping would not do. A thread that sleeps leaves its processor to others, and a server that only seems busy shows none
//! of what busy servers do to their clients.

use crate::session::{Work, Worked};
use nix::time::{ClockId, clock_gettime};
use std::{hint::black_box, time::Duration};

/// Rounds between two looks at the clock: some microseconds.
const ROUNDS: u64 = 4096;

/// Computes on this thread for as long as `work` says.
///
/// The clock is the thread's own: it stands still while other threads have the processor. Where the system has none the
/// work is refused.
#[must_use]
pub fn carry_out(work: Work) -> Worked {
    let Some(start) = thread_time() else { return Worked::Refused };
    let mut state = 1_u64;
    while thread_time().is_some_and(|now| now.saturating_sub(start) < work.time) {
        for _ in 0..ROUNDS {
            // A step of xorshift. Each needs the one before, so there is nothing to do at once or to leave out.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        state = black_box(state);
    }
    Worked::Done
}

/// Processor time that this thread has had so far.
fn thread_time() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_processor_for_so_long() {
        for time in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(30)] {
            let before = thread_time().unwrap();
            assert_eq!(carry_out(Work { time }), Worked::Done);
            assert!(thread_time().unwrap() - before >= time);
        }
    }
}
