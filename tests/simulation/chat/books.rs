//! The oracle of the chat's world: what was said, where it stands, what was answered, and who has heard it.
//!
//! A message has one place for ever: a room and a number. A server that was killed may have told messages that it had not written: the next
//! server gives their numbers to others. Messages that were answered are never among these.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

/// A room, and the number of a message in it.
pub type Place = (String, u64);

/// A message, as its speaker knows it.
#[derive(Debug)]
struct Message {
    speaker: usize,
    /// `None`: it is for one person.
    room: Option<String>,
    place: Option<Place>,
}

/// A message at a place, and the servers with which it is known to have been there.
#[derive(Debug, Clone, Copy)]
struct Content {
    first: u64,
    last: u64,
    message: usize,
}

/// The number behind the last message of a room that has to survive, and when that was known.
#[derive(Debug, Default)]
struct Lasting(Vec<(Duration, u64)>);

/// Everything that happened between clients and servers.
#[derive(Debug, Default)]
pub struct Books {
    /// The servers so far.
    pub server: u64,
    messages: Vec<Message>,
    contents: BTreeMap<Place, Content>,
    /// Messages that were there and are lost: the place is another's now.
    lost: BTreeMap<Place, Vec<Content>>,
    /// By room: what was answered.
    answered: BTreeMap<String, Lasting>,
    /// By room and server: numbers up to this one keep the messages that they had with that server.
    bound: BTreeMap<String, BTreeMap<u64, u64>>,
    /// Names that are registered, as their owners were told, and when.
    accounts: BTreeMap<String, Duration>,
    /// By client: places that it was not told, since they are its own, with the server that did not tell them.
    skipped: BTreeMap<usize, BTreeSet<(Place, u64)>>,
    /// By receiver and sender: the last message that came.
    direct: BTreeMap<(usize, usize), usize>,
    /// The names of clients, for messages to one person.
    pub names: BTreeMap<usize, String>,
    /// Messages that a room keeps.
    pub history: u64,
    pub tally: Tally,
}

/// The counts of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub said: usize,
    pub heard: usize,
    pub answered: usize,
    pub direct: usize,
    pub connects: usize,
    pub resumed: usize,
    pub takeovers: usize,
    pub strangers: usize,
    pub slow: usize,
    pub unkept: usize,
    pub lost: usize,
    pub survived: usize,
    pub accounts: usize,
    pub logins: usize,
}

pub type Shared = Rc<RefCell<Books>>;

impl Books {
    /// A message is said for the first time. Its number is its text's beginning.
    pub fn say(&mut self, speaker: usize, room: Option<&str>) -> usize {
        self.messages.push(Message { speaker, room: room.map(str::to_owned), place: None });
        self.tally.said += 1;
        self.messages.len() - 1
    }

    /// A client is told a message of a room.
    pub fn heard(&mut self, client: usize, room: &str, seq: u64, from: &str, text: &str) {
        self.tally.heard += 1;
        let number = self.number(client, from, text);
        assert_eq!(self.messages[number].room.as_deref(), Some(room), "client {client}: message {number} in {room}");
        self.put(client, number, (room.to_owned(), seq));
    }

    /// A client is told the place of its own message.
    pub fn answered(&mut self, client: usize, number: usize, (room, seq): (&str, u64), now: Duration) {
        assert_eq!(self.messages[number].room.as_deref(), Some(room), "client {client}: answer for message {number}");
        self.tally.answered += 1;
        self.put(client, number, (room.to_owned(), seq));
        self.answered.entry(room.to_owned()).or_default().add(now, seq);
    }

    fn number(&self, client: usize, from: &str, text: &str) -> usize {
        let number = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a message's number");
        let message: &Message = &self.messages[number];
        let speaker = format!("p{}-", message.speaker);
        assert!(from.starts_with(&speaker), "client {client}: message {number} comes from {from}");
        number
    }

