//! A client's frames, put together to messages.
//!
//! Nothing is kept longer than it has to be: a head until it is complete, a message until its last fragment has come, and that is bounded.
//! Text is checked as it arrives, so that a mistake in the first fragment is not answered after the last.

use super::frame::{CloseCode, MAX_CONTROL, MAX_HEAD, Opcode};
use std::mem;

/// Reads one client's frames.
#[derive(Debug)]
pub struct Reader {
    /// Bytes of a message.
    most: usize,
    head: [u8; MAX_HEAD],
    /// Bytes of the head that are here.
    have: usize,
    /// The payload of this frame is arriving.
    frame: Option<Frame>,
    /// A message has begun, of this kind, and is not complete.
    begun: Option<Opcode>,
    message: Vec<u8>,
    /// The bytes of `message` that are known to be UTF-8.
    checked: usize,
    control: Vec<u8>,
    failed: Option<Fault>,
}

/// A frame whose head was read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    last: bool,
    opcode: Opcode,
    mask: [u8; 4],
    /// Bytes that are here, and all.
    have: u64,
    len: u64,
}

/// A client's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Whole, whatever its fragments.
    Text(String),
    /// The same of any bytes.
    Binary(Vec<u8>),
    /// To be answered with a pong of the same bytes.
    Ping(Vec<u8>),
    /// An answer, or a sign of life.
    Pong(Vec<u8>),
    /// The client sends nothing more; the code that it gave.
    Close(Option<CloseCode>),
}

/// A rule that a client has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One of the three bits for extensions, of which none is in use.
    ReservedBit,
    /// An opcode that nobody has defined.
    UnknownOpcode,
    /// A client's frames are masked, so that no one between us takes them for another protocol.
    NotMasked,
    /// A length in more bytes than it needs.
    LongLength,
    /// A length of 64 bits.
    HugeLength,
    /// A control frame in fragments.
    FragmentedControl,
    /// A control frame of more than 125 bytes.
    LongControl,
    /// A continuation, and nothing to continue.
    NothingToContinue,
    /// A new message inside of another.
    InsideMessage,
    /// A close frame of one byte, or a code that may not be sent.
    BadClose,
    /// Text, or a reason, that is not UTF-8.
    NotUtf8,
    /// The message is too long.
    TooBig,
}

impl Fault {
    /// The code to close with.
    #[must_use]
    pub fn code(self) -> CloseCode {
        match self {
            Self::NotUtf8 => CloseCode::INVALID_DATA,
            Self::TooBig => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The rule, for the peer and the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReservedBit => "reserved bit",
            Self::UnknownOpcode => "unknown opcode",
            Self::NotMasked => "frame is not masked",
            Self::LongLength => "length in too many bytes",
            Self::HugeLength => "length of 64 bits",
            Self::FragmentedControl => "control frame in fragments",
            Self::LongControl => "control frame too long",
            Self::NothingToContinue => "continuation of nothing",
            Self::InsideMessage => "message inside of another",
            Self::BadClose => "malformed close frame",
            Self::NotUtf8 => "not UTF-8",
            Self::TooBig => "message too long",
        }
    }
}

