//! Exercise 16, a command protocol.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    fault::{self, WRONG_PROTOCOLS},
    problem::{Problem, Resource, Seen, Topic},
    shape::{Load, Shape},
    stage::Stage,
    transcript::show,
};
use std::time::Duration;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "table", promise: "each command has its answer", run: table },
    Check { name: "case", promise: "commands may be written in any case; keys and values keep theirs", run: case },
    Check { name: "blanks", promise: "blanks separate words, however many, and a line of blanks is none", run: blanks },
    Check { name: "arguments", promise: "too few, too many or bad arguments are refused", run: arguments },
    Check { name: "numbers", promise: "numbers are 64 bits wide, and what does not fit is refused", run: numbers },
    Check { name: "binary-junk", promise: "bytes that are no text are refused, and the session goes on", run: junk },
    Check {
        name: "oversize",
        promise: "a line of 512 bytes is answered, a longer one is refused, once",
        run: oversize,
    },
    Check { name: "pieces", promise: "commands arrive in pieces, or several at once", run: pieces },
    Check {
        name: "half-close",
        promise: "commands before the end are answered, then the stream ends",
        run: half_close,
    },
    Check { name: "one-store", promise: "all clients share the keys, and there are at most 1,000", run: one_store },
    Check {
        name: "work-at-once",
        promise: "a command that takes long keeps no other client waiting",
        run: work_at_once,
    },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

/// Sends a command and expects the answer to it.
pub(crate) fn asks(client: &mut Client, line: &str, answer: &str) -> Result<(), Problem> {
    client.send(format!("{line}\n").as_bytes())?;
    answers(client, line.as_bytes(), answer)
}

fn answers(client: &mut Client, line: &[u8], answer: &str) -> Result<(), Problem> {
    client.expect(format!("{answer}\n").as_bytes(), &format!("`{answer}`, the answer to {}", show(line)))
}

/// Each line of the table is sent, and its answer expected.
fn ask_all(client: &mut Client, topic: Topic, rows: &[(&str, &str)]) -> Result<(), Problem> {
    rows.iter().try_for_each(|(line, answer)| asks(client, line, answer).map_err(|problem| problem.about(topic)))
}

/// Says goodbye and hears the end.
pub(crate) fn quit(mut client: Client) -> Result<(), Problem> {
    asks(&mut client, "QUIT", "BYE")?;
    client.expect_end("FIN after BYE")?;
    client.close();
    Ok(())
}

fn table(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let text = stage.text();
    for (line, answer) in [
        ("PING", "PONG"),
        (&format!("ECHO {text}"), &text),
        ("GET one", "NONE"),
        (&format!("SET one {text}"), "OK"),
        ("GET one", &format!("VALUE {text}")),
        ("SET one 1", "OK"),
        ("GET one", "VALUE 1"),
        ("DEL one", "VALUE 1"),
        ("DEL one", "NONE"),
        ("ADD 2 3", "SUM 5"),
        ("WORK 1", "OK"),
        ("FLY", "ERR unknown command"),
    ] {
        asks(&mut client, line, answer)?;
    }
    asks(&mut client, "QUIT", "BYE")?;
    client.expect_end("FIN after BYE")
}

fn case(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let rows = [
        ("ping", "PONG"),
        ("Ping", "PONG"),
        ("sEt Key MiXed", "OK"),
        ("get Key", "VALUE MiXed"),
        ("GET key", "NONE"),
        ("echo Loud and quiet", "Loud and quiet"),
        ("add 1 1", "SUM 2"),
        ("quit", "BYE"),
    ];
    ask_all(&mut client, Topic::Case, &rows)
}