    fn put(&mut self, client: usize, number: usize, place: Place) {
        let known = self.messages[number].place.get_or_insert_with(|| place.clone());
        assert_eq!(*known, place, "client {client}: message {number} was said twice");
        let server = self.server;
        let new = Content { first: server, last: server, message: number };
        let Some(before) = self.contents.insert(place.clone(), new) else { return };
        let Content { first, last: since, message } = before;
        if message == number {
            self.contents.insert(place.clone(), Content { first, ..new });
            if since < server {
                // It was written when this server began, and with it all before.
                self.tally.survived += 1;
                let bound = self.bound.entry(place.0).or_default().entry(server).or_default();
                *bound = place.1.max(*bound);
            }
            return;
        }
        assert!(
            since < server && !self.is_bound(&place, since),
            "client {client}: {place:?} is message {number}, and was message {message}, of server {since} and now {server}"
        );
        self.lost.entry(place).or_default().push(before);
        self.tally.lost += 1;
    }

    /// Whether a message that was at this place with that server has to be there for ever. With a later server, which has bound more, the
    /// place may have been another message's.
    fn is_bound(&self, (room, seq): &Place, server: u64) -> bool {
        let bounds = self.bound.get(room).into_iter().flat_map(|bounds| bounds.range(..=server));
        bounds.map(|(_, bound)| *bound).max().is_some_and(|bound| *seq <= bound)
    }

    /// A message to one person.
    pub fn heard_direct(&mut self, client: usize, from: &str, text: &str) {
        let number = self.number(client, from, text);
        assert!(self.messages[number].room.is_none(), "client {client}: message {number} is for a room");
        let before = self.direct.insert((client, self.messages[number].speaker), number);
        assert!(before.is_none_or(|before| before < number), "client {client}: message {number} after {before:?}");
        self.tally.direct += 1;
    }

    /// A client has entered a room, of which the next number is this.
    pub fn entered(&self, client: usize, room: &str, next: u64) {
        let bound = self.bound.get(room).and_then(|bounds| bounds.values().max()).copied().unwrap_or(0);
        assert!(next > bound, "client {client}: {room} goes on at {next}, and {bound} was answered before the crash");
    }

    /// A client was not told these, which has to be since they are its own.
    pub fn skipped(&mut self, client: usize, room: &str, seqs: impl Iterator<Item = u64>) {
        let server = self.server;
        self.skipped.entry(client).or_default().extend(seqs.map(|seq| ((room.to_owned(), seq), server)));
    }

    /// A name is registered.
    pub fn registered(&mut self, name: &str, now: Duration) {
        self.accounts.entry(name.to_owned()).or_insert(now);
        self.tally.accounts += 1;
    }

    pub fn is_registered(&self, name: &str) -> bool {
        self.accounts.contains_key(name)
    }

    /// The server is another one, and has what was answered until then.
    pub fn restarted(&mut self, until: Duration) {
        for (room, Lasting(answered)) in &mut self.answered {
            answered.retain(|(at, _)| *at <= until);
            let bound = self.bound.entry(room.clone()).or_default().entry(self.server).or_default();
            *bound = answered.iter().map(|(_, seq)| *seq).max().unwrap_or(0).max(*bound);
            answered.clear();
        }
        self.server += 1;
        self.accounts.retain(|_, at| *at <= until);
        // An account that lasted once lasts.
        self.accounts.values_mut().for_each(|at| *at = Duration::ZERO);
    }

    /// Whether all messages of a room from this number on are a client's own.
    pub fn is_own_from(&self, client: usize, room: &str, next: u64) -> bool {
        let mut behind = self.contents.range((room.to_owned(), next)..=(room.to_owned(), u64::MAX));
        behind.all(|(_, content)| content.last < self.server || self.messages[content.message].speaker == client)
    }

    /// The messages that have been at a place.
    fn contents_of(&self, place: &Place) -> impl Iterator<Item = &Content> {
        self.contents.get(place).into_iter().chain(self.lost.get(place).into_iter().flatten())
    }

    /// The message that was at a place with that server, if it is known. A message that was heard from an earlier or a later server only
    /// tells nothing, unless it had to last from the one to the other: the place may have been another's, which is lost.
    fn known_at(&self, place: &Place, server: u64) -> Option<usize> {
        let was_there = |content: &&Content| (content.first..=content.last).contains(&server);
        let lasts = |content: &&Content| self.is_bound(place, server.min(content.last));
        let lasting = || self.contents.get(place).filter(lasts);
        self.contents_of(place).find(was_there).or_else(lasting).map(|content| content.message)
    }

