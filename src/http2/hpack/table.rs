//! The dynamic table (RFC 7541 §2.3.2, §4): the lines that both sides have seen lately, the newest first.
//!
//! ```text
//!   bytes   ·····name value│name value│name value          one buffer, new lines at its end
//!                ╰ oldest             ╰ newest, number 62
//! ```
//!
//! An eviction only moves the beginning; now and then the bytes in use are moved to the front. So a table that is full takes and
//! drops lines without asking the allocator.

use crate::http::name::is_same;
use std::collections::VecDeque;

/// A line counts so much more than its characters (RFC 7541 §4.1).
pub(super) const OVERHEAD: usize = 32;

#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// The oldest first.
    lines: VecDeque<Line>,
    /// The number of bytes that were ever removed from the front of `bytes`.
    removed: usize,
    /// As the RFC counts it.
    size: usize,
    capacity: usize,
}

/// Where a line is, counted from the first byte that the table ever had.
#[derive(Debug, Clone, Copy)]
struct Line {
    at: usize,
    name: usize,
    value: usize,
}

impl Table {
    /// Nothing on the heap.
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: Vec::new(), lines: VecDeque::new(), removed: 0, size: 0, capacity }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// As the RFC counts it: characters, and [`OVERHEAD`] for each line.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The line of that number, the newest being 0.
    pub(super) fn line(&self, number: usize) -> Option<(&[u8], &[u8])> {
        let line = self.lines.get(self.lines.len().checked_sub(number + 1)?)?;
        let bytes = &self.bytes[line.at - self.removed..][..line.name + line.value];
        Some(bytes.split_at(line.name))
    }

    /// The newest line of that name, in either case, and that value, else none.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        let is_it = |line: &Line| {
            // Lengths differ nearly always.
            line.name == name.len() && line.value == value.len() && {
                let (its_name, rest) = self.bytes[line.at - self.removed..].split_at(line.name);
                is_same(its_name, name) && rest.starts_with(value)
            }
        };
        self.lines.iter().rev().position(is_it)
    }

    /// The newest line of that name, in either case.
    pub(super) fn find_name(&self, name: &[u8]) -> Option<usize> {
        let is_it =
            |line: &Line| line.name == name.len() && is_same(&self.bytes[line.at - self.removed..][..line.name], name);
        self.lines.iter().rev().position(is_it)
    }

    /// Adds a line, for which old ones leave. A line that is larger than the table empties it, and is no error (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        self.evict(self.capacity.saturating_sub(size));
        if size > self.capacity {
            return;
        }
        let unused = self.lines.front().map_or(self.bytes.len(), |line| line.at - self.removed);
        // Seldom enough to cost little, and often enough that an idle connection holds little.
        if unused > self.capacity / 4 {
            self.bytes.drain(..unused);
            self.removed += unused;
        }
        let at = self.removed + self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.lines.push_back(Line { at, name: name.len(), value: value.len() });
        self.size += size;
    }

    /// The table is at most so large from here on.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict(capacity);
    }

    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(line) = self.lines.pop_front()
        {
            self.size -= line.name + line.value + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_lines_leave_for_new_ones() {
        let mut table = Table::new(110);
        table.insert(b"a", b"1234567"); // 40
        table.insert(b"b", b"2345678");
        assert_eq!(
            (table.line(0), table.line(1)),
            (Some((&b"b"[..], &b"2345678"[..])), Some((&b"a"[..], &b"1234567"[..])))
        );
        table.insert(b"c", b"3456789");
        assert_eq!((table.line(1), table.line(2), table.size()), (Some((&b"b"[..], &b"2345678"[..])), None, 80));
        assert_eq!(
            (table.find(b"b", b"2345678"), table.find(b"a", b"1234567"), table.find_name(b"c")),
            (Some(1), None, Some(0))
        );
        table.resize(79);
        assert_eq!((table.line(1), table.size()), (None, 40));
    }

    #[test]
    fn a_line_may_be_as_large_as_the_table() {
        for (length, left) in [(67, 1), (68, 1), (69, 0)] {
            let mut table = Table::new(100);
            table.insert(b"", b"old");
            table.insert(b"", &vec![b'x'; length]);
            assert_eq!(table.lines.len(), left, "{length}");
        }
    }

    proptest! {
        /// As a list of lines that are copied one by one.
        #[test]
        fn it_holds_what_a_plain_list_would(lines in proptest::collection::vec(("[a-c]{0,30}", "[a-c]{0,60}", 0usize..300), 0..80)) {
            let mut table = Table::new(200);
            let mut list: VecDeque<(String, String)> = VecDeque::new();
            let size = |list: &VecDeque<(String, String)>| list.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum::<usize>();
            for (name, value, resize) in lines {
                if resize < 30 {
                    table.resize(resize * 10);
                }
                table.insert(name.as_bytes(), value.as_bytes());
                list.push_front((name, value));
                while size(&list) > table.capacity() {
                    list.pop_back();
                }
                for (number, (name, value)) in list.iter().enumerate() {
                    prop_assert_eq!(table.line(number), Some((name.as_bytes(), value.as_bytes())));
                }
                prop_assert_eq!((table.line(list.len()), table.size()), (None, size(&list)));
                prop_assert!(table.bytes.len() <= 300 + 300 / 4 + 90, "{} bytes are kept", table.bytes.len());
            }
        }
    }
}
