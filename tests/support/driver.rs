//! Our end of every fake connection: what a driver does for an [`App`], by the letter of its contract.

use super::{
    link::{Link, Ours, Theirs, Then},
    world::{Event, Ready, Way, Worker, World},
};
use bytes::Bytes;
use socket_patterns::{
    app::{Action, App, ConnId, Cx, ListenerId, Origin, Progress, Reads},
    buf::{FilePart, Unreadable},
};
use std::{io, net::SocketAddr, time::Duration};

/// The bytes that a driver reads at once: while heads flow, while a body waits with us, and while a long one is passed on.
const SCRATCH: usize = 16 * 1024;
const MEDIUM_SCRATCH: usize = 64 * 1024;
const BULK_SCRATCH: usize = 256 * 1024;

/// How long a driver reads and discards after `Close` and the last byte (RFC 9112 §9.6), and how long it waits for a peer
/// to take what is left.
const LINGER: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(30);

/// A send of this many bytes is reported to the application even if all of it left at once.
const CONFIRMED: usize = 1024 * 1024;

/// How requests begin that must not be executed twice.
const UNREPEATABLE: [&[u8]; 2] = [b"POST ", b"PATCH "];

/// Errors that a connect may meet before anything is sent.
const LOCAL_ERRORS: [io::ErrorKind; 3] =
    [io::ErrorKind::AddrNotAvailable, io::ErrorKind::NetworkUnreachable, io::ErrorKind::Other];

/// How long a kernel tries to connect, and to be heard on a silent connection.
pub const KERNEL_CONNECT: Duration = Duration::from_secs(127);
pub const KERNEL_SILENCE: Duration = Duration::from_secs(924);

impl<A: App> World<A> {
    /// Calls the application, then does what it asked for.
    pub(super) fn call(&mut self, worker: usize, what: impl FnOnce(&mut A, &mut Cx)) {
        let Worker { app, cx, .. } = &mut self.workers[worker];
        what(app, cx);
        self.carry_out(worker, &[]);
        self.tell_ready();
    }

    /// Events that follow from calls are told after them, never from within.
    fn tell_ready(&mut self) {
        while let Some(ready) = self.ready.pop_front() {
            match ready {
                Ready::Sent(id) => self.tell_sent(id),
                Ready::Peeked(id, quiet) => self.tell_peeked(id, quiet),
                Ready::Progressed(id, progress) => self.tell_progressed(id, progress),
                Ready::Cut(id, conn, why) => self.cut_short(id, conn, why),
            }
        }
    }

    /// The listener accepts link `id`.
    pub(super) fn accept(&mut self, id: usize) {
        let worker = self.links[id].worker;
        let conn = self.workers[worker].cx.allocate();
        self.name(conn, id);
        self.seen.accepted += 1;
        self.links[id].ours = Ours::Open;
        let number = u16::try_from(id).unwrap_or(u16::MAX);
        let peer = SocketAddr::from(([192, 0, 2, (id % 200) as u8], number));
        self.trace.note(self.now, [3, conn.index(), 0], || format!("app  accepted {conn:?}"));
        self.call(worker, |app, cx| {
            app.accepted(cx, conn, Origin { listener: ListenerId(0), peer, local: None, secure: None })
        });
        self.plan_read(id);
    }

    /// Whether a worker may have another client, if need be after its application was asked to close one.
    pub(super) fn make_room(&mut self, worker: usize) -> bool {
        if self.clients_of(worker) < self.most_clients {
            return true;
        }
        self.trace.note(self.now, [13, worker, 0], || format!("app  crowded {worker}"));
        self.call(worker, |app, cx| app.crowded(cx));
        let room = self.clients_of(worker) < self.most_clients;
        self.seen.made_room += usize::from(room);
        room
    }

    /// Accepted connections that are not closed yet.
    fn clients_of(&self, worker: usize) -> usize {
        if self.most_clients == usize::MAX {
            return 0;
        }
        let takes_a_place = |link: &&Link| match link.ours {
            Ours::Open => link.to.is_none(),
            Ours::Lingering => link.to.is_none() && !(link.heard_out && link.unsent_len == 0),
            Ours::Opening | Ours::Gone => false,
        };
        self.links.iter().filter(|link| link.worker == worker).filter(takes_a_place).count()
    }

