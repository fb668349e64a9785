//! Where a reply begins and ends, and what it says, in RESP2 and RESP3.
//!
//! ```text
//!   *2\r\n  $3\r\nfoo\r\n  :7\r\n          List([Text("foo"), Int(7)])
//!   ▲ a list begins: two are left          ▲ none is left: it is a value of the list around it, or the reply
//! ```
//!
//! A reader stops where the bytes end and goes on there when more have come, so that each byte is looked at once, however they are cut.

use super::number::integer;
use memchr::memchr;
use std::ops::Range;

/// Lists in lists. Replies of commands that this project sends have four at most.
const MAX_DEPTH: usize = 16;

/// The longest line: a number, a status or an error.
const MAX_LINE: usize = 64 * 1024;

/// Bytes that were read and are kept before the room is used again.
const SPENT: usize = 64 * 1024;

/// A reply, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A status, a string, a floating-point number or a large one, as it was written.
    Text(Vec<u8>),
    /// The command was refused.
    Error(String),
    /// An integer.
    Int(i64),
    /// RESP3 alone has it.
    Bool(bool),
    /// There is no such thing.
    Null,
    /// A list or a set. A map, too: each key in front of its value.
    List(Vec<Value>),
    /// Something that was not asked for: a message of a channel. RESP3 alone tells it from a list.
    Push(Vec<Value>),
}

/// The server does not speak the protocol, or says more than fits: the rule that it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

const NO_NUMBER: Malformed = Malformed("a length or number that is none");
const TOO_LONG: Malformed = Malformed("a reply that is too long");

/// Reads one reply after the other.
#[derive(Debug)]
pub struct Replies {
    bytes: Vec<u8>,
    /// Bytes before this were read.
    at: usize,
    /// Where in the bytes of the line that begins at `at` to look for its end.
    searched: usize,
    /// Lists that have begun, the innermost last.
    open: Vec<Open>,
    /// The kind and the length of the string that comes next.
    bulk: Option<(u8, usize)>,
    /// Bytes of the reply that has begun.
    len: usize,
    limit: usize,
}

#[derive(Debug)]
struct Open {
    is_push: bool,
    left: usize,
    items: Vec<Value>,
}

impl Value {
    /// Its bytes, of a text.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its items, of a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
}

