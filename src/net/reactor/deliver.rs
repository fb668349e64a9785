//! The events of a socket that the application hears: their order, and how much at once.

use super::{Reactor, connection::Phase, read::Read};
use crate::{
    app::{App, ConnId},
    net::{
        connect,
        driver::{BUDGET, Socket as _},
    },
};

impl<A: App> Reactor<A> {
    pub(super) fn visit_socket(&mut self, key: usize) {
        let Some(socket) = self.io.common.table.get_mut(key) else { return };
        socket.queued = false;
        // A stale key leads here: to a socket that has nothing to say.
        if !socket.has_work() {
            return;
        }
        let conn = socket.conn;
        match socket.phase {
            Phase::Flushing | Phase::Lingering(_) => return self.io.advance(key),
            Phase::Connecting => self.establish(key, conn),
            Phase::Open => {}
        }
        self.report_sent(key, conn);
        self.hear_input(key, conn);
        self.hear_end(key, conn);
    }

    /// A connection that we asked for: how did it go?
    fn establish(&mut self, key: usize, conn: ConnId) {
        let Some(socket) = self.io.common.table.tenant(key, conn) else { return };
        // The kernel says so when it failed. Only then it has to be asked why.
        if (socket.error || socket.at_end)
            && let Ok(Some(error)) | Err(error) = socket.stream.take_error()
        {
            return self.fail(conn, connect::kind_of(&error));
        }
        socket.error = false;
        socket.phase = Phase::Open;
        self.app.connected(&mut self.cx, conn);
        self.settle();
    }

    /// Sends what waited, and tells the application how much still does.
    fn report_sent(&mut self, key: usize, conn: ConnId) {
        if self.io.common.table.tenant(key, conn).is_none() {
            return;
        }
        self.io.flush(key);
        if let Some(socket) = self.io.common.table.tenant(key, conn)
            && std::mem::take(&mut socket.unreported)
        {
            let unsent = socket.unsent();
            self.app.sent(&mut self.cx, conn, unsent);
            self.settle();
        }
    }

    fn hear_input(&mut self, key: usize, conn: ConnId) {
        let mut heard = 0;
        while let Some(socket) = self.io.common.table.tenant(key, conn)
            && socket.can_read()
        {
            if heard >= BUDGET {
                return self.io.common.enqueue_later(key);
            }
            let (broken, splice) = (socket.broken, socket.splice.as_deref().copied());
            let found = match splice {
                None => self.io.read(key),
                Some(splice) => self.io.splice(key, splice),
            };
            self.io.report.is_older = true;
            match found {
                Read::Input(len) => {
                    heard += len;
                    let input = self.io.scratch.heard(0..len);
                    self.cx.hear(input);
                    self.app.received(&mut self.cx, conn, input);
                    self.cx.hear(&[]);
                }
                Read::Spliced { len, to } => {
                    heard += len;
                    if let Some(to) = to {
                        let input = self.io.scratch.heard(0..len);
                        self.cx.hear(input);
                        self.cx.forward(to, input);
                        self.cx.hear(&[]);
                    }
                    self.app.spliced(&mut self.cx, conn, len as u64);
                }
                Read::Drained | Read::Blocked => return,
                // An end after a failed write may be a reset that the write has used up: it must not pass for a clean one.
                Read::End if broken.is_some() => return,
                Read::End => self.app.ended(&mut self.cx, conn),
                Read::Failed(kind) => return self.fail(conn, broken.unwrap_or(kind)),
            }
            self.settle();
        }
    }

    /// The failure of a connection, once everything before it was heard.
    fn hear_end(&mut self, key: usize, conn: ConnId) {
        let Some(socket) = self.io.common.table.tenant(key, conn) else { return };
        if socket.can_read() {
            return;
        }
        let mut kind = socket.broken;
        if std::mem::take(&mut socket.error)
            && let Ok(Some(error)) | Err(error) = socket.stream.take_error()
        {
            kind = kind.or(Some(error.kind()));
        }
        if let Some(kind) = kind {
            self.fail(conn, kind);
        }
    }
}
