//! Compresses files, and remembers what came of it for as long as there is room: gzip, because every client knows it and it is quick.
//! Brotli and Zstandard take a hundred times as long where they are much better; such files are made once, beside the others, by whoever
//! builds the site.

use super::{
    super::{
        found::Found,
        version::{Content, Facts},
    },
    Shared,
    look::read,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes of compressed files that are remembered.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Files of which it is remembered, even that compression is not worth it.
const MAX_FILES: usize = 4096;

/// Compressed files by what the file system said about each; nothing for one that does not get shorter.
#[derive(Debug, Default)]
pub(super) struct Packed(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    files: HashMap<Facts, (Option<Bytes>, u64)>,
    bytes: usize,
    /// Counts uses: the entry with the lowest number was not asked for longest.
    clock: u64,
}

impl Packed {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn find(&mut self, facts: &Facts) -> Option<Option<Bytes>> {
        self.clock += 1;
        let (packed, used) = self.files.get_mut(facts)?;
        *used = self.clock;
        Some(packed.clone())
    }

    fn keep(&mut self, facts: Facts, packed: Option<Bytes>) {
        let size = packed.as_ref().map_or(0, Bytes::len);
        if size > MAX_BYTES {
            return;
        }
        while self.bytes + size > MAX_BYTES || self.files.len() >= MAX_FILES {
            let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used).map(|(facts, _)| *facts);
            let Some((gone, _)) = oldest.and_then(|oldest| self.files.remove(&oldest)) else { break };
            self.bytes -= gone.map_or(0, |gone| gone.len());
        }
        self.clock += 1;
        if let Some((Some(before), _)) = self.files.insert(facts, (packed, self.clock)) {
            self.bytes -= before.len();
        }
        self.bytes += size;
    }
}

impl Shared {
    /// Gives `found` its compressed content, made now or remembered.
    pub(super) fn pack(&self, found: &Found) {
        let facts = found.facts();
        let known = self.packed.memory().find(facts);
        if let Some(packed) = known {
            return found.set_packed(packed);
        }
        let packed = compressed(&found.plain().content, facts.length).and_then(|packed| self.budget.hold(packed));
        // One that was overwritten meanwhile has other content than its facts say; so may one that was changed a moment ago.
        let packed = packed.filter(|_| found.plain().is_current());
        if found.is_settled() && found.plain().is_current() {
            self.packed.memory().keep(*facts, packed.clone());
        }
        found.set_packed(packed);
    }
}

/// Nothing if it is not shorter, or cannot be read: then the file as it is shows what is wrong.
fn compressed(content: &Content, length: u64) -> Option<Vec<u8>> {
    let content = match content {
        Content::Kept(bytes) => bytes.clone(),
        Content::File(file) => read(&**file, length).ok().filter(|read| read.len() as u64 == length)?.into(),
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 2), Compression::default());
    encoder.write_all(&content).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < content.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::{
        io::Read as _,
        time::{Duration, SystemTime},
    };

    fn facts(inode: u64) -> Facts {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        Facts { length: 1, modified: then, changed: then, device: 1, inode }
    }

    #[test]
    fn compressed_content_is_the_content() {
        let content = "All work and no play makes Jack a dull boy.\n".repeat(1000);
        let packed = compressed(&Content::Kept(content.clone().into()), content.len() as u64).unwrap();
        assert!(packed.len() < content.len() / 50);
        let mut unpacked = String::new();
        GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, content);
        // Bytes without any order get longer.
        let mut state = 1u64;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let noise: Vec<u8> = noise.take(5000).collect();
        assert_eq!(compressed(&Content::Kept(noise.into()), 5000), None);
    }

    #[test]
    fn the_files_that_were_not_asked_for_longest_go_first() {
        let mut memory = Memory::default();
        let half = || Some(Bytes::from(vec![0; MAX_BYTES / 2]));
        memory.keep(facts(1), half());
        memory.keep(facts(2), half());
        assert!(memory.find(&facts(1)).is_some());
        memory.keep(facts(3), Some(Bytes::from_static(b"x")));
        assert!(memory.find(&facts(2)).is_none());
        assert_eq!((memory.find(&facts(1)).unwrap().unwrap().len(), memory.bytes), (MAX_BYTES / 2, MAX_BYTES / 2 + 1));
        memory.keep(facts(3), None);
        assert_eq!((memory.find(&facts(3)), memory.bytes), (Some(None), MAX_BYTES / 2));
        memory.keep(facts(4), Some(Bytes::from(vec![0; MAX_BYTES + 1])));
        assert!(memory.find(&facts(4)).is_none());
    }

    #[test]
    fn files_are_remembered_up_to_a_number() {
        let mut memory = Memory::default();
        (0..=MAX_FILES as u64).for_each(|inode| memory.keep(facts(inode), None));
        assert_eq!(memory.files.len(), MAX_FILES);
        assert!(memory.find(&facts(0)).is_none() && memory.find(&facts(1)).is_some());
    }
}
