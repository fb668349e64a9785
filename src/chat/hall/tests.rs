//! A table of a conversation: who does what, and what everybody is told.

use super::*;
use crate::{
    chat::{
        command,
        record::{Limit, Record, Role},
    },
    service::testing::now,
};
use std::time::Duration;

/// A hall, and all that its people were told since they were last asked.
struct Stage {
    hall: Hall,
    now: Now,
    told: HashMap<PersonId, Vec<String>>,
    moved: Vec<(PersonId, PersonId)>,
    /// Without a connection.
    away: Vec<PersonId>,
    tokens: u32,
    /// The records that were kept, and the questions.
    records: Vec<Record>,
    asks: Vec<(PersonId, Ask)>,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let now = now();
        Self {
            hall: Hall::new(limits, Archive::default(), None, now),
            now,
            told: HashMap::new(),
            moved: Vec::new(),
            away: Vec::new(),
            tokens: 0,
            records: Vec::new(),
            asks: Vec::new(),
        }
    }

    fn arrive(&mut self, name: &str) -> PersonId {
        self.tokens += 1;
        let id = self.hall.arrive(Token(format!("token{}", self.tokens)), self.now).unwrap();
        self.settle();
        self.say(id, &format!("/nick {name}"));
        self.hear(id);
        id
    }

    fn say(&mut self, id: PersonId, line: &str) {
        match command::parse(line) {
            Ok(command) => self.hall.command(id, command, self.now),
            Err(why) => self.hall.refuse(id, why),
        }
        self.settle();
    }

    fn lose(&mut self, id: PersonId, untold: &[Arc<Event>]) {
        self.hall.lose(id, untold, self.now);
        self.away.push(id);
    }

    fn settle(&mut self) {
        let mut effects = Vec::new();
        self.hall.take_effects(&mut effects);
        let records = effects.iter().filter(|effect| matches!(effect, Effect::Record(_))).count();
        self.hall.stored(records as u64, self.now);
        self.hall.take_effects(&mut effects);
        for effect in effects {
            match effect {
                Effect::Tell(id, _) | Effect::TellAgain(id, _) if self.away.contains(&id) => {}
                Effect::Tell(id, event) | Effect::TellAgain(id, event) => {
                    let line = event.line();
                    self.told.entry(id).or_default().push(String::from_utf8(line.to_vec()).unwrap());
                }
                Effect::End(id, reason) => self.told.entry(id).or_default().push(format!("END {}\n", reason.as_str())),
                Effect::Record(record) => self.records.push(*record),
                Effect::Share(_) => {}
                Effect::Ask(id, ask) => self.asks.push((id, ask)),
                Effect::Move { from, to } => {
                    self.away.retain(|id| *id != to);
                    self.moved.push((from, to));
                }
            }
        }
    }

    /// Answers what was asked: the hash of a password is the password.
    fn judge(&mut self) {
        for (id, ask) in std::mem::take(&mut self.asks) {
            let verdict = match ask {
                Ask::Hash { name, password } => Verdict::Hashed { name, hash: password },
                Ask::Verify { name, hash, password } if hash == password => Verdict::Right { name },
                Ask::Verify { .. } => Verdict::Wrong,
            };
            self.hall.judged(id, verdict, self.now);
        }
        self.settle();
    }

    /// The hall of the next start.
    fn again(self) -> Self {
        let mut archive = Archive::default();
        self.records.into_iter().for_each(|record| archive.add(record, 100));
        let hall = Hall::new(Limits::default(), archive, None, self.now);
        Self { hall, ..Self::new(Limits::default()) }
    }

    /// The words that a person was told, line by line.
    fn hear(&mut self, id: PersonId) -> Vec<String> {
        let told = self.told.remove(&id).unwrap_or_default().concat();
        told.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn expect(&mut self, id: PersonId, lines: &[&str]) {
        assert_eq!(self.hear(id), lines);
    }
}

