//! Exercise 5, reads and writes that do a part of the work.

use crate::{
    catalog::Check,
    checks::{standing, working::pattern},
    client::Client,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    transcript::thousands,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "answers", promise: "a line is answered with its length, `give N` with N bytes", run: answers },
    Check { name: "every-cut", promise: "a line may arrive in two pieces, cut anywhere", run: every_cut },
    Check {
        name: "pauses",
        promise: "a client may pause in the middle of a line for longer than a read waits",
        run: pauses,
    },
    Check { name: "several-at-once", promise: "several lines may arrive at once; each is answered", run: several },
    Check { name: "slow-reader", promise: "8 MiB reach a client that reads slowly, each byte once", run: slow_reader },
    Check { name: "half-close", promise: "a client that sends nothing more gets all its answers", run: half_close },
    Check {
        name: "too-long",
        promise: "a line that is too long is refused, and the next one is answered",
        run: too_long,
    },
    Check { name: "the-longest-line", promise: "4,096 bytes are a line, 4,097 are too many", run: the_longest },
    Check { name: "endless-line", promise: "a line without end does not fill the memory", run: endless },
    Check { name: "gives-up", promise: "a client that takes nothing for a second is given up", run: gives_up },
    Check { name: "leaves-nothing", promise: "two hundred clients leave nothing behind", run: leaves_nothing },
];

/// Longer than a read or write of the program waits (50 ms).
const PAUSE: Duration = Duration::from_millis(130);
const LONGEST: usize = 4096;

/// The answer to an ordinary line.
fn got(count: usize) -> Vec<u8> {
    format!("got {count}\n").into_bytes()
}

/// Expects the length of `line`, which ends with a line end.
fn expect_length(client: &mut Client, line: &[u8]) -> Result<(), Problem> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    client.expect(&got(text.len()), &format!("`got {}`, the length of the line without its end", text.len()))
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut client = stage.connect()?;
    for line in [
        &stage.line()[..],
        b"\n",
        b"with CR LF\r\n",
        b"a CR \r within, and one before CR LF\r\r\n",
        b"\xff\xfe\0, no text\n",
        "caf\u{e9}, \u{4f60}\u{597d}: more bytes than characters\n".as_bytes(),
        b"  blanks around it \n",
        b"give me\n",
        b"give -1\n",
    ] {
        client.send(line)?;
        expect_length(&mut client, line)?;
    }
    client.send(b"give 1000\n")?;
    client.expect(&pattern(1000), "1,000 bytes of the pattern")?;
    client.expect_quiet("nothing more")
}

fn every_cut(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut client = stage.connect()?;
    let line = [&stage.line()[..12], b"\r\n"].concat();
    for cut in 1..line.len() {
        client.send(&line[..cut])?;
        // So that the first piece is read by itself.
        thread::sleep(Duration::from_millis(3));
        client.send(&line[cut..])?;
        expect_length(&mut client, &line).map_err(|problem| problem.about(Topic::HalfALine))?;
    }
    client.send_bytewise(&line)?;
    expect_length(&mut client, &line).map_err(|problem| problem.about(Topic::HalfALine))
}

fn pauses(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::Pause);
    let mut client = stage.connect()?;
    thread::sleep(PAUSE);
    let line = stage.line();
    for cut in [3, line.len() - 1] {
        client.send(&line[..cut])?;
        thread::sleep(PAUSE);
        client.send(&line[cut..])?;
        expect_length(&mut client, &line).map_err(about)?;
    }
    Ok(())
}

fn several(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::SeveralLines);
    let mut client = stage.connect()?;
    let lines = [&b"give 300\n"[..], &stage.line(), b"give 5\n", &stage.line()];
    let half = lines[3].len() / 2;
    client.send(&[lines[0], lines[1], lines[2], &lines[3][..half]].concat())?;
    client.expect(&pattern(300), "300 bytes of the pattern").map_err(about)?;
    expect_length(&mut client, lines[1]).map_err(about)?;
    client.expect(&pattern(5), "5 bytes of the pattern").map_err(about)?;
    client.send(&lines[3][half..])?;
    expect_length(&mut client, lines[3]).map_err(about)
}

/// More than the kernels' buffers on both sides take.
const MUCH: usize = 8 * 1024 * 1024;

fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::SlowReader);
    let mut client = stage.connect_narrow()?;
    let all = pattern(MUCH);
    client.send(format!("give {MUCH}\n").as_bytes())?;
    let mut at = 0;
    // Writes still give up when more than a second has passed, and more than twenty times in all: what is left then is more than the
    // buffers take.
    for part in [MUCH / 32; 7].into_iter().chain([MUCH - 7 * (MUCH / 32)]) {
        // Meanwhile the buffers fill.
        thread::sleep(PAUSE * 2);
        let wanted = format!("bytes {} to {} of {}", thousands(at), thousands(at + part), thousands(MUCH));
        client.expect(&all[at..at + part], &wanted).map_err(about)?;
        at += part;
    }
    let line = stage.line();
    client.send(&line)?;
    expect_length(&mut client, &line).map_err(about)
}

