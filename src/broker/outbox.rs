//! Bytes for one connection, of which some wait until a record is on the disk.
//!
//! ```text
//!   write ──▶ │ after 7 │ after 9 │ after 12 │ ── stored(9) ──▶ ready ──▶ driver
//! ```
//!
//! Packets keep their order: one that waits for nothing stands behind those that do.

use crate::buf::Output;
use std::{collections::VecDeque, mem};

/// The output of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ready: Output,
    waiting: VecDeque<Gated>,
    waiting_bytes: usize,
    waiting_packets: usize,
}

#[derive(Debug)]
struct Gated {
    /// It leaves when so many records are stored.
    after: u64,
    output: Output,
    packets: usize,
    /// Messages of the client that are answered when it leaves.
    frees: u16,
}

impl Outbox {
    /// Appends a packet by `write`, to leave when `after` records are stored; so many are. `frees`: it ends a message of the client, which
    /// may send another one. Returns how many have ended.
    pub(crate) fn write(&mut self, after: u64, stored: u64, frees: u16, write: impl FnOnce(&mut Output)) -> u16 {
        if self.waiting.is_empty() && after <= stored {
            write(&mut self.ready);
            return frees;
        }
        if self.waiting.back().is_none_or(|last| last.after < after) {
            self.waiting.push_back(Gated { after, output: Output::new(), packets: 0, frees: 0 });
        }
        if let Some(last) = self.waiting.back_mut() {
            let before = last.output.len();
            write(&mut last.output);
            self.waiting_bytes += last.output.len() - before;
            self.waiting_packets += 1;
            last.packets += 1;
            last.frees += frees;
        }
        0
    }

    /// A number of records are stored by now. Returns how many messages of the client are answered by what may leave now.
    pub(crate) fn stored(&mut self, stored: u64) -> u16 {
        let mut freed = 0;
        while self.waiting.front().is_some_and(|gated| gated.after <= stored) {
            let Some(mut gated) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= gated.output.len();
            self.waiting_packets -= gated.packets;
            freed += gated.frees;
            if self.ready.is_empty() {
                self.ready = gated.output;
            } else {
                while let Some(piece) = gated.output.pop() {
                    self.ready.push(piece);
                }
            }
        }
        freed
    }

    /// Takes what may leave.
    pub(crate) fn take(&mut self) -> Output {
        mem::take(&mut self.ready)
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.waiting_bytes
    }

    /// Packets that wait for the disk.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting_packets
    }

    /// Whether something may leave.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(outbox: &mut Outbox) -> Vec<u8> {
        let mut all = Vec::new();
        let mut output = outbox.take();
        while let Some(piece) = output.pop() {
            all.extend_from_slice(&piece);
        }
        all
    }

    #[test]
    fn packets_leave_in_order_when_their_records_are_stored() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.write(0, 5, 1, |out| out.extend(b"a")), 1);
        assert_eq!(outbox.write(6, 5, 1, |out| out.extend(b"b")), 0);
        assert_eq!(outbox.write(0, 5, 0, |out| out.extend(b"c")), 0, "it stands behind");
        assert_eq!(outbox.write(8, 5, 1, |out| out.extend(b"d")), 0);
        assert_eq!((taken(&mut outbox), outbox.waiting(), outbox.len()), (b"a".to_vec(), 3, 3));
        assert_eq!((outbox.stored(5), outbox.is_ready()), (0, false));
        assert_eq!((outbox.stored(7), taken(&mut outbox)), (1, b"bc".to_vec()));
        assert_eq!((outbox.stored(8), taken(&mut outbox), outbox.len()), (1, b"d".to_vec(), 0));
    }
}
