//! Requests on their way to the peer, and how much of each the kernel has taken. That decides whether a lost request
//! may be sent again.

use super::Written;
use std::{collections::VecDeque, io::IoSlice};

/// Requests that wait to be written, in order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// Bytes of the first that were written.
    written: usize,
    /// Bytes of all that were not.
    unsent: usize,
}

#[derive(Debug)]
struct Piece {
    id: u64,
    line: Vec<u8>,
}

impl Outgoing {
    /// Adds a line. Ids count up.
    pub(super) fn push(&mut self, id: u64, line: Vec<u8>) {
        self.unsent += line.len();
        self.pieces.push_back(Piece { id, line });
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.unsent
    }

    /// Fills `slices` for one vectored write and tells how many it filled.
    pub(super) fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.line[skip..]);
            skip = 0;
            filled += 1;
        }
        filled
    }

    /// The kernel took so many bytes.
    pub(super) fn wrote(&mut self, taken: usize) {
        debug_assert!(taken <= self.unsent, "nobody can have sent {taken} of {} bytes", self.unsent);
        self.unsent -= taken;
        self.written += taken;
        while let Some(front) = self.pieces.front()
            && front.line.len() <= self.written
        {
            self.written -= front.line.len();
            self.pieces.pop_front();
        }
    }

    /// How much was written of a request that was pushed once.
    pub(super) fn written(&self, id: u64) -> Written {
        match self.pieces.front() {
            Some(front) if front.id < id => Written::Nothing,
            Some(front) if front.id == id && self.written == 0 => Written::Nothing,
            Some(front) if front.id == id => Written::Partly,
            Some(_) | None => Written::Wholly,
        }
    }

    /// Takes out a request of which nothing was written: it will not be.
    pub(super) fn withdraw(&mut self, id: u64) -> bool {
        if self.written(id) > Written::Nothing {
            return false;
        }
        let Some(at) = self.pieces.iter().position(|piece| piece.id == id) else { return false };
        self.unsent -= self.pieces.remove(at).map_or(0, |piece| piece.line.len());
        true
    }

    /// The connection is lost.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing() -> Outgoing {
        let mut outgoing = Outgoing::default();
        for (id, line) in [(3, "one\n"), (4, "two\n"), (7, "three\n")] {
            outgoing.push(id, line.into());
        }
        outgoing
    }

    fn visible(outgoing: &Outgoing) -> String {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = outgoing.io_slices(&mut slices);
        slices[..filled].iter().map(|slice| str::from_utf8(slice).unwrap()).collect()
    }

    #[test]
    fn how_much_of_each_was_written_is_known_at_every_byte() {
        use Written::{Nothing, Partly, Wholly};
        const ALL: &str = "one\ntwo\nthree\n";
        let of = |taken: usize, from: usize, to: usize| match taken {
            _ if taken <= from => Nothing,
            _ if taken < to => Partly,
            _ => Wholly,
        };
        for taken in 0..=ALL.len() {
            for cut in 0..=taken {
                let mut outgoing = outgoing();
                outgoing.wrote(cut);
                outgoing.wrote(taken - cut);
                assert_eq!((visible(&outgoing).as_str(), outgoing.len()), (&ALL[taken..], ALL.len() - taken));
                let written = [3, 4, 7].map(|id| outgoing.written(id));
                assert_eq!(written, [of(taken, 0, 4), of(taken, 4, 8), of(taken, 8, 14)], "after {taken} bytes");
            }
        }
    }

    #[test]
    fn only_what_has_not_begun_can_be_taken_back() {
        let mut outgoing = outgoing();
        outgoing.wrote(1);
        assert!(!outgoing.withdraw(3) && !outgoing.withdraw(5) && outgoing.withdraw(4) && !outgoing.withdraw(4));
        assert_eq!((visible(&outgoing).as_str(), outgoing.len()), ("ne\nthree\n", 9));
        outgoing.wrote(3);
        assert!(!outgoing.withdraw(3) && outgoing.withdraw(7));
        assert_eq!((visible(&outgoing).as_str(), outgoing.len()), ("", 0));
    }
}
