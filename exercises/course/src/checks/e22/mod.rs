//! Exercise 22, HTTP/1.1: connections that stay.

mod ends;

use crate::{
    catalog::Check,
    checks::{
        http::{about, asks},
        standing,
    },
    client::Client,
    fault::{Manner, cuts},
    problem::{Problem, Topic},
    stage::Stage,
    web::{self, Answer, Wanted},
    web_subject::Web,
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "answers", promise: "pages, 404, 405 and the echo of a body", run: answers },
    Check { name: "reuse", promise: "the connection stays, whatever the answer is", run: reuse },
    Check { name: "no-content", promise: "nothing stands behind the answers to HEAD and DELETE", run: no_content },
    Check { name: "bodies", promise: "a body comes by its length or in chunks, up to 1 MiB", run: bodies },
    Check { name: "every-cut", promise: "requests may be cut anywhere, and come byte by byte", run: every_cut },
    Check { name: "unwanted-bodies", promise: "a body that no page wants is still a body", run: unwanted },
    Check { name: "pipelining", promise: "requests that come together are answered in their order", run: pipelining },
    Check {
        name: "chunked-answers",
        promise: "a content of unknown length comes in chunks, or ends with the connection",
        run: chunked,
    },
    Check {
        name: "expect-continue",
        promise: "a client that asks before it sends a body is told to go on",
        run: expect,
    },
    Check { name: "sites", promise: "Host chooses the site, in any case and with any port", run: sites },
    Check {
        name: "closes",
        promise: "the connection ends when one side says so, and the answer tells it",
        run: ends::closes,
    },
    Check { name: "a-hundred", promise: "the hundredth answer is the last, and says so", run: ends::a_hundred },
    Check {
        name: "refusals",
        promise: "after a request that was not understood, nothing more is answered",
        run: ends::refusals,
    },
    Check { name: "ends-early", promise: "a request that ends early is no request", run: ends::ends_early },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// A request to the first site, with more fields and a body.
fn request(method: &str, path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("{method} {path} HTTP/1.1\r\nHost: one.test\r\n{fields}\r\n").as_bytes(), body].concat()
}

