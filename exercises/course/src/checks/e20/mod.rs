//! Exercise 20, an incremental parser of HTTP requests, in a server that answers what it has found.

mod refusals;

use crate::{
    catalog::Check,
    checks::{
        http::{about, asks, flat},
        standing,
    },
    client::Client,
    fault::{Manner, cuts},
    problem::{Problem, Resource},
    stage::Stage,
    web::Wanted,
    web_subject::Web,
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "requests", promise: "what stands in a request is found, and no more", run: requests },
    Check { name: "chunks", promise: "a body in chunks is put together, whatever their sizes look like", run: chunks },
    Check { name: "every-cut", promise: "a request may be cut anywhere, and come byte by byte", run: every_cut },
    Check {
        name: "several-at-once",
        promise: "requests that come together are all found, and what is begun is kept",
        run: several,
    },
    Check { name: "bad-chunks", promise: "chunks that break a rule are refused", run: refusals::bad_chunks },
    Check { name: "smuggling", promise: "a body that can be read in two ways is refused", run: refusals::smuggling },
    Check {
        name: "bare-cr-and-lf",
        promise: "CR without LF and LF without CR are refused, as soon as they come",
        run: refusals::bare,
    },
    Check { name: "bad-heads", promise: "heads that break a rule are refused", run: refusals::bad_heads },
    Check {
        name: "limits",
        promise: "heads, fields, chunk lines and trailers have limits, and they are exact",
        run: refusals::limits,
    },
    Check { name: "no-end", promise: "parts that never end are refused, and not kept", run: refusals::no_end },
    Check { name: "long-bodies", promise: "a body of 24 MiB costs no memory", run: long_bodies },
    Check { name: "ends-early", promise: "a request that ends early is no request", run: ends_early },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// FNV-1a, as the given server computes it.
