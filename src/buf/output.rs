//! Bytes that the peer has not taken yet, in as few pieces as possible. An empty output takes no memory.
//!
//! ```text
//!   consume ◀── front │ rest: piece piece piece │ tail ◀── extend, small push
//!               Bytes │ by reference            │ Vec, grows
//! ```
//!
//! Most answers are one piece: the first is held in place, so a [`push`](Output::push) that drains at once allocates
//! nothing. Small writes meet in the tail, so that a head written field by field is one piece to the kernel.

use super::Sink;
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice},
    mem,
};

/// Pieces up to this many bytes are copied behind what already waits: a copy costs less than one more piece in `writev`.
/// Also the first size of the tail, which then holds a usual response head without growing.
const SMALL: usize = 512;

/// A piece of this many bytes that does not fit into the tail begins another one. To make room for them would copy the tail, and would take twice the
/// memory that they need.
const OWN: usize = 4 * 1024;

/// A tail that would outgrow this is closed and another begun. A piece is freed only when all of it was sent, and growing
/// copies: both are bounded by this.
const MAX_TAIL: usize = 64 * 1024;

/// A queue of bytes to be sent: small writes coalesce, large ones are kept by reference. Empty, it owns no heap.
#[derive(Default)]
pub struct Output {
    /// The first piece. Empty only if `rest` is.
    front: Bytes,
    /// The pieces after it; `None` as soon as there are none.
    rest: Option<Box<Rest>>,
    /// The last bytes: the only part that still grows.
    tail: Vec<u8>,
}

/// Pieces that wait behind the first. Boxed: few connections have any, and each pays for the room.
#[derive(Default)]
struct Rest {
    pieces: VecDeque<Bytes>,
    /// Sum over `pieces`, so that [`Output::len`] does not walk them.
    len: usize,
}

impl Output {
    /// Nothing to send.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` by reference, or as a copy if they are few and others wait already.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() <= SMALL && !self.is_empty() {
            self.extend(&bytes);
        } else if !bytes.is_empty() {
            self.close_tail();
            self.append(bytes);
        }
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        if bytes.len() >= OWN && self.tail.capacity() - self.tail.len() < bytes.len() {
            self.close_tail();
        }
        if !bytes.is_empty() {
            self.tail(bytes.len()).extend_from_slice(bytes);
        }
    }

    /// The end of what waits, for something of about `len` bytes that is written part by part. Only to append to.
    pub fn tail(&mut self, len: usize) -> &mut Vec<u8> {
        if self.tail.len() + len > MAX_TAIL {
            self.close_tail();
        }
        if self.tail.capacity() == 0 {
            self.tail.reserve(len.max(SMALL));
        }
        &mut self.tail
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.front.len() + self.rest.as_ref().map_or(0, |rest| rest.len) + self.tail.len()
    }

    /// Whether no byte waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.front.is_empty() && self.tail.is_empty()
    }

    /// Fills `slices` from the front for one vectored write and tells how many it filled. Pieces that do not fit are
    /// left out, so after a complete write there may be more.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(self.pieces()) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// The first `n` bytes were sent: forgets them, and gives back the memory of every piece that is done.
    ///
    /// `n` is at most [`Output::len`]; more empties the queue.
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "nobody can have sent {n} of {} bytes", self.len());
        if n >= self.len() {
            return self.clear();
        }
        let mut left = n;
        while left > 0 {
            if self.front.is_empty() {
                // The peer took a part of the tail. The rest of it stops growing, so no offset into it is needed.
                self.close_tail();
            }
            let step = left.min(self.front.len());
            self.front.advance(step);
            left -= step;
            if self.front.is_empty() {
                self.front = self.next_piece();
            }
        }
    }

    /// Takes the first piece, to hand it on by reference. Call until `None` to move everything elsewhere.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.front.is_empty() {
            self.close_tail();
        }
        let next = self.next_piece();
        let piece = mem::replace(&mut self.front, next);
        (!piece.is_empty()).then_some(piece)
    }

    /// Takes at most `max` bytes off the front, by reference: the first piece, or its beginning. Empty if nothing waits.
    pub fn split(&mut self, max: usize) -> Bytes {
        if self.front.is_empty() {
            self.close_tail();
        }
        if self.front.len() > max {
            return self.front.split_to(max);
        }
        self.pop().unwrap_or_default()
    }

    /// From now on every byte that waits stays at its address until it is consumed or cleared, whatever is appended: so its
    /// pieces can be lent to a kernel that sends them while we go on.
    pub fn pin(&mut self) {
        self.close_tail();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let rest = self.rest.iter().flat_map(|rest| rest.pieces.iter().map(|piece| &piece[..]));
        let ends = |bytes| std::iter::once(bytes).filter(|bytes: &&[u8]| !bytes.is_empty());
        ends(&self.front[..]).chain(rest).chain(ends(&self.tail[..]))
    }

    fn append(&mut self, piece: Bytes) {
        if self.front.is_empty() {
            self.front = piece;
        } else {
            let rest = self.rest.get_or_insert_default();
            rest.len += piece.len();
            rest.pieces.push_back(piece);
        }
    }

    /// Makes the tail a piece like the others, so that something may follow it by reference.
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let piece = Bytes::from(mem::take(&mut self.tail));
            self.append(piece);
        }
    }

    /// Takes the first piece of `rest`; empty if there is none.
    fn next_piece(&mut self) -> Bytes {
        let Some(rest) = &mut self.rest else { return Bytes::new() };
        let piece = rest.pieces.pop_front().unwrap_or_default();
        rest.len -= piece.len();
        if rest.pieces.is_empty() {
            self.rest = None;
        }
        piece
    }
}

