use super::{
    super::testing::{Lines, head, now, partial, request, response, stored, stored_as},
    *,
};
use crate::cache::Body;

const DATE: (&str, &str) = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");

fn answered(request: &RequestHead, stored: &Stored) -> Result<Answer, Incomplete> {
    answer(request, stored, now().wall, || 0xb0)
}

/// Head and content as they go over the wire.
fn wire(request: &RequestHead, stored: &Stored) -> (String, String) {
    let answer = answered(request, stored).unwrap();
    let mut head = Vec::new();
    answer.write_head(stored, &mut head);
    let body: Vec<Bytes> = answer.body(stored).collect();
    assert_eq!(body.concat().len() as u64, answer.length(stored));
    (String::from_utf8(head).unwrap(), String::from_utf8(body.concat()).unwrap())
}

#[test]
fn the_whole_and_its_head() {
    let stored = stored(&[("Content-Type", "a/b"), ("ETag", "\"a\""), DATE, ("Age", "7")], "abcdefgh");
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                    Content-Length: 8\r\n";
    assert_eq!(wire(&request(&[]), &stored), (expected.to_owned(), "abcdefgh".to_owned()));
    // RFC 9110 §9.3.2: the same fields, no content.
    assert_eq!(wire(&head(&[]), &stored), (expected.to_owned(), String::new()));
    assert_eq!(wire(&head(&[("Range", "bytes=0-1")]), &stored), (expected.to_owned(), String::new()));
}

#[test]
fn a_stored_response_is_sent_as_it_was() {
    for (status, line, length) in [
        (200, "HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n"),
        (404, "HTTP/1.1 404 Not Found\r\n", "Content-Length: 0\r\n"),
        (299, "HTTP/1.1 299 \r\n", "Content-Length: 0\r\n"),
        (204, "HTTP/1.1 204 No Content\r\n", ""),
    ] {
        let stored = stored_as(&[], &response(status, &[DATE]), Body::whole(Vec::new()), now());
        // No part of what is no 200, nor a condition on it; and no part of nothing.
        let request = request(&[("Range", "bytes=0-0"), ("If-Modified-Since", "Sun, 06 Nov 1994 08:00:00 GMT")]);
        let (head, body) = wire(&request, &stored);
        assert_eq!(head, format!("{line}Date: {}\r\n{length}", DATE.1));
        assert_eq!(body, "");
    }
    let stored = stored_as(&[], &response(404, &[DATE]), Body::whole(vec![Bytes::from_static(b"none")]), now());
    assert_eq!(wire(&request(&[("Range", "bytes=0-0")]), &stored).1, "none");
}

