//! Which stream sends next: the most urgent first, and those of one urgency in turn (RFC 9218 §10).
//!
//! ```text
//!   urgency 0   ▢
//!   urgency 3   ▢ ▢ ▢ ──╮     one frame each, then to the end of the line:
//!               ╰───────╯     a large response does not hold up a small one
//!   urgency 7   ▢ ▢
//! ```

use crate::http2::priority::{LEAST, Priority};
use std::collections::VecDeque;

/// Frames in one turn of a response that its client can only use as a whole, as it said itself: the sooner it is complete the
/// better.
const WHOLE: usize = 4;

/// Slots of streams that have something to send, a line for each urgency.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: [VecDeque<u32>; LEAST as usize + 1],
}

impl Turns {
    pub(super) fn push(&mut self, slot: usize, priority: Priority) {
        self.lines[usize::from(priority.urgency)].push_back(slot as u32);
    }

    /// The stream whose turn it is leaves its line.
    pub(super) fn pop(&mut self) -> Option<usize> {
        self.lines.iter_mut().find_map(VecDeque::pop_front).map(|slot| slot as usize)
    }

    /// Its turn was no turn: it comes first again.
    pub(super) fn put_back(&mut self, slot: usize, priority: Priority) {
        self.lines[usize::from(priority.urgency)].push_front(slot as u32);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().all(VecDeque::is_empty)
    }

    pub(super) fn remove(&mut self, slot: usize) {
        self.lines.iter_mut().for_each(|line| line.retain(|other| *other as usize != slot));
    }
}

/// Frames that a stream may send in one turn.
pub(super) fn frames(priority: Priority) -> usize {
    match priority.incremental {
        Some(false) => WHOLE,
        Some(true) | None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urgency(urgency: u8) -> Priority {
        Priority { urgency, incremental: None }
    }

    #[test]
    fn the_most_urgent_first_and_the_others_in_turn() {
        let mut turns = Turns::default();
        for (slot, of) in [(1, 7), (2, 3), (3, 3), (4, 0), (5, 3)] {
            turns.push(slot, urgency(of));
        }
        turns.remove(3);
        assert_eq!(turns.pop(), Some(4));
        assert_eq!(turns.pop(), Some(2));
        turns.push(2, urgency(3));
        assert_eq!(turns.pop(), Some(5));
        turns.put_back(5, urgency(3));
        assert_eq!([turns.pop(), turns.pop(), turns.pop(), turns.pop()], [Some(5), Some(2), Some(1), None]);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_response_that_is_useful_only_as_a_whole_has_longer_turns() {
        let priority = |incremental| Priority { urgency: 3, incremental };
        assert_eq!([None, Some(true), Some(false)].map(|said| frames(priority(said))), [1, 1, 4]);
    }
}
