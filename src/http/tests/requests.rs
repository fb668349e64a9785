//! Requests: what is read, what is refused, and by which rule.

use super::{super::*, *};

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n";
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

/// Refused whatever the cuts, and whatever stands behind.
fn refused(wire: &[u8], error: Error, limits: &Limits) {
    for wire in [wire.to_vec(), [wire, b"\r\n\r\n", NEXT].concat()] {
        let heard = hear_all_ways(requests, &wire, limits);
        assert_eq!(heard.outcome, error.as_str(), "{:?} {:?}", String::from_utf8_lossy(&wire), heard.events);
        assert!(!heard.events.iter().any(|event| event.contains("/next")), "{heard:?}");
    }
}

const MALFORMED_REQUEST_LINES: &[(&[u8], Error)] = &[
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET /\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b"GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", Error::BadRequestLine),
    (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"   \r\n\r\n", Error::BadMethod),
    (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"G\0ET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"G=\":<>(e),[T];?\" /get HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", Error::BadMethod),
    (b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadMethod),
    (b"GET / http/1.1\r\nHost: a\r\n\r\n", Error::BadVersion),
    (b"GET / HTTP/1\r\nHost: a\r\n\r\n", Error::BadVersion),
    (b"GET / HTTP/01.01\r\nHost: a\r\n\r\n", Error::BadVersion),
    (b"GET / HTTP/1.32\r\nHost: a\r\n\r\n", Error::BadVersion),
    (b"GET / HTTP/\x31\xc2\xb9.1\r\nHost: a\r\n\r\n", Error::BadVersion),
    (b"GET / XTTP/1.1\r\nHost: a\r\n\r\n", Error::BadVersion),
    (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", Error::UnsupportedVersion),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Error::UnsupportedVersion),
    // Targets.
    (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET ! HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET a.example:80 HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /?\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /<b> HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET /%f HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"CONNECT u@a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadTarget),
    (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadScheme),
    (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::UserInfo),
    (b"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadHost),
    (b"GET http://?a HTTP/1.1\r\nHost: a\r\n\r\n", Error::BadHost),
];

#[test]
fn malformed_request_lines() {
    for (wire, error) in MALFORMED_REQUEST_LINES {
        refused(wire, *error, &Limits::default());
    }
}

const MALFORMED_LINES: &[(&[u8], Error)] = &[
    (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareLf),
    (b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareLf),
    (b"GET / HTTP/1.1\nHost: a\r\n\r\n", Error::BareLf),
    (b"GET /\nHTTP/1.1\r\n\r\n", Error::BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Error::BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Error::BareLf),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\nC: d\r\n\r\n", Error::BareLf),
    (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareCr),
    (b"\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\rHost: a\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", Error::BareCr),
    (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/\r\r1.1\r\nHost: a\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rC: d\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA\r: b\r\n\r\n", Error::BareCr),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", Error::ObsFold),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", Error::ObsFold),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA:\r\n \r\n\r\n", Error::ObsFold),
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Error::ObsFold),
    (b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", Error::ObsFold),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", Error::ObsFold),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Error::SpaceBeforeColon),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\n", Error::SpaceBeforeColon),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", Error::NoColon),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA b\r\nC: d\r\n\r\n", Error::NoColon),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Error::BadFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\n:\r\n\r\n", Error::BadFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", Error::BadFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA[: c\r\n\r\n", Error::BadFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA\x85: c\r\n\r\n", Error::BadFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX-T\xc3\xabst: c\r\n\r\n", Error::BadFieldName),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA\0: c\r\n\r\n", Error::Nul),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\0\r\n\r\n", Error::Nul),
    (b"GET / HTTP/1.1\r\nHost: a\0.b\r\n\r\n", Error::Nul),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\x0bc\r\n\r\n", Error::BadFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: \x07\x08\r\n\r\n", Error::BadFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\x7f\r\n\r\n", Error::BadFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", Error::BadFieldValue),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x0c\r\n\r\n", Error::BadFieldValue),
];

#[test]
fn malformed_lines() {
    for (wire, error) in MALFORMED_LINES {
        refused(wire, *error, &Limits::default());
    }
}

