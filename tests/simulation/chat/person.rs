//! A client of the chat that counts what it hears, on connections that break.
//!
//! ```text
//!   Person: name, token, what it has of each room, what was not answered    lives as long as the world
//!     ╰── Line: one connection, its language, its unread bytes              a Peer of the world
//! ```

use super::{books::Shared, wire::Heard};
use crate::support::random::Random;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    time::Duration,
};

/// Something that a client is going to do.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Said with a number of its own: it is answered, and repeated until it is.
    Send {
        room: String,
        size: usize,
    },
    /// Said like that: it may be lost with a connection.
    Say {
        room: String,
        size: usize,
    },
    Direct {
        to: usize,
        size: usize,
    },
    /// Out of a room, and in again.
    Leave {
        room: String,
    },
    Ask(&'static str),
}

/// The ways of a client, which the seed chooses.
#[derive(Debug, Clone)]
pub struct Ways {
    pub is_socket: bool,
    pub rooms: Vec<String>,
    /// It says what it has seen when it comes back, so that it misses nothing.
    pub counts: bool,
    /// It wants to hear its own messages.
    pub echo: bool,
    /// It registers its name.
    pub registers: bool,
    /// It reads so many bytes, and after so many microseconds as many again.
    pub slow: Option<(usize, u64)>,
    /// Of a thousand wake-ups, so many end the connection.
    pub rude: u32,
    /// Microseconds between two plans, at most.
    pub pace: u64,
    /// A place is kept for so long.
    pub resume: Duration,
}

/// A message with a number of its own that was not answered.
#[derive(Debug)]
struct Out {
    id: u64,
    room: String,
    text: String,
    number: usize,
}

/// A room that a client is in.
#[derive(Debug, Default)]
struct Place {
    /// The number of the next message, if it is known.
    next: Option<u64>,
    /// Messages that were on their way when the connection broke are missing.
    may_jump: bool,
}

/// A client.
pub struct Person {
    pub number: usize,
    pub ways: Ways,
    books: Shared,
    pub plan: Vec<Plan>,
    attempt: u32,
    /// The name that is registered as its own, as far as it knows.
    account: Option<String>,
    /// The token, and the server that gave it.
    token: Option<(String, u64)>,
    /// The token of the person that it is if it cannot come back.
    fresh: String,
    /// It is in a room, or has an account, so its place is kept.
    is_kept: bool,
    /// It has asked to leave, or left a room that may be its last one: nobody has to keep its place.
    may_be_gone: bool,
    lost_at: Duration,
    places: BTreeMap<String, Place>,
    /// Rooms of which it does not know yet whether it is in them.
    awaited: BTreeSet<String>,
    /// Rooms that it wants to be out of.
    left: BTreeSet<String>,
    next_direct: Option<u64>,
    may_jump_direct: bool,
    out: VecDeque<Out>,
    last_id: u64,
    /// It has a name and is somebody.
    is_in: bool,
    /// The connection that it uses.
    pub line: Option<usize>,
    pub lines: usize,
    /// Nothing is broken any more on purpose.
    pub is_calm: bool,
}

impl Person {
    pub fn new(number: usize, ways: Ways, plan: Vec<Plan>, books: &Shared) -> Self {
        Self {
            number,
            ways,
            books: Rc::clone(books),
            plan,
            attempt: 0,
            account: None,
            token: None,
            fresh: String::new(),
            is_kept: false,
            may_be_gone: false,
            lost_at: Duration::ZERO,
            places: BTreeMap::new(),
            awaited: BTreeSet::new(),
            left: BTreeSet::new(),
            next_direct: None,
            may_jump_direct: false,
            out: VecDeque::new(),
            last_id: 0,
            is_in: false,
            line: None,
            lines: 0,
            is_calm: false,
        }
    }

    /// Whether it is where it wants to be.
    pub fn is_open(&self) -> bool {
        self.is_in && self.awaited.is_empty() && self.left.is_empty()
    }

