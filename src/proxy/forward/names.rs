//! The addresses of names, as far as they are known: each is asked for once, by one of those that want it, and kept for a while
//! ([`Questions`]).
//!
//! The system's resolver does not say how long an answer holds. So all hold for [`KEPT`], which bounds how long a server
//! that has moved is looked for in the old place, and is no more than browsers take.

use super::Denied;
use crate::proxy::questions::{Bounds, Questions};
use std::{net::IpAddr, sync::Arc, time::Duration};

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
pub(super) type Names = Questions<Box<str>, Answer>;

/// Names of which nothing is known.
pub(super) fn names() -> Names {
    let kept = |answer: &Answer| if answer.is_ok() { KEPT } else { FAILURE_KEPT };
    Names::new(Bounds { most: MOST_NAMES, asked: MOST_ASKED, asked_by_one: MOST_ASKED_BY_ONE, kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cache::Ticket, proxy::questions::Look, time::Instant};
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
        let (mut names, now) = (names(), now());
        assert_eq!(names.look("a", CLIENT, who(1), now), Look::Ask);
        assert_eq!(names.look("a", OTHER, who(2), now), Look::Wait);
        assert_eq!(names.answered("a", found()), [who(1), who(2)]);
        assert_eq!(names.look("a", CLIENT, who(3), now), Look::Known(found(), now + KEPT));
        assert_eq!(names.answered("b", found()), []);
    }

    #[test]
    fn an_answer_holds_from_the_first_look_on_and_a_failure_for_less() {
        for (answer, kept) in [(found(), KEPT), (Err(Denied::Unresolved), FAILURE_KEPT)] {
            let (mut names, now) = (names(), now());
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
        let (mut names, now) = (names(), now());
        let mut ask = |client: IpAddr, n: usize| names.look(format!("{client}-{n}").as_str(), client, who(0), now);
        assert!((0..MOST_ASKED_BY_ONE).all(|n| ask(CLIENT, n) == Look::Ask));
        assert_eq!(ask(CLIENT, MOST_ASKED_BY_ONE), Look::Busy);
        let clients = MOST_ASKED / MOST_ASKED_BY_ONE - 1;
        for client in 0..u8::try_from(clients).unwrap() {
            let client = IpAddr::from([198, 51, 100, client]);
            assert!((0..MOST_ASKED_BY_ONE).all(|n| ask(client, n) == Look::Ask));
        }
        assert_eq!(ask(OTHER, 0), Look::Busy);
        let _ = names.answered(format!("{CLIENT}-0").as_str(), found());
        assert_eq!(names.look("last", OTHER, who(0), now), Look::Ask);
        assert_eq!(names.look("one more", OTHER, who(0), now), Look::Busy);
    }

    #[test]
    fn names_that_were_made_up_do_not_fill_the_memory() {
        let (mut names, now) = (names(), now());
        assert_eq!(names.look("asked", OTHER, who(7), now), Look::Ask);
        for n in 0..3 * MOST_NAMES {
            assert_eq!(names.look(n.to_string().as_str(), CLIENT, who(0), now), Look::Ask);
            let _ = names.answered(n.to_string().as_str(), found());
            assert!(names.len() <= MOST_NAMES, "{n}");
        }
        // A name that is being asked for is not forgotten.
        assert_eq!(names.answered("asked", found()), [who(7)]);
    }
}
