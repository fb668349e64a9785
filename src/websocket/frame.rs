//! Frames on their way out, and the names of what is in a head (RFC 6455 §5.2).

use bytes::Bytes;

/// The most bytes of a head: two, a length in eight, a mask.
pub(super) const MAX_HEAD: usize = 14;

/// The most bytes in a control frame.
pub(super) const MAX_CONTROL: usize = 125;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that has begun.
    Continuation,
    /// A message in UTF-8 begins.
    Text,
    /// A message of any bytes begins.
    Binary,
    /// The sender sends nothing more.
    Close,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

impl Opcode {
    /// Of the low four bits of a head's first byte.
    pub(super) fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Control frames may stand between the fragments of a message.
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Why a connection ends (RFC 6455 §7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// All is done.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that is not taken.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Text that is none.
    pub const INVALID_DATA: Self = Self(1007);
    /// The peer broke a rule of the application.
    pub const POLICY: Self = Self(1008);
    /// A message that is too long.
    pub const TOO_BIG: Self = Self(1009);

    /// Whether it may be sent in a frame: 1005, 1006 and 1015 are for what happened without one.
    #[must_use]
    pub fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// Appends a frame. `mask`: for clients; a server sends none (§5.1).
pub fn write_frame(out: &mut Vec<u8>, last: bool, opcode: Opcode, mask: Option<[u8; 4]>, payload: &[u8]) {
    out.push(u8::from(last) << 7 | opcode.bits());
    let masked = u8::from(mask.is_some()) << 7;
    match payload.len() {
        len @ 0..=125 => out.push(masked | len as u8),
        len @ 126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(masked | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    match mask {
        None => out.extend_from_slice(payload),
        Some(mask) => {
            out.extend_from_slice(&mask);
            out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
    }
}

/// A whole message in one frame, as a server sends it.
#[must_use]
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + MAX_HEAD);
    write_frame(&mut out, true, opcode, None, payload);
    out.into()
}

/// A close frame. The reason is cut at a character's end to what fits.
#[must_use]
pub fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    frame(Opcode::Close, &[&code.0.to_be_bytes()[..], &reason.as_bytes()[..end]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6455 §5.7.
    #[test]
    fn frames_are_those_of_the_standard() {
        assert_eq!(frame(Opcode::Text, b"Hello")[..], *b"\x81\x05Hello");
        let mut masked = Vec::new();
        write_frame(&mut masked, true, Opcode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        assert_eq!(masked, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        let mut fragments = Vec::new();
        write_frame(&mut fragments, false, Opcode::Text, None, b"Hel");
        write_frame(&mut fragments, true, Opcode::Continuation, None, b"lo");
        assert_eq!(fragments, b"\x01\x03Hel\x80\x02lo");
        assert_eq!(frame(Opcode::Binary, &[0; 256])[..4], *b"\x82\x7e\x01\x00");
        assert_eq!(frame(Opcode::Binary, &[0; 65536])[..10], *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
        for (len, head) in [(125, 2), (126, 4), (65535, 4), (65536, 10)] {
            assert_eq!(frame(Opcode::Binary, &vec![0; len]).len(), len + head);
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(close_frame(CloseCode::NORMAL, "bye")[..], *b"\x88\x05\x03\xe8bye");
        let long = close_frame(CloseCode::TOO_BIG, &"ä".repeat(100));
        assert_eq!((long.len(), std::str::from_utf8(&long[4..]).map(str::len)), (2 + 2 + 122, Ok(122)));
    }
}
