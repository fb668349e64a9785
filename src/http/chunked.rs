//! The chunked transfer coding, decoded (RFC 9112 §7.1).
//!
//! ```text
//! 5 ; name = "value" CRLF      size line: hexadecimal size, extensions
//! hello CRLF                   chunk
//! 0 CRLF                       last chunk
//! Checksum: 1 CRLF             trailer section
//! CRLF
//! ```
//!
//! Every position in the grammar has a name, and what is not expected there is refused. Extensions are checked and
//! dropped: a server that ends one at a bare line feed sees other chunks than we do.

use super::{
    Error, Limits,
    body::{Piece, SHORT},
    grammar,
    limits::MAX_LENGTH,
    parse::{self, Side},
    section::{Collector, Kind},
};

/// A chunked body being read.
#[derive(Debug)]
pub(super) struct Chunked {
    at: At,
    /// Of the current chunk: its size while in the size line, then what is left of it.
    left: u64,
    /// Content so far, with the current chunk.
    total: u64,
    /// Bytes of the current size line.
    line: u32,
    /// Bytes of extensions so far.
    extensions: u32,
    side: Side,
    trailers: Collector,
}

/// The next byte's place in the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// First digit of a size.
    Size,
    /// More digits, or what follows them.
    Digits,
    /// White space before a semicolon: bad, but to be accepted (RFC 9110 §5.6.3).
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    /// After the closing quote: nothing may be glued to it.
    QuotedEnd,
    /// White space after a value: another extension has to follow.
    AfterValue,
    /// The line feed of a size line.
    LineEnd,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

impl Chunked {
    pub(super) fn new(side: Side) -> Self {
        Self { at: At::Size, left: 0, total: 0, line: 0, extensions: 0, side, trailers: Collector::default() }
    }

    pub(super) fn next<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Result<Option<Piece<'i>>, Error> {
        loop {
            match self.at {
                At::Data if self.left == 0 => self.at = At::DataCr,
                At::Data => {
                    let length = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    let (data, rest) = input.split_at(length);
                    *input = rest;
                    self.left -= length as u64;
                    return Ok((length > 0).then_some(Piece::Data(data)));
                }
                At::Trailers => {
                    let section = self.trailers.next(Kind::Trailers(self.side), input, limits)?;
                    return section.map(|section| parse::trailers(&section, self.side).map(Piece::End)).transpose();
                }
                _ => {
                    let Some((byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.at = self.step(*byte, limits)?;
                }
            }
        }
    }

    /// Appends the content of the short chunks that follow in `input` to `content`. Stops before anything else, before a
    /// piece that is long enough to be handed on as it lies, and when `content` has `most` bytes.
    pub(super) fn gather(
        &mut self,
        input: &mut &[u8],
        limits: &Limits,
        content: &mut Vec<u8>,
        most: usize,
    ) -> Result<(), Error> {
        while content.len() < most {
            match self.at {
                At::Data => {
                    let length = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    if length >= SHORT || input.is_empty() && self.left > 0 {
                        break;
                    }
                    let (data, rest) = input.split_at(length);
                    content.extend_from_slice(data);
                    *input = rest;
                    self.left -= length as u64;
                    if self.left == 0 {
                        self.at = At::DataCr;
                    }
                }
                At::Trailers => break,
                _ => {
                    if self.at == At::Size
                        && let Some(data) = self.short_chunk(input, limits)
                    {
                        content.extend_from_slice(data);
                        continue;
                    }
                    let Some((byte, rest)) = input.split_first() else { break };
                    *input = rest;
                    self.at = self.step(*byte, limits)?;
                }
            }
        }
        Ok(())
    }

    /// Takes a chunk with up to two digits and no extensions, if all of it is in the input and nothing is odd about it: ten
    /// thousands of them fit into one input, and a step for each byte would be most of what they cost.
    fn short_chunk<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Option<&'i [u8]> {
        let digit = |byte: u8| grammar::hex_value(byte).map(usize::from);
        let (size, rest) = match *input {
            [one, b'\r', b'\n', rest @ ..] => (digit(*one)?, rest),
            [one, two, b'\r', b'\n', rest @ ..] => (digit(*one)? << 4 | digit(*two)?, rest),
            _ => return None,
        };
        let (data, after) = rest.split_at_checked(size)?;
        let after = after.strip_prefix(b"\r\n")?;
        let total = self.total.checked_add(size as u64)?;
        // The end, and what is over a limit, take the careful way.
        if size == 0 || total > limits.body {
            return None;
        }
        (self.total, *input) = (total, after);
        Some(data)
    }