fn blanks(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let about = |problem: Problem| problem.about(Topic::Blanks);
    let rows = [
        ("  PING", "PONG"),
        ("PING  ", "PONG"),
        ("\tPING\t", "PONG"),
        ("ADD   20\t 22 ", "SUM 42"),
        ("  SET  blanks   a  b\tc  ", "OK"),
        ("GET\tblanks", "VALUE a  b\tc"),
        ("ECHO    two  words", "two  words"),
        ("PING\r", "PONG"),
    ];
    ask_all(&mut client, Topic::Blanks, &rows)?;
    for line in ["", "   ", "\t", "\r"] {
        client.send(format!("{line}\n").as_bytes())?;
    }
    client.expect_quiet("nothing: lines of blanks are not answered").map_err(about)?;
    asks(&mut client, "PING", "PONG")
}

fn arguments(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let longest = "k".repeat(32);
    let rows = [
        ("PING now", "ERR usage: PING"),
        ("ECHO", "ERR usage: ECHO TEXT"),
        ("SET", "ERR usage: SET KEY VALUE"),
        ("SET one", "ERR usage: SET KEY VALUE"),
        ("GET", "ERR usage: GET KEY"),
        ("GET one two", "ERR usage: GET KEY"),
        ("DEL one two", "ERR usage: DEL KEY"),
        ("ADD 1", "ERR usage: ADD A B"),
        ("ADD 1 2 3", "ERR usage: ADD A B"),
        ("QUIT now", "ERR usage: QUIT"),
        ("WORK", "ERR usage: WORK MS"),
    ];
    ask_all(&mut client, Topic::Arguments, &rows)?;
    ask_all(
        &mut client,
        Topic::NotACommand,
        &[("PINGS", "ERR unknown command"), ("SETTER a b", "ERR unknown command")],
    )?;
    let rows = [
        ("GET a/b", "ERR bad key"),
        ("SET caf\u{e9} 1", "ERR bad key"),
        // A blank of typesetters, and no blank here.
        ("GET a\u{a0}b", "ERR bad key"),
        // Far beyond the limit: a program that takes it has none.
        (&format!("GET {longest}{longest}"), "ERR bad key"),
        ("GET A-z_09", "NONE"),
    ];
    ask_all(&mut client, Topic::Arguments, &rows)?;
    let rows = [(&*format!("GET {longest}k"), "ERR bad key"), (&format!("GET {longest}"), "NONE")];
    ask_all(&mut client, Topic::Limit, &rows)
}

fn numbers(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let rows = [
        ("ADD -3 1", "SUM -2"),
        ("ADD 9223372036854775806 1", "SUM 9223372036854775807"),
        ("ADD 9223372036854775807 1", "ERR out of range"),
        ("ADD -9223372036854775808 -1", "ERR out of range"),
        ("ADD 9223372036854775808 0", "ERR out of range"),
        ("ADD 99999999999999999999999999 1", "ERR out of range"),
        ("ADD one 1", "ERR not a number"),
        ("ADD 1.5 1", "ERR not a number"),
        ("ADD 0x10 1", "ERR not a number"),
        ("ADD 1 2x", "ERR not a number"),
        ("WORK -1", "ERR out of range"),
        ("WORK 0", "OK"),
        ("WORK 4000000", "ERR out of range"),
        ("WORK soon", "ERR not a number"),
        ("ADD 1 2", "SUM 3"),
    ];
    ask_all(&mut client, Topic::Number, &rows)?;
    ask_all(&mut client, Topic::Limit, &[("WORK 10001", "ERR out of range")])?;
    client.send(b"WORK 10000\n")?;
    let wanted = "nothing for ten seconds: the longest work is done";
    client.expect_quiet(wanted).map_err(|problem| problem.about(Topic::Limit))?;
    // It does not wait for that.
    client.close();
    Ok(())
}