fn hash(body: &[u8]) -> u32 {
    body.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The answer to a request: its first line, its fields, and its body's length and hash.
fn found(line: &str, fields: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    let fields = fields.iter().map(|(name, value)| [name.as_bytes(), b": ", value, b"\n"].concat());
    let end = format!("body {} {:08x}\n", body.len(), hash(body)).into_bytes();
    [format!("{line}\n").into_bytes()].into_iter().chain(fields).chain([end]).collect::<Vec<_>>().concat()
}

const HOST: (&str, &[u8]) = ("host", b"a");
const CHUNKED: (&str, &[u8]) = ("transfer-encoding", b"chunked");
const IN_CHUNKS: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fn requests(stage: &mut Stage) -> Result<(), Problem> {
    let word = stage.text().replace(' ', "-");
    let mut client = standing::connected(stage)?;
    let path = format!("GET /{word}?a=b HTTP/1.1");
    let rows: &[(&str, &[u8], Vec<u8>)] = &[
        ("a plain one", b"Host: a\r\n\r\n", found(&path, &[HOST], b"")),
        (
            "names in any case, blanks around values, a value that is empty",
            b"HOST:a\r\nX-One: \t two  words \t\r\nX-Two:\r\n\r\n",
            found(&path, &[HOST, ("x-one", b"two  words"), ("x-two", b"")], b""),
        ),
        (
            "bytes beyond ASCII in a value",
            b"Host: a\r\nX: caf\xe9 caf\xc3\xa9\r\n\r\n",
            found(&path, &[HOST, ("x", b"caf\xe9 caf\xc3\xa9")], b""),
        ),
        (
            "a length of 0",
            b"Host: a\r\nContent-Length: 0\r\n\r\n",
            found(&path, &[HOST, ("content-length", b"0")], b""),
        ),
        (
            "a length, and its body",
            b"host: a\r\ncontent-length: 5\r\n\r\nhello",
            found(&path, &[HOST, ("content-length", b"5")], b"hello"),
        ),
        (
            "a body with CR, LF and 0 in it",
            b"Host: a\r\ncontent-length: 12\r\n\r\n\r\n\r\n\0GET / \n",
            found(&path, &[HOST, ("content-length", b"12")], b"\r\n\r\n\0GET / \n"),
        ),
    ];
    for (name, rest, wanted) in rows {
        let request = [path.as_bytes(), b"\r\n", rest].concat();
        asks(&mut client, &request, &Wanted::ok(wanted, &format!("200 with what was found: {name}")), Web::Good)?;
    }
    unusual(&mut client)
}

/// Requests that a parser may well take for wrong.
fn unusual(client: &mut Client) -> Result<(), Problem> {
    for name in ["Content-Length", "CONTENT-LENGTH"] {
        let request = format!("PUT / HTTP/1.1\r\nHost: a\r\n{name}: 5\r\n\r\nhello");
        let wanted = found("PUT / HTTP/1.1", &[HOST, ("content-length", b"5")], b"hello");
        let text = format!("200 with what was found: the name {name}");
        asks(client, request.as_bytes(), &Wanted::ok(&wanted, &text), Web::NameCase)?;
    }
    let rows = [
        ("a method that few know", "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", found("PURGE / HTTP/1.1", &[HOST], b"")),
        ("HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", found("GET / HTTP/1.0", &[], b"")),
        (
            "an empty line before a request",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            found("GET / HTTP/1.1", &[HOST], b""),
        ),
    ];
    for (name, request, wanted) in &rows {
        asks(client, request.as_bytes(), &Wanted::ok(wanted, &format!("200: {name}")), Web::Good)?;
    }
    Ok(())
}

/// Three requests, the first in chunks and the second with a length, and their answers.
fn script(word: &str) -> ([Vec<u8>; 3], [Vec<u8>; 3]) {
    let length = word.len().to_string();
    let requests = [
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;x=y\r\nhello\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n"
            .to_owned(),
        format!("PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{word}"),
        "GET /c HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    let answers = [
        found("POST /a HTTP/1.1", &[HOST, CHUNKED], b"hello0123456789"),
        found("PUT /b HTTP/1.1", &[HOST, ("content-length", length.as_bytes())], word.as_bytes()),
        found("GET /c HTTP/1.1", &[HOST], b""),
    ];
    (requests.map(String::into_bytes), answers)
}

/// One request after the other, each answered before the next is sent.
fn alone(client: &mut Client, requests: &[Vec<u8>; 3], answers: &[Vec<u8>; 3]) -> Result<(), Problem> {
    for ((request, answer), web) in requests.iter().zip(answers).zip([Web::ChunkSize, Web::ChunkSize, Web::Good]) {
        asks(client, request, &Wanted::ok(answer, "200 with what was found in it, which came alone"), web)?;
    }
    Ok(())
}

/// All answers of the script, in order.
fn hears_script(client: &mut Client, answers: &[Vec<u8>; 3], how: &str, web: Web) -> Result<(), Problem> {
    for (at, body) in answers.iter().enumerate() {
        let text = format!("200 with what was found in request {} of 3, {how}", at + 1);
        client.expect_reply(&Wanted::ok(body, &text)).map_err(about(web))?;
    }
    Ok(())
}

fn every_cut(stage: &mut Stage) -> Result<(), Problem> {
    let (requests, answers) = script(&stage.text());
    let wire = requests.concat();
    let mut client = standing::connected(stage)?;
    // If this fails, cuts are not to blame.
    alone(&mut client, &requests, &answers)?;
    client.send(&wire)?;
    hears_script(&mut client, &answers, "which came at once", Web::Pipelined)?;
    client.deliver(&wire, Manner::Bytewise)?;
    hears_script(&mut client, &answers, "which came byte by byte", Web::Cut)?;
    for at in cuts(stage, wire.len()) {
        client.deliver(&wire, Manner::Cut(at))?;
        hears_script(&mut client, &answers, &format!("which were cut after byte {at}"), Web::Cut)?;
    }
    Ok(())
}

fn several(stage: &mut Stage) -> Result<(), Problem> {
    let (requests, answers) = script(&stage.text());
    let wire = requests.concat();
    let mut client = standing::connected(stage)?;
    alone(&mut client, &requests, &answers)?;
    let begun = b"GET /begun HTTP/1.1\r\nHo";
    client.send(&[&wire.repeat(5)[..], begun].concat())?;
    for round in 1..=5 {
        let how = format!("round {round} of 5 that came in one piece");
        hears_script(&mut client, &answers, &how, Web::Pipelined)?;
    }
    client.expect_quiet("nothing more yet: the last request has no end").map_err(about(Web::HalfARequest))?;
    let rest = b"st: a\r\n\r\n";
    let wanted = found("GET /begun HTTP/1.1", &[HOST], b"");
    asks(&mut client, rest, &Wanted::ok(&wanted, "200 for the request that was begun before"), Web::Pipelined)?;
    // The largest heads that are allowed, many of them in a read.
    let field = format!("x: {}\r\n", "y".repeat(2000));
    let head = format!("GET /long HTTP/1.1\r\nHost: a\r\n{field}\r\n");
    client.send(head.repeat(20).as_bytes())?;
    let wanted = found("GET /long HTTP/1.1", &[HOST, ("x", &b"y".repeat(2000))], b"");
    for at in 1..=20 {
        let text = format!("200 for head {at} of 20, 2,000 bytes each: the limit is one of a head");
        client.expect_reply(&Wanted::ok(&wanted, &text)).map_err(about(Web::Pipelined))?;
    }
    let (late, wanted) = (b"\r\nGET /late HTTP/1.1\r\nHost: a\r\n\r\n", found("GET /late HTTP/1.1", &[HOST], b""));
    asks(&mut client, late, &Wanted::ok(&wanted, "200: an empty line before it is no request"), Web::Good).map(drop)
}

fn chunks(stage: &mut Stage) -> Result<(), Problem> {
    let long = "z".repeat(300);
    let rows: &[(&str, &str, String, &str)] = &[
        ("one chunk of 5 bytes", "chunked", "5\r\nhello\r\n0\r\n\r\n".into(), "hello"),
        ("no chunk but the last", "chunked", "0\r\n\r\n".into(), ""),
        ("10 is sixteen", "chunked", "10\r\n0123456789abcdef\r\n0\r\n\r\n".into(), "0123456789abcdef"),
        (
            "sizes in small and capital letters",
            "chunked",
            "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n".into(),
            "01234567890123456789a",
        ),
        ("zeros before the size", "chunked", "0005\r\nhello\r\n000\r\n\r\n".into(), "hello"),
        ("12c is 300", "chunked", format!("12c\r\n{long}\r\n0\r\n\r\n"), &long),
        ("extensions", "chunked", "5;name=value;x\r\nhello\r\n0;last\r\n\r\n".into(), "hello"),
        ("trailers", "chunked", "5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n".into(), "hello"),
        (
            "CR LF and a size among the bytes",
            "chunked",
            "9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n".into(),
            "\r\n0\r\n\r\n\r\n",
        ),
        ("the coding's name in another case", "Chunked", "5\r\nhello\r\n0\r\n\r\n".into(), "hello"),
    ];
    let next = found("GET /next HTTP/1.1", &[HOST], b"");
    for (name, coding, body, content) in rows {
        let mut client = standing::connected(stage)?;
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n{body}");
        let wanted = found("POST / HTTP/1.1", &[HOST, ("transfer-encoding", coding.as_bytes())], content.as_bytes());
        let text = format!("200, and a body of {} bytes: {name}", content.len());
        asks(&mut client, request.as_bytes(), &Wanted::ok(&wanted, &text), Web::ChunkSize)?;
        // A body that was left too early, or too late, shows in the next request.
        let text = format!("200 for the request behind that: {name}");
        let request = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
        asks(&mut client, request, &Wanted::ok(&next, &text), Web::ChunkSize)?;
        client.close();
    }
    Ok(())
}

/// The most by which the memory may grow, in KiB, while nothing should be kept.
const ROOM: u64 = 4 * 1024;

/// The length of a long body, and of the pieces in which it is sent.
const LONG: usize = 24 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

fn long_bodies(stage: &mut Stage) -> Result<(), Problem> {
    let piece = stage.payload(PIECE);
    let content = piece.repeat(LONG / PIECE);
    let mut client = standing::connected(stage)?;
    let wanted = found("GET / HTTP/1.1", &[HOST], b"");
    asks(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &Wanted::ok(&wanted, "200"), Web::Good)?;
    let before = stage.amount(Resource::Memory);
    let length = LONG.to_string();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
    let (last, most) = piece.split_last().unwrap_or((&0, &[]));
    for _ in 1..LONG / PIECE {
        client.send(&piece)?;
    }
    client.send(most)?;
    client.until_read();
    flat(stage, before, ROOM, "that nothing is kept of a body of 24 MiB, of which a byte is missing", Web::LongBody)?;
    let wanted = found("POST / HTTP/1.1", &[HOST, ("content-length", length.as_bytes())], &content);
    asks(&mut client, &[*last], &Wanted::ok(&wanted, "200 for a body of 24 MiB"), Web::Good)?;
    client.send(IN_CHUNKS.as_bytes())?;
    let chunk = [format!("{PIECE:x}\r\n").as_bytes(), &piece, b"\r\n"].concat();
    for _ in 0..LONG / PIECE {
        client.send(&chunk)?;
    }
    client.until_read();
    flat(stage, before, ROOM, "that nothing is kept of 384 chunks", Web::LongBody)?;
    let wanted = found("POST / HTTP/1.1", &[HOST, CHUNKED], &content);
    asks(&mut client, b"0\r\n\r\n", &Wanted::ok(&wanted, "200 for 384 chunks"), Web::ChunkSize)?;
    Ok(())
}

fn ends_early(stage: &mut Stage) -> Result<(), Problem> {
    for (name, part) in [
        ("in the request line", "GET / HT".to_owned()),
        ("before the empty line", "GET / HTTP/1.1\r\nHost: a\r\n".to_owned()),
        ("in a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello".to_owned()),
        ("in a chunk", format!("{IN_CHUNKS}5\r\nhel")),
        ("before the last chunk", format!("{IN_CHUNKS}5\r\nhello\r\n")),
        ("before the last line", format!("{IN_CHUNKS}5\r\nhello\r\n0\r\n")),
    ] {
        let mut client = standing::connected(stage)?;
        client.send(part.as_bytes())?;
        client.finish();
        let text = format!("the end, and no answer: the request ends {name}");
        client.expect_end(&text).map_err(about(Web::HalfARequest))?;
        client.close();
    }
    let mut client = stage.connect()?;
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\nGET /")?;
    client.finish();
    for host in ["a", "b"] {
        let wanted = found("GET / HTTP/1.1", &[("host", host.as_bytes())], b"");
        let text = format!("200 for the request to {host}, which is complete");
        client.expect_reply(&Wanted::ok(&wanted, &text)).map_err(about(Web::Pipelined))?;
    }
    client.expect_end("the end: the third request has none").map_err(about(Web::HalfARequest))
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        let mut client = standing::connected(stage)?;
        let wanted = found("GET / HTTP/1.1", &[HOST], b"");
        asks(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &Wanted::ok(&wanted, "200"), Web::Good)?;
        client.close();
        Ok(())
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..50 {
            let mut client = standing::connected(stage)?;
            client.send(format!("{IN_CHUNKS}5\r\nhel").as_bytes())?;
            client.abort();
            standing::connected(stage)?.close();
        }
        Ok(())
    })
}
