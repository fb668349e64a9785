//! Splicing: what one socket sends goes to another, and the application only hears how much.

use super::{
    connection::{Phase, Piped, Splice},
    io::Io,
    read::Read,
    write::drain_pipe,
};
use crate::{
    app::ConnId,
    net::driver::{Finish, Moved, Pipe, Socket as _, is_unsupported},
};

impl Io {
    /// Carries out [`crate::app::Action::Splice`].
    pub(super) fn begin_splice(&mut self, from: ConnId, to: ConnId, len: u64) {
        if let Some((key, socket)) = self.common.table.find_mut(from) {
            debug_assert!(socket.splice.is_none(), "one splice at a time");
            socket.splice = Some(Box::new(Splice { to, left: len }));
            self.common.enqueue(key);
        }
    }

    /// One step of a splice from the socket with this key.
    pub(super) fn splice(&mut self, key: usize, splice: Splice) -> Read {
        // Its last bytes must not wait for room in a pipe: until they are through, the application does not hear that
        // it is broken.
        let breaking = self.common.table.get_mut(key).is_some_and(|sender| sender.is_breaking());
        let Some((receiver, socket)) = self.common.table.find_mut(splice.to) else {
            // The other side is gone: what comes now is heard.
            self.count_spliced(key, splice.left);
            return self.read(key);
        };
        let open = socket.phase == Phase::Open && socket.finish == Finish::No && socket.broken.is_none();
        // Bytes that are queued leave first.
        if open && !breaking && socket.output.is_empty() && socket.files.is_none() {
            // A pipe takes a lot at once. While much waits on all sockets, none is added to that.
            let much = self.common.waiting.is_much();
            if much && socket.piped.is_some() {
                return Read::Blocked;
            }
            let pipe = socket.piped.take().map(|piped| piped.pipe);
            let pipe = pipe.or_else(|| if much { None } else { self.common.pipes.take(self.common.now) });
            if let Some(pipe) = pipe {
                return self.splice_through(pipe, key, receiver, splice);
            }
        }
        self.splice_copying(key, splice)
    }

    fn splice_copying(&mut self, key: usize, splice: Splice) -> Read {
        match self.read_most(key, usize::try_from(splice.left).unwrap_or(usize::MAX)) {
            Read::Input(len) => {
                self.count_spliced(key, len as u64);
                Read::Spliced { len, to: Some(splice.to) }
            }
            other => other,
        }
    }

    /// Fills the pipe, and empties it as far as the receiver takes it.
    fn splice_through(&mut self, mut pipe: Pipe, key: usize, receiver: usize, splice: Splice) -> Read {
        let Some(sender) = self.common.table.get_mut(key) else { return Read::Drained };
        let from = sender.conn;
        let (before, full) = (pipe.len(), pipe.is_full());
        let filled = if full { Ok(Moved::Nothing) } else { pipe.fill(&sender.stream, splice.left) };
        let found = match filled {
            Ok(Moved::Bytes(len)) => Read::Spliced { len, to: None },
            Ok(Moved::End) => {
                sender.ended = true;
                sender.readable = false;
                Read::End
            }
            Ok(Moved::Nothing) if full => Read::Blocked,
            Ok(Moved::Nothing) if before == 0 => {
                sender.readable = false;
                Read::Drained
            }
            // Is the socket empty, or has the pipe no room for more pieces? Reading tells.
            Ok(Moved::Nothing) => {
                self.keep_piped(receiver, pipe, from);
                return self.splice_copying(key, splice);
            }
            Err(error) if is_unsupported(&error) => {
                self.common.pipes.give_up();
                self.keep_piped(receiver, pipe, from);
                return self.splice_copying(key, splice);
            }
            Err(error) => Read::Failed(error.kind()),
        };
        self.keep_piped(receiver, pipe, from);
        if let Read::Spliced { len, .. } = found {
            self.count_spliced(key, len as u64);
            self.empty_pipe(receiver, before);
        }
        found
    }

    /// Sends on what was just taken. `before`: so many bytes waited already.
    fn empty_pipe(&mut self, receiver: usize, before: usize) {
        let Some(socket) = self.common.table.get_mut(receiver) else { return };
        if socket.writable {
            match drain_pipe(socket, &mut self.common.pipes, self.common.now) {
                Ok(taken) => {
                    socket.written += taken as u64;
                    socket.unreported |= before > 0;
                }
                Err(error) => socket.broke(error.kind()),
            }
        }
        socket.unreported |= socket.unsent() > 0;
        self.common.recount(receiver);
        self.common.enqueue(receiver);
    }

    fn keep_piped(&mut self, receiver: usize, pipe: Pipe, from: ConnId) {
        match self.common.table.get_mut(receiver) {
            Some(socket) if pipe.len() > 0 => socket.piped = Some(Box::new(Piped { pipe, from })),
            _ => self.common.pipes.give_back(pipe, self.common.now),
        }
    }

    /// Counts `len` bytes of a splice as done. With the last, it is over.
    fn count_spliced(&mut self, key: usize, len: u64) {
        let Some(socket) = self.common.table.get_mut(key) else { return };
        match socket.splice.as_deref_mut().filter(|splice| splice.left > len) {
            Some(splice) => splice.left -= len,
            None => socket.splice = None,
        }
    }
}