    /// Whether all that it wanted is done, and all heard.
    pub fn is_done(&self) -> bool {
        let books = self.books.borrow();
        let has_all = |(room, place): (&String, &Place)| {
            place.may_jump || place.next.is_none_or(|next| books.is_own_from(self.number, room, next))
        };
        self.is_open() && self.plan.is_empty() && self.out.is_empty() && self.places.iter().all(has_all)
    }

    /// The things that it still waits for.
    pub fn story(&self) -> String {
        let Self { number, ways, plan, places, awaited, out, is_in, line, lines, .. } = self;
        let left = plan.len();
        format!(
            "{number}: {ways:?}, {left} plans, {places:?}, awaits {awaited:?} and {out:?}, in {is_in}, {line:?} of {lines}"
        )
    }

    /// A connection has begun. Returns what is to be said first.
    pub fn begin(&mut self) -> String {
        let Some((token, _)) = self.token.as_ref().filter(|_| self.is_kept) else {
            self.forget();
            return self.introduction();
        };
        let mut line = format!("/resume {token}");
        if self.ways.counts {
            let seen = self.places.iter().map(|(room, place)| (room.as_str(), place.next));
            for (room, next) in seen.chain([("@", self.next_direct)]) {
                next.into_iter().for_each(|next| line.push_str(&format!(" {room}:{}", next - 1)));
            }
        }
        line
    }

    /// The connection is gone.
    pub fn lose(&mut self, now: Duration) {
        if self.is_in {
            self.lost_at = now;
        }
        (self.line, self.is_in) = (None, false);
        self.left.clear();
    }

    fn introduction(&self) -> String {
        match &self.account {
            Some(name) => format!("/login {name} password-{}", self.number),
            None => format!("/nick {}", self.name()),
        }
    }

    fn name(&self) -> String {
        self.account.clone().unwrap_or_else(|| format!("p{}-{}", self.number, self.attempt))
    }

    /// Something that it is told. Returns the lines that it answers.
    pub fn hear(&mut self, heard: Heard, now: Duration) -> Vec<String> {
        match heard {
            Heard::Welcome { token } => self.fresh = token,
            Heard::Resumed { last_id } => return self.come_back(last_id),
            Heard::Said { room, seq, from, text } => self.said(&room, seq, &from, &text),
            Heard::Direct { seq, from, text } => {
                self.books.borrow_mut().heard_direct(self.number, &from, &text);
                let next = self.next_direct.replace(seq + 1).unwrap_or(seq);
                let jumps = std::mem::take(&mut self.may_jump_direct);
                let who = self.number;
                assert!(seq == next || jumps && seq > next, "client {who}: {seq} for it alone, behind {next}");
            }
            Heard::Accepted { id, room, seq } => self.accepted(id, &room, seq, now),
            Heard::Entered { room, next } => self.entered(&room, next),
            Heard::Exited { room } => {
                self.places.remove(&room);
                self.left.remove(&room);
                return self.join([room].into());
            }
            Heard::Named(name) => {
                assert_eq!(name, self.name(), "client {}", self.number);
                return if self.account.is_some() { Vec::new() } else { self.settle() };
            }
            Heard::Done(text) => return self.done(&text, now),
            Heard::Refused(text) => return self.refused(&text, now),
            Heard::Other => {}
        }
        Vec::new()
    }

    /// It is somebody: it goes where it wants to be.
    fn settle(&mut self) -> Vec<String> {
        self.is_in = true;
        (self.may_be_gone, self.token) = (false, Some((self.fresh.clone(), self.books.borrow().server)));
        self.books.borrow_mut().names.insert(self.number, self.name());
        self.arrange()
    }

    fn arrange(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.ways.registers && self.account.is_none() {
            lines.push(format!("/register password-{}", self.number));
        }
        lines.extend(self.ways.echo.then(|| "/echo on".to_owned()));
        let rooms = self.ways.rooms.clone();
        lines.extend(self.join(rooms));
        lines
    }

