//! Targeted cache control: a dictionary of structured fields (RFC 9213 §2, RFC 9651 §4.2.2), read strictly. One wrong byte
//! and the field is as if it were not there.

use super::arguments::{Argument, Directive, SHORTEST};
use crate::http::{Fields, is_token_byte, split_run};
use std::borrow::Cow;

/// The field for caches like this one.
const FIELD: &str = "cdn-cache-control";

/// The names of directives there, and the types of their values (RFC 9213 §2.1).
const KNOWN: &[(&str, Type)] = &[
    ("max-age", Type::Seconds),
    ("s-maxage", Type::Seconds),
    ("no-cache", Type::Names),
    ("private", Type::Names),
    ("no-store", Type::Flag),
    ("public", Type::Flag),
    ("must-revalidate", Type::Flag),
    ("proxy-revalidate", Type::Flag),
    ("must-understand", Type::Flag),
    ("no-transform", Type::Flag),
    ("immutable", Type::Any),
    ("stale-while-revalidate", Type::Seconds),
    ("stale-if-error", Type::Seconds),
];

/// The type of a directive's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// An Integer.
    Seconds,
    /// Boolean true, or a String with a list of field names.
    Names,
    /// Boolean true.
    Flag,
    /// Any value: it has no meaning and MUST be ignored (RFC 8246 §2).
    Any,
}

/// Shows the directives of the targeted field to `each`. `None` if there is none, if it is empty, if it is not a dictionary, or if
/// a directive has a value of a type that it cannot have: then none of them counts, not even those that were shown.
pub(super) fn targeted(fields: &Fields, mut each: impl FnMut(&Directive<'_>)) -> Option<()> {
    let mut lines = fields.get_all(FIELD);
    let first = lines.next()?;
    let mut whole = Cow::Borrowed(first);
    for line in lines {
        let whole = whole.to_mut();
        whole.extend_from_slice(b", ");
        whole.extend_from_slice(line);
    }
    let members = dictionary(&whole).filter(|_| !whole.trim_ascii().is_empty())?;
    for (name, kind) in KNOWN {
        // A key that comes again replaces what it had before.
        if let Some((key, value)) = members.iter().rev().find(|(key, _)| *key == name.as_bytes())
            && *value != Value::Boolean(false)
        {
            each(&Directive { name: key, argument: value.argument(*kind)? });
        }
    }
    Some(())
}

/// A value as far as a cache directive can mean it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value<'a> {
    Boolean(bool),
    /// Its digits, with the sign.
    Integer(&'a [u8]),
    String(Vec<u8>),
    /// Valid, but of a type that no directive has.
    Other,
}

impl Value<'_> {
    /// As the argument of a directive; `None` if it is not of its type.
    fn argument(&self, kind: Type) -> Option<Argument<'_>> {
        match (kind, self) {
            (Type::Seconds, Self::Integer(digits)) => Some(Argument::Value(Cow::Borrowed(digits))),
            (Type::Names, Self::String(names)) => Some(Argument::Value(Cow::Borrowed(names))),
            (Type::Names | Type::Flag, Self::Boolean(_)) | (Type::Any, _) => Some(Argument::None),
            (Type::Seconds | Type::Names | Type::Flag, _) => None,
        }
    }
}

type Members<'a> = Vec<(&'a [u8], Value<'a>)>;

/// RFC 9651 §4.2.2. Members in order, keys perhaps twice; without those whose key is too short to be a directive's.
fn dictionary(text: &[u8]) -> Option<Members<'_>> {
    let mut input = Input(text);
    let mut members = Vec::new();
    input.skip_spaces();
    while !input.0.is_empty() {
        let key = input.key()?;
        let value = if input.take(b'=') { input.item_or_inner_list()? } else { Value::Boolean(true) };
        input.parameters()?;
        if key.len() >= SHORTEST {
            members.push((key, value));
        }
        input.skip_blanks();
        if input.0.is_empty() {
            return Some(members);
        }
        if !input.take(b',') {
            return None;
        }
        input.skip_blanks();
        // A comma promises another member.
        input.peek()?;
    }
    Some(members)
}

