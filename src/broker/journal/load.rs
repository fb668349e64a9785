//! Reads snapshots and logs, and makes one snapshot of them.
//!
//! A record is damaged by a crash, or by something else. A crash spoils only what the disk had not confirmed, in any order: of two blocks that
//! were written the later one may be there, and the earlier one not. So a damaged record with whole ones behind it proves nothing
//! yet. But the first record of a group is written when the disk has confirmed all before it, and says so by its mark: with one of
//! these behind it, the damaged record had been on the disk.

use super::{
    super::{
        image::Image,
        record::{HEAD, MAX_RECORD, Mark, Record, checksum},
    },
    kind::Kind,
};
use crate::disk::{Disk, FromStart, PIECE, replace, tear, write_each};
use std::io::{self, BufReader, Read as _};

/// The state that the files hold, and where writing goes on.
pub(super) struct Loaded {
    pub(super) image: Image,
    /// The last log, to which is written from now on.
    pub(super) last: Extent,
    /// The logs before it that the disk may not have confirmed.
    pub(super) before: Vec<Extent>,
    /// Bytes of the snapshot.
    pub(super) snapshot: u64,
}

/// The good part of a log.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) number: u64,
    /// Bytes of whole records.
    pub(super) len: u64,
    /// Of these, so many had been confirmed by the disk.
    pub(super) confirmed: u64,
}

/// The findings in a file.
struct Found {
    /// Its length.
    end: u64,
    /// Bytes of whole records.
    whole: u64,
    /// Bytes before the last record of which the mark says that the disk had confirmed all before it.
    confirmed: u64,
    /// Why there are no more.
    torn: Option<Torn>,
}

/// Why reading stopped before the end of a file.
enum Torn {
    /// The next record is not whole, as after a crash.
    ByCrash,
    /// The next record is damaged, and had been on the disk.
    Later,
}

pub(super) fn load(disk: &dyn Disk) -> Result<Loaded, String> {
    let list = |kind: Kind| kind.numbers(disk).map_err(|error| failed(disk, &kind.name(0), &error));
    let (snapshots, logs) = (list(Kind::Snapshot)?, list(Kind::Log)?);
    let first = snapshots.last().copied().unwrap_or(1);
    let (mut image, mut snapshot) = (Image::default(), 0);
    if let Some(&number) = snapshots.last() {
        snapshot = read_whole(disk, &Kind::Snapshot.name(number), &mut image)?;
    }
    let logs: Vec<u64> = logs.into_iter().filter(|number| *number >= first).collect();
    // The next log is begun when the disk has all of this one. It may be there, and empty, if that was tried and failed: then this one may
    // have grown since, and be torn.
    let mut full = first;
    for &number in &logs {
        if size(disk, number)? > 0 {
            full = number;
        }
    }
    let mut ends = Vec::new();
    for number in logs {
        let name = Kind::Log.name(number);
        let found = read(disk, &name, &mut image).map_err(|error| failed(disk, &name, &error))?;
        let (len, confirmed) = (found.whole, found.confirmed);
        match found.torn {
            None => {}
            Some(Torn::ByCrash) if number >= full => {
                tear(disk, &name, len, found.end).map_err(|error| failed(disk, &name, &error))?;
            }
            Some(Torn::ByCrash | Torn::Later) => return Err(damaged(disk, &name, len)),
        }
        ends.extend((number >= full).then_some(Extent { number, len, confirmed }));
    }
    let last = ends.pop().unwrap_or(Extent { number: first, len: 0, confirmed: 0 });
    Ok(Loaded { image, last, before: ends, snapshot })
}

fn size(disk: &dyn Disk, number: u64) -> Result<u64, String> {
    let name = Kind::Log.name(number);
    disk.open(&name).and_then(|file| file.size()).map_err(|error| failed(disk, &name, &error))
}

pub(super) fn failed(disk: &dyn Disk, name: &str, error: &io::Error) -> String {
    format!("{}: {error}", disk.shown(name))
}

fn damaged(disk: &dyn Disk, name: &str, at: u64) -> String {
    format!("{}: damaged at byte {at}, which no crash does: restore it, or move it away", disk.shown(name))
}

