//! The harness tried on the project's own proxies, which are known to be right: `cargo course dev proxies`.
//!
//! No exercise yet, and the base of those about proxies: every fault of an upstream, every fault of a client, signals and limits.

use crate::{
    catalog::Check,
    client::Client,
    fault::{self, Manner, OVERSIZE, WRONG_PROTOCOLS},
    problem::{Problem, Resource},
    process::ANY,
    shape::{Load, Shape},
    stage::Stage,
    student::Limits,
    upstream::{Fault, Serving, Upstream},
    web,
};
use nix::sys::signal::Signal;
use std::{net::SocketAddr, path::Path, process::Command, thread, time::Duration};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "refused", promise: "an upstream that refuses is a 502", run: refused },
    Check {
        name: "never-answers",
        promise: "an upstream that never answers is a 504, and is let go",
        run: never_answers,
    },
    Check {
        name: "stands-still",
        promise: "an upstream that stands still is a 504; when it goes on, all is well",
        run: stands_still,
    },
    Check { name: "drips", promise: "an answer in small bites arrives whole", run: drips },
    Check { name: "breaks-off", promise: "half an answer is passed on and visibly ends too early", run: breaks_off },
    Check { name: "too-much", promise: "bytes beyond the answer are not passed on", run: too_much },
    Check { name: "garbage", promise: "an answer that is none is a 502", run: garbage },
    Check {
        name: "closed-while-idle",
        promise: "an upstream may close an idle connection at any time",
        run: closed_while_idle,
    },
    Check { name: "pieces", promise: "a request may arrive in any pieces", run: pieces },
    Check { name: "pipelined", promise: "pipelined requests are answered in their order", run: pipelined },
    Check { name: "half-closed", promise: "a client that sends nothing more gets its answer", run: half_closed },
    Check { name: "other-protocols", promise: "another protocol is refused, and harms nobody", run: other_protocols },
    Check { name: "oversize", promise: "a head without end is a 431", run: oversize },
    Check {
        name: "slow-reader",
        promise: "a client that reads slowly gets all, and no memory grows meanwhile",
        run: slow_reader,
    },
    Check { name: "storm", promise: "clients that come and go leave nothing behind", run: storm },
    Check { name: "few-descriptors", promise: "more clients than descriptors do not end it", run: few_descriptors },
    Check { name: "all-at-once", promise: "no client waits for another one's upstream", run: all_at_once },
    Check { name: "stopped", promise: "after SIGSTOP and SIGCONT all goes on", run: stopped },
    Check {
        name: "drains",
        promise: "after SIGTERM what runs is answered, and then it ends with exit code 0",
        run: drains,
    },
    Check { name: "killed", promise: "after kill -9 it can be started again at the same address", run: killed },
];

const BODY: &[u8] = b"a body that is long enough to be cut in two";

/// A proxy in front of `upstreams`, with short deadlines.
fn proxy(stage: &mut Stage, told: SocketAddr, upstream: SocketAddr, limits: Limits) -> Result<SocketAddr, Problem> {
    let patience = format!("{}ms", stage.timing.patience().as_millis() / 2);
    let backend = upstream.to_string();
    let flags =
        ["--backend", &backend, "--workers", "1", "--first-byte-timeout", &patience, "--connect-timeout", &patience];
    // A listener for TLS has a port that another run may have taken, unless it is told otherwise.
    let secured: &[&str] = if knows(&stage.program, "--tls-listen") { &["--tls-listen", "127.0.0.1:0"] } else { &[] };
    stage.serve_with(told, &[&flags[..], &["--drain-timeout", "5s"], secured].concat(), limits)
}

/// Whether a program has this flag.
fn knows(program: &Path, flag: &str) -> bool {
    let help = Command::new(program).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(flag))
}

/// A proxy and the server behind it, which answers by the script of the check.
fn scripted(stage: &mut Stage) -> Result<Upstream, Problem> {
    let upstream = stage.upstream()?;
    proxy(stage, ANY, upstream.address(), Limits::default())?;
    Ok(upstream)
}

/// The connection on which a request has come.
fn asked(upstream: &Upstream) -> Result<Client, Problem> {
    upstream.asked("that the proxy sends the request to its upstream")
}

