//! One world of the chat, from its first client to the last connection's end.

use super::{
    books::{Shared, Tally},
    line::{Deaf, Line},
    person::Person,
    setting::{Setting, first_room, people},
};
use crate::{
    disk::{FakeDisk, Seen, Trouble},
    support::{
        random::Random,
        trace::{Lines, Trace},
        world::{Waker, World},
    },
};
use socket_patterns::{
    chat::{Census, ChatArgs, Door, Guard, Parts, Worker, Writer},
    time::{Instant, Now},
};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

/// The marks at which no more is fetched for a client and at which the driver takes no more, and the longest thing that it may be told.
const MOST_UNSENT: usize = (16 + 16 + 8) * 1024;

/// The longest thing that a client may be told beyond its queue.
const LONGEST: usize = 4096;

/// Steps of a world before its troubles end.
const STEPS: usize = 6000;

/// More steps than any world needs to come to its end.
const END: usize = 2_000_000;

/// A message that comes twice comes within this time.
const SETTLE: Duration = Duration::from_secs(20);

/// How often a chat is told the time.
const TICK: Duration = Duration::from_secs(1);

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub digest: u64,
    pub steps: u64,
    pub tally: Tally,
    pub disk: Seen,
    pub kills: u64,
    pub outages: u64,
    pub too_slow: u64,
}

/// A world while it runs.
pub struct Play {
    setting: Setting,
    args: ChatArgs,
    random: Random,
    world: World<Worker>,
    wakers: Vec<Waker>,
    writer: Writer,
    guard: Guard,
    door: Door,
    disk: FakeDisk,
    people: Vec<Rc<RefCell<Person>>>,
    books: Shared,
    /// The writer is woken then.
    alarm: Option<Instant>,
    ticked: Duration,
    is_calm: bool,
    kills: u64,
    outages: u64,
    too_slow: u64,
}

impl Play {
    pub fn new(seed: u64, lines: Option<Lines>, change: fn(&mut Setting)) -> Self {
        let mut random = Random::new(seed);
        let mut setting = Setting::of(&mut random);
        change(&mut setting);
        let args = setting.args();
        let disk = FakeDisk::new(random.fork());
        if setting.disk_lies {
            disk.lie();
        }
        let mut built = None;
        let build = |now: Now, wakers: &[Waker]| {
            let (parts, workers) = parts(&args, &disk, now, wakers, setting.worth).expect("an empty disk");
            built = Some((parts, wakers.to_vec()));
            workers
        };
        let trace = Trace::new(lines);
        let mut world = World::new(setting.workers, build, setting.weather.clone(), random.fork(), trace);
        world.most_unsent = MOST_UNSENT;
        let (parts, wakers) = built.expect("it was built");
        let (door, Parts { writer, guard, .. }) = (parts.door(), parts);
        let books = Shared::default();
        books.borrow_mut().history = setting.history;
        let people = people(&setting, &mut random, &books);
        for number in 0..setting.deaf {
            let at = random.micros(0..=2_000_000);
            world.client(at, Deaf::new(number, random.chance(500), first_room()));
        }
        let (alarm, ticked, is_calm) = (None, Duration::ZERO, false);
        let (kills, outages, too_slow) = (0, 0, 0);
        Self {
            setting,
            args,
            random,
            world,
            wakers,
            writer,
            guard,
            door,
            disk,
            people,
            books,
            alarm,
            ticked,
            is_calm,
            kills,
            outages,
            too_slow,
        }
    }

    pub fn run(mut self) -> Report {
        for _ in 0..STEPS {
            self.trouble();
            self.step();
        }
        self.calm_down();
        self.until("it does not come to its end", |play| play.is_done());
        let settled = self.world.now() + SETTLE;
        self.until("time stands still", |play| play.world.now() >= settled && play.is_done() && play.are_here());
        self.at_rest();
        self.end();
        Report {
            digest: self.world.trace.digest(),
            steps: self.world.seen.steps,
            tally: self.books.borrow().tally,
            disk: self.disk.seen(),
            kills: self.kills,
            outages: self.outages,
            too_slow: self.too_slow,
        }
    }

    fn until(&mut self, why: &str, is_over: impl Fn(&Self) -> bool) {
        let mut steps = 0;
        while !is_over(self) {
            self.step();
            steps += 1;
            assert!(steps < END, "{why}: {:#?} {:#?}", self.waiting(), self.world.open_links());
        }
    }

    fn is_done(&self) -> bool {
        self.people.iter().all(|person| person.borrow().is_done())
    }

    /// Whether the server knows of everybody. One that says nothing for long is sent away, and comes back.
    fn are_here(&self) -> bool {
        // A slow client may still read what it was told before it was sent away.
        let quick = self.people.iter().filter(|person| person.borrow().ways.slow.is_none());
        self.door.census().people >= quick.count()
    }

    /// The stories of clients that are not done.
    fn waiting(&self) -> Vec<String> {
        let waiting = self.people.iter().filter(|person| !person.borrow().is_done());
        waiting.map(|person| person.borrow().story()).collect()
    }

    /// One thing happens, in the world or beside it.
    fn step(&mut self) {
        let at = self.random.below(self.people.len());
        self.visit(at);
        let is_due = self.writer.due().is_some_and(|due| due <= self.world.clock().instant);
        if is_due || self.random.chance(1000 / self.setting.writer_pace.max(1)) {
            self.write();
        }
        if self.random.chance(100) {
            self.guard.work();
        }
        if self.world.now() >= self.ticked + TICK {
            self.ticked = self.world.now();
            self.door.tick(self.world.clock());
        }
        self.watch_clock();
        self.world.pass_on_wakes();
        let more = self.world.step();
        if self.world.is_time_to_look() {
            self.check();
        }
        if !more {
            (0..self.people.len()).for_each(|at| self.visit(at));
            self.write();
            self.guard.work();
            self.watch_clock();
            self.world.wake_in(TICK);
        }
    }