/// The bytes that are left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Past spaces.
    #[inline]
    fn skip_spaces(&mut self) {
        self.run(|byte| byte == b' ');
    }

    /// Past optional white space.
    #[inline]
    fn skip_blanks(&mut self) {
        self.run(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// The bytes up to the first that `like` does not like.
    #[inline]
    fn run(&mut self, like: impl Fn(u8) -> bool) -> &'a [u8] {
        let (run, rest) = split_run(self.0, like);
        self.0 = rest;
        run
    }

    /// §4.2.3.3.
    #[inline]
    fn key(&mut self) -> Option<&'a [u8]> {
        self.peek().filter(|byte| matches!(byte, b'a'..=b'z' | b'*'))?;
        Some(self.run(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'*' | b'_' | b'-' | b'.')))
    }

    /// §4.2.1.1.
    fn item_or_inner_list(&mut self) -> Option<Value<'a>> {
        if !self.take(b'(') {
            return self.bare_item();
        }
        loop {
            self.skip_spaces();
            if self.take(b')') {
                return Some(Value::Other);
            }
            self.bare_item()?;
            self.parameters()?;
            self.peek().filter(|byte| matches!(byte, b' ' | b')'))?;
        }
    }

    /// §4.2.3.2. They mean nothing here (RFC 9213 §2.1), but they have to be right.
    #[inline]
    fn parameters(&mut self) -> Option<()> {
        while self.take(b';') {
            self.skip_spaces();
            self.key()?;
            if self.take(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    /// §4.2.3.1.
    fn bare_item(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.byte_sequence(),
            b'@' => self.date(),
            b'%' => self.display_string(),
            byte if byte.is_ascii_alphabetic() || byte == b'*' => {
                self.run(|byte| is_token_byte(byte) || matches!(byte, b':' | b'/'));
                Some(Value::Other)
            }
            _ => None,
        }
    }

    /// §4.2.4: an Integer of at most 15 digits, or a Decimal of at most 12 and 3.
    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.0;
        let sign = usize::from(self.take(b'-'));
        let whole = self.run(|byte| byte.is_ascii_digit()).len();
        if !self.take(b'.') {
            return (1..=15).contains(&whole).then(|| Value::Integer(&start[..sign + whole]));
        }
        let fraction = self.run(|byte| byte.is_ascii_digit()).len();
        ((1..=12).contains(&whole) && (1..=3).contains(&fraction)).then_some(Value::Other)
    }

    /// §4.2.5.
    fn string(&mut self) -> Option<Value<'a>> {
        self.next();
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(Value::String(text)),
                b'\\' => text.push(self.next().filter(|byte| matches!(byte, b'"' | b'\\'))?),
                byte @ b' '..=b'~' => text.push(byte),
                _ => return None,
            }
        }
    }

    /// §4.2.8.
    fn boolean(&mut self) -> Option<Value<'a>> {
        self.next();
        match self.next()? {
            b'0' => Some(Value::Boolean(false)),
            b'1' => Some(Value::Boolean(true)),
            _ => None,
        }
    }

    /// §4.2.7: base64, of which the padding may be left out. The content is not looked at: no directive has such a
    /// value.
    fn byte_sequence(&mut self) -> Option<Value<'a>> {
        self.next();
        let digits = self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).len();
        let padding = self.run(|byte| byte == b'=').len();
        let whole = if padding == 0 { digits % 4 != 1 } else { padding <= 2 && (digits + padding).is_multiple_of(4) };
        (whole && self.take(b':')).then_some(Value::Other)
    }

    /// §4.2.9: an Integer.
    fn date(&mut self) -> Option<Value<'a>> {
        self.next();
        self.peek().filter(|byte| *byte == b'-' || byte.is_ascii_digit())?;
        matches!(self.number()?, Value::Integer(_)).then_some(Value::Other)
    }

    /// §4.2.10: visible ASCII with lower-case escapes, which together are UTF-8.
    fn display_string(&mut self) -> Option<Value<'a>> {
        self.next();
        if !self.take(b'"') {
            return None;
        }
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return std::str::from_utf8(&text).is_ok().then_some(Value::Other),
                b'%' => text.push(self.lower_hex()? << 4 | self.lower_hex()?),
                byte @ b' '..=b'~' => text.push(byte),
                _ => return None,
            }
        }
    }

    fn lower_hex(&mut self) -> Option<u8> {
        match self.next()? {
            digit @ b'0'..=b'9' => Some(digit - b'0'),
            digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
}
