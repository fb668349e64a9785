//! A directory of the system as the place of a journal, and the lock that keeps another process out.

use super::{Disk, DiskFile};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The directory.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens it, or makes it, for this process alone, which is a `what`: a broker.
    ///
    /// # Errors
    ///
    /// One line: it is another process's, or cannot be used.
    pub(crate) fn open(path: &Path, what: &str) -> Result<Self, String> {
        let name = path.display();
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(|error| format!("{name}: {error}"))?;
        lock(path).map_err(|_| format!("{name} is in use by another {what}: give this one a --data of its own"))?;
        // The directory's own name lasts as well. Some file systems do not have that, and need not.
        let _ = path.parent().map(|parent| File::open(parent).and_then(|parent| parent.sync_all()));
        Ok(Self(path.to_owned()))
    }

    /// Without the lock, for tests that open it several times.
    #[cfg(test)]
    pub(crate) fn open_unlocked(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(&self.0)?.map(name).collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Ok(Box::new(options.open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn shown(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, at)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Holds a directory for as long as this process lives.
pub(crate) fn lock(folder: &Path) -> io::Result<()> {
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

    #[test]
    fn a_directory_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Folder::open(folder.path(), "chat server").unwrap();
        let again = Folder::open(folder.path(), "chat server");
        assert!(
            again.is_err_and(|why| why.contains("in use by another chat server: give this one a --data of its own"))
        );
    }
}