const HOSTS: &[(&[u8], Error)] = &[
    (b"GET / HTTP/1.1\r\n\r\n", Error::NoHost),
    (b"GET http://a/ HTTP/1.1\r\n\r\n", Error::NoHost),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Error::SeveralHosts),
    (b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", Error::SeveralHosts),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.0\r\nHost: \r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", Error::BadHost),
    (b"GET / HTTP/1.1\r\nHost: \xffa\r\n\r\n", Error::BadHost),
    (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::HostMismatch),
    (b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::HostMismatch),
    (b"GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", Error::HostMismatch),
    (b"CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", Error::HostMismatch),
    (b"CONNECT a:443 HTTP/1.1\r\nHost: a:80\r\n\r\n", Error::HostMismatch),
];

#[test]
fn hosts_that_are_missing_malformed_or_disagree() {
    for (wire, error) in HOSTS {
        refused(wire, *error, &Limits::default());
    }
}

/// Every way in which two hops were ever made to disagree about the end of a body.
const LENGTHS: &[(&str, Error)] = &[
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", Error::LengthAndCoding),
    ("Transfer-Encoding: chunked\r\nContent-Length: 0", Error::LengthAndCoding),
    ("Transfer-Encoding: chunked \r\nContent-Length: 5", Error::LengthAndCoding),
    ("Content-Length: 5\r\nContent-Length: 5", Error::SeveralLengths),
    ("Content-Length: 5\r\ncontent-length: 6", Error::SeveralLengths),
    ("Content-Length:\r\nContent-Length: 6", Error::SeveralLengths),
    ("Content-Length: 5, 5", Error::SeveralLengths),
    ("Content-Length: 5,6", Error::SeveralLengths),
    ("Content-Length: 5,", Error::BadLength),
    ("Content-Length: ,5", Error::BadLength),
    ("Content-Length:", Error::BadLength),
    ("Content-Length: +5", Error::BadLength),
    ("Content-Length: -0", Error::BadLength),
    ("Content-Length: 0x5", Error::BadLength),
    ("Content-Length: 0o5", Error::BadLength),
    ("Content-Length: 5.0", Error::BadLength),
    ("Content-Length: 5e0", Error::BadLength),
    ("Content-Length: 1_0", Error::BadLength),
    ("Content-Length: 1 0", Error::BadLength),
    ("Content-Length: \"5\"", Error::BadLength),
    ("Content-Length: 5;a", Error::BadLength),
    ("Content-Length: five", Error::BadLength),
    ("Content-Length: \u{665}", Error::BadLength),
    ("Content-Length: 18446744073709551616", Error::BadLength),
    ("Content-Length: 99999999999999999999999999999999999999", Error::BadLength),
    ("Transfer-Encoding:", Error::BadCoding),
    ("Transfer-Encoding: ,chunked", Error::BadCoding),
    ("Transfer-Encoding: chunked,", Error::BadCoding),
    ("Transfer-Encoding: gzip,,chunked", Error::BadCoding),
    ("Transfer-Encoding: chunked;a=b", Error::BadCoding),
    ("Transfer-Encoding: \"chunked\"", Error::BadCoding),
    ("Transfer-Encoding: chunked chunked", Error::BadCoding),
    ("Transfer-Encoding: \u{a0}chunked", Error::BadCoding),
    ("Transfer-Encoding: [chunked]", Error::BadCoding),
    ("Transfer-Encoding: xchunked", Error::NotChunked),
    ("Transfer-Encoding: chunkedx", Error::NotChunked),
    ("Transfer-Encoding: 'chunked'", Error::NotChunked),
    ("Transfer-Encoding: identity", Error::NotChunked),
    ("Transfer-Encoding: gzip", Error::NotChunked),
    ("Transfer-Encoding: chunked, gzip", Error::NotChunked),
    ("Transfer-Encoding: chunked, identity", Error::NotChunked),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Error::NotChunked),
    ("Transfer-Encoding: gzip, chunked", Error::UnknownCoding),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", Error::UnknownCoding),
    ("Transfer-Encoding: chunked, chunked", Error::ChunkedTwice),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Error::ChunkedTwice),
    ("Transfer-Encoding: xchunked\r\nContent-Length: 5", Error::NotChunked),
];