    /// One byte of chunk framing.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<At, Error> {
        match self.at {
            At::DataCr => return if byte == b'\r' { Ok(At::DataLf) } else { Err(Error::BadChunkEnd) },
            At::DataLf => return if byte == b'\n' { Ok(At::Size) } else { Err(Error::BadChunkEnd) },
            At::LineEnd if byte == b'\n' => return self.begin_chunk(limits),
            At::LineEnd => return Err(Error::BareCr),
            _ => {}
        }
        if byte == b'\n' {
            return Err(Error::BareLf);
        }
        if byte != b'\r' {
            self.count(byte, limits)?;
        }
        match self.at {
            At::Size | At::Digits => self.size(byte),
            _ => extension(self.at, byte).ok_or(Error::BadChunkExtension),
        }
    }

    /// One more byte of the size line.
    fn count(&mut self, byte: u8, limits: &Limits) -> Result<(), Error> {
        self.line = self.line.saturating_add(1);
        if self.line as usize > limits.chunk_line {
            return Err(Error::ChunkLineTooLong);
        }
        let of_size = matches!(self.at, At::Size | At::Digits) && grammar::hex_value(byte).is_some();
        if !of_size {
            self.extensions = self.extensions.saturating_add(1);
            if self.extensions as usize > limits.chunk_extensions {
                return Err(Error::ExtensionsTooLarge);
            }
        }
        Ok(())
    }

    fn size(&mut self, byte: u8) -> Result<At, Error> {
        if let Some(digit) = grammar::hex_value(byte) {
            let size = self.left.checked_mul(16).map(|size| size | u64::from(digit));
            self.left = size.filter(|size| *size <= MAX_LENGTH).ok_or(Error::ChunkTooLarge)?;
            return Ok(At::Digits);
        }
        match (self.at, byte) {
            (At::Digits, b'\r') => Ok(At::LineEnd),
            (At::Digits, b';') => Ok(At::BeforeName),
            (At::Digits, b' ' | b'\t') => Ok(At::BeforeSemicolon),
            _ => Err(Error::BadChunkSize),
        }
    }

    /// The size line is complete.
    fn begin_chunk(&mut self, limits: &Limits) -> Result<At, Error> {
        self.line = 0;
        if self.left == 0 {
            return Ok(At::Trailers);
        }
        self.total = self.total.checked_add(self.left).ok_or(Error::BodyTooLarge)?;
        if self.total > limits.body { Err(Error::BodyTooLarge) } else { Ok(At::Data) }
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (RFC 9112 §7.1.1). `None`: not by this grammar, which
/// has no white space before the line's end.
fn extension(at: At, byte: u8) -> Option<At> {
    match (at, byte) {
        (At::BeforeSemicolon | At::BeforeName | At::AfterName | At::BeforeValue | At::AfterValue, b' ' | b'\t') => {
            Some(at)
        }
        (At::BeforeName | At::Name, _) if grammar::is_token_byte(byte) => Some(At::Name),
        (At::BeforeValue | At::Value, _) if grammar::is_token_byte(byte) => Some(At::Value),
        (At::BeforeValue, b'"') => Some(At::Quoted),
        (At::Quoted, b'"') => Some(At::QuotedEnd),
        (At::Quoted, b'\\') => Some(At::Escaped),
        (At::Quoted | At::Escaped, _) if grammar::is_text(&[byte]) => Some(At::Quoted),
        (At::Name, b' ' | b'\t') => Some(At::AfterName),
        (At::Value | At::QuotedEnd, b' ' | b'\t') => Some(At::AfterValue),
        (At::Name | At::AfterName, b'=') => Some(At::BeforeValue),
        (At::BeforeSemicolon | At::Name | At::AfterName | At::Value | At::QuotedEnd | At::AfterValue, b';') => {
            Some(At::BeforeName)
        }
        (At::Name | At::Value | At::QuotedEnd, b'\r') => Some(At::LineEnd),
        _ => None,
    }
}
