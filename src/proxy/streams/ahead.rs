//! How much may the driver have of one connection that has not left?
//!
//! With the driver, bytes are in their order: an acknowledgement, or a window for an upload, is behind them, and a stream that is more
//! urgent cannot go first. So a client that takes little gets little ahead. A client that takes much gets more, since large writes cost
//! less per byte.
//!
//! ```text
//!   LEAST ── a sixteenth of what left at once ──▶ MOST
//!     ▲                                            │
//!     ╰──── a quarter less for each refusal ───────╯
//! ```

/// One frame of the usual size.
pub(super) const LEAST: usize = 16 * 1024;

/// More does not make writes noticeably cheaper.
pub(super) const MOST: usize = 64 * 1024;

/// One byte more may wait for as many that left at once. What our kernel takes for a client that reads nothing, some 200 KiB, earns
/// no more than another frame.
const SHARE: usize = 16;

/// The trust in one client.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Bytes that left at once, less what refusals cost.
    taken: usize,
}

impl Ahead {
    /// As many bytes may wait.
    pub(super) fn most(&self) -> usize {
        LEAST + self.taken / SHARE
    }

    /// So many bytes left at once.
    pub(super) fn took(&mut self, bytes: usize) {
        self.taken = (self.taken + bytes).min((MOST - LEAST) * SHARE);
    }

    /// Some of what was given last did not leave.
    pub(super) fn refused(&mut self) {
        self.taken -= self.taken / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_takes_what_the_kernel_takes_for_it_gets_little_ahead() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.most(), LEAST);
        ahead.took(200 * 1024);
        assert!(ahead.most() < 2 * LEAST);
    }

    #[test]
    fn a_client_that_takes_much_gets_more_and_no_more_than_the_most() {
        let mut ahead = Ahead::default();
        let whole = (MOST - LEAST) * SHARE;
        ahead.took(whole - 1);
        assert_eq!(ahead.most(), MOST - 1);
        ahead.took(1);
        assert_eq!(ahead.most(), MOST);
        ahead.took(usize::MAX / 2);
        assert_eq!(ahead.most(), MOST);
    }

    /// The network is slower than we are, and the kernel asks for 64 KiB whenever it has room.
    #[test]
    fn a_client_that_refuses_now_and_then_keeps_the_middle() {
        let mut ahead = Ahead::default();
        for _ in 0..100 {
            ahead.took(64 * 1024);
            ahead.refused();
        }
        assert!((LEAST * 3 / 2..LEAST * 5 / 2).contains(&ahead.most()), "{}", ahead.most());
        for _ in 0..50 {
            ahead.refused();
        }
        assert_eq!(ahead.most(), LEAST);
    }
}
