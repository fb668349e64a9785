//! All subscriptions, by the levels of their filters: which match a topic is found in one walk, whatever their number.
//!
//! ```text
//!   root ─ "sport" ─ "tennis" ─ here: sport/tennis        below: sport/tennis/#
//!        │         ╰ +        ─ here: sport/+
//!        ╰ +       ─ "score"  ─ here: +/score
//! ```

use super::message::Key;
use crate::mqtt::{Filter, QoS, is_reserved};
use std::collections::HashMap;

/// A subscription, as far as it matters for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) session: Key,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// Subscription identifier.
    pub(crate) id: Option<u32>,
}

/// Whether a session can be given a message of a shared subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Readiness {
    /// It would not get it.
    Never,
    /// It waits in the session's queue.
    Later,
    Now,
}

/// A message's receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) entry: Entry,
    /// It is the one of its group whose turn it is.
    pub(crate) is_shared: bool,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: Node,
    len: usize,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    /// The level `+`.
    plus: Option<Box<Node>>,
    here: Leaf,
    /// The level `#`, which is always the last one.
    below: Leaf,
}

/// The subscriptions with one filter.
#[derive(Debug, Default)]
struct Leaf {
    /// By session.
    plain: Vec<Entry>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    name: Box<str>,
    members: Vec<Entry>,
    /// The member whose turn it is.
    next: usize,
}

impl Tree {
    /// How many subscriptions there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a subscription, or changes it. `true`: it is new.
    pub(crate) fn insert(&mut self, filter: &Filter, entry: Entry) -> bool {
        let leaf = self.root.leaf(filter.plain());
        let members = match filter.shared() {
            None => &mut leaf.plain,
            Some(shared) => {
                let at = leaf.groups.iter().position(|group| *group.name == *shared.group).unwrap_or_else(|| {
                    leaf.groups.push(Group { name: shared.group.into(), members: Vec::new(), next: 0 });
                    leaf.groups.len() - 1
                });
                &mut leaf.groups[at].members
            }
        };
        match members.binary_search_by_key(&entry.session, |entry| entry.session) {
            Ok(at) => members[at] = entry,
            Err(at) => {
                members.insert(at, entry);
                self.len += 1;
                return true;
            }
        }
        false
    }

    /// Takes a subscription out, and the nodes that are empty without it.
    pub(crate) fn remove(&mut self, filter: &Filter, session: Key) {
        if self.root.remove(Some(filter.plain()), filter, session) {
            self.len -= 1;
        }
    }

    /// Finds those who get a message: of each group one, the most ready, in turn.
    pub(crate) fn matches(&mut self, name: &str, ready: &dyn Fn(&Entry) -> Readiness, found: &mut Vec<Match>) {
        let Some((first, rest)) = split(Some(name)) else { return };
        if !is_reserved(name) {
            // Wildcards in the first level do not match what belongs to the server [MQTT-4.7.2-1].
            self.root.below.collect(ready, found);
            if let Some(plus) = &mut self.root.plus {
                plus.walk(rest, ready, found);
            }
        }
        if let Some(child) = self.root.children.get_mut(first) {
            child.walk(rest, ready, found);
        }
    }
}

/// The first level, and the others if there are any.
fn split(rest: Option<&str>) -> Option<(&str, Option<&str>)> {
    rest.map(|rest| rest.split_once('/').map_or((rest, None), |(level, rest)| (level, Some(rest))))
}

