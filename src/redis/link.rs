//! One connection to Redis, without a socket: what is sent, which answer belongs to which question, when it is lost and when it is tried
//! again. Pure: bytes and time come in, bytes and events go out.
//!
//! ```text
//!              connected              greeting answered
//!   Away ──────────────────▶ Greeting ─────────────────▶ Up
//!    ▲  ▲                       │                         │
//!    │  ╰── refused, too slow ──╯                         │
//!    ╰───── lost: closed, an answer too late, nonsense ───╯
//! ```

use super::target::Target;
use crate::{
    resilience::{Backoff, later},
    resp::{Malformed, Replies, Value, reply::Reply},
    time::Instant,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::{collections::VecDeque, mem, time::Duration};

/// Waits between two tries: a server that is started again is found within seconds.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(100), factor: 2.0, cap: Duration::from_secs(3), jitter: 0.25 };

/// How long the greeting may take.
const GREETING: Duration = Duration::from_secs(2);

/// A connection that is lost sooner than this has proven nothing: the next wait is longer.
const PROVEN: Duration = Duration::from_secs(5);

/// Bytes of a reply.
const MAX_REPLY: usize = 16 * 1024 * 1024;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which server.
    pub target: Target,
    /// The channels to listen to.
    pub channels: Vec<String>,
    /// Commands with which the connection begins. One that is refused ends it: the server is not fit for what it is wanted for.
    pub probe: Vec<Vec<String>>,
    /// How long an answer may take.
    pub patience: Duration,
    /// Questions without an answer at once.
    pub most: usize,
    /// The consequence of a lost connection, as the log says it: "the chat goes on alone".
    pub meanwhile: &'static str,
}

/// An event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<T> {
    /// Questions are taken from now on.
    Up,
    /// The connection is lost, or the first try has failed: why.
    Down(String),
    /// The answer to one question.
    Answer(T, Result<Value, Lost>),
    /// A message of a channel, or what else the server says unasked.
    Push(Vec<Value>),
}

/// Questions that follow from an event: the words of each, and its tag.
pub type Next<T> = Vec<(Vec<Vec<u8>>, T)>;

/// The connection was lost before the answer came. The command may have been carried out, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// A connection and what it owes.
#[derive(Debug)]
pub(super) struct Link<T> {
    settings: Settings,
    state: State,
    /// Those without an answer, each with its deadline, in the order in which they were sent.
    asked: VecDeque<(Instant, T)>,
    /// To be sent.
    pub(super) output: Vec<u8>,
    replies: Replies,
    /// Tries that failed one after the other.
    failed: u32,
    random: SmallRng,
    /// The last that was told is `Down`.
    told_down: bool,
    pub(super) events: VecDeque<Event<T>>,
}

#[derive(Debug)]
enum State {
    /// There is no connection; it is tried again at that time.
    Away {
        again: Instant,
    },
    /// Some answers and confirmations are left: these numbers.
    Greeting {
        answers: usize,
        channels: usize,
        until: Instant,
    },
    Up {
        since: Instant,
    },
}