    pub(super) fn established(&mut self, id: usize) {
        let link = &mut self.links[id];
        let Some(conn) = link.conn.filter(|_| link.ours == Ours::Opening) else { return };
        link.ours = Ours::Open;
        let worker = link.worker;
        self.trace.note(self.now, [4, conn.index(), 0], || format!("app  connected {conn:?}"));
        self.call(worker, |app, cx| app.connected(cx, conn));
        if self.links[id].unsent_len > 0 {
            self.flush(id);
            self.tell_sent(id);
        }
        self.plan_read(id);
    }

    /// One read of link `id`: bytes, else the end, else the error.
    pub(super) fn read(&mut self, id: usize) {
        let link = &mut self.links[id];
        let Some(conn) = link.conn.filter(|_| link.ours == Ours::Open) else { return };
        if !link.reading && !link.notices_error() {
            return;
        }
        self.last_words = !link.reading;
        self.read_once(id, conn);
        self.last_words = false;
    }

    fn read_once(&mut self, id: usize, conn: ConnId) {
        let link = &mut self.links[id];
        let scratch = match link.reads {
            Reads::Small => SCRATCH,
            Reads::Medium => MEDIUM_SCRATCH,
            Reads::Large => BULK_SCRATCH,
        };
        let splice = link.splice.filter(|(to, _)| self.workers[link.worker].by_conn.contains_key(to));
        link.splice = splice;
        let most = scratch.min(splice.map_or(usize::MAX, |(_, left)| usize::try_from(left).unwrap_or(usize::MAX)));
        let most = self.weather.pieces.of(link.inbound.arrived().min(most), &mut self.random);
        let input = link.inbound.take(most);
        if !input.is_empty() {
            link.used = true;
            link.notice_junk();
            match splice {
                None => self.received(id, conn, &input),
                Some((to, left)) => self.spliced(id, conn, &input, to, left),
            }
            self.plan_refill(id, Way::In);
            self.plan_read(id);
        } else if link.inbound.take_end() {
            let worker = link.worker;
            self.trace.note(self.now, [6, conn.index(), 0], || format!("app  ended {conn:?}"));
            self.call(worker, |app, cx| app.ended(cx, conn));
            self.plan_read(id);
        } else if let Some(error) = link.error {
            self.fail(id, error);
        }
    }

    fn received(&mut self, id: usize, conn: ConnId, input: &[u8]) {
        self.trace.note(self.now, [5, conn.index(), input.len()], || {
            format!("app  received {conn:?} {} {}", input.len(), excerpt(input))
        });
        debug_assert!(self.is_open(id));
        let worker = self.links[id].worker;
        let Worker { app, cx, .. } = &mut self.workers[worker];
        cx.hear(input);
        app.received(cx, conn, input);
        cx.hear(&[]);
        self.carry_out(worker, input);
        self.tell_ready();
    }

    /// A part of a splice is a `Forward` and a word about it: no application can tell whether the bytes were copied.
    fn spliced(&mut self, id: usize, conn: ConnId, input: &[u8], to: ConnId, left: u64) {
        self.trace.note(self.now, [11, conn.index(), input.len()], || {
            format!("app  spliced {conn:?} {} of {left} to {to:?}", input.len())
        });
        let moved = input.len() as u64;
        self.seen.spliced += input.len();
        self.links[id].splice = (left > moved).then(|| (to, left - moved));
        let worker = self.links[id].worker;
        let Worker { app, cx, .. } = &mut self.workers[worker];
        cx.hear(input);
        cx.forward(to, input);
        cx.hear(&[]);
        app.spliced(cx, conn, moved);
        self.carry_out(worker, input);
        self.tell_ready();
    }

