//! The kind of a world, which the seed chooses: how unkind, with which flags, and with which clients.

use super::{
    books::Shared,
    person::{Person, Plan, Ways},
};
use crate::support::{
    random::Random,
    weather::{Pieces, Weather},
};
use clap::Parser;
use socket_patterns::chat::ChatArgs;
use std::{cell::RefCell, rc::Rc, time::Duration};

/// Records that were written so long ago are on the disk: a second, and the time that the writer takes to get to it.
const SECOND: Duration = Duration::from_millis(1100);

const ROOMS: [&str; 3] = ["lobby", "tea", "chess"];

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    chat: ChatArgs,
}

/// The kind of world.
#[derive(Debug)]
pub struct Setting {
    pub weather: Weather,
    pub workers: usize,
    /// Bytes that may wait for a client. Few: slow ones are sent away.
    pub queue: usize,
    /// Messages that a room keeps.
    pub history: u64,
    /// How long the place of a lost connection is kept.
    resume: Duration,
    rate: u32,
    /// Steps between two works of the writer, about.
    pub writer_pace: u32,
    /// Of a hundred thousand steps.
    pub crashes: usize,
    pub troubles: usize,
    pub may_lose_power: bool,
    /// Bytes of a file that is written again.
    pub worth: u64,
    /// When the machine loses power, what was answered so long ago has to be there.
    pub grace: Duration,
    pub disk_lies: bool,
    /// Connections that never read.
    pub deaf: usize,
}

impl Setting {
    pub fn of(random: &mut Random) -> Self {
        let mut weather = Weather { silences: 0, ..Weather::of(random) };
        if *weather.lag.end() > 1000 && weather.pieces == Pieces::Tiny {
            // A browser's request in single bytes, each of them late, takes longer than a server waits for it.
            weather.pieces = Pieces::Random;
        }
        Self {
            weather,
            workers: random.within(1..=3),
            queue: *random.pick(&[1000, 4000, 256 * 1024]),
            history: *random.pick(&[3, 20, 100]),
            resume: *random.pick(&[Duration::from_secs(2), Duration::from_secs(600), Duration::from_secs(600)]),
            rate: *random.pick(&[10, 1000, 1000]),
            writer_pace: *random.pick(&[20, 200, 700]),
            crashes: *random.pick(&[0, 50, 200]),
            troubles: *random.pick(&[0, 0, 100, 400]),
            may_lose_power: false,
            worth: *random.pick(&[500, 3000, u64::MAX]),
            grace: SECOND,
            disk_lies: false,
            deaf: *random.pick(&[0, 0, 1, 3]),
        }
    }

    /// Power that fails: what was answered in the last second may be gone.
    pub fn weaken(&mut self) {
        (self.troubles, self.crashes, self.may_lose_power) = (0, 100, true);
        self.weather.jumps = 0;
    }

    pub fn args(&self) -> ChatArgs {
        let rate = self.rate.to_string();
        let flags = [
            ["--queue", &self.queue.to_string()],
            ["--history", &self.history.to_string()],
            ["--resume", &format!("{}s", self.resume.as_secs())],
            ["--rate", &rate],
            ["--burst", &rate],
        ];
        Flags::parse_from([&["chat"], &flags.concat()[..]].concat()).chat
    }
}

/// The clients of a world.
pub fn people(setting: &Setting, random: &mut Random, books: &Shared) -> Vec<Rc<RefCell<Person>>> {
    // A long message in small pieces takes thousands of steps and shows nothing that a short one does not.
    let is_narrow = *setting.weather.capacity.start() < 1000 || setting.weather.pieces == Pieces::Tiny;
    let longest = if is_narrow { 30 } else { 300 };
    let count = random.within(2..=6);
    let mut person = |number: usize| {
        let ways = ways(setting, random);
        let plan = (0..random.within(0..=30)).map(|_| plan(&ways.rooms, count, longest, random)).collect();
        Rc::new(RefCell::new(Person::new(number, ways, plan, books)))
    };
    (0..count).map(&mut person).collect()
}

fn plan(rooms: &[String], people: usize, longest: usize, random: &mut Random) -> Plan {
    let (room, size) = (random.pick(rooms).clone(), random.magnitude(0..=longest));
    match random.below(20) {
        0..=11 => Plan::Send { room, size },
        12..=14 => Plan::Say { room, size },
        15..=17 => Plan::Direct { to: random.below(people), size },
        18 => Plan::Leave { room },
        _ => Plan::Ask(["/who", "/rooms", "/help"][random.below(3)]),
    }
}

fn ways(setting: &Setting, random: &mut Random) -> Ways {
    let count = random.within(1..=ROOMS.len());
    Ways {
        is_socket: random.chance(400),
        rooms: ROOMS[..count].iter().map(|room| (*room).to_owned()).collect(),
        counts: random.chance(800),
        echo: random.chance(200),
        registers: random.chance(300),
        slow: random.chance(200).then(|| (random.magnitude(10..=2000), 200_000)),
        rude: if setting.weather.is_calm() { 0 } else { *random.pick(&[0, 20, 100]) },
        pace: *random.pick(&[1000, 50_000, 400_000]),
        resume: setting.resume,
    }
}

/// The room that everybody is in.
pub fn first_room() -> &'static str {
    ROOMS[0]
}
