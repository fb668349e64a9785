//! Purges, as proxies with one store tell them to each other. Pure: messages come in, purges and commands go out.
//!
//! ```text
//!   one proxy                        store                              another one
//!   its purge is over ── SET, PUBLISH ──▶ cache:purged:… ── message ──▶ out of its first level, too
//!                                            ╰── GET, after a time without a connection ──▶ not the last that it knows of: everything
//! ```
//!
//! A proxy tells it when the store has nothing of it any more: then the others cannot find it there again. A message that comes while a
//! connection is lost comes never. So the name of the last purge of an operator is in the store, and one that is back compares it. An
//! unsafe request is told to those that listen, and not kept: there may be thousands a second, and HTTP does not promise it.

use super::questions::{Asked, What, words};
use crate::{cache::purge::Purge, redis::Next, resp::Value};

/// Where the name of the last purge is. Not among the responses, which a purge takes out.
const LAST: &str = "cache:purged:1";

/// A longer message is none of ours.
const LONGEST: usize = 64 * 1024;

/// The proxies that hear of a purge, beside this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nobody,
    /// Those that listen.
    Listening,
    /// And those that are away at the moment, when they are back.
    Everybody,
}

/// The things that were said, here and elsewhere.
#[derive(Debug)]
pub(super) struct News {
    channel: String,
    /// This proxy.
    own: u64,
    told: u64,
    /// The name of the last purge that is kept.
    last: Option<String>,
    was_away: bool,
}

/// The channel of the proxies with that database: channels are none of a database's.
pub(super) fn channel(database: u32) -> String {
    format!("{LAST}:{database}")
}

impl News {
    /// `own` is another number for each proxy.
    pub(super) fn new(database: u32, own: u64) -> Self {
        Self { channel: channel(database), own, told: 0, last: None, was_away: false }
    }

    /// Tells others of a purge that is over.
    pub(super) fn tell(&mut self, what: &What, told: Told) -> Next<Asked> {
        let (kind, text) = match what {
            _ if told == Told::Nobody => return Next::new(),
            What::Uri(key) => ("url", key.as_str()),
            What::Matching(Purge::All) => ("all", ""),
            What::Matching(Purge::Tag(tag)) => ("tag", tag.as_str()),
            What::Matching(Purge::Prefix(prefix)) => ("prefix", prefix.as_str()),
            What::Matching(Purge::Path(path)) => ("url", path.as_str()),
            // The caller has made a URI of it.
            What::Matching(Purge::Url(_)) => return Next::new(),
        };
        self.told += 1;
        let name = format!("{:016x}.{}", self.own, self.told);
        let mut next = Next::new();
        let kept = if told == Told::Everybody {
            next.push((words(&["SET", LAST, &name]), Asked::Ignored));
            self.last = Some(name.clone());
            "kept"
        } else {
            "passing"
        };
        let message = format!("1 {name} {kept} {kind} {text}");
        next.push((words(&["PUBLISH", &self.channel, &message]), Asked::Ignored));
        next
    }

    /// There is no connection.
    pub(super) fn is_away(&mut self) {
        self.was_away = true;
    }

    /// There is one: what has been missed?
    pub(super) fn ask(&self) -> Next<Asked> {
        vec![(words(&["GET", LAST]), Asked::Last)]
    }

    /// The answer to that. A store that has lost its memory knows of no purge, and is no reason to forget what is stored here.
    pub(super) fn caught_up(&mut self, answer: &Value) -> Option<Purge> {
        let name = std::str::from_utf8(answer.text()?).ok().filter(|name| name.len() <= LONGEST)?;
        let is_news = self.last.as_deref() != Some(name);
        self.last = Some(name.to_owned());
        (is_news && self.was_away).then_some(Purge::All)
    }

