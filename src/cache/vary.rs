//! Which of a resource's stored responses a request may get: `Vary` (RFC 9111 §4.1, RFC 9110 §12.5.5).
//!
//! ```text
//! stored   Vary: Accept-Encoding    request had  Accept-Encoding: br, gzip
//!                                   compared as  accept-encoding = "br,gzip"
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
//! A list that goes on in another line although a quoted string has not ended matches nothing, not even itself: a
//! server that puts the lines together reads another list than one that does not.
//!
//! Of each value there is one spelling that stands for all that match it: commas and nothing else between members, and small
//! letters where case says nothing. A request's is made once, however many variants there are, and then compared byte by byte.
//!
//! The order of members is kept. `Accept-Language: en, de` and `de, en` mean the same by the letter of RFC 9110
//! §12.5.4, but servers prefer the first of equals, and a client that asked for German would get English.

use crate::http::{Fields, is_token, is_unterminated};
use std::hash::{Hash, Hasher};

/// How many responses are kept for one URI. A client invents as many values of a varying field as it likes; each look-up
/// compares with all of them, so they must be few.
pub const MAX_VARIANTS: usize = 64;

/// How many members of one `Vary` are taken seriously. Real ones have fewer than ten; a longer one selects nothing.
pub const MAX_NAMES: usize = 32;

/// How many names the variants of one URI may have in all, as far as one look-up asks for them. They nearly always have the
/// same few; a variant that asks for one more is not found.
const MAX_ASKED: usize = 64;

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
    "if-match",
    "if-none-match",
    "prefer",
    "via",
];

/// Fields that the proxy writes itself, each time for the client that it has before it: what a request has there is not
/// what the backend saw, so that nothing is known to match. (What else it writes is the same for all, or in the key.)
const WRITTEN_FOR_EACH_CLIENT: &[&str] = &["forwarded", "x-forwarded-for"];

/// Lists whose members ignore case: content codings, language tags, charsets (RFC 9110 §12.5.2 to §12.5.4).
const CASELESS: &[&str] = &["accept-charset", "accept-encoding", "accept-language"];

/// The syntax of a field's value, as far as it is known.
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
}

/// The fields of the original request that decide which requests may get its response: a part of a stored response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Selecting {
    /// No `Vary`: every request for the URI.
    #[default]
    Everything,
    /// `Vary: *`, more names than [`MAX_NAMES`], one that is no name or that says who the client is, or a request that can be
    /// read in two ways: no request, ever. The response may still be validated.
    Nothing,
    /// Requests that match in these fields.
    Fields(Box<[Selector]>),
}

/// One field that `Vary` names, and what the original request had there.
#[derive(Debug, Clone)]
pub struct Selector {
    /// In lower case.
    name: Box<str>,
    syntax: Syntax,
    /// As it was sent, in one line. `None`: the field was absent.
    value: Option<Box<[u8]>>,
    /// The form that it is compared in, if that is something else.
    normal: Option<Box<[u8]>>,
}

/// One field of a [`Selecting`] as another process writes it down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restored<'a> {
    /// In lower case.
    pub(super) name: &'a str,
    pub(super) value: Option<&'a [u8]>,
    pub(super) normal: Option<&'a [u8]>,
}

/// The same requests match.
impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.normal() == other.normal()
    }
}

impl Eq for Selector {}

impl Hash for Selector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.normal().hash(state);
    }
}

/// Whether a selection can have these names, which are in lower case: few, in order, and none that says who the client is.
pub(super) fn are_selecting<'n>(names: impl Iterator<Item = &'n str> + Clone) -> bool {
    names.clone().take(MAX_NAMES + 1).count() <= MAX_NAMES
        && !names.clone().any(|name| WRITTEN_FOR_EACH_CLIENT.contains(&name))
        && names.is_sorted_by(|one, other| one < other)
}