impl<T> Link<T> {
    pub(super) fn new(settings: Settings, seed: u64, now: Instant) -> Self {
        Self {
            settings,
            state: State::Away { again: now },
            asked: VecDeque::new(),
            output: Vec::new(),
            replies: Replies::new(MAX_REPLY),
            failed: 0,
            random: SmallRng::seed_from_u64(seed),
            told_down: false,
            events: VecDeque::new(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it is time to try to connect.
    pub(super) fn wants_connection(&self, now: Instant) -> bool {
        matches!(self.state, State::Away { again } if again <= now)
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self.state, State::Away { .. })
    }

    /// There is a connection: it begins with who we are and what we want.
    pub(super) fn connected(&mut self, now: Instant) {
        let target = &self.settings.target;
        let mut hello = vec!["HELLO", "3"];
        if let Some(password) = &target.password {
            hello.extend(["AUTH", target.user.as_deref().unwrap_or("default"), password]);
        }
        let database = target.database.to_string();
        let mut greeting = vec![command(&hello)];
        if target.database > 0 {
            greeting.push(command(&["SELECT", &database]));
        }
        greeting.extend(self.settings.probe.iter().map(|words| command(words)));
        let (answers, channels) = (greeting.len(), self.settings.channels.len());
        if channels > 0 {
            let words = std::iter::once("SUBSCRIBE").chain(self.settings.channels.iter().map(String::as_str));
            greeting.push(command(&words.collect::<Vec<_>>()));
        }
        self.output = greeting.concat();
        self.replies = Replies::new(MAX_REPLY);
        self.state = State::Greeting { answers, channels, until: later(now, GREETING) };
    }

    /// Asks `tags.len()` questions, whose commands are in `bytes`, in the same order.
    pub(super) fn ask(&mut self, bytes: &[u8], tags: Vec<T>, now: Instant) {
        if !matches!(self.state, State::Up { .. }) {
            return self.events.extend(tags.into_iter().map(|tag| Event::Answer(tag, Err(Lost))));
        }
        self.output.extend_from_slice(bytes);
        let until = later(now, self.settings.patience);
        self.asked.extend(tags.into_iter().map(|tag| (until, tag)));
    }

    /// Questions without an answer.
    pub(super) fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// Bytes came.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) {
        self.replies.receive(bytes);
        while !self.is_away() {
            match self.replies.next_reply() {
                Ok(None) => return,
                Ok(Some(Value::Push(items))) => self.pushed(items, now),
                Ok(Some(value)) => self.answered(value, now),
                Err(Malformed(rule)) => self.lost(&format!("it does not speak RESP3: {rule}"), now),
            }
        }
    }

    fn pushed(&mut self, items: Vec<Value>, now: Instant) {
        match (&mut self.state, items.first().and_then(Value::text)) {
            (State::Greeting { channels, .. }, Some(b"subscribe")) => {
                *channels = channels.saturating_sub(1);
                self.greeted(now);
            }
            _ => self.events.push_back(Event::Push(items)),
        }
    }

    fn answered(&mut self, value: Value, now: Instant) {
        match (&mut self.state, value) {
            (State::Greeting { .. }, Value::Error(why)) => self.lost(&why, now),
            (State::Greeting { answers: 0, .. } | State::Away { .. }, _) => {
                self.lost("it answers what was not asked", now);
            }
            (State::Greeting { answers, .. }, _) => {
                *answers -= 1;
                self.greeted(now);
            }
            (State::Up { .. }, value) => match self.asked.pop_front() {
                Some((_, tag)) => self.events.push_back(Event::Answer(tag, Ok(value))),
                None => self.lost("it answers what was not asked", now),
            },
        }
    }

    fn greeted(&mut self, now: Instant) {
        if let State::Greeting { answers: 0, channels: 0, .. } = self.state {
            self.state = State::Up { since: now };
            self.told_down = false;
            self.events.push_back(Event::Up);
        }
    }

    /// The connection is gone, or could not be made.
    pub(super) fn lost(&mut self, why: &str, now: Instant) {
        if let State::Up { since } = self.state
            && now.saturating_duration_since(since) >= PROVEN
        {
            self.failed = 0;
        }
        // By chance, so that clients that lost one server together come back one after the other.
        let wait = BACKOFF.delay(self.failed, self.random.random());
        self.failed = self.failed.saturating_add(1);
        self.state = State::Away { again: later(now, wait) };
        self.output.clear();
        self.events.extend(self.asked.drain(..).map(|(_, tag)| Event::Answer(tag, Err(Lost))));
        if !mem::replace(&mut self.told_down, true) {
            self.events.push_back(Event::Down(why.to_owned()));
        }
    }

    /// The time at which something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Away { again } => Some(again),
            State::Greeting { until, .. } => Some(until),
            State::Up { .. } => self.asked.front().map(|(until, _)| *until),
        }
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        if !self.is_away() && self.deadline().is_some_and(|until| until <= now) {
            let patience = humantime::format_duration(self.settings.patience);
            self.lost(&format!("no answer within {patience}"), now);
        }
    }
}

