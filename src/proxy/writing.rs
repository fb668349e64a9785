//! Where heads are written: one buffer, from which each is split off without copying.

use crate::http::http_date;
use bytes::{Bytes, BytesMut};
use std::time::SystemTime;

/// A worker's buffer for heads, and the text of a `Date` field, which is made once a second.
#[derive(Debug, Default)]
pub(super) struct Writing {
    scratch: BytesMut,
    second: Option<u64>,
    date: String,
}

impl Writing {
    /// The head that `write` appends.
    pub(super) fn head(&mut self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        write(&mut self.scratch);
        self.scratch.split().freeze()
    }

    /// As [`Writing::head`]; `write` is given the time as `Date` has it, too.
    pub(super) fn dated_head(&mut self, wall: SystemTime, write: impl FnOnce(&mut BytesMut, &str)) -> Bytes {
        self.make_date(wall);
        write(&mut self.scratch, &self.date);
        self.scratch.split().freeze()
    }

    /// The head that `write` appends, in memory of just its size: for one that is kept, as the buffer is shared with what has
    /// long been sent.
    pub(super) fn kept_head(&mut self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
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
    #[cfg(test)]
    pub(super) fn date(&mut self, wall: SystemTime) -> &str {
        self.make_date(wall);
        &self.date
    }
}
