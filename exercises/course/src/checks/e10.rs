//! Exercise 10, a chat.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    life,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
};
use std::time::Duration;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "names", promise: "it asks for a name until it is a good one", run: names },
    Check { name: "a-name-is-taken", promise: "no two clients have the same name at once", run: taken },
    Check { name: "three-talk", promise: "a line goes to all others, and not to its sender", run: three_talk },
    Check { name: "who-is-here", promise: "/who lists those who are here, in order", run: who },
    Check {
        name: "leaving",
        promise: "the others hear when a client leaves or breaks off, and its name is free again",
        run: leaving,
    },
    Check { name: "kick", promise: "admin can put a client out, and no other client can", run: kick },
    Check {
        name: "split-lines",
        promise: "lines arrive in pieces, or several at once; they are bytes, and keep them",
        run: split_lines,
    },
    Check { name: "in-order", promise: "lines of one client keep their order for all others", run: in_order },
    Check {
        name: "the-longest-line",
        promise: "a line of 8,192 bytes is passed on, a longer one ends its sender",
        run: longest,
    },
    Check {
        name: "a-slow-reader",
        promise: "a client that reads nothing keeps no other waiting, and is let go",
        run: slow_reader,
    },
    Check { name: "rests", promise: "while the clients are silent, it uses no processor", run: rests },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// A client that has been asked for its name.
pub(crate) fn asked(stage: &mut Stage) -> Result<Client, Problem> {
    standing::running(stage)?;
    stage.record.lock().passes_lines_on();
    let mut client = stage.connect()?;
    client.expect(b"Name?\n", "`Name?`")?;
    Ok(client)
}

/// A client that has joined, and that the others have heard of.
pub(crate) fn joined(stage: &mut Stage, name: &str, others: &mut [&mut Client]) -> Result<Client, Problem> {
    let mut client = asked(stage)?;
    says(&mut client, name)?;
    hears(&mut client, &format!("You are {name}"))?;
    if others.is_empty() {
        // No client can say when the others have been told. A newcomer that came before that would hear of one that was there.
        stage.until_rests();
    }
    for other in others {
        hears(other, &format!("* {name} has come"))?;
    }
    Ok(client)
}

pub(crate) fn hears(client: &mut Client, line: &str) -> Result<(), Problem> {
    client.expect(format!("{line}\n").as_bytes(), &format!("`{line}`"))
}

pub(crate) fn says(client: &mut Client, line: &str) -> Result<(), Problem> {
    client.send(format!("{line}\n").as_bytes())
}

fn names(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = asked(stage)?;
    let refused = |client: &mut Client, bad: &str| {
        says(client, bad)?;
        client.expect(b"No such name\nName?\n", &format!("`No such name`, then `Name?` again: {bad:?} is none"))
    };
    for bad in ["", "two words", "caf\u{e9}", "semi;colon", " ada "] {
        refused(&mut client, bad)?;
    }
    let about = |problem: Problem| problem.about(Topic::Limit);
    refused(&mut client, "seventeen17171717").map_err(about)?;
    says(&mut client, "sixteen161616161")?;
    hears(&mut client, "You are sixteen161616161").map_err(about)
}

