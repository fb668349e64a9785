//! The names of servers: which addresses each has, and when it is asked for again.
//!
//! ```text
//!   answer with addresses ─────────────▶ again after the interval
//!   no answer, or all addresses fail ──▶ again after 1 s, 2 s, 4 s … up to the interval; the last addresses stay
//!   all addresses begin to fail ───────▶ at once, unless the last answer is younger than a second
//! ```
//!
//! The system's resolver does not say how long an answer holds, so the operator does (`resolve-interval`).

use super::forward::Denied;
use crate::time::Instant;
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Addresses of one name that are used. DNS over TCP could list thousands, and each gets probes and a place of its own.
pub(super) const MOST_ADDRESSES: usize = 64;

/// Names that are asked for at once: each has a thread, which may have to wait for many seconds.
const MOST_ASKED: usize = 32;

/// A name is not asked for twice within this time, whatever happens.
const SOONEST: Duration = Duration::from_secs(1);

/// The answer of a resolver.
pub(super) type Answer = Result<Vec<IpAddr>, Denied>;

/// Names, and what is known of each.
#[derive(Debug)]
pub(super) struct ServerNames {
    interval: Duration,
    known: BTreeMap<Box<str>, Known>,
}

#[derive(Debug)]
struct Known {
    /// In order: a resolver that turns its list round has said nothing new.
    addresses: Vec<IpAddr>,
    /// It is being asked for.
    asked: bool,
    /// When it is asked for again.
    due: Instant,
    /// When the last answer came.
    answered: Option<Instant>,
    /// The last question had no answer.
    lost: bool,
    /// Answers in a row that did not help.
    misses: u32,
}

/// The meaning of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// All is as before.
    Same,
    /// Addresses came or went.
    Changed { came: Vec<IpAddr>, gone: Vec<IpAddr> },
    /// The name does not resolve any more, or not yet. Said once, until it does.
    Lost,
    /// It resolves again, to the addresses from before.
    Back,
}

impl ServerNames {
    /// None yet. Each is asked for again after `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, known: BTreeMap::new() }
    }

    /// Another interval, from the next answers on.
    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Has these names asked for at once, those that were known before, too.
    pub(super) fn want<'a>(&mut self, names: impl Iterator<Item = &'a str>, now: Instant) {
        for name in names {
            let known = self.known.entry(name.into()).or_insert_with(|| Known {
                addresses: Vec::new(),
                asked: false,
                due: now,
                answered: None,
                lost: false,
                misses: 0,
            });
            known.due = now;
        }
    }

    /// Forgets all names but these.
    pub(super) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.known.retain(|name, _| stays(name));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The addresses of a name, as far as they are known.
    pub(super) fn addresses(&self, name: &str) -> &[IpAddr] {
        self.known.get(name).map_or(&[], |known| &known.addresses)
    }

    /// The names that are to be asked for now.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<Box<str>> {
        let asked = self.known.values().filter(|known| known.asked).count();
        let mut due = Vec::new();
        for (name, known) in &mut self.known {
            if !known.asked && known.due <= now && asked + due.len() < MOST_ASKED {
                known.asked = true;
                due.push(name.clone());
            }
        }
        due
    }

    /// When the next name is due. `None`: all are being asked for, or there are none.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.known.values().filter(|known| known.asked).count() >= MOST_ASKED {
            return None;
        }
        self.known.values().filter(|known| !known.asked).map(|known| known.due).min()
    }

    /// The names that are asked for, or are due, and have not been answered.
    pub(super) fn unanswered(&self, now: Instant) -> impl Iterator<Item = &str> {
        self.known.iter().filter(move |(_, known)| known.asked || known.due <= now).map(|(name, _)| &**name)
    }

    /// A resolver's answer. `fails`: all addresses that are known of the name do not answer.
    pub(super) fn answered(&mut self, name: &str, answer: Answer, fails: bool, now: Instant) -> News {
        let Some(known) = self.known.get_mut(name) else { return News::Same };
        (known.asked, known.answered) = (false, Some(now));
        let news = match answer {
            Ok(mut found) if !found.is_empty() => {
                found.sort_unstable();
                found.dedup();
                found.truncate(MOST_ADDRESSES);
                let was_lost = std::mem::take(&mut known.lost);
                let before = std::mem::replace(&mut known.addresses, found);
                let not_in = |list: &[IpAddr], other: &[IpAddr]| -> Vec<IpAddr> {
                    list.iter().filter(|address| !other.contains(address)).copied().collect()
                };
                let (came, gone) = (not_in(&known.addresses, &before), not_in(&before, &known.addresses));
                match (came.is_empty() && gone.is_empty(), was_lost) {
                    (false, _) => News::Changed { came, gone },
                    (true, true) => News::Back,
                    (true, false) => News::Same,
                }
            }
            Ok(_) | Err(_) => match std::mem::replace(&mut known.lost, true) {
                true => News::Same,
                false => News::Lost,
            },
        };
        let helps = !known.lost && (!fails || matches!(news, News::Changed { .. }));
        known.misses = if helps { 0 } else { known.misses.saturating_add(1) };
        known.due = now + if helps { self.interval } else { pause(known.misses, self.interval) };
        news
    }

    /// All addresses of a name have begun to fail.
    pub(super) fn fails(&mut self, name: &str, now: Instant) {
        let interval = self.interval;
        let Some(known) = self.known.get_mut(name).filter(|known| !known.asked && known.misses == 0) else { return };
        let soonest = known.answered.map_or(now, |answered| answered + SOONEST.min(interval));
        known.due = known.due.min(soonest.max(now));
    }
}

