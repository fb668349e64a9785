//! Content of any length out of no memory: one static block, again and again.

use crate::{
    buf::Output,
    http::{BodyLength, BodyWriter, Fields},
};
use bytes::Bytes;

/// The bytes that one `writev` usually takes.
const BLOCK: usize = 64 * 1024;
/// Lines of 64 bytes with their line break, so that a terminal shows them and a missing byte is seen.
const LINE: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\n";
/// Large enough to cost little, small enough to see several in a short answer.
const CHUNK: usize = 16 * 1024;

/// One line longer than a block, so that a full block can start anywhere in a line.
static LINES: [u8; BLOCK + LINE.len()] = {
    let mut lines = [0; BLOCK + LINE.len()];
    let mut at = 0;
    while at < lines.len() {
        lines[at] = LINE[at % LINE.len()];
        at += 1;
    }
    lines
};

/// The rest of a body of the pattern that is still to be sent.
#[derive(Debug)]
pub(super) struct Pattern {
    sent: u64,
    length: u64,
    writer: BodyWriter,
}

impl Pattern {
    /// `length` bytes, delimited as `framing` says.
    pub(super) fn new(length: u64, framing: BodyLength) -> Self {
        Self { sent: 0, length, writer: BodyWriter::of(framing) }
    }

    /// Fills `output` up to a block, by reference. `true` when everything is in it.
    pub(super) fn fill(&mut self, output: &mut Output) -> bool {
        while let Some(piece) = self.next_piece(BLOCK.saturating_sub(output.len())) {
            self.writer
                .data_owned(output, Bytes::from_static(piece))
                .expect("the head declared `length`, and `sent` stays below it");
            self.sent += piece.len() as u64;
        }
        let done = self.sent == self.length;
        if done {
            self.writer.end(output, &Fields::new()).expect("`sent` has reached the declared length");
        }
        done
    }

    /// The next piece to send, if `room` is enough for it. Where chunks end does not depend on that, so that the same
    /// request has the same answer, byte for byte.
    fn next_piece(&self, room: usize) -> Option<&'static [u8]> {
        let left = usize::try_from(self.length - self.sent).unwrap_or(usize::MAX);
        let piece = if self.writer == BodyWriter::Chunked { left.min(CHUNK) } else { left.min(room) };
        let start = (self.sent % LINE.len() as u64) as usize;
        (piece > 0 && piece <= room).then(|| &LINES[start..start + piece])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::take;

    #[test]
    fn at_every_length_around_a_block_nothing_is_missing() {
        for length in [0, 1, 63, 64, 65, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let mut pattern = Pattern::new(length as u64, BodyLength::Exact(length as u64));
            let mut output = Output::new();
            // As if a head were there already.
            output.extend(b"head");
            let mut all = Vec::new();
            loop {
                let done = pattern.fill(&mut output);
                assert!(output.len() <= BLOCK);
                all.extend(take(&mut output));
                if done {
                    break;
                }
            }
            let expected = b"head".iter().chain(LINE.iter().cycle().take(length));
            assert!(all.iter().eq(expected), "{length} bytes");
        }
    }

    #[test]
    fn chunks() {
        let mut output = Output::new();
        assert!(Pattern::new(5, BodyLength::Chunked).fill(&mut output));
        assert_eq!(take(&mut output), b"5\r\n01234\r\n0\r\n\r\n");
        assert!(Pattern::new(0, BodyLength::Chunked).fill(&mut output));
        assert_eq!(take(&mut output), b"0\r\n\r\n");
        assert!(!Pattern::new(u64::MAX, BodyLength::Chunked).fill(&mut output));
        assert!((BLOCK - CHUNK..=BLOCK + 5).contains(&output.len()), "{}", output.len());
    }

    #[test]
    fn without_a_length_nothing_delimits_it() {
        let mut output = Output::new();
        assert!(Pattern::new(3, BodyLength::UntilClose).fill(&mut output));
        assert_eq!(take(&mut output), b"012");
    }
}
