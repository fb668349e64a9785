//! The directory of the log: its files, and the lock that keeps another broker out.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

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
}

impl Folder {
    /// Opens it, or makes it, for this process alone.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(|error| format!("{name}: {error}"))?;
        lock(path).map_err(|_| format!("{name} is in use by another broker: give this one a --data of its own"))?;
        Ok(Self(path.to_owned()))
    }

    /// Without the lock, for tests that open it several times.
    #[cfg(test)]
    pub(super) fn open_unlocked(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn path(&self, kind: Kind, number: u64) -> PathBuf {
        self.0.join(format!("{}{number:08}", kind.prefix()))
    }

    /// The numbers of the files of a kind, in order.
    pub(super) fn numbers(&self, kind: Kind) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(kind.prefix()));
            numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A log, which is made if there is none.
    pub(super) fn open_log(&self, number: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(self.path(Kind::Log, number))
    }

    /// A new file that takes the place of `kind` and `number` at once or not at all.
    pub(super) fn replace(
        &self,
        kind: Kind,
        number: u64,
        write: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        let place = self.path(kind, number);
        let new = place.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        write(&file)?;
        file.sync_all()?;
        fs::rename(&new, &place)?;
        self.sync()
    }

    pub(super) fn remove(&self, kind: Kind, number: u64) -> io::Result<()> {
        fs::remove_file(self.path(kind, number))
    }

    /// Has the disk keep the names of its files.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    pub(super) fn failed(&self, kind: Kind, number: u64, error: &io::Error) -> String {
        format!("{}: {error}", self.path(kind, number).display())
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
