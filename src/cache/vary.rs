//! Which of a resource's stored responses a request may get: `Vary` (RFC 9111 §4.1, RFC 9110 §12.5.5).
//!
//! ```text
//! stored   Vary: Accept-Encoding    request had  Accept-Encoding: br, gzip
//!                                   kept as      accept-encoding = "br,gzip"
//!                                                   ▲
//! presented                         Accept-Encoding: BR ;                  no match
//!                                   Accept-Encoding: br                    ╮
//!                                   Accept-Encoding: gzip                  ┴ match
//! ```
//!
//! Two requests match if one can be turned into the other by what §4.1 lists, and by nothing else:
//!
//! | field | what may differ |
//! |---|---|
//! | any | white space around the value, how many lines a list was sent in |
//! | any but those that are no lists ([`SINGLETONS`]) | white space around commas outside quoted strings |
//! | lists that the standards define ([`LISTS`]) | also empty members |
//! | `Accept-Encoding`, `Accept-Language`, `Accept-Charset` | also the case of letters: their members ignore it |
//!
//! A list that goes on in another line although a quoted string has not ended matches nothing, not even itself: whoever puts
//! the lines together reads another list than whoever does not.
//!
//! The order of members is kept. `Accept-Language: en, de` and `de, en` mean the same by the letter of RFC 9110 §12.5.4, but
//! servers prefer the first of equals, and whoever asked for German would get English.

use crate::http::Fields;

/// How many responses are kept for one URI. A client invents as many values of a varying field as it likes; each look-up
/// compares with all of them, so they must be few.
pub const MAX_VARIANTS: usize = 64;

/// How many field names of one `Vary` are taken seriously. Real ones have fewer than ten; a longer one selects nothing.
pub const MAX_NAMES: usize = 32;

/// Fields that hold one value, in which a comma may be anything.
const SINGLETONS: &[&str] = &[
    "authorization",
    "content-type",
    "cookie",
    "date",
    "from",
    "host",
    "if-modified-since",
    "if-range",
    "if-unmodified-since",
    "location",
    "origin",
    "proxy-authorization",
    "referer",
    "user-agent",
];

/// Lists, by their definition: empty members mean nothing (RFC 9110 §5.6.1).
const LISTS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "expect",
    "forwarded",
    "if-match",
    "if-none-match",
    "prefer",
    "via",
    "x-forwarded-for",
];

/// Lists whose members ignore case: content codings, language tags, charsets (RFC 9110 §12.5.2 to §12.5.4).
const CASELESS: &[&str] = &["accept-charset", "accept-encoding", "accept-language"];

/// What is known of a field's syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Singleton,
    Unknown,
    List,
    CaselessList,
}

impl Syntax {
    /// `name` in lower case.
    fn of(name: &str) -> Self {
        match name {
            name if CASELESS.contains(&name) => Self::CaselessList,
            name if LISTS.contains(&name) => Self::List,
            name if SINGLETONS.contains(&name) => Self::Singleton,
            _ => Self::Unknown,
        }
    }

    fn skips_empty(self) -> bool {
        matches!(self, Self::List | Self::CaselessList)
    }

    fn same(self, one: &[u8], other: &[u8]) -> bool {
        if self == Self::CaselessList { one.eq_ignore_ascii_case(other) } else { one == other }
    }
}

/// What of the original request decides who may get its response: a part of a stored response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selecting {
    /// No `Vary`: every request for the URI.
    #[default]
    Everything,
    /// `Vary: *`, more names than [`MAX_NAMES`], or a request that can be read in two ways: no request, ever. The response
    /// may still be validated.
    Nothing,
    /// Requests that match in these fields.
    Fields(Box<[Selector]>),
}

/// One field that `Vary` names, and what the original request had there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// In lower case.
    name: Box<str>,
    syntax: Syntax,
    /// All lines as one, members parted by a comma alone. `None`: the field was absent.
    value: Option<Box<[u8]>>,
}

impl Selecting {
    /// What selects a response with these fields, which answers a request with those. A name that cannot be a field name
    /// is a field that no request has. A `Vary` without any name is none.
    #[must_use]
    pub fn of(response: &Fields, request: &Fields) -> Self {
        let mut selectors: Vec<Selector> = Vec::new();
        for name in response.tokens("vary") {
            if name == b"*" || selectors.len() >= MAX_NAMES {
                return Self::Nothing;
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if selectors.iter().all(|selector| *selector.name != *name) {
                if is_ambiguous(request, &name, Syntax::of(&name)) {
                    return Self::Nothing;
                }
                selectors.push(Selector::of(name, request));
            }
        }
        // In order, so that the same names written otherwise are the same selection.
        selectors.sort_by(|one, other| one.name.cmp(&other.name));
        if selectors.is_empty() { Self::Everything } else { Self::Fields(selectors.into()) }
    }

    /// Whether a request with these fields may get the response.
    #[must_use]
    pub fn matches(&self, request: &Fields) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Fields(selectors) => selectors.iter().all(|selector| selector.matches(request)),
        }
    }

    /// The names that select, in lower case, and what the original request had there: what a validation that nobody asked
    /// for has to send (RFC 9111 §4.3.1).
    pub fn fields(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let selectors: &[Selector] = match self {
            Self::Fields(selectors) => selectors,
            Self::Everything | Self::Nothing => &[],
        };
        selectors.iter().map(|selector| (&*selector.name, selector.value.as_deref()))
    }

    /// Whether there is a `Vary` that a request can match: what §4.1 prefers where some responses have none.
    #[must_use]
    pub fn is_by_fields(&self) -> bool {
        matches!(self, Self::Fields(_))
    }

    /// How many bytes it owns.
    #[must_use]
    pub fn heap(&self) -> usize {
        match self {
            Self::Everything | Self::Nothing => 0,
            Self::Fields(selectors) => {
                let of = |selector: &Selector| {
                    size_of::<Selector>() + selector.name.len() + selector.value.as_ref().map_or(0, |value| value.len())
                };
                selectors.iter().map(of).sum()
            }
        }
    }
}

