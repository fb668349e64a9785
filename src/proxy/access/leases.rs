//! Rate limits that several proxies share: what each has counted, in windows of the clock that they share. Pure: the answers of the store and
//! the time come in, requests are let in or not, and questions to the store come out.
//!
//! ```text
//!   request ──▶ the place of its key ──▶ the store said that all are gone? ──▶ not before the next window
//!                                    ╰─▶ let in on credit: one more of debt ──▶ in
//!                                          │
//!   store ◀── INCRBY key debt ─────────────╯   one question for a key at a time: it has all that came meanwhile
//!         ──▶ the number so far: how many of these there was room for
//! ```
//!
//! A window lasts as long as an empty bucket takes to fill, and has room for as many requests as a bucket holds. So the long-run rate is that of
//! the limit, however many proxies count together; at the border of two windows, twice the burst may pass.
//!
//! No request waits for the store. The first ones of a window are let in before it is known whether others have been quicker; if they were, the
//! debt is paid in the next window, before anything else is let in. So all proxies together let in too many only once: at most what
//! came while a question was on its way.

use super::rates::Rate;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Keys that are counted at once: 2.5 MiB.
const PLACES: usize = 64 * 1024;

/// Locks, each for a part of the table.
const SHARDS: usize = 64;

/// Places in which a key may be.
const SET: usize = 8;

/// A shorter window would be over before the store has answered: 100 ms, in µs.
const LEAST_WINDOW: u64 = 100_000;

/// A window of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Counted from 1970.
    pub(super) number: u64,
    /// When it is over, in µs since 1970.
    end: u64,
    /// In µs.
    pub(super) len: u64,
    /// Requests that it has room for.
    pub(super) room: u64,
}

impl Window {
    /// The window of a limit at a time in µs since 1970.
    pub(super) fn of(rate: &Rate, at: u64) -> Self {
        let (requests, micros) = (u64::from(rate.requests.get()), u64::from(rate.seconds.get()) * 1_000_000);
        let room = u64::from(rate.burst.get()).max((LEAST_WINDOW * requests).div_ceil(micros));
        let len = (room * micros / requests).max(1);
        let number = at / len;
        Self { number, end: (number + 1) * len, len, room }
    }

    fn left(&self, at: u64) -> Duration {
        Duration::from_micros(self.end.saturating_sub(at))
    }
}

/// A question to the store: so many requests of a key in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) key: u64,
    pub(super) window: Window,
    pub(super) number: u64,
}

/// The counts of all keys.
#[derive(Debug)]
pub(super) struct Leases {
    shards: Box<[Mutex<Box<[Place]>>]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The hash of limit and key.
    key: u64,
    /// The window that it is about.
    window: u64,
    /// The end of that; 0: the place was never used.
    end: u64,
    /// Requests that were let in, and that the store had no room for, or was not told of.
    debt: u64,
    /// Of the debt, what a question that has no answer yet is about; 0: there is none.
    asked: u64,
    /// Requests that the store was told of, and that were given back.
    spare: u64,
    /// Requests of all proxies in this window, when the store last told their number.
    counted: u64,
    /// Nothing is left of this window.
    is_over: bool,
}

impl Leases {
    pub(super) fn new() -> Self {
        Self::with_places(PLACES)
    }

    fn with_places(places: usize) -> Self {
        let shards = SHARDS.min(places / SET);
        let shard = || Mutex::new(vec![Place::default(); places / shards].into());
        Self { shards: std::iter::repeat_with(shard).take(shards).collect() }
    }

    /// Calls with the places in which a key may be.
    fn with<T>(&self, key: u64, call: impl FnOnce(&mut [Place]) -> T) -> T {
        let (shard, rest) = ((key % self.shards.len() as u64) as usize, key / self.shards.len() as u64);
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let sets = (shard.len() / SET) as u64;
        call(&mut shard[(rest % sets) as usize * SET..][..SET])
    }

