//! The tools of one check: the student's program, clients, a seed, and the record.

use crate::{
    client::{Client, Open},
    life, probe,
    problem::{Problem, Resource, Seen},
    student::{Limits, Student},
    timing::Timing,
    upstream::Serving,
    wire::Recorder,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use socket2::Socket;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// One check while it runs. The program is started for each check anew, so that checks cannot disturb each other.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) program: PathBuf,
    pub(crate) random: SmallRng,
    pub(crate) live: bool,
    /// How long it waits.
    pub(crate) timing: Timing,
    /// The record of what happened.
    pub(crate) record: Recorder,
    /// The program, once it was started.
    pub(crate) student: Option<Student>,
    /// Where it listens.
    pub(crate) server: Option<SocketAddr>,
    /// A server that runs already, in place of one that is started.
    pub(crate) at: Option<SocketAddr>,
    /// The program is told a port, and not to take any: else nobody would see that it does not look.
    pub(crate) tells_port: bool,
    pub(crate) open: Open,
    /// How many servers of ours there are.
    pub(crate) upstreams: u8,
    /// Servers that last as long as the stage: if they ended with a check that fails, the program would wake up, and nobody could see any
    /// more what it was waiting for.
    pub(crate) kept: Vec<Arc<Serving>>,
}

/// So long an idle program is watched, and this share of the time it may use.
const IDLE: Duration = Duration::from_millis(400);
const BUSY: f64 = 0.05;

/// How many words there are to make lines from.
const WORDS: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "larch",
    "marsh", "north", "ochre", "plain",
];