impl Selecting {
    /// The selection for a response with these fields, which answers a request with those. A `Vary` without any name is
    /// none. One with a member that is no name (`Vary: Accept-Encoding; Cookie`) has an unknown meaning, so it matches
    /// nothing.
    #[must_use]
    pub fn of(response: &Fields, request: &Fields) -> Self {
        let mut selectors: Vec<Selector> = Vec::new();
        for (at, name) in response.tokens("vary").enumerate() {
            if !is_token(name) || name == b"*" || at >= MAX_NAMES {
                return Self::Nothing;
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if WRITTEN_FOR_EACH_CLIENT.contains(&&*name) {
                return Self::Nothing;
            }
            if selectors.iter().all(|selector| *selector.name != *name) {
                let Some(selector) = Selector::of(name, request) else { return Self::Nothing };
                selectors.push(selector);
            }
        }
        // In order, so that the same names written otherwise are the same selection.
        selectors.sort_by(|one, other| one.name.cmp(&other.name));
        if selectors.is_empty() { Self::Everything } else { Self::Fields(selectors.into()) }
    }

    /// The selection for a response with the same `Vary` that answers a request with these fields. Two requests get the
    /// same selection if and only if one response can answer both.
    #[must_use]
    pub fn for_request(&self, request: &Fields) -> Self {
        let Self::Fields(selectors) = self else { return self.clone() };
        let selectors = selectors.iter().map(|selector| Selector::of(selector.name.to_string(), request));
        selectors.collect::<Option<Box<[_]>>>().map_or(Self::Nothing, Self::Fields)
    }

    /// The same for a `Vary` with these names, which are in lower case and in order.
    #[must_use]
    pub fn by_names(names: &[Box<str>], request: &Fields) -> Self {
        let selector = |name: &str| {
            let is_ours = WRITTEN_FOR_EACH_CLIENT.contains(&name);
            if is_ours { None } else { Selector::of(name.to_owned(), request) }
        };
        names.iter().map(|name| selector(name)).collect::<Option<Box<[_]>>>().map_or(Self::Nothing, Self::Fields)
    }

    /// Its fields, to be written down. None, for a response that any request may get.
    pub(super) fn restorable(&self) -> impl Iterator<Item = Restored<'_>> {
        let selectors: &[Selector] = if let Self::Fields(selectors) = self { selectors } else { &[] };
        selectors.iter().map(|Selector { name, value, normal, .. }| Restored {
            name,
            value: value.as_deref(),
            normal: normal.as_deref(),
        })
    }

    /// As it was written down. `None`: it cannot have been written so.
    pub(super) fn restored(fields: &[Restored<'_>]) -> Option<Self> {
        if fields.is_empty() {
            return Some(Self::Everything);
        }
        if !are_selecting(fields.iter().map(|field| field.name)) {
            return None;
        }
        fields.iter().map(Selector::restored).collect::<Option<Box<[_]>>>().map(Self::Fields)
    }

    /// Bytes that two selections have in common if and only if one response can answer both.
    #[must_use]
    pub fn spelling(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let selectors: &[Selector] = if let Self::Fields(selectors) = self { selectors } else { &[] };
        for selector in selectors {
            // Neither is longer than a head, and with their lengths in front they cannot run into each other.
            for part in [Some(selector.name.as_bytes()), selector.normal()] {
                out.extend(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
                out.extend_from_slice(part.unwrap_or_default());
            }
        }
        out
    }

    /// Whether a request with these fields may get the response.
    #[must_use]
    pub fn matches(&self, request: &Fields) -> bool {
        self.is_met_by(&mut Presented::of(request))
    }

    fn is_met_by<'s>(&'s self, request: &mut Presented<'_, 's>) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Fields(selectors) => selectors.iter().all(|selector| request.has(selector)),
        }
    }

    /// The names that select, in lower case, and the values of the original request: a validation in the background has
    /// to send them (RFC 9111 §4.3.1).
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
                    let values = selector.value.iter().chain(&selector.normal);
                    size_of::<Selector>() + selector.name.len() + values.map(|value| value.len()).sum::<usize>()
                };
                selectors.iter().map(of).sum()
            }
        }
    }
}

impl Selector {
    /// `None`: what the request has there can be read in two ways.
    fn of(name: String, request: &Fields) -> Option<Self> {
        let syntax = Syntax::of(&name);
        let lines: Vec<&[u8]> = request.get_all(&name).map(<[u8]>::trim_ascii).collect();
        let value = (!lines.is_empty()).then(|| lines.join(&b',').into_boxed_slice());
        let normal = normal(request, &name, syntax)?;
        let normal = value.as_ref().filter(|value| ***value != *normal).map(|_| normal.into());
        Some(Self { name: name.into(), syntax, value, normal })
    }

