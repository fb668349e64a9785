//! The log and the health page: what the server tells those who run it.

use super::{HELLO, serve_with, served, working};
use crate::{
    checks::{
        http::{about, asks},
        standing,
    },
    client::Client,
    problem::{Problem, Seen, Topic},
    stage::Stage,
    web::{Wanted, get},
    web_subject::Web,
};
use std::time::Instant;

pub(super) fn access_log(stage: &mut Stage) -> Result<(), Problem> {
    serve_with(stage, &[])?;
    let mut client = stage.connect()?;
    let address = client.address().map_or_else(|_| String::new(), |address| address.to_string());
    for (path, status, bytes) in [("/", 200, 6), ("/nothing?a=b", 404, 10), ("/work/30", 200, 5)] {
        let statuses = [status];
        asks(&mut client, &get(path), &Wanted::status(&statuses, &format!("{status} for {path}")), Web::Good)?;
        let begins = format!("access {address} \"GET {path} HTTP/1.1\" {status} {bytes} ");
        let least = if path == "/work/30" { 30 } else { 0 };
        let holds = |line: &str| {
            line.strip_prefix(&begins).and_then(|time| time.parse().ok()).is_some_and(|time: u64| time >= least)
        };
        let wanted = if least > 0 { "MILLISECONDS`, at least 30" } else { "MILLISECONDS`" };
        stage.expect_log_soon(&format!("on stderr `{begins}{wanted}"), holds)?;
    }
    // The end of the last line may be a write of its own, and come a moment later: so fewer are no complaint.
    let lines = stage.student.as_ref().map_or(0, |student| student.count_log(|line| line.starts_with("access ")));
    if lines <= 3 {
        return Ok(());
    }
    Err(Problem::new("three lines for three requests", Seen::LogFlood { lines }))
}

pub(super) fn forged(stage: &mut Stage) -> Result<(), Problem> {
    serve_with(stage, &[])?;
    let complaint = |client: &Client, line: &str| {
        let wanted = "that bytes of a client are escaped in the log";
        client.problem(wanted, Seen::NotLogged(line.to_owned())).about(Topic::Web(Web::Forged))
    };
    for (request, mark) in [
        (&b"GET /red\x1b[31mred HTTP/1.1\r\nHost: a\r\n\r\n"[..], "[31mred"),
        (b"GET /bell\x07\x08\x00end HTTP/1.1\r\nHost: a\r\n\r\n", "end HTTP"),
        (b"GET /x\naccess 6.6.6.6:6 \"GET / HTTP/1.1\" 200 6 0\r\nHost: a\r\n\r\n", "6.6.6.6"),
    ] {
        let mut client = stage.connect()?;
        client.send(request)?;
        client.expect_reply(&Wanted::status(&[404, 400], "404 or 400")).map_err(about(Web::Good))?;
        let wanted = format!("a line `access …` on stderr that has `{mark}` in it");
        stage.expect_log_soon(&wanted, |line| line.contains(mark))?;
        let Some(student) = &stage.student else { return Ok(()) };
        let raw = |line: &str| line.chars().any(char::is_control) || line.starts_with("access 6.6.6.6");
        if student.count_log(raw) > 0 {
            return Err(complaint(&client, student.last_words(1).first().map_or("", |line| line)));
        }
    }
    Ok(())
}

/// Asks for /health until it says this: a moment after a client has gone its number may be older.
fn expect_health(stage: &Stage, client: &mut Client, wanted: &str) -> Result<(), Problem> {
    let until = Instant::now() + stage.timing.patience();
    loop {
        let text = format!("200 with {wanted:?} for /health");
        let answer = asks(client, &get("/health"), &Wanted::status(&[200], &text), Web::Health)?;
        if String::from_utf8_lossy(&answer.body).starts_with(wanted) {
            return Ok(());
        }
        if Instant::now() >= until {
            let problem = client.complaint(&text, wanted.as_bytes(), &answer.body);
            return Err(problem.about(Topic::Web(Web::Health)));
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

pub(super) fn health(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let wanted = Wanted::ok(b"ok\nactive 1\nrefused 0\nrequests 0\n", "200 with the numbers, this request not counted");
    asks(&mut client, &get("/health"), &wanted, Web::Health)?;
    let others = (0..5).map(|_| served(stage)).collect::<Result<Vec<_>, _>>()?;
    let wanted =
        Wanted::ok(b"ok\nactive 6\nrefused 0\nrequests 6\n", "200: five more clients, and six requests before");
    asks(&mut client, &get("/health"), &wanted, Web::Health)?;
    // However a client goes, it is not active any more.
    for (at, other) in others.into_iter().enumerate() {
        if at % 2 == 0 { other.close() } else { other.abort() }
    }
    expect_health(stage, &mut client, "ok\nactive 1\nrefused 0\n")?;
    // It asks nobody who may be slow.
    let time = stage.timing.patience() * 2;
    let busy = working(stage, 8, time)?;
    expect_health(stage, &mut client, "ok\nactive 9\nrefused 0\n")?;
    busy.into_iter().for_each(Client::abort);
    // Many requests at once: none may be lost.
    let mut clients = (0..8).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    let before = requests(&mut client)?;
    for client in &mut clients {
        client.send(&get("/").repeat(200))?;
    }
    for client in &mut clients {
        for _ in 0..200 {
            client.expect_reply(&Wanted::ok(HELLO, "200, two hundred times")).map_err(about(Web::Pipelined))?;
        }
    }
    let now = requests(&mut client)?;
    // The question before is counted, and requests of the busy clients may have been.
    if (before + 1601..=before + 1609).contains(&now) {
        return Ok(());
    }
    let wanted = format!("requests {} for /health: 1,600 more, and one for /health itself", before + 1601);
    let (expected, got) = (format!("requests {}\n", before + 1601), format!("requests {now}\n"));
    Err(client.complaint(&wanted, expected.as_bytes(), got.as_bytes()).about(Topic::Total))
}

/// The number of requests that /health tells.
fn requests(client: &mut Client) -> Result<u64, Problem> {
    let text = "200 with a line `requests N` for /health";
    let answer = asks(client, &get("/health"), &Wanted::status(&[200], text), Web::Health)?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let number = body.lines().find_map(|line| line.strip_prefix("requests ")?.parse().ok());
    number.ok_or_else(|| client.complaint(text, b"requests ", &answer.body).about(Topic::Web(Web::Health)))
}
