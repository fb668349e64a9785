//! The readers of one response while it arrives: how far each is, and which of them the others wait for.
//!
//! ```text
//!              what is kept of a response that is not stored: at most the window, and what one read adds
//!   pieces   [ ███ | ███ | ███ | ███ | ███ ]
//!               ▲                         ▲
//!               slow: more than half      has everything, and so has its
//!               a window behind           client: it waits
//! ```
//!
//! The window is full because of the slow ones, and then nothing more is fetched. As long as all are slow that is
//! right: a fetch need not be faster than the fastest of its readers. While one of them has everything and waits, the
//! others cost it time. That time is added up, and time in which none had to wait is taken off again. So readers of
//! about the same speed cost each other nothing in the long run, and one that makes the fetch less than half as fast
//! costs more and more. When it is more than the others have patience for, those that are behind at that moment are
//! left there: they get no more, and are told so.

use super::mail::Ticket;
use crate::time::Instant;
use std::time::Duration;

/// The bytes that may lie between the leader and the slowest reader of a response that is not stored. Several times
/// what a client is given at once, so that a reader that is no slower than the others is seldom behind.
pub const WINDOW: usize = 1024 * 1024;

/// A reader that is behind by more than this keeps the leader waiting: when all are within it, the leader goes on.
pub(super) const BEHIND: u64 = WINDOW as u64 / 2;

/// The time between two looks at readers that are behind, at least: however little patience is asked for.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// One reader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The number of the next piece for it.
    pub(super) piece: usize,
    /// How many bytes are before that.
    bytes: u64,
    /// Where it is told.
    ticket: Option<Ticket>,
    /// It gets no more.
    left_behind: bool,
}

/// All readers of one response.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// `None`: one that has gone.
    places: Vec<Option<Place>>,
    /// For how long readers that had everything have waited, less the time in which none did.
    held_up: Duration,
    /// Until when that is added up. `None`: from the next time on.
    until: Option<Instant>,
}

impl Readers {
    /// Adds a reader that begins with this piece, before which there are `bytes` bytes. Returns its number.
    pub(super) fn add(&mut self, piece: usize, bytes: u64) -> usize {
        let place = Place { piece, bytes, ticket: None, left_behind: false };
        let free = self.places.iter().position(Option::is_none);
        let id = free.unwrap_or(self.places.len());
        if free.is_none() {
            self.places.push(None);
        }
        self.places[id] = Some(place);
        id
    }

    pub(super) fn remove(&mut self, id: usize) {
        self.places[id] = None;
    }

    /// Where a reader is. `None`: it gets no more.
    pub(super) fn place(&self, id: usize) -> Option<Place> {
        self.places[id].filter(|place| !place.left_behind)
    }

    /// It has got so many pieces of so many bytes.
    pub(super) fn advance(&mut self, id: usize, pieces: usize, bytes: usize, ticket: Ticket) {
        if let Some(place) = &mut self.places[id] {
            place.piece += pieces;
            place.bytes += bytes as u64;
            place.ticket = Some(ticket);
        }
    }

    /// Whether there is no reader.
    pub(super) fn is_empty(&self) -> bool {
        self.reading().next().is_none()
    }

    /// The first piece that a reader still has to get.
    pub(super) fn slowest(&self) -> Option<usize> {
        self.reading().map(|place| place.piece).min()
    }

    /// Adds up the time until now, in which a reader that had everything `waited`, or none did.
    pub(super) fn pass(&mut self, now: Instant, waited: bool) {
        if let Some(until) = self.until {
            let time = now.saturating_duration_since(until);
            self.held_up = if waited { self.held_up + time } else { self.held_up.saturating_sub(time) };
        }
        self.until = Some(now);
    }

