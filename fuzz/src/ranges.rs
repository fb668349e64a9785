//! Parts of a stored body. The answer has the bytes that were asked for and are there, each once, and it is never
//! longer than the whole and the heads of the parts. Our own reader understands the fields of a part.

use super::lines::{lines, named};
use bytes::Bytes;
use socket_patterns::{
    cache::{
        Answer, Audience, Body, Freshness, ResponseDirectives, Rules, Selecting, Stored, answer, partial::Part,
        range::MAX_RANGES,
    },
    http::{BodyLength, Fields, Limits, Method, RequestHead, ResponseEvent, ResponseHead, ResponseReader, Status},
    time::{Instant, Now},
};
use std::{collections::BTreeSet, ops::Range, sync::LazyLock, time::SystemTime};

/// The most bytes before a part: a boundary of 32 digits, `Content-Type`, `Content-Range`.
const PART_MOST: u64 = 160;

/// Any moment will do.
#[allow(clippy::disallowed_methods)]
static NOW: LazyLock<Now> = LazyLock::new(|| Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH });

/// Panics if a rule is broken. The first three bytes say what is stored: how long the whole is, and which part of it is
/// here, if it is not all. The rest are lines of `Range`.
pub fn judge(data: &[u8]) {
    let [complete, start, length, rest @ ..] = data else { return };
    let complete = u64::from(*complete) * 4;
    let content: Bytes = (0..complete).map(|at| (at * 7 + at / 256) as u8).collect::<Vec<_>>().into();
    let (start, length) = (u64::from(*start), u64::from(*length) * 4);
    let here = if start == 0 { 0..complete } else { start.min(complete)..(start + length).min(complete) };
    let Some(stored) = stored(&content, here) else { return };
    let mut request = RequestHead::new(Method::Get, "/").expect("a path is a target");
    request.fields = named("Range", &lines(rest));
    let asked = asked(&request.fields, complete);
    let Ok(answer) = answer(&request, &stored, NOW.wall, || 7) else {
        assert!(!stored.body.is_whole(), "all of it is here");
        let there = |at| stored.body.range().contains(&at);
        // Bytes between two parts that would be sent along may be missing, and a stored part alone never leads to the
        // answer that there are no such bytes.
        let one = asked.filter(|asked| asked.len() == 1);
        assert!(one.is_none_or(|asked| !asked.iter().flat_map(Clone::clone).all(there)));
        return;
    };
    check(&answer, &stored, &content, asked.as_deref());
}

/// In three pieces, so that ranges cross from one to the next.
fn stored(content: &Bytes, here: Range<u64>) -> Option<Stored> {
    let complete = content.len() as u64;
    let bytes = content.slice(usize::try_from(here.start).ok()?..usize::try_from(here.end).ok()?);
    let pieces = bytes.chunks(bytes.len() / 3 + 1).map(|piece| content.slice_ref(piece)).collect();
    let body =
        if here == (0..complete) { Body::whole(pieces) } else { Body::part(pieces, here.start, Some(complete))? };
    let mut head = ResponseHead::new(Status::OK);
    head.fields = [("Content-Type", "text/plain"), ("ETag", "\"v\"")].into_iter().collect();
    let said = ResponseDirectives::default();
    let freshness = Freshness::of(&head, &said, Audience::Strangers, *NOW, *NOW, &Rules::default());
    Some(Stored { head, selecting: Selecting::Everything, freshness, date: NOW.wall, body, tags: Box::default() })
}

/// The ranges that the lines ask for of `complete` bytes, read a second time, from the grammar (RFC 9110 §14.1.1).
/// `None`: nothing that counts, so that the whole is the answer.
fn asked(fields: &Fields, complete: u64) -> Option<Vec<Range<u64>>> {
    let lines: Vec<&[u8]> = fields.get_all("range").collect();
    let [line] = lines[..] else { return None };
    let line = std::str::from_utf8(line).ok()?;
    let (unit, set) = line.split_once('=')?;
    let specs: Vec<&str> =
        set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()).collect();
    if !unit.eq_ignore_ascii_case("bytes") || specs.is_empty() || specs.len() > MAX_RANGES || complete == 0 {
        return None;
    }
    let mut ranges = Vec::new();
    for spec in specs {
        let (first, last) = spec.split_once('-')?;
        let range = match (first.is_empty(), last.is_empty()) {
            (true, true) => return None,
            (true, false) => complete.saturating_sub(number(last)?)..complete,
            (false, true) => number(first)?..complete,
            (false, false) => {
                // Compared as written: what no number can hold is still more or less than another.
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                first..last.saturating_add(1).min(complete)
            }
        };
        ranges.extend((range.start < range.end).then_some(range));
    }
    Some(ranges)
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().unwrap_or(u64::MAX))
}

