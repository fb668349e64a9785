//! Exercise 23, the features that production asks of a server. Each is checked without the others.

mod told;

use crate::{
    catalog::Check,
    checks::{
        http::{about, asks, ends_without_reset, with_unread},
        standing,
    },
    client::Client,
    problem::{Problem, Seen, Topic},
    process::ANY,
    stage::Stage,
    student::Limits,
    web::{self, Answer, Wanted, get},
    web_subject::Web,
};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "answers", promise: "it answers as before, and the connection stays", run: answers },
    Check { name: "stops", promise: "SIGINT or SIGTERM ends it, with exit code 0", run: stops },
    Check { name: "in-a-request", promise: "requests that run are answered, then the end comes", run: in_a_request },
    Check {
        name: "silent-clients",
        promise: "a stop waits for no client that waits for nothing, and takes no new one",
        run: silent,
    },
    Check { name: "idle-timeout", promise: "a client that asks for nothing is let go, and not too early", run: idle },
    Check { name: "slow-heads", promise: "a head that comes byte by byte does not stop the clock", run: slow_heads },
    Check { name: "long-requests", promise: "a request that takes long is no idle client", run: long_requests },
    Check {
        name: "a-limit",
        promise: "a hundred are served; client 101 hears 503, at once, whatever it does",
        run: a_limit,
    },
    Check {
        name: "refusals",
        promise: "the 503 arrives, and clients that are refused keep nobody waiting",
        run: refusals,
    },
    Check { name: "access-log", promise: "one line on stderr for each answer", run: told::access_log },
    Check { name: "forged-lines", promise: "no client can write lines of its own into the log", run: told::forged },
    Check { name: "health", promise: "/health tells numbers that are right, and is not delayed", run: told::health },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

const HELLO: &[u8] = b"hello\n";

/// A client that was answered, and stays.
fn served(stage: &mut Stage) -> Result<Client, Problem> {
    let mut client = standing::connected(stage)?;
    hello(&mut client, "200", Web::Good)?;
    Ok(client)
}

fn hello(client: &mut Client, text: &str, web: Web) -> Result<Answer, Problem> {
    asks(client, &get("/"), &Wanted::ok(HELLO, text), web)
}

fn serve_with(stage: &mut Stage, flags: &[&str]) -> Result<(), Problem> {
    stage.serve_with(ANY, flags, Limits::default()).map(drop)
}

/// A complaint about what a connection says of a topic of exercise 18.
fn named(topic: Topic) -> impl Fn(Problem) -> Problem {
    move |problem| problem.about(topic)
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = served(stage)?;
    let mut other = served(stage)?;
    let rows: [(&str, u16, &[u8]); 3] =
        [("/work/20", 200, b"done\n"), ("/nothing", 404, b"not found\n"), ("/", 200, HELLO)];
    for (path, status, content) in rows {
        let statuses = [status];
        let text = format!("{status} for {path}, on the same connection");
        let wanted = Wanted { body: Some(content), ..Wanted::status(&statuses, &text) };
        asks(&mut client, &get(path), &wanted, Web::Kept)?;
    }
    hello(&mut other, "200 for another client", Web::Kept)?;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    asks(&mut other, request, &Wanted::ok(HELLO, "200 for the last request"), Web::Good)?;
    other.expect_end("then the end: the request said close").map_err(about(Web::AfterLast))
}

fn stops(stage: &mut Stage) -> Result<(), Problem> {
    for (signal, after_a_client) in [(Signal::SIGINT, false), (Signal::SIGINT, true), (Signal::SIGTERM, true)] {
        stage.serve()?;
        if after_a_client {
            served(stage)?.close();
        }
        let wanted = format!("that {signal} ends it, with exit code 0");
        stage.expect_end_by(signal, 0, &wanted).map_err(named(Topic::Stop))?;
    }
    Ok(())
}

/// Clients whose requests run, for so long.
fn working(stage: &mut Stage, count: usize, time: Duration) -> Result<Vec<Client>, Problem> {
    let mut clients = (0..count).map(|_| served(stage)).collect::<Result<Vec<_>, _>>()?;
    for client in &mut clients {
        client.send(&get(&format!("/work/{}", time.as_millis())))?;
        client.until_read();
    }
    Ok(clients)
}

fn expect_over(stage: &mut Stage, topic: Topic) -> Result<(), Problem> {
    stage.expect_exit(0, "that it ends by itself, with exit code 0").map_err(named(topic))
}

