//! From a field block to field lines (RFC 7541 §3.2, §6).
//!
//! ```text
//!   1.......   a line that one of the tables has                    §6.1
//!   01......   a literal that both sides remember                   §6.2.1
//!   0000....   a literal that neither remembers                     §6.2.2
//!   0001....   the same, and no hop may ever remember it            §6.2.3
//!   001.....   the table has another size from here on              §6.3
//! ```

use super::{
    DEFAULT_TABLE, Error, huffman, integer, known,
    table::{OVERHEAD, Table},
};
use crate::buf::relax;

/// Decodes the field blocks of one direction of a connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// The largest table that was offered to the peer.
    offered: usize,
    /// The name and the value of the literal that is being read, where they cannot be used as they lie.
    name: Vec<u8>,
    value: Vec<u8>,
}

/// A literal is added to the table, or not.
#[derive(PartialEq)]
enum Kept {
    Yes,
    No,
}

impl Decoder {
    /// A decoder whose peer may use a table of [`DEFAULT_TABLE`] bytes. Nothing is on the heap before the first literal.
    #[must_use]
    pub fn new() -> Self {
        Self { table: Table::new(DEFAULT_TABLE), offered: DEFAULT_TABLE, name: Vec::new(), value: Vec::new() }
    }

    /// Decodes a whole block; `field` gets each line, names and values as they were sent.
    ///
    /// `limit`: bytes of all lines together, each counted with 32 bytes more (RFC 9113 §6.5.2). Beyond it decoding stops with
    /// [`Error::Bomb`].
    ///
    /// # Errors
    ///
    /// After any of them the decoder cannot be used again: the tables of the two sides may differ.
    pub fn decode(&mut self, block: &[u8], limit: usize, field: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        let decoded = self.decode_lines(block, limit, field);
        // One unusual line must not cost an idle connection its room for ever.
        for room in [&mut self.name, &mut self.value] {
            room.clear();
            relax(room);
        }
        decoded
    }

    fn decode_lines(&mut self, block: &[u8], limit: usize, mut field: impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        let mut input = block;
        let mut size = 0;
        let mut begun = false;
        while let [first, ..] = input {
            let line = match first {
                0x80.. => self.indexed(&mut input, &mut field)?,
                0x40.. => self.literal(&mut input, 6, Kept::Yes, &mut field)?,
                0x20.. if begun => return Err(Error::LateSizeUpdate),
                0x20.. => {
                    self.resize(&mut input)?;
                    continue;
                }
                _ => self.literal(&mut input, 4, Kept::No, &mut field)?,
            };
            begun = true;
            size += line + OVERHEAD;
            if size > limit {
                return Err(Error::Bomb);
            }
        }
        Ok(())
    }

    /// All of these tell how many characters the line has.
    fn indexed(&self, input: &mut &[u8], field: &mut impl FnMut(&[u8], &[u8])) -> Result<usize, Error> {
        let number = integer::read(input, 7)?;
        let (name, value) = self.line(number)?;
        field(name, value);
        Ok(name.len() + value.len())
    }

    fn literal(
        &mut self,
        input: &mut &[u8],
        prefix: u32,
        kept: Kept,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<usize, Error> {
        let number = integer::read(input, prefix)?;
        let Self { table, name: name_room, value: value_room, .. } = self;
        let name = match number {
            0 => string(input, name_room)?,
            number => {
                let name = line(table, number)?.0;
                // The line that it is the name of may leave for the new one (RFC 7541 §4.4).
                name_room.clear();
                name_room.extend_from_slice(name);
                name_room
            }
        };
        let value = string(input, value_room)?;
        field(name, value);
        if kept == Kept::Yes {
            table.insert(name, value);
        }
        Ok(name.len() + value.len())
    }

    fn resize(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        let size = integer::read(input, 5)?;
        if size > self.offered {
            return Err(Error::TableTooLarge);
        }
        self.table.resize(size);
        Ok(())
    }

    fn line(&self, number: usize) -> Result<(&[u8], &[u8]), Error> {
        line(&self.table, number)
    }

    /// Bytes of heap that stay between two blocks, beside the table.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.name.capacity() + self.value.capacity()
    }

    /// Bytes in the table, as the RFC counts them.
    #[cfg(test)]
    pub(super) fn table_size(&self) -> usize {
        self.table.size()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The line of that number in both tables, one behind the other (RFC 7541 §2.3.3).
fn line(table: &Table, number: usize) -> Result<(&[u8], &[u8]), Error> {
    match number.checked_sub(1) {
        None => Err(Error::BadIndex),
        Some(place) => match known::LINES.get(place) {
            Some((name, value)) => Ok((name.as_bytes(), value.as_bytes())),
            None => table.line(place - known::LINES.len()).ok_or(Error::BadIndex),
        },
    }
}

/// Reads a string (RFC 7541 §5.2): a part of the input, or in `room` if it is in the Huffman code.
fn string<'s, 'i: 's>(input: &mut &'i [u8], room: &'s mut Vec<u8>) -> Result<&'s [u8], Error> {
    let is_coded = input.first().ok_or(Error::Truncated)? & 0x80 != 0;
    let length = integer::read(input, 7)?;
    let (text, rest) = input.split_at_checked(length).ok_or(Error::Truncated)?;
    *input = rest;
    if !is_coded {
        return Ok(text);
    }
    room.clear();
    huffman::decode(text, room)?;
    Ok(room)
}