impl Reader {
    /// For messages of at most so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            head: [0; MAX_HEAD],
            have: 0,
            frame: None,
            begun: None,
            message: Vec::new(),
            checked: 0,
            control: Vec::new(),
            failed: None,
        }
    }

    /// Takes the next message; `input` is advanced past what was used. `None`: all of it was used, and more is needed.
    ///
    /// # Errors
    ///
    /// The client broke a rule. Every further call fails in the same way.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Fault> {
        if let Some(fault) = self.failed {
            return Err(fault);
        }
        self.step(input).inspect_err(|fault| {
            self.failed = Some(*fault);
            self.message = Vec::new();
        })
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Fault> {
        loop {
            let Some(frame) = self.frame else {
                match self.read_head(input)? {
                    None => return Ok(None),
                    Some(frame) => self.frame = Some(self.begin(frame)?),
                }
                continue;
            };
            let more = self.take_payload(frame, input);
            if frame.opcode == Opcode::Close || !frame.opcode.is_control() {
                self.check_text(frame)?;
            }
            if more.have < more.len {
                self.frame = Some(more);
                return Ok(None);
            }
            self.frame = None;
            if let Some(message) = self.end(frame)? {
                return Ok(Some(message));
            }
        }
    }

    /// Collects a head, and refuses it as soon as its first wrong byte is here.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Fault> {
        loop {
            let need = check_head(&self.head[..self.have])?;
            if self.have == need {
                self.have = 0;
                return Ok(Some(parse_head(&self.head[..need])?));
            }
            let [byte, rest @ ..] = *input else { return Ok(None) };
            self.head[self.have] = *byte;
            self.have += 1;
            *input = rest;
        }
    }

    /// Whether a frame may come now.
    fn begin(&mut self, frame: Frame) -> Result<Frame, Fault> {
        if frame.opcode.is_control() {
            return Ok(frame);
        }
        match (frame.opcode, self.begun) {
            (Opcode::Continuation, None) => return Err(Fault::NothingToContinue),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(Fault::InsideMessage),
            (opcode, None) => self.begun = Some(opcode),
        }
        if frame.len > (self.most - self.message.len()) as u64 {
            return Err(Fault::TooBig);
        }
        Ok(frame)
    }

    /// Unmasks what is here of a payload.
    fn take_payload(&mut self, frame: Frame, input: &mut &[u8]) -> Frame {
        let len = usize::try_from(frame.len - frame.have).unwrap_or(usize::MAX).min(input.len());
        let (payload, rest) = input.split_at(len);
        *input = rest;
        let into = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
        let phase = (frame.have % 4) as usize;
        let mask = frame.mask.iter().cycle().skip(phase);
        into.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        Frame { have: frame.have + len as u64, ..frame }
    }

    /// Whether the text so far is the beginning of a text.
    fn check_text(&mut self, frame: Frame) -> Result<(), Fault> {
        if frame.opcode.is_control() || self.begun != Some(Opcode::Text) {
            return Ok(());
        }
        match std::str::from_utf8(&self.message[self.checked..]) {
            Ok(_) => self.checked = self.message.len(),
            // A character that is not complete may be completed.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Fault::NotUtf8),
        }
        Ok(())
    }

    /// A frame is complete. Of a message, the last one ends it.
    fn end(&mut self, frame: Frame) -> Result<Option<Message>, Fault> {
        match frame.opcode {
            Opcode::Ping => Ok(Some(Message::Ping(mem::take(&mut self.control)))),
            Opcode::Pong => Ok(Some(Message::Pong(mem::take(&mut self.control)))),
            Opcode::Close => closed(&mem::take(&mut self.control)).map(Some),
            Opcode::Continuation | Opcode::Text | Opcode::Binary if !frame.last => Ok(None),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                self.checked = 0;
                let message = mem::take(&mut self.message);
                if self.begun.take() == Some(Opcode::Text) {
                    return String::from_utf8(message)
                        .map(|text| Some(Message::Text(text)))
                        .map_err(|_| Fault::NotUtf8);
                }
                Ok(Some(Message::Binary(message)))
            }
        }
    }
}

/// Checks the beginning of a head, and tells how many bytes it needs as far as is known.
fn check_head(head: &[u8]) -> Result<usize, Fault> {
    let [first, rest @ ..] = head else { return Ok(1) };
    if first & 0x70 != 0 {
        return Err(Fault::ReservedBit);
    }
    let opcode = Opcode::of(first & 0x0f).ok_or(Fault::UnknownOpcode)?;
    if opcode.is_control() && first & 0x80 == 0 {
        return Err(Fault::FragmentedControl);
    }
    let [second, ..] = rest else { return Ok(2) };
    if second & 0x80 == 0 {
        return Err(Fault::NotMasked);
    }
    if opcode.is_control() && second & 0x7f > 125 {
        return Err(Fault::LongControl);
    }
    Ok(match second & 0x7f {
        126 => 8,
        127 => 14,
        _ => 6,
    })
}

/// Reads a complete head.
fn parse_head(head: &[u8]) -> Result<Frame, Fault> {
    let (length, mask) = head[2..].split_at(head.len() - 6);
    let len = length.iter().fold(0, |len: u64, byte| len << 8 | u64::from(*byte));
    let len = match length.len() {
        0 => u64::from(head[1] & 0x7f),
        2 if len > 125 => len,
        8 if len >> 63 == 1 => return Err(Fault::HugeLength),
        8 if len > 0xffff => len,
        _ => return Err(Fault::LongLength),
    };
    let mask = mask
        .try_into()
        .expect("a mask has four bytes: the head was split six bytes from its end, two of them its first");
    Ok(Frame {
        last: head[0] & 0x80 != 0,
        opcode: Opcode::of(head[0] & 0x0f).ok_or(Fault::UnknownOpcode)?,
        mask,
        have: 0,
        len,
    })
}

/// The payload of a close frame (§5.5.1).
fn closed(payload: &[u8]) -> Result<Message, Fault> {
    debug_assert!(payload.len() <= MAX_CONTROL, "longer ones are refused by their heads");
    let (code, reason) = match payload {
        [] => return Ok(Message::Close(None)),
        [_] => return Err(Fault::BadClose),
        [high, low, reason @ ..] => (CloseCode(u16::from_be_bytes([*high, *low])), reason),
    };
    if !code.is_sendable() {
        return Err(Fault::BadClose);
    }
    std::str::from_utf8(reason).map_err(|_| Fault::NotUtf8)?;
    Ok(Message::Close(Some(code)))
}

#[cfg(test)]
mod tests;
