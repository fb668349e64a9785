//! The record of changes: commands, as a client would send them.

use super::number::Decimal;

/// Changes that have not been handed on yet.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) bytes: Vec<u8>,
    /// The database of the last command.
    db: Option<usize>,
    /// Nothing is recorded while the record itself is read.
    pub(crate) is_on: bool,
}

/// Writes one command.
pub(crate) fn command<'w>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'w [u8]>) {
    header(out, b'*', words.len());
    for word in words {
        header(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    out.extend_from_slice(Decimal::new(i64::try_from(len).unwrap_or(i64::MAX)).bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the change of a database, if it is another one than before.
pub(crate) fn select(out: &mut Vec<u8>, before: &mut Option<usize>, db: usize) {
    if before.replace(db) != Some(db) {
        let number = Decimal::new(i64::try_from(db).unwrap_or_default());
        command(out, [&b"SELECT"[..], number.bytes()].into_iter());
    }
}

impl Log {
    pub(crate) fn add<'w>(&mut self, db: usize, words: impl ExactSizeIterator<Item = &'w [u8]>) {
        if self.is_on {
            select(&mut self.bytes, &mut self.db, db);
            command(&mut self.bytes, words);
        }
    }

    /// Makes one transaction of all that was recorded since then: it is read again as a whole, or not at all.
    pub(crate) fn enclose(&mut self, since: usize) {
        let inside = self.bytes.split_off(since);
        command(&mut self.bytes, [&b"MULTI"[..]].into_iter());
        self.bytes.extend_from_slice(&inside);
        command(&mut self.bytes, [&b"EXEC"[..]].into_iter());
    }

    /// A new file begins, which is read without the ones before.
    pub(crate) fn begin_file(&mut self) {
        self.db = None;
    }
}