    /// One request of a key. Beside the answer, the question that the store has to be asked, if any.
    ///
    /// # Errors
    ///
    /// The time until there is room for it.
    pub(super) fn take(&self, key: u64, window: Window, at: u64) -> (Result<(), Duration>, Option<Question>) {
        self.with(key, |set| {
            let place = match set.iter().position(|place| place.key == key && place.end > 0) {
                Some(own) => &mut set[own],
                None => {
                    // The one that is over first makes way. Debts are forgotten last: a flood of keys must not pay for another one.
                    let place = set.iter_mut().min_by_key(|place| (place.debt > 0, place.end));
                    let place = place.expect("a set has places");
                    *place = Place { key, ..Place::default() };
                    place
                }
            };
            place.turn_to(window);
            let answer = place.take(window, at);
            (answer, place.question(window))
        })
    }

    /// Requests of a key for which there is room in the window, as far as that is known here, and the time until it is over.
    pub(super) fn left(&self, key: u64, window: Window, at: u64) -> (u64, Duration) {
        let left = self.with(key, |set| {
            let place = set.iter().find(|place| place.key == key && place.end == window.end);
            place.map_or(window.room, |place| {
                if place.is_over { 0 } else { window.room.saturating_sub(place.counted + place.debt) }
            })
        });
        (left, window.left(at))
    }

    /// One request of a key was let in, and does not happen. One that the store has heard of stays counted there: it is spared for the next
    /// request of that key at this proxy, in the same window.
    pub(super) fn give_back(&self, key: u64) {
        self.with(key, |set| {
            if let Some(place) = set.iter_mut().find(|place| place.key == key && place.end > 0) {
                if place.debt > place.asked { place.debt -= 1 } else { place.spare += 1 }
            }
        });
    }

    fn answer<T>(&self, key: u64, call: impl FnOnce(&mut Place) -> T) -> Option<T> {
        // Its place may belong to another by now.
        self.with(key, |set| set.iter_mut().find(|place| place.key == key && place.asked > 0).map(call))
    }

    /// The store has counted a question: so many were counted before it. Returns the next question, if more came in meanwhile: others have to
    /// know of them, also if these were the last ones.
    pub(super) fn count(&self, Question { key, window, number }: Question, before: u64) -> Option<Question> {
        let next = self.answer(key, |place| {
            place.asked = 0;
            place.debt = place.debt.saturating_sub(window.room.saturating_sub(before).min(number));
            // A request that does not happen needs no room.
            let spared = place.spare.min(place.debt);
            (place.debt, place.spare) = (place.debt - spared, place.spare - spared);
            if place.window != window.number {
                place.spare = 0;
                return None; // The next request asks.
            }
            place.counted = place.counted.max(before + number);
            place.is_over |= before + number >= window.room;
            place.question(window)
        });
        next.flatten()
    }

    /// A question was lost. It may have been counted, or not: its debts are taken for paid.
    pub(super) fn lose(&self, Question { key, number, .. }: Question) {
        self.answer(key, |place| {
            place.asked = 0;
            place.debt = place.debt.saturating_sub(number);
        });
    }
}

impl Place {
    fn turn_to(&mut self, window: Window) {
        if window.number != self.window || window.end != self.end {
            (self.window, self.end, self.is_over, self.counted) = (window.number, window.end, false, 0);
            if self.asked == 0 {
                self.spare = 0; // It was for the window that is over.
            }
        }
    }

    fn take(&mut self, window: Window, at: u64) -> Result<(), Duration> {
        if self.spare > 0 {
            self.spare -= 1;
            return Ok(());
        }
        // Without an answer for long, or with a whole window to pay, there is no more credit.
        if self.is_over || self.debt >= window.room {
            return Err(window.left(at));
        }
        self.debt += 1;
        Ok(())
    }

    fn question(&mut self, window: Window) -> Option<Question> {
        if self.asked > 0 || self.is_over || self.debt == 0 {
            return None;
        }
        self.asked = self.debt;
        Some(Question { key: self.key, window, number: self.debt })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rates::rate, *};
    use std::collections::{HashMap, VecDeque};

