//! Writes what has to last: it waits for records, has the journal write them, and tells the hall. So an event loop never waits for a disk.

use super::{house::House, journal::Journal, record::Record};
use crate::{
    disk::{BATCH, IDLE, Retry},
    net::clock,
    time::Instant,
};
use std::sync::{
    Arc,
    mpsc::{Receiver, RecvTimeoutError},
};

/// Writes the records of a hall.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    records: Receiver<Record>,
    house: Arc<House>,
    /// Records of which the hall knows that they are written.
    told: u64,
    retry: Retry,
}

impl Writer {
    pub(super) fn new(journal: Journal, records: Receiver<Record>, house: Arc<House>) -> Self {
        Self { journal, records, house, told: 0, retry: Retry::default() }
    }

    /// A file of so many bytes is written again when it can be made shorter; without this call: 1 MiB.
    pub fn compact_from(&mut self, bytes: u64) {
        self.journal.set_worth(bytes);
    }

    /// When [`Writer::work`] is to be called even if no record comes.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.retry.due().or(self.journal.due())
    }

    /// Writes all records that wait, if the disk lets it.
    pub fn work(&mut self, now: Instant) {
        while self.journal.unwritten() < BATCH
            && let Ok(record) = self.records.try_recv()
        {
            self.journal.take(&record);
        }
        if self.retry.is_early(now) {
            return;
        }
        match self.journal.write(now) {
            Ok(written) => {
                if self.retry.worked() {
                    tracing::info!("accounts and histories can be written again");
                }
                let news = written - self.told;
                if news > 0 {
                    self.told = written;
                    self.house.stored(news);
                }
            }
            Err(error) => {
                if self.retry.failed(now) {
                    tracing::error!("{error}; it is tried again every second");
                }
            }
        }
    }

    /// Writes until nothing can come any more.
    pub(super) fn run(mut self) {
        loop {
            let pause = self.due().map_or(IDLE, |due| due.saturating_duration_since(clock::now().instant));
            match self.records.recv_timeout(pause) {
                Ok(first) => self.journal.take(&first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.work(clock::now().instant);
        }
        if let Err(error) = self.journal.finish() {
            tracing::error!("{error}; what was not acknowledged is lost");
        }
    }
}