    /// The driver ends a connection. Its name stays until the application has heard so, and no longer.
    pub(super) fn fail(&mut self, id: usize, error: io::ErrorKind) {
        let link = &mut self.links[id];
        let Some(conn) = link.conn.filter(|_| matches!(link.ours, Ours::Opening | Ours::Open)) else { return };
        link.ours = Ours::Gone;
        link.drop_unsent();
        let worker = link.worker;
        self.workers[worker].by_conn.remove(&conn);
        self.seen.failed += 1;
        assert!(self.workers[worker].cx.is_open(conn), "the name was stale before the driver ended it");
        self.trace.note(self.now, [7, conn.index(), 0], || format!("app  failed {conn:?} {error:?}"));
        self.call(worker, |app, cx| {
            app.failed(cx, conn, error);
            cx.release(conn);
        });
    }

    fn tell_sent(&mut self, id: usize) {
        let link = &mut self.links[id];
        let Some(conn) = link.conn.filter(|_| link.ours == Ours::Open) else { return };
        link.reported = link.unsent_len;
        let (worker, unsent) = (link.worker, link.unsent_len);
        self.trace.note(self.now, [8, conn.index(), unsent], || format!("app  sent {conn:?} unsent {unsent}"));
        self.call(worker, |app, cx| app.sent(cx, conn, unsent));
    }

    fn tell_peeked(&mut self, id: usize, quiet: bool) {
        let link = &self.links[id];
        let Some(conn) = link.conn.filter(|_| link.ours == Ours::Open) else { return };
        let worker = link.worker;
        self.trace.note(self.now, [9, conn.index(), 0], || format!("app  peeked {conn:?} quiet {quiet}"));
        self.call(worker, |app, cx| app.peeked(cx, conn, quiet));
    }

    fn tell_progressed(&mut self, id: usize, progress: Progress) {
        let link = &self.links[id];
        let Some(conn) = link.conn.filter(|_| link.ours == Ours::Open) else { return };
        let worker = link.worker;
        let confirmed = progress.acknowledged as usize;
        self.trace.note(self.now, [12, conn.index(), confirmed], || format!("app  progressed {conn:?} {progress:?}"));
        self.call(worker, |app, cx| app.progressed(cx, conn, progress));
    }

    /// The pipe has room again.
    pub(super) fn writable(&mut self, id: usize) {
        if self.flush(id) > 0 && self.links[id].ours == Ours::Open {
            self.tell_sent(id);
        }
    }

    fn flush(&mut self, id: usize) -> usize {
        let link = &mut self.links[id];
        if !matches!(link.ours, Ours::Open | Ours::Lingering) {
            return 0;
        }
        let moved = link.flush();
        self.move_along(id, Way::Out);
        moved
    }

    fn carry_out(&mut self, worker: usize, input: &[u8]) {
        let mut actions = std::mem::take(&mut self.actions);
        self.workers[worker].cx.take_actions(&mut actions);
        let mut written = Vec::new();
        for action in actions.drain(..) {
            self.trace.note(self.now, [20, 0, 0], || format!("  -> {}", describe(&action)));
            if let Some(id) = self.act(worker, action, input)
                && !written.contains(&id)
            {
                written.push(id);
            }
        }
        self.actions = actions;
        for id in written {
            let waits = self.links[id].unsent_len;
            let moved = self.flush(id);
            // An application that heard that bytes wait also hears when none do.
            let news = waits > moved || moved >= CONFIRMED || (moved > 0 && self.links[id].reported > 0);
            if news && self.is_open(id) {
                self.ready.push_back(Ready::Sent(id));
            }
        }
    }

