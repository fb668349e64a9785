//! A client of the broker that behaves as the standard asks of it.
//!
//! ```text
//!   Person: session, messages on their way, those it holds    lives as long as the world
//!     ╰── Line: one connection, its unread bytes              a Peer of the world
//! ```

use super::books::{Kind, Shared, Wish};
use crate::support::{peer::PeerIo, random::Random};
use socket_patterns::mqtt::{
    Ack, ConnAck, Connect, Disconnect, Filter, Packet, PacketId, Properties, Publish, QoS, Reason, RetainHandling,
    Subscribe, Subscription, Value, Version, Will, encode, id,
};
use std::{collections::BTreeSet, rc::Rc, time::Duration};

/// The id of a SUBSCRIBE; messages have lower ones.
const SUBSCRIBE: u16 = 60_000;

/// The topic of all wills: they come in no order with other messages.
const WILLS: &str = "t/w";

/// A message on its way to the broker.
#[derive(Debug)]
struct Out {
    number: usize,
    id: PacketId,
    qos: QoS,
    topic: String,
    size: usize,
    retain: bool,
    /// QoS 2: the broker has it.
    is_released: bool,
}

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub struct Plan {
    pub topic: String,
    pub qos: QoS,
    pub size: usize,
    pub retain: bool,
}

/// The ways of a client, which the seed chooses.
#[derive(Debug, Clone)]
pub struct Ways {
    pub version: Version,
    /// Its session is to be kept.
    pub is_kept: bool,
    pub wish: Option<Wish>,
    /// Messages on their way at once.
    pub window: usize,
    /// MQTT 5: messages that may be on their way to it.
    pub receive_maximum: Option<u16>,
    /// It reads so many bytes, and after so many microseconds as many again.
    pub slow: Option<(usize, u64)>,
    /// Of a thousand wake-ups, so many end the connection.
    pub rude: u32,
    /// Microseconds between messages, at most.
    pub pace: u64,
    pub aliases: u16,
    /// The quality of the message that the broker publishes for it when its connection breaks.
    pub will: Option<QoS>,
}

/// A client.
#[derive(Debug)]
pub struct Person {
    number: usize,
    pub ways: Ways,
    books: Shared,
    pub plan: Vec<Plan>,
    /// In the order in which they were sent first.
    out: Vec<Out>,
    /// Messages of QoS 2 that it has, and that are not released.
    held: BTreeSet<PacketId>,
    next_id: u16,
    /// It knows that the broker has its session.
    has_session: bool,
    /// The numbers that it holds may stand for other messages at the broker.
    is_shaken: bool,
    is_subscribed: bool,
    /// When it has asked for its subscription first, in this session.
    asked: Option<Duration>,
    /// The connection that it uses.
    line: Option<usize>,
    lines: usize,
    pub is_open: bool,
    /// The will of this connection, which is published when it breaks.
    will: Option<usize>,
    /// Topics that the broker gave numbers to, on this connection.
    aliases: Vec<(u32, String)>,
    /// Nothing is broken any more on purpose.
    pub is_calm: bool,
}

impl Person {
    pub fn new(number: usize, ways: Ways, plan: Vec<Plan>, books: &Shared) -> Self {
        ways.wish.clone().into_iter().for_each(|wish| books.borrow_mut().wish(number, wish, ways.is_kept));
        Self {
            number,
            ways,
            books: Rc::clone(books),
            plan,
            out: Vec::new(),
            held: BTreeSet::new(),
            next_id: 0,
            has_session: false,
            is_shaken: false,
            is_subscribed: false,
            asked: None,
            line: None,
            lines: 0,
            is_open: false,
            will: None,
            aliases: Vec::new(),
            is_calm: false,
        }
    }

    /// Whether it has a connection, or waits for one to be answered.
    pub fn has_line(&self) -> bool {
        self.line.is_some()
    }

    /// Whether all that it wanted is done.
    pub fn is_done(&self) -> bool {
        self.is_open
            && self.plan.is_empty()
            && self.out.is_empty()
            && self.held.is_empty()
            && (self.ways.wish.is_none() || self.is_subscribed)
    }

    /// It sends nothing new.
    pub fn drop_plan(&mut self) {
        self.plan.clear();
    }

    /// After a crash under a weak policy its session may be there or not, and numbers of messages may stand for others.
    pub fn trust_nothing(&mut self) {
        self.has_session = false;
        self.is_subscribed = false;
        self.is_shaken = true;
        // Words of the broker that was, still on their way, are not believed.
        (self.line, self.is_open, self.will) = (None, false, None);
    }

    /// It uses another connection from now on. Returns the number of that one.
    pub fn turn(&mut self, now: Duration) -> usize {
        self.lines += 1;
        let mut books = self.books.borrow_mut();
        books.tally.connects += 1;
        books.tally.takeovers += usize::from(self.line.is_some());
        drop(books);
        self.miss(now);
        self.line = Some(self.lines);
        self.aliases.clear();
        self.lines
    }