#[test]
fn a_room_hears_what_is_said_and_the_speaker_only_if_asked() {
    let mut stage = Stage::new(Limits::default());
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|name| stage.arrive(name));
    stage.say(ann, "hello");
    stage.expect(ann, &["! you are in no room: /join one first, as in /join lobby"]);
    stage.say(ann, "/join Lobby");
    stage.expect(ann, &["* you are in lobby, the next message is 1; 1 here: ann"]);
    stage.say(ann, "alone");
    stage.say(bob, "/join lobby");
    stage.expect(ann, &["* bob has joined lobby"]);
    stage.expect(bob, &["* you are in lobby, the next message is 2; 2 here: ann bob", "[lobby 1] ann: alone"]);
    stage.say(ann, "hi\x07 there");
    stage.expect(bob, &["[lobby 2] ann: hi\u{fffd} there"]);
    stage.say(ann, "/echo on");
    stage.say(ann, "me");
    stage.expect(ann, &["* your messages come back to you", "[lobby 3] ann: me"]);
    stage.say(bob, "/msg ANN psst");
    stage.expect(ann, &["[@ 1] bob: psst"]);
    stage.expect(bob, &["[lobby 3] ann: me", "* to ann: psst"]);
    stage.say(bob, "/msg dan psst");
    stage.expect(bob, &["! dan is not here"]);
    stage.say(cid, "/send lobby 1 hi");
    stage.expect(cid, &["! you are not in lobby: /join it first"]);
    stage.say(bob, "/nick bert");
    stage.expect(bob, &["* you are bert now"]);
    stage.expect(ann, &["* bob is now bert"]);
    stage.say(bob, "/quit");
    stage.expect(bob, &["* goodbye", "END peer asked"]);
    stage.expect(ann, &["* bert has left lobby"]);
    assert_eq!(stage.hall.numbers(), Numbers { people: 2, away: 0, rooms: 1, said: 3 });
}

#[test]
fn names_are_had_once() {
    let mut stage = Stage::new(Limits::default());
    let [_, bob] = ["ann", "bob"].map(|name| stage.arrive(name));
    for (line, answer) in [
        ("/nick ANN", "! ANN is taken: choose another name"),
        ("/nick Bob", "* you are Bob now"),
        ("/nick a b", "! a name is 1 to 24 letters, digits, - or _, and begins with a letter or digit"),
        ("/join ä", "! a name is 1 to 24 letters, digits, - or _, and begins with a letter or digit"),
    ] {
        stage.say(bob, line);
        stage.expect(bob, &[answer]);
    }
}

#[test]
fn the_last_room_is_the_current_one() {
    let mut stage = Stage::new(Limits::default());
    let [ann, bob] = ["ann", "bob"].map(|name| stage.arrive(name));
    for room in ["tea", "lobby"] {
        stage.say(ann, &format!("/join {room}"));
        stage.say(bob, &format!("/join {room}"));
    }
    stage.hear(bob);
    stage.say(ann, "here");
    stage.say(ann, "/join tea");
    stage.say(ann, "there");
    stage.say(ann, "/leave");
    stage.say(ann, "here again");
    stage
        .expect(bob, &["[lobby 1] ann: here", "[tea 1] ann: there", "* ann has left tea", "[lobby 2] ann: here again"]);
    stage.hear(ann);
    stage.say(ann, "/leave tea");
    stage.expect(ann, &["! you are not in tea"]);
}

#[test]
fn each_limit_is_reached_and_not_passed() {
    let limits = Limits { rooms: 2, members: 2, joined: 1, history: 2, people: 4, ..Limits::default() };
    let mut stage = Stage::new(limits);
    let [ann, bob, cid, dan] = ["ann", "bob", "cid", "dan"].map(|name| stage.arrive(name));
    let now = stage.now;
    assert!(stage.hall.arrive(Token("one too many".to_owned()), now).is_err());
    for id in [ann, bob] {
        stage.say(id, "/join tea");
    }
    stage.hear(ann);
    stage.say(cid, "/join tea");
    stage.expect(cid, &["! tea is full"]);
    stage.say(ann, "/join lobby");
    stage.expect(ann, &["! you are in 1 rooms already: /leave one"]);
    stage.say(cid, "/join wine");
    stage.expect(cid, &["! there are 2 rooms already, all in use"]);
    (1..=3).for_each(|n| stage.say(ann, &format!("{n}")));
    for id in [ann, bob] {
        stage.say(id, "/leave");
    }
    stage.say(cid, "/join tea");
    stage.expect(
        cid,
        &["* you are in tea, the next message is 4; 1 here: cid (owner)", "[tea 2] ann: 2", "[tea 3] ann: 3"],
    );
    stage.say(cid, "/leave");
    stage.say(dan, "/join wine");
    stage.say(dan, "/rooms");
    let heard = stage.hear(dan);
    assert_eq!(heard[1..], ["* 2 rooms", "* lobby 0", "* wine 1"], "tea made way");
}