impl Stage {
    /// A stage for `program`. Two with the same seed and name say the same.
    pub(crate) fn new(program: &Path, seed: u64, name: &str, timing: Timing, live: bool) -> Self {
        let mixed = name.bytes().fold(seed, |mix, byte| mix.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
        Self {
            program: program.to_owned(),
            random: SmallRng::seed_from_u64(mixed),
            live,
            timing,
            record: Recorder::new(live),
            student: None,
            server: None,
            at: None,
            tells_port: false,
            open: Open::default(),
            upstreams: 0,
            kept: Vec::new(),
        }
    }

    /// Starts the program as a server and waits until it listens.
    pub(crate) fn serve(&mut self) -> Result<(), Problem> {
        self.serve_with(crate::process::ANY, &[], Limits::default()).map(drop)
    }

    /// Connects a client to the server.
    pub(crate) fn connect(&self) -> Result<Client, Problem> {
        self.connect_with(|_| Ok(()))
    }

    /// Connects a client whose socket is prepared before.
    pub(crate) fn connect_with(&self, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Result<Client, Problem> {
        let Some(server) = self.server else {
            return Err(Problem::new("a server", Seen::Grader(io::ErrorKind::NotConnected.into())));
        };
        Client::connect(server, prepare, &self.record, &self.open, self.timing)
    }

    /// How many connections are open on our side.
    pub(crate) fn connections(&self) -> usize {
        self.open.count()
    }

    /// The addresses at which the program listens, if the system tells and its own is not among them: then nobody can be served.
    pub(crate) fn listens_elsewhere(&self) -> Option<Vec<SocketAddr>> {
        let addresses = probe::listening(self.student.as_ref()?.id())?;
        self.server.is_some_and(|server| !addresses.contains(&server)).then_some(addresses)
    }

    /// A line that no other client of this run sends.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        format!("{}\n", self.text()).into_bytes()
    }

    /// As [`Self::line`], without its end.
    pub(crate) fn text(&mut self) -> String {
        let mut word = || WORDS[self.random.random_range(0..WORDS.len())];
        let (one, two) = (word(), word());
        format!("{one} {two} {}", self.random.random_range(1000..10_000))
    }

    /// A number below `end`, from the seed.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// As [`Client::expect`], of programs that are known to be broken: if nothing comes for a while, and no thread of the program has
    /// even woken up for a moment, nothing will come. One that does something is waited for as usual.
    pub(crate) fn expect_soon(&self, client: &mut Client, expected: &[u8], wanted: &str) -> Result<(), Problem> {
        match client.expect_within(self.timing.quiet() * 3, expected, wanted) {
            Err(Problem { seen: Seen::Silence(_), .. }) if !self.stands_still() => client.expect(expected, wanted),
            heard => heard,
        }
    }

    /// Whether no thread of the program was woken, or used the processor, within a moment. Where the system does not tell: no.
    fn stands_still(&self) -> bool {
        let Some(id) = self.student.as_ref().map(Student::id) else { return false };
        let before = probe::used(id);
        std::thread::sleep(self.timing.quiet());
        before.is_some() && before == probe::used(id)
    }

    /// Waits until no thread of the program runs or wants to, at most for our patience: then it has done all that follows from what was
    /// sent so far, also what no client can see. A thread that sleeps for a time is perhaps not done yet; one that always does so is
    /// not waited for longer than a moment.
    pub(crate) fn until_rests(&self) {
        let Some(id) = self.student.as_ref().map(Student::id) else { return };
        let (begun, patience, moment) = (std::time::Instant::now(), self.timing.patience(), self.timing.quiet());
        let pauses = || begun.elapsed() < moment && probe::calls(id).contains(&probe::Call::Sleep);
        // A thread that hands something to another is asleep for a moment before that one runs.
        let mut rests = 0;
        while rests < 3 && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(1));
            rests = if probe::runs(id) || pauses() { 0 } else { rests + 1 };
        }
    }

    /// Complains if a thread of the program has panicked, even if the others went on.
    pub(crate) fn expect_no_panic(&self, wanted: &str) -> Result<(), Problem> {
        match &self.student {
            Some(student) if life::panic(student).is_some() => Err(Problem::new(wanted, Seen::ThreadPanicked)),
            _ => Ok(()),
        }
    }

    /// Complains if the program logs no line for which `holds`; `wanted` says which.
    pub(crate) fn expect_log(&self, wanted: &str, holds: impl Fn(&str) -> bool) -> Result<(), Problem> {
        self.expect_log_within(self.timing.patience(), wanted, holds)
    }

    /// As [`Stage::expect_log`], for a line that is written before the answer that we have seen.
    pub(crate) fn expect_log_soon(&self, wanted: &str, holds: impl Fn(&str) -> bool) -> Result<(), Problem> {
        self.expect_log_within(self.timing.quiet() * 4, wanted, holds)
    }

    fn expect_log_within(&self, time: Duration, wanted: &str, holds: impl Fn(&str) -> bool) -> Result<(), Problem> {
        match &self.student {
            Some(student) if !student.logs(holds, time) => {
                let last = student.last_words(1).pop().unwrap_or_default();
                Err(Problem::new(wanted, Seen::NotLogged(last)))
            }
            _ => Ok(()),
        }
    }

    /// How much the program has of something, if the system tells.
    pub(crate) fn amount(&self, what: Resource) -> Option<u64> {
        let id = self.student.as_ref()?.id();
        match what {
            Resource::Descriptors => probe::descriptors(id),
            Resource::Threads => probe::threads(id),
            Resource::Memory => probe::memory(id),
            Resource::Zombies => probe::zombies(id),
        }
    }

    /// Complains if there is more of `what` than `before` and some. Waits a little: what is being given back may take a moment.
    pub(crate) fn expect_flat(&self, what: Resource, before: Option<u64>, some: u64) -> Result<(), Problem> {
        let Some(from) = before else { return Ok(()) };
        let until = std::time::Instant::now() + self.timing.patience();
        loop {
            let Some(to) = self.amount(what) else { return Ok(()) };
            if to <= from + some {
                return Ok(());
            }
            if std::time::Instant::now() >= until {
                return Err(Problem::new("that what a client took is given back", Seen::Grew { what, from, to }));
            }
            std::thread::sleep(self.timing.quiet() / 10);
        }
    }

    /// Complains if the program, which has nothing to do now, uses the processor or is woken more than `most_waits` times in
    /// 400 ms.
    pub(crate) fn expect_idle(&self, most_waits: u64) -> Result<(), Problem> {
        let Some(id) = self.student.as_ref().map(Student::id) else { return Ok(()) };
        // Its work of a moment ago may not be quite over.
        std::thread::sleep(self.timing.quiet() / 2);
        let (begun, before) = (std::time::Instant::now(), probe::used(id));
        // On a busy machine one that spins has little of the processor, and wants it all the time.
        let spins = probe::spins(id, IDLE / u32::try_from(probe::LOOKS).unwrap_or(1));
        let (over, after) = (begun.elapsed(), probe::used(id));
        let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
        let (processor, waits) =
            (after.processor.saturating_sub(before.processor), after.waits.saturating_sub(before.waits));
        let spins = spins && waits < 3 && processor > over / 100;
        let most_waits = (most_waits as f64 * over.as_secs_f64() / IDLE.as_secs_f64()) as u64;
        if spins || processor > over.mul_f64(BUSY) || waits > most_waits {
            return Err(Problem::new(
                "that it sleeps while nothing happens",
                Seen::Busy { spins, processor, waits, over },
            ));
        }
        Ok(())
    }

    /// The standing promise of every check: the program still runs, no thread of it has panicked, and stdout has nothing but its first
    /// line.
    pub(crate) fn settle(&mut self) -> Result<(), Problem> {
        let Some(student) = &mut self.student else { return Ok(()) };
        // It may be about to end, and wait for the processor.
        let until = std::time::Instant::now() + self.timing.quiet();
        while probe::runs(student.id()) && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        // One that takes too much is ended by us.
        if student.excess().is_some() || student.exit(std::time::Duration::ZERO).is_some() {
            return Err(Problem::new("that the server goes on", Seen::Exited));
        }
        match student.chatter() {
            Some(line) => Err(Problem::new("that stdout has the line READY alone", Seen::Chatter(line))),
            None => self.expect_no_panic("that no thread panics, whatever clients do"),
        }
    }
}