    /// Whether it uses this connection.
    pub fn is_on(&self, line: usize) -> bool {
        self.line == Some(line)
    }

    /// Its connection is gone. Its will is the broker's to publish, if the broker had answered.
    pub fn lose(&mut self, now: Duration) {
        self.miss(now);
        self.line = None;
    }

    fn miss(&mut self, now: Duration) {
        let will = self.will.take().filter(|_| self.is_open);
        will.into_iter().for_each(|will| self.books.borrow_mut().acked(will, now));
        self.is_open = false;
    }

    /// Whether a will of its connection would be published.
    pub fn has_will(&self) -> bool {
        self.will.is_some()
    }

    /// Its last word on this connection: no will is to be published, if the broker hears that.
    pub fn say_goodbye(&mut self, io: &mut PeerIo<'_>) {
        let (reason, properties) = (Reason::SUCCESS, Properties::default());
        self.say(&Packet::Disconnect(Disconnect { reason, properties }), io);
        self.will = None;
    }

    /// A connection begins.
    pub fn begin(&mut self, io: &mut PeerIo<'_>) {
        self.will =
            self.ways.will.map(|qos| self.books.borrow_mut().publish(self.number, WILLS, qos, Kind::Will, io.now));
        self.say(&self.connect(), io);
    }

    /// Its CONNECT.
    fn connect(&self) -> Packet {
        let mut properties = Properties::default();
        if self.ways.version == Version::V5 {
            if self.ways.is_kept {
                properties = properties.with(id::SESSION_EXPIRY, Value::Four(u32::MAX));
            }
            if let Some(most) = self.ways.receive_maximum {
                properties = properties.with(id::RECEIVE_MAXIMUM, Value::Two(most));
            }
            if self.ways.aliases > 0 {
                properties = properties.with(id::TOPIC_ALIAS_MAXIMUM, Value::Two(self.ways.aliases));
            }
        }
        Packet::Connect(Box::new(Connect {
            version: self.ways.version,
            is_bridge: false,
            clean: !self.ways.is_kept,
            keep_alive: 0,
            properties,
            client_id: format!("client-{}", self.number).as_str().into(),
            will: self.will.zip(self.ways.will).map(|(number, qos)| Will {
                qos,
                retain: false,
                topic: WILLS.into(),
                properties: Properties::default(),
                payload: format!("{number} ").into(),
            }),
            user_name: None,
            password: None,
        }))
    }

    fn say(&self, packet: &Packet, io: &mut PeerIo<'_>) {
        let mut bytes = Vec::new();
        encode(packet, self.ways.version, &mut bytes);
        io.write(bytes);
    }

    fn publish(&self, out: &Out, dup: bool, io: &mut PeerIo<'_>) {
        let mut payload = format!("{} ", out.number).into_bytes();
        payload.resize(payload.len() + out.size, b'x');
        let (properties, topic) = (Properties::default(), out.topic.as_str().into());
        let publish = Publish {
            dup,
            qos: out.qos,
            retain: out.retain,
            topic,
            id: (out.qos > QoS::AtMostOnce).then_some(out.id),
            properties,
            payload: payload.into(),
        };
        self.say(&Packet::Publish(publish), io);
    }

    pub fn publish_next(&mut self, io: &mut PeerIo<'_>) {
        if self.out.len() >= self.ways.window {
            return;
        }
        let Some(Plan { topic, qos, size, retain }) = self.plan.pop() else { return };
        let id = loop {
            self.next_id = self.next_id % 50 + 1;
            let id = PacketId::new(self.next_id).expect("it is above 0");
            if self.out.iter().all(|out| out.id != id) {
                break id;
            }
        };
        let kind = if retain { Kind::Retained } else { Kind::Plain };
        let number = self.books.borrow_mut().publish(self.number, &topic, qos, kind, io.now);
        let out = Out { number, id, qos, topic, size, retain, is_released: false };
        self.publish(&out, false, io);
        if qos > QoS::AtMostOnce {
            self.out.push(out);
        }
    }

    fn let_in(&mut self, connack: &ConnAck, io: &mut PeerIo<'_>) {
        let present = connack.session_present;
        if std::mem::take(&mut self.is_shaken) {
            self.held.clear();
        }
        assert!(present || !(self.has_session && self.ways.is_kept), "client {}: its session is gone", self.number);
        assert!(!present || self.ways.is_kept, "client {}: a session that was to end is there", self.number);
        if present {
            self.books.borrow_mut().tally.resumed += 1;
        } else {
            self.held.clear();
            (self.is_subscribed, self.asked) = (false, None);
            let mut books = self.books.borrow_mut();
            books.forgotten(self.number);
            for out in self.out.drain(..) {
                books.messages[out.number].abandoned = true;
            }
        }
        (self.has_session, self.is_open) = (self.ways.is_kept, true);
        for out in &self.out {
            if out.is_released {
                self.say(&Packet::PubRel(Ack::new(out.id, Reason::SUCCESS)), io);
            } else {
                self.publish(out, true, io);
            }
        }
        if let Some(wish) = self.ways.wish.as_ref().filter(|_| !self.is_subscribed) {
            let subscription = Subscription {
                filter: Filter::new(wish.text().as_str().into()).expect("a good filter"),
                qos: wish.qos,
                no_local: false,
                retain_as_published: false,
                retain_handling: RetainHandling::Always,
            };
            let id = PacketId::new(SUBSCRIBE).expect("it is above 0");
            let subscribe = Subscribe { id, properties: Properties::default(), filters: vec![subscription] };
            self.say(&Packet::Subscribe(subscribe), io);
            self.asked.get_or_insert(io.now);
        }
    }

