//! The work of the cache for one request, as one value. The word in the access log, the counter and `Cache-Status` (RFC
//! 9211) all follow from it, so that they cannot contradict each other.
//!
//! ```text
//! Cache-Status: milestone4; hit; ttl=57
//! Cache-Status: proxy; hit; ttl=57; detail=second-level
//! Cache-Status: milestone4; fwd=uri-miss; fwd-status=200; ttl=60; stored
//! Cache-Status: milestone4; fwd=stale; fwd-status=304; ttl=60; collapsed
//! Cache-Status: milestone4; fwd=uri-miss; fwd-status=200; collapsed=?0
//! ```
//!
//! Not for answers of our own that no stored response stands behind, such as a 502 (§2). The members of caches nearer
//! to the origin stay in front: each cache appends its own.

use bytes::BufMut;

/// Why a request goes to a backend (§2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// The cache was told not to handle such requests: excluded, with content, or an upgrade.
    Bypass,
    /// Its method is not cached.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// The stored responses are for other requests.
    VaryMiss,
    /// The request wants the backend asked, though a fresh response is stored.
    Request,
    /// The stored response is stale, or must be validated.
    Stale,
    /// Only a part is stored.
    Partial,
}

impl Forward {
    /// All of them, in the order of their numbers: for counters.
    pub const ALL: [Self; 7] =
        [Self::Bypass, Self::Method, Self::UriMiss, Self::VaryMiss, Self::Request, Self::Stale, Self::Partial];

    /// As the standard spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// The work of the cache for a request, reported by the code that did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Did {
    /// A stored response that is fresh was the answer. No backend was asked.
    Hit,
    /// A stored response that is stale was the answer, as the response or the client permits. No backend was asked
    /// before.
    HitStale,
    /// A response was the answer that another proxy has stored, and that is fresh. No backend was asked.
    SecondLevel,
    /// The answer is what another client's request brought.
    Collapsed,
    /// The backend said that a stored response is still good (304), and that was the answer.
    Validated,
    /// A stored response was the answer because no backend gave one.
    IfError,
    /// A backend was asked, for this reason, and the answer is its own, or says that there is none.
    Forwarded(Forward),
}

impl Did {
    /// The word in the access log: for what was forwarded, that of the standard.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::HitStale => "hit-stale",
            Self::SecondLevel => "hit-second",
            Self::Collapsed => "collapsed",
            Self::Validated => "validated",
            Self::IfError => "if-error",
            Self::Forwarded(why) => why.as_str(),
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let answered = [Self::Hit, Self::HitStale, Self::SecondLevel, Self::Collapsed, Self::Validated, Self::IfError];
        answered.into_iter().chain(Forward::ALL.into_iter().map(Self::Forwarded))
    }
}

/// Where an answer came from: one or the other (§2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the cache alone.
    Hit,
    /// From its second level.
    SecondLevel,
    /// From the backend, or from the cache after the backend was asked.
    Forwarded {
        /// Why.
        why: Forward,
        /// The status of the backend's answer, if there was one.
        status: Option<u16>,
        /// The answer is stored now.
        stored: bool,
        /// It waited for another one's request, and got that one's answer, or had to ask itself (§2.6).
        collapsed: Option<bool>,
    },
}

/// One member of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// From where.
    pub origin: Origin,
    /// Seconds that the answer is fresh still, negative when it is stale. `None` for one that is not stored.
    pub ttl: Option<i64>,
    /// Under which key, if that is to be told.
    pub key: Option<&'a str>,
}

