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

mod disk;
mod files;
mod load;

#[cfg(test)]
mod tests;

use super::{
    image::Image,
    record::{Mark, Record},
};
pub use disk::{Disk, DiskFile};
use disk::{Kind, write_all};
pub(crate) use files::Folder;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long what was written may be in the system's memory alone, with [`Sync::EverySecond`].
const SECOND: Duration = Duration::from_secs(1);

/// Bytes that may be in the system's memory alone, with [`Sync::EverySecond`]: they are in ours as well.
const MAX_UNSYNCED: usize = 8 * 1024 * 1024;

/// A log that is shorter is not replaced by a snapshot.
const WORTH: u64 = 16 * 1024 * 1024;

/// When the disk is told to keep what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sync {
    /// Before anything is acknowledged.
    Always,
    /// Once a second.
    #[value(name = "1s")]
    EverySecond,
    /// When the system wants to.
    Never,
}

/// The log, open for writing behind its last record.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    number: u64,
    /// Bytes of the log that are not in the tail.
    kept: u64,
    /// Records behind them. With [`Sync::Never`] they leave it when they are written, else when the disk has confirmed them.
    tail: Vec<u8>,
    /// Bytes of the tail that are written.
    written: usize,
    /// The disk has failed to keep some of them: another sync that succeeds proves nothing, unless they are written again.
    is_doubtful: bool,
    /// The disk has confirmed all before the tail.
    is_confirmed: bool,
    /// When the tail is to be confirmed at the latest.
    due: Option<Instant>,
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
        let load::Loaded { image, number, len, confirmed, snapshot } = load::load(&*disk)?;
        let name = Kind::Log.name(number);
        let failed = |error: io::Error| load::failed(&*disk, &name, &error);
        let file = disk.open(&name).map_err(failed)?;
        if sync != Sync::Never {
            // A process that was killed may have left records that only the system's memory has, and clients are told of them from now on.
            // If a sync had failed before, the system takes them for kept: so they are written again.
            load::write_again(&*file, confirmed, len).and_then(|()| disk.sync()).map_err(failed)?;
        }
        let journal = Self {
            file,
            number,
            kept: len,
            tail: Vec::new(),
            written: 0,
            is_doubtful: false,
            is_confirmed: sync != Sync::Never,
            due: None,
            taken: 0,
            sync,
            snapshot,
            worth: WORTH,
            is_compacting: false,
            disk,
        };
        Ok((journal, image))
    }

    /// Takes records that are to be written.
    pub(crate) fn take(&mut self, records: &[Record]) {
        for record in records {
            let is_first = self.tail.is_empty() && self.is_confirmed;
            record.write(if is_first { Mark::Confirmed } else { Mark::Behind }, &mut self.tail);
        }
        self.taken += records.len() as u64;
    }

    /// Bytes that are to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.tail.len() - self.written
    }

    /// When [`Journal::write`] is to be called even if nothing comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Writes all that was taken. Returns how many records are stored, of all that were ever taken.
    ///
    /// # Errors
    ///
    /// One line. Nothing is stored that was not before; it may be tried again.
    pub(crate) fn write(&mut self, now: Instant) -> Result<u64, String> {
        let done = self.write_tail().and_then(|()| {
            let is_due = self.due.is_some_and(|due| due <= now) || self.tail.len() > MAX_UNSYNCED;
            match self.sync {
                Sync::Always if !self.tail.is_empty() => self.confirm(),
                Sync::EverySecond if is_due || self.is_doubtful => self.confirm(),
                Sync::Always | Sync::EverySecond | Sync::Never => Ok(()),
            }
        });
        done.map_err(|error| load::failed(&*self.disk, &Kind::Log.name(self.number), &error))?;
        if self.sync == Sync::Never && !self.tail.is_empty() {
            self.forget_tail();
            self.is_confirmed = false;
        }
        if !self.tail.is_empty() {
            self.due = self.due.or(Some(now + SECOND));
        }
        Ok(self.taken)
    }

    /// Has the disk confirm what it was not asked for yet, at the end.
    ///
    /// # Errors
    ///
    /// One line.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let done = self.write_tail().and_then(|()| self.confirm());
        done.map_err(|error| load::failed(&*self.disk, &Kind::Log.name(self.number), &error))
    }

    /// A write that fails leaves a part of a record, which the next try covers: the tail only grows until it is written.
    fn write_tail(&mut self) -> io::Result<()> {
        let from = if self.is_doubtful { 0 } else { self.written };
        write_all(&*self.file, &self.tail[from..], self.kept + from as u64)?;
        self.written = if self.sync == Sync::Always { 0 } else { self.tail.len() };
        Ok(())
    }

    fn confirm(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.sync() {
            self.is_doubtful = true;
            return Err(error);
        }
        self.forget_tail();
        self.is_confirmed = true;
        Ok(())
    }

    fn forget_tail(&mut self) {
        self.kept += self.tail.len() as u64;
        self.tail.clear();
        // A burst must not keep its memory for ever.
        self.tail.shrink_to(MAX_UNSYNCED);
        (self.written, self.is_doubtful, self.due) = (0, false, None);
    }

    /// Begins another log when this one has become long. `Some`: a snapshot is to be made of all before, and [`Journal::compacted`] to be
    /// called.
    pub(crate) fn compact(&mut self) -> Option<Compaction> {
        if self.is_compacting || self.unwritten() > 0 || self.kept < self.worth.max(self.snapshot) {
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
        self.confirm()?;
        let next = self.disk.open(&Kind::Log.name(self.number + 1))?;
        self.disk.sync()?;
        (self.file, self.kept, self.number) = (next, 0, self.number + 1);
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