#[test]
fn lengths_that_could_be_read_in_two_ways() {
    for (fields, error) in LENGTHS {
        let wire = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nhello");
        refused(wire.as_bytes(), *error, &Limits::default());
    }
    // RFC 9110 §8.6: leading zeros are legal, and harmless where the length is written anew.
    for (zeros, expected) in [("Content-Length: 05", BodyLength::Exact(5)), ("Content-Length: 00", BodyLength::Empty)] {
        let wire = format!("POST / HTTP/1.1\r\nHost: a\r\n{zeros}\r\n\r\n");
        let head = RequestReader::new().next(&mut wire.as_bytes(), &Limits::default()).unwrap();
        assert!(matches!(head, Some(RequestEvent::Head(_, length)) if length == expected), "{zeros}: {head:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(old.as_bytes(), Error::CodingInHttp10, &Limits::default());
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let trace = format!("TRACE / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\nhello");
        refused(trace.as_bytes(), Error::ContentInTrace, &Limits::default());
    }
}

const MALFORMED_CHUNKS: &[(&str, Error)] = &[
    ("\r\n\r\n", Error::BadChunkSize),
    (" 5\r\nhello\r\n0\r\n\r\n", Error::BadChunkSize),
    ("+5\r\nhello\r\n0\r\n\r\n", Error::BadChunkSize),
    ("-1\r\nhello\r\n0\r\n\r\n", Error::BadChunkSize),
    ("0x5\r\nhello\r\n0\r\n\r\n", Error::BadChunkSize),
    ("1_0\r\nhello world!!!!!\r\n0\r\n\r\n", Error::BadChunkSize),
    ("g\r\n", Error::BadChunkSize),
    (";a=b\r\n", Error::BadChunkSize),
    ("5,5\r\nhello\r\n0\r\n\r\n", Error::BadChunkSize),
    ("\u{665}\r\n", Error::BadChunkSize),
    ("10000000000000000\r\n", Error::ChunkTooLarge),
    ("FFFFFFFFFFFFFFFF0\r\n", Error::ChunkTooLarge),
    ("1\r\na\r\nffffffffffffffff\r\n", Error::BodyTooLarge),
    // Line ends.
    ("5\nhello\r\n0\r\n\r\n", Error::BareLf),
    ("5;\nhello\r\n0\r\n\r\n", Error::BareLf),
    ("5;a\nhello\r\n0\r\n\r\n", Error::BareLf),
    ("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", Error::BareLf),
    ("\n", Error::BareLf),
    ("5\rhello\r\n0\r\n\r\n", Error::BareCr),
    ("5\r\r;a\r\nhello\r\n0\r\n\r\n", Error::BareCr),
    ("5;a\rX\r\nhello\r\n0\r\n\r\n", Error::BareCr),
    ("5\r\nhello0\r\n\r\n", Error::BadChunkEnd),
    ("5\r\nhello!!\r\n0\r\n\r\n", Error::BadChunkEnd),
    ("5\r\nhello\n0\r\n\r\n", Error::BadChunkEnd),
    ("5\r\nhello\r0\r\n\r\n", Error::BadChunkEnd),
    ("5\r\nhello!\n0\r\n\r\n", Error::BadChunkEnd),
    ("5\r\nhell\r\n0\r\n\r\n", Error::BadChunkEnd),
    // Extensions.
    ("5 \r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5\t\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5 a\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;;a\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;=b\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a=\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a \r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a=b \r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a=\"b\" \r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a b\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;bad[=x\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;\0a\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a=\"\0\"\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    ("5;a=\"b\r\nhello\r\n0\r\n\r\n", Error::BadChunkExtension),
    // Trailers.
    ("0\r\n\n", Error::BareLf),
    ("0\r\nA: b\n\r\n", Error::BareLf),
    ("0\r\n\rA: b\r\n\r\n", Error::BareCr),
    ("0\r\nA: b\r\n c\r\n\r\n", Error::ObsFold),
    ("0\r\n A: b\r\n\r\n", Error::ObsFold),
    ("0\r\nA : b\r\n\r\n", Error::SpaceBeforeColon),
    ("0\r\nA\r\n\r\n", Error::NoColon),
    ("0\r\nhello\r\n0\r\n\r\n", Error::NoColon),
];

#[test]
fn malformed_chunks() {
    for (body, error) in MALFORMED_CHUNKS {
        let wire = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        refused(wire.as_bytes(), *error, &Limits::default());
    }
}

#[test]
fn what_is_malformed_is_refused_before_the_head_ends() {
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
    super::requests::refused(chunked("0\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n").as_bytes(), Error::TooManyFields, &more);
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
fn what_began_is_kept_until_it_is_complete() {
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