/// A file that must be good to its end. Returns its length.
fn read_whole(disk: &dyn Disk, name: &str, image: &mut Image) -> Result<u64, String> {
    match read(disk, name, image) {
        Ok(Found { end, torn: None, .. }) => Ok(end),
        Ok(Found { whole, .. }) => Err(damaged(disk, name, whole)),
        Err(error) => Err(failed(disk, name, &error)),
    }
}

/// Reads records until the end of a file, or until one is not whole.
fn read(disk: &dyn Disk, name: &str, image: &mut Image) -> io::Result<Found> {
    let file = disk.open(name)?;
    let end = file.size()?;
    let mut from = BufReader::with_capacity(PIECE, FromStart::of(&*file));
    let mut found = Found { end, whole: 0, confirmed: 0, torn: None };
    while found.torn.is_none() && found.whole < end {
        match next(&mut from, end - found.whole)? {
            Next::Record(record, mark, len) => {
                image.add(*record);
                if mark == Mark::Confirmed {
                    found.confirmed = found.whole;
                }
                found.whole += len;
            }
            Next::Cut => found.torn = Some(Torn::ByCrash),
            Next::Damaged(len) => {
                let was_kept = confirmed_behind(&mut from, end - found.whole - len)?;
                found.torn = Some(if was_kept { Torn::Later } else { Torn::ByCrash });
            }
        }
    }
    Ok(found)
}

/// Whether a record stands in what is left that was written when the disk had confirmed all before it.
fn confirmed_behind(from: &mut impl io::Read, mut left: u64) -> io::Result<bool> {
    while left > 0 {
        match next(from, left)? {
            Next::Record(_, Mark::Confirmed, _) => return Ok(true),
            Next::Record(_, Mark::Behind, len) | Next::Damaged(len) => left -= len,
            Next::Cut => break,
        }
    }
    Ok(false)
}

enum Next {
    /// With the bytes that it takes.
    Record(Box<Record>, Mark, u64),
    /// It ends behind the file's end, or does not begin like a record.
    Cut,
    /// The record of so many bytes has another checksum.
    Damaged(u64),
}

fn next(from: &mut impl io::Read, left: u64) -> io::Result<Next> {
    if left < HEAD as u64 {
        return Ok(Next::Cut);
    }
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (len, sum) = (number(1), number(5));
    let whole = HEAD as u64 + u64::from(len);
    let Some(mark) = Mark::of(head[0]).filter(|_| len as usize <= MAX_RECORD && whole <= left) else {
        return Ok(Next::Cut);
    };
    let mut body = Vec::new();
    from.take(len.into()).read_to_end(&mut body)?;
    if checksum(mark, len, &body) != sum {
        return Ok(Next::Damaged(whole));
    }
    match Record::read(body.into()) {
        Ok(record) => Ok(Next::Record(Box::new(record), mark, whole)),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a newer broker's record? {error}"))),
    }
}

/// Makes a snapshot of all before log `number`, and removes what it stands for. Returns its length.
pub(super) fn snapshot(disk: &dyn Disk, number: u64) -> io::Result<u64> {
    let mut image = Image::default();
    let first = Kind::Snapshot.numbers(disk)?.last().copied();
    let whole = |name: &str, image: &mut Image| read_whole(disk, name, image).map_err(io::Error::other);
    if let Some(first) = first {
        whole(&Kind::Snapshot.name(first), &mut image)?;
    }
    let logs = Kind::Log.numbers(disk)?;
    for &log in logs.iter().filter(|log| **log >= first.unwrap_or(0) && **log < number) {
        whole(&Kind::Log.name(log), &mut image)?;
    }
    let name = Kind::Snapshot.name(number);
    let write = |record: Record, bytes: &mut Vec<u8>| record.write(Mark::Behind, bytes);
    let len = replace(disk, &name, |file| write_each(file, image.records(), write))?;
    for log in logs.into_iter().filter(|log| *log < number) {
        disk.remove(&Kind::Log.name(log))?;
    }
    for old in Kind::Snapshot.numbers(disk)?.into_iter().filter(|old| *old < number) {
        disk.remove(&Kind::Snapshot.name(old))?;
    }
    tracing::info!("{} has {len} bytes, and stands for all logs before", disk.shown(&name));
    Ok(len)
}