/// A command as it goes over the wire.
pub(super) fn command<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut out = Reply::new(true);
    out.bulks(words.iter());
    out.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn link(url: &str, channels: &[&str]) -> (Link<u32>, Instant) {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let settings = Settings {
            target: url.parse().unwrap(),
            channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
            probe: vec![vec!["PING".to_owned()]],
            patience: SECOND,
            most: 10,
            meanwhile: "",
        };
        (Link::new(settings, 1, now), now)
    }

    fn sent(link: &mut Link<u32>) -> String {
        let bytes = std::mem::take(&mut link.output);
        let words = String::from_utf8(bytes).unwrap();
        let words = words.split("\r\n").filter(|word| !word.is_empty() && !word.starts_with('$'));
        words.map(|word| if word.starts_with('*') { "|" } else { word }).collect::<Vec<_>>().join(" ")
    }

    fn events(link: &mut Link<u32>) -> Vec<Event<u32>> {
        link.events.drain(..).collect()
    }

    fn up(link: &mut Link<u32>, now: Instant) {
        link.connected(now);
        sent(link);
        link.received(b"%1\r\n+server\r\n+redis\r\n+PONG\r\n", now);
        assert_eq!(events(link), [Event::Up]);
    }

    #[test]
    fn a_connection_begins_with_a_greeting() {
        let (mut link, now) = link("redis://ann:secret@h/3", &["a", "b"]);
        assert!(link.wants_connection(now));
        link.connected(now);
        assert_eq!(sent(&mut link), "| HELLO 3 AUTH ann secret | SELECT 3 | PING | SUBSCRIBE a b");
        link.received(b"%0\r\n+OK\r\n+PONG\r\n>3\r\n+subscribe\r\n+a\r\n:1\r\n", now);
        assert_eq!(events(&mut link), []);
        link.received(b">3\r\n+subscribe\r\n+b\r\n:2\r\n>3\r\n+message\r\n+a\r\n+hi\r\n", now);
        let text = |text: &str| Value::Text(text.as_bytes().to_vec());
        assert_eq!(events(&mut link), [Event::Up, Event::Push(vec![text("message"), text("a"), text("hi")])]);
    }

    #[test]
    fn answers_belong_to_questions_in_their_order() {
        let (mut link, now) = link("redis://h", &[]);
        link.ask(b"x", vec![1], now);
        assert_eq!(events(&mut link), [Event::Answer(1, Err(Lost))], "there is no connection");
        up(&mut link, now);
        link.ask(&command(&["GET", "k"]), vec![2], now);
        link.ask(&[command(&["GET", "l"]), command(&["GET", "m"])].concat(), vec![3, 4], now);
        assert_eq!(sent(&mut link), "| GET k | GET l | GET m");
        link.received(b":2\r\n-ERR no\r\n", now);
        let error = Value::Error("ERR no".to_owned());
        assert_eq!(events(&mut link), [Event::Answer(2, Ok(Value::Int(2))), Event::Answer(3, Ok(error))]);
        link.received(b":4\r\n:5\r\n", now);
        let last = events(&mut link);
        assert_eq!(last[0], Event::Answer(4, Ok(Value::Int(4))));
        assert_eq!(last[1..], [Event::Down("it answers what was not asked".to_owned())]);
    }

    #[test]
    fn an_answer_that_comes_too_late_ends_the_connection() {
        let (mut link, now) = link("redis://h", &[]);
        up(&mut link, now);
        link.ask(b"x", vec![1, 2], now);
        assert_eq!(link.deadline(), Some(now + SECOND));
        link.expire(now + SECOND - Duration::from_nanos(1));
        assert_eq!(events(&mut link), []);
        link.expire(now + SECOND);
        let lost = |tag| Event::Answer(tag, Err(Lost));
        assert_eq!(events(&mut link), [lost(1), lost(2), Event::Down("no answer within 1s".to_owned())]);
        assert!(link.is_away() && link.output.is_empty());
    }

    #[test]
    fn down_is_told_once_and_waits_grow() {
        let (mut link, mut now) = link("redis://h", &[]);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(link.wants_connection(now));
            link.lost("refused", now);
            let again = link.deadline().unwrap();
            assert!(!link.wants_connection(again - Duration::from_nanos(1)));
            waits.push((again - now).as_millis());
            now = again;
        }
        assert_eq!(events(&mut link), [Event::Down("refused".to_owned())]);
        assert!(waits[0] <= 125 && waits[7] >= 2250 && waits[7] <= 3750, "{waits:?}");
        up(&mut link, now);
        // One that breaks at once has proven nothing.
        link.lost("closed", now);
        assert!(link.deadline().unwrap() - now > SECOND);
        assert_eq!(events(&mut link), [Event::Down("closed".to_owned())]);
        up(&mut link, now);
        link.lost("closed", now + PROVEN);
        assert!(link.deadline().unwrap() - (now + PROVEN) < SECOND);
    }

    #[test]
    fn a_server_that_refuses_the_greeting_is_not_up() {
        for (reply, why) in [
            (&b"-WRONGPASS no\r\n"[..], "WRONGPASS no"),
            (b"%0\r\n-ERR unknown command\r\n", "ERR unknown command"),
            (b"HTTP/1.1 400 Bad Request\r\n", "it does not speak RESP3: a kind of reply that is not known"),
        ] {
            let (mut link, now) = link("redis://h", &[]);
            link.connected(now);
            link.received(reply, now);
            assert_eq!(events(&mut link), [Event::Down(why.to_owned())]);
        }
        let (mut link, now) = link("redis://h", &[]);
        link.connected(now);
        link.expire(now + GREETING);
        assert!(link.is_away());
    }
}