    /// A packet of the broker. `false`: the connection is of no more use.
    pub fn hear(&mut self, packet: Packet, io: &mut PeerIo<'_>) -> bool {
        match packet {
            Packet::ConnAck(connack) if connack.code == 0 => self.let_in(&connack, io),
            Packet::ConnAck(connack) => {
                assert!(matches!(connack.code, 3 | 0x88), "client {}: refused with {}", self.number, connack.code);
                self.books.borrow_mut().tally.refused += 1;
                return false;
            }
            Packet::SubAck(suback) => {
                let granted = self.ways.wish.as_ref().map(|wish| wish.qos as u8);
                assert_eq!(suback.codes.first().copied(), granted, "client {}", self.number);
                self.is_subscribed = true;
                self.books.borrow_mut().subscribed(self.number);
            }
            Packet::Publish(publish) => self.receive(&publish, io),
            Packet::PubAck(ack) => self.done(&ack, QoS::AtLeastOnce, io),
            Packet::PubComp(ack) => self.done(&ack, QoS::ExactlyOnce, io),
            Packet::PubRec(ack) => {
                assert!(!ack.reason.is_failure(), "client {}: {ack:?}", self.number);
                if let Some(out) = self.out.iter_mut().find(|out| out.id == ack.id && out.qos == QoS::ExactlyOnce) {
                    out.is_released = true;
                    self.books.borrow_mut().acked(out.number, io.now);
                }
                self.say(&Packet::PubRel(Ack::new(ack.id, Reason::SUCCESS)), io);
            }
            Packet::PubRel(ack) => {
                self.held.remove(&ack.id);
                self.say(&Packet::PubComp(Ack::new(ack.id, Reason::SUCCESS)), io);
            }
            Packet::Disconnect(Disconnect { reason, .. }) => {
                let is_known = matches!(reason, Reason::SESSION_TAKEN_OVER | Reason::SERVER_SHUTTING_DOWN);
                assert!(is_known, "client {}: dismissed with {reason:?}", self.number);
                self.books.borrow_mut().tally.dismissed += 1;
            }
            other => panic!("client {}: {other:?}", self.number),
        }
        true
    }

    fn done(&mut self, ack: &Ack, qos: QoS, io: &PeerIo<'_>) {
        let Some(at) = self.out.iter().position(|out| out.id == ack.id && out.qos == qos) else { return };
        assert!(qos == QoS::AtLeastOnce || self.out[at].is_released, "client {}: PUBCOMP before PUBREC", self.number);
        let out = self.out.remove(at);
        self.books.borrow_mut().acked(out.number, io.now);
    }

    fn receive(&mut self, publish: &Publish, io: &mut PeerIo<'_>) {
        let topic = match publish.properties.number(id::TOPIC_ALIAS) {
            None => publish.topic.to_string(),
            Some(alias) if publish.topic.is_empty() => {
                let known = self.aliases.iter().find(|(known, _)| *known == alias);
                known.expect("an alias that was set on this connection").1.clone()
            }
            Some(alias) => {
                self.aliases.push((alias, publish.topic.to_string()));
                publish.topic.to_string()
            }
        };
        let is_new = match publish.id {
            Some(id) if publish.qos == QoS::ExactlyOnce => self.held.insert(id),
            _ => true,
        };
        if is_new {
            let text = publish.payload.split(|byte| *byte == b' ').next().unwrap_or_default();
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a message's number");
            let (who, qos, mut books) = (self.number, publish.qos, self.books.borrow_mut());
            if publish.retain {
                let asked = self.asked.expect("it has asked for something");
                books.received_retained(who, number, &topic, qos, asked);
            } else {
                books.received(who, number, &topic, qos);
            }
        }
        match (publish.qos, publish.id) {
            (QoS::AtLeastOnce, Some(id)) => self.say(&Packet::PubAck(Ack::new(id, Reason::SUCCESS)), io),
            (QoS::ExactlyOnce, Some(id)) => self.say(&Packet::PubRec(Ack::new(id, Reason::SUCCESS)), io),
            _ => {}
        }
    }
}

/// Qualities in the mixture that most clients use.
pub fn quality(random: &mut Random) -> QoS {
    *random.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce])
}