fn junk(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let about = |problem: Problem| problem.about(Topic::BadCommand);
    for line in [&b"\xff\xfe\xfd"[..], b"PING\0", b"ECHO \x1b[2J", b"caf\xe9", b"\x80", b"ECHO \x7f", b"PI\rNG"] {
        client.send(&[line, b"\n"].concat())?;
        answers(&mut client, line, "ERR not text").map_err(about)?;
        asks(&mut client, "PING", "PONG").map_err(about)?;
    }
    asks(&mut client, "ECHO caf\u{e9}", "caf\u{e9}").map_err(about)?;
    // Speakers of other protocols hear that they are wrong here, and end themselves.
    for (name, bytes) in WRONG_PROTOCOLS {
        let mut stranger = stage.connect()?;
        stranger.send(bytes)?;
        stranger.expect_line("ERR ", &format!("`ERR …`: {name} is spoken elsewhere")).map_err(about)?;
        stranger.close();
    }
    asks(&mut client, "PING", "PONG").map_err(about)
}

/// Without its end.
const LONGEST: usize = 512;
/// The most by which the memory may grow meanwhile, in KiB.
const ROOM: u64 = 1536;

fn oversize(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let about = |topic: Topic| move |problem: Problem| problem.about(topic);
    let longest = "e".repeat(LONGEST - "ECHO ".len());
    for end in ["", "\r"] {
        client.send(format!("ECHO {longest}{end}\n").as_bytes())?;
        answers(&mut client, b"ECHO and 507 letters", &longest).map_err(about(Topic::Limit))?;
        client.send(format!("ECHO {longest}e{end}\n").as_bytes())?;
        answers(&mut client, b"ECHO and 508 letters", "ERR too long").map_err(about(Topic::Limit))?;
    }
    let before = stage.amount(Resource::Memory);
    client.send(&[&vec![b'x'; fault::OVERSIZE][..], b" PING\n"].concat()).map_err(about(Topic::Oversize))?;
    answers(&mut client, b"4 MiB", "ERR too long").map_err(about(Topic::Oversize))?;
    asks(&mut client, "PING", "PONG").map_err(about(Topic::AfterOversize))?;
    match before.zip(stage.amount(Resource::Memory)).filter(|(from, to)| *to > from + ROOM) {
        None => Ok(()),
        Some((from, to)) => {
            let seen = Seen::Grew { what: Resource::Memory, from, to };
            Err(Problem::new("that nothing is kept of a line that is too long", seen).about(Topic::Oversize))
        }
    }
}

fn pieces(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let text = stage.text();
    client.send_bytewise(format!("SET pieces {text}\r\n").as_bytes())?;
    answers(&mut client, b"SET", "OK").map_err(|problem| problem.about(Topic::HalfALine))?;
    client.send(format!("GET pieces\nADD 1 2\nFLY\nECHO {text}\nPI").as_bytes())?;
    let wanted = format!("VALUE {text}\nSUM 3\nERR unknown command\n{text}\n");
    let about = |problem: Problem| problem.about(Topic::SeveralLines);
    client.expect(wanted.as_bytes(), "the answers to four commands, in their order").map_err(about)?;
    client.send(b"NG\n")?;
    answers(&mut client, b"PING", "PONG").map_err(about)
}

fn half_close(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let about = |problem: Problem| problem.about(Topic::HalfClosed);
    client.send(b"ADD 1 2\nPING\nECHO half a line")?;
    client.finish();
    client.expect(b"SUM 3\nPONG\n", "the answers to both commands").map_err(about)?;
    client.expect_end("then the end: a line without its end is none").map_err(about)
}

const MOST_KEYS: usize = 1000;

