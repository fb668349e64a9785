//! The log on the disk, and the one thread that writes it.
//!
//! ```text
//!   Core ── records ──▶ channel ──▶ writer: write, fdatasync ─▶ stored(n) ─▶ what waited for them leaves
//!                                      │ all that wait, with one call of each
//!                                      ╰ a long log: the next one begins, and a thread makes a snapshot of all before
//!
//!   snapshot-7   log-7   log-8     the state is the newest snapshot, and the logs from its number on
//! ```
//!
//! Records are written in groups: while one group is on its way to the disk, the next gathers. A record that a crash has cut stands at the
//! end of the last log: it is cut off at the next start, and said; the bytes are kept beside. Damage before the end is no crash, and the
//! broker does not start.

mod files;
mod load;

#[cfg(test)]
mod tests;

use super::{image::Image, record::Record};
use files::{Folder, Kind};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long what was written may be in the system's memory alone, with [`Sync::EverySecond`]; and the time between two tries to write to a
/// disk that is full.
const SECOND: Duration = Duration::from_secs(1);

/// Bytes that are written with one call, about.
const BATCH: usize = 1024 * 1024;

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
    folder: Folder,
    file: File,
    number: u64,
    len: u64,
    /// Bytes of the newest snapshot: a log much shorter is not worth another one.
    snapshot: u64,
    worth: u64,
    sync: Sync,
    dirty: bool,
    compaction: Option<JoinHandle<io::Result<u64>>>,
}

impl Journal {
    /// Reads what there is, and makes a directory and a log where there are none.
    ///
    /// # Errors
    ///
    /// One line: the directory is another broker's, or a file is damaged.
    pub(crate) fn open(path: &Path, sync: Sync) -> Result<(Self, Image), String> {
        let folder = Folder::open(path)?;
        let load::Loaded { image, number, len, snapshot } = load::load(&folder)?;
        let file = folder.open_log(number).map_err(|error| folder.failed(Kind::Log, number, &error))?;
        let journal = Self { folder, file, number, len, snapshot, worth: WORTH, sync, dirty: false, compaction: None };
        Ok((journal, image))
    }

    /// Writes what comes until nothing can come any more. `stored` hears how many records are stored, of all that came.
    pub(crate) fn run(mut self, records: &Receiver<Vec<Record>>, stored: impl Fn(u64)) {
        let mut count = 0;
        loop {
            let first = match records.recv_timeout(SECOND) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.settle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut bytes = Vec::new();
            for record in first {
                record.write(&mut bytes);
                count += 1;
            }
            while bytes.len() < BATCH
                && let Ok(more) = records.try_recv()
            {
                more.iter().for_each(|record| record.write(&mut bytes));
                count += more.len() as u64;
            }
            if !self.store(&bytes, records, &mut count) {
                return;
            }
            stored(count);
            self.compact();
        }
        self.settle();
        // Half of a snapshot would be of no use.
        self.compaction.take().into_iter().for_each(|thread| drop(thread.join()));
    }

    /// Writes until it is written. `false`: the process ends before.
    fn store(&mut self, bytes: &[u8], records: &Receiver<Vec<Record>>, count: &mut u64) -> bool {
        let mut bytes = bytes.to_vec();
        while let Err(error) = self.append(&bytes) {
            tracing::error!("{error}; nothing is acknowledged until it can be written, which is tried again");
            match records.recv_timeout(SECOND) {
                Ok(more) => {
                    more.iter().for_each(|record| record.write(&mut bytes));
                    *count += more.len() as u64;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The line above has said what is lost.
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// All of it, or none.
    fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = self.file.write_all_at(bytes, self.len).and_then(|()| match self.sync {
            Sync::Always => self.file.sync_data(),
            Sync::EverySecond | Sync::Never => Ok(()),
        });
        if let Err(error) = written {
            let _ = self.file.set_len(self.len);
            return Err(self.folder.failed(Kind::Log, self.number, &error));
        }
        self.len += bytes.len() as u64;
        self.dirty = self.sync == Sync::EverySecond;
        Ok(())
    }

    /// Has the disk keep what was written.
    fn settle(&mut self) {
        if std::mem::take(&mut self.dirty)
            && let Err(error) = self.file.sync_data()
        {
            tracing::error!("{}", self.folder.failed(Kind::Log, self.number, &error));
        }
    }

    /// Begins another log when this one has become long, and has a snapshot made of all before.
    fn compact(&mut self) {
        if let Some(thread) = self.compaction.take_if(|thread| thread.is_finished()) {
            match thread.join() {
                Ok(Ok(len)) => self.snapshot = len,
                Ok(Err(error)) => {
                    tracing::warn!("no snapshot could be made, the log stays long: {error}");
                    self.worth = self.worth.saturating_mul(2);
                }
                // It has said so.
                Err(_) => {}
            }
        }
        if self.compaction.is_some() || self.len < self.worth.max(self.snapshot) {
            return;
        }
        match self.begin_next() {
            Ok(thread) => self.compaction = Some(thread),
            Err(error) => {
                tracing::warn!("the next log could not be begun: {error}");
                self.worth = self.worth.saturating_mul(2);
            }
        }
    }

    fn begin_next(&mut self) -> io::Result<JoinHandle<io::Result<u64>>> {
        // A torn record may only stand in the last log.
        self.file.sync_data()?;
        let next = self.folder.open_log(self.number + 1)?;
        self.folder.sync()?;
        (self.file, self.len, self.number) = (next, 0, self.number + 1);
        let (folder, number) = (self.folder.clone(), self.number);
        thread::Builder::new().name("snapshot".to_owned()).spawn(move || load::snapshot(&folder, number))
    }
}
