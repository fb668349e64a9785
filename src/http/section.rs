//! Finds the empty line that ends a head or a trailer section, over any cuts of the input, looking at each byte once.
//!
//! ```text
//! GET / HTTP/1.1 CRLF      first line          ┐
//! Host: a CRLF             field lines         │ one section
//! CRLF                     the empty line      ┘
//! ```
//!
//! Nearly always a section arrives in one piece: it is then used where it lies, and nothing is copied.

use super::{
    Error, Limits,
    parse::{self, Side},
};
use memchr::{memchr, memchr_iter};
use std::borrow::Cow;

/// Which section is being read: they differ in their first line and their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    Trailers(Side),
}

/// A whole section, with its line breaks and the empty line.
#[derive(Debug)]
pub(super) struct Section<'i> {
    pub(super) bytes: Cow<'i, [u8]>,
    /// Lines before the empty one.
    pub(super) lines: usize,
    /// Where the second line starts.
    pub(super) first_end: usize,
}

/// The bytes read of a section so far. There is nothing on the heap until a section arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct Collector(Option<Box<Partial>>);

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    scan: Scan,
    /// Lines up to here are known to be well formed.
    checked: usize,
    /// Up to here a carriage return is known to stand before a line feed only.
    searched: usize,
}

impl Collector {
    /// Reads on. `None`: all of `input` was used and the section goes on.
    pub(super) fn next<'i>(
        &mut self,
        kind: Kind,
        input: &mut &'i [u8],
        limits: &Limits,
    ) -> Result<Option<Section<'i>>, Error> {
        let Some(mut partial) = self.0.take() else {
            let mut scan = Scan::default();
            if let Some(end) = scan.advance(kind, input, limits)? {
                let (bytes, rest) = input.split_at(end);
                *input = rest;
                return Ok(Some(scan.section(Cow::Borrowed(bytes))));
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.0 = Some(Box::new(Partial { bytes: input.to_vec(), scan, ..Partial::default() }));
            *input = &[];
            return self.check(kind);
        };
        let before = partial.bytes.len();
        // The scan fails before more than the limit is kept.
        let taken = input.len().min(kind.max_bytes(limits).saturating_add(1).saturating_sub(before));
        partial.bytes.extend_from_slice(&input[..taken]);
        let end = match partial.scan.advance(kind, &partial.bytes, limits) {
            Ok(Some(end)) => end,
            other => {
                // Kept after an error, too: the log may want to say what it was.
                self.0 = Some(partial);
                other?;
                *input = &input[taken..];
                return self.check(kind);
            }
        };
        *input = &input[end - before..];
        partial.bytes.truncate(end);
        Ok(Some(partial.scan.section(Cow::Owned(partial.bytes))))
    }

    /// The bytes of a section that arrived in pieces and is not complete, or never will be.
    pub(super) fn begun(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |partial| &partial.bytes)
    }

    /// Whether a section has begun and not ended.
    pub(super) fn has_begun(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses a malformed line now rather than when the section ends: it may never end.
    fn check<'i>(&mut self, kind: Kind) -> Result<Option<Section<'i>>, Error> {
        let Some(partial) = &mut self.0 else { return Ok(None) };
        let complete = &partial.bytes[..partial.scan.line];
        for line in complete[partial.checked..].split_inclusive(|byte| *byte == b'\n') {
            let line_content = &line[..line.len() - 2];
            match kind {
                Kind::Request if partial.checked == 0 => parse::request_line(line_content).map(drop)?,
                Kind::Response if partial.checked == 0 => parse::status_line(line_content).map(drop)?,
                _ => parse::check_field_line(line_content, kind.side())?,
            }
            partial.checked += line.len();
        }
        // In the line that has begun; after the last byte there may still be a line feed.
        let from = partial.searched.max(partial.checked);
        partial.searched = partial.bytes.len() - usize::from(partial.bytes.ends_with(b"\r"));
        if memchr(b'\r', &partial.bytes[from..partial.searched]).is_some() { Err(Error::BareCr) } else { Ok(None) }
    }
}

impl Kind {
    fn side(self) -> Side {
        match self {
            Self::Request => Side::Request,
            Self::Response => Side::Response,
            Self::Trailers(side) => side,
        }
    }

    fn max_bytes(self, limits: &Limits) -> usize {
        match self {
            Self::Request | Self::Response => limits.head,
            Self::Trailers(_) => limits.trailers,
        }
    }

    fn too_large(self) -> Error {
        match self {
            Self::Request | Self::Response => Error::HeadTooLarge,
            Self::Trailers(_) => Error::TrailersTooLarge,
        }
    }

    fn max_lines(self, limits: &Limits) -> usize {
        match self {
            Self::Request | Self::Response => limits.fields.saturating_add(1),
            Self::Trailers(_) => limits.fields,
        }
    }

    /// `line`: the first one, as far as it is known, without its line break.
    fn check_first_line(self, line: &[u8], limits: &Limits) -> Result<(), Error> {
        if self != Self::Request || line.len() <= limits.request_line {
            return Ok(());
        }
        match memchr(b' ', &line[..limits.request_line]) {
            Some(_) => Err(Error::RequestLineTooLong),
            None => Err(Error::NoMethod),
        }
    }
}

/// How far the search for the empty line is.
#[derive(Debug, Default)]
struct Scan {
    /// Bytes looked at.
    scanned: usize,
    /// Where the current line starts.
    line: usize,
    lines: usize,
    first_end: usize,
}

impl Scan {
    /// Looks at the bytes not yet looked at. `Some`: where the section ends.
    fn advance(&mut self, kind: Kind, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Error> {
        let max = kind.max_bytes(limits);
        let window = &bytes[..bytes.len().min(max)];
        if kind == Kind::Request && self.lines == 0 {
            parse::check_request_start(window)?;
        }
        let start = self.scanned.min(window.len());
        for found in memchr_iter(b'\n', &window[start..]) {
            let at = start + found;
            if at == self.line || window[at - 1] != b'\r' {
                return Err(Error::BareLf);
            }
            if at - 1 == self.line {
                return Ok(Some(at + 1));
            }
            self.lines += 1;
            self.line = at + 1;
            if self.lines == 1 {
                self.first_end = at + 1;
                kind.check_first_line(&window[..at - 1], limits)?;
            }
            if self.lines > kind.max_lines(limits) {
                return Err(Error::TooManyFields);
            }
        }
        self.scanned = window.len();
        if self.lines == 0 {
            kind.check_first_line(window.strip_suffix(b"\r").unwrap_or(window), limits)?;
        }
        // The end is at least one byte away.
        if window.len() == max { Err(kind.too_large()) } else { Ok(None) }
    }

    fn section(self, bytes: Cow<'_, [u8]>) -> Section<'_> {
        Section { bytes, lines: self.lines, first_end: self.first_end }
    }
}
