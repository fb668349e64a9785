//! Where a command begins and ends: RESP arrays of bulk strings, and lines as people type them.
//!
//! ```text
//!   *2\r\n $3\r\nGET\r\n $3\r\nkey\r\n        an array
//!   GET "a key"\r\n                           a line; quotes and escapes as in a shell
//! ```
//!
//! A parser stops where the bytes end and goes on there when more have come, so that a large command is looked at once.

use super::words::Words;
use memchr::memchr;
use std::ops::Range;

/// The longest line, and the longest number of an array: the original's.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// Words of one command: the original's limit. They are not made room for before they come.
const MAX_WORDS: i64 = i32::MAX as i64;

/// Words, and bytes of a word, of a client that has not said its password.
const MAX_WORDS_UNKNOWN: i64 = 10;
const MAX_BULK_UNKNOWN: i64 = 16 * 1024;

/// Room for words that a parser keeps for the next command.
const KEEP: usize = 1024;

/// Finds one command after the other.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Everything before this, counted from the beginning of the command, was looked at.
    at: usize,
    /// Words that have yet to come; `None`: the array has not begun.
    left: Option<usize>,
    /// The length of the next word, if it is known.
    bulk: Option<usize>,
    places: Vec<Range<usize>>,
    /// The words of a line, without their quotes.
    line: Vec<u8>,
    is_line: bool,
}

/// The bounds of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a word.
    pub(crate) bulk: i64,
    /// The client has said its password, if there is one.
    pub(crate) known: bool,
}

/// The outcome of looking at some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The beginning of a command.
    More,
    /// A command, so many bytes long. It may be empty, which means nothing.
    Command(usize),
}

/// The client does not speak the protocol; the text says where it left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

impl Parser {
    /// Looks for the end of the command that `bytes` begin with. Called again with the same bytes and more behind them, it goes on.
    pub(crate) fn next(&mut self, bytes: &[u8], limits: Limits) -> Result<Step, Broken> {
        if self.left.is_none() {
            match bytes.first() {
                None => return Ok(Step::More),
                Some(b'*') => match self.array(bytes, limits)? {
                    Some(0) => return Ok(Step::Command(self.at)),
                    Some(words) => self.left = Some(words),
                    None => return Ok(Step::More),
                },
                Some(_) => return self.line(bytes),
            }
        }
        while self.left.is_some_and(|left| left > 0) {
            if !self.word(bytes, limits)? {
                return Ok(Step::More);
            }
        }
        Ok(Step::Command(self.at))
    }

    /// The words of the command that was found in `bytes`.
    pub(crate) fn words<'a>(&'a self, bytes: &'a [u8]) -> Words<'a> {
        Words::new(if self.is_line { &self.line } else { bytes }, &self.places)
    }

    /// For the next command.
    pub(crate) fn reset(&mut self) {
        (self.at, self.left, self.bulk, self.is_line) = (0, None, None, false);
        self.places.clear();
        self.line.clear();
        if self.places.capacity() > KEEP {
            self.places = Vec::new();
        }
    }

    /// Whether it has looked at the beginning of a command.
    pub(crate) fn is_within(&self) -> bool {
        self.left.is_some()
    }

    /// How many words the array has. `None`: more bytes are needed.
    fn array(&mut self, bytes: &[u8], limits: Limits) -> Result<Option<usize>, Broken> {
        let Some(text) = self.header(bytes, "too big mbulk count string")? else { return Ok(None) };
        match number(text) {
            Some(words) if words <= 0 => Ok(Some(0)),
            Some(words) if words > MAX_WORDS_UNKNOWN && !limits.known => broken("unauthenticated multibulk length"),
            Some(words) if words <= MAX_WORDS => Ok(usize::try_from(words).ok()),
            _ => broken("invalid multibulk length"),
        }
    }

