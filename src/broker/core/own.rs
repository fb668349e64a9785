//! Messages of the broker itself.

use super::Core;
use crate::{
    broker::{
        message::{Message, millis},
        record::SenderChange,
    },
    mqtt::QoS,
    time::Now,
};
use bytes::Bytes;
use std::sync::Arc;

impl Core {
    /// Publishes a value of the broker, which is retained and not in the log. One that has not changed is not published again.
    pub(crate) fn publish_own(&mut self, topic: &str, value: &str, now: Now) {
        if self.retained.find(topic).is_some_and(|message| message.payload == value.as_bytes()) {
            return;
        }
        let message = Arc::new(Message {
            topic: topic.into(),
            qos: QoS::AtMostOnce,
            retain: true,
            properties: Vec::new(),
            payload: Bytes::copy_from_slice(value.as_bytes()),
            expires: None,
        });
        self.retain(&message);
        // Already retained, so it is not recorded as that.
        self.fan_out(&message, None, SenderChange::Nothing, false, millis(now));
    }
}