fn taken(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::NameTaken);
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut other = asked(stage)?;
    says(&mut other, "ada")?;
    other.expect(b"Taken\nName?\n", "`Taken`, then `Name?` again").map_err(about)?;
    says(&mut other, "bob")?;
    hears(&mut other, "You are bob")?;
    hears(&mut ada, "* bob has come")?;
    // Several ask for the same name at the same moment: one gets it.
    for round in 0..6 {
        let name = format!("same{round}");
        let mut crowd = Vec::new();
        for _ in 0..12 {
            crowd.push(asked(stage)?);
        }
        crowd.iter_mut().try_for_each(|client| says(client, &name))?;
        let mut owners = 0;
        for client in &mut crowd {
            let line = client.expect_line("", &format!("`You are {name}` or `Taken`"))?;
            if line != b"Taken" {
                owners += 1;
                if owners > 1 || line != format!("You are {name}").as_bytes() {
                    return Err(about(client.complaint("`Taken`: another has the name", b"Taken\n", &line)));
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn three_talk(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    let mut eve = joined(stage, "eve", &mut [&mut ada, &mut bob])?;
    let mut nameless = asked(stage)?;
    let said = stage.text();
    says(&mut ada, &said)?;
    hears(&mut bob, &format!("ada: {said}"))?;
    hears(&mut eve, &format!("ada: {said}"))?;
    let about = |problem: Problem| problem.about(Topic::Sender);
    ada.expect_quiet("nothing: it said that itself").map_err(about)?;
    let about = |problem: Problem| problem.about(Topic::Nameless);
    nameless.expect_quiet("nothing: it has no name yet").map_err(about)?;
    let said = stage.text();
    says(&mut eve, &said)?;
    hears(&mut ada, &format!("eve: {said}"))?;
    hears(&mut bob, &format!("eve: {said}"))
}

fn who(stage: &mut Stage) -> Result<(), Problem> {
    let mut zoe = joined(stage, "zoe", &mut [])?;
    let mut ada = joined(stage, "ada", &mut [&mut zoe])?;
    let _bob = joined(stage, "bob", &mut [&mut zoe, &mut ada])?;
    let _eve = joined(stage, "eve", &mut [&mut zoe, &mut ada])?;
    let _nameless = asked(stage)?;
    says(&mut zoe, "/who")?;
    hears(&mut zoe, "here: ada, bob, eve, zoe")?;
    ada.expect_quiet("nothing: a command is no line for others")?;
    let about = |problem: Problem| problem.about(Topic::NotACommand);
    says(&mut zoe, "/whoami")?;
    hears(&mut ada, "zoe: /whoami").map_err(about)
}

fn leaving(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::Left);
    let mut ada = joined(stage, "ada", &mut [])?;
    for round in 0..4 {
        let mut bob = joined(stage, "bob", &mut [&mut ada]).map_err(about)?;
        match round {
            0 => {
                says(&mut bob, "/quit")?;
                hears(&mut bob, "Goodbye!")?;
                bob.expect_end("FIN after the goodbye")?;
            }
            1 => {
                // A line that was said before the end counts, half a line does not.
                let said = stage.text();
                bob.send(format!("{said}\nhalf a line").as_bytes())?;
                bob.close();
                hears(&mut ada, &format!("bob: {said}")).map_err(about)?;
            }
            2 => bob.close(),
            _ => bob.abort(),
        }
        let topic = if round == 1 { Topic::Unfinished } else { Topic::Left };
        hears(&mut ada, "* bob has left").map_err(|problem| problem.about(topic))?;
    }
    says(&mut ada, "/who")?;
    hears(&mut ada, "here: ada").map_err(about)
}

fn kick(stage: &mut Stage) -> Result<(), Problem> {
    let mut admin = joined(stage, "admin", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut admin])?;
    let mut eve = joined(stage, "eve", &mut [&mut admin, &mut bob])?;
    says(&mut bob, "/kick eve")?;
    hears(&mut bob, "Only admin may do that").map_err(|problem| problem.about(Topic::NotAdmin))?;
    says(&mut admin, "/kick nobody")?;
    hears(&mut admin, "No nobody here")?;
    says(&mut admin, "/kick bob")?;
    hears(&mut bob, "You were kicked")?;
    bob.expect_end("then the end")?;
    let about = |problem: Problem| problem.about(Topic::Kicked);
    hears(&mut admin, "* bob was kicked").map_err(about)?;
    hears(&mut eve, "* bob was kicked").map_err(about)?;
    eve.expect_quiet("nothing more: bob was kicked, and has not left").map_err(about)?;
    says(&mut eve, "/who")?;
    hears(&mut eve, "here: admin, eve").map_err(|problem| problem.about(Topic::Left))?;
    // The lines that wait for a client when it is put out still reach it.
    for _ in 0..5 {
        let mut zed = joined(stage, "zed", &mut [&mut admin, &mut eve])?;
        let lines: Vec<String> = (0..20).map(|number| format!("line {number}\n")).collect();
        admin.send(format!("{}/kick zed\n", lines.concat()).as_bytes())?;
        let said: String = lines.iter().map(|line| format!("admin: {line}")).collect();
        let words = format!("{said}You were kicked\n");
        zed.expect(words.as_bytes(), "all that was said before, then `You were kicked`").map_err(about)?;
        zed.expect_end("then the end")?;
        eve.expect(format!("{said}* zed was kicked\n").as_bytes(), "the same lines, and the kick").map_err(about)?;
        hears(&mut admin, "* zed was kicked").map_err(about)?;
    }
    Ok(())
}

fn split_lines(stage: &mut Stage) -> Result<(), Problem> {
    let half = |problem: Problem| problem.about(Topic::HalfALine);
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = asked(stage)?;
    bob.send_bytewise(b"bob\r\n")?;
    hears(&mut bob, "You are bob").map_err(half)?;
    hears(&mut ada, "* bob has come")?;
    bob.send(b"one\ntwo\nthr")?;
    ada.expect(b"bob: one\nbob: two\n", "both lines").map_err(|problem| problem.about(Topic::SeveralLines))?;
    ada.expect_quiet("nothing yet: the third line has no end so far").map_err(half)?;
    bob.send(b"ee\n")?;
    hears(&mut ada, "bob: three").map_err(half)?;
    // A character of two bytes comes in two pieces.
    bob.send(b"caf\xc3")?;
    bob.until_read();
    bob.send(b"\xa9\n")?;
    hears(&mut ada, "bob: caf\u{e9}").map_err(half)?;
    // Blanks are bytes as well.
    says(&mut bob, "  two  and a tab\t ")?;
    hears(&mut ada, "bob:   two  and a tab\t ")?;
    // And bytes that are no UTF-8 at all.
    bob.send(b"caf\xe9 au lait\n")?;
    ada.expect(b"bob: caf\xe9 au lait\n", "the line with the bytes that it has")
}

fn in_order(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    // Fewer at a time than may wait.
    for ten in 0..20 {
        let (mut sent, mut heard) = (String::new(), String::new());
        for at in ten * 10..ten * 10 + 10 {
            sent += &format!("line {at}\n");
            heard += &format!("ada: line {at}\n");
        }
        ada.send(sent.as_bytes())?;
        bob.expect(heard.as_bytes(), "ten lines, in their order")?;
    }
    let mut eve = joined(stage, "eve", &mut [&mut ada, &mut bob])?;
    (0..20).try_for_each(|_| both_talk(&mut ada, &mut eve, &mut bob))
}

/// Two clients talk at the same moment: a third one hears the lines of each, whole and in their order.
fn both_talk(ada: &mut Client, eve: &mut Client, bob: &mut Client) -> Result<(), Problem> {
    // Together fewer than may wait, even in two pieces each.
    const LINES: usize = 15;
    let lines = |name: &'static str| (0..LINES).map(move |at| format!("line {at} of {name}"));
    for (client, name) in [(&mut *ada, "ada"), (&mut *eve, "eve")] {
        client.send((lines(name).collect::<Vec<_>>().join("\n") + "\n").as_bytes())?;
    }
    let heard = |name: &'static str| lines(name).map(move |line| format!("{name}: {line}").into_bytes());
    let mut missing = [heard("ada").peekable(), heard("eve").peekable()];
    for _ in 0..2 * LINES {
        let line = bob.expect_line("", "a line of ada or of eve, who both talk")?;
        if !missing.iter_mut().any(|lines| lines.next_if_eq(&line).is_some()) {
            let next = missing.iter_mut().find_map(|lines| lines.peek().cloned()).unwrap_or_default();
            let wanted = "the next line of ada or of eve, who both talk";
            return Err(bob.complaint(wanted, &next, &line).about(Topic::BothTalk));
        }
    }
    // They have heard each other.
    let others = |name: &'static str| lines(name).map(|line| format!("{name}: {line}\n")).collect::<String>();
    ada.expect(others("eve").as_bytes(), "all lines of eve")?;
    eve.expect(others("ada").as_bytes(), "all lines of ada")
}

/// With its end.
const LONGEST_LINE: usize = 8192;

fn longest(stage: &mut Stage) -> Result<(), Problem> {
    let about = |topic: Topic| move |problem: Problem| problem.about(topic);
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    // A line without an end, of a client without a name.
    let mut endless = asked(stage)?;
    endless.send(&stage.payload(crate::fault::OVERSIZE)).map_err(about(Topic::Oversize))?;
    endless.expect_gone("the end: no line is that long").map_err(about(Topic::Oversize))?;
    let text = String::from_utf8_lossy(&stage.payload(LONGEST_LINE - 1)).into_owned();
    says(&mut bob, &text)?;
    hears(&mut ada, &format!("bob: {text}")).map_err(about(Topic::Limit))?;
    says(&mut bob, &format!("{text}y"))?;
    hears(&mut ada, "* bob has left").map_err(about(Topic::Limit))
}

/// Enough to fill all buffers of a client that reads nothing, and then the memory of a server that keeps everything: 16 MiB.
const ROUNDS: usize = 64;
/// Lines that are sent at a time: fewer than may wait for a client that reads.
const LINES: usize = 32;
const LINE: usize = 8000;
/// In KiB. A server that keeps what it may keep is far below this, one without a bound far above.
const MUCH: u64 = 6 * 1024;

pub(crate) fn slow_reader(stage: &mut Stage) -> Result<(), Problem> {
    let beside = |problem: Problem| problem.about(Topic::BesideSlowReader);
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    let mut slow = stage.connect_small_window()?;
    slow.expect(b"Name?\n", "`Name?`")?;
    says(&mut slow, "slow")?;
    hears(&mut slow, "You are slow")?;
    hears(&mut ada, "* slow has come")?;
    hears(&mut bob, "* slow has come")?;
    let before = stage.amount(Resource::Memory);
    let line = format!("ada: {}", "x".repeat(LINE)).into_bytes();
    let said = [&line[5..], b"\n"].concat().repeat(LINES);
    let mut left = false;
    for _ in 0..ROUNDS {
        ada.send(&said).map_err(beside)?;
        for _ in 0..LINES {
            // Somewhere on the way the slow one is let go.
            let mut heard = heard_soon(stage, &mut bob)?;
            if heard == b"* slow has left" {
                left = true;
                heard = heard_soon(stage, &mut bob)?;
            }
            if heard != line {
                return Err(bob.complaint("the line of ada", &[&line[..], b"\n"].concat(), &heard));
            }
        }
        let now = stage.amount(Resource::Memory);
        if let Some((from, to)) = before.zip(now).filter(|(from, to)| *to > from + MUCH) {
            let seen = Seen::Grew { what: Resource::Memory, from, to };
            return Err(Problem::new("that it keeps a bounded number of lines", seen).about(Topic::Outbox));
        }
        if left {
            break;
        }
    }
    says(&mut bob, "/who")?;
    hears(&mut bob, "here: ada, bob").map_err(|problem| problem.about(Topic::NeverReads))
}

/// The next line. It must come at once: a program that sleeps instead waits for the client that does not read.
fn heard_soon(stage: &Stage, client: &mut Client) -> Result<Vec<u8>, Problem> {
    let about = |problem: Problem| problem.about(Topic::BesideSlowReader);
    let wanted = "the line, at once, although another client reads nothing";
    while !client.hears_within(stage.timing.quiet() / 4) {
        let sleeps = stage.student.as_ref().is_some_and(life::sleeps);
        if sleeps && !client.hears_within(Duration::from_millis(1)) {
            return Err(about(client.problem(wanted, Seen::Silence(Vec::new()))));
        }
        if stage.timing.is_up() {
            break;
        }
    }
    client.expect_line("", wanted).map_err(about)
}

pub(crate) fn rests(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    let _eve = joined(stage, "eve", &mut [&mut ada, &mut bob])?;
    let _nameless = asked(stage)?;
    standing::idle(stage)
}

pub(crate) fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        let mut client = joined(stage, "ada", &mut [])?;
        says(&mut client, "hello")?;
        says(&mut client, "/quit")?;
        hears(&mut client, "Goodbye!")?;
        client.expect_end("FIN after the goodbye")?;
        client.close();
        Ok(())
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for at in 0..40 {
            joined(stage, &format!("guest{at}"), &mut [])?.abort();
            asked(stage)?.close();
        }
        asked(stage)?.close();
        Ok(())
    })
}
