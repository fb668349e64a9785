//! The oracle of the broker's world: what was published, what was acknowledged, and who got it.

use crate::disk::FakeDisk;
use socket_patterns::mqtt::{QoS, filter_matches};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// It stays with its topic.
    Retained,
    /// The broker publishes it when a connection breaks, or does not; that its publisher has lost the connection is its acknowledgement.
    Will,
}

/// A message, as its publisher knows it.
#[derive(Debug)]
pub struct Message {
    pub publisher: usize,
    pub topic: String,
    pub qos: QoS,
    kind: Kind,
    sent: Duration,
    /// The broker has taken it over.
    pub acked: Option<Duration>,
    /// Its publisher has lost its session before it was acknowledged: it may be there or not.
    pub abandoned: bool,
}

/// The subscription of one client.
#[derive(Debug, Clone)]
pub struct Wish {
    pub filter: String,
    pub qos: QoS,
    /// The group that it shares its messages with.
    pub group: Option<usize>,
}

impl Wish {
    /// As it is said to the broker.
    pub fn text(&self) -> String {
        self.group.map_or_else(|| self.filter.clone(), |group| format!("$share/g{group}/{}", self.filter))
    }

    fn matches(&self, message: &Message) -> bool {
        filter_matches(&self.filter, &message.topic)
    }
}

/// Everything that happened between clients and the broker.
#[derive(Debug, Default)]
pub struct Books {
    pub messages: Vec<Message>,
    /// By client and message: how often it came.
    counts: BTreeMap<(usize, usize), u32>,
    wishes: BTreeMap<usize, Wish>,
    /// Messages from this one on must come, by client: it had its subscription when they were sent.
    since: BTreeMap<usize, usize>,
    /// As that, since it was told so last: a crash may have taken the subscription of before.
    latest: BTreeMap<usize, usize>,
    /// The last one that came first, by client, publisher, topic and quality.
    last: BTreeMap<(usize, usize, String, u8), usize>,
    /// Messages that a crash under a weak policy may have taken.
    doubtful: BTreeSet<usize>,
    /// Messages before this one may come twice, for the same reason.
    repeatable: usize,
    /// By client and topic: the last one that came because it was retained.
    retained: BTreeMap<(usize, String), usize>,
    /// Clients whose sessions are kept.
    kept: BTreeSet<usize>,
    /// Queues are short: messages are dropped.
    pub is_lossy: bool,
    /// The disk that has to have whatever is acknowledged.
    pub audit: Option<FakeDisk>,
    pub tally: Tally,
}

/// The counts of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub published: usize,
    pub received: usize,
    pub repeated: usize,
    pub retained: usize,
    pub wills: usize,
    pub acked: usize,
    pub audited: usize,
    pub connects: usize,
    pub resumed: usize,
    pub takeovers: usize,
    pub refused: usize,
    pub dismissed: usize,
}

pub type Shared = Rc<RefCell<Books>>;

impl Books {
    pub fn wish(&mut self, client: usize, wish: Wish, is_kept: bool) {
        self.wishes.insert(client, wish);
        self.kept.extend(is_kept.then_some(client));
    }

    /// A message is sent for the first time. Its number is its payload.
    pub fn publish(&mut self, publisher: usize, topic: &str, qos: QoS, kind: Kind, sent: Duration) -> usize {
        let (acked, abandoned) = (None, false);
        self.messages.push(Message { publisher, topic: topic.to_owned(), qos, kind, sent, acked, abandoned });
        self.tally.published += 1;
        self.messages.len() - 1
    }

    pub fn acked(&mut self, number: usize, now: Duration) {
        self.tally.acked += 1;
        let message = &mut self.messages[number];
        if message.acked.is_some() {
            return;
        }
        message.acked = Some(now);
        // Its record has the topic, no properties, and the number with which the payload begins.
        let text = format!("{}\0{number} ", message.topic);
        let is_kept = self.audit.as_ref().is_none_or(|disk| disk.keeps(text.as_bytes()));
        if self.messages[number].kind == Kind::Retained || self.is_awaited(number) {
            self.tally.audited += usize::from(self.audit.is_some());
            assert!(is_kept, "message {number} was acknowledged, and the disk does not have it");
        }
    }

