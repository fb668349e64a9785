//! Responses: what is read, what is refused, and by which rule.

use super::{super::*, *};

fn heard(methods: &[Method], wire: &str) -> Heard {
    hear_all_ways(|| responses_to(methods), wire.as_bytes(), &Limits::default())
}

fn events(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.to_string()).collect()
}

const WELL_FORMED_RESPONSES: &[(Method, &str, &[&str], &str)] = &[
    (
        Method::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        &[r#"HTTP/1.1 200 [OK] {"Content-Length": "5"} Exact(5)"#, "= hello", "."],
        "between messages",
    ),
    // RFC 9112 §4: the reason may be empty, and its space is often missing.
    (Method::Get, "HTTP/1.1 204 \r\n\r\n", &["HTTP/1.1 204 [] {} Empty", "."], "between messages"),
    (Method::Get, "HTTP/1.1 204\r\n\r\n", &["HTTP/1.1 204 [] {} Empty", "."], "between messages"),
    (
        Method::Get,
        "HTTP/1.1 404 Gibt\tes nicht: \u{e9} \r\nContent-Length:0\r\n\r\n",
        &[r#"HTTP/1.1 404 [Gibt	es nicht: é ] {"Content-Length": "0"} Empty"#, "."],
        "between messages",
    ),
    // RFC 9110 §15: an unknown code is framed like any other.
    (
        Method::Get,
        "HTTP/1.1 999 ?\r\nContent-Length: 1\r\n\r\nx",
        &[r#"HTTP/1.1 999 [?] {"Content-Length": "1"} Exact(1)"#, "= x", "."],
        "between messages",
    ),
    (
        Method::Get,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n",
        &[r#"HTTP/1.1 200 [OK] {"Transfer-Encoding": "chunked"} Chunked"#, "= abc", r#". {"T": "u"}"#],
        "between messages",
    ),
    // RFC 9110 §8.6: leading zeros are legal, and some servers pad.
    (
        Method::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: 0003\r\n\r\nabc",
        &[r#"HTTP/1.1 200 [OK] {"Content-Length": "0003"} Exact(3)"#, "= abc", "."],
        "between messages",
    ),
    // Rule 8: until the connection closes.
    (Method::Get, "HTTP/1.0 200 OK\r\n\r\nabc", &["HTTP/1.0 200 [OK] {} UntilClose", "= abc"], "complete by close"),
    (Method::Get, "HTTP/1.1 200 OK\r\n\r\n", &["HTTP/1.1 200 [OK] {} UntilClose"], "complete by close"),
    // 205 has no rule of its own: it is framed by its fields.
    (
        Method::Get,
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        &[r#"HTTP/1.1 205 [Reset Content] {"Content-Length": "0"} Empty"#, "."],
        "between messages",
    ),
    // Rule 1.
    (
        Method::Head,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        &[r#"HTTP/1.1 200 [OK] {"Content-Length": "5"} Empty"#, "."],
        "between messages",
    ),
    (
        Method::Head,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        &[r#"HTTP/1.1 200 [OK] {"Transfer-Encoding": "chunked"} Empty"#, "."],
        "between messages",
    ),
    (Method::Head, "HTTP/1.1 200 OK\r\n\r\n", &["HTTP/1.1 200 [OK] {} Empty", "."], "between messages"),
    (
        Method::Get,
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        &[r#"HTTP/1.1 304 [Not Modified] {"Content-Length": "5"} Empty"#, "."],
        "between messages",
    ),
    (
        Method::Get,
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        &[r#"HTTP/1.1 204 [No Content] {"Content-Length": "5"} Empty"#, "."],
        "between messages",
    ),
    // Interim responses.
    (
        Method::Post,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        &[
            "interim HTTP/1.1 100 [Continue] {}",
            r#"interim HTTP/1.1 103 [Early Hints] {"Link": "a"}"#,
            r#"HTTP/1.1 200 [OK] {"Content-Length": "1"} Exact(1)"#,
            "= x",
            ".",
        ],
        "between messages",
    ),
    (
        Method::Head,
        "HTTP/1.1 199 x\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        &[
            r#"interim HTTP/1.1 199 [x] {"Content-Length": "3"}"#,
            r#"HTTP/1.1 200 [OK] {"Content-Length": "3"} Empty"#,
            ".",
        ],
        "between messages",
    ),
    // RFC 9112 §5.1: white space before a colon is removed, also in trailers.
    (
        Method::Get,
        "HTTP/1.1 200 OK\r\nA : b : c\r\nTransfer-Encoding\t :chunked\r\n\r\n1\r\nx\r\n0\r\nSum : 1\r\n\r\n",
        &[r#"HTTP/1.1 200 [OK] {"A": "b : c", "Transfer-Encoding": "chunked"} Chunked"#, "= x", r#". {"Sum": "1"}"#],
        "between messages",
    ),
    // An interim response is no response.
    (Method::Post, "HTTP/1.1 100 Continue\r\n\r\n", &["interim HTTP/1.1 100 [Continue] {}"], "between messages"),
    // Tunnels. Rule 2: length and coding are ignored, however wrong.
    (
        Method::Get,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        &[r#"switched HTTP/1.1 101 [Switching Protocols] {"Upgrade": "websocket"}"#],
        "between messages",
    ),
    (
        Method::Connect,
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        &[r#"switched HTTP/1.1 200 [OK] {"Content-Length": "x", "Transfer-Encoding": "chunked"}"#],
        "between messages",
    ),
    (
        Method::Connect,
        "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno",
        &[r#"HTTP/1.1 407 [No] {"Content-Length": "2"} Exact(2)"#, "= no", "."],
        "between messages",
    ),
];

#[test]
fn well_formed_responses() {
    for (method, wire, expected, outcome) in WELL_FORMED_RESPONSES {
        let heard = heard(std::slice::from_ref(method), wire);
        assert_eq!((heard.events, &*heard.outcome), (events(expected), *outcome), "{wire:?}");
    }
}

#[test]
fn another_response_behind() {
    const NEXT: &str = "HTTP/1.1 299 next\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nn\r\n0\r\n\r\n";
    for (method, wire, expected, outcome) in WELL_FORMED_RESPONSES {
        if expected.last() != Some(&".") || *outcome != "between messages" {
            continue;
        }
        let heard = heard(&[method.clone(), Method::Get], &format!("{wire}{NEXT}"));
        let next = [r#"HTTP/1.1 299 [next] {"Transfer-Encoding": "chunked"} Chunked"#, "= n", "."];
        assert_eq!(heard.events, events(&[expected, &next[..]].concat()), "{wire:?}");
    }
}

#[test]
fn responses_follow_requests_in_order() {
    let wire = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
                HTTP/1.1 304 Not Modified\r\n\r\n";
    let heard = heard(&[Method::Head, Method::Get, Method::Get], wire);
    assert_eq!(heard.outcome, "between messages");
    assert_eq!(heard.events.len(), 7, "{heard:?}");
}

#[test]
fn a_response_without_a_request_is_refused() {
    // One request, one response, and bytes behind it: the answer to nothing, or the body of a HEAD.
    for behind in ["HTTP/1.1 408 Request Timeout\r\n\r\n", "\r\n", "x"] {
        let wire = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx{behind}");
        assert_eq!(heard(&[Method::Get], &wire).outcome, Error::Unsolicited.as_str());
    }
    assert_eq!(heard(&[], "HTTP/1.1 200 OK\r\n\r\n").outcome, Error::Unsolicited.as_str());
    assert_eq!(heard(&[Method::Head], "HTTP/1.1 200 OK\r\n\r\nabc").outcome, Error::Unsolicited.as_str());
}

const MALFORMED_RESPONSES: &[(&str, Error)] = &[
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 \r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 20 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 2000 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 099 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 2x0 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 +20 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 200OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1  200 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1\t200 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 200\tOK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 200 O\0K\r\n\r\n", Error::BadStatusLine),
    ("HTTP/1.1 200 O\x7fK\r\n\r\n", Error::BadStatusLine),
    (" HTTP/1.1 200 OK\r\n\r\n", Error::BadStatusLine),
    ("http/1.1 200 OK\r\n\r\n", Error::BadStatusLine),
    ("HTTP/01.1 200 OK\r\n\r\n", Error::BadStatusLine),
    ("ICY 200 OK\r\n\r\n", Error::BadStatusLine),
    ("<html>hello\r\n\r\n", Error::BadStatusLine),
    ("HTTP/2.0 200 OK\r\n\r\n", Error::UnsupportedVersion),
    ("HTTP/1.1 200 OK\n\n", Error::BareLf),
    ("HTTP/1.1 200 OK\r\nA: b\n\r\n", Error::BareLf),
    ("HTTP/1.1 200 OK\rA: b\r\n\r\n", Error::BareCr),
    ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", Error::BareCr),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Error::ObsFold),
    ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Error::ObsFold),
    ("HTTP/1.1 200 OK\r\n : b\r\n\r\n", Error::ObsFold),
    ("HTTP/1.1 200 OK\r\nA b : c\r\n\r\n", Error::BadFieldName),
    ("HTTP/1.1 200 OK\r\nA\x0b: c\r\n\r\n", Error::BadFieldName),
    ("HTTP/1.1 200 OK\r\nA\r\n\r\n", Error::NoColon),
    ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", Error::Nul),
    ("HTTP/1.1 200 OK\r\nA@: b\r\n\r\n", Error::BadFieldName),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Error::LengthAndCoding),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", Error::SeveralLengths),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", Error::SeveralLengths),
    ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nx", Error::BadLength),
    ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nx", Error::BadLength),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Error::NotChunked),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", Error::NotChunked),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Error::UnknownCoding),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Error::ChunkedTwice),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Error::CodingInHttp10),
    // Fields that a status overrules are checked all the same: they would be passed on.
    ("HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Error::SeveralLengths),
    ("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Error::LengthAndCoding),
    ("HTTP/1.1 100 Continue\r\nContent-Length: x\r\n\r\n", Error::BadLength),
    // Chunks.
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", Error::BadChunkSize),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", Error::BadChunkEnd),
];

#[test]
fn malformed_responses() {
    for (wire, error) in MALFORMED_RESPONSES {
        for wire in [wire.to_string(), format!("{wire}\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")] {
            let heard = heard(&[Method::Get, Method::Get], &wire);
            assert_eq!(heard.outcome, error.as_str(), "{wire:?}: {:?}", heard.events);
        }
    }
}

#[test]
fn a_malformed_head_is_refused_before_it_ends() {
    for (start, error) in [
        ("SSH-2.0-OpenSSH\r\n", Error::BadStatusLine),
        ("\r\n", Error::BadStatusLine),
        ("HTTP/1.1 200 OK\r\nA\r\n", Error::NoColon),
    ] {
        assert_eq!(heard(&[Method::Get], start).outcome, error.as_str(), "{start:?}");
    }
}

#[test]
fn an_end_inside_a_response_is_one_too_early() {
    let early = |wire: &str, complete_at: &[usize]| {
        for end in 0..=wire.len() {
            let outcome = hear(responses_to(&[Method::Get]), [&wire.as_bytes()[..end]], &Limits::default()).outcome;
            let complete = complete_at.contains(&end);
            assert_eq!(outcome == "unexpected end", !complete, "after {end} of {wire:?}: {outcome}");
        }
    };
    let wire = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    early(wire, &[0, wire.len()]);
    let wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    early(wire, &[0, wire.len()]);
    let wire = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    early(wire, &[0, 25, wire.len()]);
}

#[test]
fn a_body_until_close_is_bounded_too() {
    let limits = Limits { body: 3, ..Limits::default() };
    let read = |wire: &str| hear_all_ways(|| responses_to(&[Method::Get]), wire.as_bytes(), &limits).outcome;
    assert_eq!(read("HTTP/1.0 200 OK\r\n\r\nabc"), "complete by close");
    let past = hear(responses_to(&[Method::Get]), [&b"HTTP/1.0 200 OK\r\n\r\nabcd"[..]], &limits);
    assert_eq!(past.outcome, Error::BodyTooLarge.as_str());
}

#[test]
fn after_a_switch_the_bytes_are_left_alone() {
    let mut reader = ResponseReader::new();
    reader.expect(&Method::Get);
    let mut input = &b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello"[..];
    let limits = Limits::default();
    assert!(matches!(reader.next(&mut input, &limits), Ok(Some(ResponseEvent::Switched(_)))));
    assert_eq!(input, b"\x81\x05hello");
    assert_eq!(reader.next(&mut input, &limits), Ok(None));
    assert_eq!((input, reader.phase()), (&b"\x81\x05hello"[..], ReadPhase::Idle));
}

#[test]
fn phases_follow_the_bytes() {
    let mut reader = ResponseReader::new();
    let limits = Limits::default();
    assert_eq!(reader.phase(), ReadPhase::Idle);
    reader.expect(&Method::Get);
    let mut phase = |mut bytes: &[u8]| {
        while reader.next(&mut bytes, &limits).unwrap().is_some() {}
        reader.phase()
    };
    assert_eq!(phase(b""), ReadPhase::Idle);
    assert_eq!(phase(b"H"), ReadPhase::Head);
    assert_eq!(phase(b"TTP/1.1 100 Continue\r\n\r\n"), ReadPhase::Idle);
    assert_eq!(phase(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), ReadPhase::Body);
    assert_eq!(phase(b"x"), ReadPhase::Idle);
}

/// The content of a chunked body, in the pieces in which a caller that gathers hands it on.
fn gathered(wire: &[u8], cuts: usize) -> (Vec<Vec<u8>>, Result<(), Error>) {
    let (mut reader, mut content, mut pieces) = (ResponseReader::new(), Vec::new(), Vec::new());
    reader.expect(&Method::Get);
    for mut input in wire.chunks(cuts) {
        loop {
            match reader.next(&mut input, &Limits::default()) {
                Ok(Some(ResponseEvent::Data(data))) => {
                    pieces.push(reader.gather(data, &mut input, &Limits::default(), &mut content).to_vec());
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (pieces, Err(error)),
            }
        }
    }
    (pieces, reader.end().map(drop))
}

#[test]
fn short_chunks_of_one_input_are_one_piece() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "x".repeat(4096);
    for (body, expected) in [
        ("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n".to_owned(), &["abc"][..]),
        ("3\r\nabc\r\n0\r\n\r\n".to_owned(), &["abc"]),
        ("1;a=b\r\na\r\n00002\r\nbc\r\n0\r\nSum: 1\r\n\r\n".to_owned(), &["abc"]),
        // A piece that is long enough is handed on as it lies.
        (format!("1\r\na\r\n1000\r\n{long}\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), &["a", &long, "bc"]),
    ] {
        let wire = format!("{HEAD}{body}");
        let (pieces, outcome) = gathered(wire.as_bytes(), usize::MAX);
        let pieces: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
        assert_eq!(
            (&pieces[..], outcome),
            (&expected.iter().map(|piece| (*piece).into()).collect::<Vec<_>>()[..], Ok(()))
        );
        for cuts in 1..wire.len().min(100) {
            let (pieces, outcome) = gathered(wire.as_bytes(), cuts);
            assert_eq!((pieces.concat(), outcome), (expected.concat().into_bytes(), Ok(())), "in pieces of {cuts}");
        }
    }
    // Of a whole input, however many chunks it has.
    let many = format!("{HEAD}{}0\r\n\r\n", "1\r\nx\r\n".repeat(10_000));
    let (pieces, outcome) = gathered(many.as_bytes(), usize::MAX);
    assert_eq!((pieces.len(), pieces.concat().len(), outcome), (1, 10_000, Ok(())));
    // A fault behind good chunks is told after their content.
    let wire = format!("{HEAD}1\r\na\r\n1\r\nb\r\n1\r\ncd\r\n");
    assert_eq!(gathered(wire.as_bytes(), usize::MAX), (vec![b"abc".to_vec()], Err(Error::BadChunkEnd)));
}
