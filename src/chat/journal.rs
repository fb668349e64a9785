//! The file of records: they come in, lines go to a disk, and a number tells how many of them are written.
//!
//! An append-only file, not an embedded database: it is read once, at the start, in the order in which it was written, and nothing is ever
//! looked up in it. Text in lines is its own documentation.
//!
//! ```text
//!   Hall ── Record ──▶ channel ──▶ Writer: write ─▶ House::stored ─▶ acknowledgements
//!                                     │ once a second: fdatasync
//!                                     ╰ much longer than needed: write again, rename
//! ```
//!
//! A crash of the process loses nothing that was written; a crash of the machine loses at most the last second. A disk that loses power has
//! what was written since the last `fdatasync` in any order: a later line may be whole, and an earlier one not. So the first line behind
//! each `fdatasync` says that all before it was kept ([`Record::Kept`]). Damage with such a line behind it is no crash, and the server does
//! not start. Other damage is cut off, with all behind it, and said; the bytes are kept beside.
//!
//! There is no thread and no clock in it: [`Writer`](super::writer::Writer) has these.

use super::record::{Archive, Record};
use crate::{
    disk::{Disk, DiskFile, FromStart, Log, PIECE, Sync, prepare, tear, write_again, write_each},
    time::Instant,
};
use std::{
    io::{self, BufRead as _, BufReader},
    sync::Arc,
};

/// The file's name.
const NAME: &str = "chat.log";

/// A file that is shorter is never written again to make it shorter.
const WORTH: u64 = 1024 * 1024;

/// The file, open for writing behind its last record.
#[derive(Debug)]
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    log: Log,
    /// Records that were taken.
    taken: u64,
    /// Its length when it held no more than it had to.
    compact: u64,
    worth: u64,
    history: usize,
    /// The name may still lead to the file that was there before, should the machine lose power: nothing is kept until it does not.
    is_name_doubtful: bool,
}

/// The findings in the file.
#[derive(Debug)]
struct Found {
    archive: Archive,
    /// Its length.
    end: u64,
    /// Bytes of whole records.
    whole: u64,
    /// Bytes before the last line that says that all before it was kept.
    kept: u64,
}

impl Journal {
    /// Reads what there is, and makes a file where there is none. Of each room, `history` messages are of use.
    ///
    /// # Errors
    ///
    /// One line: the file is damaged, or cannot be read or made.
    pub(crate) fn open(disk: Arc<dyn Disk>, history: usize) -> Result<(Self, Archive), String> {
        let open = || {
            let file = disk.open(NAME)?;
            let Found { archive, end, whole, kept } = read(&*file, history)?;
            if whole < end {
                tear(&*disk, NAME, whole, end)?;
            }
            // A process that was killed may have left records that only the system's memory has, and clients are told of them from now on.
            // If a sync had failed before, the system takes them for kept: so they are written again.
            write_again(&*file, kept, whole)?;
            disk.sync()?;
            Ok((file, archive, whole))
        };
        let (file, archive, len) = open().map_err(|error| failed(&*disk, &error))?;
        let log = Log::new(file, len, len, Sync::EverySecond);
        let (taken, compact, worth, is_name_doubtful) = (0, len, WORTH, false);
        Ok((Self { disk, log, taken, compact, worth, history, is_name_doubtful }, archive))
    }

    /// Takes a record that is to be written.
    pub(crate) fn take(&mut self, record: &Record) {
        if self.log.is_confirmed() {
            Record::Kept {}.write(self.log.tail());
        }
        record.write(self.log.tail());
        self.taken += 1;
    }

    /// Bytes that are to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.log.unwritten()
    }

    /// When [`Journal::write`] is to be called even if nothing comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.log.due()
    }

    /// Writes all that was taken, and makes a file shorter that has become much longer than it has to be. Returns how many records are written,
    /// of all that were ever taken.
    ///
    /// # Errors
    ///
    /// One line. Nothing is written that was not before; it may be tried again.
    pub(crate) fn write(&mut self, now: Instant) -> Result<u64, String> {
        let written = self.settle_name().and_then(|()| self.log.write(now));
        written.map_err(|error| failed(&*self.disk, &error))?;
        if self.log.is_confirmed()
            && self.log.kept() > self.worth.max(self.compact * 2)
            && let Err(error) = self.rewrite()
        {
            tracing::warn!("{} could not be made shorter: {error}", self.disk.shown(NAME));
            self.compact = self.log.kept();
        }
        Ok(self.taken)
    }

    /// Has the disk keep what it was not asked for yet, at the end, and says so in the file: damage that it gets from now on is no crash.
    ///
    /// # Errors
    ///
    /// One line.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        let finished = self.settle_name().and_then(|()| self.log.finish()).and_then(|()| {
            if self.taken > 0 {
                Record::Kept {}.write(self.log.tail());
            }
            self.log.finish()
        });
        finished.map_err(|error| failed(&*self.disk, &error))
    }

    fn settle_name(&mut self) -> io::Result<()> {
        if self.is_name_doubtful {
            self.disk.sync()?;
            self.is_name_doubtful = false;
        }
        Ok(())
    }

    /// Writes what the records add up to into a new file, which takes the old one's place at once or not at all.
    fn rewrite(&mut self) -> io::Result<()> {
        let Found { archive, end, .. } = read(self.log.file(), self.history)?;
        let new = format!("{NAME}.new");
        let write = |record: Record, bytes: &mut Vec<u8>| record.write(bytes);
        let (file, len) = prepare(&*self.disk, &new, |file| write_each(file, archive.records(), write))?;
        self.disk.rename(&new, NAME)?;
        // From here on the name leads to the new file, whether the disk knows that already or not.
        self.log = Log::new(file, len, len, Sync::EverySecond);
        (self.compact, self.is_name_doubtful) = (len, true);
        tracing::info!("{} had {end} bytes and has {len} now", self.disk.shown(NAME));
        Ok(())
    }

    /// A file of so many bytes is written again when it can be made much shorter.
    pub(crate) fn set_worth(&mut self, bytes: u64) {
        self.worth = bytes;
    }
}

