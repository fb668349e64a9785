//! Exercise 12, one thread for all clients.

use crate::{
    catalog::Check,
    checks::{standing, working},
    client::Client,
    fault::{self, Manner},
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
    student::Limits,
};
use std::{thread, time::Duration};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "echoes", promise: "ten clients at once get their lines back", run: standing::echoes },
    Check { name: "one-thread", promise: "twenty clients need no more threads than none", run: one_thread },
    Check { name: "every-cut", promise: "lines arrive in pieces, cut anywhere, or several at once", run: every_cut },
    Check {
        name: "the-longest-line",
        promise: "a line of 4,096 bytes is answered, a longer one ends the conversation",
        run: the_longest,
    },
    Check {
        name: "slow-senders",
        promise: "fifty clients that have sent half a line keep no other waiting",
        run: slow_senders,
    },
    Check { name: "rests", promise: "with thirty silent clients it uses no processor", run: rests },
    Check {
        name: "a-slow-reader",
        promise: "8 MiB arrive whole, however slowly they are read, and others are served meanwhile",
        run: slow_reader,
    },
    Check {
        name: "a-greedy-client",
        promise: "a client that sends line after line without a pause keeps no other waiting",
        run: greedy,
    },
    Check {
        name: "backpressure",
        promise: "a client that asks for much and reads nothing takes little memory, and loses nothing",
        run: backpressure,
    },
    Check {
        name: "half-close",
        promise: "a client that sends nothing more gets all its answers, then the end",
        run: half_close,
    },
    Check { name: "breaks-off", promise: "clients that break off harm no other", run: breaks_off },
    Check {
        name: "in-one-round",
        promise: "some clients leave, others send, new ones come, all at the same moment",
        run: in_one_round,
    },
    Check { name: "five-hundred", promise: "512 clients at once are served", run: five_hundred },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: working::leaves_nothing },
];

/// `count` clients that were answered once.
fn served(stage: &mut Stage, count: usize) -> Result<Vec<Client>, Problem> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        clients.push(client);
    }
    Ok(clients)
}

/// With nothing to do it waits, whatever it has read and not sent.
fn idle(stage: &Stage) -> Result<(), Problem> {
    standing::idle(stage).map_err(|problem| problem.about(Topic::EventLoop))
}

fn one_thread(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let _clients = served(stage, 20)?;
    let children = stage.student.as_ref().and_then(|student| crate::probe::living_children(student.id()));
    let threads = stage.amount(Resource::Threads).map(|threads| threads + children.unwrap_or(0) as u64);
    match threads {
        Some(to @ 2..) => {
            let seen = Seen::Grew { what: Resource::Threads, from: 1, to };
            Err(Problem::new("that one thread serves all", seen).about(Topic::OneThread))
        }
        _ => Ok(()),
    }
}

fn every_cut(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let half = |problem: Problem| problem.about(Topic::HalfALine);
    let mut client = stage.connect()?;
    let line = stage.line();
    for cut in fault::cuts(stage, line.len()) {
        client.deliver(&line, Manner::Cut(cut))?;
        client.expect(&line, "the whole line back").map_err(half)?;
    }
    client.send_bytewise(&line)?;
    client.expect(&line, "the line back that came byte by byte").map_err(half)?;
    let several = |problem: Problem| problem.about(Topic::SeveralLines);
    let (one, two, three) = (stage.line(), stage.line(), stage.line());
    let cut = 1 + stage.below(three.len() - 2);
    client.send(&[&one, &two, &three[..cut]].concat())?;
    client.expect_several(&[&one[..], &two].concat(), "both complete lines back")?;
    client.expect_quiet("nothing yet: the third line has no end so far").map_err(half)?;
    client.send(&three[cut..])?;
    client.expect(&three, "the third line back, whole").map_err(several)
}

fn slow_senders(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let (mut client, line) = (stage.connect()?, stage.line());
        client.send(&line[..line.len() / 2])?;
        slow.push((client, line));
    }
    let mut other = stage.connect()?;
    other.expect_echo(&stage.line())?;
    for (client, line) in &mut slow {
        client.send(&line[line.len() / 2..])?;
    }
    for (client, line) in slow.iter_mut().rev() {
        client
            .expect(line, "its line back, now that it is complete")
            .map_err(|problem| problem.about(Topic::HalfALine))?;
    }
    other.expect_echo(&stage.line())
}

/// More than the buffers of the kernels take for a client with a small window.
const MUCH: usize = 8 * 1024 * 1024;
/// A slow reader takes so much at a time, and pauses for so long.
const BITE: usize = 128 * 1024;
const PAUSE: Duration = Duration::from_millis(2);

