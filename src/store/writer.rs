//! The thread that writes the file, so that the event loop never waits for a disk.
//!
//! ```text
//!   Server ── append ──▶ │ jobs │ ──▶ write, checksum, fdatasync ──▶ Progress ──▶ Server, woken
//!          ── begin, base, end ─▶      the new base, beside it
//! ```
//!
//! `always`: a job is written at once, the disk has it, and then the server hears so and replies. Jobs that came meanwhile are one write:
//! so many clients share one wait for the disk. `everysec` and `no`: jobs are gathered for a moment, as nobody waits for them.

use super::{
    config::Fsync,
    file::{Folder, seal},
};
use crate::{
    net::{Remote, clock},
    time::Instant,
};
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

/// How long changes are gathered when no client waits for them: a crash of the process alone loses no more than this.
const GATHER: Duration = Duration::from_millis(5);

/// How long what was written may be in the system's memory alone with `everysec`; and the time between two tries to write to a disk that
/// is full.
const SYNC: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Job {
    /// Changes.
    Append(Vec<u8>),
    /// Later changes go into a new log, and a new base begins.
    Begin,
    /// A part of the new base.
    Base(Vec<u8>),
    /// The new base is whole.
    End,
}

/// The work that the thread has done, for others to look at.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes of changes that are where they have to be: on the disk with `always`, in the file otherwise.
    done: AtomicU64,
    pub(crate) size: AtomicU64,
    pub(crate) base: AtomicU64,
    pub(crate) is_rewriting: AtomicBool,
    pub(crate) has_failed: AtomicBool,
    /// The disk takes nothing.
    pub(crate) is_stuck: AtomicBool,
    fsync: AtomicU8,
}

#[derive(Debug, Default)]
struct Shared {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    more: Condvar,
    progress: Progress,
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
    /// Bytes of changes that were handed to it.
    given: u64,
    /// The same for the base.
    given_base: Arc<AtomicU64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (VecDeque<Job>, bool)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn code(fsync: Fsync) -> u8 {
    match fsync {
        Fsync::Always => 0,
        Fsync::Everysec => 1,
        Fsync::No => 2,
    }
}

impl Writer {
    /// Starts the thread. `size` is the length of the files that were read.
    ///
    /// # Errors
    ///
    /// The log cannot be opened, or there is no thread left.
    pub(crate) fn start(folder: Folder, size: u64, fsync: Fsync, remote: Remote) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.progress.size.store(size, Relaxed);
        shared.progress.base.store(size, Relaxed);
        shared.progress.fsync.store(code(fsync), Relaxed);
        let (log, len) = folder.append_to(folder.number)?;
        folder.sync()?;
        folder.tidy();
        let given_base = Arc::new(AtomicU64::new(0));
        let mut work = Work {
            shared: Arc::clone(&shared),
            folder,
            log,
            len,
            new_base: None,
            synced: clock::now().instant,
            is_dirty: false,
            remote,
            waiting_base: Arc::clone(&given_base),
        };
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || work.run())?;
        Ok(Self { shared, thread: Some(thread), given: 0, given_base })
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    pub(crate) fn set_fsync(&self, fsync: Fsync) {
        self.shared.progress.fsync.store(code(fsync), Relaxed);
    }

    /// Has these changes written. Tells where they end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> u64 {
        self.given += bytes.len() as u64;
        let mut jobs = self.shared.lock();
        if let Some(Job::Append(last)) = jobs.0.back_mut() {
            last.extend_from_slice(bytes);
        } else {
            jobs.0.push_back(Job::Append(bytes.to_vec()));
            self.shared.more.notify_one();
        }
        self.given
    }

    fn push(&self, job: Job) {
        self.shared.lock().0.push_back(job);
        self.shared.more.notify_one();
    }

    /// Begins to write the file again.
    pub(crate) fn begin(&self) {
        self.shared.progress.is_rewriting.store(true, Relaxed);
        self.push(Job::Begin);
    }

    /// A part of the copy of all keys.
    pub(crate) fn base(&self, bytes: Vec<u8>) {
        self.given_base.fetch_add(bytes.len() as u64, Relaxed);
        self.push(Job::Base(bytes));
    }

    /// The copy is whole.
    pub(crate) fn end(&self) {
        self.push(Job::End);
    }

    /// Whether changes up to there are where they have to be.
    pub(crate) fn has(&self, end: u64) -> bool {
        self.shared.progress.done.load(Relaxed) >= end
    }

    /// Bytes that were handed over and are not written.
    pub(crate) fn behind(&self) -> u64 {
        self.given - self.shared.progress.done.load(Relaxed) + self.given_base.load(Relaxed)
    }
}

/// Writes what is left, and ends.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().1 = true;
        self.shared.more.notify_one();
        // An error means that it has panicked: then it has said so.
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// The state of the thread.
struct Work {
    shared: Arc<Shared>,
    folder: Folder,
    log: File,
    len: u64,
    new_base: Option<File>,
    synced: Instant,
    is_dirty: bool,
    remote: Remote,
    waiting_base: Arc<AtomicU64>,
}

impl Work {
    fn run(&mut self) {
        loop {
            let (jobs, is_over) = self.take();
            for job in jobs {
                self.carry_out(job, is_over);
            }
            self.sync_in_time();
            if is_over {
                return self.finish();
            }
            if !self.is_urgent() {
                self.gather();
            }
        }
    }

