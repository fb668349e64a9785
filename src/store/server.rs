//! The store as an application of an event loop: connections on one side, the file on the other.
//!
//! A reply leaves when the changes before it are where the policy wants them. With `always` that is the disk: until the writer says so, all
//! that is said to any client waits in one queue, in order, since each of them may have seen what was changed.

use super::{
    config::Fsync,
    engine::Engine,
    world::{Ask, Effect, FileState},
    writer::Writer,
};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    buf::relax,
    net::Traffic,
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Ten times a second: the original's `hz`.
const TICK: Duration = Duration::from_millis(100);
const TICKS: TimerKey = TimerKey::App(0);

/// Bytes that may wait for a disk that is slow. Beyond that, replies wait for it under each policy, and so do clients.
const FAR_BEHIND: u64 = 64 * 1024 * 1024;

/// Bytes of a rewrite that may wait for the disk before the next part is made.
const REWRITE_BEHIND: u64 = 4 * 1024 * 1024;

/// Requests of other threads.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// The state is to be told.
    pub(crate) report: AtomicBool,
}

/// Something that waits for the disk.
#[derive(Debug)]
enum Held {
    Send(ConnId, Bytes),
    Close(ConnId),
}

/// All clients, all keys, and the way to the file.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    /// Without it, nothing is kept.
    writer: Option<Writer>,
    /// By [`ConnId::index`].
    conns: Vec<Option<ConnId>>,
    held: VecDeque<(u64, Held)>,
    /// Where the changes so far end.
    end: u64,
    fsync: Fsync,
    traffic: Arc<Traffic>,
    wishes: Arc<Wishes>,
    stop: Box<dyn Fn()>,
    resident: Box<dyn Fn() -> usize>,
}

impl Server {
    pub(crate) fn new(
        engine: Engine,
        traffic: Arc<Traffic>,
        wishes: Arc<Wishes>,
        resident: Box<dyn Fn() -> usize>,
    ) -> Self {
        let fsync = engine.world.config.fsync;
        Self {
            engine,
            writer: None,
            conns: Vec::new(),
            held: VecDeque::new(),
            end: 0,
            fsync,
            traffic,
            wishes,
            stop: Box::new(|| {}),
            resident,
        }
    }

    /// The file, and how the event loop is told to end: both need the event loop first.
    pub(crate) fn attach(&mut self, writer: Option<Writer>, stop: Box<dyn Fn()>) {
        self.engine.keys.log.is_on = writer.is_some();
        (self.writer, self.stop) = (writer, stop);
    }