/// The time until a name is asked for again that was asked for so often in vain.
fn pause(misses: u32, interval: Duration) -> Duration {
    let doubled = 1_u32.checked_shl(misses.saturating_sub(1)).unwrap_or(u32::MAX);
    SOONEST.saturating_mul(doubled).min(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn found(last: &[u8]) -> Answer {
        Ok(last.iter().map(|last| ip(*last)).collect())
    }

    /// One name that was asked for at `now`.
    fn asked(now: Instant) -> ServerNames {
        let mut names = ServerNames::new(MINUTE);
        names.want(["api"].into_iter(), now);
        assert_eq!(names.ask(now), ["api".into()]);
        assert_eq!((names.ask(now).len(), names.next()), (0, None), "it is asked for once");
        names
    }

    #[test]
    fn a_name_is_asked_for_again_after_the_interval_and_its_changes_are_told() {
        let start = start();
        let mut names = asked(start);
        let news = names.answered("api", found(&[2, 1]), false, start);
        assert_eq!(news, News::Changed { came: vec![ip(1), ip(2)], gone: vec![] });
        assert_eq!((names.next(), names.ask(start + MINUTE - SECOND).len()), (Some(start + MINUTE), 0));
        assert_eq!(names.ask(start + MINUTE).len(), 1);
        // The same in another order, and one of them twice.
        assert_eq!(names.answered("api", found(&[1, 2, 1]), false, start + MINUTE), News::Same);
        assert_eq!(names.ask(start + 2 * MINUTE).len(), 1);
        let news = names.answered("api", found(&[3, 2]), false, start + 2 * MINUTE);
        assert_eq!(news, News::Changed { came: vec![ip(3)], gone: vec![ip(1)] });
        assert_eq!(names.addresses("api"), [ip(2), ip(3)]);
    }

    #[test]
    fn a_failed_question_keeps_the_last_answer_and_is_asked_again_soon() {
        let mut now = start();
        let mut names = asked(now);
        let _ = names.answered("api", found(&[1]), false, now);
        now += MINUTE;
        for (seconds, news) in [(1, News::Lost), (2, News::Same), (4, News::Same), (8, News::Same)] {
            assert_eq!(names.ask(now).len(), 1);
            assert_eq!(names.answered("api", Err(Denied::Unresolved), false, now), news);
            assert_eq!(names.addresses("api"), [ip(1)]);
            assert_eq!(names.next(), Some(now + seconds * SECOND));
            now += seconds * SECOND;
        }
        for _ in 0..100 {
            let _ = names.answered("api", Ok(vec![]), false, now);
        }
        assert_eq!(names.next(), Some(now + MINUTE), "never later than without a failure");
        assert_eq!(names.answered("api", found(&[1]), false, now), News::Back);
        assert_eq!(names.next(), Some(now + MINUTE));
    }

    #[test]
    fn a_name_that_does_not_resolve_at_the_start_has_no_address_until_it_does() {
        let start = start();
        let mut names = asked(start);
        assert_eq!(names.answered("api", Err(Denied::Unresolved), true, start), News::Lost);
        assert!(names.addresses("api").is_empty() && names.addresses("other").is_empty());
        assert_eq!(names.ask(start + SECOND).len(), 1);
        let news = names.answered("api", found(&[1]), true, start + SECOND);
        assert_eq!(news, News::Changed { came: vec![ip(1)], gone: vec![] });
        assert_eq!(names.next(), Some(start + SECOND + MINUTE), "that may help: the new address has to show it");
    }

    #[test]
    fn when_all_addresses_fail_the_name_is_asked_for_at_once_but_not_in_a_loop() {
        let start = start();
        let mut names = asked(start);
        let _ = names.answered("api", found(&[1]), false, start);
        names.fails("api", start + SECOND / 2);
        assert_eq!(names.next(), Some(start + SECOND), "the answer is younger than a second");
        let later = start + 10 * SECOND;
        names.fails("api", later);
        assert_eq!(names.next(), Some(start + SECOND), "it stays due");
        assert_eq!(names.ask(later).len(), 1);
        names.fails("api", later);
        assert_eq!(names.answered("api", found(&[1]), true, later), News::Same);
        assert_eq!(names.next(), Some(later + SECOND));
        // Another server of the name fails: that is no news.
        names.fails("api", later + SECOND / 4);
        assert_eq!(names.next(), Some(later + SECOND));
        assert_eq!(names.ask(later + SECOND).len(), 1);
        assert_eq!(names.answered("api", found(&[1]), true, later + SECOND), News::Same);
        assert_eq!(names.next(), Some(later + 3 * SECOND), "the pauses grow");
        names.fails("unknown", later);
    }

    #[test]
    fn a_name_that_is_wanted_again_is_due_and_one_that_is_not_is_forgotten() {
        let start = start();
        let mut names = asked(start);
        let _ = names.answered("api", found(&[1]), false, start);
        names.want(["api", "web"].into_iter(), start);
        assert_eq!(names.unanswered(start).collect::<Vec<_>>(), ["api", "web"]);
        assert_eq!(names.ask(start).len(), 2);
        names.retain(|name| name == "web");
        assert_eq!(names.answered("api", found(&[2]), false, start), News::Same);
        assert!(names.addresses("api").is_empty());
        assert_eq!(names.unanswered(start).collect::<Vec<_>>(), ["web"]);
    }

    #[test]
    fn questions_and_addresses_have_limits() {
        let start = start();
        let mut names = ServerNames::new(MINUTE);
        let many: Vec<String> = (0..=MOST_ASKED).map(|number| format!("{number:02}")).collect();
        names.want(many.iter().map(String::as_str), start);
        assert_eq!((names.ask(start).len(), names.ask(start).len(), names.next()), (MOST_ASKED, 0, None));
        let all: Vec<u8> = (0..=u8::try_from(MOST_ADDRESSES).unwrap()).collect();
        let _ = names.answered("00", found(&all), false, start);
        assert_eq!(names.addresses("00").len(), MOST_ADDRESSES);
        let _ = names.answered("01", found(&all[1..]), false, start);
        assert_eq!(names.addresses("01").len(), MOST_ADDRESSES);
        assert_eq!(names.ask(start), [many[MOST_ASKED].as_str().into()]);
    }
}
