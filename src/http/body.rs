//! A body being read, whatever delimits it.

use super::{BodyLength, Error, Fields, Limits, chunked::Chunked, parse::Side};

#[derive(Debug)]
pub(super) enum Body {
    /// The number of bytes that are left.
    Exact(u64),
    Chunked(Chunked),
    /// The number of bytes that were seen.
    UntilClose(u64),
}

/// Pieces of content shorter than this are put together with their neighbours ([`Body::gather`]): each piece that is
/// handed on costs about what it takes to copy so many bytes.
pub(super) const SHORT: usize = 4 * 1024;

/// The most bytes that are put together: they stay in the processor's cache, and a slow peer waits for no more than
/// this.
const GATHERED: usize = 64 * 1024;

/// A piece of a body, or its end.
#[derive(Debug)]
pub(super) enum Piece<'i> {
    Data(&'i [u8]),
    End(Fields),
}

impl Body {
    /// [`Error::BodyTooLarge`] if that is already known.
    pub(super) fn new(length: BodyLength, side: Side, limits: &Limits) -> Result<Self, Error> {
        match length {
            BodyLength::Empty => Ok(Self::Exact(0)),
            BodyLength::Exact(length) if length > limits.body => Err(Error::BodyTooLarge),
            BodyLength::Exact(length) => Ok(Self::Exact(length)),
            BodyLength::Chunked => Ok(Self::Chunked(Chunked::new(side))),
            BodyLength::UntilClose => Ok(Self::UntilClose(0)),
        }
    }

    /// Bytes that are still to come, if that is known and all of them are content.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Exact(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose(_) => None,
        }
    }

    /// `length` bytes of content went another way.
    pub(super) fn skip(&mut self, length: u64) {
        if let Self::Exact(left) = self {
            *left = left.saturating_sub(length);
        }
    }

    /// `first`, a piece that was just read, and the short ones that follow it in `input`: put together in `content` if
    /// there are any. So a body that a peer cuts into chunks of one byte costs as much as its bytes, not as much as its
    /// pieces. The second value says whether the body goes on without a fault behind them.
    pub(super) fn gather<'g>(
        &mut self,
        first: &'g [u8],
        input: &mut &[u8],
        limits: &Limits,
        content: &'g mut Vec<u8>,
    ) -> (&'g [u8], Result<(), Error>) {
        match self {
            Self::Chunked(chunked) if first.len() < SHORT && !input.is_empty() => {
                content.clear();
                content.extend_from_slice(first);
                let ended = chunked.gather(input, limits, content, GATHERED);
                (content, ended)
            }
            Self::Chunked(_) | Self::Exact(_) | Self::UntilClose(_) => (first, Ok(())),
        }
    }

    /// Reads on. `None`: all of `input` was used and the body goes on.
    pub(super) fn next<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Result<Option<Piece<'i>>, Error> {
        match self {
            Self::Exact(0) => Ok(Some(Piece::End(Fields::new()))),
            Self::Exact(left) => {
                let length = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let (data, rest) = input.split_at(length);
                *input = rest;
                *left -= length as u64;
                Ok((length > 0).then_some(Piece::Data(data)))
            }
            Self::Chunked(chunked) => chunked.next(input, limits),
            Self::UntilClose(seen) => {
                let data = std::mem::take(input);
                *seen = seen.saturating_add(data.len() as u64);
                if *seen > limits.body {
                    return Err(Error::BodyTooLarge);
                }
                Ok((!data.is_empty()).then_some(Piece::Data(data)))
            }
        }
    }
}
