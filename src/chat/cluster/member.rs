//! This server among the others: what it does when Redis comes, goes, and says something.

use super::{
    super::{
        hall::{Card, Hall, Known, Share, Volume},
        name::key,
    },
    letter::{self, Letter, News},
    records::Records,
    streams::{Broken, ROOMS, Streams, Tag, Words},
};
use crate::{
    redis::Event,
    resp::Value,
    time::{Instant, Now},
};
use std::{collections::HashMap, mem, time::Duration};

/// How often a server says that it is still here.
const BEAT: Duration = Duration::from_secs(2);

/// Silence after which a server counts as gone, and its people with it.
const SILENCE: Duration = Duration::from_secs(10);

/// People in one letter.
const CARDS: usize = 100;

/// Messages that the stream of a room keeps at least: a server that was away for a moment has to find what it missed.
const LEAST_KEPT: usize = 100;

/// One server of a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    me: String,
    is_up: bool,
    streams: Streams,
    records: Records,
    /// The others, and when each was last heard.
    servers: HashMap<String, Instant>,
    /// When this server last said that it is here.
    beat: Option<Instant>,
    /// The connection has to be made anew: why.
    broken: Option<&'static str>,
}

impl Cluster {
    /// A server under a name that no other has. Streams keep as many messages as the hall does.
    pub(crate) fn new(me: &str, history: usize) -> Self {
        Self {
            me: me.to_owned(),
            is_up: false,
            streams: Streams::new(history.max(LEAST_KEPT)),
            records: Records::new(me),
            servers: HashMap::new(),
            beat: None,
            broken: None,
        }
    }

    /// Takes the commands that have to be sent, in their order.
    pub(crate) fn take_asks(&mut self) -> Vec<(Words, Tag)> {
        mem::take(&mut self.streams.asks)
    }

