//! Tests of input that is no request, or a doubtful one: each is refused for its rule.

use super::{super::*, requests::NEXT, *};

/// Refused whatever the cuts, and whatever stands behind.
pub(super) fn refused(wire: &[u8], error: Error, limits: &Limits) {
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

/// The reader does not wait for the byte after it, which may never come.
#[test]
fn a_bare_carriage_return_is_refused_when_it_is_seen() {
    for (before, last) in [
        ("GET / HTTP/1.1\r", "H"),
        ("GET / HTTP/1.1\r", "\r"),
        ("GET / HTTP/1.1\r\nHost: a\r", "\t"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r", "G"),
    ] {
        let (mut reader, limits) = (RequestReader::new(), Limits::default());
        for byte in before.as_bytes() {
            assert_eq!(reader.next(&mut &[*byte][..], &limits), Ok(None), "{before:?}");
        }
        assert_eq!(reader.next(&mut last.as_bytes(), &limits), Err(Error::BareCr), "{before:?} {last:?}");
        let whole = [before, last].concat();
        assert_eq!(RequestReader::new().next(&mut whole.as_bytes(), &limits), Err(Error::BareCr), "{whole:?}");
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
    (b"GET http://b/ HTTP/1.1\r\nHost: a/\r\n\r\n", Error::BadHost),
    (b"GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n", Error::BadHost),
    (b"GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Error::SeveralHosts),
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
    ("Content-Length: 9223372036854775808", Error::LengthTooLarge),
    ("Content-Length: 18446744073709551615", Error::LengthTooLarge),
    ("Content-Length: 18446744073709551616", Error::LengthTooLarge),
    ("Content-Length: 99999999999999999999999999999999999999", Error::LengthTooLarge),
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
    ("8000000000000000\r\n", Error::ChunkTooLarge),
    ("ffffffffffffffff\r\n", Error::ChunkTooLarge),
    ("1\r\na\r\n7fffffffffffffff\r\n", Error::BodyTooLarge),
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
