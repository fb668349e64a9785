//! One direction of a fake connection, between two kernels.
//!
//! ```text
//!   sender ──write──▶ [ in flight │ arrived ] ──take──▶ receiver
//!                      └──── at most `capacity` ────┘
//! ```
//! Bytes arrive in order and in pieces; the end arrives after the last byte. A receiver that does not take fills the
//! pipe, and then the sender cannot write: that is backpressure.

use std::collections::VecDeque;

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    capacity: usize,
    /// The most of that which the receiver's kernel holds. The rest stays in the sender's.
    window: usize,
    bytes: VecDeque<u8>,
    arrived: usize,
    end: End,
    /// All that was ever written, and all that was ever taken.
    written: usize,
    taken: usize,
    /// A reset has overtaken what was sent; what is sent from now on is lost.
    broken: bool,
    /// An event that moves bytes forward is already scheduled.
    pub moving: bool,
}

/// How far the end of the stream (a FIN) has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    None,
    Sent,
    Arrived,
    /// The receiver was told.
    Taken,
}

impl Pipe {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            window: usize::MAX,
            bytes: VecDeque::new(),
            arrived: 0,
            end: End::None,
            written: 0,
            taken: 0,
            broken: false,
            moving: false,
        }
    }

    /// The receiver's kernel has so little room.
    pub fn narrow(&mut self, window: usize) {
        self.window = window;
    }

    /// Takes from the front of `bytes` what fits, and says how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        assert_eq!(self.end, End::None, "written after the end");
        if self.broken {
            return bytes.len();
        }
        let n = bytes.len().min(self.room());
        self.bytes.extend(&bytes[..n]);
        self.written += n;
        n
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn room(&self) -> usize {
        self.capacity - self.bytes.len()
    }

    pub fn finish(&mut self) {
        if self.end == End::None && !self.broken {
            self.end = End::Sent;
        }
    }

    pub fn end(&self) -> End {
        self.end
    }

    pub fn written(&self) -> usize {
        self.written
    }

    pub fn taken(&self) -> usize {
        self.taken
    }

    pub fn in_flight(&self) -> usize {
        self.bytes.len() - self.arrived
    }

    /// How much of that the receiver's kernel has room for.
    pub fn movable(&self) -> usize {
        self.in_flight().min(self.window.saturating_sub(self.arrived))
    }

    pub fn arrived(&self) -> usize {
        self.arrived
    }

    /// Whether anything, bytes or the end, is under way and can arrive.
    pub fn can_arrive(&self) -> bool {
        self.movable() > 0 || (self.in_flight() == 0 && self.end == End::Sent)
    }

    /// Whether the receiver would hear something if it read now.
    pub fn is_readable(&self) -> bool {
        self.arrived > 0 || self.end == End::Arrived
    }

    /// The next `n` bytes in flight reach the receiver's kernel; the end too when nothing is before it.
    pub fn arrive(&mut self, n: usize) {
        self.arrived += n.min(self.movable());
        if self.in_flight() == 0 && self.end == End::Sent {
            self.end = End::Arrived;
        }
    }

    /// The receiver reads up to `most` bytes.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let n = most.min(self.arrived);
        self.arrived -= n;
        self.taken += n;
        self.bytes.drain(..n).collect()
    }

    /// The receiver reads the end, if it is there: true once.
    pub fn take_end(&mut self) -> bool {
        let here = self.arrived == 0 && self.end == End::Arrived;
        if here {
            self.end = End::Taken;
        }
        here
    }

    /// A reset overtakes what is in flight; with `all`, also what had arrived and was not read (BSD does that, Linux
    /// does not).
    pub fn cut(&mut self, all: bool) {
        let keep = if all { 0 } else { self.arrived };
        self.bytes.truncate(keep);
        self.arrived = keep;
        self.broken = true;
        if self.end == End::Sent || (all && self.end == End::Arrived) {
            self.end = End::None;
        }
    }
}
