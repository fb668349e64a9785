//! Reading: one `recv`, and what its result says about the next.

use super::io::Io;
use crate::app::ConnId;
use std::io::{ErrorKind, Read as _};

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Bytes at the start of the scratch: how many.
    Input(usize),
    /// Bytes that went the way that a splice wants them to: how many. With `to`, they are at the start of the scratch and still have
    /// to be sent there.
    Spliced { len: usize, to: Option<ConnId> },
    /// The receiver takes no more.
    Blocked,
    /// Nothing for now.
    Drained,
    /// The peer sends nothing more.
    End,
    /// The connection is broken.
    Failed(ErrorKind),
}

impl Io {
    /// Reads once, into the scratch.
    ///
    /// A read that found less than it asked for has emptied the kernel's buffer, so asking again would only cost a call
    /// to hear "would block": the next byte brings a new event (epoll(7), question 9). Unless the kernel announced the
    /// end: that is behind the bytes, and was reported with them.
    pub(super) fn read(&mut self, key: usize) -> Read {
        self.read_most(key, usize::MAX)
    }

    /// As [`Io::read`], but no more than `most` bytes.
    pub(super) fn read_most(&mut self, key: usize, most: usize) -> Read {
        let Some(socket) = self.common.table.get_mut(key) else { return Read::Drained };
        // While much waits to be sent, no connection adds a large piece to it.
        let size = self.common.waiting.limit(self.common.config.size_of(socket.reads));
        let size = size.min(most);
        let room = self.scratch.room(size);
        loop {
            return match (&socket.stream).read(room) {
                Ok(0) => {
                    socket.ended = true;
                    socket.readable = false;
                    Read::End
                }
                Ok(len) => {
                    socket.readable = len == size || socket.at_end;
                    Read::Input(len)
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    socket.readable = false;
                    Read::Drained
                }
                Err(error) => Read::Failed(error.kind()),
            };
        }
    }
}