#[test]
fn the_fields_of_a_304() {
    let all = [
        ("Cache-Control", "max-age=9"),
        ("Content-Location", "/b"),
        DATE,
        ("ETag", "\"a\""),
        ("Expires", "x"),
        ("Vary", "Foo"),
        ("Server", "s"),
        ("Set-Cookie", "a=b"),
    ];
    let described = [
        ("Content-Type", "a/b"),
        ("Content-Encoding", "gzip"),
        ("Content-Language", "de"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:00:00 GMT"),
    ];
    // RFC 9110 §15.4.5: these must be there, and nothing that describes the representation should.
    let lines: Vec<_> = described.into_iter().chain(all).collect();
    let (head, body) = wire(&request(&[("If-None-Match", "\"a\"")]), &stored(&lines, "abc"));
    let expected: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    assert_eq!(head, format!("HTTP/1.1 304 Not Modified\r\n{expected}"));
    assert_eq!(body, "");
    // Without a tag, Last-Modified is what the client has to go by.
    let (head, _) = wire(&request(&[("If-Modified-Since", DATE.1)]), &stored(&[described[3], DATE], "abc"));
    assert!(head.contains("Last-Modified"), "{head}");
}

#[test]
fn a_condition_precedes_a_range() {
    // RFC 9110 §13.2.2.
    let stored = stored(&[("ETag", "\"a\"")], "abc");
    let both = request(&[("Range", "bytes=9-"), ("If-None-Match", "\"a\""), ("If-Range", "\"b\"")]);
    assert_eq!(answered(&both, &stored), Ok(Answer::NotModified));
    let head = head(&[("If-None-Match", "\"a\"")]);
    assert_eq!(answered(&head, &stored), Ok(Answer::NotModified));
}

#[test]
fn one_part() {
    let fields = [("Content-Type", "a/b"), ("ETag", "\"a\""), DATE];
    let stored = stored(&fields, "abcdefgh");
    let (head, body) = wire(&request(&[("Range", "bytes=2-3")]), &stored);
    // RFC 9110 §15.3.7.1: all that a 200 would have, and which part.
    let expected = "HTTP/1.1 206 Partial Content\r\nContent-Type: a/b\r\nETag: \"a\"\r\n\
                    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Range: bytes 2-3/8\r\nContent-Length: 2\r\n";
    assert_eq!((head.as_str(), body.as_str()), (expected, "cd"));
    // §15.3.7: a client that names the version it has should not be told again what that is.
    let (head, body) = wire(&request(&[("Range", "bytes=-1"), ("If-Range", "\"a\"")]), &stored);
    let expected = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                    Content-Range: bytes 7-7/8\r\nContent-Length: 1\r\n";
    assert_eq!((head.as_str(), body.as_str()), (expected, "h"));
    // §13.1.5: another version gets the whole.
    let (head, body) = wire(&request(&[("Range", "bytes=-1"), ("If-Range", "\"b\"")]), &stored);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body == "abcdefgh", "{head}");
}

#[test]
fn a_digest_of_the_whole_is_none_of_its_parts() {
    // RFC 9530 §2: Content-Digest is that of the bytes in the message, Repr-Digest that of the representation.
    let content: String = ('a'..='z').cycle().take(300).collect();
    let stored =
        stored(&[("Content-Digest", "sha-256=:x:"), ("Content-MD5", "x"), ("Repr-Digest", "sha-256=:x:")], &content);
    for (range, digest) in [(None, true), (Some("bytes=0-1"), false), (Some("bytes=0-1, -1"), false)] {
        let lines: Vec<_> = range.iter().map(|range| ("Range", *range)).collect();
        let (head, _) = wire(&request(&lines), &stored);
        let has = |name: &str| head.contains(&format!("\r\n{name}: "));
        assert_eq!((has("Content-Digest"), has("Content-MD5"), has("Repr-Digest")), (digest, digest, true), "{head}");
    }
}

#[test]
fn no_part_of_what_is_not_there() {
    // RFC 9110 §15.5.17, §14.4, §6.6.1.
    let (head, body) = wire(&request(&[("Range", "bytes=8-")]), &stored(&[DATE, ("Content-Type", "a/b")], "abcdefgh"));
    let expected = "HTTP/1.1 416 Range Not Satisfiable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                    Content-Range: bytes */8\r\nContent-Length: 0\r\n";
    assert_eq!((head.as_str(), body.as_str()), (expected, ""));
}

