//! One world of the broker, from its first client to the last connection's end.

use super::{
    books::{Shared, Tally},
    line::Line,
    person::Person,
    setting::{Setting, observer, people},
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
    broker::{Broker, BrokerArgs, Compaction, Parts, Writer},
    time::{Instant, Now},
};
use std::{cell::RefCell, rc::Rc, sync::Arc};

/// The bytes above which a client is not heard, and what one read and one message may add.
const MOST_UNSENT: usize = (256 + 64 + 64) * 1024;

/// Topics to which anything is published.
const MOST_TOPICS: usize = 3;

/// Steps of a world before its troubles end.
const STEPS: usize = 6000;

/// More steps than any world needs to come to its end.
const END: usize = 2_000_000;

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub digest: u64,
    pub steps: u64,
    pub tally: Tally,
    pub disk: Seen,
    pub kills: u64,
    pub outages: u64,
    pub dropped: u64,
}

/// A world while it runs.
pub struct Play {
    setting: Setting,
    args: BrokerArgs,
    random: Random,
    world: World<Broker>,
    waker: Waker,
    writer: Writer,
    compaction: Option<Compaction>,
    disk: FakeDisk,
    people: Vec<Rc<RefCell<Person>>>,
    kept: usize,
    books: Shared,
    /// The writer is woken then.
    alarm: Option<Instant>,
    is_calm: bool,
    kills: u64,
    outages: u64,
    dropped: u64,
}

impl Play {
    pub fn new(seed: u64, lines: Option<Lines>, change: fn(&mut Setting)) -> Self {
        let mut random = Random::new(seed);
        let mut setting = Setting::of(&mut random);
        change(&mut setting);
        let args = setting.args(&mut random);
        let disk = FakeDisk::new(random.fork());
        if setting.disk_lies {
            disk.lie();
        }
        let (mut writer, mut waker) = (None, None);
        let build = |now: Now, wakers: &[Waker]| {
            let (app, its_writer) = parts(&args, &disk, now, &wakers[0], setting.worth).expect("an empty disk");
            (writer, waker) = (Some(its_writer), Some(wakers[0].clone()));
            vec![app]
        };
        let mut world = World::new(1, build, setting.weather.clone(), random.fork(), Trace::new(lines));
        world.most_unsent = MOST_UNSENT;
        // Where logs become snapshots, the record of a message that is done may be gone when its publisher hears the answer.
        // One that found no place in a queue has none.
        let is_audited = setting.sync == "always" && setting.worth == u64::MAX && setting.queue > 100;
        let audit = is_audited.then(|| disk.clone());
        let books = Shared::default();
        books.borrow_mut().audit = audit;
        books.borrow_mut().is_lossy = setting.queue < 100;
        let (people, kept) = people(&setting, &mut random, &books);
        let (writer, waker) = (writer.expect("it was built"), waker.expect("it was built"));
        let (compaction, alarm, is_calm) = (None, None, false);
        let (kills, outages, dropped) = (0, 0, 0);
        Self {
            setting,
            args,
            random,
            world,
            waker,
            writer,
            compaction,
            disk,
            people,
            kept,
            books,
            alarm,
            is_calm,
            kills,
            outages,
            dropped,
        }
    }

    pub fn run(mut self) -> Report {
        for _ in 0..STEPS {
            self.trouble();
            self.step();
        }
        self.calm_down();
        self.until_nothing_happens();
        self.observe();
        self.at_rest();
        self.world.drain();
        while self.world.open() > 0 {
            assert!(self.world.step(), "connections are left after the end: {:?}", self.world.open_links());
        }
        assert_eq!(self.census().connections, 0);
        Report {
            digest: self.world.trace.digest(),
            steps: self.world.seen.steps,
            tally: self.books.borrow().tally,
            disk: self.disk.seen(),
            kills: self.kills,
            outages: self.outages,
            dropped: self.dropped,
        }
    }