#[test]
fn a_lost_connection_misses_nothing_and_hears_nothing_twice() {
    let mut stage = Stage::new(Limits::default());
    let [ann, bob] = ["ann", "bob"].map(|name| stage.arrive(name));
    for id in [ann, bob] {
        stage.say(id, "/join lobby");
    }
    stage.say(ann, "1");
    stage.say(bob, "/send lobby 5 2");
    stage.hear(bob);
    stage.lose(bob, &[]);
    stage.say(ann, "3");
    stage.say(ann, "/msg bob 4");
    assert!(stage.hear(ann).iter().all(|line| !line.contains("left")), "the place is kept");
    let back = stage.arrive("bert");
    stage.say(back, "/resume token2");
    assert_eq!(stage.moved, [(back, bob)]);
    let expected = [
        "* welcome back, bob; the last ID that arrived is 5",
        "[@ 1] ann: 4",
        "* in lobby: 2 here: ann bob",
        "[lobby 3] ann: 3",
    ];
    stage.expect(bob, &expected);
    // It has seen less than it was sent; its own message does not come back.
    stage.lose(bob, &[]);
    let again = stage.arrive("bert");
    stage.say(again, "/resume token2 lobby:0 @:1");
    stage.expect(bob, &[expected[0], expected[2], "[lobby 1] ann: 1", "[lobby 3] ann: 3"]);
    // A message that it repeats is not said again.
    stage.say(bob, "/send lobby 5 2");
    stage.expect(bob, &["* 5 is [lobby 2]"]);
    stage.say(bob, "/send lobby 4 x");
    stage.expect(bob, &["! the ID of a message must be greater than that of the one before"]);
    stage.hear(ann);
    stage.say(bob, "/send lobby 6 new");
    stage.expect(ann, &["[lobby 4] bob: new"]);
}

#[test]
fn untold_messages_are_told_later() {
    let mut stage = Stage::new(Limits { history: 3, ..Limits::default() });
    let [ann, bob] = ["ann", "bob"].map(|name| stage.arrive(name));
    for id in [ann, bob] {
        stage.say(id, "/join lobby");
    }
    (1..=5).for_each(|n| stage.say(ann, &format!("{n}")));
    stage.hear(bob);
    let said = Told::Said {
        room: "lobby".into(),
        seq: 2,
        from: "ann".into(),
        text: "2".to_owned(),
        at: 0,
        announcement: false,
    };
    stage.lose(bob, &[Event::new(said)]);
    let back = stage.arrive("bert");
    stage.say(back, "/resume token2");
    let heard = stage.hear(bob);
    assert_eq!(
        heard[2..],
        ["! 1 messages in lobby are no longer kept", "[lobby 3] ann: 3", "[lobby 4] ann: 4", "[lobby 5] ann: 5"]
    );
}

#[test]
fn a_place_is_kept_for_so_long() {
    let limits = Limits::default();
    let mut stage = Stage::new(limits);
    let [ann, bob] = ["ann", "bob"].map(|name| stage.arrive(name));
    for id in [ann, bob] {
        stage.say(id, "/join lobby");
    }
    stage.hear(ann);
    stage.lose(bob, &[]);
    let now = stage.now;
    stage.say(ann, "/nick bob");
    stage.expect(ann, &["! bob is taken; its owner lost the connection and may come back: choose another name"]);
    stage.hall.expire(now.after(limits.resume - Duration::from_millis(1)));
    stage.settle();
    stage.expect(ann, &[]);
    stage.hall.expire(now.after(limits.resume));
    stage.settle();
    stage.expect(ann, &["* bob has left lobby: lost the connection"]);
    stage.say(ann, "/resume token2");
    stage.expect(ann, &["! nobody has this token: too much time has passed, or the server was restarted"]);
}

