//! One directive of a `Cache-Control` line: its name, and what is behind it (RFC 9111 §5.2).

use super::Seconds;
use crate::http::{is_token_byte, members, name::is_same, split_run};
use std::borrow::Cow;

/// `name [ "=" ( token / quoted-string ) ]`, taken apart but not yet believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// As spelled; compare without regard to case.
    pub(super) name: &'a [u8],
    pub(super) argument: Argument<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    None,
    /// A token, or the content of a quoted string with its escapes undone.
    Value(Cow<'a, [u8]>),
    /// Something else: white space around the `=`, a semicolon, two values.
    Malformed,
}

/// The length of the shortest name that a directive has: `public`. Shorter names mean nothing, and there may be
/// thousands in a line.
pub(super) const SHORTEST: usize = "public".len();

/// The directives of one field line, in order. Members that do not start with a name are skipped, and so are those too
/// short for one.
pub(super) fn directives(line: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    members(line).filter(|member| member.len() >= SHORTEST).filter_map(Directive::parse)
}

impl<'a> Directive<'a> {
    fn parse(member: &'a [u8]) -> Option<Self> {
        let (name, rest) = split_run(member, is_token_byte);
        let argument = match rest {
            [] => Argument::None,
            [b'=', value @ ..] => Argument::parse(value),
            _ => Argument::Malformed,
        };
        (!name.is_empty()).then_some(Self { name, argument })
    }

    pub(super) fn is(&self, name: &str) -> bool {
        is_same(self.name, name.as_bytes())
    }
}

impl<'a> Argument<'a> {
    fn parse(value: &'a [u8]) -> Self {
        match value {
            [b'"', content @ .., b'"'] => unquote(content).map_or(Self::Malformed, Self::Value),
            [] => Self::Malformed,
            token if token.iter().all(|byte| is_token_byte(*byte)) => Self::Value(Cow::Borrowed(token)),
            _ => Self::Malformed,
        }
    }

    /// A number of seconds, if it is one.
    pub(super) fn seconds(&self) -> Option<Seconds> {
        match self {
            Self::Value(value) => Seconds::parse(value),
            Self::None | Self::Malformed => None,
        }
    }
}

/// The content of a quoted string with its escapes undone; `None` if it has a quote in its middle.
fn unquote(content: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !content.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        return Some(Cow::Borrowed(content));
    }
    let mut plain = Vec::with_capacity(content.len());
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => plain.push(*bytes.next()?),
            byte => plain.push(*byte),
        }
    }
    Some(Cow::Owned(plain))
}
