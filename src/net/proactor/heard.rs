//! The input that the application hears right now, and what it may keep of it.

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Bytes that are being heard.
pub(super) enum Heard {
    /// There is no other reference to them.
    Own(BytesMut),
    /// There may be others.
    Shared(Bytes),
}

impl Heard {
    pub(super) fn nothing() -> Self {
        Self::Shared(Bytes::new())
    }

    pub(super) fn part(&self, range: Range<usize>) -> &[u8] {
        match self {
            Self::Own(bytes) => &bytes[range],
            Self::Shared(bytes) => &bytes[range],
        }
    }

    /// A part, by reference: it outlives the present call.
    pub(super) fn share(&mut self, range: Range<usize>) -> Bytes {
        if let Self::Own(bytes) = self {
            *self = Self::Shared(std::mem::take(bytes).freeze());
        }
        match self {
            Self::Shared(bytes) => bytes.slice(range),
            Self::Own(_) => unreachable!("was made shared above"),
        }
    }

    /// A part that outlives the present call. A reference to a part of a buffer of `size` bytes keeps the whole buffer.
    /// So only parts of at least a quarter are kept by reference, or a thousand slow peers would hold many times the
    /// memory that the application was told of.
    pub(super) fn keep(&mut self, range: Range<usize>, size: usize) -> Bytes {
        if range.len() >= size / 4 { self.share(range) } else { Bytes::copy_from_slice(self.part(range)) }
    }
}