#[test]
fn a_registered_name_is_kept_for_its_owner() {
    let mut stage = Stage::new(Limits { accounts: 1, ..Limits::default() });
    let ann = stage.arrive("ann");
    stage.say(ann, "/register correct horse");
    stage.judge();
    let own = [
        "* ann is yours: next time, /login ann PASSWORD",
        "* yours is the first name here, so the lobby is yours, too",
    ];
    stage.expect(ann, &own);
    stage.say(ann, "/register correct horse");
    stage.expect(ann, &["! ann is registered already"]);
    stage.say(ann, "/nick eve");
    stage.hear(ann);
    stage.say(ann, "/nick Ann");
    stage.expect(ann, &["! Ann is registered: /login Ann PASSWORD, or choose another name"]);
    stage.say(ann, "/register correct horse");
    stage.expect(ann, &["! no more names can be registered"]);
    // The name survives a restart, its owner comes from another connection, and takes it from the first.
    let mut stage = stage.again();
    let [eve, bob] = ["eve", "bob"].map(|name| stage.arrive(name));
    stage.say(eve, "/login ann correct horse");
    stage.judge();
    stage.expect(eve, &["* you are ann now", "* you are logged in as ann"]);
    stage.say(bob, "/login ANN correct horse");
    stage.judge();
    stage.expect(eve, &["* you have logged in elsewhere", "END peer asked"]);
    stage.expect(bob, &["* you are ann now", "* you are logged in as ann"]);
    let dan = stage.arrive("dan");
    stage.say(dan, "/login nemo correct horse");
    stage.expect(dan, &["! nemo is not registered"]);
    for left in (0..3).rev() {
        stage.say(dan, "/login ann wrong horse");
        stage.judge();
        let heard = stage.hear(dan);
        assert_eq!(heard[0], "! that is not the password");
        assert_eq!(heard.len() == 3, left == 0, "{heard:?}");
    }
}

/// A room with its owner `ann`, a registered `bob`, and a guest `cid`.
fn tea() -> (Stage, [PersonId; 3]) {
    let mut stage = Stage::new(Limits::default());
    let people = ["ann", "bob", "cid"].map(|name| stage.arrive(name));
    for id in &people[..2] {
        stage.say(*id, "/register password");
    }
    stage.judge();
    for id in people {
        stage.say(id, "/join tea");
        stage.hear(id);
    }
    (stage, people)
}

#[test]
fn owners_make_moderators_and_these_keep_order() {
    let (mut stage, [ann, bob, cid]) = tea();
    for (id, line, answer) in [
        (cid, "/kick bob", "! that is for its owner and moderators: you are a member of tea"),
        (bob, "/announce hi", "! that is for its owner and moderators: you are a member of tea"),
        (bob, "/op cid", "! that is for its owner: you are a member of tea"),
        (ann, "/op cid", "! cid is not registered: only a registered name can be a moderator"),
        (ann, "/deop ann", "! tea belongs to ann"),
        (ann, "/kick nemo", "! nemo is not here"),
        (ann, "/kick ann", "! ann is no less than you in tea"),
        (ann, "/unban cid", "! cid may do that already"),
        (ann, "/op bob", "* bob is a moderator of tea now"),
        (bob, "/kick ann", "! ann is no less than you in tea"),
        (bob, "/mute cid 10m", "* cid may not speak in tea for 10m"),
        (bob, "/kick cid too loud", "* cid has left tea: put out by bob: too loud"),
        (cid, "/kick #lobby bob", "! that is for its owner and moderators: you are a member of lobby"),
        (ann, "/announce #lobby hi", "! you are not in lobby: /join it first"),
        (ann, "/deop bob", "* bob is a member of tea now"),
        (bob, "/unmute cid", "! that is for its owner and moderators: you are a member of tea"),
    ] {
        stage.hear(id);
        stage.say(id, line);
        assert_eq!(stage.hear(id), [answer], "{line}");
    }
}