    /// Proxies, and a store that answers each question `delay` µs later.
    fn passed(rate: &Rate, proxies: usize, per_second: u64, seconds: u64, delay: u64) -> u64 {
        let leases: Vec<Leases> = (0..proxies).map(|_| Leases::with_places(SET)).collect();
        let (mut store, mut passed) = (HashMap::<u64, u64>::new(), 0);
        let mut asked: VecDeque<(u64, usize, Question)> = VecDeque::new();
        for n in 0..per_second * seconds {
            let at = 1_000_000_000 + n * 1_000_000 / per_second;
            while let Some((due, proxy, question)) = asked.front().copied().filter(|(due, ..)| *due <= at) {
                asked.pop_front();
                let counted = store.entry(question.window.number).or_default();
                let next = leases[proxy].count(question, *counted);
                *counted += question.number;
                asked.extend(next.map(|next| (due + delay, proxy, next)));
            }
            let proxy = n as usize % proxies;
            let (answer, question) = leases[proxy].take(7, Window::of(rate, at), at);
            passed += u64::from(answer.is_ok());
            asked.extend(question.map(|question| (at + delay, proxy, question)));
        }
        passed
    }

    #[test]
    fn a_limit_holds_however_many_proxies_share_it() {
        for (requests, seconds, burst) in [(100, 1, 10), (100, 1, 100), (2000, 1, 10), (60, 60, 2)] {
            let rate = rate(requests, seconds, burst);
            let window = Window::of(&rate, 0);
            for proxies in [1, 3] {
                for delay in [200, 2_000, 20_000] {
                    let time = 60;
                    let passed = passed(&rate, proxies, 5000, time, delay);
                    let expected = u64::from(requests) * time / u64::from(seconds);
                    // The edges of the measurement, and what came in on credit at its end.
                    let slack = expected / 20 + 2 * window.room;
                    assert!(passed.abs_diff(expected) <= slack, "{rate:?} {proxies} {delay}: {passed} of {expected}");
                }
            }
        }
    }

    #[test]
    fn below_its_limit_a_client_is_never_refused() {
        for (requests, seconds, burst, per_second) in [(100, 1, 100, 90), (10, 1, 10, 9), (1000, 1, 10, 900)] {
            for proxies in [1, 3] {
                let all = per_second * 60;
                let passed = passed(&rate(requests, seconds, burst), proxies, per_second, 60, 2_000);
                assert!(all - passed <= all / 100, "{requests} {proxies}: {passed} of {all}");
            }
        }
    }

    #[test]
    fn a_store_that_does_not_answer_lets_a_window_in_on_credit() {
        let (rate, leases) = (rate(10, 1, 10), Leases::with_places(SET));
        let window = Window::of(&rate, 5_000_000);
        let mut questions = Vec::new();
        let let_in = |at: u64, questions: &mut Vec<Question>| {
            (0..100)
                .filter(|_| {
                    let (answer, question) = leases.take(7, Window::of(&rate, at), at);
                    questions.extend(question);
                    answer.is_ok()
                })
                .count()
        };
        assert_eq!(let_in(5_000_000, &mut questions), 10);
        assert_eq!(questions, [Question { key: 7, window, number: 1 }], "one at a time");
        // Others have taken all of it: it is paid in the next window.
        leases.count(questions.pop().unwrap(), 10);
        assert_eq!(let_in(5_500_000, &mut questions), 0);
        assert_eq!(leases.take(7, window, 5_500_000).0, Err(Duration::from_millis(500)));
        assert_eq!(let_in(6_000_000, &mut questions), 0, "a whole window of debt");
        let next = questions.pop().unwrap();
        assert_eq!((next.number, next.window.number), (10, window.number + 1));
        leases.count(next, 0);
        assert_eq!(let_in(6_500_000, &mut questions), 0);
        assert_eq!(let_in(7_000_000, &mut questions), 10);
        // One that is lost is forgotten, and asked again.
        leases.lose(questions.pop().unwrap());
        assert_eq!(leases.take(7, Window::of(&rate, 8_000_000), 8_000_000).1.map(|question| question.number), Some(10));
    }

