//! A fixed number of threads and a bounded queue before them.
//!
//! ```text
//!   submit ──▶ queue, at most N ──▶ worker ──▶ Job::run
//!      │             │
//!      │ full        │ waited too long
//!      └──▶ Job::refuse ◀──┘  by the usher, a thread of its own: all workers may be busy
//! ```

use super::STACK;
use crate::{net::clock, time::Instant};
use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How often to look whether threads have ended, at the end only.
const LOOK: Duration = Duration::from_millis(1);

/// Work for a pool: it is run, or it is refused.
pub trait Job: Send + 'static {
    /// Does it. Dropped when the worker is free for another.
    fn run(&mut self);
    /// Refuses it, because no worker has time for it. Must not wait.
    fn refuse(self);
}

impl Job for super::Client {
    fn run(&mut self) {
        self.serve();
    }

    fn refuse(self) {
        Self::refuse(&self);
    }
}

/// Threads that run jobs in the order of their arrival.
#[derive(Debug)]
pub struct Pool<J> {
    inner: Arc<Inner<J>>,
    threads: Vec<thread::JoinHandle<()>>,
    capacity: usize,
}

#[derive(Debug)]
struct Inner<J> {
    state: Mutex<State<J>>,
    /// For workers: there is a job, or the end.
    work: Condvar,
    /// For the usher: the queue is no longer empty, or the end.
    waiting: Condvar,
    patience: Duration,
}

#[derive(Debug)]
struct State<J> {
    queue: VecDeque<(Instant, J)>,
    /// Workers without a job. A job for one of these does not wait, so it needs no room in the queue.
    idle: usize,
    /// The usher waits without a limit: no job has a deadline to be watched.
    usher_sleeps: bool,
    closing: bool,
}

impl<J: Job> Pool<J> {
    /// Starts `workers` threads. `capacity` jobs may wait for one of them, each no longer than `patience`.
    ///
    /// # Errors
    ///
    /// The system has no threads left.
    pub fn new(workers: usize, capacity: usize, patience: Duration) -> io::Result<Self> {
        let state = State { queue: VecDeque::new(), idle: workers, usher_sleeps: false, closing: false };
        let inner =
            Arc::new(Inner { state: Mutex::new(state), work: Condvar::new(), waiting: Condvar::new(), patience });
        let mut pool = Self { inner, threads: Vec::new(), capacity };
        for number in 0..workers {
            pool.start(format!("worker-{number}"), Inner::serve)?;
        }
        pool.start("usher".to_owned(), Inner::usher)?;
        Ok(pool)
    }