/// A body with its length.
fn echo(body: &[u8]) -> Vec<u8> {
    request("POST", "/echo", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// A body in chunks of so many bytes.
fn echo_chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut chunks = Vec::new();
    for piece in body.chunks(size) {
        chunks.extend([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    chunks.extend(b"0\r\n\r\n");
    request("POST", "/echo", "Transfer-Encoding: chunked\r\n", &chunks)
}

const HOME: &[u8] = b"this is one.test\n";

/// The first page of the first site, asked for on a connection that has answered before.
fn home(client: &mut Client, text: &str, web: Web) -> Result<Answer, Problem> {
    let answer = asks(client, &request("GET", "/", "", b""), &Wanted::ok(HOME, text), web)?;
    stays(client, &answer, text)?;
    Ok(answer)
}

/// Complains if an answer says that the connection ends.
fn stays(client: &Client, answer: &Answer, text: &str) -> Result<(), Problem> {
    if says_close(answer) {
        let problem = client.complaint(text, b"no `Connection: close`", &answer.head);
        return Err(problem.about(Topic::Web(Web::Kept)));
    }
    Ok(())
}

fn says_close(answer: &Answer) -> bool {
    let told = web::field(&answer.head, "Connection").unwrap_or_default();
    told.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"))
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    for (request, status, body, what) in [
        (request("GET", "/", "", b""), 200, Some(HOME), "the first page"),
        (request("GET", "/?a=b", "", b""), 200, Some(HOME), "a query is no part of the path"),
        (echo(b"hello"), 200, Some(&b"hello"[..]), "the body back"),
        (request("GET", "/nothing", "", b""), 404, None, "no such page"),
        (request("PUT", "/", "Content-Length: 0\r\n", b""), 405, None, "no such method there"),
    ] {
        let statuses = [status];
        let mut client = stage.connect()?;
        let text = format!("{status}: {what}");
        let answer = asks(&mut client, &request, &Wanted { body, ..Wanted::status(&statuses, &text) }, Web::Good)?;
        if status == 405 && !web::field(&answer.head, "Allow").unwrap_or_default().contains("GET") {
            let problem = client.complaint("405 with `Allow`", b"Allow: GET, HEAD, DELETE\r\n", &answer.head);
            return Err(problem.about(Topic::Web(Web::Allow)));
        }
        client.close();
    }
    ends::longest_head(stage)
}

fn reuse(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    home(&mut client, "200", Web::Good)?;
    for count in 2..=10 {
        home(&mut client, &format!("200 for request {count} on the same connection"), Web::Kept)?;
    }
    let rows: [(Vec<u8>, u16, &str); 4] = [
        (request("GET", "/nothing", "", b""), 404, "404 is an answer like others"),
        (request("PUT", "/", "Content-Length: 0\r\n", b""), 405, "405 is an answer like others"),
        (request("GET", "/", "Connection: keep-alive\r\n", b""), 200, "keep-alive is what 1.1 does anyway"),
        (request("GET", "/", "Connection: x-close, closed\r\n", b""), 200, "words that only look like close"),
    ];
    for (request, status, what) in rows {
        let statuses = [status];
        let answer = asks(&mut client, &request, &Wanted::status(&statuses, &format!("{status}: {what}")), Web::Kept)?;
        stays(&client, &answer, what)?;
        home(&mut client, &format!("200 on the same connection, after this: {what}"), Web::Kept)?;
    }
    // A pause between two requests is no reason to end.
    client.expect_quiet("nothing: no request is there").map_err(about(Web::Kept))?;
    home(&mut client, "200 on the same connection, after a pause", Web::Kept)?;
    Ok(())
}

fn no_content(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for (path, status) in [("/", 200), ("/nothing", 404), ("/count/1000", 200)] {
        let statuses = [status];
        let text = format!("{status}, and only a head, for HEAD {path}");
        let wanted = Wanted { to_head: true, ..Wanted::status(&statuses, &text) };
        let answer = asks(&mut client, &request("HEAD", path, "", b""), &wanted, Web::Good)?;
        if path == "/" && web::field(&answer.head, "Content-Length").is_some_and(|length| length != "17") {
            let problem = client.complaint(&text, b"Content-Length: 17", &answer.head);
            return Err(problem.about(Topic::Web(Web::HeadDiffers)));
        }
        home(&mut client, &format!("200 for the request behind HEAD {path}"), Web::AfterHead)?;
    }
    let text = "204 for DELETE /";
    let answer = asks(&mut client, &request("DELETE", "/", "", b""), &Wanted::status(&[204], text), Web::Good)?;
    if web::field(&answer.head, "Content-Length").or(web::field(&answer.head, "Transfer-Encoding")).is_some() {
        let problem = client.complaint(text, b"neither Content-Length nor Transfer-Encoding", &answer.head);
        return Err(problem.about(Topic::Web(Web::NoContent)));
    }
    home(&mut client, "200 for the request behind 204", Web::AfterNoContent)?;
    Ok(())
}

/// The most bytes of a body.
const LONGEST_BODY: usize = 1024 * 1024;

fn bodies(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let text = stage.line();
    let binary: Vec<u8> = (0..=255).collect();
    let longest = stage.payload(LONGEST_BODY);
    for (name, body) in [("a line", &text[..]), ("nothing", b""), ("all 256 bytes", &binary), ("1 MiB", &longest)] {
        let wanted = format!("200 with the body back: {name}");
        let web = if body.len() == LONGEST_BODY { Web::AtLimit } else { Web::Good };
        asks(&mut client, &echo(body), &Wanted::ok(body, &wanted), web)?;
        let chunks = if body.len() == LONGEST_BODY { 60_000 } else { 26 };
        let wanted = format!("200 with the body back that came in chunks: {name}");
        let web = if body.len() == LONGEST_BODY { Web::AtLimit } else { Web::ChunkSize };
        asks(&mut client, &echo_chunked(body, chunks), &Wanted::ok(body, &wanted), web)?;
    }
    for (name, body) in [
        ("extensions", &b"5;a=b\r\nhello\r\n0;last\r\n\r\n"[..]),
        ("trailers", b"5\r\nhello\r\n0\r\nX: y\r\nZ: z\r\n\r\n"),
        ("zeros and capital letters", b"0005\r\nhello\r\n0A\r\n, my world\r\n00\r\n\r\n"),
    ] {
        let content: &[u8] = if name.starts_with("zeros") { b"hello, my world" } else { b"hello" };
        let text = format!("200 with the body back that came in chunks: {name}");
        let request = request("POST", "/echo", "Transfer-Encoding: chunked\r\n", body);
        asks(&mut client, &request, &Wanted::ok(content, &text), Web::ChunkSize)?;
        home(&mut client, &format!("200 for the request behind that: {name}"), Web::ChunkSize)?;
    }
    for name in ["content-length", "CONTENT-LENGTH"] {
        let request = request("POST", "/echo", &format!("{name}: 5\r\n"), b"hello");
        let text = format!("200 with the body back: the field is written {name}");
        asks(&mut client, &request, &Wanted::ok(b"hello", &text), Web::NameCase)?;
    }
    Ok(())
}

/// Three requests, and the contents of their answers.
fn script(text: &[u8]) -> [(Vec<u8>, Vec<u8>); 3] {
    [(echo(text), text.to_vec()), (echo_chunked(text, 7), text.to_vec()), (request("GET", "/", "", b""), HOME.to_vec())]
}

fn hears(client: &mut Client, script: &[(Vec<u8>, Vec<u8>)], how: &str, web: Web) -> Result<(), Problem> {
    for (at, (_, content)) in script.iter().enumerate() {
        let text = format!("200 for request {} of {}, {how}", at + 1, script.len());
        let answer = client.expect_reply(&Wanted::ok(content, &text)).map_err(about(web))?;
        stays(client, &answer, &text)?;
    }
    Ok(())
}

fn every_cut(stage: &mut Stage) -> Result<(), Problem> {
    let text = stage.line();
    let script = script(&text);
    let mut client = standing::connected(stage)?;
    // If this fails, cuts are not to blame.
    for (request, content) in &script {
        asks(&mut client, request, &Wanted::ok(content, "200: the request came alone, and at once"), Web::Good)?;
    }
    for (request, content) in &script {
        // More pieces than one read more would bring.
        for piece in request.chunks(request.len() / 12) {
            client.send(piece)?;
            client.until_read();
        }
        let wanted = Wanted::ok(content, "200: the request came in twelve pieces");
        client.expect_reply(&wanted).map_err(about(Web::Cut))?;
        client.deliver(request, Manner::Bytewise)?;
        let wanted = Wanted::ok(content, "200: the request came byte by byte");
        client.expect_reply(&wanted).map_err(about(Web::Cut))?;
    }
    client.close();
    // One request after the other: a server that loses the second of two is found out by another check.
    for (request, content) in &script {
        for at in cuts(stage, request.len()) {
            let mut client = stage.connect()?;
            client.deliver(request, Manner::Cut(at))?;
            let text = format!("200: the request was cut after byte {at}");
            client.expect_reply(&Wanted::ok(content, &text)).map_err(about(Web::Cut))?;
            client.close();
        }
    }
    Ok(())
}

fn unwanted(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let hidden = request("GET", "/count/3", "", b"");
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let chunks = [format!("{:x}\r\n", hidden.len()).as_bytes(), &hidden, b"\r\n0\r\n\r\n"].concat();
    let coding = "Transfer-Encoding: chunked\r\n";
    for (request, status, what) in [
        (request("POST", "/nothing", &length, &hidden), 404, "POST to a page that is not there"),
        (request("PUT", "/", &length, &hidden), 405, "a method that is not there"),
        (request("GET", "/", &length, &hidden), 200, "GET with a body"),
        (request("DELETE", "/", &length, &hidden), 204, "DELETE with a body"),
        (request("POST", "/nothing", coding, &chunks), 404, "POST in chunks to a page that is not there"),
        (request("GET", "/", coding, &chunks), 200, "GET with a body in chunks"),
    ] {
        let statuses = [status];
        let text = format!("{status}: {what}");
        asks(&mut client, &request, &Wanted::status(&statuses, &text), Web::Good)?;
        let text = format!("200 for the request behind this: {what}. Its body looks like a request, and is none");
        home(&mut client, &text, Web::AfterBody)?;
    }
    Ok(())
}

fn pipelining(stage: &mut Stage) -> Result<(), Problem> {
    let text = stage.line();
    let mut script: Vec<(Vec<u8>, Vec<u8>)> = script(&text).into_iter().collect();
    script.push((request("GET", "/count/2", "", b""), b"line 1\nline 2\n".to_vec()));
    for (request, content) in &script {
        let mut client = standing::connected(stage)?;
        asks(&mut client, request, &Wanted::ok(content, "200: the request came alone"), Web::Good)?;
        client.close();
    }
    let all: Vec<_> = script.iter().cloned().cycle().take(20).collect();
    let wire: Vec<u8> = all.iter().flat_map(|(request, _)| request.clone()).collect();
    let mut client = standing::connected(stage)?;
    client.send(&wire)?;
    hears(&mut client, &all, "which came at once", Web::Pipelined)?;
    home(&mut client, "200: the connection stays", Web::Kept)?;
    for _ in 0..5 {
        let mut client = stage.connect()?;
        let at = 1 + stage.below(wire.len() - 1);
        client.deliver(&wire, Manner::Cut(at))?;
        hears(&mut client, &all, &format!("which came in two pieces, cut after byte {at}"), Web::Pipelined)?;
        client.close();
    }
    // The same from a client that sends nothing more.
    let mut client = stage.connect()?;
    client.send(&[&wire[..], b"GET / HTTP/1.1\r\nHo"].concat())?;
    client.finish();
    hears(&mut client, &all, "which came at once, and a FIN behind them", Web::Pipelined)?;
    client.expect_end("the end: the last request has none").map_err(about(Web::HalfARequest))
}

fn chunked(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for count in [1, 0, 2, 1000, 100_000] {
        let content: Vec<u8> = (1..=count).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
        let text = format!("200 with {count} lines");
        let path = format!("/count/{count}");
        asks(&mut client, &request("GET", &path, "", b""), &Wanted::ok(&content, &text), Web::Good)?;
        home(&mut client, &format!("200 for the request behind {count} lines"), Web::Kept)?;
    }
    for (fields, how) in [("", "HTTP/1.0"), ("Connection: keep-alive\r\n", "HTTP/1.0 with keep-alive")] {
        let mut client = stage.connect()?;
        let text = format!("200 with 3 lines and no chunks, then the end: {how}");
        let request = format!("GET /count/3 HTTP/1.0\r\n{fields}\r\n");
        let wanted = Wanted::ok(b"line 1\nline 2\nline 3\n", &text);
        let answer = asks(&mut client, request.as_bytes(), &wanted, Web::OldClient)?;
        if web::field(&answer.head, "Transfer-Encoding").is_some() {
            let problem = client.complaint(&text, b"no Transfer-Encoding", &answer.head);
            return Err(problem.about(Topic::Web(Web::OldClient)));
        }
        client.close();
    }
    Ok(())
}

fn expect(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for (fields, body) in
        [("Content-Length: 5\r\n", &b"hello"[..]), ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n")]
    {
        let fields = format!("Expect: 100-continue\r\n{fields}");
        let text = "100 Continue: the client waits for it before it sends its body";
        client.send(&request("POST", "/echo", &fields, b""))?;
        client.expect_interim(text).map_err(about(Web::Continue))?;
        asks(&mut client, body, &Wanted::ok(b"hello", "200 with the body back, which came later"), Web::Good)?;
    }
    // A client need not wait for it.
    let whole = request("POST", "/echo", "Expect: 100-Continue\r\nContent-Length: 5\r\n", b"hello");
    asks(&mut client, &whole, &Wanted::ok(b"hello", "200: the body came with its head"), Web::Good)?;
    home(&mut client, "200: the connection stays", Web::Kept)?;
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", LONGEST_BODY + 1);
    let text = "413 in place of 100: such a body is not wanted";
    asks(
        &mut client,
        &request("POST", "/echo", &fields, b""),
        &Wanted::status(&[413, 417], text),
        Web::ContinueAnyway,
    )?;
    Ok(())
}

fn sites(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for (target, host, site) in [
        ("/", "one.test", "one.test"),
        ("/", "two.test", "two.test"),
        ("/", "TWO.Test", "two.test"),
        ("/", "two.test:8080", "two.test"),
        ("/", "One.Test:80", "one.test"),
        ("http://two.test/", "one.test", "two.test"),
        ("http://TWO.TEST:8080/?a=b", "one.test", "two.test"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let content = format!("this is {site}\n");
        let text = format!("200 from {site} for GET {target} with Host: {host}");
        asks(&mut client, request.as_bytes(), &Wanted::ok(content.as_bytes(), &text), Web::Site)?;
    }
    for host in ["three.test", "one.test.evil", "xone.test", "", "127.0.0.1"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let text = format!("421 for Host: {host}");
        asks(&mut client, request.as_bytes(), &Wanted::status(&[421], &text), Web::NoSite)?;
    }
    let text = "200 from one.test: HTTP/1.0 has no Host";
    asks(&mut client, b"GET / HTTP/1.0\r\n\r\n", &Wanted::ok(HOME, text), Web::Site)?;
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        let mut client = standing::connected(stage)?;
        home(&mut client, "200", Web::Good)?;
        asks(&mut client, &echo(b"hello"), &Wanted::ok(b"hello", "200 with the body back"), Web::Kept)?;
        client.close();
        Ok(())
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..50 {
            let mut client = standing::connected(stage)?;
            home(&mut client, "200", Web::Good)?;
            client.send(&request("POST", "/echo", "Content-Length: 50000\r\n", b"half"))?;
            client.abort();
            standing::connected(stage)?.close();
        }
        Ok(())
    })
}
