//! Threads that wait for disks, so that an event loop does not.
//!
//! ```text
//!   event loop ──ask──▶ one line a file ──▶ a free thread reads ──▶ done ──wakes──▶ event loop
//! ```
//!
//! Threads are started when they are needed, up to a limit, and end when they were not needed for a while. One read of a
//! file runs at a time: a file whose reads never return (a FIFO, a network file system that is gone) holds one thread, and
//! the others who want it wait in its line. If all threads are held, reads wait until one returns. Bytes that are in the
//! kernel's memory are sent all the same, for they need no thread.
//!
//! The lines need no limit of their own: a connection asks for one read at a time, and takes its question back when it ends.

use super::super::Remote;
use crate::{
    app::ConnId,
    buf::{Readable, Unreadable},
};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    io::ErrorKind,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

/// How long a thread without work stays.
const SPARE_FOR: Duration = Duration::from_secs(10);

/// Bytes of one call while a file is read into the kernel's memory. The copy is thrown away, so it should stay in the processor's cache.
const STEP: usize = 64 * 1024;

/// The purpose of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// The bytes: up to as many as were asked for.
    Bytes,
    /// The bytes in the kernel's memory.
    Warm,
}

/// Which bytes are to be read.
#[derive(Debug)]
pub(in crate::net::driver) struct Ask {
    pub(super) file: Arc<dyn Readable>,
    pub(super) at: u64,
    pub(super) len: usize,
    pub(super) want: Want,
}

/// The socket that a question comes from, and its number.
#[derive(Debug, Clone, Copy)]
struct Whose {
    key: usize,
    conn: ConnId,
    ticket: u64,
}

/// The answer: the bytes, or none if they are in the kernel's memory now.
#[derive(Debug)]
pub(in crate::net::driver) struct Done {
    pub(in crate::net::driver) key: usize,
    pub(in crate::net::driver) conn: ConnId,
    pub(in crate::net::driver) ticket: u64,
    pub(in crate::net::driver) read: Result<Bytes, Unreadable>,
}

/// The threads of one event loop.
#[derive(Debug)]
pub(in crate::net::driver) struct Reads {
    shared: Arc<Shared>,
    most: usize,
    tickets: u64,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    work: Condvar,
    done: Mutex<Vec<Done>>,
    remote: OnceLock<Remote>,
}

#[derive(Debug, Default)]
struct Lines {
    /// By file.
    waiting: HashMap<u64, Line>,
    /// Files of which a read waits and none runs.
    ready: VecDeque<u64>,
    threads: usize,
    idle: usize,
    /// The event loop is gone.
    closed: bool,
}

#[derive(Debug, Default)]
struct Line {
    asked: VecDeque<(Whose, Ask)>,
    /// A read runs.
    busy: bool,
    /// It is in `ready`.
    listed: bool,
}

impl Reads {
    /// At most `most` threads; none yet.
    pub(in crate::net::driver) fn new(most: usize) -> Self {
        Self { shared: Arc::default(), most: most.max(1), tickets: 0 }
    }

    /// The event loop that is woken by answers.
    pub(in crate::net::driver) fn wake(&self, remote: Remote) {
        // An event loop has one remote: a second one would lead to the same.
        let _ = self.shared.remote.set(remote);
    }

    /// Asks for a read for the socket with this key. It is taken back when what is returned is dropped.
    pub(in crate::net::driver) fn begin(&mut self, key: usize, conn: ConnId, ask: Ask) -> Pending {
        self.tickets += 1;
        let whose = Whose { key, conn, ticket: self.tickets };
        let file = identity(&*ask.file);
        let mut lines = lock(&self.shared.lines);
        let Lines { waiting, ready, threads, idle, .. } = &mut *lines;
        let line = waiting.entry(file).or_default();
        line.asked.push_back((whose, ask));
        line.list(file, ready);
        if ready.len() <= *idle {
            self.shared.work.notify_one();
        } else if *threads < self.most {
            match start(&self.shared) {
                Ok(()) => *threads += 1,
                Err(error) if *threads == 0 => {
                    tracing::warn!(%error, "no thread reads files");
                    waiting.remove(&file);
                    ready.retain(|other| *other != file);
                    let read = Err(Unreadable::Failed(error.kind()));
                    self.shared.tell(Done { key, conn, ticket: whose.ticket, read });
                }
                // Those that there are will come to it.
                Err(_) => {}
            }
        }
        Pending { shared: Arc::clone(&self.shared), file, ticket: whose.ticket, over: false }
    }

    /// The answers since this was last asked.
    pub(in crate::net::driver) fn take(&mut self) -> Vec<Done> {
        mem::take(&mut *lock(&self.shared.done))
    }
}