    /// Requests that are refused by another limit, and given back, leave room for one that is not, at this proxy; the store hears of one.
    #[test]
    fn requests_that_are_given_back_take_nothing_from_the_next() {
        let (rate, leases) = (rate(10, 1, 10), Leases::with_places(SET));
        let at = 5_000_000;
        let take = |at| leases.take(7, Window::of(&rate, at), at);
        let (answer, first) = take(at);
        assert!(answer.is_ok());
        for _ in 0..1000 {
            leases.give_back(7);
            assert_eq!(take(at), (Ok(()), None));
        }
        leases.give_back(7);
        // With an answer it is the same.
        assert_eq!(leases.count(first.unwrap(), 0), None);
        for _ in 0..1000 {
            assert_eq!(take(at), (Ok(()), None));
            leases.give_back(7);
        }
        let mut asked = 0;
        let passed = (0..100).filter(|_| {
            let (answer, question) = take(at);
            if let Some(question) = question {
                asked += question.number;
                leases.count(question, asked);
            }
            answer.is_ok()
        });
        assert_eq!(passed.count(), 10);
        assert_eq!(asked, 9, "one was asked for before");
        // One that the store has not heard of is no debt, and one that it has no room for is none either.
        let at = at + 1_000_000;
        let question = take(at).1.unwrap();
        assert_eq!(take(at), (Ok(()), None));
        (0..2).for_each(|_| leases.give_back(7));
        assert_eq!(leases.count(question, 10), None);
        let next = take(at + 1_000_000).1.unwrap();
        assert_eq!(next.number, 1, "no debt is left");
        // A token that is given back is for its own window.
        leases.give_back(7);
        leases.count(next, 0);
        let later = at + 2_000_000;
        let passed = (0..100).filter(|_| leases.take(7, Window::of(&rate, later), later).0.is_ok()).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn others_are_counted_among_those_that_are_gone_as_soon_as_the_store_has_told() {
        let (rate, leases) = (rate(10, 1, 10), Leases::with_places(SET));
        let window = Window::of(&rate, 5_200_000);
        let left = || leases.left(7, window, 5_200_000);
        assert_eq!(left(), (10, Duration::from_millis(800)));
        let (_, question) = leases.take(7, window, 5_200_000);
        assert_eq!(left().0, 9);
        // Others have had three.
        assert_eq!(leases.count(question.unwrap(), 3), None);
        assert_eq!(left().0, 6);
        let (_, question) = leases.take(7, window, 5_200_000);
        assert_eq!(left().0, 5);
        leases.count(question.unwrap(), 10);
        assert_eq!(left().0, 0);
        let next = Window::of(&rate, 6_000_000);
        assert_eq!(leases.left(7, next, 6_000_000), (10, Duration::from_secs(1)));
    }

    #[test]
    fn windows_have_the_rate_of_their_limit() {
        for (requests, seconds, burst, room, len) in [
            (10, 1, 10, 10, 1_000_000),
            (6, 60, 2, 2, 20_000_000),
            (1000, 3600, 1, 1, 3_600_000),
            (1000, 1, 1, 100, 100_000),
            (7, 1, 1, 1, 142_857),
        ] {
            let window = Window::of(&rate(requests, seconds, burst), 123_456_789);
            assert_eq!((window.room, window.len), (room, len));
            assert!(window.end > 123_456_789 && window.end - len <= 123_456_789);
        }
    }

    #[test]
    fn a_full_table_forgets_debts_last() {
        let (rate, leases) = (rate(1, 3600, 5), Leases::with_places(SET));
        let window = Window::of(&rate, 1);
        let (_, question) = leases.take(1, window, 1);
        leases.count(question.unwrap(), 5);
        for key in 2..1000 {
            let (answer, question) = leases.take(key, window, 1);
            assert!(answer.is_ok());
            leases.count(question.unwrap(), 0);
            assert!(leases.take(1, window, 1).0.is_err(), "{key}");
        }
    }
}
