//! What tells two versions of a representation apart: entity tags and modification dates (RFC 9110 §8.8).
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
use crate::http::Fields;
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
        let (weak, tag) = match value.strip_prefix(b"W/") {
            Some(tag) => (true, tag),
            None => (false, value),
        };
        let inner = tag.strip_prefix(b"\"")?;
        let length = inner.iter().position(|byte| !is_etagc(*byte))?;
        (inner[length] == b'"').then(|| (Self { weak, opaque: &tag[..length + 2] }, &inner[length + 1..]))
    }

    /// The `ETag` of a message. `None` if there is none, if it is broken, and if there are several, of which nobody could
    /// say which is right.
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
    byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80
}

/// The tags of a list, such as that of `If-None-Match`, over all lines of that name. What is no tag is skipped, up to the
/// next comma: a member that nobody can read matches nothing.
pub fn tags<'f>(fields: &'f Fields, name: &'f str) -> impl Iterator<Item = EntityTag<'f>> {
    fields.get_all(name).flat_map(|line| {
        let mut rest = line;
        std::iter::from_fn(move || {
            loop {
                rest = rest.trim_ascii_start();
                match rest {
                    [] => return None,
                    [b',', after @ ..] => rest = after,
                    _ => match EntityTag::start(rest) {
                        Some((tag, after)) if ends_member(after) => {
                            rest = after;
                            return Some(tag);
                        }
                        Some((_, after)) => rest = after_comma(after),
                        None => rest = after_comma(rest),
                    },
                }
            }
        })
    })
}

fn ends_member(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start(), [] | [b',', ..])
}

fn after_comma(value: &[u8]) -> &[u8] {
    memchr::memchr(b',', value).map_or(&[], |at| &value[at + 1..])
}

/// How much later `Date` has to be than `Last-Modified`, so that a second change within the same second would have been
/// noticed (RFC 9110 §8.8.2.2).
const CLEARLY_LATER: Duration = Duration::from_secs(1);

/// The `Last-Modified` of a message, if it is strong: at least a second before its `Date`.
#[must_use]
pub fn strong_last_modified(fields: &Fields, now: SystemTime) -> Option<SystemTime> {
    let modified = date_of(fields, "last-modified", now)?;
    let date = date_of(fields, "date", now)?;
    date.duration_since(modified).is_ok_and(|since| since >= CLEARLY_LATER).then_some(modified)
}
