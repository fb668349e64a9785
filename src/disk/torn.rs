//! A file after a crash: its end may be torn, and what stands before that may be in the system's memory alone.

use super::{Disk, DiskFile, PIECE, write_all};
use std::io;

/// Cuts off the end of a log, and keeps it beside if there is room for that.
pub(crate) fn tear(disk: &dyn Disk, name: &str, at: u64, len: u64) -> io::Result<()> {
    let kept = format!("{name}.torn");
    let (shown, beside) = (disk.shown(name), disk.shown(&kept));
    let file = disk.open(name)?;
    match copy(&*file, at, len, &*disk.open(&kept)?) {
        Ok(()) => tracing::warn!(
            "{shown}: the last {} bytes are no whole record, as after a crash: cut off, and kept in {beside}",
            len - at
        ),
        Err(error) => tracing::warn!(
            "{shown}: the last {} bytes are no whole record, as after a crash: cut off ({beside}: {error})",
            len - at
        ),
    }
    file.cut(at)?;
    file.sync()
}

fn copy(from: &dyn DiskFile, at: u64, end: u64, to: &dyn DiskFile) -> io::Result<()> {
    to.cut(0)?;
    pass_on(from, at, end, |piece, offset| write_all(to, piece, offset - at))
}

/// Writes what a file has from `at` on once more, and has the disk keep it.
pub(crate) fn write_again(file: &dyn DiskFile, at: u64, end: u64) -> io::Result<()> {
    pass_on(file, at, end, |piece, offset| write_all(file, piece, offset))?;
    file.sync()
}

/// Reads a part of a file, and passes on each piece with its place.
fn pass_on(
    from: &dyn DiskFile,
    mut at: u64,
    end: u64,
    mut to: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let len = from.read_at(&mut piece[..most], at)?;
        if len == 0 {
            break;
        }
        to(&piece[..len], at)?;
        at += len as u64;
    }
    Ok(())
}
