//! Carrying out what the application asked for in one call.
//!
//! In order, with one exception: bytes are only staged, and leave together when the call's actions have all been looked
//! at, so that a head and a body are one system call. Closing a connection sends its bytes first.

use super::{
    connection::{NONE, Phase},
    io::Io,
};
use crate::{
    app::{Action, ConnId, Cx, PeekBy},
    buf::relax,
    net::driver::{Finish, Told},
};
use mio::net::TcpStream;
use std::{io::ErrorKind, mem};

/// The number of visits for which the kernel's last report is fresh. Behind a longer queue a peek asks for another
/// one: a tenth of a millisecond is long enough for a pooled connection to end.
pub(super) const FRESH: usize = 32;

impl Io {
    /// Carries out what the application asked for since the last time.
    pub(super) fn perform_all(&mut self, cx: &mut Cx) {
        let actions = self.common.take_actions(cx);
        if !actions.is_empty() {
            self.chain.resize(actions.len(), NONE);
            for (at, action) in actions.iter().enumerate() {
                self.perform(at, action, &actions);
            }
            let mut touched = mem::take(&mut self.touched);
            for key in touched.drain(..) {
                self.send_staged(key, &actions);
            }
            self.touched = touched;
            self.with_files = false;
            self.scratch.renew();
            self.chain.clear();
            relax(&mut self.chain);
            relax(&mut self.touched);
        }
        self.common.give_back_actions(actions);
    }

    fn perform(&mut self, at: usize, action: &Action, actions: &[Action]) {
        match *action {
            Action::Connect(conn, to) => self.connect(conn, to),
            Action::ConnectSecured(conn, ..) => self.common.refuse(conn, ErrorKind::Unsupported),
            Action::Send(conn, _) | Action::Forward(conn, _) => self.stage(at, conn),
            Action::SendFile(conn, _) => {
                self.with_files = true;
                self.stage(at, conn);
            }
            Action::Splice { from, to, len } => self.begin_splice(from, to, len),
            Action::SetReading(conn, on) => self.set_reading(conn, on),
            Action::SetReads(conn, reads) => {
                if let Some((_, socket)) = self.common.table.find_mut(conn) {
                    socket.reads = reads;
                }
            }
            Action::Peek(conn, by) => self.peek(conn, by),
            Action::Progress(conn) => self.common.tell_progress(conn),
            Action::Finish(conn) => self.finish(conn),
            Action::Close(conn) | Action::HangUp(conn) => {
                if let Some((key, socket)) = self.common.table.find_mut(conn) {
                    socket.linger = matches!(action, Action::Close(_));
                    self.send_staged(key, actions);
                    self.close(key);
                }
            }
            Action::Abort(conn) => {
                if let Some((key, _)) = self.common.table.find_mut(conn) {
                    self.abort(key);
                }
            }
        }
    }

    /// Puts the bytes of the action at `at` behind those that the call has for the same socket already.
    fn stage(&mut self, at: usize, conn: ConnId) {
        let Some((key, socket)) = self.common.table.find_mut(conn) else { return };
        if socket.finish != Finish::No {
            return;
        }
        let at = u32::try_from(at).expect("a call does not ask for 2^32 things");
        match mem::replace(&mut socket.staged.1, at) {
            NONE => {
                socket.staged.0 = at;
                self.touched.push(key);
            }
            last => self.chain[last as usize] = at,
        }
    }

    fn set_reading(&mut self, conn: ConnId, on: bool) {
        if let Some((key, socket)) = self.common.table.find_mut(conn) {
            socket.paused = !on;
            // The kernel does not repeat what it reported while the connection was paused.
            self.common.enqueue(key);
        }
    }

    fn finish(&mut self, conn: ConnId) {
        if let Some((key, socket)) = self.common.table.find_mut(conn)
            && socket.finish == Finish::No
        {
            socket.finish = Finish::Asked;
            self.touched.push(key);
        }
    }

    /// Carries out [`Action::Peek`]. The kernel's last report answers it: bytes that it did not name came later than those that the
    /// application acts on. If they may have come before, another report is asked for, and answers the next peeks as well.
    fn peek(&mut self, conn: ConnId, by: PeekBy) {
        if self.common.visited > FRESH || by == PeekBy::Asking && self.report.is_older {
            self.look();
        }
        let Some((_, socket)) = self.common.table.find_mut(conn) else { return };
        let mut quiet = socket.phase == Phase::Open && !socket.ended && socket.broken.is_none();
        if quiet && (socket.readable || self.report.is_cut) {
            // An error that was found only by looking is told apart from bytes and an end when it is next heard.
            quiet = matches!(peek(&socket.stream), Ok(false));
            socket.readable = !quiet;
        }
        self.common.told.push_back((conn, Told::Quiet(quiet)));
    }
}

/// Whether a read would find something, an end included.
pub(super) fn peek(stream: &TcpStream) -> Result<bool, ErrorKind> {
    loop {
        match stream.peek(&mut [0]) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.kind()),
        }
    }
}
