//! The few things that a journal asks of a disk. A directory of the system can do them (`Folder`), and so can a value in memory that
//! breaks as disks do: that is how the simulation has it.

use std::{
    fmt::Debug,
    io::{self, Read},
};

/// The place of a journal's files. Changes of names last when [`Disk::sync`] has returned, and not before.
pub trait Disk: Debug + Send + Sync {
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

/// The two kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Snapshot,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Log => "log-",
            Self::Snapshot => "snapshot-",
        }
    }

    /// The name of the file with this number.
    pub(super) fn name(self, number: u64) -> String {
        format!("{}{number:08}", self.prefix())
    }

    /// The numbers of the files of this kind, in order.
    pub(super) fn numbers(self, disk: &dyn Disk) -> io::Result<Vec<u64>> {
        let number = |name: &String| name.strip_prefix(self.prefix()).and_then(|digits| digits.parse::<u64>().ok());
        let mut numbers: Vec<u64> = disk.names()?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Writes all of the bytes.
pub(super) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
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
pub(super) fn replace(
    disk: &dyn Disk,
    name: &str,
    write: impl FnOnce(&dyn DiskFile) -> io::Result<u64>,
) -> io::Result<u64> {
    let new = format!("{name}.new");
    let written = disk.open(&new).and_then(|file| {
        file.cut(0)?;
        let len = write(&*file)?;
        file.sync()?;
        Ok(len)
    });
    if written.is_err() {
        // On a full disk, half a file must not take what little room there is.
        let _ = disk.remove(&new);
    }
    let len = written?;
    disk.rename(&new, name)?;
    disk.sync()?;
    Ok(len)
}

/// Reads a file from its beginning.
#[derive(Debug)]
pub(super) struct FromStart<'a> {
    file: &'a dyn DiskFile,
    at: u64,
}

impl<'a> FromStart<'a> {
    pub(super) fn of(file: &'a dyn DiskFile) -> Self {
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
