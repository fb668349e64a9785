//! A table of a conversation: who does what, and what everybody is told.

use super::*;
use crate::{chat::command, service::testing::now};
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
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let now = now();
        Self { hall: Hall::new(limits, now), now, told: HashMap::new(), moved: Vec::new(), away: Vec::new(), tokens: 0 }
    }

    fn arrive(&mut self, name: &str) -> PersonId {
        self.tokens += 1;
        let id = self.hall.arrive(Token(format!("token{}", self.tokens))).unwrap();
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
        for effect in effects {
            match effect {
                Effect::Tell(id, _) if self.away.contains(&id) => {}
                Effect::Tell(id, event) => {
                    let line = event.line();
                    self.told.entry(id).or_default().push(String::from_utf8(line.to_vec()).unwrap());
                }
                Effect::End(id, reason) => self.told.entry(id).or_default().push(format!("END {}\n", reason.as_str())),
                Effect::Move { from, to } => {
                    self.away.retain(|id| *id != to);
                    self.moved.push((from, to));
                }
            }
        }
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
    assert!(stage.hall.arrive(Token("one too many".to_owned())).is_err());
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
    stage.expect(cid, &["* you are in tea, the next message is 4; 1 here: cid", "[tea 2] ann: 2", "[tea 3] ann: 3"]);
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
    let said = Told::Said { room: "lobby".into(), seq: 2, from: "ann".into(), text: "2".to_owned(), at: 0 };
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
