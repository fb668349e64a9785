//! When is a window that stays shut held against the client?
//!
//! A client opens its windows when it has read, and it cannot read what has not arrived. So its time begins when all is with it that had
//! been sent when the window was found shut; frames that are sent later, for other streams, do not count.
//!
//! ```text
//!   shut ──limit/8──▶ look: some is on its way ──limit──▶ look ┬ more has arrived: another limit
//!                       ╰ all has arrived                      ├ all that had been sent ──┐
//!                              ╰──────────────────────────────────────────────────────────┴──limit──▶ end
//!                                                              ╰ nothing more has arrived ──────────▶ end
//! ```
//!
//! Most windows are opened before the first look, which is a system call. Those that are shut while others are looked at wait for the
//! next round.

use crate::{app::Progress, time::Instant};
use std::time::Duration;

/// The first look is after this part of the limit.
const FIRST_LOOK: u32 = 8;

/// The windows of one client.
#[derive(Debug)]
pub(super) struct Shut {
    limit: Duration,
    stage: Stage,
}

/// How far the look at windows that are shut has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No look was needed.
    Open,
    /// At `asked` so much was sent, of which so much had arrived.
    OnItsWay { asked: Instant, sent: u64, arrived: u64, look: Instant },
    /// All that was sent at `asked` has arrived.
    Arrived { asked: Instant, end: Instant },
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// To ask how far the client is.
    Ask,
    /// To end what is shut since then at the latest.
    End(Instant),
}

impl Shut {
    /// The client has so long to open a window.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, stage: Stage::Open }
    }

    /// When there is a step to take, if a window may be shut since `since`.
    pub(super) fn due(&mut self, since: Option<Instant>) -> Option<Instant> {
        let since = since?;
        match self.stage {
            Stage::OnItsWay { asked, look, .. } if since <= asked => Some(look),
            Stage::Arrived { asked, end } if since <= asked => Some(end),
            _ => {
                self.stage = Stage::Open;
                Some(since + self.limit / FIRST_LOOK)
            }
        }
    }

    /// The step that is due.
    pub(super) fn step(&mut self) -> Step {
        match self.stage {
            Stage::Arrived { asked, .. } => self.end(asked),
            Stage::Open | Stage::OnItsWay { .. } => Step::Ask,
        }
    }

    /// The client is that far.
    pub(super) fn progressed(&mut self, progress: Progress, now: Instant) -> Option<Step> {
        let (asked, sent, before) = match self.stage {
            Stage::Open => (now, progress.acknowledged + progress.outstanding, None),
            Stage::OnItsWay { asked, sent, arrived, look } if look <= now => (asked, sent, Some(arrived)),
            Stage::OnItsWay { .. } | Stage::Arrived { .. } => return None,
        };
        let arrived = progress.acknowledged;
        self.stage = match before {
            _ if arrived >= sent => Stage::Arrived { asked, end: now + self.limit },
            Some(before) if arrived <= before => return Some(self.end(asked)),
            _ => Stage::OnItsWay { asked, sent, arrived, look: now + self.limit },
        };
        None
    }

    fn end(&mut self, asked: Instant) -> Step {
        self.stage = Stage::Open;
        Step::End(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(8);

    fn start() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn arrived(acknowledged: u64, outstanding: u64) -> Progress {
        Progress { acknowledged, outstanding }
    }

    #[test]
    fn the_time_of_a_client_that_has_everything_begins_at_the_first_look() {
        let (start, mut shut) = (start(), Shut::new(LIMIT));
        assert_eq!(shut.due(None), None);
        let look = shut.due(Some(start)).unwrap();
        assert_eq!((look, shut.step()), (start + SECOND, Step::Ask));
        assert_eq!(shut.progressed(arrived(100, 0), look), None);
        let end = shut.due(Some(start)).unwrap();
        assert_eq!((end, shut.step()), (look + LIMIT, Step::End(look)));
        assert_eq!(shut.due(Some(end)), Some(end + SECOND), "another one was shut meanwhile");
    }

    /// The window of a stream is shut, and other streams go on.
    #[test]
    fn the_time_begins_when_that_has_arrived_which_was_sent_before() {
        let (start, mut shut) = (start(), Shut::new(LIMIT));
        let mut now = shut.due(Some(start)).unwrap();
        for (acknowledged, outstanding) in [(10, 90), (11, 500), (99, 90_000)] {
            assert_eq!(shut.step(), Step::Ask);
            assert_eq!(shut.progressed(arrived(acknowledged, outstanding), now), None);
            assert_eq!(shut.due(Some(start)), Some(now + LIMIT), "{acknowledged}");
            now += LIMIT;
        }
        assert_eq!(shut.progressed(arrived(100, 90_000), now), None, "this is all that was sent");
        assert_eq!(shut.due(Some(start)), Some(now + LIMIT));
        assert_eq!(shut.step(), Step::End(start + SECOND));
    }

    #[test]
    fn a_client_to_which_nothing_more_has_come_is_late() {
        let (start, mut shut) = (start(), Shut::new(LIMIT));
        let look = shut.due(Some(start)).unwrap();
        assert_eq!(shut.progressed(arrived(10, 90), look), None);
        assert_eq!(shut.progressed(arrived(10, 90), look + SECOND), None, "somebody else has asked");
        assert_eq!(shut.progressed(arrived(10, 95), look + LIMIT), Some(Step::End(look)));
    }

    #[test]
    fn a_window_that_was_opened_and_is_shut_again_has_its_own_time() {
        let (start, mut shut) = (start(), Shut::new(LIMIT));
        let look = shut.due(Some(start)).unwrap();
        assert_eq!(shut.progressed(arrived(10, 0), look), None);
        let again = look + SECOND;
        assert_eq!(shut.due(Some(again)), Some(again + SECOND));
        assert_eq!(shut.step(), Step::Ask);
    }
}
