//! Validators tell two versions of a representation apart: entity tags and modification dates (RFC 9110 §8.8).
//!
//! ```text
//! ETag: "v1,a"           strong: same tag, same bytes
//! ETag: W/"v1,a"         weak: same tag, as good as the same
//!       ╰┬╯╰──┬─╯
//!      weak  opaque, quotes included; no escapes in it, but commas
//! ```
//!
//! | comparison | equal if | used by |
//! |---|---|---|
//! | strong | opaque parts agree and neither is weak | `If-Range`, combining parts, choosing what a 304 freshens |
//! | weak | opaque parts agree | `If-None-Match` |

use super::date::date_of;
use crate::http::{Fields, split_run};
use std::time::{Duration, SystemTime};

/// An entity tag, as it stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads a field value that is one tag. `None` if it is none: without quotes, with `w/` in lower case, with a quote, a
    /// space or a control inside.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::start(value.trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// The tag that `value` starts with, and what follows it.
    fn start(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, tag) = match value {
            [b'W', b'/', tag @ ..] => (true, tag),
            tag => (false, tag),
        };
        let [b'"', inner @ ..] = tag else { return None };
        let (_, rest) = split_run(inner, is_etagc);
        let [b'"', after @ ..] = rest else { return None };
        Some((Self { weak, opaque: &tag[..tag.len() - after.len()] }, after))
    }

    /// The `ETag` of a message. `None` if there is none, if it is broken, and if there are several, because it is not
    /// known which is right.
    #[must_use]
    pub fn of(fields: &'a Fields) -> Option<Self> {
        let mut lines = fields.get_all("etag");
        let tag = Self::parse(lines.next()?)?;
        lines.next().is_none().then_some(tag)
    }

    /// Whether it stands for the meaning only, not for the bytes.
    #[must_use]
    pub fn is_weak(self) -> bool {
        self.weak
    }

    /// Strong comparison (RFC 9110 §8.8.3.2).
    #[must_use]
    pub fn is_strongly(self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 §8.8.3.2).
    #[must_use]
    pub fn is_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Appends the tag as it is sent.
    pub fn write_to(self, out: &mut Vec<u8>) {
        if self.weak {
            out.extend_from_slice(b"W/");
        }
        out.extend_from_slice(self.opaque);
    }
}

/// `etagc`: visible characters but the quote, and bytes above ASCII.
fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

/// The tags of a list, such as that of `If-None-Match`, over all lines of that name. Text that is no tag is skipped, up
/// to the next comma: a member that cannot be read matches nothing.
pub fn tags<'f>(fields: &'f Fields, name: &'f str) -> impl Iterator<Item = EntityTag<'f>> {
    fields.get_all(name).flat_map(|line| {
        let mut rest = line;
        std::iter::from_fn(move || {
            loop {
                match rest {
                    [] => return None,
                    [b',', after @ ..] => rest = after,
                    [byte, after @ ..] if byte.is_ascii_whitespace() => rest = after,
                    [b'"', ..] | [b'W', b'/', b'"', ..] => match EntityTag::start(rest) {
                        Some((tag, after)) if ends_member(after) => {
                            rest = after;
                            return Some(tag);
                        }
                        Some((_, after)) => rest = after_comma(after),
                        None => rest = after_comma(rest),
                    },
                    _ => rest = after_comma(rest),
                }
            }
        })
    })
}

fn ends_member(rest: &[u8]) -> bool {
    match rest {
        [] | [b',', ..] => true,
        _ => matches!(rest.trim_ascii_start(), [] | [b',', ..]),
    }
}

fn after_comma(value: &[u8]) -> &[u8] {
    // Byte by byte: a line with thousands of members has short ones, for which a search of many bytes at once is slower.
    let (_, rest) = split_run(value, |byte| byte != b',');
    rest.get(1..).unwrap_or_default()
}

/// How much later `Date` has to be than `Last-Modified`, so that a second change within the same second would have been
/// noticed (RFC 9110 §8.8.2.2).
const CLEARLY_LATER: Duration = Duration::from_secs(1);

/// The `Last-Modified` of a message, if it is strong: at least a second before its `Date`.
#[must_use]
pub fn strong_last_modified(fields: &Fields, now: SystemTime) -> Option<SystemTime> {
    let modified = date_of(fields, "last-modified", now)?;
    is_strong(modified, date_of(fields, "date", now)?).then_some(modified)
}