#[test]
fn mutes_and_bans_last_as_long_as_they_should() {
    let (mut stage, [ann, bob, cid]) = tea();
    stage.say(ann, "/op bob");
    stage.say(bob, "/mute cid 10m");
    stage.hear(cid);
    for line in ["hello", "/nick sid", "hello"] {
        stage.say(cid, line);
    }
    let muted = "! you may not speak in tea for 10m";
    stage.expect(cid, &[muted, "* you are sid now", muted]);
    stage.now = stage.now.after(Duration::from_secs(600));
    stage.say(cid, "free");
    stage.hear(ann);
    stage.say(bob, "/announce tea is ready");
    stage.expect(ann, &["[tea 2] bob announces: tea is ready"]);
    stage.hear(cid);
    stage.say(bob, "/ban #tea sid 1h");
    stage.expect(cid, &["* sid may not enter tea for 1h", "* you have left tea: banned by bob"]);
    stage.say(cid, "/nick cid");
    stage.say(cid, "/join tea");
    stage.expect(cid, &["* you are cid now", "! you may not enter tea for 1h"]);
    stage.say(bob, "/unban sid");
    stage.say(cid, "/join tea");
    assert!(stage.hear(cid)[0].starts_with("* you are in tea, the next message is 3"));
    // All of it is there after a restart.
    stage.say(bob, "/ban eve 1h");
    let now = stage.now;
    let mut stage = stage.again();
    stage.now = now;
    let [eve, dan] = ["eve", "dan"].map(|name| stage.arrive(name));
    stage.say(eve, "/join tea");
    stage.expect(eve, &["! you may not enter tea for 1h"]);
    stage.say(dan, "/join tea");
    let kept = [
        "* you are in tea, the next message is 3; 1 here: dan",
        "[tea 1] sid: free",
        "[tea 2] bob announces: tea is ready",
    ];
    stage.expect(dan, &kept);
    stage.say(dan, "/login bob password");
    stage.judge();
    stage.say(dan, "/who");
    assert_eq!(stage.hear(dan).last().unwrap(), "* in tea: 1 here: bob (moderator)");
}

/// The server's own books, for one conversation.
#[test]
fn records_tell_what_lasts() {
    let mut stage = Stage::new(Limits::default());
    let ann = stage.arrive("Ann");
    stage.say(ann, "/register password");
    stage.judge();
    for line in ["/join Tea", "hi\x07", "/mute bob 1m", "/unmute bob"] {
        stage.say(ann, line);
    }
    let room = || "tea".to_owned();
    let lobby = Record::Role { room: LOBBY.to_owned(), name: "ann".to_owned(), role: Role::Owner };
    let until = seconds(stage.now) + 60;
    let limit = |until| Record::Limit { room: room(), name: "bob".to_owned(), limit: Limit::Mute, until };
    let said = Record::Said {
        room: "Tea".to_owned(),
        seq: 1,
        from: "Ann".to_owned(),
        text: "hi\u{fffd}".to_owned(),
        at: seconds(stage.now),
        announcement: false,
    };
    assert_eq!(
        stage.records,
        [
            Record::Account { name: "Ann".to_owned(), hash: "password".to_owned() },
            lobby,
            Record::Role { room: room(), name: "ann".to_owned(), role: Role::Owner },
            said,
            limit(until),
            limit(0),
        ]
    );
}

/// A disk that hangs costs no memory: what finds no place is refused.
#[test]
fn nothing_is_said_that_cannot_be_kept() {
    let now = now();
    let mut hall = Hall::new(Limits::default(), Archive::default(), None, now);
    let ann = hall.arrive(Token("token".to_owned()), now).unwrap();
    hall.command(ann, Command::Join(LOBBY), now);
    let mut effects = Vec::new();
    let mut records = 0;
    let mut say = |hall: &mut Hall| {
        hall.command(ann, Command::Say("hi"), now);
        hall.take_effects(&mut effects);
        records += effects.iter().filter(|effect| matches!(effect, Effect::Record(_))).count();
        effects.clear();
        records as u64
    };
    let most = crate::chat::limits::MAX_BACKLOG;
    for number in 1..=most {
        assert_eq!(say(&mut hall), number);
    }
    assert_eq!(say(&mut hall), most);
    hall.stored(1, now);
    assert_eq!((say(&mut hall), say(&mut hall)), (most + 1, most + 1));
}

