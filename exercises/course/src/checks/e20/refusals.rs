//! The requests that the parser has to refuse, and those that are just right.

use super::{IN_CHUNKS, ROOM};
use crate::{
    checks::{
        http::{about, asks, ends, flat, refused},
        standing,
    },
    fault::OVERSIZE,
    problem::{Problem, Resource},
    stage::Stage,
    web::Wanted,
    web_subject::Web,
};

pub(super) fn bad_chunks(stage: &mut Stage) -> Result<(), Problem> {
    for (name, body) in [
        ("a size that is no number", "g\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("no size, and an extension", ";x\r\nhello\r\n0\r\n\r\n"),
        ("0x before the size", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a sign before the size", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a size below 0", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a blank before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a comma behind the size", "5,\r\nhello\r\n0\r\n\r\n"),
        ("a size that fits in no number", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a chunk that is longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
        ("a chunk that is shorter than its size", "5\r\nhell\r\n0\r\n\r\n"),
        ("no CR LF behind a chunk", "5\r\nhello0\r\n\r\n"),
        ("a trailer that is no field", "5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
    ] {
        refused(stage, [IN_CHUNKS, body].concat().as_bytes(), &[400], name, Web::BadChunk)?;
    }
    Ok(())
}

pub(super) fn smuggling(stage: &mut Stage) -> Result<(), Problem> {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for (name, fields, body) in [
        ("a length and chunks", "Content-Length: 15\r\nTransfer-Encoding: chunked", chunks),
        ("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 15", chunks),
        ("two lengths, 5 and 0", "Content-Length: 5\r\nContent-Length: 0", "hello"),
        ("two lengths, 0 and 5", "Content-Length: 0\r\nContent-Length: 5", "hello"),
        ("the same length twice", "Content-Length: 5\r\nContent-Length: 5", "hello"),
        ("a list of lengths", "Content-Length: 5, 5", "hello"),
        ("a length with a sign", "Content-Length: +5", "hello"),
        ("a length below 0", "Content-Length: -5", "hello"),
        ("a length in hexadecimal", "Content-Length: 0x5", "hello"),
        ("a length with a fraction", "Content-Length: 5.0", "hello"),
        ("a length with a blank in it", "Content-Length: 5 5", "hello"),
        ("an empty length", "Content-Length:", "hello"),
        ("a length that fits in no number", "Content-Length: 18446744073709551621", "hello"),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
        refused(stage, request.as_bytes(), &[400], name, Web::TwoReadings)?;
    }
    for (name, fields) in [
        ("the coding xchunked", "Transfer-Encoding: xchunked"),
        ("the coding chunkedx", "Transfer-Encoding: chunkedx"),
        ("the codings chunked, identity", "Transfer-Encoding: chunked, identity"),
        ("the coding identity", "Transfer-Encoding: identity"),
        ("the coding gzip alone", "Transfer-Encoding: gzip"),
        ("the coding chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("an empty coding", "Transfer-Encoding:"),
        ("the coding \"chunked\" in quotes", "Transfer-Encoding: \"chunked\""),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{chunks}");
        refused(stage, request.as_bytes(), &[400, 501], name, Web::TwoReadings)?;
    }
    let old = format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    refused(stage, old.as_bytes(), &[400, 501], "chunks in HTTP/1.0, which has none", Web::TwoReadings)
}

pub(super) fn bare(stage: &mut Stage) -> Result<(), Problem> {
    for (name, request) in [
        ("LF alone at all ends", "GET / HTTP/1.1\nHost: a\n\n"),
        ("LF alone behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        ("LF alone behind a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        ("LF alone as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        (
            "a field that LF hides in another",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n"),
        ("CR CR LF behind a field", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n"),
        ("CR in the request line", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("LF alone before the request", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        refused(stage, request.as_bytes(), &[400], name, Web::LineEnd)?;
    }
    for (name, body) in [
        ("LF alone behind the size of a chunk", "5\nhello\r\n0\r\n\r\n"),
        ("LF alone behind a chunk", "5\r\nhello\n0\r\n\r\n"),
        ("CR in an extension", "5;x\ry\r\nhello\r\n0\r\n\r\n"),
        ("LF alone behind the last size", "5\r\nhello\r\n0\n\r\n"),
        ("LF alone behind a trailer", "5\r\nhello\r\n0\r\nX: y\n\r\n"),
        ("LF alone as the last line", "5\r\nhello\r\n0\r\n\n"),
    ] {
        refused(stage, [IN_CHUNKS, body].concat().as_bytes(), &[400], name, Web::LineEnd)?;
    }
    // Nothing comes behind it: a server that looks for an empty line only would wait.
    let mut client = standing::connected(stage)?;
    let wanted = Wanted::status(&[400], "400 at once: an LF came that no CR precedes");
    asks(&mut client, b"GET / HTTP/1.1\nHost: a\n", &wanted, Web::LineEnd)?;
    ends(&mut client)
}

pub(super) fn bad_heads(stage: &mut Stage) -> Result<(), Problem> {
    for (name, fields) in [
        ("no Host", "X: y\r\n"),
        ("two Hosts", "Host: a\r\nHost: b\r\n"),
        ("the same Host twice", "Host: a\r\nHOST: a\r\n"),
    ] {
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        refused(stage, request.as_bytes(), &[400], name, Web::Host)?;
    }
    for (name, field) in [
        ("a blank before the colon", "X : y"),
        ("no colon", "X y"),
        ("no name", ": y"),
        ("a line that begins with a blank", "X: y\r\n folded"),
        ("a byte 0 in a value", "X: a\0b"),
        ("a byte 0 in a name", "X\0: y"),
        ("a bracket in a name", "X(y): z"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        refused(stage, request.as_bytes(), &[400], name, Web::Syntax)?;
    }
    for (name, line, statuses) in [
        ("no target", "GET HTTP/1.1", &[400, 505][..]),
        ("no version", "GET /", &[400, 505]),
        ("another protocol", "GET / HTTQ/1.1", &[400, 505]),
        ("HTTP/2.0 on such a connection", "GET / HTTP/2.0", &[505, 400]),
        ("four parts", "GET / / HTTP/1.1", &[400, 505]),
        ("a method that is no word", "G@T / HTTP/1.1", &[400]),
        ("a blank before the method", " GET / HTTP/1.1", &[400]),
    ] {
        let request = format!("{line}\r\nHost: a\r\n\r\n");
        refused(stage, request.as_bytes(), statuses, name, Web::Syntax)?;
    }
    Ok(())
}

const LONGEST_HEAD: usize = 8192;
const MOST_FIELDS: usize = 64;
const LONGEST_CHUNK_LINE: usize = 256;
const LONGEST_TRAILERS: usize = 4096;

/// `before`, so many letters, `after`: all together so long.
fn filled(before: &str, length: usize, after: &str) -> String {
    format!("{before}{}{after}", "x".repeat(length - before.len() - after.len()))
}

pub(super) fn limits(stage: &mut Stage) -> Result<(), Problem> {
    let at_limit = |stage: &mut Stage, request: &str, name: &str| {
        let mut client = standing::connected(stage)?;
        let text = format!("200: {name} is allowed");
        asks(&mut client, request.as_bytes(), &Wanted::status(&[200], &text), Web::AtLimit)?;
        client.close();
        Ok(())
    };
    let over = |stage: &mut Stage, request: &str, statuses: &[u16], name: &str, web| {
        refused(stage, request.as_bytes(), statuses, name, web)
    };
    let head = |length| filled("GET / HTTP/1.1\r\nHost: a\r\nX: ", length, "\r\n\r\n");
    at_limit(stage, &head(LONGEST_HEAD), "a head of 8,192 bytes")?;
    over(stage, &head(3 * LONGEST_HEAD), &[431], "a head of 24,576 bytes", Web::FarOver)?;
    over(stage, &head(LONGEST_HEAD + 1), &[431], "a head of 8,193 bytes", Web::OverLimit)?;
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    at_limit(stage, &fields(MOST_FIELDS), "a head of 64 fields")?;
    over(stage, &fields(3 * MOST_FIELDS), &[431], "a head of 192 fields", Web::FarOver)?;
    over(stage, &fields(MOST_FIELDS + 1), &[431], "a head of 65 fields", Web::OverLimit)?;
    let chunk = |length| format!("{IN_CHUNKS}{}hello\r\n0\r\n\r\n", filled("5;", length, "\r\n"));
    at_limit(stage, &chunk(LONGEST_CHUNK_LINE), "a chunk line of 256 bytes, CR LF counted,")?;
    over(stage, &chunk(3 * LONGEST_CHUNK_LINE), &[400], "a chunk line of 768 bytes", Web::FarOver)?;
    over(stage, &chunk(LONGEST_CHUNK_LINE + 1), &[400], "a chunk line of 257 bytes", Web::OverLimit)?;
    let trailers = |length| format!("{IN_CHUNKS}0\r\n{}", filled("X: ", length, "\r\n\r\n"));
    at_limit(stage, &trailers(LONGEST_TRAILERS), "4,096 bytes of trailers, their empty line counted,")?;
    over(stage, &trailers(3 * LONGEST_TRAILERS), &[431], "12,288 bytes of trailers", Web::FarOver)?;
    over(stage, &trailers(LONGEST_TRAILERS + 1), &[431], "4,097 bytes of trailers", Web::OverLimit)
}

pub(super) fn no_end(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let before = stage.amount(Resource::Memory);
    let many = "x".repeat(OVERSIZE);
    let trailers = "X: y\r\n".repeat(OVERSIZE / 6);
    for (name, text, statuses) in [
        ("a target", format!("GET /{many}"), &[431, 414, 400][..]),
        ("a field", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {many}"), &[431, 400]),
        ("a row of fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{trailers}"), &[431, 400]),
        ("the size of a chunk", format!("{IN_CHUNKS}{}", many.replace('x', "0")), &[400, 431]),
        ("an extension of a chunk", format!("{IN_CHUNKS}5;{many}"), &[400, 431]),
        ("a row of trailers", format!("{IN_CHUNKS}0\r\n{trailers}"), &[431, 400]),
    ] {
        let mut client = stage.connect()?;
        let text_wanted = format!("{}: {name} without end", statuses[0]);
        asks(&mut client, text.as_bytes(), &Wanted::status(statuses, &text_wanted), Web::Endless)?;
        client.expect_gone("then the end").map_err(about(Web::AfterRefusal))?;
        client.close();
    }
    flat(stage, before, ROOM, "that nothing is kept of a part without end", Web::Endless)
}
