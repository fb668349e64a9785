//! Where heads are written: piece by piece into one vector, and then at once to the end of a buffer from which each is split off.

use crate::http::http_date;
use bytes::{Bytes, BytesMut};
use std::time::SystemTime;

/// A worker's buffer for heads, and the text of a `Date` field, which is made once a second.
#[derive(Debug, Default)]
pub(super) struct Writing {
    /// The head that is being written. It keeps the room of the longest, to which the limits of heads are a bound.
    scratch: Vec<u8>,
    /// Heads that were written.
    heads: BytesMut,
    second: Option<u64>,
    date: String,
}

impl Writing {
    /// The head that `write` appends.
    pub(super) fn head(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        write(&mut self.scratch);
        self.take()
    }

    /// As [`Writing::head`]; `write` is given the time as `Date` has it, too.
    pub(super) fn dated_head(&mut self, wall: SystemTime, write: impl FnOnce(&mut Vec<u8>, &str)) -> Bytes {
        self.make_date(wall);
        write(&mut self.scratch, &self.date);
        self.take()
    }

    fn take(&mut self) -> Bytes {
        self.heads.extend_from_slice(&self.scratch);
        self.scratch.clear();
        self.heads.split().freeze()
    }

    /// The head that `write` appends, in memory of just its size: for one that is kept, as the buffer is shared with what has
    /// long been sent.
    pub(super) fn kept_head(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        write(&mut self.scratch);
        let head = Bytes::copy_from_slice(&self.scratch);
        self.scratch.clear();
        head
    }

    fn make_date(&mut self, wall: SystemTime) {
        let second = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second != Some(second) {
            self.second = Some(second);
            self.date = String::from_utf8_lossy(&http_date(wall)).into_owned();
        }
    }

    /// The time as `Date` has it.
    pub(super) fn date(&mut self, wall: SystemTime) -> &str {
        self.make_date(wall);
        &self.date
    }
}
