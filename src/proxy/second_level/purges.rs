//! The responses that are to be taken out of the store, and were not yet. Pure: answers come in, commands go out.
//!
//! ```text
//!   one URI      ──▶ DEL ──▶ done                                     its variants are out of reach without it
//!   all others   ──▶ SCAN ──▶ GETRANGE: URI and tags ──▶ DEL … ──▶ PING ──▶ done
//! ```
//!
//! A purge is not over before the store has said so. Until then nothing that it covers is taken from there; and when the connection was
//! lost, or was not there, it begins again with the next one.

use super::names::{PREFIX, of_uri};
use crate::{
    cache::{Key, encoding, purge::Purge},
    redis::Next,
    resp::Value,
};
use std::collections::VecDeque;

/// Purges that wait. With more, everything goes: better too much than too little.
const MOST: usize = 10_000;

/// Names that the store looks at in one step.
const PAGE: &str = "200";

/// The most names that a page may have. A store has a few more than it is asked for when it rehashes its table.
const MOST_NAMES: usize = 10_000;

/// Bytes of a value in which its URI and tags are. One with longer ones is taken out with the others.
const FRONT: &str = "16383";

/// The responses to be taken out.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Those of one URI.
    Uri(Key),
    /// Those that match.
    Matching(Purge),
}

/// The question that an answer belongs to.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// To take one out of a purge's.
    Ignored,
    /// To take out the only one.
    Removed(u64),
    /// For names.
    Page(u64),
    /// For the beginning of the value of that name.
    Front(u64, Vec<u8>),
    /// Whether all earlier answers have come; and whether all that followed from them was done.
    Settled(u64),
    Done(u64),
}

/// Purges in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Purges {
    waiting: VecDeque<(u64, What)>,
    last: u64,
    /// One walk over all names at a time.
    walks: bool,
}

impl Purges {
    /// How many are not over.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a response was to be taken out.
    pub(super) fn cover(&self, uri: &str, tags: &[&[u8]]) -> bool {
        self.waiting.iter().any(|(_, what)| what.covers(uri, tags))
    }

    /// One more.
    pub(super) fn begin(&mut self, what: What) -> Next<Asked> {
        if self.waiting.len() >= MOST {
            self.waiting.clear();
            self.walks = false;
            return self.enter(What::Matching(Purge::All));
        }
        self.enter(what)
    }

    fn enter(&mut self, what: What) -> Next<Asked> {
        self.last += 1;
        let first = match &what {
            What::Uri(key) => vec![remove(key, self.last)],
            What::Matching(_) if self.walks => Vec::new(),
            What::Matching(_) => {
                self.walks = true;
                vec![page("0", self.last)]
            }
        };
        self.waiting.push_back((self.last, what));
        first
    }

    /// There is a connection: all of it from the beginning.
    pub(super) fn again(&mut self) -> Next<Asked> {
        let uris = self.waiting.iter().filter_map(|(id, what)| match what {
            What::Uri(key) => Some(remove(key, *id)),
            What::Matching(_) => None,
        });
        let mut all: Next<Asked> = uris.collect();
        self.walks = false;
        all.extend(self.walk());
        all
    }

    /// The first walk, if none is under way.
    fn walk(&mut self) -> Next<Asked> {
        let next = self.waiting.iter().find(|(_, what)| matches!(what, What::Matching(_)));
        let first: Next<Asked> = next.iter().map(|(id, _)| page("0", *id)).collect();
        self.walks = !first.is_empty();
        first
    }

    /// It is over. Nearly always it is the first one.
    fn end(&mut self, id: u64) {
        if let Some(at) = self.waiting.iter().position(|(known, _)| *known == id) {
            self.waiting.remove(at);
        }
    }

    fn matching(&self, id: u64) -> Option<&What> {
        self.waiting.iter().find(|(known, _)| *known == id).map(|(_, what)| what)
    }

    /// An answer.
    pub(super) fn heard(&mut self, asked: Asked, answer: &Value) -> Next<Asked> {
        match asked {
            Asked::Ignored => Next::new(),
            Asked::Removed(_) | Asked::Page(_) | Asked::Settled(_) | Asked::Done(_) if is_refused(answer) => {
                Next::new()
            }
            Asked::Removed(id) => {
                self.end(id);
                Next::new()
            }
            Asked::Page(id) => self.paged(id, answer),
            Asked::Front(id, name) => {
                let goes = |front: &[u8]| match encoding::label(front) {
                    Some(label) => self.matching(id).is_some_and(|what| what.covers(label.uri, &label.tags)),
                    None => !front.is_empty(),
                };
                let goes = answer.text().is_none_or(goes);
                if goes { vec![(vec![b"DEL".to_vec(), name], Asked::Ignored)] } else { Next::new() }
            }
            Asked::Settled(id) => vec![(words(&["PING"]), Asked::Done(id))],
            Asked::Done(id) => {
                self.end(id);
                self.walk()
            }
        }
    }

    fn paged(&self, id: u64, answer: &Value) -> Next<Asked> {
        let (Some(what), Value::List(parts)) = (self.matching(id), answer) else { return Next::new() };
        let [cursor, Value::List(names)] = &parts[..] else { return Next::new() };
        // Each is a question more. The purge waits for a store that does not ask for so much.
        if names.len() > MOST_NAMES {
            return Next::new();
        }
        let names = names.iter().filter_map(Value::text).map(<[u8]>::to_vec);
        let mut next: Next<Asked> = match what {
            What::Matching(Purge::All) => names.map(|name| (vec![b"DEL".to_vec(), name], Asked::Ignored)).collect(),
            _ => {
                let front = |name: Vec<u8>| {
                    let words = vec![b"GETRANGE".to_vec(), name.clone(), b"0".to_vec(), FRONT.into()];
                    (words, Asked::Front(id, name))
                };
                names.map(front).collect()
            }
        };
        match cursor.text().and_then(|cursor| std::str::from_utf8(cursor).ok()) {
            Some(cursor) if cursor != "0" => next.push(page(cursor, id)),
            _ => next.push((words(&["PING"]), Asked::Settled(id))),
        }
        next
    }
}

