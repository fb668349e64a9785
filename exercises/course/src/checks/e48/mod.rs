//! Exercise 48, a load tester. The grader is the server: it knows what it did, and when.

mod account;
mod house;

use crate::{
    catalog::Check,
    checks::standing,
    load_subject::{Load, Tally},
    problem::{Problem, Seen, Topic},
    stage::Stage,
    student::Exit,
};
use account::Report;
use house::{House, Reply};
use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "counts", promise: "103 requests of four clients are sent once each, and counted", run: counts },
    Check { name: "at-once", promise: "eight clients are under way at once, each on its connection", run: at_once },
    Check { name: "percentiles", promise: "each percentile is the time at its rank", run: percentiles },
    Check {
        name: "wrong-answers",
        promise: "an answer is read whole and compared; a wrong one is a failure",
        run: wrong_answers,
    },
    Check {
        name: "broken-connections",
        promise: "a connection that ends is a failure, and in no time",
        run: broken_connections,
    },
    Check {
        name: "timeouts",
        promise: "a request has one deadline, and its late answer is not the next one's",
        run: timeouts,
    },
    Check { name: "no-server", promise: "where no server listens, it says so and ends", run: refused },
    Check { name: "on-time", promise: "at a rate, requests come when they are due", run: on_time },
    Check {
        name: "a-stall",
        promise: "requests that were due while the server stood still count with all their time",
        run: a_stall,
    },
    Check { name: "overload", promise: "a server that is too slow shows as one", run: overload },
    Check { name: "rests", promise: "until the next request is due, it sleeps", run: rests },
];

/// A run of the program, and when it was.
#[derive(Debug)]
struct Run<'a> {
    load: Load,
    clients: u64,
    requests: u64,
    rate: Option<u64>,
    /// How long the server makes it last, about.
    lasts: Duration,
    timeout: Duration,
    /// The requests by how they end.
    wanted: Tally,
    house: Option<&'a House>,
    /// The program had not been started before this moment, and had ended at the other.
    started: Instant,
    over: Instant,
}

impl<'a> Run<'a> {
    /// A closed loop in which each request is answered.
    fn new(load: Load, house: &'a House, clients: u64, requests: u64) -> Self {
        let now = Instant::now();
        Self {
            load,
            clients,
            requests,
            rate: None,
            lasts: Duration::ZERO,
            timeout: Duration::from_secs(60),
            wanted: Tally { requests, answered: requests, ..Tally::default() },
            house: Some(house),
            started: now,
            over: now,
        }
    }

