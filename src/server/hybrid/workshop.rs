//! Threads that compute for an event loop.
//!
//! ```text
//!   loop:    begin ──▶ queue, at most N ──▶ thread computes ──▶ outbox ──▶ waker
//!   loop:    woken ◀── epoll ◀──────────────────────────────────────────────┘
//! ```

use crate::{
    app::ConnId,
    net::{Remote, Workshop, work},
    server::{Job, Pool},
    session::{Work, Worked},
};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

/// A bounded pool of threads as a [`Workshop`].
#[derive(Debug)]
pub struct Threads {
    pool: Pool<Task>,
    outbox: Outbox,
}

/// Where finished work waits for the event loop. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    worked: Mutex<Vec<(ConnId, Worked)>>,
    /// The loop that looks into it. Unknown until there is one, and before that there is no work either.
    reader: OnceLock<Remote>,
}

/// A piece of work on its way.
#[derive(Debug)]
struct Task {
    conn: ConnId,
    work: Work,
    worked: Worked,
    outbox: Outbox,
}

impl Threads {
    /// Starts `threads` threads. `queue` pieces of work may wait for one of them, each no longer than `patience`; what is
    /// beyond that is refused.
    ///
    /// # Errors
    ///
    /// The system has no threads left.
    pub fn new(threads: usize, queue: usize, patience: Duration) -> io::Result<Self> {
        Ok(Self { pool: Pool::new(threads, queue, patience)?, outbox: Outbox::default() })
    }

    /// Where what is finished goes.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }
}

impl Outbox {
    /// Tells which event loop to wake when a piece of work is finished. Only the first call counts.
    pub fn wakes(&self, reader: Remote) {
        let _ = self.inner.reader.set(reader);
    }

    fn put(&self, conn: ConnId, worked: Worked) {
        self.worked().push((conn, worked));
        if let Some(reader) = self.inner.reader.get() {
            reader.wake();
        }
    }

    fn worked(&self) -> MutexGuard<'_, Vec<(ConnId, Worked)>> {
        // Nothing in here can panic halfway through a change.
        self.inner.worked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workshop for Threads {
    fn begin(&mut self, conn: ConnId, work: Work) -> Option<Worked> {
        self.pool.submit(Task { conn, work, worked: Worked::Refused, outbox: self.outbox.clone() });
        None
    }

    fn finished(&mut self) -> Vec<(ConnId, Worked)> {
        std::mem::take(&mut *self.outbox.worked())
    }
}

impl Job for Task {
    fn run(&mut self) {
        self.worked = work::carry_out(self.work);
    }

    fn refuse(self) {}
}

/// A task tells its session of its end in every case: done, refused, or a panic. Else the client would wait for ever.
impl Drop for Task {
    fn drop(&mut self) {
        self.outbox.put(self.conn, self.worked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::Cx, net::clock};

    /// Waits until so many pieces of work are over.
    fn finished(threads: &mut Threads, count: usize) -> Vec<(ConnId, Worked)> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(threads.finished());
            std::thread::yield_now();
        }
        all
    }

    #[test]
    fn every_end_of_a_task_is_told_once() {
        let mut cx = Cx::new(clock::now());
        let conns: Vec<ConnId> = (0..20).map(|_| cx.allocate()).collect();
        let mut threads = Threads::new(1, 2, Duration::from_secs(3600)).unwrap();
        for conn in &conns {
            assert_eq!(threads.begin(*conn, Work { time: Duration::from_millis(20) }), None);
        }
        let mut all = finished(&mut threads, conns.len());
        let refused = all.iter().filter(|(_, worked)| *worked == Worked::Refused).count();
        // One was computed, two waited. More of them can only mean that submitting took longer than computing.
        assert!((1..=17).contains(&refused), "{refused}");
        all.sort_unstable_by_key(|(conn, _)| *conn);
        assert_eq!(all.into_iter().map(|(conn, _)| conn).collect::<Vec<_>>(), conns);
        assert!(threads.finished().is_empty());
    }

    #[test]
    fn work_that_waits_too_long_is_refused() {
        let mut cx = Cx::new(clock::now());
        let (first, second) = (cx.allocate(), cx.allocate());
        let mut threads = Threads::new(1, 1, Duration::from_millis(1)).unwrap();
        // On a busy machine the thread itself may take longer than that to come; then there was nothing to wait behind.
        let outcome = loop {
            threads.begin(first, Work { time: Duration::from_millis(50) });
            threads.begin(second, Work { time: Duration::ZERO });
            let all = finished(&mut threads, 2);
            if all.contains(&(first, Worked::Done)) {
                break all;
            }
        };
        assert!(outcome.contains(&(second, Worked::Refused)), "{outcome:?}");
    }
}