impl What {
    fn covers(&self, uri: &str, tags: &[&[u8]]) -> bool {
        match self {
            Self::Uri(key) => key.as_str() == uri,
            Self::Matching(purge) => purge.covers(uri, tags),
        }
    }
}

/// It stays, and is tried again with the next connection.
fn is_refused(answer: &Value) -> bool {
    if let Value::Error(why) = answer {
        tracing::warn!("the store of the cache refuses to be purged: {why}");
        return true;
    }
    false
}

fn remove(key: &Key, id: u64) -> (Vec<Vec<u8>>, Asked) {
    (words(&["DEL", &of_uri(key.uri())]), Asked::Removed(id))
}

fn page(cursor: &str, id: u64) -> (Vec<Vec<u8>>, Asked) {
    (words(&["SCAN", cursor, "MATCH", &format!("{PREFIX}*"), "COUNT", PAGE]), Asked::Page(id))
}

pub(super) fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Uri;
    use crate::http::target::Scheme;

    fn key(path: &str) -> Key {
        Uri { scheme: Scheme::Http, authority: "a.test", path, query: None }.to_key()
    }

    fn sent(next: &Next<Asked>) -> Vec<String> {
        let text = |words: &Vec<Vec<u8>>| String::from_utf8(words.join(&b' ')).unwrap();
        next.iter().map(|(words, _)| text(words)).collect()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn page(cursor: &str, names: &[&str]) -> Value {
        Value::List(vec![text(cursor), Value::List(names.iter().map(|name| text(name)).collect())])
    }

    #[test]
    fn a_uri_is_covered_until_the_store_has_taken_it_out() {
        let mut purges = Purges::default();
        let first = purges.begin(What::Uri(key("/x")));
        assert_eq!(sent(&first), [format!("DEL {}", of_uri(key("/x").uri()))]);
        assert!(purges.cover("http://a.test/x", &[]) && !purges.cover("http://a.test/y", &[]));
        // The answer was lost, and with the next connection it is asked for again.
        let again = purges.again();
        assert_eq!(sent(&again), sent(&first));
        let (_, asked) = again.into_iter().next().unwrap();
        assert_eq!(sent(&purges.heard(asked.clone(), &Value::Error("READONLY".to_owned()))), [""; 0]);
        assert_eq!(purges.waiting(), 1, "it was refused");
        purges.heard(asked, &Value::Int(0));
        assert_eq!((purges.waiting(), purges.cover("http://a.test/x", &[])), (0, false));
    }

    #[test]
    fn one_walk_after_the_other_looks_at_all_names() {
        let mut purges = Purges::default();
        let mut next = purges.begin(What::Matching(Purge::Tag("t".to_owned())));
        assert!(purges.begin(What::Matching(Purge::All)).is_empty(), "one at a time");
        assert_eq!(sent(&next), ["SCAN 0 MATCH cache:1:* COUNT 200"]);
        let mut play = |next: &mut Next<Asked>, answer: &Value| {
            let (_, asked) = next.remove(0);
            next.extend(purges.heard(asked, answer));
            sent(next)
        };
        let fronts = ["GETRANGE k1 0 16383", "GETRANGE k2 0 16383", "SCAN 7 MATCH cache:1:* COUNT 200"];
        assert_eq!(play(&mut next, &page("7", &["k1", "k2"])), fronts);
        // Nothing is there any more; something that is none of ours.
        assert_eq!(play(&mut next, &text("")), fronts[1..]);
        assert_eq!(play(&mut next, &text("garbage")), ["SCAN 7 MATCH cache:1:* COUNT 200", "DEL k2"]);
        assert_eq!(play(&mut next, &page("0", &[])), ["DEL k2", "PING"]);
        assert_eq!(play(&mut next, &Value::Int(1)), ["PING"]);
        assert_eq!(play(&mut next, &text("PONG")), ["PING"], "what followed from the answers has to be done, too");
        assert_eq!(play(&mut next, &text("PONG")), ["SCAN 0 MATCH cache:1:* COUNT 200"], "the next one");
        assert_eq!(play(&mut next, &page("0", &["k3"])), ["DEL k3", "PING"]);
        assert_eq!(purges.waiting(), 1);
    }

    #[test]
    fn a_page_without_end_is_not_followed() {
        let mut purges = Purges::default();
        let (_, asked) = purges.begin(What::Matching(Purge::All)).remove(0);
        let names = vec!["k"; MOST_NAMES + 1];
        assert_eq!(sent(&purges.heard(asked.clone(), &page("0", &names))), [""; 0]);
        assert!(
            purges.waiting() == 1 && purges.cover("http://a.test/x", &[]),
            "nothing is taken from there until then"
        );
        assert_eq!(purges.heard(asked, &page("0", &names[1..])).len(), MOST_NAMES + 1);
    }

    #[test]
    fn too_many_at_once_are_one_for_all() {
        let mut purges = Purges::default();
        for n in 0..MOST {
            purges.begin(What::Uri(key(&format!("/{n}"))));
        }
        assert!(!purges.cover("http://a.test/other", &[]));
        assert_eq!(sent(&purges.begin(What::Uri(key("/x")))), ["SCAN 0 MATCH cache:1:* COUNT 200"]);
        assert!(purges.waiting() == 1 && purges.cover("http://a.test/other", &[]));
    }
}
