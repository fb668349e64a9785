//! The names of a journal's files: a kind and a number.

use crate::disk::Disk;
use std::io;

/// The two kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Snapshot,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Log => "log-",
            Self::Snapshot => "snapshot-",
        }
    }

    /// The name of the file with this number.
    pub(super) fn name(self, number: u64) -> String {
        format!("{}{number:08}", self.prefix())
    }

    /// The numbers of the files of this kind, in order.
    pub(super) fn numbers(self, disk: &dyn Disk) -> io::Result<Vec<u64>> {
        let number = |name: &String| name.strip_prefix(self.prefix()).and_then(|digits| digits.parse::<u64>().ok());
        let mut numbers: Vec<u64> = disk.names()?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
