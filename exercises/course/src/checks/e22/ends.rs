//! The reasons for which a connection ends.

use super::{HOME, LONGEST_BODY, echo, home, request, says_close, stays};
use crate::{
    checks::{
        http::{about, asks, ends, ends_without_reset, refused, with_unread},
        standing,
    },
    client::Client,
    problem::{Problem, Topic},
    stage::Stage,
    web::{self, Wanted},
    web_subject::Web,
};

/// The last answer of a connection: it says so, and the end follows, although more requests were sent.
fn last(client: &mut Client, request: &[u8], wanted: &Wanted<'_>, why: &str) -> Result<(), Problem> {
    client.send(&[request, &super::request("GET", "/nothing", "", b"")].concat())?;
    let answer = client.expect_reply(wanted).map_err(about(Web::Good))?;
    if !says_close(&answer) && !goes_on(client) {
        let text = format!("`Connection: close` in the answer: {why}");
        let problem = client.complaint(&text, b"Connection: close", &answer.head);
        return Err(problem.about(Topic::Web(Web::CloseTold)));
    }
    client.expect_end(&format!("then the end: {why}")).map_err(about(Web::AfterLast))
}

/// Whether the next request is answered, too: then the end is not only not told.
fn goes_on(client: &mut Client) -> bool {
    let time = client.timing().quiet();
    client.hears_within(time) && !client.has_ended()
}

pub(super) fn closes(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    for value in ["close", "Close", "CLOSE", "keep-alive, close", "x, close ,y"] {
        let mut client = stage.connect()?;
        home(&mut client, "200", Web::Good)?;
        let request = request("GET", "/", &format!("Connection: {value}\r\n"), b"");
        last(&mut client, &request, &Wanted::ok(HOME, "200"), &format!("the request said Connection: {value}"))?;
        client.close();
    }
    let mut client = stage.connect()?;
    let two = request("GET", "/", "Connection: x\r\nConnection: close\r\n", b"");
    last(&mut client, &two, &Wanted::ok(HOME, "200"), "the second field Connection said close")?;
    let mut client = stage.connect()?;
    let lines = request("GET", "/count/2", "Connection: close\r\n", b"");
    last(&mut client, &lines, &Wanted::ok(b"line 1\nline 2\n", "200 with 2 lines"), "the request said close")?;
    let mut client = stage.connect()?;
    last(&mut client, b"GET / HTTP/1.0\r\n\r\n", &Wanted::ok(HOME, "200"), "HTTP/1.0 keeps no connection unasked")?;
    // An old client that asks for it keeps its connection, and is told.
    let mut client = stage.connect()?;
    for count in 1..=3 {
        let text = format!("200 and `Connection: keep-alive` for request {count} of an old client that asks for it");
        let request = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
        let answer = asks(&mut client, request, &Wanted::ok(HOME, &text), Web::Kept)?;
        stays(&client, &answer, &text)?;
        let told = web::field(&answer.head, "Connection").unwrap_or_default();
        if !told.split(',').any(|word| word.trim().eq_ignore_ascii_case("keep-alive")) {
            let problem = client.complaint(&text, b"Connection: keep-alive", &answer.head);
            return Err(problem.about(Topic::Web(Web::KeepTold)));
        }
    }
    last(&mut client, b"GET / HTTP/1.0\r\n\r\n", &Wanted::ok(HOME, "200"), "this time it has not asked")?;
    let mut client = stage.connect()?;
    let request = [request("GET", "/", "Connection: close\r\n", b""), with_unread("POST /echo HTTP/1.1\r\n")].concat();
    let text = "200 for the last request, although another has been sent";
    asks(&mut client, &request, &Wanted::ok(HOME, text), Web::Good)?;
    ends_without_reset(stage, &mut client, Web::AfterLast)
}

const MOST_REQUESTS: usize = 100;

pub(super) fn a_hundred(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for count in 1..MOST_REQUESTS {
        let text = format!("200 for request {count} of 100, and the connection stays");
        let web = if count < 95 { Web::Kept } else { Web::UnderHundred };
        let answer = asks(&mut client, &request("GET", "/", "", b""), &Wanted::ok(HOME, &text), web)?;
        if says_close(&answer) {
            let problem = client.complaint(&text, b"no `Connection: close`", &answer.head);
            return Err(problem.about(Topic::Web(web)));
        }
    }
    let text = "200 with `Connection: close` for request 100: it is the last";
    let answer = asks(&mut client, &request("GET", "/", "", b""), &Wanted::ok(HOME, text), Web::UnderHundred)?;
    if !says_close(&answer) {
        // One more tells whether the limit is wrong, or only not told.
        client.send(&request("GET", "/", "", b""))?;
        let web = if goes_on(&mut client) { Web::OverHundred } else { Web::CloseTold };
        let problem = client.complaint(text, b"Connection: close", &answer.head);
        return Err(problem.about(Topic::Web(web)));
    }
    client.send(&request("GET", "/", "", b""))?;
    client.expect_end("then the end: request 101 is not answered").map_err(about(Web::AfterLast))
}

