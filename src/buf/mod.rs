//! Bytes on their way out.

use bytes::Bytes;

/// A queue of bytes to be sent.
#[derive(Debug, Default)]
pub struct Output {}

/// Where framed bytes go.
pub trait Sink {
    /// Hands over bytes.
    fn owned(&mut self, bytes: Bytes);
    /// Hands over bytes that the callee copies or refers to.
    fn borrowed(&mut self, bytes: &[u8]);
}