    /// A client that has no connection gets one, and now and then one that has one.
    fn visit(&mut self, at: usize) {
        let has_line = self.people[at].borrow().line.is_some();
        let wants = if has_line { !self.is_calm && self.random.chance(2) } else { self.random.chance(100) };
        if wants {
            let mut books = self.books.borrow_mut();
            books.tally.connects += 1;
            books.tally.takeovers += usize::from(has_line);
            drop(books);
            let soon = self.world.now() + self.random.micros(0..=50_000);
            let line = Line::new(&self.people[at], self.world.now());
            self.world.client(soon, line);
        }
    }

    fn write(&mut self) {
        self.writer.work(self.world.clock().instant);
        // The process was to be killed within a call to the disk.
        if self.disk.is_dead() {
            self.crash();
        }
    }

    /// The writer wants to be called at some time, whether anything happens or not.
    fn watch_clock(&mut self) {
        let due = self.writer.due();
        if let Some(at) = due.filter(|_| due != self.alarm) {
            self.world.wake_in(at.saturating_duration_since(self.world.clock().instant));
        }
        self.alarm = due;
    }

    fn trouble(&mut self) {
        if self.random.below(100_000) < self.setting.crashes {
            match self.random.below(3) {
                0 => self.crash(),
                _ => self.disk.arm(self.random.magnitude(1..=30) as u32),
            }
        }
        self.disk.change_trouble(&mut self.random, self.setting.troubles);
    }

    /// The process is killed, or the machine has no power for a moment.
    fn crash(&mut self) {
        self.too_slow += self.door.census().slow;
        let is_outage = self.setting.may_lose_power && self.random.chance(500);
        let mut until = self.world.now();
        if is_outage {
            self.outages += 1;
            self.disk.lose_power();
            until = until.saturating_sub(self.setting.grace);
        } else {
            self.kills += 1;
        }
        self.disk.revive();
        let workers = self.recover();
        self.books.borrow_mut().restarted(until);
        self.world.replace(workers);
        let now = self.world.now();
        // Words of the old server that are still on their way are not believed.
        self.people.iter().for_each(|person| person.borrow_mut().lose(now));
    }

    /// As often as it takes while the disk has its troubles; at once without them.
    fn recover(&mut self) -> Vec<Worker> {
        loop {
            match parts(&self.args, &self.disk, self.world.clock(), &self.wakers, self.setting.worth) {
                Ok((parts, workers)) => {
                    self.door = parts.door();
                    (self.writer, self.guard, self.alarm) = (parts.writer, parts.guard, None);
                    return workers;
                }
                Err(_) if self.disk.is_troubled() => self.disk.set_trouble(Trouble::None),
                Err(why) => panic!("the chat does not start after a crash: {why}"),
            }
        }
    }

    fn calm_down(&mut self) {
        self.is_calm = true;
        self.disk.set_trouble(Trouble::None);
        self.disk.revive();
        self.world.set_weather(self.setting.weather.clone().settled());
        self.people.iter().for_each(|person| person.borrow_mut().is_calm = true);
    }

    /// The books: nothing grows beyond its bound.
    fn check(&self) {
        let census = self.door.census();
        let most = self.setting.queue.max(LONGEST);
        assert!(census.mailboxes == census.people && census.people <= self.world.open(), "{census:?}");
        assert!(census.names == census.people + census.away && census.tokens == census.names, "{census:?}");
        assert!(census.heaviest <= most, "{census:?}");
    }

    /// Everything has come to its end, and everybody has heard everything.
    fn at_rest(&mut self) {
        assert!(self.is_done(), "they wait for ever: {:#?}", self.waiting());
        self.write();
        let census = self.door.census();
        assert_eq!((census.waiting, census.unwritten), (0, 0), "{census:?}");
        self.too_slow += census.slow;
        self.books.borrow().close();
    }

    /// The server stops, and holds nothing when the last connection is gone.
    fn end(&mut self) {
        self.door.close();
        self.world.drain();
        for _ in 0..END {
            if self.world.open() == 0 || !self.world.step() {
                break;
            }
        }
        // Connections that do not read are cut off.
        self.world.cut_off();
        assert!(self.world.open() <= self.setting.deaf, "left after the end: {:?}", self.world.open_links());
        self.world.workers.clear();
        // People are waited for from the next time on that the chat is told.
        self.door.tick(self.world.clock().after(TICK));
        self.door.tick(self.world.clock().after(Duration::from_secs(3600)));
        let Census { people, away, members, names, tokens, mailboxes, waiting, .. } = self.door.census();
        assert_eq!([people, away, members, names, tokens, mailboxes, waiting], [0; 7], "{:?}", self.door.census());
    }
}

type Built = (Parts, Vec<Worker>);

fn parts(args: &ChatArgs, disk: &FakeDisk, now: Now, wakers: &[Waker], worth: u64) -> Result<Built, String> {
    let mut parts = Parts::new(args, Arc::new(disk.clone()), now).map_err(|failure| format!("{failure:?}"))?;
    parts.writer.compact_from(worth);
    parts.guard.weaken();
    let worker = |waker: &Waker| {
        let (worker, waker) = (parts.door().worker(), waker.clone());
        worker.calls().wake_by(move || waker.wake());
        worker
    };
    let workers = wakers.iter().map(worker).collect();
    Ok((parts, workers))
}
