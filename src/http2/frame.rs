//! Frames as bytes: the nine in front of each, the rules for length and stream of each type (RFC 9113 §4, §6), and how they
//! are written.
//!
//! ```text
//!  ╭─ length (24) ─╮╭ type ╮╭ flags ╮╭──── stream (31) ────╮
//!   00    00    0d    01      05      00    00    00    01      82 87 84 41 8c f1 e3 …
//! ```

use super::cause::{Cause, ErrorCode, Fault};

/// The bytes in front of each payload.
pub(super) const HEAD: usize = 9;

/// The longest payload that everybody takes, and that we take (RFC 9113 §4.2).
pub(super) const MAX_PAYLOAD: usize = 16_384;

/// The longest payload that can be announced.
pub(super) const MAX_ANNOUNCED: u32 = (1 << 24) - 1;

/// Stream numbers, windows and their increments have 31 bits.
pub(super) const MAX_31: u32 = (1 << 31) - 1;

/// `END_STREAM` of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// `ACK` of SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
/// `END_HEADERS` of HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 0x4;
/// `PADDED` of DATA and HEADERS.
pub(super) const PADDED: u8 = 0x8;
/// `PRIORITY` of HEADERS: the old scheme's fields are there.
pub(super) const PRIORITY: u8 = 0x20;

/// The type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// RFC 9218 §7.1.
    PriorityUpdate,
    /// To be ignored (RFC 9113 §5.5).
    Unknown,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Self {
        match byte {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::Reset,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            0x10 => Self::PriorityUpdate,
            _ => Self::Unknown,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Data => 0x0,
            Self::Headers => 0x1,
            Self::Priority => 0x2,
            Self::Reset => 0x3,
            Self::Settings => 0x4,
            Self::PushPromise => 0x5,
            Self::Ping => 0x6,
            Self::GoAway => 0x7,
            Self::WindowUpdate => 0x8,
            Self::Continuation => 0x9,
            Self::PriorityUpdate => 0x10,
            Self::Unknown => 0xff,
        }
    }

    /// Where such a frame belongs, and how long it is.
    fn rules(self) -> (Place, Length) {
        match self {
            Self::Data | Self::Headers | Self::Continuation | Self::PushPromise => (Place::Stream, Length::Any),
            Self::Priority => (Place::Stream, Length::Exactly(5)),
            Self::Reset => (Place::Stream, Length::Exactly(4)),
            Self::Settings => (Place::Connection, Length::TimesSix),
            Self::Ping => (Place::Connection, Length::Exactly(8)),
            Self::GoAway => (Place::Connection, Length::AtLeast(8)),
            Self::WindowUpdate => (Place::Either, Length::Exactly(4)),
            Self::PriorityUpdate => (Place::Connection, Length::AtLeast(4)),
            Self::Unknown => (Place::Either, Length::Any),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Stream,
    Connection,
    Either,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Any,
    Exactly(u32),
    AtLeast(u32),
    TimesSix,
}

impl Length {
    fn fits(self, length: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => length == wanted,
            Self::AtLeast(least) => length >= least,
            Self::TimesSix => length.is_multiple_of(6),
        }
    }
}

/// The part in front of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: u32,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// Without the reserved bit.
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn of(bytes: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind: Kind::of(kind),
            flags,
            stream: u32::from_be_bytes(stream) & MAX_31,
        }
    }

    pub(super) fn bytes(self) -> [u8; HEAD] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind.byte(), self.flags, d, e, f, g]
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes());
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The rules that need no more than the head. A wrong length is an error of the stream only where the frame changes nothing
    /// of the connection (RFC 9113 §4.2, §6.3).
    pub(super) fn check(self) -> Result<(), Fault> {
        let (place, length) = self.kind.rules();
        match (place, self.stream) {
            (Place::Stream, 0) => return Err(Fault::Connection(Cause::OnConnection)),
            (Place::Connection, 1..) => return Err(Fault::Connection(Cause::OnStream)),
            _ => {}
        }
        let wrong = if self.length as usize > MAX_PAYLOAD {
            Cause::FrameTooLarge
        } else if length.fits(self.length) && self.has_room_for_flags() {
            return Ok(());
        } else {
            Cause::FrameLength
        };
        Err(match self.kind {
            Kind::Data | Kind::Priority => Fault::Stream(wrong),
            _ => Fault::Connection(wrong),
        })
    }

    /// Whether the fields that flags announce can be there.
    fn has_room_for_flags(self) -> bool {
        let needed = match self.kind {
            Kind::Data => u32::from(self.has(PADDED)),
            Kind::Headers => u32::from(self.has(PADDED)) + if self.has(PRIORITY) { 5 } else { 0 },
            _ => 0,
        };
        self.length >= needed
    }

    /// The field block in the payload of HEADERS: without padding, and without the old scheme's priority, which means nothing
    /// any more (RFC 9113 §5.3.2).
    pub(super) fn fragment(self, payload: &[u8]) -> Result<&[u8], Fault> {
        let (padding, rest) = match payload {
            [padding, rest @ ..] if self.has(PADDED) => (usize::from(*padding), rest),
            rest => (0, rest),
        };
        let block = if self.has(PRIORITY) { rest.get(5..).unwrap_or_default() } else { rest };
        let length = block.len().checked_sub(padding).ok_or(Fault::Connection(Cause::Padding))?;
        Ok(&block[..length])
    }
}

