//! Frames a body on its way out (RFC 9112 §6, §7.1).

use super::{BodyLength, Error, Fields, hop};
use crate::buf::Sink;
use bytes::Bytes;

/// Writes one body the way its head declared. After [`Self::end`] it is [`BodyWriter::Empty`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyWriter {
    /// No content may follow the head.
    #[default]
    Empty,
    /// So many bytes are still owed.
    Exact(u64),
    /// Each piece becomes a chunk.
    Chunked,
    /// As it comes; its end is the connection's.
    UntilClose,
}

impl BodyWriter {
    /// For a body of that length.
    #[must_use]
    pub fn of(length: BodyLength) -> Self {
        match length {
            BodyLength::Empty => Self::Empty,
            BodyLength::Exact(length) => Self::Exact(length),
            BodyLength::Chunked => Self::Chunked,
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    /// Writes content. [`Error::MoreThanDeclared`] if the head declared less; nothing is written then.
    pub fn data(&mut self, sink: &mut impl Sink, data: &[u8]) -> Result<(), Error> {
        self.framed(sink, data.len(), |sink| sink.borrowed(data))
    }

    /// As [`Self::data`], for content that is owned: a cached body is not copied.
    pub fn data_owned(&mut self, sink: &mut impl Sink, data: Bytes) -> Result<(), Error> {
        self.framed(sink, data.len(), |sink| sink.owned(data))
    }

    fn framed<S: Sink>(&mut self, sink: &mut S, length: usize, write: impl FnOnce(&mut S)) -> Result<(), Error> {
        // An empty chunk would end the body.
        if length == 0 {
            return Ok(());
        }
        match self {
            Self::Empty => return Err(Error::MoreThanDeclared),
            Self::Exact(left) => {
                *left = left.checked_sub(length as u64).ok_or(Error::MoreThanDeclared)?;
                write(sink);
            }
            Self::Chunked => {
                let mut line = [0; SIZE_LINE];
                sink.borrowed(size_line(length, &mut line));
                write(sink);
                sink.borrowed(b"\r\n");
            }
            Self::UntilClose => write(sink),
        }
        Ok(())
    }

    /// Ends the body. [`Error::LessThanDeclared`] if the head declared more. Trailers are written after a chunked body,
    /// without those that may not be trailers; any other framing has no place for them.
    pub fn end(&mut self, sink: &mut impl Sink, trailers: &Fields) -> Result<(), Error> {
        match std::mem::take(self) {
            Self::Empty | Self::UntilClose | Self::Exact(0) => Ok(()),
            Self::Exact(left) => {
                *self = Self::Exact(left);
                Err(Error::LessThanDeclared)
            }
            Self::Chunked if trailers.is_empty() => {
                sink.borrowed(b"0\r\n\r\n");
                Ok(())
            }
            Self::Chunked => {
                let mut last = b"0\r\n".to_vec();
                for (name, value) in trailers.iter().filter(|(name, _)| !hop::forbidden_in_trailers(name)) {
                    super::fields::write_line(&mut last, name.as_bytes(), value);
                }
                last.extend_from_slice(b"\r\n");
                sink.owned(last.into());
                Ok(())
            }
        }
    }

    /// Whether nothing more is owed: [`Self::end`] would not fail.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !matches!(self, Self::Exact(1..))
    }
}

/// 16 hexadecimal digits and a line break.
const SIZE_LINE: usize = 18;

fn size_line(length: usize, line: &mut [u8; SIZE_LINE]) -> &[u8] {
    line[SIZE_LINE - 2..].copy_from_slice(b"\r\n");
    let mut start = SIZE_LINE - 2;
    let mut rest = length;
    while rest > 0 {
        start -= 1;
        line[start] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
    }
    &line[start..]
}
