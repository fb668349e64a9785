//! Values of the second level of the cache, as another program that writes to the same store may forge them: with a sum that is right.
//!
//! Nothing panics. A value that is read is one that the proxy could have written: it is written and read again the same, and the answer
//! that comes of it is one response, read by a client as it was meant.

use super::pieces::MOST;
use socket_patterns::{
    cache::{
        Selecting, Stored, Uri, answer,
        encoding::{self, Saved},
        validate::{conditional, synthesized},
        vary,
    },
    http::{Fields, Limits, Method, RequestHead, ResponseEvent, ResponseReader, hop::is_hop_by_hop, target::Scheme},
    time::{Instant, Now},
};
use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

/// Sun, 06 Nov 1994 08:49:37 GMT, and any moment to go with it.
#[allow(clippy::disallowed_methods)]
static NOW: LazyLock<Now> =
    LazyLock::new(|| Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) });

/// The URI that is looked up.
const URI: Uri<'_> = Uri { scheme: Scheme::Http, authority: "a.test", path: "/", query: None };

/// For how long the store keeps it.
const LEFT: Duration = Duration::from_secs(90);

/// Bytes that a value may take in memory for one that was read.
const SPREAD: usize = 32;

/// Panics if a rule is broken. The input is a value without what stands in front of it: the sign of the format, and the sum.
pub fn judge(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    let _ = read(data);
    let bytes = signed(data);
    labels(&bytes);
    match read(&bytes) {
        None => {}
        Some(Saved::Variants(variants)) => {
            assert!(variants.names.len() <= vary::MAX_NAMES);
            let again = encoding::variants(&URI.to_key(), &variants);
            assert!(matches!(read(&again), Some(Saved::Variants(again)) if again == variants), "written again");
            let request: Fields = variants.names.iter().map(|name| (&**name, "a")).collect();
            let selecting = Selecting::by_names(&variants.names, &request);
            assert!(selecting.matches(&request) && (variants.have(&selecting) || variants.names.is_empty()));
        }
        Some(Saved::Response(stored)) => {
            assert!(stored.weight() < (size_of::<Stored>() + SPREAD * bytes.len()) as u64, "it takes too much");
            written_again(&stored);
            selected(&stored);
            one_response(&stored);
        }
    }
}

fn read(bytes: &[u8]) -> Option<Saved> {
    encoding::read(bytes, URI, LEFT, *NOW).ok()
}

/// As a value is written: sign, CRC-32, the rest.
fn signed(rest: &[u8]) -> Vec<u8> {
    [b"SPC1", &crc32(rest).to_be_bytes()[..], rest].concat()
}

/// The sum of ISO 3309, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// A purge reads the beginning of a value: as much as there is, and never something else.
fn labels(bytes: &[u8]) {
    let whole = encoding::label(bytes).map(|label| (label.uri, label.tags));
    let is_read = read(bytes).is_some();
    assert!(!is_read || whole.as_ref().is_some_and(|(uri, _)| *uri == URI.to_key().as_str()));
    for cut in 0..bytes.len() {
        let part = encoding::label(&bytes[..cut]).map(|label| (label.uri, label.tags));
        assert!(part.is_none() || part == whole, "cut at {cut}");
        assert!(read(&bytes[..cut]).is_none(), "cut at {cut}");
    }
}

/// The times move with the clocks, and nothing else does.
fn written_again(stored: &Stored) {
    let bytes = encoding::response(&URI.to_key(), stored, LEFT, *NOW);
    let Some(Saved::Response(again)) = read(&bytes) else { panic!("it is not read again") };
    assert_eq!((&again.head, &again.selecting, &again.tags), (&stored.head, &stored.selecting, &stored.tags));
    assert_eq!(again.freshness, stored.freshness);
    assert_eq!((again.date, again.body.pieces().concat()), (stored.date, stored.body.pieces().concat()));
    assert_eq!(encoding::response(&URI.to_key(), &again, LEFT, *NOW), bytes);
}

/// A request with the lines that were selected by gets it, and asks for it again in the same words.
fn selected(stored: &Stored) {
    let lines = stored.selecting.fields().filter_map(|(name, value)| Some((name, value?)));
    let mut request = get();
    request.fields = lines.collect();
    assert!(stored.selecting.matches(&request.fields));
    assert_eq!(stored.selecting.for_request(&request.fields), stored.selecting, "it is compared in another form");
    let asked = synthesized(&get(), stored);
    assert!(asked.fields.iter().count() <= vary::MAX_NAMES);
    let _ = conditional(&request, std::slice::from_ref(stored));
}

fn get() -> RequestHead {
    RequestHead::new(Method::Get, "/").expect("a path is a target")
}

/// A client gets one response and nothing behind it, with the lines of the value and no other.
fn one_response(stored: &Stored) {
    let of_one_hop = |name: &[u8]| is_hop_by_hop(name) || name.eq_ignore_ascii_case(b"age");
    assert!(!stored.head.fields.lines().any(|(name, _)| of_one_hop(name)), "{:?}", stored.head.fields);
    for (method, lines) in [
        (Method::Get, &[][..]),
        (Method::Head, &[]),
        (Method::Get, &[("Range", "bytes=0-0")]),
        (Method::Get, &[("Range", "bytes=0-0,-1"), ("If-Range", "Sunday, 06-Nov-94 08:10:00 GMT")]),
        (Method::Get, &[("If-Modified-Since", "Sunday, 06-Nov-94 08:10:00 GMT")]),
    ] {
        let mut request = get();
        (request.method, request.fields) = (method, lines.iter().copied().collect());
        let answer = answer(&request, stored, NOW.wall, || 7).expect("all of it is here");
        let mut wire = Vec::new();
        answer.write_head(stored, &mut wire);
        wire.extend_from_slice(b"\r\n");
        let content: Vec<u8> = answer.body(stored).flat_map(|piece| piece.to_vec()).collect();
        assert_eq!(content.len() as u64, answer.length(stored));
        wire.extend_from_slice(&content);
        let mut fields = Fields::new();
        assert_eq!(heard(&wire, &request.method, &mut fields), content, "{}", wire.escape_ascii());
        if lines.is_empty() {
            fields.retain(|name, _| !name.eq_ignore_ascii_case("content-length"));
            assert_eq!(fields, stored.head.fields, "{}", wire.escape_ascii());
        }
    }
}

/// The content of the one response, whose lines are put into `fields`.
fn heard(wire: &[u8], method: &Method, fields: &mut Fields) -> Vec<u8> {
    let limits = Limits { head: 4 * MOST, fields: MOST, ..Limits::default() };
    let mut reader = ResponseReader::new();
    reader.expect(method);
    let (mut input, mut content) = (wire, Vec::new());
    loop {
        match reader.next(&mut input, &limits) {
            Ok(Some(ResponseEvent::Head(head, _))) => *fields = head.fields,
            Ok(Some(ResponseEvent::Data(data))) => content.extend_from_slice(data),
            Ok(Some(ResponseEvent::End(_))) => break,
            other => panic!("{other:?} in {}", wire.escape_ascii()),
        }
    }
    assert!(input.is_empty(), "another one stands behind it: {}", wire.escape_ascii());
    content
}