    fn start(&mut self, stage: &mut Stage, server: SocketAddr) -> Result<(), Problem> {
        let mut args = vec!["--connect".into(), server.to_string()];
        let timeout = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        for (flag, number) in [("--clients", self.clients), ("--requests", self.requests), ("--timeout", timeout)] {
            args.extend([flag.into(), number.to_string()]);
        }
        args.extend(self.rate.into_iter().flat_map(|rate| ["--rate".into(), rate.to_string()]));
        self.started = Instant::now();
        stage.start_client(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs the program to its end, and holds its report to what the server saw.
    fn expect(mut self, stage: &mut Stage, server: SocketAddr) -> Result<(), Problem> {
        let load = self.load;
        let about = |problem: Problem| problem.or_about(Topic::Load(load));
        self.start(stage, server)?;
        let within = stage.timing.patience() + self.lasts * 2;
        let exit = stage.student.as_mut().and_then(|student| student.exit(within));
        self.over = Instant::now();
        let wanted = i32::from(self.wanted.answered == 0);
        match exit {
            None => {
                return Err(about(Problem::new("the report, and the end", Seen::OtherExit { code: wanted })));
            }
            Some(Exit::Code(101) | Exit::Signal(_)) => return Err(Problem::new("the report", Seen::Exited)),
            Some(Exit::Code(_)) => {}
        }
        self.judge(stage).map_err(about)?;
        if !matches!(exit, Some(Exit::Code(code)) if code == wanted) {
            let text = format!("exit code {wanted}");
            return Err(about(Problem::new(text, Seen::OtherExit { code: wanted })));
        }
        // It has ended, as it should.
        stage.student = None;
        Ok(())
    }

    fn judge(&self, stage: &Stage) -> Result<(), Problem> {
        if let Some(house) = self.house {
            house.expect_requests()?;
        }
        stage.expect_no_panic("that no thread panics")?;
        let text = stage.student.as_ref().map(|student| student.said(stage.timing.patience())).unwrap_or_default();
        let report = Report::read(&text)?;
        let counted = || {
            let wanted = "that each request is counted once, under what became of it";
            Problem::new(wanted, Seen::Counted { wanted: self.wanted, got: report.tally })
        };
        // The connection of a failure that was taken for an answer is kept, and what is sent on it may not arrive.
        if report.tally.requests == self.requests && report.tally.answered > self.wanted.answered {
            return Err(counted());
        }
        let asked = self.house.map(House::asked).unwrap_or_default();
        if let Some(house) = self.house {
            house.expect_new_connections()?;
            self.expect_requests(&asked)?;
        }
        if report.tally != self.wanted {
            return Err(counted());
        }
        self.expect_times(&report, &asked)
    }
}

/// So long the server works on something that should show: a few milliseconds, on a machine at rest.
fn work(stage: &Stage, millis: u32) -> Duration {
    Duration::from_millis(1).mul_f64(stage.timing.scale() * f64::from(millis))
}

fn counts(stage: &mut Stage) -> Result<(), Problem> {
    let house = House::open(stage, |_| Reply::Good)?;
    // A number that the clients cannot share alike.
    Run::new(Load::Plain, &house, 4, 103).expect(stage, house.address())
}

/// The place where requests wait for each other.
#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<Met>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Met {
    waiting: usize,
    most: usize,
    rounds: usize,
    /// Not all of them came. From then on nobody waits.
    in_vain: bool,
}

impl Meeting {
    /// Waits until so many requests are here, at most for `time`.
    fn meet(&self, count: usize, time: Duration) {
        let mut met = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        met.waiting += 1;
        met.most = met.most.max(met.waiting);
        let round = met.rounds;
        if met.waiting == count {
            (met.rounds, met.waiting) = (round + 1, 0);
        } else {
            let waits = |met: &mut Met| met.rounds == round && !met.in_vain;
            let waited = self.more.wait_timeout_while(met, time, waits);
            met = waited.unwrap_or_else(PoisonError::into_inner).0;
            if met.rounds == round {
                met.waiting -= 1;
                met.in_vain = true;
            }
        }
        drop(met);
        self.more.notify_all();
    }
}

fn at_once(stage: &mut Stage) -> Result<(), Problem> {
    const CLIENTS: usize = 8;
    let meeting = Arc::<Meeting>::default();
    let (shared, time) = (Arc::clone(&meeting), stage.timing.patience() / 2);
    let house = House::open(stage, move |_| {
        shared.meet(CLIENTS, time);
        Reply::Good
    })?;
    let run = Run { lasts: time, ..Run::new(Load::Plain, &house, CLIENTS as u64, 10 * CLIENTS as u64) };
    let over = run.expect(stage, house.address());
    let (most, connections) = (meeting.state.lock().unwrap_or_else(PoisonError::into_inner).most, house.connections());
    // The report of a program that is slow in this way may well be right.
    let seen = match () {
        () if most < CLIENTS && over.is_ok() => Seen::Together(most),
        () if connections > CLIENTS => Seen::Connections(connections),
        () => return over,
    };
    let wanted = format!("that {CLIENTS} clients are under way together, each on a connection that it keeps");
    Err(Problem::new(wanted, seen).about(Topic::Load(Load::Plain)))
}

/// A hundred requests that take these times, so many of each, in an order from the seed.
fn ranks(stage: &mut Stage, counts: [usize; 4]) -> Result<(), Problem> {
    let times = [0, 6, 18, 54].map(|millis| work(stage, millis));
    let mut each: Vec<Duration> =
        times.into_iter().zip(counts).flat_map(|(time, count)| std::iter::repeat_n(time, count)).collect();
    for at in (1..each.len()).rev() {
        each.swap(at, stage.below(at + 1));
    }
    let (lasts, requests) = (each.iter().sum(), each.len() as u64);
    let house = House::open(stage, move |number| {
        let time = usize::try_from(number).ok().and_then(|number| each.get(number).copied());
        thread::sleep(time.unwrap_or_default());
        Reply::Good
    })?;
    Run { lasts, ..Run::new(Load::Ranks, &house, 1, requests) }.expect(stage, house.address())
}

fn percentiles(stage: &mut Stage) -> Result<(), Problem> {
    // Each rank is the last of its kind in one run, and the first in the other.
    ranks(stage, [50, 40, 9, 1])?;
    ranks(stage, [49, 40, 9, 2])?;
    // Ranks that are no whole numbers are rounded up.
    ranks(stage, [4, 3, 1, 1])
}

fn wrong_answers(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 60;
    let (time, pause) = (work(stage, 30), work(stage, 2));
    let reply = move |number: u64| {
        let line = match number % 6 {
            1 => "ERR busy".into(),
            3 => (number + 1).to_string(),
            // Begins like the answer, or is a part of it.
            5 if number < 30 => format!("{number}0"),
            5 => (number / 10).to_string(),
            2 => return Reply::Pieces(pause),
            _ => return Reply::Good,
        };
        thread::sleep(time);
        Reply::Line(line)
    };
    let house = House::open(stage, reply)?;
    let (answered, wrong) = (REQUESTS / 2, REQUESTS / 2);
    let wanted = Tally { requests: REQUESTS, answered, wrong, ..Tally::default() };
    let lasts = time * 30 + pause * 30;
    Run { wanted, lasts, ..Run::new(Load::WrongAnswers, &house, 1, REQUESTS) }.expect(stage, house.address())
}

fn broken_connections(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 40;
    let time = work(stage, 30);
    let reply = move |number: u64| {
        // Two fail in a row: a program that takes the first for an answer sends the second on a connection that has ended.
        if matches!(number % 4, 0 | 3) {
            return Reply::Good;
        }
        thread::sleep(time);
        match number % 8 {
            1 | 2 => Reply::End(String::new()),
            // All of the answer but its end.
            5 => Reply::End(number.to_string()),
            _ => Reply::Reset,
        }
    };
    let house = House::open(stage, reply)?;
    let (answered, ended) = (REQUESTS / 2, REQUESTS / 2);
    let wanted = Tally { requests: REQUESTS, answered, ended, ..Tally::default() };
    Run { wanted, lasts: time * 20, ..Run::new(Load::Broken, &house, 1, REQUESTS) }.expect(stage, house.address())
}

fn timeouts(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 30;
    let timeout = stage.timing.quiet() * 4;
    let reply = move |number: u64| match number {
        5 => Reply::TooLate(timeout + timeout / 2),
        12 => Reply::Drip(timeout / 4, 12),
        20 => Reply::Never,
        _ => Reply::Good,
    };
    let house = House::open(stage, reply)?;
    let wanted = Tally { requests: REQUESTS, answered: REQUESTS - 3, timeout: 3, ..Tally::default() };
    let run = Run { wanted, timeout, lasts: timeout * 6, ..Run::new(Load::Timeouts, &house, 1, REQUESTS) };
    run.expect(stage, house.address())
}

fn refused(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 20;
    let house = House::open(stage, |_| Reply::Good)?;
    let address = stage.upstream()?.refuse();
    let wanted = Tally { requests: REQUESTS, refused: REQUESTS, ..Tally::default() };
    Run { wanted, house: None, ..Run::new(Load::NoServer, &house, 2, REQUESTS) }.expect(stage, address)
}

/// As many requests a second as become due in pauses of so many milliseconds, on a machine at rest.
fn rate(stage: &Stage, pause: u32) -> (u64, Duration) {
    let rate = (1.0 / work(stage, pause).as_secs_f64()).floor().max(1.0);
    (rate as u64, Duration::from_secs_f64(1.0 / rate))
}

fn on_time(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 100;
    let (rate, pause) = rate(stage, 6);
    let house = House::open(stage, |_| Reply::Good)?;
    let run = Run { rate: Some(rate), lasts: pause * 100, ..Run::new(Load::Pace, &house, 4, REQUESTS) };
    run.expect(stage, house.address())
}

fn a_stall(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 100;
    let (rate, pause) = rate(stage, 10);
    let until = Mutex::<Option<Instant>>::default();
    let house = House::open(stage, move |number| {
        let mut until = until.lock().unwrap_or_else(PoisonError::into_inner);
        if number == 30 {
            *until = Some(Instant::now() + pause * 40);
        }
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        drop(until);
        thread::sleep(left);
        Reply::Good
    })?;
    let run = Run { rate: Some(rate), lasts: pause * 140, ..Run::new(Load::Late, &house, 2, REQUESTS) };
    run.expect(stage, house.address())
}

fn overload(stage: &mut Stage) -> Result<(), Problem> {
    const REQUESTS: u64 = 40;
    let (rate, pause) = rate(stage, 5);
    let house = House::open(stage, move |_| {
        thread::sleep(pause * 2);
        Reply::Good
    })?;
    let run = Run { rate: Some(rate), lasts: pause * 100, ..Run::new(Load::Late, &house, 1, REQUESTS) };
    run.expect(stage, house.address())
}

fn rests(stage: &mut Stage) -> Result<(), Problem> {
    let house = House::open(stage, |_| Reply::Good)?;
    let mut run = Run { rate: Some(2), ..Run::new(Load::Pace, &house, 4, 1000) };
    run.start(stage, house.address())?;
    let until = Instant::now() + stage.timing.patience();
    while house.asked().is_empty() {
        let over = stage.student.as_mut().is_none_or(|student| student.exit(Duration::ZERO).is_some());
        if over {
            return Err(Problem::new("that it goes on: a thousand requests take long", Seen::Exited));
        }
        if Instant::now() >= until {
            return Err(Problem::new("the first request", Seen::NobodyConnected(house.address())));
        }
        thread::sleep(stage.timing.quiet() / 20);
    }
    standing::idle(stage)?;
    stage.kill();
    Ok(())
}