pub(super) fn refusals(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let post = |fields: &str, body: &str| request("POST", "/echo", fields, body.as_bytes());
    for (name, request, web) in [
        ("no Host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Web::Host),
        ("two Hosts", b"GET / HTTP/1.1\r\nHost: one.test\r\nHost: two.test\r\n\r\n".to_vec(), Web::Host),
        ("no version", b"GET /\r\nHost: one.test\r\n\r\n".to_vec(), Web::Syntax),
        ("a blank before the colon", b"GET / HTTP/1.1\r\nHost: one.test\r\nX : y\r\n\r\n".to_vec(), Web::Syntax),
        ("a length that is no number", post("Content-Length: five\r\n", "hello"), Web::TwoReadings),
        ("a length with a sign", post("Content-Length: +5\r\n", "hello"), Web::TwoReadings),
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), Web::TwoReadings),
        (
            "a length and chunks",
            post("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            Web::TwoReadings,
        ),
        ("a chunk size with a sign", post("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n"), Web::BadChunk),
        ("a chunk that is too long", post("Transfer-Encoding: chunked\r\n", "5\r\nhello!\r\n0\r\n\r\n"), Web::BadChunk),
    ] {
        refused(stage, &request, &[400], name, web)?;
    }
    // Sizes that fit in no number, and one that does not fit behind what has come.
    for chunks in ["ffffffffffffffffff\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\nfffffffffffffffe\r\nhello\r\n0\r\n\r\n"] {
        let request = post("Transfer-Encoding: chunked\r\n", chunks);
        refused(stage, &request, &[413, 400], "a chunk size beyond all numbers", Web::BadChunk)?;
    }
    let long = format!("GET / HTTP/1.1\r\nHost: one.test\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    refused(stage, long.as_bytes(), &[431], "a head of 20,000 bytes", Web::FarOver)?;
    too_large(stage)?;
    // After requests that were answered.
    let mut client = stage.connect()?;
    home(&mut client, "200", Web::Good)?;
    let wanted = Wanted::status(&[400], "400 for the second request");
    asks(&mut client, b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: one.test\r\n\r\n", &wanted, Web::Host)?;
    ends(&mut client)?;
    let mut client = stage.connect()?;
    let request = with_unread("POST /echo HTTP/1.1\r\n");
    asks(&mut client, &request, &Wanted::status(&[400], "400: no Host, and 40,000 bytes behind it"), Web::Host)?;
    ends_without_reset(stage, &mut client, Web::AfterRefusal)
}

/// Bodies of a byte more than is allowed. All of it is sent, and the answer arrives all the same.
fn too_large(stage: &mut Stage) -> Result<(), Problem> {
    let body = stage.payload(LONGEST_BODY + 1);
    let far: Vec<u8> = body.repeat(3);
    for (name, body, web) in [("3 MiB", &far, Web::FarOver), ("1,048,577 bytes", &body, Web::OverLimit)] {
        refused(stage, &echo(body), &[413], &format!("a body of {name}"), web)?;
        let chunks = super::echo_chunked(body, 65_536);
        refused(stage, &chunks, &[413], &format!("chunks of {name}"), web)?;
    }
    Ok(())
}

pub(super) fn ends_early(stage: &mut Stage) -> Result<(), Problem> {
    for (name, part) in [
        ("in its head", b"GET / HTTP/1.1\r\nHost: one.test\r\n".to_vec()),
        ("in its body", request("POST", "/echo", "Content-Length: 10\r\n", b"hello")),
        ("in a chunk", request("POST", "/echo", "Transfer-Encoding: chunked\r\n", b"5\r\nhel")),
        ("before its last chunk", request("POST", "/echo", "Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n")),
    ] {
        let mut client = standing::connected(stage)?;
        home(&mut client, "200", Web::Good)?;
        client.send(&part)?;
        client.finish();
        let text = format!("the end, and no answer: the second request ends {name}");
        client.expect_end(&text).map_err(about(Web::HalfARequest))?;
        client.close();
    }
    let mut client = stage.connect()?;
    client.finish();
    client.expect_end("the end, and no answer: no request came").map_err(about(Web::HalfARequest))
}

/// The most bytes of a head, its empty line counted.
const LONGEST_HEAD: usize = 8192;

/// A head as long as it may be.
pub(super) fn longest_head(stage: &mut Stage) -> Result<(), Problem> {
    let padded = |padding: usize| request("GET", "/", &format!("X-Padding: {}\r\n", "x".repeat(padding)), b"");
    let text = "200: a head of 8,192 bytes is no longer than it may be";
    let wanted = Wanted { body: Some(HOME), ..Wanted::status(&[200], text) };
    asks(&mut stage.connect()?, &padded(LONGEST_HEAD - padded(0).len()), &wanted, Web::AtLimit).map(drop)
}
