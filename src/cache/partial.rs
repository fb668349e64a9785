//! Parts of a representation: which of them may be stored, and when two of them are parts of the same (RFC 9111 §3.3, §3.4,
//! RFC 9110 §14.4, §15.3.7).
//!
//! ```text
//! stored   ETag: "1"   0 ████████████░░░░░░░░ 20          206, Content-Range: bytes 0-11/20
//! new      ETag: "1"   0 ░░░░░░░░████████████ 20          206, Content-Range: bytes 8-19/20
//! together ETag: "1"   0 ████████████████████ 20          a complete 200
//! ```
//!
//! A part that contradicts itself is not stored: no client would notice a wrong byte in a file that was put together.

use super::{
    Body, Freshened, Rules, Stored, freshened,
    validators::{EntityTag, strong_last_modified},
};
use crate::{
    http::{Fields, RequestHead, ResponseHead, Status, limits::MAX_LENGTH},
    time::Now,
};
use bytes::Bytes;
use std::{fmt, ops::Range, time::SystemTime};

/// Which part a 206 carries, by its `Content-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The first byte's place.
    pub start: u64,
    /// One past the last byte's place; more than `start`.
    pub end: u64,
    /// How many bytes there are in all, if the backend said so; not less than `end`.
    pub complete: Option<u64>,
}

/// Why a 206 is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotPart {
    /// No `Content-Range`: several parts in one message, which are passed on as they are.
    Multipart,
    /// `Content-Range` is broken, is there twice, counts something else than bytes, or contradicts itself.
    ContentRange,
    /// The request had no `Range`: it cannot be answered with a part (RFC 9110 §15.3.7).
    NotAsked,
    /// The content is not as long as `Content-Range` says.
    Length,
}

impl fmt::Display for NotPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Multipart => "several parts in one message",
            Self::ContentRange => "Content-Range makes no sense",
            Self::NotAsked => "no part was asked for",
            Self::Length => "the content is not as long as Content-Range says",
        })
    }
}

impl Part {
    /// The part that `response`, a 206, carries in answer to `request`.
    pub fn of(request: &RequestHead, response: &ResponseHead) -> Result<Self, NotPart> {
        if !request.fields.contains("range") {
            return Err(NotPart::NotAsked);
        }
        let mut lines = response.fields.get_all("content-range");
        match (lines.next(), lines.next()) {
            (None, _) => Err(NotPart::Multipart),
            (Some(line), None) => Self::parse(line).ok_or(NotPart::ContentRange),
            (Some(_), Some(_)) => Err(NotPart::ContentRange),
        }
    }

    /// `bytes 0-4/10` or `bytes 0-4/*` (RFC 9110 §14.4).
    fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = value.split_at_checked("bytes ".len())?;
        let dash = rest.iter().position(|byte| *byte == b'-')?;
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let (first, last, complete) = (rest.get(..dash)?, rest.get(dash + 1..slash)?, rest.get(slash + 1..)?);
        let (start, end) = (position(first)?, position(last)?.checked_add(1)?);
        let complete = if complete == b"*" { None } else { Some(position(complete)?) };
        let sane =
            unit.eq_ignore_ascii_case(b"bytes ") && start < end && complete.is_none_or(|complete| end <= complete);
        sane.then_some(Self { start, end, complete })
    }

    /// How many bytes it has: what the content has to have, too.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end - self.start
    }

    /// The part as a body, once its content is here.
    pub fn body(&self, pieces: Vec<Bytes>) -> Result<Body, NotPart> {
        let body = Body::part(pieces, self.start, self.complete).ok_or(NotPart::Length)?;
        if body.len() == self.length() { Ok(body) } else { Err(NotPart::Length) }
    }
}

/// `1*DIGIT`, not above the number that all programs can count to ([`MAX_LENGTH`]): it is written into later answers.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|position| *position <= MAX_LENGTH)
}

/// The head under which a part is stored: that of a 200 of which not all is here (RFC 9111 §3.3), without what is true of
/// this part alone.
#[must_use]
pub fn as_incomplete(response: &ResponseHead) -> ResponseHead {
    let mut head = ResponseHead::new(Status::OK);
    head.version = response.version;
    head.fields = response.fields.clone();
    head.fields.remove("content-range");
    head.fields.retain(|name, _| !is_digest_of_content(name));
    head
}

