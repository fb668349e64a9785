//! Words for one person of another server. They have arrived when that server says so, and not before.
//!
//! ```text
//!   /msg bob hi ── Direct 7 ──▶ bob's server: bob is here ── Arrived 7 ──▶ "* to bob: hi"
//!                                      ╰─ nobody is ──────── Missed 7 ───▶ "! bob is not here"
//!        ╰─ no answer, the others are lost, or that server is ───────────▶ "! bob may not have got this: hi"
//! ```

use super::{
    super::{event::Told, name::key},
    Done, Hall, PersonId, Share,
};
use crate::{
    resilience::later,
    time::{Instant, Now},
};
use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

/// Words on their way. More are refused: the store is slow, and memory is not there to wait for it.
const MAX_ON_THE_WAY: usize = 1000;

/// The time that an answer has: more than a lost connection to the store takes to be noticed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Words that were sent to other servers, and are not answered.
#[derive(Debug, Default)]
pub(super) struct Post {
    sent: u64,
    /// By their numbers.
    on_the_way: BTreeMap<u64, Words>,
}

#[derive(Debug)]
struct Words {
    by: PersonId,
    server: String,
    to: Arc<str>,
    text: String,
    at: u64,
    until: Instant,
}

impl Post {
    /// Whether words of a person are on their way.
    pub(super) fn has_some_of(&self, id: PersonId) -> bool {
        self.on_the_way.values().any(|words| words.by == id)
    }

    /// Takes those out that are meant.
    fn take(&mut self, is_meant: impl Fn(&Words) -> bool) -> Vec<Words> {
        let (meant, others) = mem::take(&mut self.on_the_way).into_iter().partition(|(_, words)| is_meant(words));
        self.on_the_way = others;
        BTreeMap::into_values(meant).collect()
    }
}

impl Hall {
    /// Says something to a person of another server. `None`: there is no such person.
    pub(super) fn direct_elsewhere(
        &mut self,
        id: PersonId,
        to: &str,
        (from, text): (&str, &str),
        at: u64,
        now: Now,
    ) -> Option<Done> {
        let (server, to) = self.company.others.find(&key(to))?;
        if self.company.post.on_the_way.len() >= MAX_ON_THE_WAY {
            return Some(Err("the other servers do not keep up: try again later".into()));
        }
        let post = &mut self.company.post;
        post.sent += 1;
        let number = post.sent;
        let until = later(now.instant, PATIENCE);
        let words = Words { by: id, server: server.clone(), to: Arc::clone(&to), text: text.to_owned(), at, until };
        post.on_the_way.insert(number, words);
        let (from, text) = (from.to_owned(), text.to_owned());
        self.share(Share::Direct { server, to: to.to_string(), from, text, at, number });
        Some(Ok(()))
    }

    /// The answer of another server to words for one of its people. `is_here`: the person has them.
    pub(crate) fn direct_answered(&mut self, server: &str, number: u64, is_here: bool, now: Now) {
        let of_server = |words: &&Words| words.server == server;
        if self.company.post.on_the_way.get(&number).filter(of_server).is_none() {
            return;
        }
        let Some(Words { by, to, text, at, .. }) = self.company.post.on_the_way.remove(&number) else { return };
        if is_here {
            self.effects.tell(by, Told::Sent { to, text, at });
        } else {
            self.refuse(by, format!("{to} is not here"));
        }
        self.quit_if_answered(by, now);
    }

    /// That server, or with `None` any, gives no answers any more.
    pub(super) fn give_up_post(&mut self, server: Option<&str>, now: Now) {
        let lost = self.company.post.take(|words| server.is_none_or(|server| words.server == server));
        self.tell_lost(lost, now);
    }

    /// Words that have waited too long for an answer.
    pub(super) fn expire_post(&mut self, now: Now) {
        let late = self.company.post.take(|words| words.until <= now.instant);
        self.tell_lost(late, now);
    }

    fn tell_lost(&mut self, lost: Vec<Words>, now: Now) {
        for Words { by, to, text, .. } in lost {
            self.refuse(by, format!("{to} may not have got this: {text}"));
            self.quit_if_answered(by, now);
        }
    }

    /// A person who has quit goes when nothing is owed any more.
    fn quit_if_answered(&mut self, id: PersonId, now: Now) {
        if self.people.get(&id).is_some_and(|person| person.quits) {
            self.quit_when_stored(id, now);
        }
    }
}