/// Lines behind that: more than may wait for a client.
const LINES: usize = 80;

/// A client that has asked for much and reads nothing yet.
fn asked_for_much(stage: &mut Stage) -> Result<Client, Problem> {
    let mut client = stage.connect_narrow()?;
    client.send(format!("give {MUCH}\n").as_bytes())?;
    // It has begun to answer.
    client.expect(&working::pattern(1000), "the first bytes of the pattern")?;
    Ok(client)
}

/// Others are answered although one reads nothing.
fn others_are_served(stage: &mut Stage, others: &mut [Client]) -> Result<(), Problem> {
    for other in others {
        other.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::BesideSlowReader))?;
    }
    let mut next = stage.connect()?;
    next.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::BesideSlowReader))
}

pub(crate) fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut others = served(stage, 3)?;
    let mut slow = asked_for_much(stage)?;
    others_are_served(stage, &mut others)?;
    let rest = &working::pattern(MUCH)[1000..];
    let about = |problem: Problem| problem.about(Topic::SlowReader);
    slow.expect_slowly(rest, BITE, PAUSE, "the rest of the 8,388,608 bytes").map_err(about)?;
    slow.expect_echo(&stage.line()).map_err(about)
}

/// A greedy client is never out of lines: a loop that reads from it until nothing more is there does nothing else.
fn greedy(stage: &mut Stage) -> Result<(), Problem> {
    const TIMES: usize = 5;
    stage.serve()?;
    let mut others = served(stage, 3)?;
    let _flood = stage.flood()?;
    let about = |problem: Problem| problem.about(Topic::BesideGreedy);
    for _ in 0..TIMES {
        // Between two looks at the others it reads on.
        thread::sleep(stage.timing.quiet() / 8);
        for other in &mut others {
            other.expect_echo(&stage.line()).map_err(about)?;
        }
        stage.connect()?.expect_echo(&stage.line()).map_err(about)?;
    }
    Ok(())
}

fn half_close(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::HalfClosed);
    let mut client = stage.connect()?;
    let lines = [stage.line(), stage.line()].concat();
    client.send(&[&lines[..], b"half a line"].concat())?;
    client.finish();
    client.expect(&lines, "the answers to the complete lines").map_err(about)?;
    client.expect_end("then the end: what has no line end is no line").map_err(about)?;
    // The FIN comes behind lines that nobody reads yet, because most of an answer still waits for room.
    let mut slow = asked_for_much(stage)?;
    let line = [&stage.payload(LONGEST - 1)[..], b"\n"].concat();
    slow.send(&line.repeat(LINES))?;
    slow.finish();
    others_are_served(stage, &mut [])?;
    idle(stage)?;
    let rest = [&working::pattern(MUCH)[1000..], &line.repeat(LINES)].concat();
    let wanted = "the rest of the 8,388,608 bytes, and 80 lines back";
    slow.expect_slowly(&rest, BITE, PAUSE, wanted).map_err(|problem| match problem.seen {
        // An orderly end would be about the FIN.
        Seen::Reset => problem.about(Topic::SlowReader),
        _ => about(problem),
    })?;
    slow.expect_end("then the end of the stream").map_err(about)
}

/// How often a client asks for how much; all of it would be 32 MB.
const TIMES: usize = 64;
const EACH: usize = 500_000;
/// The most that may be kept of that, in KiB, with all else that grows meanwhile.
const ROOM: u64 = 6 * 1024;

pub(crate) fn backpressure(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut others = served(stage, 3)?;
    let before = stage.amount(Resource::Memory);
    let mut slow = stage.connect_narrow()?;
    let ask = format!("give {EACH}\n");
    // All in one segment: what is read with the first line must wait, too.
    slow.send(ask.repeat(TIMES).as_bytes())?;
    slow.expect(&working::pattern(1000), "the first bytes of the pattern")?;
    // And this comes while nothing is read any more.
    let line = stage.line();
    slow.send(&line)?;
    others_are_served(stage, &mut others)?;
    thread::sleep(stage.timing.quiet());
    if let Some((from, to)) = before.zip(stage.amount(Resource::Memory)).filter(|(from, to)| *to > from + ROOM) {
        let seen = Seen::Grew { what: Resource::Memory, from, to };
        return Err(Problem::new("that little is kept for a client that does not read", seen).about(Topic::Outbox));
    }
    idle(stage)?;
    let about = |problem: Problem| problem.about(Topic::LeftInBuffer);
    let all = working::pattern(EACH);
    slow.expect(&all[1000..], "the rest of the first answer").map_err(about)?;
    for at in 2..=TIMES {
        slow.expect(&all, &format!("answer {at} of {TIMES}, now that the client reads")).map_err(about)?;
    }
    slow.expect(&line, "its last line back").map_err(about)
}