fn half_close(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::HalfClosed);
    let mut client = stage.connect()?;
    client.send(b"give 200000\nnot a line")?;
    client.finish();
    client.expect(&pattern(200_000), "200,000 bytes of the pattern").map_err(about)?;
    client.expect_end("then the end of the stream: what has no line end is no line").map_err(about)?;
    // Nor is it the beginning of another client's line.
    let mut next = stage.connect()?;
    let line = stage.line();
    next.send(&line)?;
    expect_length(&mut next, &line).map_err(|problem| problem.about(Topic::NextClient))
}

fn too_long(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::Oversize);
    let mut client = stage.connect()?;
    for size in [100_000, 5000, 20_000] {
        client.send(&[&vec![b'x'; size][..], b"\n"].concat())?;
        client.expect(b"too long\n", &format!("`too long`: the line has {} bytes", thousands(size))).map_err(about)?;
        let line = stage.line();
        client.send(&line)?;
        expect_length(&mut client, &line).map_err(|problem| problem.about(Topic::AfterOversize))?;
    }
    Ok(())
}

fn the_longest(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::Limit);
    let mut client = stage.connect()?;
    for end in [&b"\n"[..], b"\r\n"] {
        let line = [&[b'y'; LONGEST][..], end].concat();
        client.send(&line)?;
        expect_length(&mut client, &line).map_err(about)?;
        client.send(&[&[b'z'; LONGEST + 1][..], end].concat())?;
        client.expect(b"too long\n", "`too long`: 4,097 bytes without the line end").map_err(about)?;
    }
    // The CR is there, and not yet known as a part of the line's end.
    let line = [&[b'y'; LONGEST][..], b"\r\n"].concat();
    client.send(&line[..=LONGEST])?;
    client.until_read();
    client.send(b"\n")?;
    expect_length(&mut client, &line).map_err(about)
}

/// Memory that a program may take for a line without end, and for all else that grows meanwhile, in KiB.
const ROOM: u64 = 1536;

fn endless(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut client = stage.connect()?;
    client.send(b"first\n")?;
    client.expect(&got(5), "`got 5`")?;
    let before = stage.amount(Resource::Memory);
    let about = |problem: Problem| problem.about(Topic::Oversize);
    for _ in 0..64 {
        client.send(&[b'e'; 256 * 1024]).map_err(about)?;
        let now = stage.amount(Resource::Memory);
        if let Some((from, to)) = before.zip(now).filter(|(before, now)| *now > before + ROOM) {
            let grew = Seen::Grew { what: Resource::Memory, from, to };
            return Err(about(Problem::new("that nothing is kept of a line that is too long", grew)));
        }
    }
    client.expect(b"too long\n", "`too long`, once").map_err(about)?;
    client.send(b"\nlast\n")?;
    client
        .expect(&got(4), "`got 4`: the line after the long one")
        .map_err(|problem| problem.about(Topic::AfterOversize))
}

/// A client that takes no byte for a second is given up in this time.
const GIVEN_UP: Duration = Duration::from_secs(4);

fn gives_up(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut other = stage.connect()?;
    other.send(b"here\n")?;
    other.expect(&got(4), "`got 4`")?;
    let before = stage.amount(Resource::Descriptors);
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut client = stage.connect_narrow()?;
        client.send(b"give 8388608\n")?;
        deaf.push(client);
    }
    // They read nothing. The others are served meanwhile.
    thread::sleep(PAUSE);
    other.send(b"still here\n")?;
    other.expect(&got(10), "`got 10`, although others read nothing")?;
    // The beginning takes its time on a busy machine. Then the program sleeps, and a second is a second on every machine.
    stage.until_rests();
    let until = Instant::now() + GIVEN_UP;
    while stage.amount(Resource::Descriptors).zip(before).is_some_and(|(now, before)| now > before + 1) {
        if Instant::now() >= until {
            let (from, to) = (before.unwrap_or(0), stage.amount(Resource::Descriptors).unwrap_or(0));
            let grew = Seen::Grew { what: Resource::Descriptors, from, to };
            let wanted = "that clients who take nothing for a second are let go";
            return Err(Problem::new(wanted, grew).about(Topic::NeverReads));
        }
        thread::sleep(PAUSE / 4);
    }
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        standing::running(stage)?;
        let mut client = stage.connect()?;
        let line = stage.line();
        client.send(&line)?;
        expect_length(&mut client, &line)?;
        client.close();
        Ok(())
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..60 {
            stage.connect()?.close();
            let mut client = stage.connect()?;
            client.send(b"give 100000\nhalf a l")?;
            client.abort();
        }
        let mut client = stage.connect()?;
        client.send(b"hello\n")?;
        client.expect(&got(5), "`got 5`")
    })
}
