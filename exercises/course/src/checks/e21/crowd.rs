//! Many clients at once, slow ones, and those that break off.

use super::{ROOM, Site, fetch, serve, served};
use crate::{
    checks::{
        http::{about, flat},
        working,
    },
    client::Client,
    problem::{Problem, Resource, Topic},
    stage::Stage,
    web::{self, Wanted, get},
    web_subject::Web,
};
use std::time::Duration;

/// The length of a long file; the bites and pauses of a slow reader.
const MUCH: usize = 8 * 1024 * 1024;
const BITE: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(1);

/// A client that has asked for a long file, has heard its first bytes, and reads no more.
fn asked_for_much(stage: &mut Stage, content: &[u8]) -> Result<Client, Problem> {
    let mut client = stage.connect_narrow()?;
    client.send(&get("/much.bin"))?;
    let head = client
        .expect_head("200 with the head of a file of 8,388,608 bytes")
        .map_err(|problem| Problem { expected: b"HTTP/1.1 200".to_vec(), ..problem })?;
    if web::status(&head) != Some(200) {
        let wanted = "200 for a file of 8,388,608 bytes";
        return Err(client.complaint(wanted, b"HTTP/1.1 200", &head).about(Topic::Web(Web::Good)));
    }
    if web::field(&head, "Content-Length").as_deref() != Some("8388608") {
        let wanted = "200 with Content-Length: 8388608";
        return Err(client.complaint(wanted, b"Content-Length: 8388608", &head).about(Topic::Web(Web::Length)));
    }
    client.expect(&content[..1000], "the first bytes of the file")?;
    Ok(client)
}

pub(super) fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    let site = Site::new(stage)?;
    let content = working::pattern(MUCH);
    site.write("much.bin", &content)?;
    serve(stage, &site)?;
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200"), Web::Good)?;
    let before = stage.amount(Resource::Memory);
    let mut slow = asked_for_much(stage, &content)?;
    for _ in 0..4 {
        let wanted = Wanted::ok(site.hello(), "200: another client reads nothing, and this one is served");
        let mut client = stage.connect()?;
        client.send(&get("/hello.txt"))?;
        client.expect_reply(&wanted).map_err(|problem| problem.or_about(Topic::BesideSlowReader))?;
        client.close();
    }
    flat(stage, before, ROOM, "that little of a file of 8 MiB is in memory at once", Web::FileInMemory)?;
    let slowly = |problem: Problem| problem.about(Topic::SlowReader);
    slow.expect_slowly(&content[1000..], BITE, PAUSE, "the rest of the 8,388,608 bytes").map_err(slowly)?;
    slow.expect_end("then the end").map_err(about(Web::AfterAnswer))
}

const WORKERS: usize = 16;
const MORE: usize = 8;

/// A client that keeps a worker: it has sent a part of its head.
fn holds(stage: &mut Stage) -> Result<Client, Problem> {
    let mut client = stage.connect()?;
    client.send(b"GET /hello.txt HTTP/1.1\r\nHo")?;
    client.until_read();
    Ok(client)
}

pub(super) fn sixteen(stage: &mut Stage) -> Result<(), Problem> {
    let site = served(stage)?;
    let hello = |client: &mut Client, text: &str| {
        client.expect_reply(&Wanted::ok(site.hello(), text)).map_err(about(Web::Good))
    };
    fetch(stage, &get("/hello.txt"), &Wanted::ok(site.hello(), "200"), Web::Good)?;
    let mut held = Vec::new();
    for others in 0..WORKERS {
        // Each time one more has not finished its head.
        let mut client = stage.connect()?;
        client.send(&get("/hello.txt"))?;
        let text = format!("200: {others} others are there, and have sent half a head");
        let busy = |problem: Problem| problem.or_about(Topic::Web(Web::Room));
        client.expect_reply(&Wanted::ok(site.hello(), &text)).map_err(busy)?;
        client.close();
        held.push(holds(stage)?);
    }
    // All threads that serve are busy, so all are there.
    let before = stage.amount(Resource::Threads);
    let mut waiting = Vec::new();
    for _ in 0..MORE {
        let mut client = stage.connect()?;
        client.send(&get("/hello.txt"))?;
        waiting.push(client);
    }
    waiting[0]
        .expect_quiet("nothing yet: all sixteen workers are busy")
        .map_err(|problem| problem.about(Topic::Waiting))?;
    stage.expect_flat(Resource::Threads, before, 0)?;
    for client in &mut held {
        client.send(b"st: a\r\n\r\n")?;
    }
    for client in held.iter_mut().chain(&mut waiting) {
        hello(client, "200, now that the others have finished")?;
    }
    Ok(())
}

pub(super) fn breaks_off(stage: &mut Stage) -> Result<(), Problem> {
    let site = Site::new(stage)?;
    let content = working::pattern(MUCH);
    site.write("much.bin", &content)?;
    serve(stage, &site)?;
    for _ in 0..WORKERS {
        asked_for_much(stage, &content).map_err(about(Web::AfterBroken))?.abort();
        holds(stage)?.abort();
        holds(stage)?.close();
    }
    stage.storm(40)?;
    for _ in 0..WORKERS {
        let mut client = stage.connect()?;
        client.send(&get("/hello.txt"))?;
        let wanted = Wanted::ok(site.hello(), "200: those before it have broken off");
        client.expect_reply(&wanted).map_err(|problem| problem.or_about(Topic::Web(Web::AfterBroken)))?;
        client.close();
    }
    Ok(())
}
