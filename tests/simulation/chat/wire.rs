//! The two languages of the chat, as a client speaks them: lines, and JSON in the frames of a WebSocket.

use crate::support::random::Random;
use serde_json::Value;
use socket_patterns::websocket::{Opcode, write_frame};

/// Something that a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Welcome { token: String },
    Resumed { last_id: u64 },
    Said { room: String, seq: u64, from: String, text: String },
    Direct { seq: u64, from: String, text: String },
    Accepted { id: u64, room: String, seq: u64 },
    Entered { room: String, next: u64 },
    Exited { room: String },
    Named(String),
    Done(String),
    Refused(String),
    Other,
}

/// The language of one connection, and the bytes of it that make no whole yet.
#[derive(Debug)]
pub struct Wire {
    is_socket: bool,
    /// A WebSocket's handshake is answered.
    is_agreed: bool,
    inbox: Vec<u8>,
}

impl Wire {
    pub fn new(is_socket: bool) -> Self {
        Self { is_socket, is_agreed: false, inbox: Vec::new() }
    }

    /// The first bytes, before any line.
    pub fn hello(&self) -> Vec<u8> {
        let handshake = "GET /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        if self.is_socket { handshake.as_bytes().to_vec() } else { Vec::new() }
    }

    /// A line, in the form in which it travels.
    pub fn line(&self, line: &str, random: &mut Random) -> Vec<u8> {
        if !self.is_socket {
            return format!("{line}\n").into_bytes();
        }
        let mut out = Vec::new();
        let bytes = line.as_bytes();
        let cut = if random.chance(200) { random.within(0..=bytes.len()) } else { bytes.len() };
        let mut frame = |last, opcode, payload: &[u8]| {
            let mask = (random.next() as u32).to_be_bytes();
            write_frame(&mut out, last, opcode, Some(mask), payload);
        };
        frame(cut == bytes.len(), Opcode::Text, &bytes[..cut]);
        if cut < bytes.len() {
            frame(true, Opcode::Continuation, &bytes[cut..]);
        }
        out
    }

    /// More bytes of the server. Returns what they tell, and what has to be answered at once.
    pub fn hear(&mut self, bytes: &[u8]) -> (Vec<Heard>, Vec<u8>) {
        self.inbox.extend_from_slice(bytes);
        let (mut heard, mut answer) = (Vec::new(), Vec::new());
        if !self.is_socket {
            while let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=end).collect();
                heard.push(of_line(std::str::from_utf8(&line[..end]).expect("a line is text")));
            }
            return (heard, answer);
        }
        if !self.is_agreed {
            let Some(end) = self.inbox.windows(4).position(|four| four == b"\r\n\r\n") else { return (heard, answer) };
            let head: Vec<u8> = self.inbox.drain(..end + 4).collect();
            assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
            self.is_agreed = true;
        }
        while let Some((opcode, payload)) = self.frame() {
            match opcode {
                1 => heard.push(of_json(&serde_json::from_slice(&payload).expect("an event is JSON"))),
                8 => {}
                9 => write_frame(&mut answer, true, Opcode::Pong, Some([1, 2, 3, 4]), &payload),
                other => panic!("a frame of kind {other}"),
            }
        }
        (heard, answer)
    }

    /// The next whole frame of the server, which masks none and divides none.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.inbox.first()?, *self.inbox.get(1)?);
        assert!(first & 0xf0 == 0x80 && second & 0x80 == 0, "{first:#x} {second:#x}");
        let wide = match second {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let len = self.inbox.get(2..2 + wide)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        let (start, len) = (2 + wide, if wide == 0 { usize::from(second) } else { len });
        if self.inbox.len() < start + len {
            return None;
        }
        let frame: Vec<u8> = self.inbox.drain(..start + len).collect();
        Some((first & 0x0f, frame[start..].to_vec()))
    }
}

fn of_line(line: &str) -> Heard {
    if let Some(refused) = line.strip_prefix("! ") {
        return Heard::Refused(refused.to_owned());
    }
    if let Some(said) = line.strip_prefix('[') {
        return said_in(said).expect("a message has a place, a speaker and a text");
    }
    let text = line.strip_prefix("* ").unwrap_or_else(|| panic!("a line of no kind: {line:?}"));
    if let Some(token) = text.strip_prefix("after a lost connection: /resume ") {
        return Heard::Welcome { token: token.to_owned() };
    }
    if text.starts_with("welcome back, ")
        && let Some((_, last_id)) = text.rsplit_once(' ')
    {
        return Heard::Resumed { last_id: last_id.parse().expect("a number") };
    }
    if let Some((room, rest)) =
        text.strip_prefix("you are in ").and_then(|rest| rest.split_once(", the next message is "))
    {
        let next = rest.split_once(';').expect("a list of people").0.parse().expect("a number");
        return Heard::Entered { room: room.to_owned(), next };
    }
    if let Some(name) = text.strip_prefix("you are ").and_then(|rest| rest.strip_suffix(" now")) {
        return Heard::Named(name.to_owned());
    }
    if let Some(room) = text.strip_prefix("you have left ") {
        return Heard::Exited { room: room.split(':').next().unwrap_or_default().to_owned() };
    }
    if let Some((id, place)) = text.split_once(" is [")
        && let (Ok(id), Some((room, seq))) = (id.parse(), place.trim_end_matches(']').split_once(' '))
    {
        return Heard::Accepted { id, room: room.to_owned(), seq: seq.parse().expect("a number") };
    }
    Heard::Done(text.to_owned())
}

/// `ROOM NUMBER] NAME: TEXT`
fn said_in(said: &str) -> Option<Heard> {
    let (place, words) = said.split_once("] ")?;
    let (room, seq) = place.split_once(' ')?;
    let (from, text) = words.split_once(": ")?;
    let (seq, from, text) = (seq.parse().ok()?, from.to_owned(), text.to_owned());
    Some(if room == "@" {
        Heard::Direct { seq, from, text }
    } else {
        Heard::Said { room: room.to_owned(), seq, from, text }
    })
}

fn of_json(event: &Value) -> Heard {
    let text = |name: &str| event[name].as_str().expect("a text").to_owned();
    let number = |name: &str| event[name].as_u64().expect("a number");
    match event["type"].as_str().expect("an event has a type") {
        "welcome" => Heard::Welcome { token: text("token") },
        "resumed" => Heard::Resumed { last_id: number("last_id") },
        "said" => Heard::Said { room: text("room"), seq: number("seq"), from: text("from"), text: text("text") },
        "direct" => Heard::Direct { seq: number("seq"), from: text("from"), text: text("text") },
        "accepted" => Heard::Accepted { id: number("id"), room: text("room"), seq: number("seq") },
        "entered" => Heard::Entered { room: text("room"), next: number("next") },
        "exited" => Heard::Exited { room: text("room") },
        "named" => Heard::Named(text("name")),
        "done" | "end" => Heard::Done(text("text")),
        "refused" => Heard::Refused(text("text")),
        _ => Heard::Other,
    }
}
