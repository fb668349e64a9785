//! The threads that ask the file system, so that no event loop does.
//!
//! ```text
//!   sessions ──ask──▶ queue ──▶ thread ──▶ look, list, compress ──▶ done, done, done
//!                       │ the same question is waiting or asked: joins it
//!                       │ full
//!                       └──▶ refused: 503
//! ```
//!
//! A file system that stands still (a server that is gone, a process behind FUSE that was stopped) takes the threads that ask it, each in
//! the middle of one question; the same question takes no second one, and one that is mounted below the directory does not get all of them
//! (`queue.rs`). Event loops go on, and so do files that were found a moment ago.

mod held;
mod look;
mod pack;
mod queue;

pub use look::Rule;

use super::{Done, Files, Kept, Question, Refusal, Reply, root::Root};
use crate::net::clock;
use held::Budget;
use pack::Packed;
use queue::{Asked, Queue};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The settings of the threads.
#[derive(Debug)]
pub struct DiskConfig {
    /// How many there are.
    pub threads: usize,
    /// The first rule that matches a path gives the `Cache-Control` of its file.
    pub rules: Vec<Rule>,
    /// Files of at most so many bytes are compressed if a client accepts that; 0: none.
    pub pack: u64,
    /// How long files that were found are kept.
    pub keep: Duration,
}

/// The way to the files of a directory: hands questions to threads.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: Root,
    config: DiskConfig,
    queue: Mutex<Queue>,
    bell: Condvar,
    /// Of each event loop.
    kept: Vec<Arc<Kept>>,
    packed: Packed,
    budget: Arc<Budget>,
}

impl Disk {
    /// Starts the threads. `kept` is what event loops keep: the threads let go of what is too old, also when nothing is asked.
    ///
    /// # Errors
    ///
    /// The system has no threads left.
    pub fn start(root: Root, config: DiskConfig, kept: Vec<Arc<Kept>>) -> io::Result<Self> {
        let threads = config.threads;
        let shared = Arc::new(Shared {
            root,
            config,
            queue: Mutex::new(Queue::new(threads)),
            bell: Condvar::new(),
            kept,
            packed: Packed::default(),
            budget: Arc::default(),
        });
        // They end with the process: one that the file system holds could not be waited for.
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("disk-{number}")).spawn(move || shared.work())?;
        }
        Ok(Self { shared })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.queue().is_over = true;
        self.shared.bell.notify_all();
    }
}

impl Files for Disk {
    fn ask(&self, question: Question, done: Done) {
        let put = self.shared.queue().put(question, done);
        match put {
            Ok(()) => self.shared.bell.notify_one(),
            Err((Question::Pack { found, .. }, done)) => done(Reply::Busy(found)),
            Err((Question::Look { .. } | Question::Missing, done)) => done(Reply::Refused(Refusal::Busy)),
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life.
    fn work(&self) {
        let mut keeps = false;
        while let Some((question, asked)) = self.next(&mut keeps) {
            // The others have to hear something, and the thread has to go on.
            let reply = catch_unwind(AssertUnwindSafe(|| self.answer(question)));
            let reply = reply.unwrap_or(Reply::Refused(Refusal::Broken));
            let waiting = self.queue().answered(&asked);
            for done in waiting {
                done(reply.clone());
            }
            self.queue().release(&asked);
            keeps = true;
        }
    }

    /// The next question; `None` at the end. An event loop may keep a file that it was told of, so a thread that has answered comes back
    /// once that file's time is over.
    fn next(&self, keeps: &mut bool) -> Option<(Question, Asked)> {
        let mut queue = self.queue();
        loop {
            if queue.is_over {
                return None;
            }
            if let Some(next) = queue.take() {
                return Some(next);
            }
            if !*keeps {
                queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // Longer than anything is kept that was told before.
            let pause = self.config.keep + self.config.keep / 4;
            let (after, timeout) = self.bell.wait_timeout(queue, pause).unwrap_or_else(PoisonError::into_inner);
            queue = after;
            if timeout.timed_out() {
                drop(queue);
                let now = clock::now().instant;
                // All of them, not up to the first that has something left.
                *keeps = self.kept.iter().fold(false, |some, kept| some | !kept.expire(now));
                queue = self.queue();
            }
        }
    }

    fn answer(&self, question: Question) -> Reply {
        match question {
            Question::Look { place, listing } => self.look(place, listing),
            Question::Missing => self.missing(),
            Question::Pack { found, .. } => {
                self.pack(&found);
                Reply::Packed(found)
            }
        }
    }
}

#[cfg(test)]
mod tests;