/// The 32 bits at the beginning of a payload that was checked for its length.
pub(super) fn first_word(payload: &[u8]) -> u32 {
    payload.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// Appends a frame of the connection or of a stream with a payload that is at hand.
pub(super) fn write(kind: Kind, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(MAX_ANNOUNCED);
    Head { length, kind, flags, stream }.write(out);
    out.extend_from_slice(payload);
}

pub(super) fn write_reset(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    write(Kind::Reset, 0, stream, &code.0.to_be_bytes(), out);
}

pub(super) fn write_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    write(Kind::WindowUpdate, 0, stream, &increment.to_be_bytes(), out);
}

/// `GOAWAY` with a few words for the person who reads a trace of it.
pub(super) fn write_go_away(last: u32, code: ErrorCode, words: &str, out: &mut Vec<u8>) {
    let length = 8 + words.len() as u32;
    Head { length, kind: Kind::GoAway, flags: 0, stream: 0 }.write(out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(words.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [(u8, Kind); 11] = [
        (0, Kind::Data),
        (1, Kind::Headers),
        (2, Kind::Priority),
        (3, Kind::Reset),
        (4, Kind::Settings),
        (5, Kind::PushPromise),
        (6, Kind::Ping),
        (7, Kind::GoAway),
        (8, Kind::WindowUpdate),
        (9, Kind::Continuation),
        (16, Kind::PriorityUpdate),
    ];

    fn head(kind: Kind, flags: u8, stream: u32, length: u32) -> Head {
        Head { length, kind, flags, stream }
    }

    #[test]
    fn heads_are_read_as_they_were_written() {
        for (byte, kind) in KINDS {
            let mut out = Vec::new();
            head(kind, 0x25, MAX_31, 0x01_02_03).write(&mut out);
            assert_eq!(out, [1, 2, 3, byte, 0x25, 0x7f, 0xff, 0xff, 0xff]);
            // The reserved bit says nothing.
            out[5] |= 0x80;
            assert_eq!(Head::of(out.first_chunk().unwrap()), head(kind, 0x25, MAX_31, 0x01_02_03));
        }
        for unknown in (10..16).chain(17..=255) {
            assert_eq!(Kind::of(unknown), Kind::Unknown, "{unknown}");
        }
    }

    #[test]
    fn each_type_has_its_place() {
        use Kind::*;
        for (kind, on_stream, on_connection) in [
            (Data, true, false),
            (Headers, true, false),
            (Priority, true, false),
            (Reset, true, false),
            (PushPromise, true, false),
            (Continuation, true, false),
            (Settings, false, true),
            (Ping, false, true),
            (GoAway, false, true),
            (PriorityUpdate, false, true),
            (WindowUpdate, true, true),
            (Unknown, true, true),
        ] {
            let length = match kind.rules().1 {
                Length::Exactly(length) | Length::AtLeast(length) => length,
                Length::Any | Length::TimesSix => 6,
            };
            let wrong = |cause| Err(Fault::Connection(cause));
            let expected = if on_stream { Ok(()) } else { wrong(Cause::OnStream) };
            assert_eq!(head(kind, 0, 1, length).check(), expected, "{kind:?}");
            let expected = if on_connection { Ok(()) } else { wrong(Cause::OnConnection) };
            assert_eq!(head(kind, 0, 0, length).check(), expected, "{kind:?}");
        }
    }

    #[test]
    fn each_type_has_its_length() {
        use Fault::{Connection, Stream};
        use Kind::*;
        let most = MAX_PAYLOAD as u32;
        for (kind, flags, stream, length, expected) in [
            (Data, 0, 1, 0, Ok(())),
            (Data, 0, 1, most, Ok(())),
            (Data, 0, 1, most + 1, Err(Stream(Cause::FrameTooLarge))),
            (Data, PADDED, 1, 0, Err(Stream(Cause::FrameLength))),
            (Data, PADDED, 1, 1, Ok(())),
            (Headers, 0, 1, most, Ok(())),
            (Headers, 0, 1, most + 1, Err(Connection(Cause::FrameTooLarge))),
            (Headers, PADDED, 1, 0, Err(Connection(Cause::FrameLength))),
            (Headers, PRIORITY, 1, 4, Err(Connection(Cause::FrameLength))),
            (Headers, PRIORITY, 1, 5, Ok(())),
            (Headers, PRIORITY | PADDED, 1, 5, Err(Connection(Cause::FrameLength))),
            (Headers, PRIORITY | PADDED, 1, 6, Ok(())),
            (Priority, 0, 1, 4, Err(Stream(Cause::FrameLength))),
            (Priority, 0, 1, 5, Ok(())),
            (Priority, 0, 1, 6, Err(Stream(Cause::FrameLength))),
            (Reset, 0, 1, 3, Err(Connection(Cause::FrameLength))),
            (Reset, 0, 1, 4, Ok(())),
            (Reset, 0, 1, 5, Err(Connection(Cause::FrameLength))),
            (Settings, 0, 0, 0, Ok(())),
            (Settings, 0, 0, 5, Err(Connection(Cause::FrameLength))),
            (Settings, 0, 0, 12, Ok(())),
            (Settings, 0, 0, 13, Err(Connection(Cause::FrameLength))),
            (Settings, 0, 0, 16_386, Err(Connection(Cause::FrameTooLarge))),
            (Ping, 0, 0, 7, Err(Connection(Cause::FrameLength))),
            (Ping, 0, 0, 8, Ok(())),
            (Ping, 0, 0, 9, Err(Connection(Cause::FrameLength))),
            (GoAway, 0, 0, 7, Err(Connection(Cause::FrameLength))),
            (GoAway, 0, 0, 8, Ok(())),
            (GoAway, 0, 0, 100, Ok(())),
            (WindowUpdate, 0, 1, 3, Err(Connection(Cause::FrameLength))),
            (WindowUpdate, 0, 0, 4, Ok(())),
            (WindowUpdate, 0, 0, 5, Err(Connection(Cause::FrameLength))),
            (PriorityUpdate, 0, 0, 3, Err(Connection(Cause::FrameLength))),
            (PriorityUpdate, 0, 0, 4, Ok(())),
            (Continuation, 0, 1, most + 1, Err(Connection(Cause::FrameTooLarge))),
            (Unknown, 0xff, 1, most, Ok(())),
            (Unknown, 0xff, 1, most + 1, Err(Connection(Cause::FrameTooLarge))),
        ] {
            assert_eq!(head(kind, flags, stream, length).check(), expected, "{kind:?} {flags:#x} {length}");
        }
    }

    #[test]
    fn a_field_block_is_taken_out_of_its_padding() {
        let padding = Err(Fault::Connection(Cause::Padding));
        for (flags, payload, block) in [
            (0, &b"block"[..], Ok(&b"block"[..])),
            (PADDED, b"\x00block", Ok(b"block")),
            (PADDED, b"\x03block", Ok(b"bl")),
            (PADDED, b"\x05block", Ok(b"")),
            (PADDED, b"\x06block", padding),
            (PADDED, b"\x00", Ok(b"")),
            (PADDED, b"\x01", padding),
            (PRIORITY, b"\x80\0\0\0\x10block", Ok(b"block")),
            (PRIORITY, b"\0\0\0\0\0", Ok(b"")),
            (PADDED | PRIORITY, b"\x04\0\0\0\0\x10block", Ok(b"b")),
            (PADDED | PRIORITY, b"\x06\0\0\0\0\x10block", padding),
        ] {
            assert_eq!(head(Kind::Headers, flags, 1, payload.len() as u32).fragment(payload), block, "{payload:?}");
        }
    }

    #[test]
    fn frames_that_we_write() {
        let mut out = Vec::new();
        write_reset(1, ErrorCode::CANCEL, &mut out);
        write_window_update(0, 1, &mut out);
        write_go_away(3, ErrorCode::NO_ERROR, "why", &mut out);
        write(Kind::Ping, ACK, 0, b"12345678", &mut out);
        assert_eq!(
            out,
            b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08\
              \0\0\x04\x08\0\0\0\0\0\0\0\0\x01\
              \0\0\x0b\x07\0\0\0\0\0\0\0\0\x03\0\0\0\0why\
              \0\0\x08\x06\x01\0\0\0\x0012345678"
        );
    }
}