impl Selector {
    fn of(name: String, request: &Fields) -> Self {
        let syntax = Syntax::of(&name);
        let value = request.contains(&name).then(|| normal(request, &name, syntax));
        Self { name: name.into(), syntax, value }
    }

    fn matches(&self, request: &Fields) -> bool {
        let Some(stored) = &self.value else { return !request.contains(&self.name) };
        let mut lines = request.get_all(&self.name);
        let Some(first) = lines.next() else { return false };
        let one_line = lines.next().is_none();
        // Nearly always: one line, written as the stored one.
        if one_line && **stored == *first {
            return true;
        }
        if self.differs(stored, first, one_line) || is_ambiguous(request, &self.name, self.syntax) {
            return false;
        }
        // A list without members is stored as nothing; a value without members is one empty member.
        let mut rest = (!stored.is_empty() || !self.syntax.skips_empty()).then_some(&**stored);
        for member in members_of(request, &self.name, self.syntax) {
            // What is left of the stored value has to start with this member and end there or go on with a comma.
            let Some(expected) = rest else { return false };
            let Some(start) = expected.get(..member.len()) else { return false };
            if !self.syntax.same(start, member) {
                return false;
            }
            rest = match expected.get(member.len()) {
                None => None,
                Some(b',') => Some(&expected[member.len() + 1..]),
                Some(_) => return false,
            };
        }
        rest.is_none()
    }
}

impl Selector {
    /// Whether the first line alone settles that the values differ. Long values that begin alike are then compared at the
    /// speed of memory, once for each variant; taking them apart is several times slower.
    fn differs(&self, stored: &[u8], line: &[u8], one_line: bool) -> bool {
        if self.syntax == Syntax::Singleton && one_line {
            return stored != line.trim_ascii();
        }
        // Equal bytes cannot have lost white space, so that both are at the same place of the same member here.
        let same = self.equal_prefix(stored, line);
        let next = line.get(same);
        next.is_some_and(|next| !matches!(next, b' ' | b'\t' | b','))
    }

    /// How many bytes they begin with that are the same.
    fn equal_prefix(&self, one: &[u8], other: &[u8]) -> usize {
        const BLOCK: usize = 64;
        let length = one.len().min(other.len());
        let (one, other) = (&one[..length], &other[..length]);
        let blocks = one.chunks(BLOCK).zip(other.chunks(BLOCK));
        let start = BLOCK * blocks.take_while(|(one, other)| self.syntax.same(one, other)).count();
        let rest = one.iter().zip(other).skip(start);
        (start + rest.take_while(|(one, other)| self.syntax.same(&[**one], &[**other])).count()).min(length)
    }
}

/// Whether a line before the last ends within a quoted string.
fn is_ambiguous(request: &Fields, name: &str, syntax: Syntax) -> bool {
    let mut lines = request.get_all(name).peekable();
    while let Some(line) = lines.next() {
        if syntax != Syntax::Singleton && lines.peek().is_some() && is_open(line) {
            return true;
        }
    }
    false
}

/// Whether a quoted string begins in the line and does not end.
fn is_open(line: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// A field's lines as one value, with a comma and nothing else between members.
fn normal(request: &Fields, name: &str, syntax: Syntax) -> Box<[u8]> {
    let mut value = Vec::new();
    for (at, member) in members_of(request, name, syntax).enumerate() {
        if at > 0 {
            value.push(b',');
        }
        value.extend_from_slice(member);
    }
    value.into()
}

/// The members of all lines of that name, as far as its syntax is known to have any.
fn members_of<'f>(request: &'f Fields, name: &'f str, syntax: Syntax) -> impl Iterator<Item = &'f [u8]> {
    request
        .get_all(name)
        .flat_map(move |line| {
            let mut rest = Some(line);
            std::iter::from_fn(move || {
                let whole = rest?;
                let end = if syntax == Syntax::Singleton { whole.len() } else { member_end(whole) };
                rest = whole.get(end + 1..);
                Some(whole[..end].trim_ascii())
            })
        })
        .filter(move |member| !(member.is_empty() && syntax.skips_empty()))
}

/// Where the first comma outside a quoted string is, or the end.
fn member_end(value: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let comma = value.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    });
    comma.unwrap_or(value.len())
}

/// Which of several matching responses is used: those with a `Vary` before those without one, which §4.1 suspects of
/// having forgotten it; then the most recent by `Date` (RFC 9111 §4). Of equals, the first. `candidates` are what is
/// stored for the URI, each with its selection and its date.
pub fn choose<'c, T, D: Ord>(
    candidates: impl IntoIterator<Item = T>,
    request: &Fields,
    of: impl Fn(&T) -> (&'c Selecting, D),
) -> Option<T> {
    let mut best: Option<(T, (bool, D))> = None;
    for candidate in candidates {
        let (selecting, date) = of(&candidate);
        if !selecting.matches(request) {
            continue;
        }
        let rank = (selecting.is_by_fields(), date);
        if best.as_ref().is_none_or(|(_, highest)| rank > *highest) {
            best = Some((candidate, rank));
        }
    }
    best.map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests;
