//! When is content that does not come held against a client that has to wait for its window?
//!
//! A client of HTTP/2 sends no more than its window allows, and what makes that larger goes to it behind all that was sent to it
//! before. A client that reads slowly hears of it late, and that is no fault of its upload: so the time of the next part begins when
//! the announcement has arrived.
//!
//! ```text
//!   the time is over ──▶ look ┬ all that was sent has arrived: it has its time once more, and no other look follows
//!                             ├ some is on its way: it has its time, and then another look
//!                             ╰ nothing has arrived since the last look: late
//! ```
//!
//! A client that reads nothing at all is late by its first or its second look, whichever finds something on its way. For as long as
//! the content comes slowly in this way, its pace decides who gets the connection to the backend (`Deadline::Pace`).

use crate::app::Progress;

/// The announcement of a window, on its way to the client of an exchange.
#[derive(Debug, Default)]
pub(super) enum Granted {
    /// There was no reason to ask for it since content came.
    #[default]
    Unasked,
    /// The driver is being asked how far the client is; with the last answer, if there was one.
    Asking(Option<Sent>),
    /// It had not arrived.
    OnItsWay(Sent),
    /// The client has it.
    Arrived,
}

/// The bytes of a connection at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    /// All that were sent before the first look: the announcement is among them.
    all: u64,
    /// Those that have arrived.
    arrived: u64,
}

/// The consequence of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The client has its time once more.
    Waits,
    /// It has had its time.
    Late,
}

impl Granted {
    /// The time is over, and the client may have to wait for its window. Whether to ask how far it is.
    pub(super) fn ask(&mut self) -> bool {
        let before = match self {
            Self::Unasked => None,
            Self::Asking(before) => *before,
            Self::OnItsWay(sent) => Some(*sent),
            Self::Arrived => return false,
        };
        *self = Self::Asking(before);
        true
    }

    /// The client is that far. `unwritten`: something for it has not gone to the driver. `None`: that was not asked for.
    pub(super) fn progressed(&mut self, progress: Progress, unwritten: bool) -> Option<Verdict> {
        let Self::Asking(before) = *self else { return None };
        let arrived = progress.acknowledged;
        let all = match before {
            Some(before) if arrived <= before.arrived && before.all > before.arrived => return Some(Verdict::Late),
            Some(before) => before.all,
            // It may be part of what is not counted. Whether the client takes what is, the connection itself looks at.
            None if unwritten => {
                *self = Self::Unasked;
                return Some(Verdict::Waits);
            }
            None => arrived + progress.outstanding,
        };
        *self = if arrived >= all { Self::Arrived } else { Self::OnItsWay(Sent { all, arrived }) };
        Some(Verdict::Waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(granted: &mut Granted, acknowledged: u64, outstanding: u64) -> Option<Verdict> {
        assert!(granted.ask());
        granted.progressed(Progress { acknowledged, outstanding }, false)
    }

    #[test]
    fn a_client_that_has_everything_has_its_time_once_more() {
        let mut granted = Granted::default();
        assert_eq!(look(&mut granted, 100, 0), Some(Verdict::Waits));
        assert!(!granted.ask(), "and no other");
    }

    /// Other streams go on meanwhile: that does not count.
    #[test]
    fn a_client_that_reads_waits_until_that_has_arrived_which_was_sent_before() {
        let mut granted = Granted::default();
        for (acknowledged, outstanding) in [(10, 90), (11, 5_000), (99, 90_000), (100, 90_000)] {
            assert_eq!(look(&mut granted, acknowledged, outstanding), Some(Verdict::Waits), "{acknowledged}");
        }
        assert!(!granted.ask());
    }

    #[test]
    fn a_client_that_takes_nothing_is_late() {
        let mut granted = Granted::default();
        assert_eq!(look(&mut granted, 10, 90), Some(Verdict::Waits));
        assert_eq!(look(&mut granted, 10, 95), Some(Verdict::Late));
    }

    #[test]
    fn bytes_that_the_driver_does_not_have_are_waited_for() {
        let mut granted = Granted::default();
        for _ in 0..3 {
            assert!(granted.ask());
            let progress = Progress { acknowledged: 10, outstanding: 90 };
            assert_eq!(granted.progressed(progress, true), Some(Verdict::Waits));
        }
        assert_eq!(look(&mut granted, 10, 90), Some(Verdict::Waits));
    }

    #[test]
    fn an_answer_that_was_asked_for_by_another_part_means_nothing() {
        assert_eq!(Granted::default().progressed(Progress::default(), false), None);
    }
}
