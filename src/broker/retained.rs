//! Retained messages, the last one of each topic, by the levels of their topics.

use super::message::Message;
use crate::mqtt::is_reserved;
use std::{collections::BTreeMap, sync::Arc};

/// All retained messages.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    root: Node,
    len: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Box<str>, Node>,
    message: Option<Arc<Message>>,
}

impl Retained {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The message of a topic.
    pub(crate) fn find(&self, topic: &str) -> Option<&Arc<Message>> {
        topic.split('/').try_fold(&self.root, |node, level| node.children.get(level))?.message.as_ref()
    }

    /// A message takes the place of its topic's, or the place becomes empty.
    pub(crate) fn set(&mut self, topic: &str, message: Option<Arc<Message>>) {
        if message.is_none() && self.find(topic).is_none() {
            return;
        }
        let new = message.as_ref().map(|message| message.weight());
        let old = self.root.set(Some(topic), message);
        self.len = self.len + usize::from(new.is_some()) - usize::from(old.is_some());
        self.bytes = self.bytes + new.unwrap_or_default() - old.map_or(0, |message| message.weight());
    }

    /// Those that a filter matches, in the order of their topics.
    pub(crate) fn matches(&self, filter: &str) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        self.root.walk(Some(filter), true, &mut found);
        found
    }
}

fn split(rest: Option<&str>) -> Option<(&str, Option<&str>)> {
    rest.map(|rest| rest.split_once('/').map_or((rest, None), |(level, rest)| (level, Some(rest))))
}

impl Node {
    fn set(&mut self, rest: Option<&str>, message: Option<Arc<Message>>) -> Option<Arc<Message>> {
        let Some((level, rest)) = split(rest) else { return std::mem::replace(&mut self.message, message) };
        if !self.children.contains_key(level) {
            self.children.insert(level.into(), Self::default());
        }
        let child = self.children.get_mut(level).expect("it was just inserted if it was not there");
        let old = child.set(rest, message);
        if child.message.is_none() && child.children.is_empty() {
            self.children.remove(level);
        }
        old
    }

    /// Topics have a bounded number of levels, and so has this recursion.
    fn walk(&self, rest: Option<&str>, is_first: bool, found: &mut Vec<Arc<Message>>) {
        let Some((level, rest)) = split(rest) else { return found.extend(self.message.iter().cloned()) };
        let is_hidden = |level: &str| is_first && is_reserved(level);
        match level {
            "#" => {
                found.extend(self.message.iter().cloned());
                let children = self.children.iter().filter(|(level, _)| !is_hidden(level));
                children.for_each(|(_, child)| child.walk(Some("#"), false, found));
            }
            "+" => {
                let children = self.children.iter().filter(|(level, _)| !is_hidden(level));
                children.for_each(|(_, child)| child.walk(rest, false, found));
            }
            _ => self.children.get(level).into_iter().for_each(|child| child.walk(rest, false, found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::{QoS, filter_matches};
    use bytes::Bytes;

    fn message(topic: &str) -> Arc<Message> {
        Arc::new(Message {
            topic: topic.into(),
            qos: QoS::AtMostOnce,
            retain: true,
            properties: Vec::new(),
            payload: Bytes::from_static(b"x"),
            expires: None,
        })
    }

    #[test]
    fn a_filter_finds_its_topics_and_nothing_is_left_of_those_removed() {
        const TOPICS: &[&str] = &["a", "a/b", "a/b/c", "/a", "a/", "$SYS/a", "b/b"];
        let mut retained = Retained::default();
        for topic in TOPICS {
            retained.set(topic, Some(message(topic)));
            retained.set(topic, Some(message(topic)));
        }
        assert_eq!(retained.len(), TOPICS.len());
        for filter in ["#", "+", "a/#", "a/+", "+/b", "+/+/+", "$SYS/#", "+/a", "a", "/#", "/+", "nothing/#"] {
            let found: Vec<String> = retained.matches(filter).iter().map(|m| m.topic.to_string()).collect();
            let mut expected: Vec<_> = TOPICS.iter().filter(|topic| filter_matches(filter, topic)).collect();
            let mut sorted: Vec<_> = found.iter().map(String::as_str).collect();
            sorted.sort_unstable();
            expected.sort_unstable();
            assert_eq!(sorted, expected.iter().map(|topic| **topic).collect::<Vec<_>>(), "{filter}");
        }
        for topic in TOPICS.iter().chain(&["not/there"]) {
            retained.set(topic, None);
        }
        assert!((retained.len(), retained.bytes()) == (0, 0) && retained.root.children.is_empty());
    }
}