fn check(answer: &Answer, stored: &Stored, content: &[u8], asked: Option<&[Range<u64>]>) {
    let body: Vec<u8> = answer.body(stored).collect::<Vec<_>>().concat();
    assert_eq!(body.len() as u64, answer.length(stored), "as long as announced");
    let head = head(answer, stored, body.len());
    let complete = content.len() as u64;
    match answer {
        Answer::Whole => assert!(asked.is_none() && body == content),
        Answer::Unsatisfiable => assert_eq!(asked, Some(&[][..])),
        Answer::Part { range, .. } => {
            assert_eq!(part(&head.fields, complete), *range);
            covers(asked, std::slice::from_ref(range));
            assert_eq!(body, slice(content, range));
        }
        Answer::Parts(_) => {
            let parts = parts(&head, &body, content);
            assert!(parts.len() > 1 && parts.len() <= MAX_RANGES, "{parts:?}");
            covers(asked, &parts);
            assert!(body.len() as u64 <= complete + PART_MOST * (parts.len() as u64 + 1), "longer than the whole");
        }
        Answer::Head | Answer::NotModified => panic!("nobody asked for that: {answer:?}"),
    }
}

fn slice<'c>(content: &'c [u8], range: &Range<u64>) -> &'c [u8] {
    &content[usize::try_from(range.start).expect("it is short")..usize::try_from(range.end).expect("it is short")]
}

/// All that was asked for is sent, and no byte of it twice.
fn covers(asked: Option<&[Range<u64>]>, sent: &[Range<u64>]) {
    let asked = asked.expect("a part of what nobody asked for");
    let mut bytes = BTreeSet::new();
    assert!(sent.iter().flat_map(Clone::clone).all(|at| bytes.insert(at)), "twice: {sent:?}");
    assert!(asked.iter().flat_map(Clone::clone).all(|at| bytes.contains(&at)), "{asked:?} {sent:?}");
}

/// The head as our own reader understands it.
fn head(answer: &Answer, stored: &Stored, length: usize) -> ResponseHead {
    let mut wire = Vec::new();
    answer.write_head(stored, &mut wire);
    wire.extend_from_slice(b"\r\n");
    let mut reader = ResponseReader::new();
    reader.expect(&Method::Get);
    match reader.next(&mut &wire[..], &Limits::default()) {
        Ok(Some(ResponseEvent::Head(head, announced))) => {
            let expected = if length == 0 { BodyLength::Empty } else { BodyLength::Exact(length as u64) };
            assert_eq!(announced, expected);
            head
        }
        other => panic!("{other:?}: {}", wire.escape_ascii()),
    }
}

/// The range in `Content-Range`.
fn part(fields: &Fields, complete: u64) -> Range<u64> {
    let mut request = RequestHead::new(Method::Get, "/").expect("a path is a target");
    request.fields.push("Range", "bytes=0-");
    let mut response = ResponseHead::new(Status::PARTIAL_CONTENT);
    response.fields = fields.clone();
    let part = Part::of(&request, &response).expect("we wrote it");
    assert_eq!(part.complete, Some(complete));
    part.start..part.end
}

/// The parts of a multipart body, which is taken apart to the last byte (RFC 9110 §14.6, RFC 2046 §5.1.1).
fn parts(head: &ResponseHead, body: &[u8], content: &[u8]) -> Vec<Range<u64>> {
    let kind = head.fields.get("content-type").expect("it says what it is");
    let boundary = kind.strip_prefix(b"multipart/byteranges; boundary=").expect("that is what it is");
    let mut rest = body.strip_prefix(b"--").expect("it starts with a boundary");
    let mut parts = Vec::new();
    loop {
        rest = rest.strip_prefix(boundary).expect("a boundary");
        if rest == b"--\r\n" {
            return parts;
        }
        rest = rest.strip_prefix(b"\r\n").expect("the head of a part");
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of its head");
        let lines: Vec<&[u8]> = rest[..end].split(|byte| *byte == b'\n').collect();
        let range = part(&super::lines::fields(&lines), content.len() as u64);
        let data = slice(content, &range);
        rest = rest[end + 4..].strip_prefix(data).expect("the bytes that it names");
        rest = rest.strip_prefix(b"\r\n--").expect("the next boundary");
        parts.push(range);
    }
}