    /// The text of a line that begins with the kind of what follows.
    fn header<'b>(&mut self, bytes: &'b [u8], too_long: &str) -> Result<Option<&'b [u8]>, Broken> {
        let rest = &bytes[self.at..];
        // Numbers are short: a search of its own would cost more than it finds.
        match rest.iter().take(32).position(|byte| *byte == b'\r').or_else(|| memchr(b'\r', rest)) {
            // Its line feed is taken on trust, as the original does.
            Some(end) if rest.len() >= end + 2 => {
                self.at += end + 2;
                Ok(Some(&rest[1.min(end)..end]))
            }
            Some(end) if end <= MAX_LINE => Ok(None),
            None if rest.len() <= MAX_LINE => Ok(None),
            _ => broken(too_long),
        }
    }

    /// Takes one word. `false`: more bytes are needed.
    fn word(&mut self, bytes: &[u8], limits: Limits) -> Result<bool, Broken> {
        let len = match self.bulk {
            Some(len) => len,
            None => {
                if let Some(other) = bytes.get(self.at).filter(|kind| **kind != b'$') {
                    // Only when its line is there, so that the answer does not depend on how the bytes were cut.
                    let Some(_) = self.header(bytes, "too big bulk count string")? else { return Ok(false) };
                    return broken(&format!("expected '$', got '{}'", shown(*other)));
                }
                let Some(text) = self.header(bytes, "too big bulk count string")? else { return Ok(false) };
                let len = match number(text) {
                    Some(len) if len > MAX_BULK_UNKNOWN && !limits.known => {
                        return broken("unauthenticated bulk length");
                    }
                    Some(len) if (0..=limits.bulk).contains(&len) => usize::try_from(len).unwrap_or(usize::MAX),
                    _ => return broken("invalid bulk length"),
                };
                self.bulk = Some(len);
                len
            }
        };
        if bytes.len() - self.at < len + 2 {
            return Ok(false);
        }
        self.places.push(self.at..self.at + len);
        self.at += len + 2;
        (self.bulk, self.left) = (None, self.left.map(|left| left - 1));
        Ok(true)
    }

    fn line(&mut self, bytes: &[u8]) -> Result<Step, Broken> {
        let Some(end) = memchr(b'\n', &bytes[self.at..]).map(|end| end + self.at) else {
            self.at = bytes.len();
            return if bytes.len() > MAX_LINE { broken("too big inline request") } else { Ok(Step::More) };
        };
        let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
        self.is_line = true;
        self.at = end + 1;
        if split(line, &mut self.line, &mut self.places) {
            Ok(Step::Command(self.at))
        } else {
            broken("unbalanced quotes in request")
        }
    }
}

fn broken<T>(rule: &str) -> Result<T, Broken> {
    Err(Broken(format!("ERR Protocol error: {rule}")))
}

fn shown(byte: u8) -> char {
    if byte == b'\r' || byte == b'\n' { ' ' } else { char::from(byte) }
}

/// As [`super::number::integer`], quick for the few digits that a length has.
fn number(text: &[u8]) -> Option<i64> {
    match text {
        [digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        [ten @ b'1'..=b'9', one @ b'0'..=b'9'] => Some(i64::from(ten - b'0') * 10 + i64::from(one - b'0')),
        _ => super::number::integer(text),
    }
}

/// Splits a line into words, as the original does. `false`: a quote does not end, or something follows it at once.
pub(crate) fn split(line: &[u8], into: &mut Vec<u8>, places: &mut Vec<Range<usize>>) -> bool {
    let is_blank = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|byte| is_blank(*byte)) {
            at += 1;
        }
        if line.get(at).is_none_or(|byte| *byte == 0) {
            return true;
        }
        let start = into.len();
        loop {
            match line.get(at) {
                None | Some(0) => break,
                Some(byte) if is_blank(*byte) => break,
                Some(quote @ (b'"' | b'\'')) => {
                    let Some(end) = quoted(line, at, *quote, into) else { return false };
                    if line.get(end).is_some_and(|byte| !is_blank(*byte)) {
                        return false;
                    }
                    at = end;
                    break;
                }
                Some(byte) => {
                    into.push(*byte);
                    at += 1;
                }
            }
        }
        places.push(start..into.len());
    }
}