    /// Whether a session that is kept has to get it.
    fn is_awaited(&self, number: usize) -> bool {
        let message = &self.messages[number];
        self.since.iter().any(|(client, since)| {
            let wish = &self.wishes[client];
            number >= *since && self.kept.contains(client) && wish.matches(message) && wish.qos > QoS::AtMostOnce
        })
    }

    /// The client has heard that it has its subscription.
    pub fn subscribed(&mut self, client: usize) {
        let next = self.messages.len();
        self.latest.insert(client, next);
        self.since.entry(client).or_insert(next);
    }

    /// The client's session is gone, and its subscription with it.
    pub fn forgotten(&mut self, client: usize) {
        self.since.remove(&client);
    }

    /// A client takes a message, after whatever its quality has it do against doubles.
    pub fn received(&mut self, client: usize, number: usize, topic: &str, qos: QoS) {
        let (wish, message) = (&self.wishes[&client], &self.messages[number]);
        assert_eq!(message.topic, topic, "client {client}: message {number} on another topic");
        assert!(wish.matches(message), "client {client}: message {number} was not asked for");
        let agreed = message.qos.min(wish.qos);
        assert_eq!(qos, agreed, "client {client}: message {number} with another quality");
        let count = self.counts.entry((client, number)).or_default();
        *count += 1;
        self.tally.received += 1;
        let is_first = *count == 1;
        self.tally.repeated += usize::from(!is_first);
        self.tally.wills += usize::from(message.kind == Kind::Will);
        // With QoS 0 the broker has no memory: if the publisher says it again after a crash, it is passed on again.
        let once = agreed == QoS::ExactlyOnce || message.qos == QoS::AtMostOnce;
        assert!(is_first || !once || number < self.repeatable, "client {client}: message {number} came twice");
        if let Some(group) = wish.group
            && once
        {
            let total = self.of_group(group, number);
            assert!(total == 1 || number < self.repeatable, "group {group}: message {number} came {total} times");
        }
        // A message that its publisher says again comes behind others at a client that missed it the first time: one without a session
        // then, or without the subscription, or that gets it with QoS 0.
        let missed_none = agreed > QoS::AtMostOnce
            && self.kept.contains(&client)
            && self.since.get(&client).is_some_and(|since| number >= *since);
        // Wills come when connections break. A message of QoS 1 comes late if it had found no place in a queue.
        let missed_none =
            missed_none && message.kind != Kind::Will && !(self.is_lossy && message.qos == QoS::AtLeastOnce);
        if is_first && wish.group.is_none() && (missed_none || message.qos == QoS::AtMostOnce) {
            let stream = (client, message.publisher, topic.to_owned(), agreed as u8);
            let last = self.last.insert(stream, number);
            assert!(last.is_none_or(|last| last < number), "client {client}: message {number} came after {last:?}");
        }
    }

    /// A client is told what a topic has, since it has asked at that time.
    pub fn received_retained(&mut self, client: usize, number: usize, topic: &str, qos: QoS, asked: Duration) {
        let (wish, message) = (&self.wishes[&client], &self.messages[number]);
        assert_eq!(message.topic, topic, "client {client}: retained message {number} on another topic");
        assert!(wish.matches(message), "client {client}: retained message {number} was not asked for");
        assert!(
            message.kind == Kind::Retained && wish.group.is_none(),
            "client {client}: message {number} is not retained for it"
        );
        assert_eq!(qos, message.qos.min(wish.qos), "client {client}: retained message {number} with another quality");
        // One that was sent when this one had arrived, and that had arrived when the client asked, has taken its place.
        let newer = self.messages.iter().enumerate().skip(number + 1).find(|(newer, other)| {
            let has_arrived = other.acked.is_some_and(|acked| acked < asked) && !self.doubtful.contains(newer);
            let is_behind = message.acked.is_some_and(|acked| acked < other.sent);
            other.kind == Kind::Retained && other.topic == topic && has_arrived && is_behind
        });
        assert!(newer.is_none(), "client {client}: {topic} has message {number}, and {newer:?} came later");
        self.tally.retained += 1;
        self.retained.insert((client, topic.to_owned()), number);
    }

