//! A wire between two ends in memory, one of which belongs to a crate that wants an asynchronous one.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One of the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Ours.
    Near,
    /// The other crate's.
    Far,
}

/// Bytes on their way, those of each end apart.
#[derive(Debug, Clone, Default)]
pub struct Wire(Rc<RefCell<[Vec<u8>; 2]>>);

impl Wire {
    /// Bytes that this end sends.
    pub fn give(&self, end: End, bytes: &[u8]) {
        self.0.borrow_mut()[end as usize].extend_from_slice(bytes);
    }

    /// All bytes that this end has sent and that were not taken.
    pub fn take(&self, end: End) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut()[end as usize])
    }
}

/// The far end, as the other crate sees it. It is never woken: it is asked again and again.
#[derive(Debug)]
pub struct Far(pub Wire);

impl AsyncRead for Far {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wires = self.0.0.borrow_mut();
        let from = &mut wires[End::Near as usize];
        if from.is_empty() {
            return Poll::Pending;
        }
        let length = from.len().min(into.remaining());
        into.put_slice(&from[..length]);
        from.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Far {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.give(End::Far, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