#[test]
fn several_parts() {
    let content: String = ('a'..='z').cycle().take(300).collect();
    let stored = stored(&[("Content-Type", "a/b; c=d"), DATE], &content);
    let (head, body) = wire(&request(&[("Range", "bytes=200-202, 0-1")]), &stored);
    let boundary = "000000000000000000000000000000b0";
    // RFC 9110 §15.3.7.2: which part in each part, and not in the head.
    let parts = format!(
        "--{boundary}\r\nContent-Type: a/b; c=d\r\nContent-Range: bytes 200-202/300\r\n\r\nstu\r\n\
         --{boundary}\r\nContent-Type: a/b; c=d\r\nContent-Range: bytes 0-1/300\r\n\r\nab\r\n--{boundary}--\r\n"
    );
    let expected = format!(
        "HTTP/1.1 206 Partial Content\r\nDate: {}\r\nContent-Type: multipart/byteranges; boundary={boundary}\r\n\
         Content-Length: {}\r\n",
        DATE.1,
        parts.len()
    );
    assert_eq!((head, body), (expected, parts));
    // §15.3.7: to who has named what it has, not what that is; but in each part its type (§14.6).
    let described = [("Content-Type", "a/b"), ("Content-Encoding", "gzip"), ("ETag", "\"a\""), DATE];
    let described = super::super::testing::stored(&described, &content);
    for (if_range, encoded) in [(None, true), (Some("\"a\""), false)] {
        let mut request = request(&[("Range", "bytes=0-0, -1")]);
        if_range.iter().for_each(|tag| request.fields.push("If-Range", tag));
        let (head, body) = wire(&request, &described);
        assert_eq!(head.contains("Content-Encoding"), encoded, "{head}");
        assert!(head.contains("ETag") && body.contains("Content-Type: a/b\r\n"), "{head}{body}");
    }
    // A response without a type has none in its parts either.
    let stored = super::super::testing::stored(&[DATE], &content);
    let (_, body) = wire(&request(&[("Range", "bytes=0-0, -1")]), &stored);
    assert!(body.starts_with(&format!("--{boundary}\r\nContent-Range: bytes 0-0/300\r\n\r\na\r\n--")), "{body}");
}

#[test]
fn content_is_not_copied() {
    let content: String = ('a'..='z').cycle().take(300).collect();
    let stored = stored(&[], &content);
    for lines in [&[][..], &[("Range", "bytes=2-200")], &[("Range", "bytes=200-202, 0-1")]] {
        let request = request(lines);
        let answer = answered(&request, &stored).unwrap();
        let referenced = answer
            .body(&stored)
            .filter(|bytes| stored.body.pieces().iter().any(|piece| piece.as_ptr_range().contains(&bytes.as_ptr())));
        let length: usize = referenced.map(|bytes| bytes.len()).sum();
        let expected = match answer {
            Answer::Whole => 300,
            Answer::Part { .. } => 199,
            _ => 5,
        };
        assert_eq!(length, expected, "{lines:?}");
    }
}

#[test]
fn a_stored_part_answers_what_is_within_it_and_nothing_else() {
    // RFC 9111 §3.3: bytes 2 to 5 of 8.
    const TAGGED: Lines<'static> = &[("ETag", "\"a\""), DATE];
    let stored = partial(TAGGED, 2, "cdef", Some(8));
    for (lines, expected) in [
        (&[][..], Err(Incomplete)),
        (&[("Range", "bytes=2-5")], Ok("206 cdef")),
        (&[("Range", "bytes=3-3")], Ok("206 d")),
        (&[("Range", "bytes=1-5")], Err(Incomplete)),
        (&[("Range", "bytes=2-")], Err(Incomplete)),
        (&[("Range", "bytes=8-")], Err(Incomplete)),
        (&[("Range", "lines=2-5")], Err(Incomplete)),
        (&[("Range", "bytes=2-5"), ("If-Range", "\"a\"")], Ok("206 cdef")),
        (&[("Range", "bytes=2-5"), ("If-Range", "\"b\"")], Err(Incomplete)),
        (&[("Range", "bytes=2-5"), ("If-None-Match", "\"a\"")], Ok("304 ")),
        (&[("If-None-Match", "\"a\"")], Err(Incomplete)),
    ] {
        let request = request(lines);
        let found = answered(&request, &stored).map(|answer| {
            let content: Vec<Bytes> = answer.body(&stored).collect();
            format!("{} {}", answer.status(&stored), String::from_utf8(content.concat()).unwrap())
        });
        assert_eq!(found.as_deref(), expected.as_ref().copied(), "{lines:?}");
    }
    assert_eq!(answered(&head(&[]), &stored), Err(Incomplete));
    // Where the number of bytes is not known, no field states it either.
    let (head, body) = wire(&request(&[("Range", "bytes=2-3")]), &partial(TAGGED, 2, "cdef", None));
    assert!(head.contains("Content-Range: bytes 2-3/*\r\n") && body == "cd", "{head}");
}
