//! Where a line ends: at LF, with or without a CR before it, and after a bounded number of bytes.
//!
//! A stream has no lines. One read may bring half of one or a hundred of them, so the splitter keeps the unfinished one.
//! Without a limit a peer that never sends LF would grow our memory; with one, the line that breaks it is reported once,
//! and reading resumes after its LF, so that one bad line does not end the conversation.
//!
//! ```text
//!              LF                        over the limit
//!   ┌────────▶ line ◀────── within ──────────────────▶ skipping ──┐
//!   └──────────────────────── limit ◀──────── LF ─────────────────┘
//! ```

use memchr::memchr;
use std::{borrow::Cow, mem};

/// Splits a stream into lines. No heap while no line is unfinished.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// The start of a line whose LF has not arrived.
    partial: Vec<u8>,
    /// A line was too long, and its LF has not arrived.
    skipping: bool,
}

/// A line that the splitter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'i> {
    /// A line without its LF or CR LF: part of the input if it came in one piece, else put together.
    Text(Cow<'i, [u8]>),
    /// More bytes than the limit. Said as soon as it is known; the rest of the line is skipped.
    TooLong,
}

impl Lines {
    /// Lines of at most `limit` bytes, their LF or CR LF not counted.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), skipping: false }
    }

    /// Takes the next line. `input` is advanced past what was used; `None` = all of it was used and more is needed.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Option<Line<'i>> {
        if self.skipping && !self.resume(input) {
            return None;
        }
        let end = memchr(b'\n', input);
        let piece = &input[..end.unwrap_or(input.len())];
        *input = &input[end.map_or(input.len(), |at| at + 1)..];
        if self.is_too_long(piece) {
            self.partial = Vec::new();
            self.skipping = end.is_none();
            return Some(Line::TooLong);
        }
        if end.is_none() {
            self.partial.extend_from_slice(piece);
            return None;
        }
        if self.partial.is_empty() {
            return Some(Line::Text(Cow::Borrowed(piece.strip_suffix(b"\r").unwrap_or(piece))));
        }
        let mut line = mem::take(&mut self.partial);
        line.extend_from_slice(piece);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Line::Text(Cow::Owned(line)))
    }

    /// Drops the rest of a line that was too long; `false` if its LF is still to come.
    fn resume(&mut self, input: &mut &[u8]) -> bool {
        let end = memchr(b'\n', input);
        *input = &input[end.map_or(input.len(), |at| at + 1)..];
        self.skipping = end.is_none();
        !self.skipping
    }

    /// A CR at the end is not counted: it may turn out to belong to the line's end.
    fn is_too_long(&self, piece: &[u8]) -> bool {
        let ends_in_cr = piece.last().or(self.partial.last()) == Some(&b'\r');
        self.partial.len() + piece.len() - usize::from(ends_in_cr) > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 5;

    /// The lines of `stream`, if it arrives in pieces that end at `cuts`.
    fn split(stream: &[u8], cuts: &[usize]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(LIMIT);
        let mut found = Vec::new();
        let mut start = 0;
        for &end in cuts.iter().chain([&stream.len()]) {
            let mut piece = &stream[start..end];
            while let Some(line) = lines.next(&mut piece) {
                found.push(match line {
                    Line::Text(text) => Some(text.into_owned()),
                    Line::TooLong => None,
                });
            }
            assert!(piece.is_empty(), "all of it is used: {stream:?} up to {end}");
            start = end;
        }
        found
    }

    #[test]
    fn lines_end_at_lf_or_cr_lf_and_are_bounded() {
        const CASES: &[(&str, &[Option<&str>])] = &[
            ("", &[]),
            ("\n", &[Some("")]),
            ("\r\n\n", &[Some(""), Some("")]),
            ("one\ntwo\r\n", &[Some("one"), Some("two")]),
            ("unfinished", &[None]),
            ("half", &[]),
            ("a\rb\n", &[Some("a\rb")]),
            ("12345\n", &[Some("12345")]),
            ("12345\r\n", &[Some("12345")]),
            ("123456\n", &[None]),
            ("123456\r\nok\n", &[None, Some("ok")]),
            ("12345\r\r\nok\n", &[None, Some("ok")]),
            ("12345\r6\nok\n", &[None, Some("ok")]),
            ("12345\r", &[]),
            ("1234567890123\n\n1\n", &[None, Some(""), Some("1")]),
        ];
        for (stream, expected) in CASES {
            let expected: Vec<_> = expected.iter().map(|line| line.map(|text| text.as_bytes().to_vec())).collect();
            let stream = stream.as_bytes();
            assert_eq!(split(stream, &[]), expected, "{stream:?} whole");
            let every: Vec<_> = (0..stream.len()).collect();
            assert_eq!(split(stream, &every), expected, "{stream:?} byte by byte");
            for cut in every {
                assert_eq!(split(stream, &[cut]), expected, "{stream:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_line_in_one_piece_is_not_copied() {
        let mut input: &[u8] = b"one\r\ntwo";
        assert_eq!(Lines::new(LIMIT).next(&mut input), Some(Line::Text(Cow::Borrowed(b"one"))));
        assert_eq!(input, b"two");
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut lines = Lines::new(LIMIT);
        for round in 0..100 {
            let mut input: &[u8] = &[b'x'; 100];
            assert_eq!(lines.next(&mut input), (round == 0).then_some(Line::TooLong));
            assert_eq!(lines.next(&mut input), None);
            assert_eq!(lines.partial.capacity(), 0);
        }
    }

    proptest! {
        #[test]
        fn how_a_stream_is_cut_does_not_matter(stream in "[ab\r\n]{0,60}", mut cuts in prop::collection::vec(0..60usize, 0..8)) {
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(stream.len()));
            cuts.sort_unstable();
            prop_assert_eq!(split(stream.as_bytes(), &cuts), split(stream.as_bytes(), &[]));
        }
    }
}