/// Whether the field is a digest of the very bytes of one message: of no use for more of them or fewer (RFC 9530 §2,
/// RFC 1864). `Repr-Digest` is of the whole representation.
pub(super) fn is_digest_of_content(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-digest") || name.eq_ignore_ascii_case("content-md5")
}

/// Puts two parts of the same representation together, also if one of them is the whole. `newer` is the head of the
/// response that brought `body`; its fields win (RFC 9111 §3.4), and so does its content where both have some.
///
/// `None`: they are not to be combined. They have no strong validator in common (RFC 9110 §15.3.7.3), leave a gap, or do
/// not agree on how long the whole is. Then the newer takes the place of the older.
#[must_use]
pub fn combined(
    older: &Stored,
    newer: &ResponseHead,
    body: &Body,
    request: &RequestHead,
    asked: Now,
    arrived: Now,
    rules: &Rules,
) -> Option<Freshened> {
    if !are_one_representation(&older.head.fields, &newer.fields, arrived.wall) {
        return None;
    }
    let joined = join(&older.body, body)?;
    let mut freshened = freshened(older, newer, request, asked, arrived, rules);
    freshened.stored.body = joined;
    Some(freshened)
}

/// Whether responses with these fields share a strong validator. Where both have a tag, it decides; a date needs to be strong
/// on both sides.
#[must_use]
pub fn are_one_representation(older: &Fields, newer: &Fields, now: SystemTime) -> bool {
    match (EntityTag::of(older), EntityTag::of(newer)) {
        (Some(one), Some(other)) => one.is_strongly(other),
        _ => {
            let modified = strong_last_modified(older, now);
            modified.is_some() && modified == strong_last_modified(newer, now)
        }
    }
}

