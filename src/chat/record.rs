//! Records are kept for the next start, one line each: a checksum, a space, JSON.
//!
//! ```text
//! 5a0c31f2 {"kind":"said","room":"lobby","seq":7,"from":"ann","text":"hello","at":1764489600}
//! ```
//!
//! A line can be read with any tool, and a line that a crash has cut cannot be taken for a whole one: its checksum (CRC-32) is that of
//! other bytes.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Hexadecimal digits of the checksum, and the space behind it.
const HEAD: usize = 9;

/// One change that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Record {
    /// A name is registered; the hash of its password, in the form that argon2 gives it.
    Account { name: String, hash: String },
    /// An account's part in a room.
    Role { room: String, name: String, role: Role },
    /// A name may not enter, or not speak, until then, in seconds since 1970; 0: it may again.
    Limit { room: String, name: String, limit: Limit, until: u64 },
    /// A message.
    Said { room: String, seq: u64, from: String, text: String, at: u64, announcement: bool },
    /// A room made way for another.
    Forgotten { room: String },
    /// The disk had confirmed all before this line when it was written.
    Kept {},
}

/// A person's part in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Member,
    Moderator,
    Owner,
}

/// A thing that a person may not do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Limit {
    Ban,
    Mute,
}

impl Record {
    /// Appends it as a line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let json = serde_json::to_vec(self).unwrap_or_default();
        out.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
        out.extend_from_slice(&json);
        out.push(b'\n');
    }

    /// Reads a line with its end. `None`: it is damaged.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let (head, json) = line.strip_suffix(b"\n")?.split_at_checked(HEAD)?;
        let expected = u32::from_str_radix(std::str::from_utf8(head).ok()?.strip_suffix(' ')?, 16).ok()?;
        if crc32fast::hash(json) != expected {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

/// All that records add up to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// Name and hash, by the key of the name.
    pub(crate) accounts: BTreeMap<String, (String, String)>,
    /// By the key of the name.
    pub(crate) rooms: BTreeMap<String, Stored>,
}

/// A room in the archive.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) limits: BTreeMap<(Limit, String), u64>,
    pub(crate) said: VecDeque<Record>,
}

impl Archive {
    /// Takes in a record. Of each room, the last `history` messages are kept.
    pub(crate) fn add(&mut self, record: Record, history: usize) {
        match record {
            Record::Account { name, hash } => {
                self.accounts.insert(super::name::key(&name), (name, hash));
            }
            Record::Role { room, name, role: Role::Member } => {
                self.room(&room).roles.remove(&name);
            }
            Record::Role { room, name, role } => {
                self.room(&room).roles.insert(name, role);
            }
            Record::Limit { room, name, limit, until: 0 } => {
                self.room(&room).limits.remove(&(limit, name));
            }
            Record::Limit { room, name, limit, until } => {
                self.room(&room).limits.insert((limit, name), until);
            }
            Record::Said { ref room, .. } => {
                let room = self.room(room);
                room.said.push_back(record);
                if room.said.len() > history {
                    room.said.pop_front();
                }
            }
            Record::Forgotten { room } => {
                self.rooms.remove(&super::name::key(&room));
            }
            Record::Kept {} => {}
        }
    }

    fn room(&mut self, name: &str) -> &mut Stored {
        let new = || Stored { name: name.to_owned(), ..Stored::default() };
        self.rooms.entry(super::name::key(name)).or_insert_with(new)
    }

    /// The fewest records that add up to the same.
    pub(crate) fn records(self) -> impl Iterator<Item = Record> {
        let accounts = self.accounts.into_values().map(|(name, hash)| Record::Account { name, hash });
        accounts.chain(self.rooms.into_values().flat_map(|Stored { name: room, roles, limits, said }| {
            let of = room.clone();
            let roles = roles.into_iter().map(move |(name, role)| Record::Role { room: room.clone(), name, role });
            let limit = move |((limit, name), until)| Record::Limit { room: of.clone(), name, limit, until };
            roles.chain(limits.into_iter().map(limit)).chain(said)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(seq: u64) -> Record {
        let (room, from, text) = ("Tea".to_owned(), "ann".to_owned(), format!("\"{seq}\" ü\u{2028}"));
        Record::Said { room, seq, from, text, at: 1, announcement: false }
    }

    fn all() -> Vec<Record> {
        let room = || "Tea".to_owned();
        let name = || "ann".to_owned();
        vec![
            Record::Account { name: "Ann".to_owned(), hash: "$argon2id$".to_owned() },
            Record::Role { room: room(), name: name(), role: Role::Owner },
            Record::Limit { room: room(), name: "bob".to_owned(), limit: Limit::Ban, until: 7 },
            Record::Limit { room: room(), name: "bob".to_owned(), limit: Limit::Mute, until: 8 },
            said(1),
            said(2),
        ]
    }

    #[test]
    fn a_line_comes_back_and_a_damaged_one_does_not() {
        for record in all() {
            let mut line = Vec::new();
            record.write(&mut line);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(Record::read(&line), Some(record));
            for at in 0..line.len() {
                assert_eq!(Record::read(&line[..at]), None, "cut at {at}");
                let mut damaged = line.clone();
                damaged[at] ^= 1;
                assert_eq!(Record::read(&damaged), None, "damaged at {at}");
            }
        }
    }

    #[test]
    fn an_archive_is_the_same_after_it_was_written_again() {
        let mut archive = Archive::default();
        all().into_iter().for_each(|record| archive.add(record, 10));
        let records: Vec<_> = archive.clone().records().collect();
        assert_eq!(records, all());
        let mut again = Archive::default();
        records.into_iter().for_each(|record| again.add(record, 10));
        assert_eq!(again, archive);
        // Things that end leave nothing behind.
        archive.add(said(3), 2);
        archive.add(Record::Role { room: "tea".to_owned(), name: "ann".to_owned(), role: Role::Member }, 2);
        for limit in [Limit::Ban, Limit::Mute] {
            archive.add(Record::Limit { room: "tea".to_owned(), name: "bob".to_owned(), limit, until: 0 }, 2);
        }
        assert_eq!(archive.clone().records().skip(1).collect::<Vec<_>>(), [said(2), said(3)]);
        archive.add(Record::Forgotten { room: "TEA".to_owned() }, 2);
        assert_eq!(archive.records().count(), 1);
    }
}