    fn until_nothing_happens(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < END, "it does not come to its end: {:?}", self.world.open_links());
        }
    }

    /// A client that comes only now is told the retained messages.
    fn observe(&mut self) {
        let number = self.people.len();
        let observer = observer(number, &self.books);
        observer.borrow_mut().is_calm = true;
        self.people.push(observer);
        self.until_nothing_happens();
        let books = self.books.borrow();
        let ((sure, possible), told) = (books.topics(), books.told(number));
        // A short queue has no room for all of them.
        assert!(books.is_lossy || told.is_superset(&sure), "{told:?} have something, and {sure:?} have to");
        assert!(told.is_subset(&possible), "{told:?} have something");
    }

    /// One thing happens, in the world or beside it. `false`: nothing is left that could.
    fn step(&mut self) -> bool {
        let at = self.random.below(self.people.len());
        self.visit(at, 100);
        let is_due = self.writer.due().is_some_and(|due| due <= self.world.clock().instant);
        if is_due || self.random.chance(1000 / self.setting.writer_pace.max(1)) {
            self.write();
        }
        if self.random.chance(20) {
            self.snapshot();
        }
        self.watch_clock();
        let more = self.world.step();
        if self.world.seen.steps.is_multiple_of(7) {
            self.check();
        }
        if more {
            return true;
        }
        (0..self.people.len()).for_each(|at| self.visit(at, 1000));
        self.snapshot();
        self.write();
        self.watch_clock();
        self.world.step()
    }

    /// A client that has no connection gets one, and now and then one that has one.
    fn visit(&mut self, at: usize, chance: u32) {
        let has_line = self.people[at].borrow().has_line();
        let wants = if has_line { !self.is_calm && self.random.chance(2) } else { self.random.chance(chance) };
        if wants {
            let soon = self.world.now() + self.random.micros(0..=50_000);
            let line = Line::new(&self.people[at], self.world.now());
            self.world.client(soon, line);
        }
    }

    fn write(&mut self) {
        if let Some(compaction) = self.writer.work(self.world.clock().instant) {
            self.compaction = Some(compaction);
        }
        self.look_at_disk();
    }

    fn snapshot(&mut self) {
        if let Some(compaction) = self.compaction.take() {
            let made = compaction.run();
            if self.disk.is_dead() {
                return self.look_at_disk();
            }
            self.writer.compacted(made);
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

    /// The process was to be killed within a call to the disk.
    fn look_at_disk(&mut self) {
        if self.disk.is_dead() {
            self.crash();
        }
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
        self.dropped += self.census().dropped;
        let is_outage = self.setting.may_lose_power && self.random.chance(500);
        if is_outage {
            self.outages += 1;
            self.disk.lose_power();
            if self.setting.is_weak() {
                self.lose_faith();
            }
        } else {
            self.kills += 1;
        }
        self.disk.revive();
        if self.random.chance(100) {
            self.disk.arm(self.random.magnitude(1..=30) as u32);
        }
        let (app, writer) = self.recover();
        (self.writer, self.compaction, self.alarm) = (writer, None, None);
        self.world.replace(vec![app]);
    }

    /// As often as it takes while the disk has its troubles; at once without them.
    fn recover(&mut self) -> (Broker, Writer) {
        loop {
            match parts(&self.args, &self.disk, self.world.clock(), &self.waker, self.setting.worth) {
                Ok(parts) => return parts,
                Err(_) if self.disk.is_dead() => {
                    if self.setting.sync == "always" && self.random.chance(500) {
                        self.disk.lose_power();
                    }
                    self.disk.revive();
                }
                Err(_) if self.disk.is_troubled() => self.disk.set_trouble(Trouble::None),
                Err(why) => panic!("the broker does not start after a crash: {why}"),
            }
        }
    }

    /// A weak policy, and no power: what was said in the last second may be forgotten. From now on nothing new is said, or an old number
    /// would stand for a new message.
    fn lose_faith(&mut self) {
        self.books.borrow_mut().lose_since(self.world.now().saturating_sub(self.setting.grace));
        for person in &self.people {
            person.borrow_mut().trust_nothing();
            person.borrow_mut().drop_plan();
        }
        (self.setting.crashes, self.setting.may_lose_power) = (0, false);
    }

    fn calm_down(&mut self) {
        self.is_calm = true;
        self.disk.set_trouble(Trouble::None);
        self.disk.revive();
        self.world.set_weather(self.setting.weather.clone().settled());
        self.people.iter().for_each(|person| person.borrow_mut().is_calm = true);
    }

    fn census(&self) -> socket_patterns::broker::Census {
        self.world.apps().next().expect("it has one worker").census()
    }

    /// The books: connections are clients', and nothing grows beyond its bound.
    fn check(&self) {
        let census = self.census();
        assert_eq!(census.connections, self.world.open(), "{census:?}");
        assert!(census.connected <= census.connections, "{census:?}");
        assert!(census.sessions <= self.people.len(), "{census:?}");
        assert!(census.longest_queue <= self.setting.queue, "{census:?}");
        assert!(census.retained <= MOST_TOPICS && census.subscriptions <= census.sessions, "{census:?}");
    }

    /// Everything has come to its end.
    fn at_rest(&mut self) {
        self.dropped += self.census().dropped;
        for (number, person) in self.people.iter().enumerate() {
            let person = person.borrow();
            assert!(person.is_done(), "client {number} waits for ever: {person:#?}");
        }
        let census = self.census();
        assert_eq!((census.waiting, census.inflight, census.queued_bytes), (0, 0, 0), "{census:?}");
        assert_eq!((census.unwritten_bytes, census.connected), (0, self.people.len()), "{census:?}");
        let missing = self.books.borrow().missing();
        let most = if self.setting.queue < 100 { self.dropped as usize } else { 0 };
        assert!(missing.len() <= most, "acknowledged, and never came, and {most} were dropped: {missing:?}");
        // The next broker would have all sessions that are kept, and nothing else.
        let parts = parts(&self.args, &self.disk, self.world.clock(), &Waker::default(), self.setting.worth);
        let (app, _) = parts.expect("a disk without troubles");
        let next = app.census();
        assert_eq!(next.sessions, self.kept, "{next:?}");
        // To that one, the connections of today are broken.
        let has_wills = self.people.iter().any(|person| person.borrow().has_will());
        assert!(has_wills || (next.waiting, next.inflight) == (0, 0), "{next:?}");
        let books = self.books.borrow();
        let (sure, possible) = books.topics();
        assert!((sure.len()..=possible.len()).contains(&next.retained), "{next:?}, of {sure:?} to {possible:?}");
    }
}

fn parts(args: &BrokerArgs, disk: &FakeDisk, now: Now, waker: &Waker, worth: u64) -> Result<(Broker, Writer), String> {
    let parts = Parts::new(args, Arc::new(disk.clone()), now).map_err(|failure| format!("{failure:?}"))?;
    let waker = waker.clone();
    parts.attach(move |_| waker.wake());
    let Parts { app, mut writer, .. } = parts;
    writer.compact_from(worth);
    Ok((app, writer))
}