fn in_a_request(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let time = stage.timing.quiet() * 8;
    let mut clients = working(stage, 8, time)?;
    // One has sent another request, which no thread has read when the first is answered.
    clients[0].send(&with_unread("GET / HTTP/1.1\r\nHost: a\r\n"))?;
    stage.signal(Signal::SIGINT)?;
    for client in clients.iter_mut().rev() {
        let text = "200 `done`: the request ran when the signal came";
        let running = |problem: Problem| match problem.seen {
            Seen::EarlyEnd(_) | Seen::Reset | Seen::Silence(_) => problem.about(Topic::CommandAtStop),
            _ => problem.or_about(Topic::Web(Web::Good)),
        };
        let answer = client.expect_reply(&Wanted::ok(b"done\n", text)).map_err(running)?;
        if web::field(&answer.head, "Connection").is_none_or(|told| !told.eq_ignore_ascii_case("close")) {
            let problem = client.complaint(text, b"Connection: close", &answer.head);
            return Err(problem.about(Topic::Web(Web::CloseTold)));
        }
        client.expect_end("then the end").map_err(about(Web::AfterLast))?;
    }
    standing::ends_without_reset(stage, &mut clients[0], "no reset behind the end: the rest was read before the close")
        .map_err(named(Topic::CommandAtStop))?;
    expect_over(stage, Topic::CommandAtStop)
}

fn silent(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = (0..4).map(|_| served(stage)).collect::<Result<Vec<_>, _>>()?;
    clients.push(stage.connect()?);
    clients[0].send(b"GET / HTTP/1.1\r\nHo")?;
    clients[0].until_read();
    // This one keeps the program from ending meanwhile.
    let time = stage.timing.patience() * 2;
    let _working = working(stage, 1, time)?;
    stage.signal(Signal::SIGINT)?;
    for client in &mut clients {
        client.expect_end("the end: it waits for no answer").map_err(named(Topic::SilentAtStop))?;
    }
    let until = Instant::now() + stage.timing.patience();
    loop {
        match stage.connect() {
            Err(_) => return Ok(()),
            Ok(client) if Instant::now() >= until => {
                let seen = Seen::StillOpen;
                return Err(client.problem("that the connection is refused", seen).about(Topic::NewAtStop));
            }
            Ok(client) => client.close(),
        }
        std::thread::sleep(stage.timing.patience() / 20);
    }
}

/// A server with a short idle timeout, in moments of quiet; it is returned.
fn impatient(stage: &mut Stage, moments: u32) -> Result<Duration, Problem> {
    let timeout = stage.timing.quiet() * moments;
    serve_with(stage, &["--idle-timeout", &timeout.as_millis().to_string()])?;
    Ok(timeout)
}

fn idle(stage: &mut Stage) -> Result<(), Problem> {
    let timeout = impatient(stage, 8)?;
    let told = format!("the idle timeout is {} ms", timeout.as_millis());
    // This one says nothing, and its time is over long before the other's.
    let mut silent = stage.connect()?;
    let mut client = stage.connect()?;
    let wanted = format!("nothing yet, and no end: {told}");
    for _ in 0..5 {
        client.expect_quiet(&wanted).map_err(about(Web::NotIdle))?;
    }
    hello(&mut client, &format!("200: it asked in time, {told}"), Web::NotIdle)?;
    for _ in 0..5 {
        client.expect_quiet(&wanted).map_err(about(Web::NotIdle))?;
    }
    // The answer began the time anew.
    hello(&mut client, &format!("200: it asked again in time, {told}"), Web::NotIdle)?;
    client.expect_end(&format!("the end, and no word: nothing was asked, {told}")).map_err(about(Web::Idle))?;
    silent.expect_end(&format!("the end, and no word: nothing was ever asked, {told}")).map_err(about(Web::Idle))?;
    let mut next = stage.connect()?;
    hello(&mut next, "200 for the next client", Web::Good)?;
    Ok(())
}

fn slow_heads(stage: &mut Stage) -> Result<(), Problem> {
    let timeout = impatient(stage, 5)?;
    let wanted = format!("408, then the end: no whole head within {} ms", timeout.as_millis());
    let mut half = stage.connect()?;
    half.send(b"GET / HTTP/1.1\r\nHo")?;
    half.expect_reply(&Wanted::status(&[408], &wanted)).map_err(about(Web::HalfHead))?;
    half.expect_end(&wanted).map_err(about(Web::AfterLast))?;
    // This one sends a byte now and then, and would have time enough if each began the clock anew.
    let mut slow = stage.connect()?;
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ";
    slow.send(head)?;
    let until = Instant::now() + timeout * 4;
    while Instant::now() < until && !slow.hears_within(timeout / 5) {
        slow.send(b"x")?;
    }
    slow.hears_within(stage.timing.quiet());
    if !slow.has_ended() && !slow.hears_within(Duration::from_millis(1)) {
        return Err(slow.problem(&wanted, Seen::StillOpen)).map_err(about(Web::SlowHead));
    }
    slow.expect_reply(&Wanted::status(&[408], &wanted)).map_err(about(Web::SlowHead))?;
    slow.expect_end(&wanted).map_err(about(Web::AfterLast))?;
    let mut next = stage.connect()?;
    hello(&mut next, "200 for the next client", Web::Good)?;
    Ok(())
}