impl Replies {
    /// A reader of replies of at most `limit` bytes each.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), at: 0, searched: 0, open: Vec::new(), bulk: None, len: 0, limit }
    }

    /// More bytes have come.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() || self.at > SPENT {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next reply; `None`: it has not come to its end.
    ///
    /// # Errors
    ///
    /// Nothing can be said of the bytes that follow.
    pub fn next_reply(&mut self) -> Result<Option<Value>, Malformed> {
        loop {
            let Some(mut value) = self.part()? else {
                return Ok(None);
            };
            // A value completes the list around it if it is the last one, and that list perhaps the next one.
            loop {
                let Some(open) = self.open.last_mut() else {
                    self.len = 0;
                    return Ok(Some(value));
                };
                open.items.push(value);
                open.left -= 1;
                if open.left > 0 {
                    break;
                }
                let Some(Open { is_push, items, .. }) = self.open.pop() else { break };
                value = if is_push { Value::Push(items) } else { Value::List(items) };
            }
        }
    }

    /// The next value that has no others in it. A list that begins is only remembered.
    fn part(&mut self) -> Result<Option<Value>, Malformed> {
        loop {
            if let Some((kind, len)) = self.bulk {
                return self.string(kind, len);
            }
            let Some((kind, line)) = self.line()? else { return Ok(None) };
            let text = &self.bytes[line];
            match kind {
                b'+' | b',' | b'(' => return Ok(Some(Value::Text(text.to_vec()))),
                b'-' => return Ok(Some(Value::Error(String::from_utf8_lossy(text).into_owned()))),
                b':' => return integer(text).map(|number| Some(Value::Int(number))).ok_or(NO_NUMBER),
                b'#' => return Ok(Some(Value::Bool(text == b"t"))),
                b'_' => return Ok(Some(Value::Null)),
                b'$' | b'=' | b'!' | b'*' | b'~' | b'%' | b'>' => {}
                _ => return Err(Malformed("a kind of reply that is not known")),
            }
            let len = match integer(text) {
                Some(-1) => return Ok(Some(Value::Null)),
                Some(len) => usize::try_from(len).map_err(|_| NO_NUMBER)?,
                None => return Err(NO_NUMBER),
            };
            if len > self.limit {
                return Err(TOO_LONG);
            }
            if matches!(kind, b'$' | b'=' | b'!') {
                self.bulk = Some((kind, len));
            } else if len == 0 {
                return Ok(Some(if kind == b'>' { Value::Push(Vec::new()) } else { Value::List(Vec::new()) }));
            } else if self.open.len() == MAX_DEPTH {
                return Err(Malformed("lists in lists, too many of them"));
            } else {
                // Room for the items is made as they come.
                let left = if kind == b'%' { len * 2 } else { len };
                self.open.push(Open { is_push: kind == b'>', left, items: Vec::new() });
            }
        }
    }

    /// The next line: its kind, and the place of the text behind that.
    fn line(&mut self) -> Result<Option<(u8, Range<usize>)>, Malformed> {
        let rest = &self.bytes[self.at..];
        let Some(end) = memchr(b'\n', &rest[self.searched..]).map(|end| end + self.searched) else {
            self.searched = rest.len();
            return if rest.len() > MAX_LINE { Err(TOO_LONG) } else { Ok(None) };
        };
        let [kind, .., b'\r'] = &rest[..end] else { return Err(Malformed("a line that is none")) };
        let (kind, line) = (*kind, self.at + 1..self.at + end - 1);
        self.pass(end + 1)?;
        Ok(Some((kind, line)))
    }

    /// The string that was announced, if all of it is there.
    fn string(&mut self, kind: u8, len: usize) -> Result<Option<Value>, Malformed> {
        let rest = &self.bytes[self.at..];
        if rest.len() < len + 2 {
            return Ok(None);
        }
        if &rest[len..len + 2] != b"\r\n" {
            return Err(Malformed("a string that is longer than it says"));
        }
        let text = &rest[..len];
        let value = match kind {
            // Three letters and a colon in front of it say which kind of text it is.
            b'=' => Value::Text(text.get(4..).unwrap_or_default().to_vec()),
            b'!' => Value::Error(String::from_utf8_lossy(text).into_owned()),
            _ => Value::Text(text.to_vec()),
        };
        self.bulk = None;
        self.pass(len + 2)?;
        Ok(Some(value))
    }

    /// A number of bytes were read.
    fn pass(&mut self, bytes: usize) -> Result<(), Malformed> {
        (self.at, self.searched, self.len) = (self.at + bytes, 0, self.len + bytes);
        if self.len > self.limit { Err(TOO_LONG) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 200;

    /// All replies of some bytes, heard in pieces of a length, and the rule that ends them.
    fn read(wire: &[u8], piece: usize) -> (Vec<Value>, Option<&'static str>) {
        let (mut replies, mut found) = (Replies::new(LIMIT), Vec::new());
        for part in wire.chunks(piece) {
            replies.receive(part);
            loop {
                match replies.next_reply() {
                    Ok(None) => break,
                    Ok(Some(value)) => found.push(value),
                    Err(Malformed(rule)) => return (found, Some(rule)),
                }
            }
        }
        (found, None)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn replies_are_found_however_they_are_cut() {
        let cases = [
            ("+OK\r\n-ERR no\r\n:-7\r\n", vec![text("OK"), Value::Error("ERR no".to_owned()), Value::Int(-7)], None),
            ("$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n", vec![text("a\r\n"), text(""), Value::Null], None),
            ("_\r\n#t\r\n,1.5\r\n(99\r\n", vec![Value::Null, Value::Bool(true), text("1.5"), text("99")], None),
            ("=7\r\ntxt:abc\r\n!6\r\nERR no\r\n", vec![text("abc"), Value::Error("ERR no".to_owned())], None),
            ("*0\r\n*-1\r\n>0\r\n", vec![Value::List(vec![]), Value::Null, Value::Push(vec![])], None),
            (
                "*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n~1\r\n:2\r\n>1\r\n+m\r\n",
                vec![
                    Value::List(vec![
                        Value::List(vec![Value::Int(1)]),
                        Value::List(vec![text("a"), Value::List(vec![Value::Int(2)])]),
                    ]),
                    Value::Push(vec![text("m")]),
                ],
                None,
            ),
            (":1\r\n:x\r\n", vec![Value::Int(1)], Some("a length or number that is none")),
            ("$-2\r\n", vec![], Some("a length or number that is none")),
            ("$1\r\nab\r\n", vec![], Some("a string that is longer than it says")),
            ("+OK\n", vec![], Some("a line that is none")),
            ("\r\n", vec![], Some("a line that is none")),
            ("?1\r\n", vec![], Some("a kind of reply that is not known")),
            ("*999999999\r\n", vec![], Some("a reply that is too long")),
        ];
        for (wire, values, rule) in cases {
            for piece in 1..=wire.len() {
                assert_eq!(read(wire.as_bytes(), piece), (values.clone(), rule), "{wire:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_reply_has_a_longest_length_and_a_depth() {
        let reply = |len: usize| format!("${len}\r\n{}\r\n", "x".repeat(len));
        let most = LIMIT - "$190\r\n\r\n".len();
        assert_eq!(read(reply(most).as_bytes(), 7), (vec![text(&"x".repeat(most))], None));
        assert_eq!(read(reply(most + 1).as_bytes(), 7).1, Some("a reply that is too long"));
        // Many small ones are one large one.
        let many = format!("*100\r\n{}", ":1\r\n".repeat(100));
        assert_eq!(read(many.as_bytes(), 7), (vec![], Some("a reply that is too long")));
        // One after the other is no large one.
        assert_eq!(read(":1\r\n".repeat(500).as_bytes(), 7).0.len(), 500);
        let deep = |depth: usize| "*1\r\n".repeat(depth) + ":1\r\n";
        assert_eq!(read(deep(MAX_DEPTH).as_bytes(), 3).0.len(), 1);
        assert_eq!(read(deep(MAX_DEPTH + 1).as_bytes(), 3).1, Some("lists in lists, too many of them"));
    }
}