    /// A message: the purge of another proxy. Anything else is nothing.
    pub(super) fn hear(&mut self, push: &[Value]) -> Option<Purge> {
        let [kind, channel, message] = push else { return None };
        if kind.text() != Some(b"message") || channel.text() != Some(self.channel.as_bytes()) {
            return None;
        }
        let message = message.text().filter(|message| message.len() <= LONGEST)?;
        let mut parts = std::str::from_utf8(message).ok()?.splitn(5, ' ');
        let [version, name, kept, kind, text] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        if version != "1" {
            return None;
        }
        let purge = match kind {
            "url" => Purge::url(text).ok()?,
            "prefix" => Purge::prefix(text).ok()?,
            "tag" if !text.is_empty() => Purge::Tag(text.to_owned()),
            "all" => Purge::All,
            _ => return None,
        };
        if kept == "kept" {
            self.last = Some(name.to_owned());
        }
        let own = format!("{:016x}.", self.own);
        (!name.starts_with(&own)).then_some(purge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn push(message: &str) -> Vec<Value> {
        vec![text("message"), text("cache:purged:1:0"), text(message)]
    }

    /// The message that is published.
    fn published(next: &Next<Asked>) -> String {
        let (words, _) = next.last().unwrap();
        assert_eq!(words[0], b"PUBLISH");
        String::from_utf8(words[2].clone()).unwrap()
    }

    #[test]
    fn each_kind_of_purge_is_heard_as_it_was_told() {
        let (mut one, mut other) = (News::new(0, 1), News::new(0, 2));
        for purge in [
            Purge::url("/a?b=c d").ok().unwrap_or(Purge::Path("/a".to_owned())),
            Purge::Prefix("http://a.test/x".to_owned()),
            Purge::Tag("a tag with spaces".to_owned()),
            Purge::All,
        ] {
            let next = one.tell(&What::Matching(purge.clone()), Told::Everybody);
            assert_eq!(next.len(), 2);
            assert_eq!(other.hear(&push(&published(&next))), Some(purge));
            assert_eq!(one.hear(&push(&published(&next))), None, "its own");
        }
        let key = Purge::url("http://a.test/x?y").unwrap();
        let Purge::Url(target) = &key else { panic!("{key:?}") };
        let what = What::Uri(crate::cache::Uri::of_target(target).unwrap().to_key());
        let next = one.tell(&what, Told::Listening);
        assert_eq!((next.len(), other.hear(&push(&published(&next)))), (1, Some(key)));
        assert!(one.tell(&what, Told::Nobody).is_empty());
    }

    #[test]
    fn a_purge_that_was_missed_is_noticed() {
        let (mut one, mut other) = (News::new(0, 1), News::new(0, 2));
        assert_eq!(other.caught_up(&Value::Null), None, "the first connection");
        let next = one.tell(&What::Matching(Purge::All), Told::Everybody);
        let (set, message) = (text(&String::from_utf8(next[0].0[2].clone()).unwrap()), published(&next));
        other.hear(&push(&message));
        other.is_away();
        assert_eq!(other.caught_up(&set), None, "nothing was missed");
        assert_eq!(other.caught_up(&Value::Null), None, "the store has lost its memory");
        one.is_away();
        assert_eq!(one.caught_up(&set), None, "its own");
        let next = one.tell(&What::Matching(Purge::All), Told::Everybody);
        let set = text(&String::from_utf8(next[0].0[2].clone()).unwrap());
        assert_eq!(other.caught_up(&set), Some(Purge::All));
        assert_eq!(other.caught_up(&set), None, "once");
    }

    #[test]
    fn garbage_is_no_news() {
        let mut news = News::new(0, 1);
        for message in
            ["", "1", "2 x kept all ", "1 x kept", "1 x kept url nothing", "1 x kept tag ", "1 x kept prefix x"]
        {
            assert_eq!(news.hear(&push(message)), None, "{message}");
        }
        assert_eq!(news.hear(&push(&format!("1 x kept tag {}", "x".repeat(LONGEST)))), None);
        assert_eq!(news.hear(&[text("message"), text("other"), text("1 x kept all ")]), None);
        assert_eq!(news.hear(&push("1 x kept all ")), Some(Purge::All));
    }
}