fn long_requests(stage: &mut Stage) -> Result<(), Problem> {
    let timeout = impatient(stage, 5)?;
    let mut client = stage.connect()?;
    let path = format!("/work/{}", (timeout * 2).as_millis());
    let text = format!("200 `done`: the request takes longer than the idle timeout, {} ms", timeout.as_millis());
    asks(&mut client, &get(&path), &Wanted::ok(b"done\n", &text), Web::NotIdle)?;
    let text = "200 on the same connection: the time runs from the end of the answer";
    hello(&mut client, text, Web::NotIdle)?;
    Ok(())
}

const MOST_CLIENTS: usize = 100;

/// One client more than there may be.
fn told_busy(client: &mut Client, text: &str) -> Result<(), Problem> {
    let answer = client.expect_reply(&Wanted::status(&[503], text)).map_err(about(Web::TooMany))?;
    if web::field(&answer.head, "Retry-After").is_none_or(|time| time.parse::<u32>().is_err()) {
        let problem = client.complaint(text, b"Retry-After: 1", &answer.head);
        return Err(problem.about(Topic::Web(Web::RetryAfter)));
    }
    client.expect_end("then FIN: the answer arrives although the client has sent more").map_err(about(Web::AfterLast))
}

/// Fills the server.
fn full(stage: &mut Stage, most: usize) -> Result<Vec<Client>, Problem> {
    let mut clients = Vec::new();
    for at in 1..=most {
        let mut client = stage.connect()?;
        hello(&mut client, &format!("200 for client {at} of {most}"), Web::NotFull)?;
        clients.push(client);
    }
    Ok(clients)
}

/// A client is served a moment after another has left.
fn expect_room(stage: &mut Stage) -> Result<(), Problem> {
    let until = Instant::now() + stage.timing.patience();
    loop {
        let mut client = stage.connect()?;
        match hello(&mut client, "200: another has left", Web::RoomAgain) {
            Err(problem) if Instant::now() >= until => return Err(problem),
            Err(_) => client.close(),
            Ok(_) => return Ok(()),
        }
        std::thread::sleep(stage.timing.quiet() / 10);
    }
}

/// A client too many was served: is the next one refused?
fn or_one_more(stage: &Stage, problem: Problem) -> Problem {
    // It asks, so that one that is not refused is answered at once.
    let next = || {
        let mut next = stage.connect()?;
        next.send(&get("/"))?;
        told_busy(&mut next, "503 for client 102")
    };
    let served = matches!(&problem.seen, Seen::Wrong(got) if web::status(got) == Some(200));
    if served && next().is_ok() { problem.about(Topic::OneMore) } else { problem }
}

fn a_limit(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = full(stage, MOST_CLIENTS)?;
    let mut next = stage.connect()?;
    next.send(&get("/"))?;
    told_busy(&mut next, "503 with Retry-After for client 101, at once")
        .map_err(|problem| or_one_more(stage, problem))?;
    let mut silent = stage.connect()?;
    told_busy(&mut silent, "503 with Retry-After for one more, which has not asked for anything")?;
    hello(&mut clients[0], "200: those that are served are still served", Web::Kept)?;
    clients.remove(0).close();
    expect_room(stage)?;
    clients.remove(0).abort();
    clients.remove(0).abort();
    expect_room(stage)
}

fn refusals(stage: &mut Stage) -> Result<(), Problem> {
    serve_with(stage, &["--max-clients", "2"])?;
    let mut clients = full(stage, 2)?;
    let mut client = stage.connect()?;
    client.send(&with_unread("POST / HTTP/1.1\r\nHost: a\r\n"))?;
    let text = "503 with Retry-After: two are served, and this one has sent 40,000 bytes";
    client.expect_reply(&Wanted::status(&[503], text)).map_err(|problem| match &problem.seen {
        Seen::Wrong(_) => about(Web::MoreThanSaid)(problem),
        _ => about(Web::TooMany)(problem),
    })?;
    ends_without_reset(stage, &mut client, Web::AfterLast)?;
    client.close();
    let body = [&b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"[..], &[b'x'; 100_000]].concat();
    for _ in 0..5 {
        let mut client = stage.connect()?;
        client.send(&body)?;
        told_busy(&mut client, "503 with Retry-After: two are served, and this one has sent 100,000 bytes")?;
        client.close();
    }
    // These neither read nor close. The next is told all the same.
    let mut idle = Vec::new();
    for at in 1..=10 {
        let mut client = stage.connect()?;
        told_busy(&mut client, &format!("503, at once: {} that were refused are still connected", at - 1))?;
        idle.push(client);
    }
    hello(&mut clients[0], "200: those that are served are still served", Web::Kept)?;
    clients.remove(0).close();
    expect_room(stage)
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    serve_with(stage, &["--max-clients", "50"])?;
    let visit = |stage: &mut Stage| {
        served(stage)?.close();
        Ok(())
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..50 {
            served(stage)?.abort();
            let mut half = stage.connect()?;
            half.send(b"GET / HT")?;
            half.close();
        }
        Ok(())
    })
}
