//! The addresses of names, as far as they are known: each is asked for once, by one of those that want it, and kept for a while.
//!
//! ```text
//!   look ──▶ Known        asked for lately
//!       ├──▶ Ask          the caller has it asked for, and waits with the others
//!       ├──▶ Wait         another one has
//!       ╰──▶ Busy         too many are being asked for
//! ```
//!
//! The system's resolver does not say how long an answer holds. So all hold for [`KEPT`], which bounds how long a server
//! that has moved is looked for in the old place, and is no more than browsers take.

use super::Denied;
use crate::cache::Ticket;
use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long an answer holds.
pub(super) const KEPT: Duration = Duration::from_secs(60);

/// How long it holds that a name has no address: a name that was mistyped is asked for again and again, and one that was
/// just made should work soon.
pub(super) const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// Names that are remembered. A browser's day has some hundreds; a client that makes names up fills no more than this.
pub(super) const MOST_NAMES: usize = 4096;

/// Names that are asked for at once: each has a thread, which may have to wait for many seconds.
pub(super) const MOST_ASKED: usize = 256;

/// Of these, for one client: if it asks for names whose servers never answer, others can still ask. A large page has parts
/// from some dozens of hosts.
pub(super) const MOST_ASKED_BY_ONE: usize = 64;

/// The addresses of a name, best first, or why there are none.
pub(super) type Answer = Result<Arc<[IpAddr]>, Denied>;

/// Names, and what is known of each.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: HashMap<Box<str>, Name>,
    asked: usize,
}

#[derive(Debug)]
enum Name {
    /// It was asked for on behalf of this client; these wait for the answer.
    Asked { by: IpAddr, waiting: Vec<Ticket> },
    /// The answer, and until when it holds: from the first look on, so that no clock is needed when it comes.
    Known { answer: Answer, until: Option<Instant> },
}

/// The result of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The answer, and until when it holds.
    Known(Answer, Instant),
    /// It was not asked for yet.
    Ask,
    /// The answer is under way.
    Wait,
    /// Too many are being asked for, by all or by this client.
    Busy,
}

impl Names {
    /// Looks for `name`, which is in lower case, on behalf of `client`. `who` is told when there is news ([`Names::answered`]).
    pub(super) fn look(&mut self, name: &str, client: IpAddr, who: Ticket, now: Instant) -> Look {
        match self.names.get_mut(name) {
            Some(Name::Asked { waiting, .. }) => {
                waiting.push(who);
                return Look::Wait;
            }
            Some(Name::Known { answer, until }) => {
                let kept = if answer.is_ok() { KEPT } else { FAILURE_KEPT };
                let until = *until.get_or_insert(now + kept);
                if now < until {
                    return Look::Known(answer.clone(), until);
                }
            }
            None => {}
        }
        let by_client = |name: &Name| matches!(name, Name::Asked { by, .. } if *by == client);
        // Few names are asked for at once, so few are counted; with none, nothing is.
        if self.asked >= MOST_ASKED
            || self.asked >= MOST_ASKED_BY_ONE
                && self.names.values().filter(|name| by_client(name)).count() >= MOST_ASKED_BY_ONE
        {
            return Look::Busy;
        }
        self.make_room(now);
        self.asked += 1;
        self.names.insert(name.into(), Name::Asked { by: client, waiting: vec![who] });
        Look::Ask
    }

    /// The answer to a question is here: those that wait for it.
    pub(super) fn answered(&mut self, name: &str, answer: Answer) -> Vec<Ticket> {
        let Some(entry) = self.names.get_mut(name) else { return Vec::new() };
        match mem::replace(entry, Name::Known { answer, until: None }) {
            Name::Asked { waiting, .. } => {
                self.asked -= 1;
                waiting
            }
            Name::Known { .. } => Vec::new(),
        }
    }

    /// If the memory is full, forgets what does not hold any more; if that is too little, all that is known. So no client
    /// makes each look cost a search.
    fn make_room(&mut self, now: Instant) {
        if self.names.len() < MOST_NAMES {
            return;
        }
        self.names.retain(|_, name| match name {
            Name::Asked { .. } => true,
            Name::Known { until, .. } => until.is_none_or(|until| now < until),
        });
        if self.names.len() > MOST_NAMES / 2 {
            self.names.retain(|_, name| matches!(name, Name::Asked { .. }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn now() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn who(who: u32) -> Ticket {
        Ticket { worker: 0, who }
    }

    fn found() -> Answer {
        Ok(Arc::new([IpAddr::from([203, 0, 113, 1])]))
    }

    #[test]
    fn a_name_is_asked_for_once_and_all_that_wait_are_told() {
        let (mut names, now) = (Names::default(), now());
        assert_eq!(names.look("a", CLIENT, who(1), now), Look::Ask);
        assert_eq!(names.look("a", OTHER, who(2), now), Look::Wait);
        assert_eq!(names.answered("a", found()), [who(1), who(2)]);
        assert_eq!(names.look("a", CLIENT, who(3), now), Look::Known(found(), now + KEPT));
        assert_eq!(names.answered("b", found()), []);
    }

    #[test]
    fn an_answer_holds_from_the_first_look_on_and_a_failure_for_less() {
        for (answer, kept) in [(found(), KEPT), (Err(Denied::Unresolved), FAILURE_KEPT)] {
            let (mut names, now) = (Names::default(), now());
            assert_eq!(names.look("a", CLIENT, who(1), now), Look::Ask);
            let _ = names.answered("a", answer.clone());
            let first = now + Duration::from_secs(3600);
            assert_eq!(names.look("a", CLIENT, who(1), first), Look::Known(answer.clone(), first + kept));
            let last = first + kept - Duration::from_nanos(1);
            assert_eq!(names.look("a", CLIENT, who(1), last), Look::Known(answer, first + kept));
            assert_eq!(names.look("a", CLIENT, who(1), first + kept), Look::Ask);
        }
    }

    #[test]
    fn one_client_leaves_room_for_others_and_all_together_have_a_limit() {
        let (mut names, now) = (Names::default(), now());
        let mut ask = |client: IpAddr, n: usize| names.look(&format!("{client}-{n}"), client, who(0), now);
        assert!((0..MOST_ASKED_BY_ONE).all(|n| ask(CLIENT, n) == Look::Ask));
        assert_eq!(ask(CLIENT, MOST_ASKED_BY_ONE), Look::Busy);
        let clients = MOST_ASKED / MOST_ASKED_BY_ONE - 1;
        for client in 0..u8::try_from(clients).unwrap() {
            let client = IpAddr::from([198, 51, 100, client]);
            assert!((0..MOST_ASKED_BY_ONE).all(|n| ask(client, n) == Look::Ask));
        }
        assert_eq!(ask(OTHER, 0), Look::Busy);
        let _ = names.answered(&format!("{CLIENT}-0"), found());
        assert_eq!(names.look("last", OTHER, who(0), now), Look::Ask);
        assert_eq!(names.look("one more", OTHER, who(0), now), Look::Busy);
    }

    #[test]
    fn names_that_were_made_up_do_not_fill_the_memory() {
        let (mut names, now) = (Names::default(), now());
        assert_eq!(names.look("asked", OTHER, who(7), now), Look::Ask);
        for n in 0..3 * MOST_NAMES {
            assert_eq!(names.look(&n.to_string(), CLIENT, who(0), now), Look::Ask);
            let _ = names.answered(&n.to_string(), found());
            assert!(names.names.len() <= MOST_NAMES, "{n}");
        }
        // A name that is being asked for is not forgotten.
        assert_eq!(names.answered("asked", found()), [who(7)]);
    }
}
