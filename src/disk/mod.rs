//! Files that outlive a process, and what a crash leaves of them.
//!
//! The few things that a journal asks of a disk are a trait. A directory of the system can do them (`Folder`), and so can a value in memory that
//! breaks as disks do: that is how the simulation has it.
//!
//! ```text
//!   a journal's records ──▶ Log: its tail ── write, sync ──▶ DiskFile ── of a ──▶ Disk
//!                                             after a crash: torn, of which the whole part is kept
//! ```
//!
//! Reading order: the two traits, `log` (the end of a file that only grows), `retry` (a disk that fails), `torn` (after a
//! crash), `folder` (a directory of the system).

mod folder;
#[cfg(test)]
pub(crate) mod forgetful;
mod log;
mod retry;
mod torn;

pub(crate) use folder::{Folder, lock};
pub(crate) use log::Log;
pub use log::Sync;
pub(crate) use retry::Retry;
pub(crate) use torn::{tear, write_again};

use std::{
    fmt::Debug,
    io::{self, Read},
    time::Duration,
};

/// Bytes that are read or written with one call.
pub(crate) const PIECE: usize = 256 * 1024;

/// Bytes of records that a thread that writes gathers for one call, about.
pub(crate) const BATCH: usize = 1024 * 1024;

/// Such a thread has nothing to do so often if no record comes.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// The place of a journal's files. Changes of names last when [`Disk::sync`] has returned, and not before.
pub trait Disk: Debug + Send + std::marker::Sync {
    /// The names of all files.
    ///
    /// # Errors
    ///
    /// Those of the system, here and below.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file, which is made if there is none.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name. A file that had it is gone, at once.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Has the disk keep the names as they are.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync(&self) -> io::Result<()>;

    /// A file's name as users know it.
    fn shown(&self, name: &str) -> String;
}

/// An open file. Bytes that are written to it last when [`DiskFile::sync`] has returned, and not before.
pub trait DiskFile: Debug + Send {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// Those of the system, here and below.
    fn size(&self) -> io::Result<u64>;

    /// Reads bytes from `at` on. 0: the file ends there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes some of the bytes, as many as it returns.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Cuts it to so many bytes.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn cut(&self, len: u64) -> io::Result<()>;

    /// Has the disk keep what was written.
    ///
    /// # Errors
    ///
    /// Those of the system. Bytes that were written since the last success may be lost then, even if a later call succeeds.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of the bytes.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => (bytes, at) = (&bytes[written..], at + written as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a file that takes its name at once or not at all. `write` is given an empty file. Returns its length.
pub(crate) fn replace(
    disk: &dyn Disk,
    name: &str,
    write: impl FnOnce(&dyn DiskFile) -> io::Result<u64>,
) -> io::Result<u64> {
    let new = format!("{name}.new");
    let (_, len) = prepare(disk, &new, write)?;
    disk.rename(&new, name)?;
    disk.sync()?;
    Ok(len)
}

/// Writes a file of this name, which is there as a whole or not at all. Its name may not last yet. Returns it with its length.
pub(crate) fn prepare(
    disk: &dyn Disk,
    name: &str,
    write: impl FnOnce(&dyn DiskFile) -> io::Result<u64>,
) -> io::Result<(Box<dyn DiskFile>, u64)> {
    let written = disk.open(name).and_then(|file| {
        file.cut(0)?;
        let len = write(&*file)?;
        file.sync()?;
        Ok((file, len))
    });
    if written.is_err() {
        // On a full disk, half a file must not take what little room there is.
        let _ = disk.remove(name);
    }
    written
}

/// Writes records behind each other, from a file's beginning, each by `write`. Returns how many bytes that were.
pub(crate) fn write_each<R>(
    file: &dyn DiskFile,
    records: impl IntoIterator<Item = R>,
    write: impl Fn(R, &mut Vec<u8>),
) -> io::Result<u64> {
    let (mut bytes, mut at) = (Vec::new(), 0);
    for record in records {
        write(record, &mut bytes);
        if bytes.len() >= PIECE {
            write_all(file, &bytes, at)?;
            at += bytes.len() as u64;
            bytes.clear();
        }
    }
    write_all(file, &bytes, at)?;
    Ok(at + bytes.len() as u64)
}

/// Reads a file from its beginning.
#[derive(Debug)]
pub(crate) struct FromStart<'a> {
    file: &'a dyn DiskFile,
    at: u64,
}

impl<'a> FromStart<'a> {
    pub(crate) fn of(file: &'a dyn DiskFile) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for FromStart<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(into, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}
