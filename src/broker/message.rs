//! A message as the broker keeps it, once for all who get it, and its deliveries.

use super::limits::WEIGHT;
use crate::{
    mqtt::{Property, Publish, QoS, Text, Value, Will, id},
    time::Now,
};
use bytes::Bytes;
use std::{sync::Arc, time::SystemTime};

/// A session, by its place in the core's table. A place is given to another session when its own has ended.
pub(crate) type Key = usize;

/// Milliseconds since 1970: what has to outlive a process is told by the calendar.
pub(crate) fn millis(now: Now) -> u64 {
    let since = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An application message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: Text,
    /// As it was published.
    pub(crate) qos: QoS,
    /// As it was published.
    pub(crate) retain: bool,
    /// Those that are passed on as they are.
    pub(crate) properties: Vec<Property>,
    pub(crate) payload: Bytes,
    /// In milliseconds since 1970.
    pub(crate) expires: Option<u64>,
}

impl Message {
    /// A message that arrived at `at`. Its topic has been found if it was an alias.
    pub(crate) fn of(publish: Publish, topic: Text, at: u64) -> Self {
        let Publish { qos, retain, mut properties, payload, .. } = publish;
        let expires = expiry(properties.number(id::MESSAGE_EXPIRY), at);
        properties.retain(is_passed_on);
        Self { topic, qos, retain, properties: properties.0, payload, expires }
    }

    /// The memory that it takes.
    pub(crate) fn weight(&self) -> usize {
        WEIGHT + self.topic.len() + self.payload.len() + self.properties.iter().map(weight).sum::<usize>()
    }

    pub(crate) fn is_over(&self, at: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= at)
    }
}

fn expiry(seconds: Option<u32>, at: u64) -> Option<u64> {
    seconds.map(|seconds| at.saturating_add(u64::from(seconds) * 1000))
}

/// The others belong to one connection, or change on the way.
fn is_passed_on(property: u8) -> bool {
    !matches!(property, id::MESSAGE_EXPIRY | id::TOPIC_ALIAS | id::SUBSCRIPTION_ID | id::WILL_DELAY)
}

fn weight(property: &Property) -> usize {
    size_of::<Property>()
        + match &property.value {
            Value::Text(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            Value::Pair(name, value) => name.len() + value.len(),
            Value::Byte(_) | Value::Two(_) | Value::Four(_) | Value::Varint(_) => 0,
        }
}

/// A will as it is kept until its client is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastWill {
    /// Without the time at which it expires.
    pub(crate) message: Arc<Message>,
    /// Seconds that it is of use, from its publication on.
    pub(crate) lives: Option<u32>,
    /// Seconds between the end of the connection and its publication.
    pub(crate) delay: u32,
}

impl LastWill {
    pub(crate) fn of(will: Will) -> Self {
        let Will { qos, retain, topic, mut properties, payload } = will;
        let (lives, delay) = (properties.number(id::MESSAGE_EXPIRY), properties.number(id::WILL_DELAY).unwrap_or(0));
        properties.retain(is_passed_on);
        let message = Arc::new(Message { topic, qos, retain, properties: properties.0, payload, expires: None });
        Self { message, lives, delay }
    }
}

/// A message for one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// The lower one of the message's and the subscription's.
    pub(crate) qos: QoS,
    /// As it is told to the client.
    pub(crate) retain: bool,
    /// Subscription identifiers, of all subscriptions that match.
    pub(crate) ids: Vec<u32>,
}
