//! A disk for tests: it loses what it was not asked to keep, and for good what it has failed to keep.

use super::{Disk, DiskFile};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// The calls that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    None,
    /// To keep what was written to a file. As with Linux, the next call of the kind does not try that again.
    Files,
    /// To keep the names of files.
    Names,
}

/// The disk. All copies are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Forgetful(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    files: BTreeMap<String, Content>,
    failing: Failing,
}

#[derive(Debug, Default)]
struct Content {
    memory: Vec<u8>,
    disk: Vec<u8>,
    /// Bytes that were written, and that no sync was asked for since.
    dirty: BTreeSet<usize>,
}

#[derive(Debug)]
struct Handle {
    disk: Forgetful,
    name: String,
}

impl Forgetful {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { files: BTreeMap::new(), failing: Failing::None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn fail(&self, failing: Failing) {
        self.state().failing = failing;
    }

    /// The system writes all of a file to the disk though it was not asked to.
    pub(crate) fn write_back(&self, name: &str) {
        self.state().files.get_mut(name).unwrap().write_back();
    }

    /// The machine loses power: the disk has what it was asked to keep. The names of files last, too.
    pub(crate) fn lose_power(&self) {
        for file in self.state().files.values_mut() {
            file.memory.clone_from(&file.disk);
            file.dirty.clear();
        }
    }
}

impl Content {
    fn write_back(&mut self) {
        self.disk.resize(self.memory.len(), 0);
        for at in std::mem::take(&mut self.dirty) {
            self.disk[at] = self.memory[at];
        }
    }
}

impl Disk for Forgetful {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.state().files.entry(name.to_owned()).or_default();
        Ok(Box::new(Handle { disk: self.clone(), name: name.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().files.remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        if self.state().failing == Failing::Names {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl Handle {
    fn with<T>(&self, use_it: impl FnOnce(&mut Content) -> T) -> T {
        use_it(self.disk.state().files.get_mut(&self.name).unwrap())
    }
}

impl DiskFile for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.with(|file| file.memory.len() as u64))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(self.with(|file| {
            let from = file.memory.get(at as usize..).unwrap_or_default();
            let len = into.len().min(from.len());
            into[..len].copy_from_slice(&from[..len]);
            len
        }))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.with(|file| {
            let range = at as usize..at as usize + bytes.len();
            file.memory.resize(file.memory.len().max(range.end), 0);
            file.memory[range.clone()].copy_from_slice(bytes);
            file.dirty.extend(range);
        });
        Ok(bytes.len())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.with(|file| {
            file.memory.resize(len as usize, 0);
            file.dirty.retain(|at| *at < len as usize);
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let fails = self.disk.state().failing == Failing::Files;
        self.with(|file| {
            if fails {
                file.dirty.clear();
                return Err(io::Error::other("input/output error"));
            }
            file.write_back();
            Ok(())
        })
    }
}
