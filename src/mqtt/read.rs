//! The primitive types of section 1.5, read from the body of one packet.

use super::{Error, Text};
use bytes::{Buf as _, Bytes};

/// The bytes of a packet that are not read yet. Parts taken from it share their memory.
#[derive(Debug, Clone)]
pub struct Reader(Bytes);

const SHORT: Error = Error::malformed("a packet ends within a field");

impl Reader {
    /// All of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    ///
    /// Fewer are left; likewise in all that follow.
    pub fn take(&mut self, len: usize) -> Result<Bytes, Error> {
        if len > self.0.len() { Err(SHORT) } else { Ok(self.0.split_to(len)) }
    }

    /// A byte.
    #[allow(missing_docs)]
    pub fn u8(&mut self) -> Result<u8, Error> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    /// A two byte integer (1.5.2).
    #[allow(missing_docs)]
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    /// A four byte integer (1.5.3).
    #[allow(missing_docs)]
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    /// Eight bytes. MQTT has no such type; the log of the broker has.
    #[allow(missing_docs)]
    pub fn u64(&mut self) -> Result<u64, Error> {
        self.0.try_get_u64().map_err(|_| SHORT)
    }

    /// A variable byte integer (1.5.5): seven bits a byte, the lowest first, four bytes at most, and no more than needed
    /// [MQTT-1.5.5-1].
    ///
    /// # Errors
    ///
    /// It has a fifth byte, or a last one without bits.
    pub fn varint(&mut self) -> Result<u32, Error> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded { Err(Error::malformed("a length has more bytes than it needs")) } else { Ok(value) };
            }
        }
        Err(Error::malformed("a length has more than four bytes"))
    }

    /// Binary data (1.5.6): its length in two bytes, then so many.
    #[allow(missing_docs)]
    pub fn binary(&mut self) -> Result<Bytes, Error> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// A string (1.5.4).
    ///
    /// # Errors
    ///
    /// Those of [`Text::new`], too.
    pub fn text(&mut self) -> Result<Text, Error> {
        self.binary().and_then(Text::new)
    }

    /// All that is left.
    #[must_use]
    pub fn rest(self) -> Bytes {
        self.0
    }

    /// # Errors
    ///
    /// Something is left that no field accounts for.
    pub fn finish(self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::malformed("a packet is longer than its fields")) }
    }
}
