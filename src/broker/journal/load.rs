//! Reads snapshots and logs, and makes one snapshot of them.

use super::{
    super::{
        image::Image,
        record::{HEAD, MARK, MAX_RECORD, Record, checksum},
    },
    files::{Folder, Kind},
};
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _, Write as _},
};

/// The state that the files hold, and where writing goes on.
pub(super) struct Loaded {
    pub(super) image: Image,
    /// The last log.
    pub(super) number: u64,
    /// Bytes of whole records in it.
    pub(super) len: u64,
    /// Bytes of the snapshot.
    pub(super) snapshot: u64,
}

/// Why reading stopped before the end of a file.
enum Torn {
    /// The record at this byte is not whole, and nothing readable follows.
    At(u64),
    /// The record at this byte is damaged, and a whole one follows.
    Before(u64),
}

pub(super) fn load(folder: &Folder) -> Result<Loaded, String> {
    let list = |kind| folder.numbers(kind).map_err(|error| folder.failed(kind, 0, &error));
    let (snapshots, logs) = (list(Kind::Snapshot)?, list(Kind::Log)?);
    let first = snapshots.last().copied().unwrap_or(1);
    let (mut image, mut snapshot) = (Image::default(), 0);
    if let Some(&number) = snapshots.last() {
        snapshot = read_whole(folder, Kind::Snapshot, number, &mut image)?;
    }
    let logs: Vec<u64> = logs.into_iter().filter(|number| *number >= first).collect();
    let Some((&last, before)) = logs.split_last() else { return Ok(Loaded { image, number: first, len: 0, snapshot }) };
    for &number in before {
        read_whole(folder, Kind::Log, number, &mut image)?;
    }
    let failed = |error: &io::Error| folder.failed(Kind::Log, last, error);
    let path = folder.path(Kind::Log, last);
    let (len, torn) = read(folder, Kind::Log, last, &mut image).map_err(|error| failed(&error))?;
    let len = match torn {
        None => len,
        Some(Torn::Before(at)) => return Err(damaged(folder, Kind::Log, last, at)),
        Some(Torn::At(at)) => {
            let kept = path.with_extension("torn");
            tracing::warn!(
                "{}: the last {} bytes are no whole record, as after a crash: cut off, and kept in {}",
                path.display(),
                len - at,
                kept.display()
            );
            cut(folder, last, at, &kept).map_err(|error| failed(&error))?;
            at
        }
    };
    Ok(Loaded { image, number: last, len, snapshot })
}

fn damaged(folder: &Folder, kind: Kind, number: u64, at: u64) -> String {
    let path = folder.path(kind, number);
    format!("{}: damaged at byte {at}, which no crash does: restore it, or move it away", path.display())
}

/// A file that must be good to its end. Returns its length.
fn read_whole(folder: &Folder, kind: Kind, number: u64, image: &mut Image) -> Result<u64, String> {
    match read(folder, kind, number, image) {
        Ok((len, None)) => Ok(len),
        Ok((_, Some(Torn::At(at) | Torn::Before(at)))) => Err(damaged(folder, kind, number, at)),
        Err(error) => Err(folder.failed(kind, number, &error)),
    }
}

fn cut(folder: &Folder, number: u64, at: u64, kept: &std::path::Path) -> io::Result<()> {
    let mut file = folder.open_log(number)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
    io::copy(&mut file, &mut File::create(kept)?)?;
    file.set_len(at)?;
    file.sync_all()
}

/// Reads records until the end of a file, or until one is not whole. Returns the file's length.
fn read(folder: &Folder, kind: Kind, number: u64, image: &mut Image) -> io::Result<(u64, Option<Torn>)> {
    let file = File::open(folder.path(kind, number))?;
    let end = file.metadata()?.len();
    let (mut from, mut at) = (BufReader::with_capacity(256 * 1024, file), 0);
    while at < end {
        match next(&mut from, end - at)? {
            Next::Record(record, len) => {
                image.add(*record);
                at += len;
            }
            Next::Cut => return Ok((end, Some(Torn::At(at)))),
            Next::Damaged(len) => {
                // A record that is whole behind it was written later: so this one was whole, too, once.
                let follows = at + len < end && matches!(next(&mut from, end - at - len)?, Next::Record(..));
                return Ok((end, Some(if follows { Torn::Before(at) } else { Torn::At(at) })));
            }
        }
    }
    Ok((end, None))
}

enum Next {
    /// With the bytes that it takes.
    Record(Box<Record>, u64),
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
    if head[0] != MARK || len as usize > MAX_RECORD || whole > left {
        return Ok(Next::Cut);
    }
    let mut body = Vec::new();
    from.take(len.into()).read_to_end(&mut body)?;
    if checksum(len, &body) != sum {
        return Ok(Next::Damaged(whole));
    }
    match Record::read(body.into()) {
        Ok(record) => Ok(Next::Record(Box::new(record), whole)),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a newer broker's record? {error}"))),
    }
}

/// Makes a snapshot of all before log `number`, and removes what it stands for. Returns its length.
pub(super) fn snapshot(folder: &Folder, number: u64) -> io::Result<u64> {
    let mut image = Image::default();
    let first = folder.numbers(Kind::Snapshot)?.last().copied();
    let whole = |kind, number, image: &mut Image| read_whole(folder, kind, number, image).map_err(io::Error::other);
    if let Some(first) = first {
        whole(Kind::Snapshot, first, &mut image)?;
    }
    let logs = folder.numbers(Kind::Log)?;
    for &log in logs.iter().filter(|log| **log >= first.unwrap_or(0) && **log < number) {
        whole(Kind::Log, log, &mut image)?;
    }
    folder.replace(Kind::Snapshot, number, |file| {
        let (mut out, mut bytes) = (BufWriter::with_capacity(256 * 1024, file), Vec::new());
        for record in image.records() {
            bytes.clear();
            record.write(&mut bytes);
            out.write_all(&bytes)?;
        }
        out.flush()
    })?;
    for log in logs.into_iter().filter(|log| *log < number) {
        folder.remove(Kind::Log, log)?;
    }
    for old in folder.numbers(Kind::Snapshot)?.into_iter().filter(|old| *old < number) {
        folder.remove(Kind::Snapshot, old)?;
    }
    let len = fs::metadata(folder.path(Kind::Snapshot, number))?.len();
    tracing::info!("{} has {len} bytes, and stands for all logs before", folder.path(Kind::Snapshot, number).display());
    Ok(len)
}