    fn start(&mut self, name: String, run: fn(&Inner<J>)) -> io::Result<()> {
        let inner = Arc::clone(&self.inner);
        let thread =
            thread::Builder::new().name(name).stack_size(STACK).spawn(move || run(&inner)).map_err(|error| {
                let started = self.threads.len();
                io::Error::new(
                    error.kind(),
                    format!("no more threads after {started}: {error}; choose fewer, or see `ulimit -u`"),
                )
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Hands in a job. If the queue is full it is refused at once: a longer queue would only make all clients wait
    /// longer.
    pub fn submit(&self, job: J) {
        let mut state = self.inner.state();
        if state.queue.len() >= self.capacity.saturating_add(state.idle) {
            drop(state);
            job.refuse();
            return;
        }
        state.queue.push_back((clock::now().instant, job));
        // Waking a thread is a system call, even if none sleeps. And the usher need not know of a job that an idle
        // worker is about to take. Without these conditions a connection for one request costs a third more.
        let worker = state.idle > 0;
        let usher = state.waiting() && std::mem::take(&mut state.usher_sleeps);
        drop(state);
        if worker {
            self.inner.work.notify_one();
        }
        if usher {
            self.inner.waiting.notify_one();
        }
    }

    /// Takes no more jobs and waits until those that were taken are done.
    pub fn finish(self) {
        self.close();
        for thread in self.threads {
            // A panic was caught and logged where it happened.
            let _ = thread.join();
        }
    }

    /// Like [`Self::finish`], but does not wait beyond `deadline`: a thread that computes cannot be interrupted.
    pub fn finish_by(self, deadline: Instant) {
        self.close();
        while !self.threads.iter().all(thread::JoinHandle::is_finished) && clock::now().instant < deadline {
            thread::park_timeout(LOOK);
        }
    }

    /// Takes no more jobs; threads end when the queue is empty.
    pub fn close(&self) {
        self.inner.state().closing = true;
        self.inner.work.notify_all();
        self.inner.waiting.notify_all();
    }
}

impl<J: Job> Inner<J> {
    /// The loop of a worker.
    fn serve(&self) {
        while let Some(mut job) = self.take() {
            // A job that panics must not cost the pool a thread: after N of them no thread would be left.
            if catch_unwind(AssertUnwindSafe(|| job.run())).is_err() {
                tracing::error!("a job panicked: this is a bug; its worker goes on");
            }
            // Before the job is dropped, and with it a connection: a client that sees that closed, and comes in its
            // place, finds a worker.
            self.state().idle += 1;
        }
    }

    /// The next job for an idle worker; `None`: the end.
    fn take(&self) -> Option<J> {
        let mut state = self.state();
        loop {
            if let Some((_, job)) = state.queue.pop_front() {
                state.idle -= 1;
                if state.closing {
                    // The usher may wait for the job that has just left the queue.
                    self.waiting.notify_one();
                }
                return Some(job);
            }
            if state.closing {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends away who has waited too long. The queue is in order of arrival, so only the first has to be looked at.
    fn usher(&self) {
        let mut state = self.state();
        while !state.closing || !state.queue.is_empty() {
            let Some((since, _)) = state.queue.front().filter(|_| state.waiting()) else {
                state.usher_sleeps = true;
                state = self.waiting.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.usher_sleeps = false;
                continue;
            };
            let left = (*since + self.patience).saturating_duration_since(clock::now().instant);
            if left > Duration::ZERO {
                state = self.waiting.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let late = state.queue.pop_front();
            drop(state);
            if let Some((_, job)) = late {
                job.refuse();
            }
            state = self.state();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        // No job runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> State<J> {
    /// Whether there are more jobs than idle workers. Only a new job makes it so.
    fn waiting(&self) -> bool {
        self.queue.len() > self.idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const PATIENCE: Duration = Duration::from_secs(20);

    enum Task {
        Say(u32, Sender<String>),
        Panic,
        Wait(Sender<String>, Receiver<()>),
    }

    impl Job for Task {
        fn run(&mut self) {
            match self {
                Self::Say(number, sender) => sender.send(format!("ran {number}")).unwrap(),
                Self::Panic => panic!("on purpose"),
                Self::Wait(sender, until) => {
                    sender.send("waits".to_owned()).unwrap();
                    let _ = until.recv();
                }
            }
        }

        fn refuse(self) {
            if let Self::Say(number, sender) = self {
                sender.send(format!("refused {number}")).unwrap();
            }
        }
    }

    #[test]
    fn a_job_that_panics_costs_no_worker() {
        let (sender, said) = channel();
        // Longer than any test run: the end must not wait for it.
        let pool = Pool::new(1, 10, Duration::from_secs(3600)).unwrap();
        for number in 0..3 {
            pool.submit(Task::Panic);
            pool.submit(Task::Say(number, sender.clone()));
        }
        pool.finish();
        drop(sender);
        assert_eq!(said.iter().collect::<Vec<_>>(), ["ran 0", "ran 1", "ran 2"]);
    }

    #[test]
    fn a_queue_may_be_as_long_as_it_can_be_said() {
        let (sender, said) = channel();
        let pool = Pool::new(1, usize::MAX, Duration::from_secs(3600)).unwrap();
        pool.submit(Task::Say(1, sender));
        pool.finish();
        assert_eq!(said.iter().collect::<Vec<_>>(), ["ran 1"]);
    }

    #[test]
    fn a_full_queue_refuses_and_a_drain_runs_the_rest() {
        let (sender, said) = channel();
        let (go, until) = channel();
        let pool = Pool::new(1, 2, Duration::from_secs(3600)).unwrap();
        pool.submit(Task::Wait(sender.clone(), until));
        assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "waits");
        for number in 0..4 {
            pool.submit(Task::Say(number, sender.clone()));
        }
        assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "refused 2");
        assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "refused 3");
        go.send(()).unwrap();
        pool.finish();
        drop(sender);
        assert_eq!(said.iter().collect::<Vec<_>>(), ["ran 0", "ran 1"]);
    }

    #[test]
    fn a_job_that_waits_too_long_is_refused_while_the_worker_is_busy() {
        let (sender, said) = channel();
        let (go, until) = channel();
        // Long enough for an idle worker to take the first job even on a busy machine.
        let pool = Pool::new(1, 2, Duration::from_millis(500)).unwrap();
        pool.submit(Task::Wait(sender.clone(), until));
        assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "waits");
        pool.submit(Task::Say(7, sender.clone()));
        assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "refused 7");
        go.send(()).unwrap();
        pool.finish();
    }
}
