//! Carrying out what the application asked for in one call.
//!
//! In order; but what concerns the kernel is only noted, and asked of it together with everything else of the turn.

use super::{closing::has_unread, connection::Phase, io::Io};
use crate::{
    app::{Action, ConnId, Cx},
    buf::FilePart,
    net::driver::{Files, Finish, Told},
};
use bytes::Bytes;
use std::{io::ErrorKind, ops::Range};

/// The number of visits for which the kernel's last report is fresh; after them, a peek enters the kernel again. One
/// call tells at most 20 events of sockets (`IO_LOCAL_TW_DEFAULT_MAX`), so most turns are shorter.
pub(super) const FRESH: usize = 16;

impl Io {
    /// Carries out what the application asked for since the last time.
    pub(super) fn perform_all(&mut self, cx: &mut Cx) {
        let mut actions = self.common.take_actions(cx);
        for action in actions.drain(..) {
            self.perform(action);
        }
        self.common.give_back_actions(actions);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect(conn, to) => self.connect(conn, to),
            Action::ConnectSecured(conn, ..) => self.common.refuse(conn, ErrorKind::Unsupported),
            Action::Send(conn, bytes) => self.stage(conn, bytes),
            Action::Forward(conn, range) => self.forward(conn, range),
            Action::SendFile(conn, part) => self.stage_file(conn, part),
            Action::Splice { from, to, len } => self.begin_splice(from, to, len),
            Action::SetReading(conn, on) => self.set_reading(conn, on),
            Action::SetReads(conn, reads) => {
                if let Some((key, socket)) = self.common.table.find_mut(conn) {
                    socket.reads = reads;
                    self.touch(key);
                }
            }
            // Arrivals are noted in their order, so there is no older report than what is asked for.
            Action::Peek(conn, _) => self.peek(conn),
            Action::Progress(conn) => self.common.tell_progress(conn),
            Action::Finish(conn) => {
                if let Some((key, socket)) = self.common.table.find_mut(conn)
                    && socket.finish == Finish::No
                {
                    socket.finish = Finish::Asked;
                    self.touch(key);
                }
            }
            Action::Close(conn) | Action::HangUp(conn) => {
                if let Some((key, _)) = self.common.table.find_mut(conn) {
                    self.close(key, matches!(action, Action::Close(_)));
                }
            }
            Action::Abort(conn) => {
                if let Some((key, _)) = self.common.table.find_mut(conn) {
                    self.abort(key);
                }
            }
        }
    }

    fn stage(&mut self, conn: ConnId, bytes: Bytes) {
        if let Some((key, socket)) = self.common.table.find_mut(conn)
            && socket.finish == Finish::No
        {
            socket.queue(bytes);
            self.staged(key);
        }
    }

    fn stage_file(&mut self, conn: ConnId, part: FilePart) {
        if let Some((key, socket)) = self.common.table.find_mut(conn)
            && socket.finish == Finish::No
        {
            Files::push(&mut socket.files, part);
            self.staged(key);
        }
    }

    /// More waits to be sent. If something is being refused already, nothing will be asked of the kernel, so nothing would be
    /// heard from it: the application has to know now.
    fn staged(&mut self, key: usize) {
        self.touch(key);
        self.common.recount(key);
        let Some(socket) = self.common.table.get_mut(key) else { return };
        socket.behind |= socket.phase == Phase::Connecting;
        if socket.sending && socket.behind && socket.phase == Phase::Open {
            socket.unreported = true;
            self.common.enqueue(key);
        }
    }

    /// Carries out [`Action::Forward`]. The buffer is the kernel's again after this call, so the bytes are copied; unless
    /// they are so many that it is better to let the buffer go and offer another (see [`super::heard::Heard::keep`]). While much
    /// waits on all sockets, no byte that waits may keep a larger buffer than its own.
    fn forward(&mut self, conn: ConnId, range: Range<usize>) {
        let Some((key, socket)) = self.common.table.find_mut(conn) else { return };
        if socket.finish != Finish::No {
            return;
        }
        if range.len() < self.heard_in / 4 {
            socket.queue_copy(self.heard.part(range));
        } else if self.common.waiting.is_much() {
            socket.queue(Bytes::copy_from_slice(self.heard.part(range)));
        } else {
            socket.queue(self.heard.share(range));
        }
        self.staged(key);
    }

    fn set_reading(&mut self, conn: ConnId, on: bool) {
        if let Some((key, socket)) = self.common.table.find_mut(conn) {
            socket.paused = !on;
            let waits = socket.stash.is_some() || socket.broken.is_some();
            self.touch(key);
            if waits {
                self.common.enqueue(key);
            }
        }
    }

    /// Carries out [`Action::Peek`]. While an operation receives for a connection, there is nothing to ask: what has not been
    /// received was not there when the kernel was entered last. If that is too long ago, entering it once more renews that for
    /// all connections.
    fn peek(&mut self, conn: ConnId) {
        if self.common.visited > FRESH {
            // A failure is told when the turn ends.
            let _ = self.ring.look();
            self.common.visited = 0;
        }
        // Without `DEFER_TASKRUN` it may have received something during our last call into it.
        self.note_all();
        let Some((_, socket)) = self.common.table.find_mut(conn) else { return };
        let quiet = socket.phase == Phase::Open && !socket.ended && socket.broken.is_none() && !has_unread(socket);
        self.common.told.push_back((conn, Told::Quiet(quiet)));
    }
}
