//! The input that the application hears right now, and what it may keep of it.

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Bytes that are being heard.
pub(super) enum Heard {
    /// Nobody else refers to them.
    Own(BytesMut),
    /// Somebody may.
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

    /// A part that outlives the present call. Who keeps a part of a buffer of `size` bytes by reference keeps the whole: a
    /// quarter is the least, or a thousand slow peers would hold many times what the application was told that they hold.
    pub(super) fn keep(&mut self, range: Range<usize>, size: usize) -> Bytes {
        if range.len() >= size / 4 { self.share(range) } else { Bytes::copy_from_slice(self.part(range)) }
    }
}