    fn is_urgent(&self) -> bool {
        self.shared.progress.fsync.load(Relaxed) == code(Fsync::Always)
    }

    /// Waits for jobs, or until what was written has to be on the disk.
    fn take(&self) -> (VecDeque<Job>, bool) {
        let wait = if self.is_dirty { SYNC } else { Duration::from_secs(3600) };
        let jobs = self.shared.lock();
        let is_idle = |state: &mut (VecDeque<Job>, bool)| state.0.is_empty() && !state.1;
        let waited = self.shared.more.wait_timeout_while(jobs, wait, is_idle);
        let (mut jobs, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut jobs.0), jobs.1)
    }

    fn gather(&self) {
        let jobs = self.shared.lock();
        let waited = self.shared.more.wait_timeout_while(jobs, GATHER, |state| !state.1 && !self.is_urgent());
        drop(waited);
    }

    fn carry_out(&mut self, job: Job, is_over: bool) {
        match job {
            Job::Append(bytes) => self.append(&bytes, is_over),
            Job::Begin => {
                if let Err(error) = self.begin() {
                    self.give_up(&error);
                }
            }
            Job::Base(bytes) => {
                let written = self
                    .new_base
                    .as_mut()
                    .map(|file| file.write_all(&bytes).and_then(|()| file.write_all(&seal(&bytes))));
                self.waiting_base.fetch_sub(bytes.len() as u64, Relaxed);
                if let Some(Err(error)) = written {
                    self.give_up(&error);
                }
            }
            Job::End => {
                if let Err(error) = self.end() {
                    self.give_up(&error);
                }
            }
        }
    }

    /// Writes a batch, and tries again for as long as that takes.
    fn append(&mut self, bytes: &[u8], is_over: bool) {
        let mut batch = bytes.to_vec();
        batch.extend_from_slice(&seal(bytes));
        while let Err(error) = self.try_append(&batch) {
            tracing::error!("{}: {error}; it is tried again", self.folder.log(self.folder.number).display());
            self.shared.progress.is_stuck.store(true, Relaxed);
            self.remote.wake();
            let is_ending = {
                let jobs = self.shared.lock();
                let waited = self.shared.more.wait_timeout_while(jobs, SYNC, |state| !state.1);
                waited.unwrap_or_else(PoisonError::into_inner).0.1
            };
            if is_ending || is_over {
                // The line above has said what is lost.
                return;
            }
        }
        let progress = &self.shared.progress;
        progress.size.fetch_add(batch.len() as u64, Relaxed);
        progress.is_stuck.store(false, Relaxed);
        progress.done.fetch_add(bytes.len() as u64, Relaxed);
        if self.is_urgent() {
            self.remote.wake();
        }
    }

    /// All of it, or none.
    fn try_append(&mut self, batch: &[u8]) -> io::Result<()> {
        let end = self.len + batch.len() as u64;
        let is_urgent = self.is_urgent();
        let written = self.log.write_all_at(batch, self.len);
        if let Err(error) = written.and_then(|()| if is_urgent { self.log.sync_data() } else { Ok(()) }) {
            let _ = self.log.set_len(self.len);
            return Err(error);
        }
        self.len = end;
        self.is_dirty |= !is_urgent;
        Ok(())
    }

    fn sync_in_time(&mut self) {
        if !self.is_dirty || self.shared.progress.fsync.load(Relaxed) == code(Fsync::No) {
            return;
        }
        let now = clock::now().instant;
        if now.saturating_duration_since(self.synced) >= SYNC {
            self.sync();
        }
    }

    fn sync(&mut self) {
        self.is_dirty = false;
        self.synced = clock::now().instant;
        if let Err(error) = self.log.sync_data() {
            tracing::error!("{}: {error}", self.folder.log(self.folder.number).display());
        }
    }

    fn finish(&mut self) {
        self.sync();
    }

    fn begin(&mut self) -> io::Result<()> {
        self.sync();
        let (log, len) = self.folder.append_to(self.folder.number + 1)?;
        let path = self.folder.unfinished();
        self.new_base = Some(OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?);
        self.folder.sync()?;
        (self.log, self.len, self.folder.number) = (log, len, self.folder.number + 1);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(file) = self.new_base.take() else { return Ok(()) };
        file.sync_all()?;
        let size = file.metadata()?.len() + self.len;
        fs::rename(self.folder.unfinished(), self.folder.base(self.folder.number))?;
        self.folder.sync()?;
        self.folder.base = self.folder.number;
        self.folder.tidy();
        let progress = &self.shared.progress;
        let before = progress.size.swap(size, Relaxed);
        tracing::info!("the file had {before} bytes and has {size} now");
        progress.base.store(size, Relaxed);
        progress.has_failed.store(false, Relaxed);
        progress.is_rewriting.store(false, Relaxed);
        Ok(())
    }

    /// A rewrite that cannot be ended leaves everything as it was.
    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!("the file could not be written again: {error}");
        self.new_base = None;
        let _ = fs::remove_file(self.folder.unfinished());
        let progress = &self.shared.progress;
        progress.has_failed.store(true, Relaxed);
        progress.is_rewriting.store(false, Relaxed);
        // The next try by itself comes when it has grown as much again.
        progress.base.store(progress.size.load(Relaxed), Relaxed);
    }
}
