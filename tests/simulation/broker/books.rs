//! The oracle of the broker's world: what was published, what was acknowledged, and who got it.

use crate::disk::FakeDisk;
use socket_patterns::mqtt::{QoS, filter_matches};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

/// A message, as its publisher knows it.
#[derive(Debug)]
pub struct Message {
    pub publisher: usize,
    pub topic: String,
    pub qos: QoS,
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
    /// The last one that came first, by client, publisher, topic and quality.
    last: BTreeMap<(usize, usize, String, u8), usize>,
    /// Messages that a crash under a weak policy may have taken.
    doubtful: BTreeSet<usize>,
    /// Messages before this one may come twice, for the same reason.
    repeatable: usize,
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
    pub fn publish(&mut self, publisher: usize, topic: &str, qos: QoS) -> usize {
        let (acked, abandoned) = (None, false);
        self.messages.push(Message { publisher, topic: topic.to_owned(), qos, acked, abandoned });
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
        if self.is_awaited(number) {
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
        // So does one of QoS 1 that had found no place in a queue.
        let missed_none = missed_none && !(self.is_lossy && message.qos == QoS::AtLeastOnce);
        if is_first && wish.group.is_none() && (missed_none || message.qos == QoS::AtMostOnce) {
            let stream = (client, message.publisher, topic.to_owned(), agreed as u8);
            let last = self.last.insert(stream, number);
            assert!(last.is_none_or(|last| last < number), "client {client}: message {number} came after {last:?}");
        }
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
                if !is_due || !wish.matches(message) || self.doubtful.contains(&number) {
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