    fn join(&mut self, rooms: Vec<String>) -> Vec<String> {
        let lines = rooms.iter().map(|room| format!("/join {room}")).collect();
        self.awaited.extend(rooms);
        lines
    }

    fn come_back(&mut self, last_id: u64) -> Vec<String> {
        let who = self.number;
        self.books.borrow_mut().tally.resumed += 1;
        let answered = self.out.front().map_or(self.last_id, |out| out.id - 1);
        let sent = self.last_id;
        assert!((answered..=sent).contains(&last_id), "client {who}: {last_id} of {answered} to {sent} arrived");
        if !self.ways.counts {
            self.places.values_mut().for_each(|place| place.may_jump = true);
            self.may_jump_direct = true;
        }
        (self.is_in, self.is_kept, self.may_be_gone) = (true, true, false);
        self.arrange()
    }

    fn entered(&mut self, room: &str, next: u64) {
        let books = self.books.borrow();
        books.entered(self.number, room, next);
        // Its history comes first: as much as is kept, up to the last message.
        let first = next - books.history.min(next - 1);
        drop(books);
        self.places.insert(room.to_owned(), Place { next: Some(first), may_jump: false });
        self.awaited.remove(room);
        (self.is_kept, self.may_be_gone) = (true, false);
    }

    fn said(&mut self, room: &str, seq: u64, from: &str, text: &str) {
        let who = self.number;
        assert!(self.ways.rooms.iter().any(|wanted| wanted == room), "client {who}: a message of {room}");
        self.books.borrow_mut().heard(who, room, seq, from, text);
        let place = self.places.entry(room.to_owned()).or_default();
        let next = place.next.replace(seq + 1).unwrap_or(seq);
        assert!(seq >= next, "client {who}: {room} {seq} came behind {}", next - 1);
        if !std::mem::take(&mut place.may_jump) {
            self.books.borrow_mut().skipped(who, room, next..seq);
        }
    }

    fn accepted(&mut self, id: u64, room: &str, seq: u64, now: Duration) {
        if let Some(at) = self.out.iter().position(|out| out.id == id) {
            let out = self.out.remove(at).expect("it was found");
            self.books.borrow_mut().answered(self.number, out.number, (room, seq), now);
        }
    }

    fn done(&mut self, text: &str, now: Duration) -> Vec<String> {
        let who = self.number;
        if let Some(room) = text.strip_prefix("your words go to ").and_then(|rest| rest.strip_suffix(" now")) {
            self.awaited.remove(room);
            self.is_kept = true;
            self.places.entry(room.to_owned()).or_default();
        } else if let Some((name, _)) = text.split_once(" is yours: ") {
            self.books.borrow_mut().registered(name, now);
            (self.account, self.is_kept) = (Some(name.to_owned()), true);
        } else if let Some(name) = text.strip_prefix("you are logged in as ") {
            assert_eq!(name, self.name(), "client {who}");
            self.books.borrow_mut().tally.logins += 1;
            self.is_kept = true;
            return self.settle();
        } else if text == "goodbye" {
            assert!(self.out.is_empty(), "client {who}: goodbye before these were answered: {:?}", self.out);
            self.forget();
        }
        Vec::new()
    }