    /// The topics that have a retained message for sure, and those that may have one.
    pub fn topics(&self) -> (BTreeSet<&str>, BTreeSet<&str>) {
        let all = || self.messages.iter().enumerate().filter(|(_, message)| message.kind == Kind::Retained);
        let sure = all().filter(|(number, message)| message.acked.is_some() && !self.doubtful.contains(number));
        let topic = |(_, message)| -> &str {
            let message: &Message = message;
            &message.topic
        };
        (sure.map(topic).collect(), all().map(topic).collect())
    }

    /// The topics of which a client was told what they have.
    pub fn told(&self, client: usize) -> BTreeSet<&str> {
        self.retained.keys().filter(|(told, _)| *told == client).map(|(_, topic)| topic.as_str()).collect()
    }

    fn of_group(&self, group: usize, number: usize) -> u32 {
        let members = self.wishes.iter().filter(|(_, wish)| wish.group == Some(group));
        members.map(|(client, _)| self.count(*client, number)).sum()
    }

    fn count(&self, client: usize, number: usize) -> u32 {
        self.counts.get(&(client, number)).copied().unwrap_or(0)
    }

    /// Messages that were acknowledged and are missing at a client that has a right to them.
    pub fn missing(&self) -> Vec<(usize, usize)> {
        let (mut missing, mut of_groups) = (Vec::new(), BTreeSet::new());
        for (client, since) in &self.since {
            let wish = &self.wishes[client];
            for (number, message) in self.messages.iter().enumerate().skip(*since) {
                let is_due = message.acked.is_some() && message.qos.min(wish.qos) > QoS::AtMostOnce;
                // Wills are published, and may find no subscription, until it is made again.
                let is_between = self.repeatable > 0 && number >= self.repeatable && number < self.latest[client];
                if !is_due || is_between || !wish.matches(message) || self.doubtful.contains(&number) {
                    continue;
                }
                let count =
                    wish.group.map_or_else(|| self.count(*client, number), |group| self.of_group(group, number));
                // A message that a group misses is missing once.
                if count == 0 && wish.group.is_none_or(|group| of_groups.insert((group, number))) {
                    missing.push((*client, number));
                }
            }
        }
        missing
    }

    /// The machine has lost power, and the log was not confirmed since `since`: messages on their way since then are doubtful.
    pub fn lose_since(&mut self, since: Duration) {
        let doubtful = |message: &Message| message.acked.is_none_or(|acked| acked >= since);
        let numbers =
            self.messages.iter().enumerate().filter(|(_, message)| doubtful(message)).map(|(number, _)| number);
        self.doubtful.extend(numbers);
        self.repeatable = self.messages.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "t/0";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Two retained messages of a topic, the second of which was sent at 3, behind the answer to the first.
    fn two() -> Books {
        let mut books = Books::default();
        books.wish(0, Wish { filter: "#".to_owned(), qos: QoS::ExactlyOnce, group: None }, false);
        for (number, time) in [(0, 1), (1, 3)] {
            assert_eq!(books.publish(1, TOPIC, QoS::AtLeastOnce, Kind::Retained, at(time)), number);
            books.acked(number, at(time + 1));
        }
        books
    }

    fn receive(books: &mut Books, number: usize, asked: u64) {
        books.received_retained(0, number, TOPIC, QoS::AtLeastOnce, at(asked));
    }

    #[test]
    fn a_topic_has_either_message_while_the_second_is_on_its_way() {
        let mut books = two();
        for (number, asked) in [(0, 4), (1, 4), (1, 5)] {
            receive(&mut books, number, asked);
        }
        assert_eq!(books.told(0), [TOPIC].into());
    }

    #[test]
    #[should_panic(expected = "t/0 has message 0, and")]
    fn a_retained_message_that_was_replaced_is_noticed() {
        receive(&mut two(), 0, 5);
    }

    #[test]
    fn a_topic_has_a_message_for_sure_when_its_publisher_was_answered() {
        let mut books = two();
        books.publish(1, "t/1", QoS::AtLeastOnce, Kind::Retained, at(5));
        assert_eq!(books.topics(), ([TOPIC].into(), [TOPIC, "t/1"].into()));
        books.lose_since(at(0));
        assert_eq!(books.topics(), ([].into(), [TOPIC, "t/1"].into()));
    }
}