/// One body of two, if there is no gap between them.
fn join(older: &Body, newer: &Body) -> Option<Body> {
    let complete = match (older.complete(), newer.complete()) {
        (Some(one), Some(other)) if one != other => return None,
        (one, other) => one.or(other),
    };
    let (old, new) = (older.range(), newer.range());
    if old.end < new.start || new.end < old.start {
        return None;
    }
    let (before, after) = (old.start..old.end.min(new.start), old.start.max(new.end)..old.end);
    let cut = |range: Range<u64>| older.cut_out(range);
    let pieces = cut(before).chain(newer.pieces().iter().cloned()).chain(cut(after));
    let start = old.start.min(new.start);
    // An end that was unknown to one of them may contradict what the other brought.
    let reaches = old.end.max(new.end);
    if complete.is_some_and(|complete| reaches > complete) {
        return None;
    }
    if complete == Some(0) {
        return Some(older.clone());
    }
    Some(Body::part(pieces.collect(), start, complete)?.compacted())
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Lines, now, partial, pieces, request, response, stored, stored_as},
        *,
    };
    use proptest::prelude::*;

    #[test]
    fn the_meaning_of_content_range() {
        // RFC 9110 §14.4.
        for (value, expected) in [
            ("bytes 0-4/10", Some((0, 5, Some(10)))),
            ("bytes 0-9/10", Some((0, 10, Some(10)))),
            ("BYTES 4-4/*", Some((4, 5, None))),
            ("bytes 0-10/10", None),
            ("bytes 5-4/10", None),
            ("bytes */10", None),
            ("bytes 0-4/", None),
            ("bytes 0-4", None),
            ("bytes -4/10", None),
            ("bytes 0-/10", None),
            ("bytes 0-4/x", None),
            ("bytes 0-4/5/6", None),
            ("bytes +0-4/10", None),
            ("bytes=0-4/10", None),
            ("lines 0-4/10", None),
            ("bytes  0-4/10", None),
            ("bytes 0-9/9223372036854775807", Some((0, 10, Some(MAX_LENGTH)))),
            ("bytes 0-9/9223372036854775808", None),
            ("bytes 0-9223372036854775808/*", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes 0-99999999999999999999/*", None),
            ("", None),
        ] {
            let part = Part::parse(value.as_bytes()).map(|part| (part.start, part.end, part.complete));
            assert_eq!(part, expected, "{value}");
        }
    }

    #[test]
    fn which_206_may_be_stored() {
        let ranged: Lines<'_> = &[("Range", "bytes=0-4")];
        for (asked, answer, expected) in [
            (ranged, &[("Content-Range", "bytes 0-4/10")][..], Ok(5)),
            // Not what was asked for, but what it says.
            (ranged, &[("Content-Range", "bytes 2-4/10")], Ok(3)),
            (&[], &[("Content-Range", "bytes 0-4/10")], Err(NotPart::NotAsked)),
            (ranged, &[("Content-Type", "multipart/byteranges; boundary=x")], Err(NotPart::Multipart)),
            (ranged, &[("Content-Range", "x")], Err(NotPart::ContentRange)),
            (
                ranged,
                &[("Content-Range", "bytes 0-4/10"), ("Content-Range", "bytes 0-4/10")],
                Err(NotPart::ContentRange),
            ),
        ] {
            let part = Part::of(&request(asked), &response(206, answer));
            assert_eq!(part.map(|part| part.length()), expected, "{asked:?} {answer:?}");
        }
    }

    #[test]
    fn a_part_has_to_be_as_long_as_it_says() {
        let part = Part { start: 4, end: 9, complete: Some(10) };
        for (content, fits) in [("abcde", true), ("abcd", false), ("abcdef", false), ("", false)] {
            assert_eq!(part.body(pieces(content)).is_ok(), fits, "{content}");
        }
        let all = Part { start: 0, end: 3, complete: Some(3) };
        assert!(all.body(pieces("abc")).unwrap().is_whole());
    }

    #[test]
    fn a_206_is_stored_as_a_200_of_which_not_all_is_here() {
        let lines =
            [("X", "1"), ("Content-Range", "bytes 0-4/10"), ("Content-Digest", "sha-256=:x:"), ("content-md5", "x")];
        let head = as_incomplete(&response(206, &lines));
        assert_eq!((head.status, head.fields), (Status::OK, [("X", "1")].into_iter().collect()));
    }

    fn content(body: &Body) -> String {
        String::from_utf8(body.slice(0..u64::MAX).collect::<Vec<_>>().concat()).unwrap()
    }

    const TAGGED: Lines<'static> = &[("ETag", "\"a\"")];

    /// Both parts come with the same fields. `None`: not combined; else where the result starts, what it has, and whether it
    /// is all.
    fn combine(older: &Stored, fields: Lines<'_>, newer: &Body) -> Option<(u64, String, bool)> {
        let newer_head = response(206, fields);
        let asked = request(&[("Range", "bytes=0-")]);
        let found = combined(older, &newer_head, newer, &asked, now(), now(), &Rules::default())?;
        let body = &found.stored.body;
        Some((body.range().start, content(body), body.is_whole()))
    }

    #[test]
    fn parts_that_touch_or_overlap() {
        // RFC 9110 §15.3.7.3. The older in small letters, the newer in capitals; both of ten bytes or of an unknown
        // number.
        for (older, newer, expected) in [
            ((0, "abcd"), (4, "EFGH"), Some((0, "abcdEFGH"))),
            ((4, "efgh"), (0, "ABCD"), Some((0, "ABCDefgh"))),
            ((0, "abcdef"), (4, "EFGH"), Some((0, "abcdEFGH"))),
            ((2, "cdef"), (1, "BCDEFGH"), Some((1, "BCDEFGH"))),
            ((1, "bcdefgh"), (3, "DE"), Some((1, "bcDEfgh"))),
            ((2, "cd"), (2, "CD"), Some((2, "CD"))),
            ((0, "abc"), (4, "EFGH"), None),
            ((5, "fgh"), (0, "ABCD"), None),
        ] {
            for complete in [Some(10), None] {
                let older = partial(TAGGED, older.0, older.1, complete);
                let newer = Body::part(pieces(newer.1), newer.0, complete).unwrap();
                let expected = expected.map(|(start, content)| (start, content.to_owned(), false));
                assert_eq!(combine(&older, TAGGED, &newer), expected);
            }
        }
    }

    #[test]
    fn a_complete_body_is_whole() {
        let part = |start, content, complete| Body::part(pieces(content), start, complete).unwrap();
        let expected = Some((0, "abcdEFGH".to_owned(), true));
        assert_eq!(combine(&partial(TAGGED, 0, "abcd", Some(8)), TAGGED, &part(4, "EFGH", Some(8))), expected);
        // One of them knows how long.
        assert_eq!(combine(&partial(TAGGED, 0, "abcd", None), TAGGED, &part(4, "EFGH", Some(8))), expected);
        assert_eq!(combine(&partial(TAGGED, 0, "abcd", Some(8)), TAGGED, &part(4, "EFGH", None)), expected);
        // A whole stays whole.
        assert_eq!(combine(&stored(TAGGED, "abcdefgh"), TAGGED, &part(4, "EFGH", Some(8))), expected);
        // They contradict each other.
        assert_eq!(combine(&partial(TAGGED, 0, "abcd", Some(9)), TAGGED, &part(4, "EFGH", Some(8))), None);
        assert_eq!(combine(&partial(TAGGED, 0, "abcdefg", None), TAGGED, &part(2, "CD", Some(6))), None);
        assert_eq!(combine(&stored(TAGGED, "abcdefgh"), TAGGED, &part(8, "I", None)), None);
        assert_eq!(combine(&stored(TAGGED, ""), TAGGED, &part(0, "I", None)), None);
    }

    #[test]
    fn only_a_strong_validator_in_common_makes_them_one() {
        const MODIFIED: (&str, &str) = ("Last-Modified", "Sun, 06 Nov 1994 08:10:00 GMT");
        const LATER: (&str, &str) = ("Date", "Sun, 06 Nov 1994 08:20:00 GMT");
        // RFC 9111 §3.4, RFC 9110 §15.3.7.3.
        for (older, newer, expected) in [
            (TAGGED, TAGGED, true),
            (TAGGED, &[("ETag", "\"b\"")][..], false),
            (TAGGED, &[("ETag", "W/\"a\"")], false),
            (&[("ETag", "W/\"a\"")], &[("ETag", "W/\"a\"")], false),
            (TAGGED, &[], false),
            (&[], &[], false),
            (&[MODIFIED, LATER], &[MODIFIED, LATER], true),
            (&[MODIFIED, LATER], &[MODIFIED, LATER, ("ETag", "\"a\"")], true),
            (&[MODIFIED, LATER, ("ETag", "\"b\"")], &[MODIFIED, LATER, ("ETag", "\"a\"")], false),
            (&[MODIFIED, ("Date", MODIFIED.1)], &[MODIFIED, LATER], false),
            (&[MODIFIED, LATER], &[MODIFIED, ("Date", MODIFIED.1)], false),
            (&[MODIFIED, LATER], &[("Last-Modified", LATER.1), ("Date", "Sun, 06 Nov 1994 08:30:00 GMT")], false),
        ] {
            let newer_body = Body::part(pieces("EFGH"), 4, Some(10)).unwrap();
            let found = combine(&partial(older, 0, "abcd", Some(10)), newer, &newer_body);
            assert_eq!(found.is_some(), expected, "{older:?} {newer:?}");
        }
    }

    #[test]
    fn the_fields_of_the_newer_win() {
        // RFC 9111 §3.4.
        let older = partial(&[("ETag", "\"a\""), ("A", "1"), ("B", "1")], 0, "abcd", Some(8));
        let newer = response(206, &[("ETag", "\"a\""), ("A", "2"), ("Content-Range", "bytes 4-7/8")]);
        let body = Body::part(pieces("EFGH"), 4, Some(8)).unwrap();
        let asked = request(&[("Range", "bytes=4-")]);
        let found = combined(&older, &newer, &body, &asked, now(), now(), &Rules::default()).unwrap().stored;
        let value = |name| found.head.fields.get_all(name).collect::<Vec<_>>();
        assert_eq!((value("a"), value("b")), (vec![&b"2"[..]], vec![&b"1"[..]]));
        assert!(!found.head.fields.contains("content-range"));
        assert_eq!(found.head.status, Status::OK);
    }

    #[test]
    fn fetching_byte_by_byte_leaves_no_heap_of_pieces() {
        let mut entry = partial(TAGGED, 0, "x", Some(20_000));
        for at in 1..10_000 {
            let newer = Body::part(vec![Bytes::from_static(b"x")], at, Some(20_000)).unwrap();
            entry.body = join(&entry.body, &newer).unwrap();
        }
        assert_eq!(entry.body.len(), 10_000);
        assert!(entry.body.pieces().len() <= 3, "{}", entry.body.pieces().len());
    }

    /// Each part overlaps with the one before it by all but a few bytes. Only those bytes of the earlier part are kept,
    /// not the memory that all of it came in.
    #[test]
    fn a_part_of_a_piece_does_not_keep_all_of_it() {
        const LENGTH: usize = 64 * 1024;
        let part = |at: u64| Body::part(vec![Bytes::from(vec![b'x'; LENGTH])], at, Some(1 << 20)).unwrap();
        for forward in [true, false] {
            let mut entry = part(if forward { 0 } else { 10 * 5000 });
            for step in 1..=10 {
                let old = entry.pieces()[if forward { entry.pieces().len() - 1 } else { 0 }].clone();
                entry = join(&entry, &part(if forward { step * 5000 } else { (10 - step) * 5000 })).unwrap();
                assert!(old.is_unique(), "a reference to a part of it is kept, step {step}");
            }
            assert_eq!(entry.len(), LENGTH as u64 + 10 * 5000);
        }
    }

    /// Byte `at` of a version: every place differs, and so does every version.
    fn byte(version: u64, at: u64) -> u8 {
        (version.wrapping_mul(31) ^ at.wrapping_mul(7)) as u8
    }

    proptest! {
        /// Parts of several versions come in any order. An answer has the bytes that its own version has in that place.
        #[test]
        fn no_byte_is_ever_another_versions(
            fetches in proptest::collection::vec((0u64..3, 0u64..40, 1u64..40, any::<bool>(), any::<bool>()), 1..12),
            asked in proptest::collection::vec((0u64..40, 0u64..40), 8),
        ) {
            const LENGTH: u64 = 40;
            let mut entry: Option<Stored> = None;
            for (version, start, length, knows, strong) in fetches {
                let end = LENGTH.min(start + length);
                let content: Vec<u8> = (start..end).map(|at| byte(version, at)).collect();
                let pieces = content.chunks(5).map(Bytes::copy_from_slice).collect();
                let body = Body::part(pieces, start, knows.then_some(LENGTH)).unwrap();
                let tag = if strong { format!("\"{version}\"") } else { format!("W/\"{version}\"") };
                let lines = [("ETag", tag.as_str()), ("X-Version", &*version.to_string())].map(|line| (line.0, line.1.to_owned()));
                let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let answer = response(206, &lines);
                let ranged = request(&[("Range", "bytes=0-")]);
                let together = entry.as_ref().and_then(|older| {
                    combined(older, &answer, &body, &ranged, now(), now(), &Rules::default())
                });
                entry = Some(match together {
                    Some(freshened) => freshened.stored,
                    None => stored_as(&[], &as_incomplete(&answer), body, now()),
                });
            }
            let entry = entry.unwrap();
            let version: u64 = std::str::from_utf8(entry.head.fields.get("x-version").unwrap()).unwrap().parse().unwrap();
            for (first, last) in asked {
                let range = format!("bytes={first}-{}", first + last);
                let request = request(&[("Range", &range)]);
                let Ok(answer) = crate::cache::answer(&request, &entry, now().wall, || 0) else { continue };
                let mut head = Vec::new();
                answer.write_head(&entry, &mut head);
                let got: Vec<u8> = answer.body(&entry).collect::<Vec<_>>().concat();
                let end = (first + last + 1).min(LENGTH);
                let expected: Vec<u8> = (first..end).map(|at| byte(version, at)).collect();
                prop_assert_eq!(&got, &expected, "{} of version {}", range, version);
                let says = format!("Content-Range: bytes {first}-{}/", end - 1);
                prop_assert!(String::from_utf8(head).unwrap().contains(&says), "{}", says);
            }
        }
    }
}
