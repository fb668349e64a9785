//! A disk as a value: it forgets what nobody had it keep, and breaks as disks do.
//!
//! ```text
//!   write ──▶ bytes: the system's memory ── sync ──▶ kept: the disk
//!               a kill leaves both            power that fails leaves `kept`, and of what was not synced
//!                                             some blocks, in no order
//! ```

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use crate::support::random::Random;
use socket_patterns::disk::{Disk, DiskFile};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The trouble that a disk has at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Files may grow by so many bytes.
    Full(usize),
    /// Of a thousand calls, so many fail.
    Failing(u32),
}

/// The counts of a disk's life.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub calls: u64,
    pub full: u64,
    pub failed: u64,
    pub syncs_failed: u64,
    pub torn: u64,
    pub snapshots: u64,
}

/// The disk. All copies are the same one.
#[derive(Debug, Clone)]
pub struct FakeDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Random,
    /// Bytes that are kept together or not at all.
    block: usize,
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    kept_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    trouble: Trouble,
    /// None works after so many more calls.
    fuse: Option<u32>,
    /// It keeps nothing that it is asked to keep.
    lies: bool,
    seen: Seen,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    kept: Vec<u8>,
    /// Blocks that were written, and that no sync was asked for since.
    dirty: BTreeSet<usize>,
}

/// A change of names that was not synced. The disk makes them in their order.
#[derive(Debug)]
enum Change {
    Add(String, usize),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug)]
struct Handle {
    disk: FakeDisk,
    file: usize,
}

