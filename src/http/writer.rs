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
    /// The number of bytes that are still owed.
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

    /// As [`Self::data`], for content that went to the sink another way. Only a body without framing can be so; for all
    /// others, and for more than is owed, [`Error::MoreThanDeclared`].
    pub fn skip(&mut self, length: u64) -> Result<(), Error> {
        let Self::Exact(left) = self else { return Err(Error::MoreThanDeclared) };
        *left = left.checked_sub(length).ok_or(Error::MoreThanDeclared)?;
        Ok(())
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
                sink.owned(Bytes::from_static(b"\r\n"));
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
                sink.owned(Bytes::from_static(b"0\r\n\r\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in the order they were handed over.
    #[derive(Default)]
    struct Wire(Vec<u8>);

    impl Sink for Wire {
        fn owned(&mut self, bytes: Bytes) {
            self.0.extend_from_slice(&bytes);
        }

        fn borrowed(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    #[test]
    fn every_framing() {
        let trailers = [("Sum", "1"), ("Content-Length", "5"), ("Host", "evil")].into_iter().collect();
        for (length, pieces, wire) in [
            (BodyLength::Empty, &["", ""][..], ""),
            (BodyLength::Exact(5), &["he", "", "llo"], "hello"),
            (BodyLength::Exact(0), &[], ""),
            (BodyLength::UntilClose, &["he", "llo"], "hello"),
            (BodyLength::Chunked, &["he", "", "llo"], "2\r\nhe\r\n3\r\nllo\r\n0\r\nSum: 1\r\n\r\n"),
            (BodyLength::Chunked, &[], "0\r\nSum: 1\r\n\r\n"),
        ] {
            for owned in [false, true] {
                let mut sink = Wire::default();
                let mut writer = BodyWriter::of(length);
                for piece in pieces {
                    let written = if owned {
                        writer.data_owned(&mut sink, Bytes::copy_from_slice(piece.as_bytes()))
                    } else {
                        writer.data(&mut sink, piece.as_bytes())
                    };
                    assert_eq!(written, Ok(()));
                }
                assert!(writer.is_complete());
                assert_eq!(writer.end(&mut sink, &trailers), Ok(()));
                assert_eq!((String::from_utf8_lossy(&sink.0), writer), (wire.into(), BodyWriter::Empty));
            }
        }
        let mut sink = Wire::default();
        assert_eq!(BodyWriter::Chunked.end(&mut sink, &Fields::new()), Ok(()));
        assert_eq!(sink.0, b"0\r\n\r\n");
    }

    #[test]
    fn neither_more_nor_less_than_declared() {
        let mut sink = Wire::default();
        assert_eq!(BodyWriter::Empty.data(&mut sink, b"a"), Err(Error::MoreThanDeclared));
        let mut writer = BodyWriter::Exact(2);
        assert_eq!(writer.data(&mut sink, b"abc"), Err(Error::MoreThanDeclared));
        assert_eq!((writer, sink.0.len()), (BodyWriter::Exact(2), 0));
        assert_eq!(writer.data(&mut sink, b"a"), Ok(()));
        assert!(!writer.is_complete());
        assert_eq!(writer.end(&mut sink, &Fields::new()), Err(Error::LessThanDeclared));
        assert_eq!(writer, BodyWriter::Exact(1));
        assert_eq!(
            (writer.skip(2), writer.skip(1), writer),
            (Err(Error::MoreThanDeclared), Ok(()), BodyWriter::Exact(0))
        );
        assert_eq!(BodyWriter::Chunked.skip(1), Err(Error::MoreThanDeclared));
    }

    #[test]
    fn size_lines() {
        for (length, line) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (usize::MAX, "ffffffffffffffff\r\n")] {
            assert_eq!(size_line(length, &mut [0; SIZE_LINE]), line.as_bytes());
        }
    }
}