fn one_store(stage: &mut Stage) -> Result<(), Problem> {
    let (mut one, mut two) = (standing::connected(stage)?, standing::connected(stage)?);
    let about = |problem: Problem| problem.about(Topic::Store);
    let text = stage.text();
    asks(&mut one, &format!("SET shared {text}"), "OK")?;
    asks(&mut two, "GET shared", &format!("VALUE {text}")).map_err(about)?;
    asks(&mut two, "DEL shared", &format!("VALUE {text}")).map_err(about)?;
    asks(&mut one, "GET shared", "NONE").map_err(about)?;
    for hundred in 0..MOST_KEYS / 100 {
        let sets: String = (0..100).map(|at| format!("SET key{} {at}\n", hundred * 100 + at)).collect();
        one.send(sets.as_bytes())?;
        one.expect("OK\n".repeat(100).as_bytes(), "`OK`, a hundred times")?;
    }
    let full = |problem: Problem| problem.about(Topic::StoreFull);
    asks(&mut one, "SET more 1", "ERR full").map_err(full)?;
    asks(&mut two, "SET key7 new", "OK").map_err(full)?;
    asks(&mut one, "GET key7", "VALUE new").map_err(full)?;
    asks(&mut one, "DEL key7", "VALUE new").map_err(full)?;
    asks(&mut one, "SET more 1", "OK").map_err(full)?;
    limit_at_once(stage, &mut one)
}

/// The store has room for a few keys, and clients set twice as many at the same moment: as many are taken as have room. Two that look at the
/// same moment both see room; that is rare, so it is tried often.
fn limit_at_once(stage: &mut Stage, one: &mut Client) -> Result<(), Problem> {
    const CLIENTS: usize = 3;
    const EACH: usize = 20;
    const ROOM: usize = CLIENTS * EACH / 2;
    const TRIES: usize = 1500;
    let keys = |number: usize| (0..EACH).map(move |at| format!("c{number}-{at}"));
    let sets: Vec<String> = (0..CLIENTS).map(|n| keys(n).map(|key| format!("SET {key} 1\n")).collect()).collect();
    let dels: String = (0..CLIENTS).flat_map(keys).map(|key| format!("DEL {key}\n")).collect();
    let room: String = (100..100 + ROOM).map(|at| format!("DEL key{at}\n")).collect();
    let mut clients = (0..CLIENTS).map(|_| stage.connect()).collect::<Result<Vec<_>, _>>()?;
    answered(one, &room, ROOM)?;
    for _ in 0..TRIES {
        for (client, sets) in clients.iter_mut().zip(&sets) {
            client.send(sets.as_bytes())?;
        }
        let mut taken = 0;
        for client in &mut clients {
            let lines = heard(client, EACH)?;
            taken += lines.iter().filter(|line| *line == b"OK").count();
        }
        if taken != ROOM {
            let wanted = format!("that {ROOM} keys are taken: the store has room for as many");
            let [room, taken] = [ROOM, taken].map(|count| format!("{count} keys"));
            return Err(one.complaint(&wanted, room.as_bytes(), taken.as_bytes()).about(Topic::CheckThenAct));
        }
        answered(one, &dels, CLIENTS * EACH)?;
    }
    Ok(())
}

/// Sends so many lines, and hears as many.
fn answered(client: &mut Client, lines: &str, count: usize) -> Result<(), Problem> {
    client.send(lines.as_bytes())?;
    heard(client, count).map(drop)
}

/// That number of lines, whatever they are.
fn heard(client: &mut Client, count: usize) -> Result<Vec<Vec<u8>>, Problem> {
    let wanted = format!("{count} answers");
    let line = |_| {
        // A server that sends many small answers may wait for the acknowledgment of the one before.
        client.acknowledges_at_once();
        client.expect_line("", &wanted)
    };
    (0..count).map(line).collect()
}

fn work_at_once(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let ask = |time| format!("WORK {time}\n").into_bytes();
    let hear = |client: &mut Client, time| answers(client, format!("WORK {time}").as_bytes(), "OK");
    stage.expect_shape(Shape::Each, &Load { clients: 16, work: Duration::from_millis(20), ask: &ask, hear: &hear })
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        let mut client = standing::connected(stage)?;
        asks(&mut client, "SET visit 1", "OK")?;
        quit(client)
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..40 {
            let mut client = standing::connected(stage)?;
            asks(&mut client, "GET visit", "VALUE 1")?;
            client.abort();
            standing::connected(stage)?.close();
        }
        standing::connected(stage)?.close();
        Ok(())
    })
}