/// Places are kept for people who come back, but not from people who come.
#[test]
fn those_who_are_away_make_way() {
    let mut stage = Stage::new(Limits { people: 2, ..Limits::default() });
    let [ann, bob] = ["ann", "bob"].map(|name| stage.arrive(name));
    for id in [ann, bob] {
        stage.say(id, "/join lobby");
    }
    stage.lose(ann, &[]);
    let cid = stage.arrive("cid");
    assert_eq!(stage.hear(bob).last().unwrap(), "* ann has left lobby: lost the connection");
    // A guest who is in no room has nothing to come back to.
    stage.lose(cid, &[]);
    assert_eq!(stage.hall.numbers(), Numbers { people: 1, away: 0, rooms: 1, said: 0 });
}

/// Many people do what they like, and some lose their connections. Each hears each message of a room that it stays in once, in order, and
/// none of its own.
#[test]
fn a_crowd_hears_all_once_and_in_order() {
    use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
    for seed in 0..50 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut stage = Stage::new(Limits { history: 10_000, ..Limits::default() });
        let people: Vec<PersonId> = (0..6).map(|number| stage.arrive(&format!("p{number}"))).collect();
        for id in &people {
            stage.say(*id, "/join tea");
        }
        people.iter().for_each(|id| drop(stage.hear(*id)));
        let (mut seen, mut said) = (vec![0_u64; people.len()], Vec::new());
        for turn in 0..300 {
            let number = random.random_range(0..people.len());
            let (id, is_away) = (people[number], stage.away.contains(&people[number]));
            match random.random_range(0..10) {
                0 if !is_away => stage.lose(id, &[]),
                0..=2 if is_away => {
                    let new = stage.arrive(&format!("n{turn}"));
                    stage.say(new, &format!("/resume token{} tea:{}", number + 1, seen[number]));
                }
                3 => stage.say(id, "/who"),
                _ if !is_away => {
                    said.push(number);
                    stage.say(id, &format!("{turn}"));
                }
                _ => {}
            }
            for (number, id) in people.iter().enumerate() {
                // Some of what is told is lost on its way.
                let heard = stage.hear(*id);
                let lost = if stage.away.contains(id) { random.random_range(0..=heard.len()) } else { heard.len() };
                for line in heard[..lost].iter().filter(|line| line.starts_with('[')) {
                    let seq: u64 = line.split([' ', ']']).nth(1).unwrap().parse().unwrap();
                    let missed = said[seen[number] as usize..seq as usize - 1].iter();
                    assert!(seq > seen[number] && missed.copied().all(|by| by == number), "seed {seed}: {line}");
                    seen[number] = seq;
                }
            }
        }
    }
}

/// An answer that waits for the disk comes before the goodbye.
#[test]
fn a_person_who_quits_hears_what_was_promised() {
    let now = now();
    let mut hall = Hall::new(Limits::default(), Archive::default(), None, now);
    let ann = hall.arrive(Token("token".to_owned()), now).unwrap();
    for line in ["/nick ann", "/join lobby", "/send lobby 1 hi", "/quit", "/send lobby 2 too late"] {
        hall.command(ann, command::parse(line).unwrap(), now);
    }
    let lines = |hall: &mut Hall| {
        let mut effects = Vec::new();
        hall.take_effects(&mut effects);
        let mut tells = effects.iter().filter_map(|effect| match effect {
            Effect::Tell(_, event) => Some(String::from_utf8(event.line().to_vec()).unwrap()),
            _ => None,
        });
        tells.next_back().unwrap()
    };
    assert_eq!(lines(&mut hall), "* you are in lobby, the next message is 1; 1 here: ann\n");
    hall.stored(1, now);
    assert_eq!(lines(&mut hall), "* goodbye\n");
    assert_eq!(hall.numbers(), Numbers { people: 0, away: 0, rooms: 1, said: 1 });
}