    /// Hands on what a call to the engine has caused.
    fn settle(&mut self, cx: &mut Cx) {
        self.record();
        let mut effects = std::mem::take(&mut self.engine.world.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(slot, bytes) => {
                    if let Some(conn) = self.conn(slot) {
                        self.traffic.sent(bytes.len());
                        self.perform_or_hold(cx, Held::Send(conn, bytes));
                    }
                }
                Effect::Close(slot) => {
                    if let Some(conn) = self.conn(slot) {
                        self.forget(slot);
                        self.perform_or_hold(cx, Held::Close(conn));
                    }
                }
                Effect::Abort(slot) => {
                    if let Some(conn) = self.conn(slot) {
                        self.forget(slot);
                        cx.abort(conn);
                    }
                }
                Effect::Deadline(slot, at) => {
                    if let Some(conn) = self.conn(slot) {
                        cx.set_deadline(TimerKey::Conn(conn), at);
                    }
                }
            }
        }
        // The list keeps its room for the next call.
        relax(&mut effects);
        effects.append(&mut self.engine.world.effects);
        self.engine.world.effects = effects;
        for ask in std::mem::take(&mut self.engine.world.asks) {
            match ask {
                Ask::Rewrite => self.begin_rewrite(cx),
                Ask::Shutdown => (self.stop)(),
            }
        }
    }

    fn conn(&self, slot: usize) -> Option<ConnId> {
        self.conns.get(slot).copied().flatten()
    }

    fn forget(&mut self, slot: usize) {
        self.engine.disconnect(slot);
        self.conns[slot] = None;
    }

    /// Hands changes to the writer.
    fn record(&mut self) {
        let log = &mut self.engine.keys.log.bytes;
        let Some(writer) = &mut self.writer else { return log.clear() };
        if !log.is_empty() {
            self.end = writer.append(log);
            log.clear();
            // Room for a burst is not kept.
            log.shrink_to(FAR_BEHIND as usize / 64);
        }
        if self.engine.world.config.fsync != self.fsync {
            self.fsync = self.engine.world.config.fsync;
            writer.set_fsync(self.fsync);
        }
    }

    /// Whether what was changed up to there may be spoken of.
    fn may_tell(&self, end: u64) -> bool {
        let Some(writer) = &self.writer else { return true };
        match self.fsync {
            Fsync::Always => writer.has(end),
            Fsync::Everysec | Fsync::No => writer.behind() < FAR_BEHIND || writer.has(end),
        }
    }

    fn perform_or_hold(&mut self, cx: &mut Cx, what: Held) {
        if self.held.is_empty() && self.may_tell(self.end) {
            perform(cx, what);
        } else {
            self.held.push_back((self.end, what));
        }
    }

    fn release(&mut self, cx: &mut Cx) {
        while let Some((end, _)) = self.held.front()
            && self.may_tell(*end)
        {
            self.held.pop_front().into_iter().for_each(|(_, what)| perform(cx, what));
        }
    }

    fn begin_rewrite(&mut self, cx: &mut Cx) {
        let Some(writer) = &self.writer else { return };
        if self.engine.keys.snapshot.is_some() || writer.progress().is_rewriting.load(Relaxed) {
            return;
        }
        writer.begin();
        self.engine.keys.begin_snapshot();
        self.tell_file();
        cx.call_again();
    }

    /// Makes another part of a copy of all keys, unless the disk has enough to do.
    fn continue_rewrite(&mut self, cx: &mut Cx) {
        let Some(writer) = &self.writer else { return };
        if self.engine.keys.snapshot.is_none() || writer.behind() > REWRITE_BEHIND {
            return;
        }
        let is_whole = self.engine.keys.continue_snapshot();
        let bytes = self.engine.keys.snapshot.as_mut().map(|snapshot| std::mem::take(&mut snapshot.bytes));
        bytes.filter(|bytes| !bytes.is_empty()).into_iter().for_each(|bytes| writer.base(bytes));
        if is_whole {
            self.engine.keys.snapshot = None;
            writer.end();
        } else {
            cx.call_again();
        }
    }

    /// Tells the engine of the file, and begins a rewrite when it has grown enough.
    fn tell_file(&mut self) {
        let Some(writer) = &self.writer else { return };
        let progress = writer.progress();
        self.engine.world.file = FileState {
            size: progress.size.load(Relaxed),
            base: progress.base.load(Relaxed),
            behind: writer.behind(),
            is_rewriting: progress.is_rewriting.load(Relaxed),
            has_failed: progress.has_failed.load(Relaxed),
            is_stuck: progress.is_stuck.load(Relaxed),
        };
    }

    fn has_grown(&self) -> bool {
        let (file, config) = (&self.engine.world.file, &self.engine.world.config);
        let grown = file.size.saturating_sub(file.base).saturating_mul(100);
        self.writer.is_some()
            && !file.is_rewriting
            && config.rewrite_percentage > 0
            && file.size >= config.rewrite_min_size
            && grown >= config.rewrite_percentage.saturating_mul(file.base.max(1))
    }

    /// The work so far, on SIGUSR1 and at the end.
    pub(crate) fn report(&mut self) {
        self.tell_file();
        let (world, keys) = (&self.engine.world, &self.engine.keys);
        let count: usize = keys.dbs.iter().map(|db| db.keys.len()).sum();
        let volume = self.traffic.volume();
        tracing::info!(
            "{} clients, {count} keys in {} bytes, {} commands, {} errors, {} expired, {} evicted, {} bytes received, {} sent, {} in the file",
            world.clients.len(),
            keys.used,
            world.commands,
            world.errors,
            keys.counts.expired,
            keys.counts.evicted,
            volume.received,
            volume.sent,
            world.file.size,
        );
    }
}

fn perform(cx: &mut Cx, what: Held) {
    match what {
        Held::Send(conn, bytes) => cx.send(conn, bytes),
        Held::Close(conn) => cx.close(conn),
    }
}

impl App for Server {
    fn started(&mut self, cx: &mut Cx) {
        cx.set_deadline(TICKS, Some(cx.now() + TICK));
    }

    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        let slot = conn.index();
        self.engine.set_clock(cx.clock());
        if self.engine.is_full() {
            cx.send(conn, &b"-ERR max number of clients reached\r\n"[..]);
            cx.close(conn);
            return;
        }
        if self.conns.len() <= slot {
            self.conns.resize(slot + 1, None);
        }
        self.conns[slot] = Some(conn);
        self.engine.connect(slot, origin.peer.to_string());
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.traffic.received(input.len());
        self.tell_file();
        self.engine.set_clock(cx.clock());
        self.engine.receive(conn.index(), input);
        self.settle(cx);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.engine.sent(conn.index(), unsent);
        self.settle(cx);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        // As the original: a client that says nothing more is not told anything more.
        if self.conn(conn.index()) == Some(conn) {
            self.forget(conn.index());
            self.perform_or_hold(cx, Held::Close(conn));
        }
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        tracing::debug!(?conn, %error, "connection failed");
        if self.conn(conn.index()) == Some(conn) {
            self.traffic.failed();
            self.forget(conn.index());
            self.settle(cx);
        }
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        self.engine.set_clock(cx.clock());
        match key {
            TimerKey::Conn(conn) => self.engine.expire(conn.index()),
            TimerKey::App(_) => {
                cx.set_deadline(TICKS, Some(cx.now() + TICK));
                self.engine.world.resident = (self.resident)();
                self.engine.tick();
                self.tell_file();
                if self.has_grown() {
                    self.begin_rewrite(cx);
                }
                self.continue_rewrite(cx);
            }
        }
        self.settle(cx);
        self.release(cx);
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.engine.set_clock(cx.clock());
        if self.wishes.report.swap(false, Relaxed) {
            self.report();
        }
        self.tell_file();
        self.continue_rewrite(cx);
        self.settle(cx);
        self.release(cx);
    }

    fn drain(&mut self, cx: &mut Cx) {
        cx.set_deadline(TICKS, None);
        for slot in 0..self.conns.len() {
            if let Some(conn) = self.conn(slot) {
                self.forget(slot);
                self.perform_or_hold(cx, Held::Close(conn));
            }
        }
    }
}
