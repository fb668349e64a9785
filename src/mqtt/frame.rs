//! Where a packet begins and ends: the fixed header (2.1 in MQTT 5, 2.2 in 3.1.1).
//!
//! ```text
//!   byte 1: kind (4 bits) │ flags (4 bits)     bytes 2 to 5: remaining length     then so many bytes
//! ```

use super::Error;

/// The kind of a packet, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Their names are those of the standard's table.
pub enum Kind {
    Connect = 1,
    ConnAck,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    SubAck,
    Unsubscribe,
    UnsubAck,
    PingReq,
    PingResp,
    Disconnect,
    Auth,
}

/// One whole packet in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// The lower four bits of the first byte. Only those of a PUBLISH mean anything.
    pub flags: u8,
    /// Bytes of the fixed header.
    pub head: usize,
    /// Bytes behind it.
    pub body: usize,
}

impl Frame {
    /// Bytes of the whole packet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head + self.body
    }

    /// Whether it is a packet without bytes, which there is not: a packet has two at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The flags that a packet of this kind has to have (table 2-2). `None`: they are a PUBLISH's own.
    pub(super) fn flags(self) -> Option<u8> {
        match self {
            Self::Publish => None,
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => Some(0b0010),
            Self::Connect
            | Self::ConnAck
            | Self::PubAck
            | Self::PubRec
            | Self::PubComp
            | Self::SubAck
            | Self::UnsubAck
            | Self::PingReq
            | Self::PingResp
            | Self::Disconnect
            | Self::Auth => Some(0),
        }
    }
}

/// The first packet in `input`, as far as its header tells. `None`: the header is not whole yet.
///
/// # Errors
///
/// A kind that there is not, flags that are not those of the kind [MQTT-2.1.3-1], or a length that is none.
pub fn frame(input: &[u8]) -> Result<Option<Frame>, Error> {
    let Some(&first) = input.first() else { return Ok(None) };
    let number = usize::from(first >> 4);
    let kind =
        *number.checked_sub(1).and_then(|at| Kind::ALL.get(at)).ok_or(Error::malformed("no such packet type"))?;
    let flags = first & 0x0F;
    if kind.flags().is_some_and(|expected| expected != flags) {
        return Err(Error::malformed("reserved flags of the fixed header"));
    }
    let mut body = 0;
    for at in 0..4 {
        let Some(&byte) = input.get(1 + at) else { return Ok(None) };
        body |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return Err(Error::malformed("a length has more bytes than it needs"));
            }
            return Ok(Some(Frame { kind, flags, head: 2 + at, body }));
        }
    }
    Err(Error::malformed("a length has more than four bytes"))
}
