//! The thread that writes: it waits for records, has the journal store them, and tells the event loop.
//!
//! ```text
//!   Core ── records ──▶ channel ──▶ Writer: all that wait, with one write ──▶ Shared: stored(n) ──▶ what waited for them leaves
//!                                     ╰ a disk that fails is tried again every second
//! ```

use super::{
    journal::{Compaction, Journal},
    record::Record,
    shared::Shared,
};
use crate::{
    disk::{BATCH, IDLE, Retry},
    net::clock,
    time::Instant,
};
use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
};

/// Writes a broker's records.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    records: Receiver<Vec<Record>>,
    shared: Arc<Shared>,
    /// Records of which the event loop knows that they are stored.
    told: u64,
    retry: Retry,
}

impl Writer {
    pub(super) fn new(journal: Journal, records: Receiver<Vec<Record>>, shared: Arc<Shared>) -> Self {
        Self { journal, records, shared, told: 0, retry: Retry::default() }
    }

    /// A log of so many bytes is replaced by a snapshot; without this call: 16 MiB.
    pub fn compact_from(&mut self, bytes: u64) {
        self.journal.set_worth(bytes);
    }

    /// When [`Writer::work`] is to be called even if no record comes.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.retry.due().or(self.journal.due())
    }

    /// Writes all records that wait, if the disk lets it. `Some`: a snapshot is to be made, and its outcome to be told by
    /// [`Writer::compacted`].
    pub fn work(&mut self, now: Instant) -> Option<Compaction> {
        while self.journal.unwritten() < BATCH
            && let Ok(more) = self.records.try_recv()
        {
            self.journal.take(&more);
        }
        self.write(now)
    }

    /// The outcome of a snapshot.
    pub fn compacted(&mut self, made: io::Result<u64>) {
        self.journal.compacted(made);
    }

    fn write(&mut self, now: Instant) -> Option<Compaction> {
        if self.retry.is_early(now) {
            return None;
        }
        match self.journal.write(now) {
            Ok(stored) => {
                if self.retry.worked() {
                    tracing::info!("the log can be written again");
                    self.shared.fails(false);
                }
                if stored > self.told {
                    self.told = stored;
                    self.shared.store(stored);
                }
                self.journal.compact()
            }
            Err(error) => {
                if self.retry.failed(now) {
                    tracing::error!(
                        "{error}; nothing is acknowledged until it can be written, which is tried every second"
                    );
                    self.shared.fails(true);
                }
                None
            }
        }
    }

    /// Writes until nothing can come any more.
    pub(super) fn run(mut self) {
        let mut snapshot: Option<JoinHandle<io::Result<u64>>> = None;
        loop {
            let now = clock::now().instant;
            let pause = self.due().map_or(IDLE, |due| due.saturating_duration_since(now));
            match self.records.recv_timeout(pause) {
                Ok(first) => self.journal.take(&first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(thread) = snapshot.take_if(|thread| thread.is_finished()) {
                self.compacted(joined(thread));
            }
            if let Some(compaction) = self.work(clock::now().instant) {
                let begun = thread::Builder::new().name("snapshot".to_owned()).spawn(move || compaction.run());
                match begun {
                    Ok(thread) => snapshot = Some(thread),
                    Err(error) => self.compacted(Err(error)),
                }
            }
        }
        if let Err(error) = self.journal.finish() {
            tracing::error!("{error}; what was not acknowledged is lost");
        }
        // Half of a snapshot would be of no use.
        snapshot.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// A thread that has panicked has said so.
fn joined(thread: JoinHandle<io::Result<u64>>) -> io::Result<u64> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("its thread has ended")))
}
