//! Bytes on their way out: [`Output`] keeps what the peer has not taken yet, [`Sink`] is where framing writes to.

mod output;

pub use output::Output;

use bytes::Bytes;

/// Where framed bytes go: into an [`Output`], or straight to a connection.
///
/// Two verbs, because the callee may keep the first by reference for nothing, and has to look at the second: it may be
/// part of the input being heard, which a driver sends on without a copy.
pub trait Sink {
    /// Bytes that the callee may keep.
    fn owned(&mut self, bytes: Bytes);
    /// Bytes that the callee copies, unless it finds another way, before it returns.
    fn borrowed(&mut self, bytes: &[u8]);
}