/// A part in quotes that begins at `at`; where it ends.
fn quoted(line: &[u8], mut at: usize, quote: u8, into: &mut Vec<u8>) -> Option<usize> {
    at += 1;
    loop {
        match (&line[at.min(line.len())..], quote) {
            ([], _) => return None,
            ([b'\\', b'x', high, low, ..], b'"') if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
                into.push(u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or_default());
                at += 4;
            }
            ([b'\\', escaped, ..], b'"') => {
                into.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                at += 2;
            }
            ([b'\\', b'\'', ..], b'\'') => {
                into.push(b'\'');
                at += 2;
            }
            ([byte, ..], _) if *byte == quote => return Some(at + 1),
            ([byte, ..], _) => {
                into.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bulk: 1000, known: true };

    /// All commands of some bytes, heard in pieces of a length, and the error that ends them.
    fn read(wire: &[u8], piece: usize) -> (Vec<Vec<String>>, Option<String>) {
        let (mut parser, mut held, mut found) = (Parser::default(), Vec::new(), Vec::new());
        for part in wire.chunks(piece) {
            held.extend_from_slice(part);
            loop {
                match parser.next(&held, LIMITS) {
                    Ok(Step::More) => break,
                    Ok(Step::Command(len)) => {
                        let words = parser.words(&held).from(0);
                        found.push(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect());
                        held.drain(..len);
                        parser.reset();
                    }
                    Err(Broken(why)) => return (found, Some(why)),
                }
            }
        }
        (found, None)
    }

    #[test]
    fn commands_are_found_however_they_are_cut() {
        /// Bytes, the commands in them, and the rule that they break in the end.
        type Case = (&'static str, &'static [&'static [&'static str]], Option<&'static str>);
        const CASES: &[Case] = &[
            ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &[&["GET", "k"]], None),
            ("*1\r\n$4\r\nPING\r\n*1\r\n$0\r\n\r\n", &[&["PING"], &[""]], None),
            ("PING\r\n\r\n  set  a \"b c\\x41\\n\" 'd\\'e'\n", &[&["PING"], &[], &["set", "a", "b cA\n", "d'e"]], None),
            ("*0\r\n*-1\r\nPING\n", &[&[], &[], &["PING"]], None),
            ("*1\r\n+PING\r\n", &[], Some("expected '$', got '+'")),
            ("*x\r\n", &[], Some("invalid multibulk length")),
            ("*3000000000\r\n", &[], Some("invalid multibulk length")),
            ("*1\r\n$1001\r\n", &[], Some("invalid bulk length")),
            ("*1\r\n$-1\r\n", &[], Some("invalid bulk length")),
            ("set a \"b\r\n", &[], Some("unbalanced quotes in request")),
            ("set a \"b\"c\r\n", &[], Some("unbalanced quotes in request")),
        ];
        for (wire, commands, why) in CASES {
            for piece in 1..=wire.len() {
                let (found, error) = read(wire.as_bytes(), piece);
                assert_eq!(found, *commands, "{wire:?} in pieces of {piece}");
                assert_eq!(error, why.map(|why| format!("ERR Protocol error: {why}")), "{wire:?}");
            }
        }
    }

    #[test]
    fn lines_and_clients_without_a_password_are_bounded() {
        let wire = vec![b'x'; MAX_LINE + 1];
        assert_eq!(read(&wire[..MAX_LINE], MAX_LINE).1, None);
        assert_eq!(read(&wire, 1000).1.as_deref(), Some("ERR Protocol error: too big inline request"));
        let unknown = Limits { known: false, ..LIMITS };
        for (wire, rule) in
            [("*11\r\n", "unauthenticated multibulk length"), ("*1\r\n$16385\r\n", "unauthenticated bulk length")]
        {
            let error = Parser::default().next(wire.as_bytes(), unknown).unwrap_err();
            assert_eq!(error.0, format!("ERR Protocol error: {rule}"));
        }
    }
}
