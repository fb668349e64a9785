//! From field lines to a field block.
//!
//! A decoder takes any choice of representations; these are ours:
//!
//! | line | representation | why |
//! |---|---|---|
//! | in the static table, or in the dynamic one | its number | one or two bytes |
//! | credentials (`authorization`, `cookie`, `set-cookie`, …) | literal, never indexed | an attacker could guess what is in a table by the length of a block (RFC 7541 §7.1.3) |
//! | differs in nearly every message (`content-length`, `etag`, `:path`, …) | literal, not indexed | it would push out lines that come again |
//! | any other | literal, with indexing | the next message likely has it |
//!
//! Strings are in the Huffman code where that is shorter.

use super::{DEFAULT_TABLE, huffman, integer, known, table::Table};
use crate::http::name::is_same;
use std::cmp::min;

/// The table that we use of the one that a peer offers: a dozen and a half usual lines, which every connection pays for.
const TABLE: usize = 1024;

/// Encodes the field blocks of one direction of a connection, in their order.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    /// The smallest and the last size of the table since the last block, if it has changed (RFC 7541 §4.2).
    resized: Option<(usize, usize)>,
    /// A name in lower case.
    name: Vec<u8>,
    /// A value that came in pieces.
    value: Vec<u8>,
}

/// The three kinds of literals (RFC 7541 §6.2), with the pattern and the bits for a name's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Literal {
    Indexed,
    NotIndexed,
    NeverIndexed,
}

/// For the name of each line of the static table.
static OF_KNOWN: [Literal; known::LINES.len()] = {
    let mut all = [Literal::Indexed; known::LINES.len()];
    let mut line = 0;
    while line < all.len() {
        all[line] = match known::LINES[line].0.as_bytes() {
            b"authorization" | b"proxy-authorization" | b"cookie" | b"set-cookie" => Literal::NeverIndexed,
            b":path" | b"content-length" | b"content-range" | b"etag" | b"last-modified" | b"age" | b"expires"
            | b"location" | b"if-none-match" | b"if-modified-since" | b"range" | b"link" => Literal::NotIndexed,
            _ => Literal::Indexed,
        };
        line += 1;
    }
    all
};

impl Literal {
    fn pattern(self) -> (u8, u32) {
        match self {
            Self::Indexed => (0x40, 6),
            Self::NotIndexed => (0x00, 4),
            Self::NeverIndexed => (0x10, 4),
        }
    }

    /// How a line is written whose name has the number `known` in the static table, or none there.
    fn of(known: Option<usize>, name: &[u8]) -> Self {
        match known {
            Some(number) => OF_KNOWN[number - 1],
            None if is_same(name, b"x-request-id") => Self::NotIndexed,
            None => Self::Indexed,
        }
    }
}

impl Encoder {
    /// An encoder for a peer that has not said how large its table is. Nothing is on the heap before the first literal.
    #[must_use]
    pub fn new() -> Self {
        // The peer has the default size in mind until the first block says otherwise.
        Self { table: Table::new(TABLE), resized: Some((TABLE, TABLE)), name: Vec::new(), value: Vec::new() }
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`: from the next block on no larger table is used.
    pub fn offer(&mut self, offered: usize) {
        let size = min(offered, TABLE);
        if size != self.table.capacity() {
            let least = self.resized.map_or(size, |(least, _)| min(least, size));
            self.table.resize(size);
            self.resized = Some((least, size));
        }
    }

    /// Begins a block at the end of `out`.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let Some((least, size)) = self.resized.take() else { return };
        if least < size {
            integer::write(least, 5, 0x20, out);
        }
        integer::write(size, 5, 0x20, out);
    }

    /// Appends a line to the block. The name is written in lower case, as HTTP/2 demands (RFC 9113 §8.2).
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let known = known::of_name(name);
        if let Some(number) = known.and_then(|first| known::of_value(first, value)) {
            return integer::write(number, 7, 0x80, out);
        }
        let literal = Literal::of(known, name);
        if literal == Literal::Indexed
            && let Some(place) = self.table.find(name, value)
        {
            return integer::write(number_of(place), 7, 0x80, out);
        }
        self.name.clear();
        self.name.extend_from_slice(name);
        self.name.make_ascii_lowercase();
        let (pattern, prefix) = literal.pattern();
        match known.or_else(|| self.table.find_name(name).map(number_of)) {
            Some(number) => integer::write(number, prefix, pattern, out),
            None => {
                out.push(pattern);
                string(&self.name, out);
            }
        }
        string(value, out);
        if literal == Literal::Indexed {
            self.table.insert(&self.name, value);
        }
    }

    /// As [`Encoder::field`], for a value in pieces.
    pub fn field_of(&mut self, name: &[u8], pieces: &[&[u8]], out: &mut Vec<u8>) {
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        pieces.iter().for_each(|piece| value.extend_from_slice(piece));
        self.field(name, &value, out);
        self.value = value;
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of a line in the dynamic table, of which the newest has the place 0.
fn number_of(place: usize) -> usize {
    place + known::LINES.len() + 1
}

/// Appends a string in the shorter of its two forms.
fn string(text: &[u8], out: &mut Vec<u8>) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        integer::write(coded, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        integer::write(text.len(), 7, 0, out);
        out.extend_from_slice(text);
    }
}

/// Offers smaller than the default are kept in mind by the decoder at the other end, too.
const _: () = assert!(TABLE <= DEFAULT_TABLE);
