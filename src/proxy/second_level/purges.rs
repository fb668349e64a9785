//! The responses that are to be taken out of the store, and were not yet. Pure: answers come in, commands go out.
//!
//! ```text
//!   one URI      ──▶ DEL ──▶ done                                     its variants are out of reach without it
//!   all others   ──▶ SCAN ──▶ GETRANGE: URI and tags ──▶ DEL … ──▶ PING ──▶ done
//! ```
//!
//! A purge is not over before the store has said so. Until then nothing that it covers is taken from there; and when the connection was
//! lost, or was not there, it begins again with the next one.

use super::{
    names::{PREFIX, of_uri},
    news::{News, Told},
    questions::{Asked, What, words},
};
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

/// Purges in the order in which they came.
#[derive(Debug)]
pub(super) struct Purges {
    waiting: VecDeque<Waiting>,
    last: u64,
    /// One walk over all names at a time.
    walks: bool,
    news: News,
    /// The purges of others, to be taken out of the first level.
    heard: Vec<Purge>,
}

/// One that is not over.
#[derive(Debug)]
struct Waiting {
    id: u64,
    what: What,
    /// When it is over.
    told: Told,
}

impl Purges {
    pub(super) fn new(news: News) -> Self {
        Self { waiting: VecDeque::new(), last: 0, walks: false, news, heard: Vec::new() }
    }

    /// How many are not over.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a response was to be taken out.
    pub(super) fn cover(&self, uri: &str, tags: &[&[u8]]) -> bool {
        self.waiting.iter().any(|waiting| waiting.what.covers(uri, tags))
    }

    /// One more.
    pub(super) fn begin(&mut self, what: What, told: Told) -> Next<Asked> {
        if self.waiting.len() >= MOST {
            self.waiting.clear();
            self.walks = false;
            return self.enter(What::Matching(Purge::All), Told::Everybody);
        }
        self.enter(what, told)
    }

    fn enter(&mut self, what: What, told: Told) -> Next<Asked> {
        self.last += 1;
        let first = match &what {
            What::Uri(key) => vec![remove(key, self.last)],
            What::Matching(_) if self.walks => Vec::new(),
            What::Matching(_) => {
                self.walks = true;
                vec![page("0", self.last)]
            }
        };
        self.waiting.push_back(Waiting { id: self.last, what, told });
        first
    }

    /// There is no connection.
    pub(super) fn away(&mut self) -> Next<Asked> {
        self.news.is_away();
        Next::new()
    }

    /// A message of the store.
    pub(super) fn pushed(&mut self, push: &[Value]) -> Next<Asked> {
        self.heard.extend(self.news.hear(push));
        Next::new()
    }

    /// The purges of others that were heard of.
    pub(super) fn take_heard(&mut self) -> Vec<Purge> {
        std::mem::take(&mut self.heard)
    }

    /// There is a connection: all of it from the beginning.
    pub(super) fn again(&mut self) -> Next<Asked> {
        let uris = self.waiting.iter().filter_map(|Waiting { id, what, .. }| match what {
            What::Uri(key) => Some(remove(key, *id)),
            What::Matching(_) => None,
        });
        let mut all: Next<Asked> = self.news.ask();
        all.extend(uris);
        self.walks = false;
        all.extend(self.walk());
        all
    }

    /// The first walk, if none is under way.
    fn walk(&mut self) -> Next<Asked> {
        let next = self.waiting.iter().find(|waiting| matches!(waiting.what, What::Matching(_)));
        let first: Next<Asked> = next.iter().map(|waiting| page("0", waiting.id)).collect();
        self.walks = !first.is_empty();
        first
    }

    /// It is over, and others are told. Nearly always it is the first one.
    fn end(&mut self, id: u64) -> Next<Asked> {
        let at = self.waiting.iter().position(|waiting| waiting.id == id);
        let over = at.and_then(|at| self.waiting.remove(at));
        over.map(|Waiting { what, told, .. }| self.news.tell(&what, told)).unwrap_or_default()
    }

    fn matching(&self, id: u64) -> Option<&What> {
        self.waiting.iter().find(|waiting| waiting.id == id).map(|waiting| &waiting.what)
    }

    /// An answer.
    pub(super) fn heard(&mut self, asked: Asked, answer: &Value) -> Next<Asked> {
        match asked {
            Asked::Ignored => Next::new(),
            Asked::Removed(_) | Asked::Page(_) | Asked::Settled(_) | Asked::Done(_) if is_refused(answer) => {
                Next::new()
            }
            Asked::Removed(id) => self.end(id),
            Asked::Last => {
                self.heard.extend(self.news.caught_up(answer));
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
                let mut next = self.end(id);
                next.extend(self.walk());
                next
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
        let mut purges = Purges::new(News::new(0, 7));
        let first = purges.begin(What::Uri(key("/x")), Told::Nobody);
        assert_eq!(sent(&first), [format!("DEL {}", of_uri(key("/x").uri()))]);
        assert!(purges.cover("http://a.test/x", &[]) && !purges.cover("http://a.test/y", &[]));
        // The answer was lost, and with the next connection it is asked for again.
        let again = purges.again();
        assert_eq!(sent(&again), ["GET cache:purged:1", &*sent(&first)[0]]);
        let (_, asked) = again.into_iter().last().unwrap();
        assert_eq!(sent(&purges.heard(asked.clone(), &Value::Error("READONLY".to_owned()))), [""; 0]);
        assert_eq!(purges.waiting(), 1, "it was refused");
        purges.heard(asked, &Value::Int(0));
        assert_eq!((purges.waiting(), purges.cover("http://a.test/x", &[])), (0, false));
    }

    #[test]
    fn one_walk_after_the_other_looks_at_all_names() {
        let mut purges = Purges::new(News::new(0, 7));
        let mut next = purges.begin(What::Matching(Purge::Tag("t".to_owned())), Told::Nobody);
        assert!(purges.begin(What::Matching(Purge::All), Told::Nobody).is_empty(), "one at a time");
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
        let mut purges = Purges::new(News::new(0, 7));
        let (_, asked) = purges.begin(What::Matching(Purge::All), Told::Nobody).remove(0);
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
        let mut purges = Purges::new(News::new(0, 7));
        for n in 0..MOST {
            purges.begin(What::Uri(key(&format!("/{n}"))), Told::Nobody);
        }
        assert!(!purges.cover("http://a.test/other", &[]));
        assert_eq!(sent(&purges.begin(What::Uri(key("/x")), Told::Nobody)), ["SCAN 0 MATCH cache:1:* COUNT 200"]);
        assert!(purges.waiting() == 1 && purges.cover("http://a.test/other", &[]));
    }
}
