//! Clinic 6, a stall of 40 ms: Nagle's algorithm and delayed acknowledgments.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    probe::{self, Call},
    problem::{Problem, Seen},
    stage::Stage,
    student::Student,
};
use std::time::{Duration, Instant};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "answers", promise: "questions are answered", run: answers },
    Check { name: "a-large-answer", promise: "an answer of a million bytes is complete", run: large_answer },
    Check { name: "steady", promise: "small answers do not wait for a timer of a kernel", run: steady },
    Check { name: "a-list", promise: "answers of many lines do not, either", run: a_list },
    Check { name: "at-once", promise: "a hundred questions that come at once are answered, in order", run: at_once },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

fn value(count: usize) -> Vec<u8> {
    [format!("VALUE {count}\n").into_bytes(), vec![b'.'; count], b"\nEND\n".to_vec()].concat()
}

fn list(count: usize) -> Vec<u8> {
    let lines: String = (1..=count).map(|line| format!("{line}\n")).collect();
    (lines + "END\n").into_bytes()
}

fn asks(client: &mut Client, question: &str, answer: &[u8]) -> Result<(), Problem> {
    client.send(format!("{question}\n").as_bytes())?;
    client.expect(answer, &format!("the whole answer to `{question}`"))
}

fn answers(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(&mut client, "GET 10", &value(10))?;
    asks(&mut client, "GET 0", &value(0))?;
    asks(&mut client, "LIST 3", &list(3))?;
    asks(&mut client, "LIST 0", &list(0))?;
    for bad in ["GET", "GET many", "GET 1000001", "LIST -1", "FLY", ""] {
        asks(&mut client, bad, b"ERR\n")?;
    }
    standing::told_to_quit(&mut client)
}

fn large_answer(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(&mut client, "GET 1000000", &value(1_000_000))?;
    asks(&mut client, "LIST 20000", &list(20_000))?;
    asks(&mut client, "GET 1", &value(1))
}

/// An exchange that takes as long may have waited for a delayed acknowledgment: that is 40 ms on Linux.
const STALL: Duration = Duration::from_millis(30);
/// The last exchanges that are looked at, and how many of them have to be that slow.
const LAST: usize = 10;
const SLOW: usize = 8;
/// A kernel acknowledges the first segments of a connection at once. This number of exchanges without a stall is called steady.
const MOST: usize = 48;

/// Complains if answers wait for a timer: they come late, and at once if our kernel acknowledges at once.
fn expect_steady(stage: &Stage, client: &mut Client, question: &str, answer: &[u8]) -> Result<(), Problem> {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..MOST {
        let begun = Instant::now();
        asks(client, question, answer)?;
        times.push(begun.elapsed());
        let last = &times[times.len().saturating_sub(LAST)..];
        if last.iter().filter(|time| **time >= STALL).count() < SLOW {
            continue;
        }
        let usual = median(last);
        let hurried = hurried(client, question, answer)?;
        // A machine that is merely busy is slow in both.
        if hurried.is_none_or(|hurried| hurried < usual / 3) {
            let seen = Seen::Stalled { usual, hurried };
            return Err(client.problem("that an answer does not wait for an acknowledgment", seen));
        }
        if sleeps(stage, client, question, answer)? {
            return Err(client.problem("that an answer does not wait for a time", Seen::Stalled { usual, hurried }));
        }
        times.clear();
    }
    Ok(())
}

/// Whether a thread sleeps for a time while each of some answers is waited for.
fn sleeps(stage: &Stage, client: &mut Client, question: &str, answer: &[u8]) -> Result<bool, Problem> {
    let Some(id) = stage.student.as_ref().map(Student::id) else { return Ok(false) };
    for _ in 0..LAST {
        client.send(format!("{question}\n").as_bytes())?;
        std::thread::sleep(STALL / 6);
        let sleeps = probe::calls(id).contains(&Call::Sleep);
        client.expect(answer, &format!("the whole answer to `{question}`"))?;
        if !sleeps {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The time of an exchange while our kernel acknowledges each segment at once; `None`: this system cannot be told to.
fn hurried(client: &mut Client, question: &str, answer: &[u8]) -> Result<Option<Duration>, Problem> {
    let mut times = Vec::new();
    for _ in 0..LAST {
        let begun = Instant::now();
        client.send(format!("{question}\n").as_bytes())?;
        if !client.acknowledges_at_once() {
            return Ok(None);
        }
        client.expect(answer, &format!("the whole answer to `{question}`"))?;
        times.push(begun.elapsed());
    }
    Ok(Some(median(&times)))
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

fn steady(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    expect_steady(stage, &mut client, "GET 10", &value(10))
}

fn a_list(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    expect_steady(stage, &mut client, "LIST 5", &list(5))
}

fn at_once(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    let questions: String = (0..100).map(|number| format!("GET {number}\nLIST {}\n", number % 7)).collect();
    let answers: Vec<u8> = (0..100).flat_map(|number| [value(number), list(number % 7)].concat()).collect();
    client.send(questions.as_bytes())?;
    client.expect(&answers, "two hundred answers, in order")
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    asks(&mut client, "GET 3", &value(3))?;
    standing::told_to_quit(&mut client)?;
    client.close();
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..40 {
            visit(stage)?;
            let mut client = stage.connect()?;
            asks(&mut client, "GET 3", &value(3))?;
            client.abort();
            stage.connect()?.close();
        }
        visit(stage)
    })
}