impl Node {
    fn leaf(&mut self, filter: &str) -> &mut Leaf {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return &mut node.below,
                "+" => node.plus.get_or_insert_default(),
                _ => {
                    if !node.children.contains_key(level) {
                        node.children.insert(level.into(), Self::default());
                    }
                    node.children.get_mut(level).expect("it was just inserted if it was not there")
                }
            };
        }
        &mut node.here
    }

    fn remove(&mut self, rest: Option<&str>, filter: &Filter, session: Key) -> bool {
        let Some((level, rest)) = split(rest) else { return self.here.remove(filter, session) };
        match level {
            "#" => self.below.remove(filter, session),
            "+" => {
                let Some(plus) = &mut self.plus else { return false };
                let removed = plus.remove(rest, filter, session);
                if plus.is_empty() {
                    self.plus = None;
                }
                removed
            }
            _ => {
                let Some(child) = self.children.get_mut(level) else { return false };
                let removed = child.remove(rest, filter, session);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.plus.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    /// Names and filters have a bounded number of levels, and so has this recursion.
    fn walk(&mut self, rest: Option<&str>, ready: &dyn Fn(&Entry) -> Readiness, found: &mut Vec<Match>) {
        // `sport/#` matches `sport`, too.
        self.below.collect(ready, found);
        let Some((level, rest)) = split(rest) else { return self.here.collect(ready, found) };
        if let Some(plus) = &mut self.plus {
            plus.walk(rest, ready, found);
        }
        if let Some(child) = self.children.get_mut(level) {
            child.walk(rest, ready, found);
        }
    }
}

impl Leaf {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.groups.is_empty()
    }

    fn remove(&mut self, filter: &Filter, session: Key) -> bool {
        let take = |members: &mut Vec<Entry>| {
            let at = members.binary_search_by_key(&session, |entry| entry.session).ok();
            at.map(|at| members.remove(at)).is_some()
        };
        let Some(shared) = filter.shared() else { return take(&mut self.plain) };
        let Some(group) = self.groups.iter_mut().find(|group| *group.name == *shared.group) else { return false };
        let removed = take(&mut group.members);
        self.groups.retain(|group| !group.members.is_empty());
        removed
    }

    fn collect(&mut self, ready: &dyn Fn(&Entry) -> Readiness, found: &mut Vec<Match>) {
        found.extend(self.plain.iter().map(|entry| Match { entry: *entry, is_shared: false }));
        for group in &mut self.groups {
            found.extend(group.pick(ready).map(|entry| Match { entry, is_shared: true }));
        }
    }
}

impl Group {
    /// The first of the most ready ones, beginning with the one whose turn it is.
    fn pick(&mut self, ready: &dyn Fn(&Entry) -> Readiness) -> Option<Entry> {
        let len = self.members.len();
        let mut best = (Readiness::Never, 0);
        for at in (0..len).map(|step| (self.next + step) % len) {
            let readiness = ready(&self.members[at]);
            if readiness > best.0 {
                best = (readiness, at);
            }
            if readiness == Readiness::Now {
                break;
            }
        }
        if best.0 == Readiness::Never {
            return None;
        }
        self.next = (best.1 + 1) % len;
        Some(self.members[best.1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::filter_matches;

    fn entry(session: Key) -> Entry {
        Entry { session, qos: QoS::AtMostOnce, no_local: false, retain_as_published: false, id: None }
    }

    fn filter(text: &str) -> Filter {
        Filter::new(text.into()).unwrap()
    }

    fn matches(tree: &mut Tree, name: &str) -> Vec<Key> {
        let mut found = Vec::new();
        tree.matches(name, &|_| Readiness::Now, &mut found);
        let mut keys: Vec<Key> = found.iter().map(|found| found.entry.session).collect();
        keys.sort_unstable();
        keys
    }

    /// All filters and names of three levels out of a few words, against the function that looks at one filter.
    #[test]
    fn the_tree_finds_what_each_filter_matches() {
        let words = ["a", "b", "", "$a"];
        let mut names: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut filters: Vec<String> = [&words[..], &["+", "#"]].concat().iter().map(ToString::to_string).collect();
        for _ in 0..2 {
            let longer: Vec<String> =
                names.iter().flat_map(|name| words.map(|word| format!("{name}/{word}"))).collect();
            names.extend(longer);
            let open = filters.iter().filter(|filter| !filter.ends_with('#'));
            let longer = open.flat_map(|filter| ["a", "b", "", "+", "#"].map(|word| format!("{filter}/{word}")));
            let longer: Vec<String> = longer.collect();
            filters.extend(longer);
        }
        filters.retain(|filter| !filter.is_empty());
        filters.sort();
        filters.dedup();
        let mut tree = Tree::default();
        for (key, text) in filters.iter().enumerate() {
            assert!(tree.insert(&filter(text), entry(key)), "{text}");
            assert!(!tree.insert(&filter(text), entry(key)), "{text}");
        }
        for name in names.iter().filter(|name| !name.is_empty()) {
            let one_by_one = filters.iter().enumerate().filter(|(_, filter)| filter_matches(filter, name));
            assert_eq!(matches(&mut tree, name), one_by_one.map(|(key, _)| key).collect::<Vec<_>>(), "{name}");
        }
        for (key, text) in filters.iter().enumerate() {
            tree.remove(&filter(text), key);
        }
        assert!(tree.root.is_empty() && tree.len() == 0);
    }

    #[test]
    fn a_group_takes_turns_and_passes_over_those_who_are_away() {
        let mut tree = Tree::default();
        for key in 1..=3 {
            tree.insert(&filter("$share/g/a/+"), entry(key));
        }
        tree.insert(&filter("$share/h/a/b"), entry(9));
        tree.insert(&filter("a/b"), entry(1));
        let mut turns = |ready: &dyn Fn(&Entry) -> Readiness| -> Vec<Key> {
            let mut found = Vec::new();
            for _ in 0..4 {
                tree.matches("a/b", ready, &mut found);
            }
            let of_g = found.iter().filter(|found| found.is_shared && found.entry.session != 9);
            of_g.map(|found| found.entry.session).collect()
        };
        assert_eq!(turns(&|_| Readiness::Now), [1, 2, 3, 1]);
        let two_is_away = |entry: &Entry| if entry.session == 2 { Readiness::Later } else { Readiness::Now };
        assert_eq!(turns(&two_is_away), [3, 1, 3, 1]);
        assert_eq!(turns(&|entry| if entry.session == 2 { Readiness::Later } else { Readiness::Never }), [2, 2, 2, 2]);
        assert!(turns(&|_| Readiness::Never).is_empty());
    }
}