impl CacheStatus<'_> {
    /// Appends the member, without a field name: an Item with parameters (RFC 9651 §3.3). `name` is who we are.
    pub fn write_to(&self, name: &str, out: &mut impl BufMut) {
        put_name(name, out);
        match self.origin {
            Origin::Hit | Origin::SecondLevel => out.put_slice(b"; hit"),
            Origin::Forwarded { why, status, stored, collapsed } => {
                out.put_slice(b"; fwd=");
                out.put_slice(why.as_str().as_bytes());
                if let Some(status) = status {
                    out.put_slice(b"; fwd-status=");
                    put_integer(i64::from(status), out);
                }
                if stored {
                    out.put_slice(b"; stored");
                }
                match collapsed {
                    Some(true) => out.put_slice(b"; collapsed"),
                    Some(false) => out.put_slice(b"; collapsed=?0"),
                    None => {}
                }
            }
        }
        if let Some(ttl) = self.ttl {
            out.put_slice(b"; ttl=");
            put_integer(ttl, out);
        }
        if let Some(key) = self.key {
            out.put_slice(b"; key=");
            put_string(key, out);
        }
        if self.origin == Origin::SecondLevel {
            out.put_slice(b"; detail=second-level");
        }
    }
}

/// A Token where the name is one, else a String (§2).
fn put_name(name: &str, out: &mut impl BufMut) {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*');
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    if starts && name.bytes().all(goes_on) { out.put_slice(name.as_bytes()) } else { put_string(name, out) }
}

/// RFC 9651 §4.1.6. Only visible ASCII may stand there: other bytes become `?`.
fn put_string(text: &str, out: &mut impl BufMut) {
    out.put_u8(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            b' '..=b'~' => out.put_u8(byte),
            _ => out.put_u8(b'?'),
        }
    }
    out.put_u8(b'"');
}

fn put_integer(number: i64, out: &mut impl BufMut) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: &CacheStatus<'_>, name: &str) -> String {
        let mut out = Vec::new();
        status.write_to(name, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members() {
        let forwarded = |why, status, stored, collapsed| Origin::Forwarded { why, status, stored, collapsed };
        for (origin, ttl, key, expected) in [
            (Origin::Hit, Some(57), None, "p; hit; ttl=57"),
            (Origin::Hit, Some(0), None, "p; hit; ttl=0"),
            (Origin::SecondLevel, Some(9), None, "p; hit; ttl=9; detail=second-level"),
            (Origin::Hit, Some(-30), None, "p; hit; ttl=-30"),
            (Origin::Hit, Some(-2_147_483_648), Some("http://a/"), "p; hit; ttl=-2147483648; key=\"http://a/\""),
            (forwarded(Forward::UriMiss, None, false, None), None, None, "p; fwd=uri-miss"),
            (
                forwarded(Forward::UriMiss, Some(200), false, Some(false)),
                None,
                None,
                "p; fwd=uri-miss; fwd-status=200; collapsed=?0",
            ),
            (
                forwarded(Forward::UriMiss, Some(200), true, None),
                Some(60),
                None,
                "p; fwd=uri-miss; fwd-status=200; stored; ttl=60",
            ),
            (
                forwarded(Forward::Stale, Some(304), true, Some(true)),
                None,
                Some("http://a/?\"\\\u{fc}"),
                "p; fwd=stale; fwd-status=304; stored; collapsed; key=\"http://a/?\\\"\\\\??\"",
            ),
        ] {
            assert_eq!(text(&CacheStatus { origin, ttl, key }, "p"), expected);
        }
    }

    #[test]
    fn names_are_tokens_or_strings() {
        let hit = CacheStatus { origin: Origin::Hit, ttl: None, key: None };
        for (name, expected) in [
            ("milestone4", "milestone4; hit"),
            ("cache.example:8080", "cache.example:8080; hit"),
            ("10.0.0.1", "\"10.0.0.1\"; hit"),
            ("a b", "\"a b\"; hit"),
            ("", "\"\"; hit"),
        ] {
            assert_eq!(text(&hit, name), expected);
        }
    }

    #[test]
    fn each_word_is_for_one_thing() {
        let mut words: Vec<_> = Did::all().map(Did::as_str).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Did::all().count());
    }

    #[test]
    fn reasons_are_those_of_the_standard() {
        let names: Vec<_> = Forward::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(names, ["bypass", "method", "uri-miss", "vary-miss", "request", "stale", "partial"]);
        assert!(Forward::ALL.iter().enumerate().all(|(at, why)| *why as usize == at));
    }
}