/// One request that is answered well.
fn exchange(stage: &mut Stage, upstream: &Upstream) -> Result<(), Problem> {
    let mut client = stage.connect()?;
    client.send(&web::get("/well"))?;
    let mut connection = asked(upstream)?;
    connection.send(&web::answer("200 OK", BODY))?;
    let answer = client.expect_answer(200, "the answer of the upstream")?;
    if answer.body != BODY {
        return Err(client.complaint("the body of the upstream", BODY, &answer.body));
    }
    client.close();
    connection.close();
    Ok(())
}

fn refused(stage: &mut Stage) -> Result<(), Problem> {
    let address = stage.upstream()?.refuse();
    proxy(stage, ANY, address, Limits::default())?;
    for _ in 0..2 {
        let mut client = stage.connect()?;
        client.send(&web::get("/refused"))?;
        client.expect_answer(502, "502: nobody listens there")?;
    }
    Ok(())
}

/// A request, the fault of the upstream, and what the client sees of it.
fn with_fault(stage: &mut Stage, fault: Fault) -> Result<(Client, Option<Client>, Upstream), Problem> {
    let upstream = scripted(stage)?;
    let mut client = stage.connect()?;
    client.send(&web::get("/fault"))?;
    let connection = fault.play(asked(&upstream)?, &web::answer("200 OK", BODY))?;
    Ok((client, connection, upstream))
}

fn never_answers(stage: &mut Stage) -> Result<(), Problem> {
    let (mut client, connection, upstream) = with_fault(stage, Fault::NeverAnswer)?;
    client.expect_answer(504, "504: the upstream never answers")?;
    if let Some(mut connection) = connection {
        connection.expect_gone("that the proxy lets the silent upstream go")?;
    }
    exchange(stage, &upstream)
}

fn stands_still(stage: &mut Stage) -> Result<(), Problem> {
    let upstream = scripted(stage)?;
    let mut client = stage.connect()?;
    client.send(&web::get("/still"))?;
    // No program accepts: the kernel answers for the server, as it does under SIGSTOP.
    client.expect_answer(504, "504: the upstream stands still")?;
    // It goes on, and finds what waited in the queue.
    let _serving = upstream.serve(echo_paths)?;
    let mut client = stage.connect()?;
    client.send(&web::get("/on"))?;
    expect_path(&mut client, "/on")
}

fn drips(stage: &mut Stage) -> Result<(), Problem> {
    let (mut client, ..) = with_fault(stage, Fault::Drip(Duration::from_millis(5)))?;
    client.expect_answer(200, "the whole answer").map(drop)
}

fn breaks_off(stage: &mut Stage) -> Result<(), Problem> {
    for fault in [Fault::HalfThenEnd, Fault::HalfThenReset] {
        let (mut client, _, upstream) = with_fault(stage, fault)?;
        // A head that is complete is passed on with what there is of the body. Neither may look complete.
        let heard = client.hear_all();
        if heard.ends_with(BODY) {
            return Err(client.complaint("an answer that visibly ends too early", b"", &heard));
        }
        exchange(stage, &upstream)?;
    }
    Ok(())
}

fn too_much(stage: &mut Stage) -> Result<(), Problem> {
    let (mut client, _, upstream) = with_fault(stage, Fault::TooMuch)?;
    client.expect_answer(200, "the answer, as long as its head says")?;
    client.expect_quiet("nothing beyond the answer")?;
    exchange(stage, &upstream)
}

fn garbage(stage: &mut Stage) -> Result<(), Problem> {
    let (mut client, _, upstream) = with_fault(stage, Fault::Garbage)?;
    client.expect_answer(502, "502: that is no answer")?;
    exchange(stage, &upstream)
}

fn closed_while_idle(stage: &mut Stage) -> Result<(), Problem> {
    let upstream = scripted(stage)?;
    for _ in 0..5 {
        // `exchange` ends with a close of the upstream: a proxy that keeps connections has one that is dead.
        exchange(stage, &upstream)?;
    }
    Ok(())
}