    fn refused(&mut self, text: &str, now: Duration) -> Vec<String> {
        let who = self.number;
        if text.starts_with("nobody has this token") {
            let (server, passed) = (self.books.borrow().server, now.saturating_sub(self.lost_at));
            let is_old = self.token.as_ref().is_none_or(|(_, since)| *since != server);
            // A client may be sent away before it knows that, a slow one long before: there a short time proves nothing.
            // Of two connections that log in at once, the slower one may win.
            let is_late =
                self.account.is_some() || self.ways.slow.is_some() || self.ways.resume < Duration::from_secs(60);
            let may_be = is_old || self.may_be_gone || is_late || passed > self.ways.resume / 2;
            assert!(may_be, "client {who}: its place is gone after {passed:?}");
            self.books.borrow_mut().tally.strangers += 1;
            self.forget();
        } else if text.contains(" is taken") {
            self.attempt += 1;
        } else if let Some((name, _)) = text.split_once(" is registered already") {
            self.account = Some(name.to_owned());
            return Vec::new();
        } else if let Some((name, _)) = text.split_once(" is registered: /login") {
            self.account = Some(name.to_owned());
        } else if let Some((name, _)) = text.split_once(" is not registered") {
            assert!(!self.books.borrow().is_registered(name), "client {who}: the account {name} is gone");
            self.account = None;
        } else {
            self.missed(text);
            return Vec::new();
        }
        vec![self.introduction()]
    }

    /// Messages that it has to hear and cannot.
    fn missed(&mut self, text: &str) {
        let who = self.number;
        let count = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
        if let Some(count) = count.filter(|_| text.ends_with(" are no longer kept")) {
            self.books.borrow_mut().tally.unkept += 1;
            if !self.ways.counts {
                return;
            }
            let room = text.split(' ').nth(3).unwrap_or_default();
            if text.contains(" messages to you ") {
                self.next_direct = self.next_direct.map(|next| next + count);
            } else if let Some(next) = self.places.get_mut(room).and_then(|place| place.next.as_mut()) {
                *next += count;
            }
        } else if text.starts_with("you read too slowly") {
            self.books.borrow_mut().tally.slow += 1;
        } else {
            assert!(text.ends_with(" is not here"), "client {who}: refused: {text}");
        }
    }

    /// It is nobody, and has nothing to come back to. Messages that were not answered may be there or not.
    fn forget(&mut self) {
        (self.token, self.is_kept, self.may_be_gone) = (None, false, false);
        (self.is_in, self.next_direct, self.last_id) = (false, None, 0);
        self.places.clear();
        self.awaited.clear();
        self.out.clear();
    }

    /// All that was not answered, once more.
    pub fn repeat(&self) -> Vec<String> {
        self.out.iter().map(|out| format!("/send {} {} {}", out.room, out.id, out.text)).collect()
    }

    /// The next thing that it does. Returns the lines to say.
    pub fn act(&mut self) -> Vec<String> {
        let Some(plan) = self.plan.pop() else { return Vec::new() };
        let mut books = self.books.borrow_mut();
        let (who, text) = (self.number, |number: usize, size: usize| format!("{number} {}", "x".repeat(size)));
        match plan {
            Plan::Send { room, size } => {
                let number = books.say(who, Some(&room));
                self.last_id += 1;
                let (id, text) = (self.last_id, text(number, size));
                let line = format!("/send {room} {id} {text}");
                self.out.push_back(Out { id, room, text, number });
                vec![line]
            }
            Plan::Say { room, size } => {
                let number = books.say(who, Some(&room));
                vec![format!("/join {room}"), text(number, size)]
            }
            Plan::Direct { to, size } => {
                let Some(name) = books.names.get(&to).cloned().filter(|_| to != who) else { return Vec::new() };
                let number = books.say(who, None);
                vec![format!("/msg {name} {}", text(number, size))]
            }
            Plan::Leave { room } => {
                let line = format!("/leave {room}");
                // It says nothing there until it is in again.
                self.left.insert(room);
                self.may_be_gone = true;
                vec![line]
            }
            Plan::Ask(line) => vec![line.to_owned()],
        }
    }

    /// Its last line on this connection, if it wants to be polite.
    pub fn quit(&mut self, random: &mut Random) -> Option<&'static str> {
        let quits = self.is_open() && random.chance(100);
        self.may_be_gone |= quits;
        quits.then_some("/quit")
    }
}