impl FakeDisk {
    pub fn new(mut random: Random) -> Self {
        let block = *random.pick(&[16, 64, 64, 512]);
        Self(Arc::new(Mutex::new(State {
            random,
            block,
            files: Vec::new(),
            names: BTreeMap::new(),
            kept_names: BTreeMap::new(),
            changes: Vec::new(),
            trouble: Trouble::None,
            fuse: None,
            lies: false,
            seen: Seen::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn seen(&self) -> Seen {
        self.state().seen
    }

    pub fn set_trouble(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    /// Now and then, of a hundred thousand times so many, a trouble begins, and another time it is over.
    pub fn change_trouble(&self, random: &mut Random, troubles: usize) {
        if random.below(100_000) < troubles {
            self.set_trouble(match random.below(3) {
                0 => Trouble::Full(random.magnitude(0..=500)),
                _ => Trouble::Failing(*random.pick(&[100, 500, 1000])),
            });
        } else if self.is_troubled() && random.chance(3) {
            self.set_trouble(Trouble::None);
        }
    }

    pub fn is_troubled(&self) -> bool {
        self.state().trouble != Trouble::None
    }

    /// The process is to be killed within the call after so many others.
    pub fn arm(&self, calls: u32) {
        self.state().fuse = Some(calls);
    }

    pub fn is_dead(&self) -> bool {
        self.state().fuse == Some(0)
    }

    /// It says that it keeps everything, from now on, and does not.
    pub fn lie(&self) {
        self.state().lies = true;
    }

    /// Another process has it.
    pub fn revive(&self) {
        self.state().fuse = None;
    }

    /// Whether these bytes are in some file if the machine loses power now, whatever it happened to write.
    pub fn keeps(&self, bytes: &[u8]) -> bool {
        let state = self.state();
        let has = |file: &usize| state.files[*file].kept.windows(bytes.len()).any(|part| part == bytes);
        state.kept_names.values().any(has)
    }

    /// The machine loses power: the disk has what was synced, and of the rest what happened to be written.
    pub fn lose_power(&self) {
        let state = &mut *self.state();
        let survive = *state.random.pick(&[0, 300, 500, 800, 1000]);
        for file in &mut state.files {
            let (least, most) = (file.bytes.len().min(file.kept.len()), file.bytes.len().max(file.kept.len()));
            let between = state.random.within(least..=most);
            let len = *state.random.pick(&[file.bytes.len(), file.kept.len(), between]);
            let mut bytes = std::mem::take(&mut file.kept);
            bytes.resize(len, 0);
            for block in std::mem::take(&mut file.dirty) {
                let range = block * state.block..((block + 1) * state.block).min(len).min(file.bytes.len());
                if range.start < range.end && state.random.chance(survive) {
                    bytes[range.clone()].copy_from_slice(&file.bytes[range]);
                }
            }
            state.seen.torn += u64::from(bytes != file.bytes);
            (file.bytes, file.kept) = (bytes.clone(), bytes);
        }
        let made = state.random.within(0..=state.changes.len());
        for change in std::mem::take(&mut state.changes).into_iter().take(made) {
            change.make(&mut state.kept_names);
        }
        state.names = state.kept_names.clone();
    }
}

impl Change {
    fn make(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, file) => drop(names.insert(name, file)),
            Self::Remove(name) => drop(names.remove(&name)),
            Self::Rename(from, to) => {
                let file = names.remove(&from);
                if let Some(file) = file {
                    names.insert(to, file);
                }
            }
        }
    }
}

impl State {
    /// Every call begins with it. `Err`: it does nothing.
    fn call(&mut self) -> io::Result<()> {
        self.seen.calls += 1;
        if let Some(fuse) = &mut self.fuse {
            *fuse = fuse.saturating_sub(1);
            if *fuse == 0 {
                return Err(io::Error::other("killed"));
            }
        }
        if let Trouble::Failing(often) = self.trouble
            && self.random.chance(often)
        {
            self.seen.failed += 1;
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        match &change {
            Change::Add(name, file) => drop(self.names.insert(name.clone(), *file)),
            Change::Remove(name) => drop(self.names.remove(name)),
            Change::Rename(from, to) => {
                let file = self.names.remove(from);
                if let Some(file) = file {
                    self.names.insert(to.clone(), file);
                }
            }
        }
        self.changes.push(change);
    }

    fn write(&mut self, file: usize, bytes: &[u8], at: usize) {
        let (block, file) = (self.block, &mut self.files[file]);
        let end = at + bytes.len();
        let from = at.min(file.bytes.len());
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        file.bytes[at..end].copy_from_slice(bytes);
        file.dirty.extend(from / block..end.div_ceil(block));
    }
}

impl Disk for FakeDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.call()?;
        let found = state.names.get(name).copied();
        let file = found.unwrap_or_else(|| {
            state.files.push(File::default());
            let file = state.files.len() - 1;
            state.change(Change::Add(name.to_owned(), file));
            file
        });
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if !state.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.seen.snapshots += 1;
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if !state.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let state = &mut *state;
        std::mem::take(&mut state.changes).into_iter().for_each(|change| change.make(&mut state.kept_names));
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl DiskFile for Handle {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.call()?;
        Ok(state.files[self.file].bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.call()?;
        let bytes = &state.files[self.file].bytes;
        let from = (at as usize).min(bytes.len());
        let len = into.len().min(bytes.len() - from);
        into[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let called = state.call();
        // A call that fails, or that is the last one, may have written something.
        let most =
            if called.is_err() || state.random.chance(100) { state.random.below(bytes.len() + 1) } else { bytes.len() };
        let at = at as usize;
        let room = match &mut state.trouble {
            Trouble::Full(left) => *left,
            Trouble::None | Trouble::Failing(_) => usize::MAX,
        };
        let old = state.files[self.file].bytes.len();
        // To write again what is there needs no room.
        let most = most.min(old.saturating_sub(at).saturating_add(room));
        state.write(self.file, &bytes[..most], at);
        let grown = state.files[self.file].bytes.len() - old;
        if let Trouble::Full(left) = &mut state.trouble {
            *left -= grown;
        }
        called?;
        if most == 0 && !bytes.is_empty() && room == 0 {
            state.seen.full += 1;
            return Err(ErrorKind::StorageFull.into());
        }
        // Nothing at all is no success.
        Ok(if most == 0 { return Err(ErrorKind::Interrupted.into()) } else { most })
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.call()?;
        let (len, block) = (len as usize, state.block);
        let file = &mut state.files[self.file];
        file.bytes.resize(len, 0);
        file.dirty.retain(|dirty| dirty * block < len);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if let Err(error) = state.call() {
            state.seen.syncs_failed += 1;
            // As Linux does: the blocks are taken for clean from now on, whether the disk has them or not.
            if state.random.chance(500) {
                state.files[self.file].dirty.clear();
            }
            return Err(error);
        }
        if state.lies {
            return Ok(());
        }
        let state = &mut *state;
        let (block, file) = (state.block, &mut state.files[self.file]);
        file.kept.resize(file.bytes.len(), 0);
        for dirty in std::mem::take(&mut file.dirty) {
            let range = dirty * block..((dirty + 1) * block).min(file.bytes.len());
            file.kept[range.clone()].copy_from_slice(&file.bytes[range]);
        }
        Ok(())
    }
}
