//! The messages of QoS 1 and 2 for one session: those that wait, and those that are on their way (4.3, 4.4, 4.6).
//!
//! ```text
//!   push ──▶ waiting ── next ──▶ Published ── PUBACK ─────────────────▶ done     QoS 1
//!            in order            has a packet id
//!                                Published ── PUBREC ──▶ Released ── PUBCOMP ──▶ done     QoS 2
//! ```

use super::message::Delivery;
use crate::mqtt::{PacketId, QoS};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The number of a delivery among those of its session, from 0. It orders them, and names them in the log.
pub(crate) type Number = u64;

/// How far a message is that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Sent, and not answered.
    Published(Delivery),
    /// QoS 2: the client has it. The message itself is not needed any more.
    Released,
}

/// One that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) id: PacketId,
    pub(crate) stage: Stage,
}

/// A client's answer that fits none of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// No message has this packet id.
    Unknown,
    /// The message has another QoS, or has not come so far.
    Wrong,
}

/// The messages for one session.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    next: Number,
    waiting: VecDeque<(Number, Delivery)>,
    /// In the order in which they were sent first, which is the order of sending again [MQTT-4.6.0-1].
    sent: BTreeMap<Number, Sent>,
    ids: HashMap<PacketId, Number>,
    last_id: u16,
    /// Weight of all messages held.
    bytes: usize,
}

impl Outgoing {
    /// As it was, by the log.
    pub(crate) fn restore(waiting: Vec<(Number, Delivery)>, sent: BTreeMap<Number, Sent>, next: Number) -> Self {
        let ids = sent.iter().map(|(number, sent)| (sent.id, *number)).collect();
        let last_id = sent.values().next_back().map_or(0, |sent| sent.id.get());
        let published = sent.values().filter_map(|sent| match &sent.stage {
            Stage::Published(delivery) => Some(delivery),
            Stage::Released => None,
        });
        let bytes = published.chain(waiting.iter().map(|(_, delivery)| delivery)).map(|d| d.message.weight()).sum();
        Self { next, waiting: waiting.into(), sent, ids, last_id, bytes }
    }

    /// Messages that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Messages on their way.
    pub(crate) fn inflight(&self) -> usize {
        self.sent.len()
    }

    /// The memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a message behind the others.
    pub(crate) fn push(&mut self, delivery: Delivery) -> Number {
        let number = self.next;
        self.next += 1;
        self.bytes += delivery.message.weight();
        self.waiting.push_back((number, delivery));
        number
    }

    /// Takes out the one that has waited the longest.
    pub(crate) fn drop_oldest(&mut self) -> Option<Number> {
        let (number, delivery) = self.waiting.pop_front()?;
        self.bytes -= delivery.message.weight();
        Some(number)
    }

    /// The next one that waits.
    pub(crate) fn peek(&self) -> Option<&Delivery> {
        self.waiting.front().map(|(_, delivery)| delivery)
    }

    /// Sends the next one that waits: it gets a packet id. `None`: there is none, or no id is free.
    pub(crate) fn send(&mut self) -> Option<(Number, PacketId, Delivery)> {
        if self.waiting.is_empty() {
            return None;
        }
        let id = self.free_id()?;
        let (number, delivery) = self.waiting.pop_front()?;
        self.ids.insert(id, number);
        self.sent.insert(number, Sent { id, stage: Stage::Published(delivery.clone()) });
        Some((number, id, delivery))
    }

    /// The next id that no message on its way has [MQTT-2.2.1-4].
    pub(crate) fn free_id(&mut self) -> Option<PacketId> {
        if self.ids.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_id)
                && !self.ids.contains_key(&id)
            {
                return Some(id);
            }
        }
    }

    /// All that were sent and are not done, for a connection that begins.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.sent.values()
    }

    /// PUBACK, or PUBREC with a failure, or PUBCOMP.
    pub(crate) fn done(&mut self, id: PacketId, by: Answer) -> Result<Number, Unfit> {
        let number = *self.ids.get(&id).ok_or(Unfit::Unknown)?;
        let sent = self.sent.get(&number).ok_or(Unfit::Unknown)?;
        let fits = match (&sent.stage, by) {
            (Stage::Published(delivery), Answer::Acknowledged) => delivery.qos == QoS::AtLeastOnce,
            (Stage::Published(delivery), Answer::Refused) => delivery.qos == QoS::ExactlyOnce,
            (Stage::Published(_), Answer::Completed) | (Stage::Released, Answer::Acknowledged) => false,
            (Stage::Released, Answer::Completed | Answer::Refused) => true,
        };
        if !fits {
            return Err(Unfit::Wrong);
        }
        self.forget(number);
        Ok(number)
    }

    /// PUBREC: the client has the message. `None`: it had said so already.
    pub(crate) fn received(&mut self, id: PacketId) -> Result<Option<Number>, Unfit> {
        let number = *self.ids.get(&id).ok_or(Unfit::Unknown)?;
        let sent = self.sent.get_mut(&number).ok_or(Unfit::Unknown)?;
        match &sent.stage {
            Stage::Released => Ok(None),
            Stage::Published(delivery) if delivery.qos == QoS::ExactlyOnce => {
                self.bytes -= delivery.message.weight();
                sent.stage = Stage::Released;
                Ok(Some(number))
            }
            Stage::Published(_) => Err(Unfit::Wrong),
        }
    }

    /// Those that the other side has, and that it has forgotten, are done. Returns their numbers.
    pub(crate) fn forget_released(&mut self) -> Vec<Number> {
        let released = self.sent.iter().filter(|(_, sent)| sent.stage == Stage::Released);
        let numbers: Vec<Number> = released.map(|(number, _)| *number).collect();
        numbers.iter().for_each(|number| self.forget(*number));
        numbers
    }

    fn forget(&mut self, number: Number) {
        if let Some(sent) = self.sent.remove(&number) {
            self.ids.remove(&sent.id);
            if let Stage::Published(delivery) = sent.stage {
                self.bytes -= delivery.message.weight();
            }
        }
    }
}

/// An answer that ends a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// PUBACK.
    Acknowledged,
    /// PUBREC with a failure.
    Refused,
    /// PUBCOMP.
    Completed,
}
