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
    /// `Vary: *`, or more names than [`MAX_NAMES`]: no request, ever. The response may still be validated.
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
        if self.differs(stored, first, one_line) {
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
mod tests {
    use super::{super::testing::Lines, *};

    fn fields(lines: Lines<'_>) -> Fields {
        lines.iter().copied().collect()
    }

    /// Whether a response with these `Vary` lines, which answered the first request, may answer the second.
    fn matches(vary: &[&str], original: Lines<'_>, presented: Lines<'_>) -> bool {
        let response: Fields = vary.iter().map(|line| ("Vary", *line)).collect();
        Selecting::of(&response, &fields(original)).matches(&fields(presented))
    }

    #[test]
    fn which_vary_selects_what() {
        const ONE: Lines<'static> = &[("Foo", "1"), ("Bar", "a")];
        // RFC 9110 §12.5.5, RFC 9111 §4.1. What Vary says, the presented request, whether it may have the response.
        for (vary, presented, expected) in [
            (&[][..], &[][..], true),
            (&[""], &[], true),
            (&[",, ,"], &[], true),
            (&["Foo"], ONE, true),
            (&["fOO"], &[("foo", "1")], true),
            (&["Foo"], &[("Foo", "2")], false),
            (&["Foo"], &[("Foo", "")], false),
            (&["Foo"], &[], false),
            (&["Foo"], &[("Foo", "1"), ("Other", "x")], true),
            (&["Foo, Bar"], ONE, true),
            (&["Foo, Bar"], &[("Bar", "a"), ("Foo", "1")], true),
            (&["Foo, Bar"], &[("Foo", "1")], false),
            (&["Foo, Bar"], &[("Foo", "1"), ("Bar", "b")], false),
            (&["Foo", "Bar"], &[("Foo", "1"), ("Bar", "b")], false),
            (&["Foo", "Bar"], ONE, true),
            (&["Foo, Baz"], ONE, true),
            (&["Foo, Baz"], &[("Foo", "1"), ("Baz", "")], false),
            (&["*"], ONE, false),
            (&["Foo, *"], ONE, false),
            (&["*, Foo"], ONE, false),
            (&[", *"], ONE, false),
            (&["*, *"], ONE, false),
            (&["", "*"], ONE, false),
            (&["Foo", "*"], ONE, false),
            (&[" * "], ONE, false),
            // Not a name: no request has such a field.
            (&["Foo Bar"], &[], true),
            (&["\"Foo\""], &[("Foo", "2")], true),
            (&["**"], ONE, true),
        ] {
            assert_eq!(matches(vary, ONE, presented), expected, "{vary:?} {presented:?}");
        }
    }

    #[test]
    fn which_values_are_the_same() {
        // RFC 9111 §4.1: white space, lines, and what the field's own specification says.
        for (name, original, presented, expected) in [
            ("Foo", &["1,2"][..], &["1, 2"][..], true),
            ("Foo", &["1,2"], &[" 1 ,\t2 "], true),
            ("Foo", &["1, 2"], &["1", "2"], true),
            ("Foo", &["1", "2"], &["1,2"], true),
            ("Foo", &["1", "2"], &["2", "1"], false),
            ("Foo", &["1, 2"], &["2, 1"], false),
            ("Foo", &["1"], &["1", "1"], false),
            ("Foo", &["1, 2"], &["1"], false),
            ("Foo", &["1"], &["1, 2"], false),
            ("Foo", &["12"], &["1"], false),
            ("Foo", &["1"], &["12"], false),
            ("Foo", &["a"], &["A"], false),
            ("Foo", &["a b"], &["a  b"], false),
            ("Foo", &["a b"], &["ab"], false),
            ("Foo", &["\"a, b\""], &["\"a,b\""], false),
            ("Foo", &["\"a\\\", b\", c"], &["\"a\\\", b\",c"], true),
            ("Foo", &["1,,2"], &["1,2"], false),
            ("Foo", &["1,"], &["1"], false),
            ("Foo", &["1"], &["1,"], false),
            ("Foo", &["1", ""], &["1,"], true),
            ("Foo", &[""], &[""], true),
            ("Foo", &[""], &[], false),
            ("Foo", &[], &[""], false),
            ("Foo", &[], &[], true),
            ("Foo", &["\"a"], &["\"a"], true),
            ("Accept", &["a/b, c/d"], &["a/b,,c/d", ""], true),
            ("Accept", &["a/b;q=1"], &["a/b; q=1"], false),
            ("Accept", &["a/b"], &["A/b"], false),
            ("Accept", &[""], &[","], true),
            ("Accept", &[""], &["a/b"], false),
            ("Accept", &["a/b"], &[""], false),
            ("Accept", &[""], &[], false),
            ("Accept-Encoding", &["gzip, br"], &["GZIP,BR"], true),
            ("Accept-Encoding", &["gzip, br"], &["br, gzip"], false),
            ("Accept-Language", &["en, de"], &["eN , De"], true),
            ("Accept-Language", &["en, de"], &["de, en"], false),
            ("Accept-Language", &["en-GB"], &["en"], false),
            ("User-Agent", &["a (b, c)"], &["a (b,c)"], false),
            ("User-Agent", &["a (b, c)"], &["  a (b, c) "], true),
            ("Cookie", &["a=1, 2"], &["a=1,2"], false),
            ("Cookie", &["a=1", "b=2"], &["a=1,b=2"], true),
            ("Authorization", &["Basic QQ=="], &["basic QQ=="], false),
        ] {
            let lines = |values: &[&'static str]| values.iter().map(|value| (name, *value)).collect::<Vec<_>>();
            let (original, presented) = (lines(original), lines(presented));
            assert_eq!(matches(&[name], &original, &presented), expected, "{original:?} {presented:?}");
            // Matching is symmetric: whoever comes first.
            assert_eq!(matches(&[name], &presented, &original), expected, "{presented:?} {original:?}");
        }
    }

    #[test]
    fn long_values_that_begin_alike() {
        let long = "x".repeat(200);
        for (one, other, expected) in [
            (format!("{long}a"), format!("{long}b"), false),
            (format!("{long}a"), long.clone(), false),
            (format!("{long},a"), format!("{long} , a"), true),
            (format!("{long},a"), format!("{long}, b"), false),
            (format!("{long},\"a ,b\""), format!("{long}, \"a ,b\""), true),
            (format!("{long},\"a ,b\""), format!("{long}, \"a, b\""), false),
            (format!("{long}, {long}, b"), format!("{long} ,{long},b "), true),
        ] {
            for name in ["Foo", "Accept"] {
                assert_eq!(matches(&[name], &[(name, &one)], &[(name, &other)]), expected, "{one} {other}");
                assert_eq!(matches(&[name], &[(name, &other)], &[(name, &one)]), expected, "{other} {one}");
            }
        }
        let caseless = [("Accept-Language", &*format!("{long}, A"))];
        assert!(matches(
            &["Accept-Language"],
            &caseless,
            &[("Accept-Language", &format!("{},a", long.to_uppercase()))]
        ));
    }

    #[test]
    fn a_name_counts_once_and_order_does_not() {
        let request = fields(&[("Foo", "1"), ("Bar", "2")]);
        let of = |vary: &str| Selecting::of(&fields(&[("Vary", vary)]), &request);
        assert_eq!(of("Foo, Bar"), of("bar,FOO, Bar"));
        assert_eq!(of("Foo, Bar").fields().collect::<Vec<_>>(), [("bar", Some(&b"2"[..])), ("foo", Some(b"1"))]);
        assert_ne!(of("Foo"), of("Foo, Bar"));
        assert!(of("Foo").is_by_fields() && !of("").is_by_fields() && !of("*").is_by_fields());
        assert!(of("Foo").heap() > 4 && of("*").heap() == 0);
    }

    #[test]
    fn a_vary_that_names_too_much_selects_nothing() {
        let names = |count: usize| (0..count).map(|number| format!("F{number}")).collect::<Vec<_>>().join(",");
        assert!(matches(&[&names(MAX_NAMES)], &[], &[]));
        assert!(!matches(&[&names(MAX_NAMES + 1)], &[], &[]));
    }

    #[test]
    fn the_most_recent_of_those_that_match_and_rather_one_with_a_vary() {
        let selecting = |vary: &str, foo: &str| Selecting::of(&fields(&[("Vary", vary)]), &fields(&[("Foo", foo)]));
        let (any, one, two, star) =
            (selecting("", ""), selecting("Foo", "1"), selecting("Foo", "2"), selecting("*", ""));
        // RFC 9111 §4, §4.1. What is stored, each with a date, and which of them a request with `Foo: 1` gets.
        for (candidates, chosen) in [
            (&[][..], None),
            (&[(&two, 9)], None),
            (&[(&star, 9)], None),
            (&[(&any, 1)], Some(0)),
            (&[(&any, 1), (&any, 2)], Some(1)),
            (&[(&one, 2), (&one, 1), (&two, 3)], Some(0)),
            (&[(&one, 1), (&any, 9), (&star, 9)], Some(0)),
            (&[(&two, 1), (&any, 9)], Some(1)),
            (&[(&one, 1), (&one, 1)], Some(0)),
        ] {
            let request = fields(&[("Foo", "1")]);
            let at = choose(0..candidates.len(), &request, |at| (candidates[*at].0, candidates[*at].1));
            assert_eq!(at, chosen, "{candidates:?}");
        }
    }
}