fn failed(disk: &dyn Disk, error: &io::Error) -> String {
    format!("{}: {error}", disk.shown(NAME))
}

/// Reads a file from its beginning.
fn read(file: &dyn DiskFile, history: usize) -> io::Result<Found> {
    let end = file.size()?;
    let mut from = BufReader::with_capacity(PIECE, FromStart::of(file));
    let mut found = Found { archive: Archive::default(), end, whole: 0, kept: 0 };
    let (mut at, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let len = from.read_until(b'\n', &mut line)? as u64;
        if len == 0 {
            return Ok(found);
        }
        let is_behind_damage = at > found.whole;
        at += len;
        match Record::read(&line) {
            Some(Record::Kept {}) if is_behind_damage => {
                let why = format!(
                    "damaged at byte {}, which was on the disk, so no crash has done that: restore it, or move it away",
                    found.whole
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            Some(record) if !is_behind_damage => {
                if matches!(record, Record::Kept {}) {
                    found.kept = found.whole;
                }
                found.archive.add(record, history);
                found.whole = at;
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{disk::Folder, service::testing::now};
    use std::{fs, path::Path};

    fn said(seq: u64) -> Record {
        let text = "x".repeat(100);
        Record::Said { room: "tea".to_owned(), seq, from: "ann".to_owned(), text, at: 1, announcement: false }
    }

    fn open(folder: &Path) -> Result<(Journal, Vec<Record>), String> {
        let opened = Journal::open(Arc::new(Folder::open_unlocked(folder)), 10);
        opened.map(|(journal, archive)| (journal, archive.records().collect()))
    }

    /// Each group of records is on the disk before the next.
    fn write(folder: &Path, groups: &[&[Record]]) {
        let (mut journal, _) = open(folder).unwrap();
        for (count, group) in (1..).zip(groups) {
            group.iter().for_each(|record| journal.take(record));
            assert_eq!(journal.write(now().instant), Ok(groups[..count].concat().len() as u64));
            journal.log.finish().unwrap();
        }
        journal.write(now().instant).unwrap();
    }

    fn all(last: u64) -> Vec<Record> {
        (1..=last).map(said).collect()
    }

    #[test]
    fn records_are_there_again_and_a_torn_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[&all(3)]);
        write(folder.path(), &[&[said(4)]]);
        assert_eq!(open(folder.path()).unwrap().1, all(4));
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 6, "two of them say that what is before them was kept");
        for cut in 1..=lines[5].len() {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(open(folder.path()).unwrap().1, all(3), "{cut}");
            assert_eq!(fs::metadata(&path).unwrap().len() as usize, whole.len() - lines[5].len());
        }
    }

    /// Without power, a disk writes what it was not told to keep in any order.
    #[test]
    fn damage_is_a_crash_unless_the_disk_had_what_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[&all(3), &[said(4), said(5), said(6)]]);
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        let starts: Vec<usize> = std::iter::once(0)
            .chain(whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        // Lines 0 and 4 say that what is before them was kept.
        for line in [1, 2, 3, 5, 6] {
            let mut bytes = whole.clone();
            bytes[starts[line] + 50] ^= 1;
            fs::write(&path, &bytes).unwrap();
            if line < 4 {
                let expected = format!("damaged at byte {}", starts[line]);
                assert!(open(folder.path()).is_err_and(|why| why.contains(&expected)), "{line}");
            } else {
                assert_eq!(open(folder.path()).unwrap().1, all(line as u64 - 2), "{line}");
                let beside = fs::read(folder.path().join("chat.log.torn")).unwrap();
                assert_eq!(beside, bytes[starts[line]..], "{line}");
            }
        }
    }

    #[test]
    fn a_file_that_grew_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[&all(10_000)]);
        assert!(fs::metadata(folder.path().join(NAME)).unwrap().len() < 3000);
        assert_eq!(open(folder.path()).unwrap().1, (9991..=10_000).map(said).collect::<Vec<_>>());
    }
}
