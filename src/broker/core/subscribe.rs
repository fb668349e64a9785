//! A client subscribes and unsubscribes (3.8 to 3.11), and gets what was retained (3.3.1.3).

use super::Core;
use crate::{
    broker::{
        limits::MAX_LEVELS,
        message::{Delivery, Key},
        record::Record,
        tree::Entry,
    },
    mqtt::{
        Error, Packet, Properties, Reason, RetainHandling, SubAck, Subscribe, Subscription, Unsubscribe, Version, id,
        levels,
    },
};

impl Core {
    pub(super) fn subscribe(&mut self, key: Key, subscribe: Subscribe, at: u64) -> Result<(), Error> {
        let Subscribe { id, properties, filters } = subscribe;
        let number = properties.number(id::SUBSCRIPTION_ID);
        let Some((version, is_bridge)) = self.link(key).map(|link| (link.version, link.is_bridge)) else {
            return Ok(());
        };
        let (mut codes, mut fresh) = (Vec::new(), Vec::new());
        for mut subscription in filters {
            subscription.no_local |= is_bridge && subscription.filter.shared().is_none();
            subscription.retain_as_published |= is_bridge;
            let code = match self.may_subscribe(key, &subscription) {
                Ok(()) => {
                    let is_new = self.add(key, &subscription, number);
                    let wanted = match subscription.retain_handling {
                        RetainHandling::Always => true,
                        RetainHandling::IfNew => is_new,
                        RetainHandling::Never => false,
                    };
                    let code = subscription.qos as u8;
                    if wanted && subscription.filter.shared().is_none() {
                        fresh.retain(|other: &Subscription| other.filter != subscription.filter);
                        fresh.push(subscription);
                    }
                    code
                }
                Err(reason) => reason.in_suback(version),
            };
            codes.push(code);
        }
        let suback = SubAck { id, properties: Properties::default(), codes };
        self.answer(key, &Packet::SubAck(suback), 0);
        fresh.iter().for_each(|subscription| self.send_retained(key, subscription, number, at));
        self.pump(key, at);
        Ok(())
    }

    fn may_subscribe(&self, key: Key, subscription: &Subscription) -> Result<(), Reason> {
        let session = self.sessions.get(key).ok_or(Reason::UNSPECIFIED_ERROR)?;
        let plain = subscription.filter.plain();
        if levels(plain).count() > MAX_LEVELS || subscription.filter.is_half_shared() {
            Err(Reason::TOPIC_FILTER_INVALID)
        } else if !session.link().is_some_and(|link| link.rights.may_subscribe(plain)) {
            Err(Reason::NOT_AUTHORIZED)
        } else if session.subscriptions.len() >= self.limits.subscriptions
            && !session.subscriptions.contains_key(subscription.filter.text())
        {
            Err(Reason::QUOTA_EXCEEDED)
        } else {
            Ok(())
        }
    }

    /// Adds a subscription, or puts it in the place of the one with the same filter [MQTT-3.8.4-3]. `true`: there was none.
    pub(super) fn add(&mut self, key: Key, subscription: &Subscription, number: Option<u32>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let filter = subscription.filter.detached();
        let kept = Subscription { filter, ..*subscription };
        self.tree.insert(&kept.filter, entry(key, &kept, number));
        let is_new = session.subscriptions.insert(kept.filter.text().clone(), (kept.clone(), number)).is_none();
        self.record_of(key, Record::Subscribed { key, subscription: kept, id: number });
        is_new
    }

    /// With the retain flag, which says that they are not new [MQTT-3.3.1-8].
    pub(super) fn send_retained(&mut self, key: Key, subscription: &Subscription, number: Option<u32>, at: u64) {
        for message in self.retained.matches(subscription.filter.plain()) {
            if message.is_over(at) {
                self.retained.set(&message.topic, None);
                self.record(Record::Unretained { topic: message.topic.clone() });
                continue;
            }
            let qos = message.qos.min(subscription.qos);
            let ids = number.into_iter().collect();
            self.give(key, Delivery { message, qos, retain: true, ids }, at);
        }
    }

    pub(super) fn unsubscribe(&mut self, key: Key, unsubscribe: &Unsubscribe) {
        let Some(version) = self.link(key).map(|link| link.version) else { return };
        let mut codes = Vec::new();
        for filter in &unsubscribe.filters {
            let Some(session) = self.sessions.get_mut(key) else { return };
            let reason = if session.subscriptions.remove(filter.text()).is_some() {
                self.tree.remove(filter, key);
                self.record_of(key, Record::Unsubscribed { key, filter: filter.text().detached() });
                Reason::SUCCESS
            } else if filter.is_half_shared() {
                Reason::TOPIC_FILTER_INVALID
            } else {
                Reason::NO_SUBSCRIPTION_EXISTED
            };
            if version == Version::V5 {
                codes.push(reason.0);
            }
        }
        let unsuback = SubAck { id: unsubscribe.id, properties: Properties::default(), codes };
        self.answer(key, &Packet::UnsubAck(unsuback), 0);
    }
}

/// A subscription as it stands in the tree.
pub(super) fn entry(session: Key, subscription: &Subscription, id: Option<u32>) -> Entry {
    let Subscription { qos, no_local, retain_as_published, .. } = *subscription;
    Entry { session, qos, no_local, retain_as_published, id }
}