    /// Why the connection has to be made anew, if it has to.
    pub(crate) fn take_broken(&mut self) -> Option<&'static str> {
        self.broken.take()
    }

    /// Redis comes, goes or says something.
    pub(crate) fn heard(&mut self, event: Event<Tag>, hall: &mut Hall, now: Now) {
        match event {
            Event::Up => self.begin(hall, now),
            Event::Down(_) => self.end(hall, now),
            Event::Push(items) => {
                if let [kind, _, Value::Text(letter)] = &items[..]
                    && kind.text() == Some(b"message")
                    && let Some(letter) = Letter::read(letter)
                {
                    self.read(letter, hall, now);
                }
            }
            // The next connection asks anew.
            Event::Answer(_, Err(_)) => {}
            Event::Answer(tag, Ok(value)) => {
                if let Err(Broken(why)) = self.answered(tag, &value, hall, now) {
                    tracing::debug!(?value, "an answer of Redis: {why}");
                    self.broken = Some(why);
                }
            }
        }
    }

    fn begin(&mut self, hall: &mut Hall, now: Now) {
        self.is_up = true;
        hall.together();
        self.streams.ask(&["SMEMBERS", ROOMS], Tag::Rooms);
        for known in hall.known_rooms() {
            self.streams.open(&known);
        }
        self.records.begin(&mut self.streams);
        self.publish(News::Hello);
        self.introduce(letter::ALL, hall.cards());
        self.beat = Some(now.instant);
    }

    fn end(&mut self, hall: &mut Hall, now: Now) {
        if mem::replace(&mut self.is_up, false) {
            self.streams.clear();
            self.records.end();
            self.servers.clear();
        }
        hall.alone(now);
    }

    fn publish(&mut self, news: News) {
        self.publish_to(letter::ALL, news);
    }

    fn publish_to(&mut self, channel: &str, news: News) {
        let letter = Letter::written(&self.me, news);
        self.streams.ask(&[b"PUBLISH", channel.as_bytes(), &letter], Tag::Sent);
    }

    /// Tells which people this server has.
    fn introduce(&mut self, channel: &str, cards: Vec<Card>) {
        for cards in cards.chunks(CARDS) {
            self.publish_to(channel, News::People { cards: cards.to_vec() });
        }
    }

    fn answered(&mut self, tag: Tag, value: &Value, hall: &mut Hall, now: Now) -> Result<(), Broken> {
        match tag {
            Tag::Ignored => Ok(()),
            Tag::Sent if matches!(value, Value::Error(_)) => Err(Broken("a command is refused")),
            Tag::Sent => Ok(()),
            Tag::Added { key } => self.streams.added(&key, value, hall),
            Tag::Highest { key } => self.streams.highest(key, value, hall),
            Tag::More { key } => self.streams.heard(key, value, hall, now),
            Tag::Rooms => {
                let rooms = value.list().ok_or(Broken("the rooms cannot be read"))?;
                let names = rooms.iter().filter_map(|room| std::str::from_utf8(room.text()?).ok());
                names.for_each(|name| hall.follow(name, now));
                Ok(())
            }
            Tag::LastRecord => self.records.last(value, &mut self.streams),
            Tag::Records => {
                if self.records.heard(value, hall, &mut self.streams, now)? {
                    self.publish(News::Records);
                }
                Ok(())
            }
        }
    }

    /// The hall has something to tell.
    pub(crate) fn share(&mut self, share: Share) {
        if !self.is_up {
            if let Share::Record(record) = share {
                self.records.share(record, &mut self.streams);
            }
            return;
        }
        match share {
            Share::Said(spoken) => {
                self.streams.add(&spoken);
                self.publish(News::More { room: spoken.room });
            }
            Share::Card(card) => self.publish(News::Person { card }),
            Share::Gone { name, why } => self.publish(News::Gone { name, why }),
            Share::Opened { room } => self.streams.open(&Known { room, next: 1, spoke_alone: false }),
            Share::Forgotten { room } => {
                self.streams.forget(&room);
                self.publish(News::Forgotten { room });
            }
            Share::PutOut { server, room, name, why } => {
                self.publish_to(&letter::to(&server), News::PutOut { room, name, why });
            }
            Share::Direct { server, to, from, text, at, number } => {
                self.publish_to(&letter::to(&server), News::Direct { to, from, text, at, number });
            }
            Share::Taken { name } => self.publish(News::Taken { name }),
            Share::Record(record) => {
                if self.records.share(record, &mut self.streams) {
                    self.publish(News::Records);
                }
            }
        }
    }

    /// News of a server, perhaps of this one.
    fn read(&mut self, letter: Letter, hall: &mut Hall, now: Now) {
        let Letter { by, news } = letter;
        match (by == self.me, news) {
            (_, News::More { room }) => self.streams.more(&room, hall, now),
            (_, News::Records) => self.records.more(&mut self.streams),
            (true, _) => {}
            (false, news) => {
                self.servers.insert(by.clone(), now.instant);
                self.read_other(&by, news, hall, now);
            }
        }
    }

    fn read_other(&mut self, by: &str, news: News, hall: &mut Hall, now: Now) {
        match news {
            News::Hello => {
                hall.server_gone(by, None, now);
                self.introduce(&letter::to(by), hall.cards());
            }
            News::Bye => {
                self.servers.remove(by);
                hall.server_gone(by, Some("its server has stopped"), now);
            }
            News::People { cards } => hall.others_at_once(by, cards, now),
            News::Person { card } => drop(hall.other(by, card, Volume::Each, now)),
            News::Gone { name, why } => hall.other_gone(by, &name, &why),
            News::Forgotten { room } => {
                if hall.let_room_go(&key(&room)) {
                    self.streams.drop_room(&key(&room));
                }
            }
            News::PutOut { room, name, why } => hall.put_out_from_elsewhere(&room, &name, &why, now),
            News::Direct { to, from, text, at, number } => {
                let is_here = hall.direct_from_elsewhere(&to, &from, &text, at);
                let answer = if is_here { News::Arrived { number } } else { News::Missed { number } };
                self.publish_to(&letter::to(by), answer);
            }
            News::Arrived { number } => hall.direct_answered(by, number, true, now),
            News::Missed { number } => hall.direct_answered(by, number, false, now),
            News::Taken { name } => hall.taken_elsewhere(&name, now),
            News::Beat | News::More { .. } | News::Records => {}
        }
    }

    /// Time has passed.
    pub(crate) fn expire(&mut self, hall: &mut Hall, now: Now) {
        if !self.is_up {
            return;
        }
        if self.beat.is_none_or(|beat| now.instant.saturating_duration_since(beat) >= BEAT) {
            self.beat = Some(now.instant);
            self.publish(News::Beat);
        }
        let is_gone = |heard: &Instant| now.instant.saturating_duration_since(*heard) >= SILENCE;
        let gone: Vec<String> =
            self.servers.iter().filter(|(_, heard)| is_gone(heard)).map(|(by, _)| by.clone()).collect();
        for by in gone {
            self.servers.remove(&by);
            hall.server_gone(&by, Some("its server is gone"), now);
        }
    }

    /// This server stops.
    pub(crate) fn stop(&mut self) {
        if self.is_up {
            self.publish(News::Bye);
        }
    }

    /// The other servers that are there.
    pub(crate) fn others(&self) -> usize {
        self.servers.len()
    }
}
