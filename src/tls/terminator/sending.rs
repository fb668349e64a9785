//! From what the application asks for to what the driver gets.
//!
//! ```text
//!   Send, Forward    small pieces of one call are gathered, and sealed as one record; large ones are sealed where they lie
//!   ConnectSecured   is a Connect for the driver, and a link that waits for it here
//!   SendFile         breaks the connection: nothing here reads files, and what is not sealed may not leave
//!   Splice            is ours: the other connection's bytes are heard here, sealed, and told as `spliced`
//!   Finish           everything is sealed, then close_notify, then Finish
//!   Close, HangUp    the same; the name is stale already, which the driver does not mind
//!   Abort            goes as it is: a peer that sees no close_notify knows that something broke
//!   others           go as they are
//! ```
//!
//! More than [`AHEAD`] is not sealed for a peer that does not take it. The rest waits as plaintext, and the application is told that it
//! is unsent: its backpressure works as without us.

use super::{
    Terminator,
    link::{AHEAD, Link, Links, Stage},
};
use crate::{
    app::{Action, App, ConnId, Cx},
    buf::{FilePart, Readable, relax},
    time::Instant,
    tls::session::RECORD,
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    mem,
    sync::Arc,
};

/// Pieces that are looked at to make one record of them.
const PIECES: usize = 16;

/// Bytes that the application has just been told, which `Forward` speaks of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    /// They lie in the driver's buffer, so that it can forward them itself.
    is_drivers: bool,
}

impl<'a> Input<'a> {
    pub(super) const NONE: Self = Self { bytes: &[], is_drivers: true };

    pub(super) fn of_driver(bytes: &'a [u8]) -> Self {
        Self { bytes, is_drivers: true }
    }

    /// Decrypted bytes.
    pub(super) fn of_ours(bytes: &'a [u8]) -> Self {
        Self { bytes, is_drivers: false }
    }
}

/// Bytes to be sealed.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Owned(Bytes),
    Lent(&'a [u8]),
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Lent(bytes) => bytes,
        }
    }
}

/// Takes the place of a file on a protected connection. The driver finds that it cannot be read, and resets the connection.
#[derive(Debug)]
struct Unsealed;

impl Readable for Unsealed {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Actions for the driver, in the making.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// In order.
    ready: Vec<Action>,
    /// Small pieces for one connection.
    gathered: Vec<u8>,
    gathering: Option<ConnId>,
    /// Connections that go on in the next turn.
    put_off: VecDeque<ConnId>,
    /// The driver has to call again for them.
    again: bool,
    /// Actions that the application asked for; kept for its memory.
    asked: Vec<Action>,
}

impl Outgoing {
    /// An action for the driver, behind all others.
    pub(super) fn pass(&mut self, action: Action) {
        self.ready.push(action);
    }

    /// Records that are sealed already.
    pub(super) fn send(&mut self, conn: ConnId, records: Vec<u8>) {
        if !records.is_empty() {
            self.pass(Action::Send(conn, records.into()));
        }
    }

    pub(super) fn call_again(&mut self) {
        self.again = true;
    }

    pub(super) fn put_off(&mut self, link: &mut Link) {
        if !mem::replace(&mut link.put_off, true) {
            self.put_off.push_back(link.conn);
        }
        self.again = true;
    }

    /// Seals what was gathered.
    fn settle(&mut self, links: &mut Links) {
        let Some(conn) = self.gathering.take() else { return };
        if let Some(link) = links.get(conn)
            && !self.gathered.is_empty()
        {
            let gathered = mem::take(&mut self.gathered);
            self.seal(link, &gathered);
            self.gathered = gathered;
        }
        self.gathered.clear();
        relax(&mut self.gathered);
    }

    fn seal(&mut self, link: &mut Link, plain: &[u8]) {
        let (conn, mut records) = (link.conn, Vec::new());
        let Some(session) = link.session() else { return };
        // A failure of sealing means that the connection has failed before: that is told when it is next heard.
        if session.seal(plain, &mut records).is_ok() {
            link.sealed(records.len());
            self.send(conn, records);
        }
    }

    /// Takes bytes for a connection: seals as much as may be.
    pub(super) fn put(&mut self, links: &mut Links, conn: ConnId, piece: Piece<'_>, now: Instant) {
        if self.gathering != Some(conn) {
            self.settle(links);
            self.gathering = Some(conn);
        }
        let Some(link) = links.get(conn).filter(|link| !link.finished) else { return };
        let len = piece.bytes().len();
        let room = if link.held.is_empty() && !link.is_shaking() { link.room(now) } else { 0 };
        if len < RECORD && room > 0 {
            self.gathered.extend_from_slice(piece.bytes());
            if self.gathered.len() >= RECORD {
                self.settle(links);
            }
            return;
        }
        // In order: what was gathered is before this.
        self.settle(links);
        let Some(link) = links.get(conn) else { return };
        let now_sealed = room.min(len);
        if now_sealed > 0 {
            self.seal(link, &piece.bytes()[..now_sealed]);
        }
        if now_sealed < len {
            match piece {
                Piece::Owned(bytes) => link.held.push(bytes.slice(now_sealed..)),
                Piece::Lent(bytes) => link.held.extend(&bytes[now_sealed..]),
            }
            self.put_off(link);
        }
    }