fn rests(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = served(stage, 30)?;
    clients[0].send(b"half a line")?;
    idle(stage)
}

fn breaks_off(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |problem: Problem| problem.about(Topic::AfterBrokenClient);
    let mut others = served(stage, 3)?;
    for round in 0..6 {
        let mut client = stage.connect()?;
        client.expect_echo(&stage.line())?;
        let line = stage.line();
        client.send(&line[..line.len() - 1])?;
        if round % 2 == 0 { client.abort() } else { client.close() }
    }
    // These break off while much waits for them.
    asked_for_much(stage)?.abort();
    asked_for_much(stage)?.close();
    stage.storm(20)?;
    let mut next = stage.connect()?;
    next.expect_echo(&stage.line()).map_err(about)?;
    next.expect_echo(b"\n").map_err(about)?;
    for other in &mut others {
        other.expect_echo(&stage.line()).map_err(about)?;
    }
    Ok(())
}

fn in_one_round(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut clients = served(stage, 24)?;
    for round in 0..4 {
        let lines: Vec<Vec<u8>> = clients.iter().map(|_| stage.line()).collect();
        let cut = 8;
        for (client, line) in clients.iter_mut().zip(&lines) {
            client.send(&line[..cut])?;
        }
        clients.iter().for_each(Client::until_read);
        thread::sleep(stage.timing.quiet() / 10);
        // All events that follow are there when it wakes up.
        stage.pause()?;
        let (mut stay, mut leave) = (Vec::new(), Vec::new());
        for (at, (mut client, line)) in clients.into_iter().zip(lines).enumerate() {
            if at % 4 == round % 4 {
                leave.push(client);
            } else {
                client.send(&line[cut..])?;
                stay.push((client, line));
            }
        }
        for (at, client) in leave.into_iter().enumerate() {
            if at % 2 == 0 { client.close() } else { client.abort() }
        }
        let mut new = Vec::new();
        for _ in 0..6 {
            let (mut client, line) = (stage.connect()?, stage.line());
            client.send(&line)?;
            new.push((client, line));
        }
        stage.resume()?;
        stay.extend(new);
        for (client, line) in stay.iter_mut().rev() {
            client.expect(line, "its own line back, whole")?;
        }
        clients = stay.into_iter().map(|(client, _)| client).collect();
    }
    Ok(())
}

/// With its end.
const LONGEST: usize = 4096;

fn the_longest(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let about = |topic: Topic| move |problem: Problem| problem.about(topic);
    let mut endless = stage.connect()?;
    endless.send(&stage.payload(fault::OVERSIZE)).map_err(about(Topic::Oversize))?;
    endless.expect_gone("the end: no line is that long").map_err(about(Topic::Oversize))?;
    let mut client = stage.connect()?;
    // As often as it takes to see that the limit is one of a line, and not of what was read at once.
    let line = [&stage.payload(LONGEST - 1)[..], b"\n"].concat();
    client.send(&line.repeat(8))?;
    client.expect(&line.repeat(8), "eight lines of 4,096 bytes back").map_err(about(Topic::Limit))?;
    client.send(&[&line[..LONGEST - 1], b"y\n"].concat())?;
    client.expect(b"too long\n", "`too long`: the line has 4,097 bytes").map_err(about(Topic::Limit))?;
    client.expect_gone("then the end")?;
    let mut next = stage.connect()?;
    next.expect_echo(&stage.line()).map_err(about(Topic::AfterBrokenClient))
}

const CROWD: usize = 512;

fn five_hundred(stage: &mut Stage) -> Result<(), Problem> {
    // As many descriptors as most systems give a program that does not ask for more.
    let limits = Limits { descriptors: Some(1024), ..Limits::default() };
    stage.serve_with(crate::process::ANY, &[], limits)?;
    stage.connect()?.expect_echo(&stage.line())?;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let (mut client, line) = (stage.connect()?, stage.line());
        client.send(&line)?;
        crowd.push((client, line));
    }
    for (client, line) in crowd.iter_mut().rev() {
        client.expect(line, "its line back: 512 clients are there")?;
    }
    for (client, _) in &mut crowd {
        client.expect_echo(&stage.line())?;
    }
    idle(stage)
}