    /// At the end: places that a client was not told are its own, and each speaker's messages stand in their order.
    pub fn close(&self) {
        let mut unknown: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for (client, skipped) in &self.skipped {
            for (place, server) in skipped {
                if let Some(message) = self.known_at(place, *server) {
                    let speaker = self.messages[message].speaker;
                    assert!(
                        speaker == *client,
                        "client {client}: message {message} of {speaker} at {place:?} never came"
                    );
                } else if !self.contents_of(place).any(|content| self.messages[content.message].speaker == *client) {
                    // It was the client's own, was never answered, and is lost: so none of its messages has that place.
                    *unknown.entry((*client, &place.0)).or_default() += 1;
                }
            }
        }
        for ((client, room), count) in unknown {
            let unplaced = self.messages.iter().filter(|message| {
                message.speaker == client && message.place.is_none() && message.room.as_deref() == Some(room)
            });
            assert!(count <= unplaced.count(), "client {client}: {count} numbers of {room} stand for nothing");
        }
        let mut last: BTreeMap<(&str, usize), usize> = BTreeMap::new();
        for (place @ (room, seq), Content { message, last: server, .. }) in &self.contents {
            if *server < self.server && !self.is_bound(place, *server) {
                // It was lost, and nothing has come to its place.
                continue;
            }
            let before = last.insert((room, self.messages[*message].speaker), *message);
            assert!(before.is_none_or(|before| before < *message), "{room} {seq}: message {message} after {before:?}");
        }
    }
}

impl Lasting {
    /// Each answer is worth keeping only if it goes beyond the ones before.
    fn add(&mut self, now: Duration, seq: u64) {
        if self.0.last().is_none_or(|(_, last)| *last < seq) {
            self.0.push((now, seq));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(books: &mut Books, client: usize, number: usize, seq: u64) {
        let speaker = books.messages[number].speaker;
        books.heard(client, "tea", seq, &format!("p{speaker}-0"), &format!("{number} x"));
    }

    /// Client 1 says the first message of a room, 0 the second. Number 1 is known to nobody, since client 1 is never answered.
    fn skipped_once() -> Books {
        let mut books = Books::default();
        books.say(1, Some("tea"));
        let second = books.say(0, Some("tea"));
        hear(&mut books, 1, second, 2);
        books.skipped(1, "tea", 1..2);
        books
    }

    #[test]
    fn a_place_that_was_skipped_may_be_given_to_another_message_after_a_crash() {
        let mut books = skipped_once();
        books.restarted(Duration::ZERO);
        let third = books.say(0, Some("tea"));
        hear(&mut books, 1, third, 1);
        books.close();
    }

    #[test]
    #[should_panic(expected = "client 1: message 2 of 0 at (\"tea\", 1) never came")]
    fn a_message_of_another_that_was_skipped_is_missed() {
        let mut books = skipped_once();
        let third = books.say(0, Some("tea"));
        hear(&mut books, 2, third, 1);
        books.restarted(Duration::ZERO);
        books.close();
    }

    #[test]
    #[should_panic(expected = "client 1: message 2 of 0 at (\"tea\", 1) never came")]
    fn a_message_that_was_skipped_and_lasts_is_missed_after_the_crash_as_well() {
        let mut books = skipped_once();
        let third = books.say(0, Some("tea"));
        let fourth = books.say(0, Some("tea"));
        books.answered(0, fourth, ("tea", 3), Duration::ZERO);
        books.restarted(Duration::ZERO);
        hear(&mut books, 2, third, 1);
        books.close();
    }

    #[test]
    fn a_message_that_was_lost_says_nothing_of_its_place_on_the_next_server() {
        let mut books = Books::default();
        let lost = books.say(0, Some("tea"));
        hear(&mut books, 2, lost, 1);
        books.restarted(Duration::ZERO);
        // Client 1 says the first message anew, which comes to nobody's ears and lasts.
        books.say(1, Some("tea"));
        let second = books.say(0, Some("tea"));
        hear(&mut books, 1, second, 2);
        books.skipped(1, "tea", 1..2);
        books.answered(0, second, ("tea", 2), Duration::ZERO);
        books.restarted(Duration::ZERO);
        books.close();
    }

    #[test]
    #[should_panic(expected = "client 1: 2 numbers of tea stand for nothing")]
    fn a_place_that_was_skipped_needs_a_message_of_its_own() {
        let mut books = skipped_once();
        books.skipped(1, "tea", 4..5);
        books.close();
    }
}