    /// `None`: no request has such a line, or it is compared in another form.
    fn restored(written: &Restored<'_>) -> Option<Self> {
        let mut request = Fields::new();
        if let Some(value) = written.value {
            request.append(written.name.as_bytes(), value).ok()?;
        }
        let restored = Self::of(written.name.to_owned(), &request)?;
        (restored.value.as_deref() == written.value && restored.normal.as_deref() == written.normal).then_some(restored)
    }

    fn normal(&self) -> Option<&[u8]> {
        self.normal.as_deref().or(self.value.as_deref())
    }
}

/// The values of a request in the fields that were asked about so far.
struct Presented<'r, 's> {
    request: &'r Fields,
    /// In the order of their names.
    fields: Vec<Presence<'r, 's>>,
}

struct Presence<'r, 's> {
    name: &'s str,
    /// Its first line; `None`: it is absent.
    line: Option<&'r [u8]>,
    is_only_line: bool,
    /// The form that it is compared in, as soon as it was; `Some(None)`: it matches nothing.
    normal: Option<Option<Vec<u8>>>,
}

impl<'r, 's> Presented<'r, 's> {
    fn of(request: &'r Fields) -> Self {
        Self { request, fields: Vec::new() }
    }

    /// Whether the field is what it was in the original request.
    fn has(&mut self, selector: &'s Selector) -> bool {
        let at = match self.fields.binary_search_by(|field| (*field.name).cmp(&selector.name)) {
            Ok(at) => at,
            Err(_) if self.fields.len() == MAX_ASKED => return false,
            Err(at) => {
                let mut lines = self.request.get_all(&selector.name);
                let (line, is_only_line) = (lines.next(), lines.next().is_none());
                self.fields.insert(at, Presence { name: &selector.name, line, is_only_line, normal: None });
                at
            }
        };
        let field = &mut self.fields[at];
        match (&selector.value, field.line) {
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
            // Nearly always: one line, written as it was then.
            (Some(stored), Some(line)) if field.is_only_line && **stored == *line => true,
            (Some(_), Some(_)) => {
                let normal = || normal(self.request, &selector.name, selector.syntax);
                let presented = field.normal.get_or_insert_with(normal);
                presented.is_some() && presented.as_deref() == selector.normal()
            }
        }
    }
}

/// The form that a field is compared in: its lines as one value, with a comma and nothing else between members, in
/// small letters if case means nothing. Made of such a value, it is the same again. `None`: a line before the last ends
/// within a quoted string.
fn normal(request: &Fields, name: &str, syntax: Syntax) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut lines = request.get_all(name).peekable();
    while let Some(line) = lines.next() {
        length += line.len() + 1;
        if syntax != Syntax::Singleton && lines.peek().is_some() && is_unterminated(line) {
            return None;
        }
    }
    let mut value = Vec::with_capacity(length);
    for (at, member) in members_of(request, name, syntax).enumerate() {
        if at > 0 {
            value.push(b',');
        }
        value.extend_from_slice(member);
    }
    if syntax == Syntax::CaselessList {
        value.make_ascii_lowercase();
    }
    Some(value)
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

/// For each of `selections`, whether a request with these fields may get its response. The request's fields are read
/// once, however many selections there are.
pub fn matching<'s>(selections: impl IntoIterator<Item = &'s Selecting>, request: &Fields) -> Vec<bool> {
    let mut request = Presented::of(request);
    selections.into_iter().map(|selecting| selecting.is_met_by(&mut request)).collect()
}

/// Which of several matching responses is used: those with a `Vary` before those without one, which §4.1 suspects of
/// having forgotten it; then the most recent by `Date` (RFC 9111 §4). Of equals, the first. `candidates` are what is
/// stored for the URI, each with its selection and its date.
pub fn choose<'c, T, D: Ord>(
    candidates: impl IntoIterator<Item = T>,
    request: &Fields,
    of: impl Fn(&T) -> (&'c Selecting, D),
) -> Option<T> {
    let mut request = Presented::of(request);
    let mut best: Option<(T, (bool, D))> = None;
    for candidate in candidates {
        let (selecting, date) = of(&candidate);
        if !selecting.is_met_by(&mut request) {
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