/// Threads that read still end when that is done.
impl Drop for Reads {
    fn drop(&mut self) {
        let mut lines = lock(&self.shared.lines);
        lines.closed = true;
        (lines.waiting, lines.ready) = Default::default();
        self.shared.work.notify_all();
    }
}

/// A read that was asked for. Dropped, it is not wanted any more.
#[derive(Debug)]
pub(in crate::net::driver) struct Pending {
    shared: Arc<Shared>,
    file: u64,
    ticket: u64,
    over: bool,
}

impl Pending {
    /// Whether it has this number.
    pub(super) fn is(&self, ticket: u64) -> bool {
        self.ticket == ticket
    }

    /// It was answered.
    pub(super) fn over(mut self) {
        self.over = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.over
            && let Some(line) = lock(&self.shared.lines).waiting.get_mut(&self.file)
        {
            line.asked.retain(|(whose, _)| whose.ticket != self.ticket);
        }
    }
}

impl Line {
    /// Has a thread come for it, if it has something to do.
    fn list(&mut self, file: u64, ready: &mut VecDeque<u64>) {
        if !(self.busy || self.listed || self.asked.is_empty()) {
            self.listed = true;
            ready.push_back(file);
        }
    }
}

impl Lines {
    /// The next read, of the file that has waited longest.
    fn next(&mut self) -> Option<(u64, Whose, Ask)> {
        while let Some(file) = self.ready.pop_front() {
            let Some(line) = self.waiting.get_mut(&file) else { continue };
            line.listed = false;
            match line.asked.pop_front() {
                Some((whose, ask)) => {
                    line.busy = true;
                    return Some((file, whose, ask));
                }
                // All were taken back.
                None => drop(self.waiting.remove(&file)),
            }
        }
        None
    }

    /// A read of this file has returned.
    fn returned(&mut self, file: u64) {
        let Some(line) = self.waiting.get_mut(&file) else { return };
        line.busy = false;
        line.list(file, &mut self.ready);
        if !line.listed {
            self.waiting.remove(&file);
        }
    }
}

impl Shared {
    fn tell(&self, done: Done) {
        lock(&self.done).push(done);
        if let Some(remote) = self.remote.get() {
            remote.tell_read();
        }
    }

    /// The life of a thread.
    fn work(&self) {
        let mut lines = lock(&self.lines);
        while !lines.closed {
            let Some((file, Whose { key, conn, ticket }, ask)) = lines.next() else {
                lines.idle += 1;
                let (again, waited) = self.work.wait_timeout(lines, SPARE_FOR).unwrap_or_else(PoisonError::into_inner);
                lines = again;
                lines.idle -= 1;
                if waited.timed_out() && lines.ready.is_empty() {
                    break;
                }
                continue;
            };
            drop(lines);
            // A panic in somebody's `read_at` must not cost a thread.
            let read = catch_unwind(AssertUnwindSafe(|| carry_out(&ask)));
            let read = read.unwrap_or(Err(Unreadable::Failed(ErrorKind::Other)));
            // Its file may be closed with that, which may take its time, too.
            drop(ask);
            lines = lock(&self.lines);
            lines.returned(file);
            drop(lines);
            self.tell(Done { key, conn, ticket, read });
            lines = lock(&self.lines);
        }
        lines.threads -= 1;
    }
}

fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("files".to_owned()).spawn(move || shared.work()).map(drop)
}

/// A file's own number, or its address.
fn identity(file: &dyn Readable) -> u64 {
    file.identity().unwrap_or(std::ptr::from_ref(file).addr() as u64)
}

fn carry_out(ask: &Ask) -> Result<Bytes, Unreadable> {
    match ask.want {
        Want::Bytes => {
            let mut bytes = vec![0; ask.len];
            let len = read(ask, &mut bytes, ask.at)?;
            bytes.truncate(len);
            if len == 0 { Err(Unreadable::Truncated) } else { Ok(bytes.into()) }
        }
        Want::Warm => {
            let (mut scratch, mut done) = (vec![0; STEP.min(ask.len)], 0);
            while done < ask.len {
                let most = STEP.min(ask.len - done);
                match read(ask, &mut scratch[..most], ask.at + done as u64)? {
                    0 if done == 0 => return Err(Unreadable::Truncated),
                    // Its end is met when it is due.
                    0 => break,
                    len => done += len,
                }
            }
            Ok(Bytes::new())
        }
    }
}

fn read(ask: &Ask, buf: &mut [u8], at: u64) -> Result<usize, Unreadable> {
    loop {
        match ask.file.read_at(buf, at) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Unreadable::Failed(error.kind())),
            Ok(len) => return Ok(len.min(buf.len())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