    /// Carries out one action; says which link has something to flush.
    fn act(&mut self, worker: usize, action: Action, input: &[u8]) -> Option<usize> {
        match action {
            Action::Connect(conn, to) => self.connect(worker, conn, to),
            Action::ConnectSecured(conn, ..) => panic!("{conn:?}: no layer protects it"),
            Action::Send(conn, bytes) => return self.queue(worker, conn, bytes),
            Action::Forward(conn, range) => return self.queue(worker, conn, Bytes::copy_from_slice(&input[range])),
            Action::SendFile(conn, part) => return self.queue_file(worker, conn, &part),
            Action::Splice { from, to, len } => {
                let id = self.link_of(worker, from)?;
                assert_eq!(self.links[id].splice, None, "{from:?}: one splice at a time");
                self.links[id].splice = Some((to, len));
            }
            Action::SetReading(conn, on) => {
                let id = self.link_of(worker, conn)?;
                self.links[id].reading = on;
                self.plan_read(id);
            }
            Action::SetReads(conn, reads) => {
                let id = self.link_of(worker, conn)?;
                self.links[id].reads = reads;
            }
            Action::Peek(conn, _) => {
                let id = self.link_of(worker, conn)?;
                self.peek(id);
            }
            Action::Progress(conn) => {
                let id = self.link_of(worker, conn)?;
                let progress = self.links[id].progress();
                self.ready.push_front(Ready::Progressed(id, progress));
            }
            Action::Finish(conn) => {
                let id = self.link_of(worker, conn)?;
                self.links[id].then = Then::Finish;
                return Some(id);
            }
            // A peer that has nothing more to say makes a difference only to who waits for its place.
            Action::Close(conn) | Action::HangUp(conn) => {
                let id = self.end_name(worker, conn)?;
                self.seen.closed += 1;
                self.links[id].heard_out = matches!(action, Action::HangUp(_));
                return self.linger(id);
            }
            Action::Abort(conn) => {
                let id = self.end_name(worker, conn)?;
                self.seen.aborted += 1;
                self.abort(id);
            }
        }
        None
    }

    fn connect(&mut self, worker: usize, conn: ConnId, to: SocketAddr) {
        let mut link = Link::new(None, &self.weather, &mut self.random);
        (link.worker, link.to) = (worker, Some(to));
        let id = self.links.len();
        self.links.push(link);
        self.name(conn, id);
        self.seen.connects += 1;
        if self.random.chance(self.weather.refusals / 10) {
            let error = *self.random.pick(&LOCAL_ERRORS);
            return self.schedule(Duration::ZERO, Event::Unreachable(id, error));
        }
        let delay = self.delay(id);
        self.schedule(delay, Event::Reach(id, to));
    }

    fn queue(&mut self, worker: usize, conn: ConnId, bytes: Bytes) -> Option<usize> {
        let id = self.link_of(worker, conn)?;
        let link = &mut self.links[id];
        assert_eq!(link.then, Then::Nothing, "{conn:?}: sent after finish");
        if self.speaks_http && link.to.is_some() {
            // A request that cannot be sent twice must not be risked on a connection that the kernel knows to be dead.
            let risky = link.used && UNREPEATABLE.iter().any(|method| bytes.starts_with(method));
            let stale = link.inbound.is_readable() || link.error.is_some();
            assert!(!(risky && stale), "{conn:?}: {} on a stale connection", excerpt(&bytes));
            assert!(!link.tainted, "{conn:?}: {} after the host said too much", excerpt(&bytes));
        }
        link.queue(bytes);
        // The last bytes of a connection that breaks are heard even if their receiver takes nothing: the size of the
        // pipes bounds them.
        if !self.last_words {
            self.seen.peak_unsent = self.seen.peak_unsent.max(link.unsent_len.saturating_sub(link.outbound.room()));
        }
        Some(id)
    }

    /// The bytes of a part are read when it is asked for, and sent as others are.
    fn queue_file(&mut self, worker: usize, conn: ConnId, part: &FilePart) -> Option<usize> {
        let mut bytes = vec![0; usize::try_from(part.length).expect("a part of a simulated file fits into memory")];
        let mut filled = 0;
        let mut why = None;
        while filled < bytes.len() && why.is_none() {
            match part.file.read_at(&mut bytes[filled..], part.at + filled as u64) {
                Ok(0) => why = Some(Unreadable::Truncated),
                Ok(len) => filled += len,
                Err(error) => why = Some(Unreadable::Failed(error.kind())),
            }
        }
        bytes.truncate(filled);
        let id = self.queue(worker, conn, bytes.into())?;
        if let Some(why) = why {
            self.ready.push_back(Ready::Cut(id, conn, why));
        }
        Some(id)
    }

