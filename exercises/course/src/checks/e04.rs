//! Exercise 4, to wait for clients and for time.

use crate::{
    catalog::Check,
    checks::{
        greeting::{greets, hears_hello},
        standing,
    },
    life,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "greets", promise: "it listens, greets a client and closes", run: greets },
    Check { name: "ticks", promise: "ten ticks in a second while nobody comes", run: ticks },
    Check {
        name: "ticks-among-clients",
        promise: "ten ticks in a second, however many clients come",
        run: ticks_among,
    },
    Check {
        name: "answers-at-once",
        promise: "a client is accepted when it comes and not at the next tick",
        run: at_once,
    },
    Check { name: "rests", promise: "while nobody comes it wakes up for ticks and for nothing else", run: rests },
    Check { name: "one-thread", promise: "one thread waits for clients and for time", run: one_thread },
    Check { name: "a-crowd", promise: "fifty clients that come at once are all greeted", run: a_crowd },
    Check { name: "leaves-nothing", promise: "two hundred clients leave nothing behind", run: leaves_nothing },
];

const TICK: Duration = Duration::from_millis(100);

fn count(stage: &Stage) -> usize {
    stage.student.as_ref().map_or(0, |student| student.count_log(|line| line.starts_with("tick ")))
}

/// Does `meanwhile` over and over for eight ticks, and compares how many came.
fn expect_ticks(
    stage: &mut Stage,
    topic: Topic,
    mut meanwhile: impl FnMut(&mut Stage) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (before, since) = (count(stage), Instant::now());
    while since.elapsed() < TICK * 8 {
        meanwhile(stage)?;
    }
    let (got, time) = (count(stage) - before, since.elapsed());
    let due = (time.as_secs_f64() / TICK.as_secs_f64()).round();
    // A machine that is busy may be late with one or two; a program that is wrong is so by more.
    if (got as f64) < due * 0.7 - 1.0 || (got as f64) > due * 1.3 + 2.0 {
        let wanted = format!("about {due} lines `tick N` on stderr in this time");
        let problem = Problem::new(wanted, Seen::Ticks { got, due: due as usize });
        return Err(problem.about(topic));
    }
    Ok(())
}

fn ticks(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    expect_ticks(stage, Topic::Idle, |_| {
        thread::sleep(Duration::from_millis(10));
        Ok(())
    })?;
    expect_counted(stage)
}

/// The ticks so far have the numbers 1, 2, 3 and so on.
fn expect_counted(stage: &Stage) -> Result<(), Problem> {
    let lines = stage.student.as_ref().map(|student| student.log(|line| line.starts_with("tick "))).unwrap_or_default();
    let wrong = lines.into_iter().zip(1..).find(|(line, number)| *line != format!("tick {number}"));
    wrong.map_or(Ok(()), |(line, number)| {
        let wanted = format!("the line `tick {number}` on stderr: ticks are counted from 1");
        Err(Problem::new(wanted, Seen::Miscounted(line)))
    })
}

fn ticks_among(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    expect_ticks(stage, Topic::Crowd, |stage| {
        hears_hello(&mut stage.connect()?)?;
        thread::sleep(Duration::from_millis(5));
        Ok(())
    })?;
    expect_punctual(stage)
}

/// Between two ticks one client comes, and then nobody: the next tick comes when it is due, and not a whole tick after the client. That
/// one would be late, and the one behind it too early.
fn expect_punctual(stage: &mut Stage) -> Result<(), Problem> {
    const TIMES: usize = 5;
    const TRIES: usize = 3;
    let mut least = Duration::MAX;
    // A machine that is busy makes ticks late, too, but not each time most of them.
    for _ in 0..TRIES {
        let mut last = next_tick(stage)?;
        let mut off = Vec::new();
        for _ in 0..TIMES {
            thread::sleep((last + TICK / 2).saturating_duration_since(Instant::now()));
            hears_hello(&mut stage.connect()?)?;
            let next = next_tick(stage)?;
            off.push((next - last).abs_diff(TICK));
            last = next;
        }
        off.sort();
        least = least.min(off[off.len() / 2]);
        if least < TICK * 3 / 10 {
            return Ok(());
        }
    }
    let wanted = "the next tick when it is due, although a client has come meanwhile";
    Err(Problem::new(wanted, Seen::Late { median: least }).about(Topic::Crowd))
}

/// The moment of the next tick.
fn next_tick(stage: &Stage) -> Result<Instant, Problem> {
    let (before, until) = (count(stage), Instant::now() + stage.timing.patience());
    while count(stage) == before {
        if Instant::now() >= until {
            return Err(Problem::new("a tick", Seen::Ticks { got: 0, due: 1 }).about(Topic::Crowd));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Instant::now())
}

fn at_once(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut times = Vec::new();
    for at in 0..15 {
        // Not in step with the ticks.
        thread::sleep(Duration::from_millis(17 + at * 3));
        let since = Instant::now();
        hears_hello(&mut stage.connect()?)?;
        times.push(since.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2];
    // A server that looks at each tick needs 50 ms in the middle; one that waits in the kernel less than one.
    if median > TICK * 3 / 10 {
        return Err(Problem::new("the greeting within a few milliseconds", Seen::Late { median }));
    }
    Ok(())
}

fn rests(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    hears_hello(&mut stage.connect()?)?;
    standing::idle(stage)?;
    let Some(before) = stage.student.as_ref().and_then(life::wakeups) else { return Ok(()) };
    let since = Instant::now();
    thread::sleep(TICK * 6);
    let Some(after) = stage.student.as_ref().and_then(life::wakeups) else { return Ok(()) };
    let due = since.elapsed().as_millis() as u64 / TICK.as_millis() as u64;
    let count = after.saturating_sub(before);
    // One for each tick, one for a pipe that was full, and a few for nothing.
    if count > due * 3 + 6 {
        return Err(Problem::new(format!("to wake up about {due} times, once a tick"), Seen::Wakeups { count }));
    }
    Ok(())
}

fn one_thread(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    hears_hello(&mut stage.connect()?)?;
    stage.expect_flat(Resource::Threads, Some(1), 0).map_err(|problem| problem.about(Topic::OneThread))
}

fn a_crowd(stage: &mut Stage) -> Result<(), Problem> {
    stage.serve()?;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(stage.connect()?);
    }
    let since = Instant::now();
    crowd.iter_mut().try_for_each(hears_hello)?;
    // One client a tick would be five seconds.
    let each = since.elapsed() / 50;
    if each > TICK / 2 {
        return Err(Problem::new("all greetings at once", Seen::Late { median: each }));
    }
    Ok(())
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    let visit = |stage: &mut Stage| {
        standing::running(stage)?;
        hears_hello(&mut stage.connect()?)
    };
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..150 {
            stage.connect()?.abort();
        }
        for _ in 0..50 {
            hears_hello(&mut stage.connect()?)?;
        }
        Ok(())
    })
}
