//! Requests: what is read, what is refused, and by which rule.

use super::{super::*, refusals::refused, *};

pub(super) const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n";
const NEXT_EVENTS: [&str; 2] = [r#"GET /next HTTP/1.1 {"Host": "n"} Empty"#, "."];

const WELL_FORMED_REQUESTS: &[(&str, &[&str])] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[r#"GET / HTTP/1.1 {"Host": "a"} Empty"#, "."]),
    ("GET / HTTP/1.0\r\n\r\n", &["GET / HTTP/1.0 {} Empty", "."]),
    // RFC 9110 §2.5: a later minor version is HTTP/1.1 to us.
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", &[r#"GET / HTTP/1.1 {"Host": "a"} Empty"#, "."]),
    // RFC 9112 §2.2: empty lines before a request are skipped.
    ("\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n", &["GET / HTTP/1.0 {} Empty", "."]),
    // RFC 9110 §9.1: methods are case-sensitive tokens.
    ("get / HTTP/1.0\r\n\r\n", &["get / HTTP/1.0 {} Empty", "."]),
    ("M-SEARCH /?a=b&c=%zz HTTP/1.0\r\n\r\n", &["M-SEARCH /?a=b&c=%zz HTTP/1.0 {} Empty", "."]),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[r#"OPTIONS * HTTP/1.1 {"Host": "a"} Empty"#, "."]),
    (
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
        &[r#"CONNECT a.example:443 HTTP/1.1 {"Host": "a.example:443"} Empty"#, "."],
    ),
    (
        "GET http://a.example:80/x?y HTTP/1.1\r\nhost: A.EXAMPLE\r\n\r\n",
        &[r#"GET http://a.example:80/x?y HTTP/1.1 {"host": "A.EXAMPLE"} Empty"#, "."],
    ),
    // RFC 9112 §3.2.2: the target wins over another Host.
    (
        "GET https://a:81/ HTTP/1.1\r\nHost: b:80\r\n\r\n",
        &[r#"GET https://a:81/ HTTP/1.1 {"Host": "b:80"} Empty"#, "."],
    ),
    // White space around values is no part of them; order and case are kept; values may be empty or not ASCII.
    (
        "GET / HTTP/1.0\r\nB:1\r\nA: \t2 3\t \r\nb:\r\nC: \r\nD: caf\u{e9}\r\n\r\n",
        &[r#"GET / HTTP/1.0 {"B": "1", "A": "2 3", "b": "", "C": "", "D": "café"} Empty"#, "."],
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        &[r#"POST / HTTP/1.1 {"Host": "a", "Content-Length": "5"} Exact(5)"#, "= hello", "."],
    ),
    ("POST / HTTP/1.0\r\nContent-Length: \t0 \r\n\r\n", &[r#"POST / HTTP/1.0 {"Content-Length": "0"} Empty"#, "."]),
    // RFC 9110 §9.3.1: content in GET means nothing, but it is there.
    (
        "GET / HTTP/1.0\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        &[r#"GET / HTTP/1.0 {"Content-Length": "18"} Exact(18)"#, "= GET / HTTP/1.0\r\n\r\n", "."],
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n",
        &[r#"POST / HTTP/1.1 {"Host": "a", "Transfer-Encoding": "chunked"} Chunked"#, "= hello world", "."],
    ),
    // RFC 9112 §7: names of codings ignore case.
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING:\tChunked\r\n\r\n0\r\n\r\n",
        &[r#"POST / HTTP/1.1 {"Host": "a", "TRANSFER-ENCODING": "Chunked"} Chunked"#, "."],
    ),
    (
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA;a;b=c ; d = \"e\\\"\\\\f,;\u{e9}\"\r\n0123456789\r\n000\r\nSum: 1\r\nX:\r\n\r\n",
        &[
            r#"PUT / HTTP/1.1 {"Host": "a", "Transfer-Encoding": "chunked"} Chunked"#,
            "= 0123456789",
            r#". {"Sum": "1", "X": ""}"#,
        ],
    ),
];

#[test]
fn well_formed_requests() {
    for (wire, events) in WELL_FORMED_REQUESTS {
        let wire = wire.as_bytes();
        let heard = hear_all_ways(requests, wire, &Limits::default());
        assert_eq!((&heard.events[..], &*heard.outcome), (&to_strings(events)[..], "between messages"));
        let two = hear_all_ways(requests, &[wire, NEXT].concat(), &Limits::default());
        let expected: Vec<_> = events.iter().chain(&NEXT_EVENTS).copied().collect();
        assert_eq!((two.events, &*two.outcome), (to_strings(&expected), "between messages"), "with another behind");
    }
}

fn to_strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.to_string()).collect()
}

#[test]
fn a_malformed_head_is_refused_before_it_ends() {
    for (start, error) in [
        ("\u{16}\u{3}\u{1}", Error::BadMethod),
        ("GET / HTTP/2.0\r\n", Error::UnsupportedVersion),
        ("GET /\r\n", Error::BadRequestLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n", Error::BadFieldName),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n", Error::ObsFold),
        ("GET / HTTP/1.1\r\nHost: a\n", Error::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA\r\n", Error::NoColon),
    ] {
        let heard = hear_all_ways(requests, start.as_bytes(), &Limits::default());
        assert_eq!(heard.outcome, error.as_str(), "{start:?}");
    }
}

#[test]
fn an_end_inside_a_request_is_one_too_early() {
    const WIRE: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n";
    for end in 0..=WIRE.len() {
        let outcome = hear(requests(), [&WIRE[..end]], &Limits::default()).outcome;
        let expected = if end == 0 || end == WIRE.len() { "between messages" } else { "unexpected end" };
        assert_eq!(outcome, expected, "after {end}");
    }
    // Half an empty line is no request.
    assert_eq!(hear(requests(), [&b"\r\n\r"[..]], &Limits::default()).outcome, "between messages");
}

#[test]
fn limits_at_and_one_past() {
    let limits =
        Limits { head: 64, request_line: 20, fields: 3, body: 10, chunk_line: 8, chunk_extensions: 8, trailers: 16 };
    let accepted = |wire: &str| {
        let heard = hear_all_ways(requests, wire.as_bytes(), &limits);
        assert_eq!(heard.outcome, "between messages", "{wire:?}");
    };
    let refused = |wire: &str, error| refused(wire.as_bytes(), error, &limits);
    // Request line: "GET " + 7 + " HTTP/1.0".
    accepted("GET /234567 HTTP/1.0\r\n\r\n");
    refused("GET /2345678 HTTP/1.0\r\n\r\n", Error::RequestLineTooLong);
    refused(&"A".repeat(21), Error::NoMethod);
    refused(&format!("G {}", "A".repeat(30)), Error::RequestLineTooLong);
    // Head: "GET / HTTP/1.0\r\nA: \r\n\r\n" is 23 bytes.
    accepted(&format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "x".repeat(64 - 23)));
    refused(&format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "x".repeat(65 - 23)), Error::HeadTooLarge);
    refused(&format!("GET / HTTP/1.0\r\nA: {}", "x".repeat(100)), Error::HeadTooLarge);
    // Fields.
    accepted("GET / HTTP/1.0\r\nA:\r\nA:\r\nA:\r\n\r\n");
    refused("GET / HTTP/1.0\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", Error::TooManyFields);
    // Body.
    accepted("GET / HTTP/1.0\r\nContent-Length: 10\r\n\r\n0123456789");
    refused("GET / HTTP/1.0\r\nContent-Length: 11\r\n\r\n0123456789a", Error::BodyTooLarge);
    let chunked = |body: &str| format!("GET / HTTP/1.1\r\nHost:a\r\nTransfer-Encoding:chunked\r\n\r\n{body}");
    accepted(&chunked("5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"));
    refused(&chunked("5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n"), Error::BodyTooLarge);
    // Chunk lines.
    accepted(&chunked("00000001\r\na\r\n0\r\n\r\n"));
    refused(&chunked("000000001\r\na\r\n0\r\n\r\n"), Error::ChunkLineTooLong);
    accepted(&chunked("1;abcde\r\na\r\n0;a\r\n\r\n"));
    refused(&chunked("1;abcde\r\na\r\n0;ab\r\n\r\n"), Error::ExtensionsTooLarge);
    // Trailers: the field and its line break, and the empty line.
    accepted(&chunked("0\r\nA: 456789abc\r\n\r\n"));
    refused(&chunked("0\r\nA: 456789abcd\r\n\r\n"), Error::TrailersTooLarge);
    accepted(&chunked("0\r\nA:\r\nA:\r\nA:\r\n\r\n"));
    let more = Limits { trailers: 100, ..limits };
    super::refusals::refused(chunked("0\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n").as_bytes(), Error::TooManyFields, &more);
    // Empty lines before the request.
    accepted(&format!("{}GET / HTTP/1.0\r\n\r\n", "\r\n".repeat(limits::MAX_EMPTY_LINES.into())));
    let empty = "\r\n".repeat(usize::from(limits::MAX_EMPTY_LINES) + 1);
    assert_eq!(
        hear_all_ways(requests, format!("{empty}GET / HTTP/1.0\r\n\r\n").as_bytes(), &limits).outcome,
        Error::TooManyEmptyLines.as_str()
    );
}

#[test]
fn default_limits() {
    let line = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 14));
    let read = |wire: &str| hear(requests(), [wire.as_bytes()], &Limits::default()).outcome;
    assert_eq!(read(&line(8000)), "between messages");
    assert_eq!(read(&line(8192)), "between messages");
    assert_eq!(read(&line(8193)), Error::RequestLineTooLong.as_str());
    assert_eq!(read(&line(100_000)), Error::RequestLineTooLong.as_str());
    assert_eq!(read(&"A".repeat(100_000)), Error::NoMethod.as_str());
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(n - 1));
    assert_eq!(read(&fields(33)), "between messages");
    assert_eq!(read(&fields(100)), "between messages");
    assert_eq!(read(&fields(101)), Error::TooManyFields.as_str());
    assert_eq!(read(&fields(10_000)), Error::TooManyFields.as_str());
}

#[test]
fn phases_follow_the_bytes() {
    let mut reader = RequestReader::new();
    let limits = Limits::default();
    let mut phase = |mut bytes: &[u8]| {
        while reader.next(&mut bytes, &limits).unwrap().is_some() {}
        reader.phase()
    };
    assert_eq!(phase(b""), ReadPhase::Idle);
    assert_eq!(phase(b"\r\n\r"), ReadPhase::Idle);
    assert_eq!(phase(b"\n"), ReadPhase::Idle);
    assert_eq!(phase(b"P"), ReadPhase::Head);
    assert_eq!(phase(b"UT / HTTP/1.0\r\nContent-Length: 2\r\n\r"), ReadPhase::Head);
    assert_eq!(phase(b"\n"), ReadPhase::Body);
    assert_eq!(phase(b"a"), ReadPhase::Body);
    assert_eq!(phase(b"b"), ReadPhase::Idle);
}

#[test]
fn content_is_a_part_of_the_input() {
    let wire =
        [b"POST / HTTP/1.0\r\nContent-Length: 65536\r\n\r\n".to_vec(), vec![b'x'; 65_536], NEXT.to_vec()].concat();
    let mut reader = RequestReader::new();
    let mut input = &wire[..];
    let limits = Limits::default();
    assert!(matches!(reader.next(&mut input, &limits), Ok(Some(RequestEvent::Head(..)))));
    let start = input.as_ptr();
    let Ok(Some(RequestEvent::Data(data))) = reader.next(&mut input, &limits) else { panic!("no content") };
    assert_eq!((data.as_ptr(), data.len()), (start, 65_536));
    assert_eq!(reader.next(&mut input, &limits), Ok(Some(RequestEvent::End(Fields::new()))));
    assert_eq!(input, NEXT);
}

/// For the log: whatever came in pieces is there, also after it was refused, and is gone with the head.
#[test]
fn the_beginning_of_a_head_is_kept_until_it_is_complete() {
    let limits = Limits { head: 64, ..Limits::default() };
    for (pieces, begun) in [
        (&["GET /a HT", "TP/1.1\r\nHo"][..], "GET /a HTTP/1.1\r\nHo"),
        (&["GET /a HT", "TP/1.1\r\nHost : a\r\n"], "GET /a HTTP/1.1\r\nHost : a\r\n"),
        (&["GET /a HT", "TP/1.1\nHost: a"], "GET /a HTTP/1.1\nHost: a"),
        (&["GET /a HT", "TP/1.1\r\nHost: a\r\n\r\n"], ""),
        (&["GET /a HTTP/1.1\nHost: a"], ""),
        (&[], ""),
    ] {
        let mut reader = RequestReader::new();
        for piece in pieces {
            let _ = reader.next(&mut piece.as_bytes(), &limits);
        }
        assert_eq!(String::from_utf8_lossy(reader.begun()), begun, "{pieces:?}");
    }
}

#[test]
fn an_idle_reader_is_small() {
    assert!(size_of::<RequestReader>() <= 64, "{}", size_of::<RequestReader>());
    assert!(size_of::<ResponseReader>() <= 64, "{}", size_of::<ResponseReader>());
}

/// A megabyte in single bytes: done at once if each is looked at once, in an hour if the search starts over each time.
#[test]
fn single_bytes_cost_linear_time() {
    let limits = Limits { head: 1 << 21, ..Limits::default() };
    let wire = [&b"GET / HTTP/1.0\r\nA: "[..], &vec![b'x'; 1 << 20], b"\r\n\r\n"].concat();
    let heard = hear(requests(), wire.chunks(1), &limits);
    assert_eq!((heard.events.len(), &*heard.outcome), (2, "between messages"));
}
