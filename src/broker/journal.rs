//! The log: records come in, bytes go to a disk, and a number tells how many records are stored.
//!
//! ```text
//!   take ──▶ tail ── write ──▶ disk ── sync ──▶ kept           write returns how many records are stored, by the policy
//!            │ until the disk has confirmed it: then it's forgotten
//!            ╰ a sync that fails: all of it is written again
//!
//!   snapshot-7   log-7   log-8     the state is the newest snapshot, and the logs from its number on
//! ```
//!
//! Records are written in groups: while one group is on its way to the disk, the next gathers. A record that a crash has cut stands at the
//! end of the last log: it is cut off at the next start, and said; the bytes are kept beside. Damage before the end is no crash, and the
//! broker does not start.
//!
//! There is no thread and no clock in it: [`Writer`](super::writer::Writer) has these.

mod kind;
mod load;

#[cfg(test)]
mod tests;

use super::{
    image::Image,
    record::{Mark, Record},
};
use crate::{
    disk::{Disk, Log, Sync, write_again},
    time::Instant,
};
use kind::Kind;
use std::{io, sync::Arc};

/// A log that is shorter is not replaced by a snapshot.
const WORTH: u64 = 16 * 1024 * 1024;

/// The log, open for writing behind its last record.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    log: Log,
    number: u64,
    /// Records that were taken.
    taken: u64,
    sync: Sync,
    /// Bytes of the newest snapshot: a log much shorter is not worth another one.
    snapshot: u64,
    worth: u64,
    is_compacting: bool,
}

impl Journal {
    /// Reads what there is, and makes a log where there is none.
    ///
    /// # Errors
    ///
    /// One line: a file is damaged, or cannot be read or made.
    pub(crate) fn open(disk: Arc<dyn Disk>, sync: Sync) -> Result<(Self, Image), String> {
        let load::Loaded { image, last, before, snapshot } = load::load(&*disk)?;
        let load::Extent { number, len, confirmed } = last;
        let failed = |number| {
            let disk = Arc::clone(&disk);
            move |error: io::Error| load::failed(&*disk, &Kind::Log.name(number), &error)
        };
        let open = |number| disk.open(&Kind::Log.name(number)).map_err(failed(number));
        // A process that was killed may have left records that only the system's memory has, and clients are told of them from now on.
        // If a sync had failed before, the system takes them for kept: so they are written again. Under each policy, a log that is not the
        // last one is whole.
        for log in &before {
            write_again(&*open(log.number)?, log.confirmed, log.len).map_err(failed(log.number))?;
        }
        let mut log = Log::new(open(number)?, len, confirmed, sync);
        if sync != Sync::Never {
            log.confirm().and_then(|()| disk.sync()).map_err(failed(number))?;
        }
        let (taken, worth, is_compacting) = (0, WORTH, false);
        let journal = Self { log, number, taken, sync, snapshot, worth, is_compacting, disk };
        Ok((journal, image))
    }

    /// Takes records that are to be written.
    pub(crate) fn take(&mut self, records: &[Record]) {
        for record in records {
            let mark = if self.log.is_confirmed() { Mark::Confirmed } else { Mark::Behind };
            record.write(mark, self.log.tail());
        }
        self.taken += records.len() as u64;
    }

    /// Bytes that are to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.log.unwritten()
    }

    /// When [`Journal::write`] is to be called even if nothing comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.log.due()
    }

    /// Writes all that was taken. Returns how many records are stored, of all that were ever taken.
    ///
    /// # Errors
    ///
    /// One line. Nothing is stored that was not before; it may be tried again.
    pub(crate) fn write(&mut self, now: Instant) -> Result<u64, String> {
        self.log.write(now).map_err(|error| self.failed(&error))?;
        Ok(self.taken)
    }

    /// Has the disk confirm what it was not asked for yet, at the end.
    ///
    /// # Errors
    ///
    /// One line.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        self.log.finish().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> String {
        load::failed(&*self.disk, &Kind::Log.name(self.number), error)
    }

    /// Begins another log when this one has become long. `Some`: a snapshot is to be made of all before, and [`Journal::compacted`] to be
    /// called.
    pub(crate) fn compact(&mut self) -> Option<Compaction> {
        if self.is_compacting || self.unwritten() > 0 || self.log.kept() < self.worth.max(self.snapshot) {
            return None;
        }
        if let Err(error) = self.begin_next() {
            tracing::warn!("the next log could not be begun: {error}");
            self.worth = self.worth.saturating_mul(2);
            return None;
        }
        self.is_compacting = true;
        Some(Compaction { disk: Arc::clone(&self.disk), number: self.number })
    }

    fn begin_next(&mut self) -> io::Result<()> {
        // A torn record may only stand in the last log.
        self.log.confirm()?;
        let next = self.disk.open(&Kind::Log.name(self.number + 1))?;
        self.disk.sync()?;
        self.log = Log::new(next, 0, 0, self.sync);
        self.number += 1;
        Ok(())
    }

    /// A snapshot was made, of so many bytes, or not.
    pub(crate) fn compacted(&mut self, made: io::Result<u64>) {
        self.is_compacting = false;
        match made {
            Ok(len) => self.snapshot = len,
            Err(error) => {
                tracing::warn!("no snapshot could be made, the log stays long: {error}");
                self.worth = self.worth.saturating_mul(2);
            }
        }
    }

    /// A log of so many bytes is replaced by a snapshot.
    pub(crate) fn set_worth(&mut self, bytes: u64) {
        self.worth = bytes;
    }
}

/// A snapshot that is to be made of all before a log. That takes long, and nobody waits for it.
#[derive(Debug)]
pub struct Compaction {
    disk: Arc<dyn Disk>,
    number: u64,
}

impl Compaction {
    /// Makes it. Returns its length.
    ///
    /// # Errors
    ///
    /// Those of the disk. Then all is as before.
    pub fn run(&self) -> io::Result<u64> {
        load::snapshot(&*self.disk, self.number)
    }
}