/// The length only: a log line must not carry a client's data.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Sink for Output {
    fn owned(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

/// Never fails.
impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Never fails.
impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes that a vectored write with `room` slices would send.
    fn visible(output: &Output, room: usize) -> (usize, Vec<u8>) {
        let mut slices = vec![IoSlice::new(b"never read"); room];
        let filled = output.io_slices(&mut slices);
        assert!(slices[..filled].iter().all(|slice| !slice.is_empty()), "an empty slice wastes room");
        (filled, slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect())
    }

    fn owns_no_heap(output: &Output) -> bool {
        output.front.is_empty() && output.rest.is_none() && output.tail.capacity() == 0
    }

    #[test]
    fn a_connection_pays_one_cache_line() {
        assert!(size_of::<Output>() <= 64, "{}", size_of::<Output>());
    }

    #[test]
    fn pieces_can_be_taken_in_parts() {
        let big = Bytes::from(vec![b'x'; SMALL + 3]);
        let mut output = Output::new();
        output.push(big.clone());
        output.extend(b"tail");
        let first = output.split(SMALL);
        assert_eq!((first.len(), first.as_ptr(), output.len()), (SMALL, big.as_ptr(), 7));
        for (max, taken) in [(0, &b""[..]), (3, b"xxx"), (1, b"t"), (100, b"ail"), (100, b"")] {
            assert_eq!(output.split(max), taken);
        }
        assert!(owns_no_heap(&output));
    }

    #[test]
    fn a_first_piece_is_kept_by_reference_however_small() {
        let bytes = Bytes::from(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
        let mut output = Output::new();
        output.push(bytes.clone());
        assert_eq!(output.front.as_ptr(), bytes.as_ptr());
        assert!(output.rest.is_none() && output.tail.capacity() == 0);
        output.consume(bytes.len());
        assert!(owns_no_heap(&output) && bytes.is_unique());
    }

    #[test]
    fn small_pieces_are_copied_behind_others_and_larger_ones_are_not() {
        for (len, pieces) in [(0, 1), (1, 2), (SMALL, 2), (SMALL + 1, 3)] {
            let mut output = Output::new();
            output.push(Bytes::from_static(b"first"));
            output.push(Bytes::from(vec![b'x'; len]));
            output.push(Bytes::from(vec![b'y'; len]));
            assert_eq!(visible(&output, 8).0, pieces, "{len} bytes");
            assert_eq!(output.len(), 5 + 2 * len);
        }
    }

    #[test]
    fn the_tail_is_closed_before_it_outgrows_its_limit() {
        for (last, pieces) in [(1, 1), (2, 2)] {
            let mut output = Output::new();
            output.extend(&vec![b'x'; MAX_TAIL - 1]);
            output.extend(&vec![b'y'; last]);
            assert_eq!((visible(&output, 8).0, output.len()), (pieces, MAX_TAIL - 1 + last));
        }
    }

    #[test]
    fn a_large_piece_takes_no_more_memory_than_it_needs() {
        for (len, pieces) in [(OWN - 1, 1), (OWN, 2)] {
            let mut output = Output::new();
            output.extend(&[b'x'; OWN]);
            output.extend(&vec![b'y'; len]);
            assert_eq!((visible(&output, 8).0, output.len()), (pieces, OWN + len));
        }
        let mut output = Output::new();
        output.extend(b"a head");
        output.extend(&[b'y'; OWN]);
        assert_eq!(output.tail.capacity(), OWN);
    }

    #[test]
    fn formatting_makes_one_piece() {
        let mut output = Output::new();
        {
            use std::io::Write;
            write!(output, "HTTP/1.1 {} OK\r\n", 200).unwrap();
        }
        {
            use std::fmt::Write;
            write!(output, "Age: {}\r\n\r\n", 7).unwrap();
        }
        assert_eq!(visible(&output, 8), (1, b"HTTP/1.1 200 OK\r\nAge: 7\r\n\r\n".to_vec()));
        assert_eq!(format!("{output:?}"), "Output { len: 27, .. }");
    }

    #[test]
    fn a_piece_that_was_half_taken_goes_first_and_later_bytes_after_it() {
        let mut output = Output::new();
        output.extend(b"half taken");
        output.consume(5);
        output.extend(b", then more");
        assert_eq!(visible(&output, 8), (2, b"taken, then more".to_vec()));
        assert_eq!(visible(&output, 1), (1, b"taken".to_vec()));
        assert_eq!(visible(&output, 0), (0, vec![]));
    }

    #[test]
    fn both_sides_of_a_sink_keep_the_order() {
        let mut output = Output::new();
        output.borrowed(b"5\r\n");
        output.owned(Bytes::from(vec![b'x'; SMALL + 1]));
        output.borrowed(b"\r\n");
        let expected = [&b"5\r\n"[..], &vec![b'x'; SMALL + 1], b"\r\n"].concat();
        assert_eq!(visible(&output, 8), (3, expected.clone()));
        let mut popped = Vec::new();
        while let Some(piece) = output.pop() {
            popped.extend_from_slice(&piece);
        }
        assert_eq!(popped, expected);
        assert!(owns_no_heap(&output));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize),
        Extend(usize),
        /// Consumes this share of what waits, in 1/16.
        Consume(usize),
        Pop,
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let len = prop_oneof![0..4usize, SMALL - 1..SMALL + 2, 0..5000usize, MAX_TAIL - 1..MAX_TAIL + 2];
        let step = prop_oneof![
            4 => len.clone().prop_map(Step::Push),
            4 => len.prop_map(Step::Extend),
            4 => (0..=16usize).prop_map(Step::Consume),
            1 => Just(Step::Pop),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Against a plain `Vec`: what goes in comes out, once and in order, and nothing is kept afterwards.
        #[test]
        fn behaves_as_a_queue_of_bytes(steps in steps()) {
            let mut output = Output::new();
            let mut model: Vec<u8> = Vec::new();
            let mut counter = 0u32;
            // Different everywhere, so that swapped or repeated bytes show.
            let mut fresh = |len: usize| (0..len).map(|_| { counter += 1; (counter * 167 / 13) as u8 }).collect::<Vec<u8>>();
            for step in steps {
                match step {
                    Step::Push(len) => {
                        let bytes = fresh(len);
                        model.extend_from_slice(&bytes);
                        output.push(bytes.into());
                    }
                    Step::Extend(len) => {
                        let bytes = fresh(len);
                        model.extend_from_slice(&bytes);
                        output.extend(&bytes);
                    }
                    Step::Consume(share) => {
                        let n = model.len() * share / 16;
                        model.drain(..n);
                        output.consume(n);
                    }
                    Step::Pop => match output.pop() {
                        Some(piece) => {
                            let expected: Vec<u8> = model.drain(..piece.len()).collect();
                            prop_assert!(!piece.is_empty() && piece == expected);
                        }
                        None => prop_assert!(model.is_empty()),
                    },
                    Step::Clear => {
                        model.clear();
                        output.clear();
                    }
                }
                prop_assert_eq!(output.len(), model.len());
                prop_assert_eq!(output.is_empty(), model.is_empty());
                prop_assert!(visible(&output, 128).1 == model);
                prop_assert!(!model.is_empty() || owns_no_heap(&output));
            }
        }
    }
}
