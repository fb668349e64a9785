//! The file of records, and the one thread that writes it.
//!
//! An append-only file, not an embedded database: it is read once, at the start, in the order in which it was written, and nothing is ever
//! looked up in it. Text in lines is its own documentation. The thread takes all records that wait, writes them with one call, and tells
//! the hall; so an event loop never waits for a disk.
//!
//! ```text
//!   Hall ── Record ──▶ channel ──▶ writer: write ─▶ House::stored ─▶ acknowledgements
//!                                     │ once a second: fdatasync
//!                                     ╰ much longer than needed: write again, rename
//! ```
//!
//! A crash of the process loses nothing that was written; a crash of the machine loses at most the last second. A line that was being
//! written is cut off at the next start, and said. Damage before the last line is no crash, and the server does not start.

use super::record::{Archive, Record};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

/// The file's name in the directory.
const NAME: &str = "chat.log";

/// How long what was written may be in the system's memory alone; and the time between two tries to write to a disk that is full.
const SYNC: Duration = Duration::from_secs(1);

/// Records that are written with one call.
const BATCH: usize = 1000;

/// A file that is shorter is never written again to make it shorter.
const WORTH: u64 = 1024 * 1024;

/// The file, open for writing behind its last record.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: File,
    len: u64,
    /// Its length when it held no more than it had to.
    compact: u64,
    history: usize,
    dirty: bool,
}

/// The end of what could be read.
struct Read {
    archive: Archive,
    /// Bytes of whole records.
    good: u64,
    /// Bytes behind them.
    torn: u64,
}