/// The path of a request that takes its server so many milliseconds.
fn slow(work: u128) -> String {
    format!("/slow/{work}")
}

/// Answers every request with its path as the body: at once, or when the time has passed that a slow one asks for.
fn echo_paths(mut connection: Client) -> Result<(), Problem> {
    // The proxy closes when it has had enough: that is no complaint.
    while let Ok(head) = connection.expect_head("a request") {
        let Some(path) = head.split(|byte| *byte == b' ').nth(1) else {
            return Err(connection.complaint("a request", b"GET / HTTP/1.1", &head));
        };
        let work = std::str::from_utf8(path).ok().and_then(|path| path.strip_prefix("/slow/")?.parse().ok());
        thread::sleep(Duration::from_millis(work.unwrap_or(0)));
        connection.send(&web::answer("200 OK", path))?;
    }
    Ok(())
}

/// A proxy in front of a server that answers by itself.
fn answering(stage: &mut Stage) -> Result<Serving, Problem> {
    let serving = stage.upstream()?.serve(echo_paths)?;
    proxy(stage, ANY, serving.address(), Limits::default())?;
    Ok(serving)
}

/// The answer to a request for this path.
fn expect_path(client: &mut Client, path: &str) -> Result<(), Problem> {
    let answer = client.expect_answer(200, &format!("the answer to the request for {path}"))?;
    if answer.body == path.as_bytes() {
        return Ok(());
    }
    Err(client.complaint("the answer to this request", path.as_bytes(), &answer.body))
}

fn pieces(stage: &mut Stage) -> Result<(), Problem> {
    let _serving = answering(stage)?;
    let request = web::get("/pieces");
    let mut manners = vec![Manner::Whole, Manner::Bytewise, Manner::Slowly(Duration::from_millis(1))];
    manners.extend(fault::cuts(stage, request.len()).into_iter().map(Manner::Cut));
    let mut client = stage.connect()?;
    for manner in manners {
        client.deliver(&request, manner)?;
        expect_path(&mut client, "/pieces")?;
    }
    Ok(())
}

fn pipelined(stage: &mut Stage) -> Result<(), Problem> {
    let serving = answering(stage)?;
    let paths: Vec<String> = (0..8).map(|number| format!("/{number}-{}", stage.below(1000))).collect();
    let mut client = stage.connect()?;
    client.send(&paths.iter().flat_map(|path| web::get(path)).collect::<Vec<u8>>())?;
    paths.iter().try_for_each(|path| expect_path(&mut client, path))?;
    serving.complaint()
}

fn half_closed(stage: &mut Stage) -> Result<(), Problem> {
    let _serving = answering(stage)?;
    let mut client = stage.connect()?;
    client.send(&web::get("/half"))?;
    client.finish();
    expect_path(&mut client, "/half")?;
    client.expect_end("then the end")
}

fn other_protocols(stage: &mut Stage) -> Result<(), Problem> {
    let _serving = answering(stage)?;
    for (name, bytes) in WRONG_PROTOCOLS.iter().filter(|(name, _)| *name != "HTTP") {
        let mut client = stage.connect()?;
        client.send(bytes)?;
        client.finish();
        let heard = client.hear_all();
        if !heard.is_empty() && !heard.starts_with(b"HTTP/1.1 400") {
            return Err(client.complaint(&format!("a refusal of {name}"), b"HTTP/1.1 400", &heard));
        }
    }
    let mut client = stage.connect()?;
    client.send(&web::get("/after"))?;
    expect_path(&mut client, "/after")
}

fn oversize(stage: &mut Stage) -> Result<(), Problem> {
    let _serving = answering(stage)?;
    let mut client = stage.connect()?;
    let endless = [&b"GET / HTTP/1.1\r\nX-Long: "[..], &stage.payload(OVERSIZE / 16)].concat();
    // It may stop to read before all of it was taken.
    let _ = client.send(&endless);
    client.expect_answer(431, "431: the head is too large").map(drop)
}

fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    let body = stage.payload(2 * 1024 * 1024);
    let upstream = scripted(stage)?;
    let mut client = stage.connect_narrow()?;
    client.send(&web::get("/much"))?;
    let mut connection = asked(&upstream)?;
    let before = stage.amount(Resource::Memory);
    let answer = web::answer("200 OK", &body);
    let sender = thread::spawn(move || connection.send(&answer).map(|()| connection));
    let wanted = "the whole body";
    client.expect_head("the head of the answer")?;
    client.expect_slowly(&body[..64 * 1024], 4096, Duration::from_millis(2), wanted)?;
    stage.expect_flat(Resource::Memory, before, 2 * 1024)?;
    client.expect(&body[64 * 1024..], wanted)?;
    // Kept until here: a connection that is dropped is closed.
    sender.join().map_or(Ok(()), |sent| sent.map(drop))
}

fn storm(stage: &mut Stage) -> Result<(), Problem> {
    let _serving = answering(stage)?;
    let visit = |stage: &mut Stage| {
        let mut client = stage.connect()?;
        client.send(&web::get("/visit"))?;
        expect_path(&mut client, "/visit")?;
        client.close();
        Ok(())
    };
    (0..20).try_for_each(|_| visit(stage))?;
    let watched = [(Resource::Descriptors, 2), (Resource::Threads, 0), (Resource::Memory, 4096)];
    let before = watched.map(|(what, _)| stage.amount(what));
    stage.storm(200)?;
    (0..50).try_for_each(|_| visit(stage))?;
    for ((what, some), before) in watched.into_iter().zip(before) {
        stage.expect_flat(what, before, some)?;
    }
    stage.expect_idle(20)
}

fn few_descriptors(stage: &mut Stage) -> Result<(), Problem> {
    let upstream = stage.upstream()?;
    let limits = Limits { descriptors: Some(64), ..Limits::default() };
    proxy(stage, ANY, upstream.address(), limits)?;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(stage.connect()?);
    }
    crowd.into_iter().for_each(Client::close);
    exchange(stage, &upstream)
}

fn all_at_once(stage: &mut Stage) -> Result<(), Problem> {
    let _serving = answering(stage)?;
    // With credentials, so that no cache may have one answer for all: it would have them wait for the first.
    let ask = |work| {
        format!("GET {} HTTP/1.1\r\nHost: here\r\nAuthorization: Basic b25lOnR3bw==\r\n\r\n", slow(work)).into_bytes()
    };
    let hear = |client: &mut Client, work| expect_path(client, &slow(work));
    let work = Duration::from_millis(60);
    stage.expect_shape(Shape::Each, &Load { clients: 32, work, ask: &ask, hear: &hear })
}

fn stopped(stage: &mut Stage) -> Result<(), Problem> {
    let upstream = scripted(stage)?;
    stage.pause()?;
    let mut client = stage.connect()?;
    client.send(&web::get("/paused"))?;
    client.expect_quiet("nothing while it is stopped")?;
    stage.resume()?;
    let mut connection = asked(&upstream)?;
    connection.send(&web::answer("200 OK", BODY))?;
    client.expect_answer(200, "the answer, now that it goes on").map(drop)
}

fn drains(stage: &mut Stage) -> Result<(), Problem> {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let upstream = scripted(stage)?;
        let mut client = stage.connect()?;
        client.send(&web::get("/running"))?;
        let mut connection = asked(&upstream)?;
        stage.signal(signal)?;
        thread::sleep(stage.timing.quiet());
        connection.send(&web::answer("200 OK", BODY))?;
        client.expect_answer(200, "the answer to what ran as the signal came")?;
        client.close();
        stage.expect_exit(0, "exit code 0 after the last answer")?;
    }
    // A proxy that nobody uses ends at once.
    scripted(stage)?;
    stage.expect_end_by(Signal::SIGTERM, 0, "exit code 0 after SIGTERM")
}

fn killed(stage: &mut Stage) -> Result<(), Problem> {
    let upstream = stage.upstream()?;
    let address = proxy(stage, ANY, upstream.address(), Limits::default())?;
    let mut client = stage.connect()?;
    client.send(&web::get("/lost"))?;
    let connection = asked(&upstream)?;
    stage.kill();
    drop(connection);
    proxy(stage, address, upstream.address(), Limits::default())?;
    exchange(stage, &upstream)
}
