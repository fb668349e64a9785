//! Flow control (RFC 9113 §5.2, §6.9): how much content may be on its way to one side.
//!
//! ```text
//!   the peer may send ──▶ received, and held by the application ──▶ taken ──▶ announced: the peer may send again
//!        credit                        held                         owed
//! ```
//!
//! A window is given back when the application has got rid of the bytes, never before. So no more than one window is held, and
//! a backend that takes nothing stops the client of its stream.

use super::{cause::Cause, frame::MAX_31, limits::TINY};

/// The bytes that the peer lets us send. May be below zero: the peer can make windows smaller that are in use (§6.9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendWindow(i64);

impl SendWindow {
    pub(super) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// How many bytes may go.
    pub(super) fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    pub(super) fn send(&mut self, length: usize) {
        debug_assert!(length <= self.room(), "{length} bytes in {self:?}");
        self.0 -= length as i64;
    }

    /// The window grows, or shrinks with a setting.
    pub(super) fn change(&mut self, by: i64) -> Result<(), Cause> {
        let size = self.0 + by;
        if size > i64::from(MAX_31) {
            return Err(Cause::WindowOverflow);
        }
        self.0 = size;
        Ok(())
    }
}

/// The bytes that we let the peer send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReceiveWindow {
    /// All that may be here or on its way.
    size: u32,
    credit: u32,
    held: u32,
    owed: u32,
    /// Of the credit, what was announced, and of which the peer has used nothing: perhaps it has not heard of it.
    unproved: u32,
    /// The last announcement.
    last: u32,
}

impl ReceiveWindow {
    /// A window of which the peer knows.
    pub(super) fn new(size: u32) -> Self {
        Self { size, credit: size, held: 0, owed: 0, unproved: 0, last: 0 }
    }

    /// The window is larger from here on. The increment has to be announced.
    pub(super) fn enlarge(&mut self, size: u32) -> u32 {
        let by = size.saturating_sub(self.size);
        self.size += by;
        self.credit += by;
        by
    }

    /// Content that came, with its padding.
    pub(super) fn receive(&mut self, length: u32) -> Result<(), Cause> {
        let known = self.credit - self.unproved;
        self.credit = self.credit.checked_sub(length).ok_or(Cause::WindowExceeded)?;
        self.held += length;
        if length > known {
            // The peer has heard of one announcement at least, and perhaps not of the last of several.
            self.unproved = if self.unproved > self.last && self.credit >= self.last { self.last } else { 0 };
        }
        Ok(())
    }

    /// Whether the peer may have used all of the window that it knows of, so that it has to wait for what was announced since.
    pub(super) fn may_be_awaited(&self) -> bool {
        self.credit - self.unproved < TINY
    }

    /// Bytes that came and were not taken.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    /// Bytes that came and will not be given back: the peer has said enough.
    pub(super) fn discard(&mut self, length: u32) {
        self.held = self.held.saturating_sub(length);
    }

    /// The application has got rid of some bytes. Tells by how much the peer's window grows if that is to be announced now: half a window at
    /// a time, so that a frame of 13 bytes is worth it (RFC 9113 §6.9.1).
    pub(super) fn take(&mut self, length: u32) -> Option<u32> {
        let length = length.min(self.held);
        self.held -= length;
        self.owed += length;
        if self.owed < self.size.div_ceil(2) {
            return None;
        }
        let increment = std::mem::take(&mut self.owed);
        self.credit += increment;
        self.unproved += increment;
        self.last = increment;
        (increment > 0).then_some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_window_at_its_edges() {
        let mut window = SendWindow::new(10);
        window.send(10);
        assert_eq!(window.room(), 0);
        window.change(-15).unwrap();
        assert_eq!(window.room(), 0);
        window.change(15).unwrap();
        assert_eq!(window.room(), 0, "below zero it has to grow before anything goes");
        window.change(1).unwrap();
        assert_eq!(window.room(), 1);
        let most = i64::from(MAX_31);
        assert_eq!(window.change(most), Err(Cause::WindowOverflow));
        assert_eq!((window.change(most - 1), window.room()), (Ok(()), most as usize));
        assert_eq!(window.change(1), Err(Cause::WindowOverflow));
    }

    #[test]
    fn a_peer_may_fill_the_window_and_no_more() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(
            (window.receive(0), window.receive(10), window.receive(1)),
            (Ok(()), Ok(()), Err(Cause::WindowExceeded))
        );
        assert_eq!(window.held(), 10);
    }

    #[test]
    fn it_is_given_back_by_halves_of_what_was_taken() {
        let mut window = ReceiveWindow::new(10);
        window.receive(9).unwrap();
        assert_eq!((window.take(4), window.receive(2)), (None, Err(Cause::WindowExceeded)));
        assert_eq!((window.take(1), window.held()), (Some(5), 4));
        window.receive(6).unwrap();
        assert_eq!(window.receive(1), Err(Cause::WindowExceeded));
        // No more is given back than there is.
        assert_eq!((window.take(100), window.take(100), window.held()), (Some(10), None, 0));
    }

    /// A window of 1,000 bytes, so that what is left of it is not tiny.
    #[test]
    fn a_peer_that_has_used_what_it_knows_of_waits_for_the_announcement() {
        let mut window = ReceiveWindow::new(1000);
        assert!(!window.may_be_awaited(), "nothing was used");
        window.receive(1000 - TINY).unwrap();
        assert!(!window.may_be_awaited(), "a frame that is worth its head fits");
        window.receive(1).unwrap();
        assert!(window.may_be_awaited(), "the rest is not worth a frame");
        window.receive(TINY - 1).unwrap();
        assert!(window.may_be_awaited());
        assert_eq!(window.take(600), Some(600));
        assert!(window.may_be_awaited(), "it may not have heard of it");
        window.receive(1).unwrap();
        assert!(!window.may_be_awaited(), "it has used some of it");
        // Two announcements, and then the first is used up.
        window.receive(599).unwrap();
        assert_eq!((window.take(500), window.take(500)), (Some(500), Some(500)));
        window.receive(100).unwrap();
        assert!(!window.may_be_awaited(), "some of the first is left");
        window.receive(400).unwrap();
        assert!(window.may_be_awaited(), "it may not have heard of the second");
        window.receive(1).unwrap();
        assert!(!window.may_be_awaited());
    }

    #[test]
    fn a_window_can_be_enlarged() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!((window.enlarge(15), window.enlarge(15), window.enlarge(5)), (5, 0, 0));
        assert_eq!((window.receive(15), window.receive(1)), (Ok(()), Err(Cause::WindowExceeded)));
    }
}