/// Whether a modification date tells versions apart, by the clock of the origin when it sent the response.
pub(super) fn is_strong(modified: SystemTime, date: SystemTime) -> bool {
    date.duration_since(modified).is_ok_and(|since| since >= CLEARLY_LATER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        lines.iter().copied().collect()
    }

    #[test]
    fn the_syntax_of_entity_tags() {
        // RFC 9110 §8.8.3: the value, and whether it is weak.
        for (value, weak) in [
            ("\"a\"", Some(false)),
            ("W/\"a\"", Some(true)),
            ("\"\"", Some(false)),
            ("\"a,b\"", Some(false)),
            ("\"a\\\"", Some(false)),
            ("  \"a\" ", Some(false)),
            ("\"\u{e9}!#~\"", Some(false)),
            ("w/\"a\"", None),
            ("W\"a\"", None),
            ("W/ \"a\"", None),
            ("a", None),
            ("\"a", None),
            ("a\"", None),
            ("\"a\"b", None),
            ("\"a b\"", None),
            ("\"a\\\"b\"", None),
            ("\"a\", \"b\"", None),
            ("*", None),
            ("", None),
        ] {
            let tag = EntityTag::parse(value.as_bytes());
            assert_eq!(tag.map(EntityTag::is_weak), weak, "{value}");
            if let Some(tag) = tag {
                let mut out = Vec::new();
                tag.write_to(&mut out);
                assert_eq!(out, value.trim().as_bytes());
            }
        }
    }

    #[test]
    fn both_comparisons() {
        // The table of RFC 9110 §8.8.3.2.
        for (one, other, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("\"a\"", "\"A\"", false, false),
        ] {
            let (a, b) = (EntityTag::parse(one.as_bytes()).unwrap(), EntityTag::parse(other.as_bytes()).unwrap());
            assert_eq!((a.is_strongly(b), b.is_strongly(a)), (strong, strong), "{one} {other}");
            assert_eq!((a.is_weakly(b), b.is_weakly(a)), (weak, weak), "{one} {other}");
        }
    }

    #[test]
    fn lists_of_tags_skip_what_is_none() {
        for (lines, expected) in [
            (&["\"a\""][..], &["\"a\""][..]),
            (&["\"a\", W/\"b\"", "\"c,d\""], &["\"a\"", "W/\"b\"", "\"c,d\""]),
            (&[" ,, \"a\" ,,\"b\","], &["\"a\"", "\"b\""]),
            (&["a, \"b\""], &["\"b\""]),
            (&["\"a\"x, \"b\""], &["\"b\""]),
            (&["\"a\" \"b\", \"c\""], &["\"c\""]),
            (&["\"a, \"b\""], &["\"b\""]),
            (&["\"a"], &[]),
            (&["*"], &[]),
            (&["", ","], &[]),
        ] {
            let fields: Fields = lines.iter().map(|line| ("If-None-Match", *line)).collect();
            let found: Vec<String> = tags(&fields, "if-none-match")
                .map(|tag| {
                    let mut out = Vec::new();
                    tag.write_to(&mut out);
                    String::from_utf8(out).unwrap()
                })
                .collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn the_tag_of_a_message_is_one() {
        assert!(EntityTag::of(&fields(&[("etag", "\"a\"")])).is_some());
        assert_eq!(EntityTag::of(&fields(&[])), None);
        assert_eq!(EntityTag::of(&fields(&[("ETag", "a")])), None);
        assert_eq!(EntityTag::of(&fields(&[("ETag", "\"a\""), ("ETag", "\"b\"")])), None);
    }

    #[test]
    fn a_date_is_strong_a_second_before_its_response() {
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        // RFC 9110 §8.8.2.2.
        for (lines, strong) in [
            (&[("Last-Modified", modified), ("Date", "Sun, 06 Nov 1994 08:49:38 GMT")][..], true),
            (&[("Last-Modified", modified), ("Date", modified)], false),
            (&[("Last-Modified", modified), ("Date", "Sun, 06 Nov 1994 08:49:36 GMT")], false),
            (&[("Last-Modified", modified)], false),
            (&[("Date", modified)], false),
            (&[("Last-Modified", "yesterday"), ("Date", modified)], false),
        ] {
            assert_eq!(strong_last_modified(&fields(lines), now), strong.then_some(now), "{lines:?}");
        }
    }
}
