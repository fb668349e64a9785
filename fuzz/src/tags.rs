//! Lists of entity tags: what we find we write so that it is found again, a valid list is the same in one line and in
//! several and for a reader that goes by the grammar alone; and a condition holds if and only if our tag is in the list.

use super::lines::{joined, lines, named};
use socket_patterns::{
    cache::{
        Audience, Body, Freshness, ResponseDirectives, Rules, Selecting, Stored,
        conditional::not_modified,
        validators::{EntityTag, tags},
    },
    http::{Fields, Method, RequestHead, ResponseHead, Status},
    time::{Instant, Now},
};
use std::{sync::LazyLock, time::SystemTime};

const FIELD: &str = "If-None-Match";

/// Any moment will do.
#[allow(clippy::disallowed_methods)]
static NOW: LazyLock<Now> = LazyLock::new(|| Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH });

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let fields = named(FIELD, &lines(data));
    let found: Vec<Vec<u8>> = tags(&fields, "if-none-match").map(written).collect();
    for tag in &found {
        assert_eq!(EntityTag::parse(tag).map(written).as_ref(), Some(tag));
        assert!(fields.get_all(FIELD).any(|line| line.windows(tag.len()).any(|part| part == tag)), "out of nothing");
    }
    let again = named(FIELD, &[&found.join(&b", "[..])]);
    assert_eq!(tags(&again, "if-none-match").map(written).collect::<Vec<_>>(), found, "written again");
    let valid: Option<Vec<Vec<&[u8]>>> = fields.get_all(FIELD).map(list).collect();
    if let Some(valid) = valid {
        assert_eq!(found, valid.concat(), "by the grammar");
        let folded = named(FIELD, &[&joined(&fields, FIELD).unwrap_or_default()]);
        assert_eq!(tags(&folded, "if-none-match").map(written).collect::<Vec<_>>(), found, "in one line");
    }
    condition(&fields, &found);
}

fn written(tag: EntityTag<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    tag.write_to(&mut out);
    out
}

/// `#entity-tag` (RFC 9110 §8.8.3, §5.6.1.2), and nothing else.
fn list(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut tags = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if !matches!(rest, [] | [b',', ..]) {
            let quote = if rest.starts_with(b"W/") { 2 } else { 0 };
            let opaque = rest[quote..].strip_prefix(b"\"")?;
            let length = opaque.iter().position(|byte| *byte == b'"')?;
            // %x21 / %x23-7E / obs-text
            if opaque[..length].iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
                return None;
            }
            let (tag, after) = rest.split_at(quote + length + 2);
            tags.push(tag);
            rest = after.trim_ascii_start();
        }
        match rest {
            [] => return Some(tags),
            [b',', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// A 304 for a response that has one of the tags, and for no other (RFC 9110 §13.1.2: compared weakly).
fn condition(fields: &Fields, found: &[Vec<u8>]) {
    let mut request = RequestHead::new(Method::Get, "/").expect("a path is a target");
    request.fields = fields.clone();
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let any = fields.get_all(FIELD).eq([&b"*"[..]]);
    for ours in found.iter().cloned().chain([b"\"nobody has this\"".to_vec(), b"\"b\"".to_vec(), b"W/\"b\"".to_vec()]) {
        let mut head = ResponseHead::new(Status::OK);
        head.fields.push("ETag", &ours);
        let has_one = EntityTag::parse(&ours).is_some();
        let said = ResponseDirectives::default();
        let freshness = Freshness::of(&head, &said, Audience::Strangers, *NOW, *NOW, &Rules::default());
        let body = Body::whole(Vec::new());
        let selecting = Selecting::Everything;
        let stored = Stored { head, selecting, freshness, date: NOW.wall, body, tags: Box::default() };
        let expected = any || has_one && found.iter().any(|theirs| opaque(theirs) == opaque(&ours));
        assert_eq!(not_modified(&request, &stored, NOW.wall), expected, "{}", ours.escape_ascii());
    }
}