    /// If others have waited longer than they have `patience`, leaves the readers behind that they wait for; `came`:
    /// the bytes that have come. Where to tell them, and when to look again.
    pub(super) fn let_go(&mut self, patience: Duration, came: u64, now: Instant) -> (Vec<Ticket>, Instant) {
        let left = patience.saturating_sub(self.held_up);
        if !left.is_zero() {
            return (Vec::new(), now + left.max(LOOK));
        }
        let mut told = Vec::new();
        for place in self.places.iter_mut().flatten().filter(|place| place.is_behind(came)) {
            place.left_behind = true;
            told.extend(place.ticket);
        }
        self.held_up = Duration::ZERO;
        (told, now + patience.max(LOOK))
    }

    fn reading(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().flatten().filter(|place| !place.left_behind)
    }
}

impl Place {
    fn is_behind(&self, came: u64) -> bool {
        !self.left_behind && came - self.bytes > BEHIND
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{later, now},
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(5);

    fn ticket(who: u32) -> Ticket {
        Ticket { worker: 0, who }
    }

    /// One at the limit, one past it, and one that has everything; and how many bytes have come.
    fn three() -> (Readers, [usize; 3], u64) {
        let (mut readers, came) = (Readers::default(), 2 * WINDOW as u64);
        let ids = [(0, came - BEHIND), (1, came - BEHIND - 1), (2, came)].map(|(who, bytes)| {
            let id = readers.add(0, 0);
            readers.advance(id, 1, usize::try_from(bytes).unwrap(), ticket(who));
            id
        });
        (readers, ids, came)
    }

    #[test]
    fn a_reader_that_is_behind_by_more_than_half_a_window_is_let_go() {
        let (mut readers, ids, came) = three();
        readers.pass(now().instant, true);
        readers.pass(later(4).instant, true);
        let (four, five) = (later(4).instant, later(5).instant);
        assert_eq!(readers.let_go(PATIENCE, came, four), (vec![], five), "a second is left");
        readers.pass(five, true);
        assert_eq!(readers.let_go(PATIENCE, came, five), (vec![ticket(1)], five + PATIENCE));
        assert_eq!(ids.map(|id| readers.place(id).is_some()), [true, false, true]);
        readers.pass(later(10).instant, true);
        assert_eq!(readers.let_go(PATIENCE, came, later(10).instant).0, [], "told once");
    }

    /// The others go on at more than half the speed: that is no reason to break anything off.
    #[test]
    fn time_in_which_nobody_waits_makes_up_for_time_in_which_somebody_did() {
        for (waits, flows, goes) in [(2, 3, false), (2, 2, false), (3, 2, true)] {
            let (mut readers, _, came) = three();
            let (mut at, mut gone) = (0, false);
            readers.pass(now().instant, true);
            while at < 100 && !gone {
                readers.pass(later(at + waits).instant, true);
                gone = !readers.let_go(PATIENCE, came, later(at + waits).instant).0.is_empty();
                at += waits + flows;
                readers.pass(later(at).instant, false);
            }
            assert_eq!(gone, goes, "{waits} s of waiting, {flows} s without, until {at} s");
        }
    }

    #[test]
    fn the_slowest_is_one_of_those_that_still_read() {
        let mut readers = Readers::default();
        assert_eq!((readers.slowest(), readers.is_empty()), (None, true));
        let (slow, fast) = (readers.add(0, 0), readers.add(3, WINDOW as u64));
        assert_eq!(readers.slowest(), Some(0));
        let _ = readers.let_go(Duration::ZERO, WINDOW as u64, now().instant);
        assert_eq!((readers.slowest(), readers.is_empty()), (Some(3), false));
        readers.remove(fast);
        assert_eq!(
            (readers.slowest(), readers.is_empty()),
            (None, true),
            "a reader that was left behind reads no more"
        );
        readers.remove(slow);
        assert_eq!(readers.add(7, 0), slow, "its place is free");
    }

    #[test]
    fn no_patience_is_no_reason_to_look_all_the_time() {
        let (mut readers, _, came) = three();
        let at = now().instant;
        assert_eq!(readers.let_go(Duration::ZERO, came, at), (vec![ticket(1)], at + LOOK));
        assert_eq!(readers.let_go(SECOND, came, at), (vec![], at + SECOND));
    }
}
