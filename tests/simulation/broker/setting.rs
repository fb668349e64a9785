//! The kind of a world, which the seed chooses: how unkind, with which flags, and with which clients.

use super::{
    books::{Shared, Wish},
    person::{Person, Plan, Ways, quality},
};
use crate::support::{
    random::Random,
    weather::{Pieces, Weather},
};
use clap::Parser;
use socket_patterns::{
    broker::BrokerArgs,
    mqtt::{QoS, Version},
};
use std::{cell::RefCell, rc::Rc, time::Duration};

/// With `--sync 1s`: a second, and the time that the writer takes to get to it.
const SECOND: Duration = Duration::from_millis(1100);

const TOPICS: [&str; 3] = ["t/0", "t/1", "t/2/x"];
const FILTERS: [&str; 4] = ["t/+", "t/0", "#", "+/+/#"];

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    broker: BrokerArgs,
}

/// The kind of world.
#[derive(Debug)]
pub struct Setting {
    pub weather: Weather,
    pub sync: &'static str,
    /// Messages that may wait for a session. Few: some are dropped.
    pub queue: usize,
    when_full: &'static str,
    unwritten: &'static str,
    /// Steps between two works of the writer, about.
    pub writer_pace: u32,
    /// Of a hundred thousand steps.
    pub crashes: usize,
    pub troubles: usize,
    pub may_lose_power: bool,
    /// Of a thousand messages.
    retained: u32,
    /// Of a thousand clients.
    wills: u32,
    /// Bytes of a log that becomes a snapshot.
    pub worth: u64,
    /// With a weak policy and no power, what was acknowledged for so long has to be there.
    pub grace: Duration,
    pub disk_lies: bool,
}

impl Setting {
    pub fn of(random: &mut Random) -> Self {
        let weather = Weather { silences: 0, ..Weather::of(random) };
        let sync = *random.pick(&["always", "always", "1s", "never"]);
        Self {
            weather,
            sync,
            queue: *random.pick(&[3, 10_000, 10_000]),
            when_full: *random.pick(&["drop-new", "drop-old"]),
            unwritten: *random.pick(&["1", "500", "16m", "16m"]),
            writer_pace: *random.pick(&[20, 200, 700]),
            crashes: *random.pick(&[0, 50, 200]),
            troubles: *random.pick(&[0, 0, 100, 400]),
            may_lose_power: sync == "always",
            retained: *random.pick(&[0, 100, 500]),
            wills: *random.pick(&[0, 0, 500]),
            worth: *random.pick(&[500, 3000, u64::MAX]),
            grace: SECOND,
            disk_lies: false,
        }
    }

    /// `--sync 1s`, and power that fails.
    pub fn weaken(&mut self) {
        (self.sync, self.troubles, self.queue) = ("1s", 0, 10_000);
        (self.crashes, self.may_lose_power, self.worth) = (60, true, u64::MAX);
        self.weather.jumps = 0;
    }

    pub fn is_weak(&self) -> bool {
        self.may_lose_power && self.sync != "always"
    }

    pub fn args(&self, random: &mut Random) -> BrokerArgs {
        let inflight = *random.pick(&["4", "20", "100"]);
        let queue = self.queue.to_string();
        let flags = [
            ["--sync", self.sync],
            ["--max-inflight", inflight],
            ["--max-queue", &queue],
            ["--when-full", self.when_full],
            ["--max-unwritten", self.unwritten],
            ["--metrics", "0s"],
        ];
        Flags::parse_from([&["broker"], &flags.concat()[..]].concat()).broker
    }
}

/// The clients of a world, and how many of them have sessions that are kept.
pub fn people(setting: &Setting, random: &mut Random, books: &Shared) -> (Vec<Rc<RefCell<Person>>>, usize) {
    // A long message in small pieces takes thousands of steps and shows nothing that a short one does not.
    let is_narrow = *setting.weather.capacity.start() < 1000 || setting.weather.pieces == Pieces::Tiny;
    let longest = if is_narrow { 60 } else { 6000 };
    let mut kept = 0;
    let count = random.within(2..=6);
    let mut person = |number: usize| {
        let ways = ways(setting, random);
        kept += usize::from(ways.is_kept);
        let plan = (0..random.within(0..=30)).map(|_| Plan {
            topic: (*random.pick(&TOPICS)).to_owned(),
            qos: quality(random),
            size: random.magnitude(0..=longest),
            retain: random.chance(setting.retained),
        });
        Rc::new(RefCell::new(Person::new(number, ways, plan.collect(), books)))
    };
    ((0..count).map(&mut person).collect(), kept)
}

/// A client that comes when all is over, says nothing, and hears what the topics have.
pub fn observer(number: usize, books: &Shared) -> Rc<RefCell<Person>> {
    let wish = Wish { filter: "#".to_owned(), qos: QoS::ExactlyOnce, group: None };
    let ways = Ways {
        version: Version::V5,
        is_kept: false,
        wish: Some(wish),
        window: 1,
        receive_maximum: None,
        slow: None,
        rude: 0,
        pace: 1000,
        aliases: 0,
        will: None,
    };
    Rc::new(RefCell::new(Person::new(number, ways, Vec::new(), books)))
}

fn ways(setting: &Setting, random: &mut Random) -> Ways {
    let version = *random.pick(&[Version::V3, Version::V5]);
    let is_kept = random.chance(800);
    // A member of a group whose session ends takes its messages with it.
    let group = (is_kept && random.chance(200)).then_some(0);
    let qos = *random.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce]);
    let filter = if group.is_some() { FILTERS[0] } else { *random.pick(&FILTERS) };
    let qos = if group.is_some() { QoS::ExactlyOnce } else { qos };
    let wish = random.chance(700).then(|| Wish { filter: filter.to_owned(), qos, group });
    let slow = random.chance(200).then(|| (random.magnitude(10..=2000), 200_000));
    Ways {
        version,
        is_kept,
        wish,
        window: random.within(1..=4),
        receive_maximum: random.chance(300).then(|| random.within(1..=3) as u16),
        slow,
        rude: if setting.weather.is_calm() { 0 } else { *random.pick(&[0, 20, 100]) },
        pace: *random.pick(&[1000, 50_000, 400_000]),
        aliases: if random.chance(300) { 2 } else { 0 },
        will: random.chance(setting.wills).then(|| *random.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce])),
    }
}