    /// A file was shorter than promised: the peer sees a reset.
    fn cut_short(&mut self, id: usize, conn: ConnId, why: Unreadable) {
        if matches!(self.links[id].ours, Ours::Gone) {
            return;
        }
        let worker = self.links[id].worker;
        self.abort(id);
        // The application may have closed it already, while this was to be sent.
        self.seen.failed += usize::from(self.workers[worker].by_conn.remove(&conn).is_some());
        self.seen.cut += 1;
        self.trace.note(self.now, [14, conn.index(), 0], || format!("app  cut short {conn:?} {why}"));
        self.call(worker, |app, cx| {
            app.cut_short(cx, conn, why);
            cx.release(conn);
        });
    }

    /// Answered before anything else happens to the connection.
    fn peek(&mut self, id: usize) {
        let link = &self.links[id];
        if link.ours == Ours::Open {
            let quiet = !link.inbound.is_readable() && link.error.is_none();
            self.seen.peeks += 1;
            self.seen.peeks_failed += usize::from(!quiet);
            self.ready.push_front(Ready::Peeked(id, quiet));
        }
    }

    /// `Close`: what is queued still goes out.
    fn linger(&mut self, id: usize) -> Option<usize> {
        if self.links[id].ours == Ours::Opening {
            self.abort(id);
            return None;
        }
        self.links[id].then = Then::Close;
        self.links[id].ours = Ours::Lingering;
        self.linger_on(id);
        self.plan_read(id);
        Some(id)
    }

    fn linger_on(&mut self, id: usize) {
        let link = &self.links[id];
        let (patience, left) = (if link.unsent_len > 0 { STALL } else { LINGER }, link.progress().outstanding);
        self.schedule(patience, Event::LingerOver(id, left));
    }

    /// The driver's patience with a closed connection of which so much had not reached the peer's kernel.
    pub(super) fn linger_over(&mut self, id: usize, before: u64) {
        let link = &mut self.links[id];
        match (link.ours, link.progress().outstanding) {
            (Ours::Lingering, now) if now < before => self.linger_on(id),
            (Ours::Lingering, _) if link.unsent_len == 0 => link.ours = Ours::Gone,
            // Nothing moved: what is left is lost, and the peer must be able to see that.
            (Ours::Lingering, _) => self.abort(id),
            _ => {}
        }
    }

    /// Our process is gone, and with it our end of a connection.
    pub(super) fn forsake(&mut self, id: usize) {
        self.links[id].conn = None;
        self.abort(id);
    }

    fn abort(&mut self, id: usize) {
        let link = &mut self.links[id];
        link.ours = Ours::Gone;
        link.drop_unsent();
        link.inbound.cut(true);
        if link.theirs != Theirs::Gone {
            let delay = self.delay(id);
            self.schedule(delay, Event::Reset(id, Way::Out));
        }
    }

    fn name(&mut self, conn: ConnId, id: usize) {
        let link = &mut self.links[id];
        link.conn = Some(conn);
        let worker = &mut self.workers[link.worker];
        assert!(worker.named.insert(conn), "{conn:?} was named before");
        worker.by_conn.insert(conn, id);
    }

    fn end_name(&mut self, worker: usize, conn: ConnId) -> Option<usize> {
        let id = self.link_of(worker, conn)?;
        self.workers[worker].by_conn.remove(&conn);
        Some(id)
    }

    /// None for a connection that ended: actions that name it are ignored.
    fn link_of(&self, worker: usize, conn: ConnId) -> Option<usize> {
        let worker = &self.workers[worker];
        assert!(worker.named.contains(&conn), "{conn:?} never was a connection");
        worker.by_conn.get(&conn).copied()
    }
}

fn describe(action: &Action) -> String {
    match action {
        Action::Send(conn, bytes) => format!("Send {conn:?} {} {}", bytes.len(), excerpt(bytes)),
        other => format!("{other:?}"),
    }
}

/// The beginning of some bytes, readable.
pub fn excerpt(bytes: &[u8]) -> String {
    const MOST: usize = 100;
    let more = if bytes.len() > MOST { "…" } else { "" };
    format!("\"{}\"{more}", bytes[..bytes.len().min(MOST)].escape_ascii())
}