    /// Seals from what was held, at most `room` bytes.
    pub(super) fn pump(&mut self, link: &mut Link, mut room: usize) {
        let conn = link.conn;
        while room > 0 && !link.held.is_empty() {
            let Stage::Open(session) = &mut link.stage else { return };
            let mut slices = [IoSlice::new(&[]); PIECES];
            let filled = link.held.io_slices(&mut slices);
            let mut records = Vec::new();
            let len = if filled == 1 || slices[0].len() >= RECORD {
                let len = slices[0].len().min(room).min(AHEAD);
                let _ = session.seal(&slices[0][..len], &mut records);
                len
            } else {
                self.gathered.clear();
                for slice in &slices[..filled] {
                    let take = slice.len().min(RECORD.min(room) - self.gathered.len());
                    self.gathered.extend_from_slice(&slice[..take]);
                }
                let _ = session.seal(&self.gathered, &mut records);
                self.gathered.len()
            };
            self.gathered.clear();
            link.held.consume(len);
            link.sealed(records.len());
            self.send(conn, records);
            room -= len;
        }
    }

    /// Seals everything, and says that nothing more comes. All at once: the name of the connection is stale with the call that closes it, so
    /// there is no later turn. It is bounded, because the application does not run ahead of its peer: of one step of a stored body, which is
    /// no more than [`AHEAD`], nearly all was sealed when it came, and its backpressure lets no more wait than a large read.
    pub(super) fn finish(&mut self, links: &mut Links, conn: ConnId) {
        self.settle(links);
        let Some(link) = links.get(conn) else { return };
        self.pump(link, usize::MAX);
        let mut records = Vec::new();
        if !mem::replace(&mut link.finished, true)
            && let Some(session) = link.session()
            && session.close_notify(&mut records).is_ok()
        {
            self.send(conn, records);
        }
    }
}

impl<A: App> Terminator<A> {
    /// Calls the application, and has what it asks for ready for the driver.
    pub(super) fn tell(&mut self, cx: &mut Cx, input: Input<'_>, call: impl FnOnce(&mut A, &mut Cx)) {
        call(&mut self.app, cx);
        // Without connections of ours, everything goes as it is; unless one may just have been asked for.
        if self.servers.is_empty() && self.links.is_empty() && self.splices.is_empty() && self.outgoing.ready.is_empty()
        {
            return;
        }
        let mut asked = mem::take(&mut self.outgoing.asked);
        cx.take_actions(&mut asked);
        for action in asked.drain(..) {
            self.translate(action, input, cx.now());
        }
        relax(&mut asked);
        self.outgoing.asked = asked;
    }

    fn translate(&mut self, action: Action, input: Input<'_>, now: Instant) {
        let Self { links, outgoing, splices, servers, .. } = self;
        match action {
            Action::Send(conn, bytes) if links.has(conn) => outgoing.put(links, conn, Piece::Owned(bytes), now),
            Action::Forward(conn, range) if links.has(conn) => {
                outgoing.put(links, conn, Piece::Lent(&input.bytes[range]), now);
            }
            Action::Forward(conn, range) if !input.is_drivers => {
                outgoing.pass(Action::Send(conn, Bytes::copy_from_slice(&input.bytes[range])));
            }
            Action::Splice { from, to, len } if links.has(from) || links.has(to) => splices.begin(from, to, len),
            Action::SendFile(conn, part) if links.has(conn) => {
                outgoing.settle(links);
                outgoing.pass(Action::SendFile(conn, FilePart { file: Arc::new(Unsealed), ..part }));
            }
            Action::ConnectSecured(conn, to, id, first) => self.dial(conn, to, (id, first), now),
            Action::Finish(conn) => {
                outgoing.finish(links, conn);
                outgoing.pass(Action::Finish(conn));
            }
            Action::Close(conn) | Action::HangUp(conn) => {
                outgoing.finish(links, conn);
                servers.count_given_up(links.remove(conn));
                splices.end(conn);
                outgoing.pass(action);
            }
            Action::Abort(conn) => {
                servers.count_given_up(links.remove(conn));
                splices.end(conn);
                outgoing.pass(action);
            }
            Action::Send(..)
            | Action::Forward(..)
            | Action::SendFile(..)
            | Action::Splice { .. }
            | Action::Connect(..)
            | Action::SetReading(..)
            | Action::SetReads(..)
            | Action::Peek(..)
            | Action::Progress(_) => outgoing.pass(action),
        }
    }

    /// The call is over: the driver gets what is ready.
    pub(super) fn flush(&mut self, cx: &mut Cx) {
        self.outgoing.settle(&mut self.links);
        for action in self.outgoing.ready.drain(..) {
            cx.pass_on(action);
        }
        relax(&mut self.outgoing.ready);
        if mem::take(&mut self.outgoing.again) {
            cx.call_again();
        }
    }

    /// The driver took some of what was sealed, or all: more is sealed, and the application is told.
    pub(super) fn took(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        let Some(link) = self.links.get(conn) else { return };
        link.told(unsent);
        self.go_on_sending(cx, conn);
    }

    fn go_on_sending(&mut self, cx: &mut Cx, conn: ConnId) {
        self.outgoing.settle(&mut self.links);
        let Some(link) = self.links.get(conn).filter(|link| !link.is_shaking()) else { return };
        let room = link.room(cx.now());
        self.outgoing.pump(link, room);
        // The driver is silent while everything leaves at once: then the next turn goes on.
        if !link.held.is_empty() && link.unsent <= AHEAD / 2 {
            self.outgoing.put_off(link);
        }
        let unsent = link.total_unsent();
        self.tell(cx, Input::NONE, |app, cx| app.sent(cx, conn, unsent));
    }

    /// A new turn: connections go on that had their share of the last one.
    pub(super) fn go_on_with_put_off(&mut self, cx: &mut Cx) {
        for conn in mem::take(&mut self.outgoing.put_off) {
            if let Some(link) = self.links.get(conn) {
                link.put_off = false;
                let unsent = link.unsent;
                link.told(unsent);
                self.go_on_sending(cx, conn);
            }
        }
    }
}