impl Journal {
    /// Reads what there is, and makes a directory and a file where there are none.
    ///
    /// # Errors
    ///
    /// One line: the directory is another server's, or the file is damaged.
    pub(crate) fn open(folder: &Path, history: usize) -> Result<(Self, Archive), String> {
        let failed = |what: &str, error: io::Error| format!("{what}: {error}");
        let name = folder.display().to_string();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(&name, error))?;
        let path = folder.join(NAME);
        let shown = path.display().to_string();
        let mut options = OpenOptions::new();
        // It has hashes of passwords.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|error| failed(&shown, error))?;
        lock(folder).map_err(|_| format!("{name} is in use by another server: give this one a --data of its own"))?;
        let Read { archive, good, torn } = read(&file, history).map_err(|error| failed(&shown, error))?;
        if torn > 0 {
            tracing::warn!("{shown}: the last {torn} bytes are no whole record, as after a crash: cut off");
            file.set_len(good).map_err(|error| failed(&shown, error))?;
        }
        let journal = Self { folder: folder.to_owned(), file, len: good, compact: good, history, dirty: false };
        Ok((journal, archive))
    }

    /// Writes what comes until nothing can come any more. `stored` hears how many records were written, each time.
    pub(crate) fn run(mut self, records: &Receiver<Record>, stored: impl Fn(u64)) {
        loop {
            let first = match records.recv_timeout(SYNC) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.settle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let (mut bytes, mut count) = (Vec::new(), 0);
            for record in std::iter::once(first).chain(records.try_iter().take(BATCH - 1)) {
                record.write(&mut bytes);
                count += 1;
            }
            while let Err(error) = self.append(&bytes) {
                tracing::error!("{}: {error}; it is tried again", self.folder.join(NAME).display());
                match records.recv_timeout(SYNC) {
                    Ok(record) => {
                        record.write(&mut bytes);
                        count += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    // The process ends. The line above has said what is lost.
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            stored(count);
        }
        self.settle();
    }

    /// All of it, or none.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(bytes, self.len) {
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        self.len += bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }

    /// Has the disk keep what was written, and makes a file shorter that has become much longer than it has to be.
    fn settle(&mut self) {
        if !self.dirty {
            return;
        }
        self.dirty = false;
        if let Err(error) = self.file.sync_data() {
            tracing::error!("{}: {error}", self.folder.join(NAME).display());
        }
        if self.len > WORTH.max(self.compact * 2)
            && let Err(error) = self.rewrite()
        {
            tracing::warn!("{} could not be made shorter: {error}", self.folder.join(NAME).display());
            self.compact = self.len;
        }
    }

    /// Writes what the records add up to into a new file, which takes the old one's place at once or not at all.
    fn rewrite(&mut self) -> io::Result<()> {
        let Read { archive, .. } = read(&self.file, self.history)?;
        let (new, place) = (self.folder.join(format!("{NAME}.new")), self.folder.join(NAME));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let (mut out, mut len) = (io::BufWriter::new(&file), 0);
        for record in archive.records() {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            out.write_all(&bytes)?;
            len += bytes.len() as u64;
        }
        out.flush()?;
        drop(out);
        file.sync_all()?;
        fs::rename(&new, &place)?;
        File::open(&self.folder)?.sync_all()?;
        tracing::info!("{} had {} bytes and has {len} now", place.display(), self.len);
        (self.file, self.len, self.compact) = (file, len, len);
        Ok(())
    }
}

/// Reads a file from its beginning.
fn read(file: &File, history: usize) -> io::Result<Read> {
    let end = file.metadata()?.len();
    let mut from = BufReader::new(At { file, at: 0 });
    let (mut archive, mut good, mut at, mut line) = (Archive::default(), 0, 0, Vec::new());
    loop {
        line.clear();
        let len = from.read_until(b'\n', &mut line)? as u64;
        if len == 0 {
            return Ok(Read { archive, good, torn: end - good });
        }
        at += len;
        match Record::read(&line) {
            Some(_) if at - len > good => {
                let why = format!(
                    "damaged at byte {good}, and whole behind that, which no crash does: restore it, or move it away"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            Some(record) => {
                archive.add(record, history);
                good = at;
            }
            None => {}
        }
    }
}

/// A file read by position: the one who writes has a position of its own.
struct At<'f> {
    file: &'f File,
    at: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Holds a directory for as long as this process lives.
fn lock(folder: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"))?;
    let lock =
        nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
    // Until the end of the process: the system lets go of it, even after kill -9.
    std::mem::forget(lock);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::channel,
    };

    fn said(seq: u64) -> Record {
        let text = "x".repeat(100);
        Record::Said { room: "tea".to_owned(), seq, from: "ann".to_owned(), text, at: 1, announcement: false }
    }

    fn write(folder: &Path, history: usize, records: impl IntoIterator<Item = Record>) {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(NAME)).unwrap();
        let (len, stored) = (file.metadata().unwrap().len(), AtomicU64::new(0));
        let journal = Journal { folder: folder.to_owned(), file, len, compact: 0, history, dirty: false };
        let (sender, receiver) = channel();
        let count = records.into_iter().map(|record| sender.send(record).unwrap()).count();
        drop(sender);
        journal.run(&receiver, |n| {
            stored.fetch_add(n, Relaxed);
        });
        assert_eq!(stored.load(Relaxed), count as u64);
    }

    fn load(folder: &Path) -> Result<(Vec<Record>, u64), String> {
        let file = File::open(folder.join(NAME)).unwrap();
        read(&file, 10).map(|read| (read.archive.records().collect(), read.torn)).map_err(|error| error.to_string())
    }

    #[test]
    fn records_are_there_again_and_a_torn_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 10, (1..=3).map(said));
        write(folder.path(), 10, [said(4)]);
        assert_eq!(load(folder.path()), Ok(((1..=4).map(said).collect(), 0)));
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        let last = whole.len() / 4;
        for cut in 1..=last {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (journal, archive) = Journal::open(folder.path(), 10).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(archive.records().count(), 3, "{cut}");
            assert_eq!((journal.len, fs::metadata(&path).unwrap().len()), (last as u64 * 3, last as u64 * 3));
            fs::remove_file(folder.path().join("lock")).unwrap();
        }
    }

    #[test]
    fn damage_before_the_last_record_is_no_crash() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 10, (1..=3).map(said));
        let path = folder.path().join(NAME);
        let mut bytes = fs::read(&path).unwrap();
        let len = bytes.len();
        bytes[len / 2] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(load(folder.path()).is_err_and(|why| why.contains(&format!("damaged at byte {}", len / 3))));
    }

    #[test]
    fn a_file_that_grew_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 10, (1..=10_000).map(said));
        assert_eq!(load(folder.path()), Ok(((9991..=10_000).map(said).collect(), 0)));
        assert!(fs::metadata(folder.path().join(NAME)).unwrap().len() < 3000);
    }

    #[test]
    fn a_directory_has_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Journal::open(folder.path(), 10).unwrap();
        assert!(Journal::open(folder.path(), 10).is_err_and(|why| why.contains("in use by another server")));
    }
}
