//! Which answer belongs to which request, when many share a connection and answers come in any order.
//!
//! ```text
//!   send ──▶ #5 #6 #7 #8          ids count up and are never used again
//!   receive  #7 → the third       overtaken by nobody, overtakes two
//!   give_up  #5                   its time is over: the answer, if it still comes, is late
//!   receive  #5 → late            dropped and counted, not given to #6
//!   receive  #7 → an error        of the peer: it was answered
//! ```
//!
//! Without ids, the answer to a request that timed out would be taken for the answer to the next one, and so would every
//! answer after it.
//!
//! ```
//! use socket_patterns::client::{Correlation, Received, demo};
//! use std::{io::{BufRead, BufReader, Write}, time::Duration};
//!
//! let server = demo::command_server()?;
//! let mut stream = socket_patterns::net::connect::connect(server.address(), Duration::from_secs(5))?;
//! let mut correlation = Correlation::new();
//! for command in ["DELAY 50 slow", "ECHO quick"] {
//!     let id = correlation.send(command);
//!     write!(stream, "#{id} {command}\n")?;
//! }
//! let mut answered = Vec::new();
//! for line in BufReader::new(stream).lines().take(2) {
//!     match correlation.receive(line?.as_bytes()).expect("the peer follows the protocol") {
//!         Received::Answer(command, answer) => answered.push((command, String::from_utf8_lossy(answer).into_owned())),
//!         Received::Late(_) => {}
//!     }
//! }
//! assert_eq!(answered, [("ECHO quick", "quick".to_owned()), ("DELAY 50 slow", "slow".to_owned())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::PeerError;
use std::{collections::VecDeque, mem};

/// How far answers may run ahead of a request that is not answered. Each costs a place in memory, and a peer that never
/// answers one of them is not working.
pub const MAX_WINDOW: usize = 64 * 1024;

/// The requests of one connection whose answers are to come.
#[derive(Debug)]
pub struct Correlation<T> {
    /// The id of `window[0]`.
    first: u64,
    window: VecDeque<Slot<T>>,
    waiting: usize,
    late: u64,
}

#[derive(Debug)]
enum Slot<T> {
    Waiting(T),
    GivenUp,
    Answered,
}

/// The request that an answer belongs to, if any.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'l, T> {
    /// The answer to this request, without its id.
    Answer(T, &'l [u8]),
    /// The answer to a request that was given up: no caller waits for it.
    Late(u64),
}

impl<T> Default for Correlation<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Correlation<T> {
    /// Nothing was sent.
    #[must_use]
    pub fn new() -> Self {
        Self { first: 1, window: VecDeque::new(), waiting: 0, late: 0 }
    }

    /// The id that the next request will have.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.first + self.window.len() as u64
    }

    /// A request is about to be sent: the id to send it with.
    pub fn send(&mut self, request: T) -> u64 {
        let id = self.next_id();
        self.window.push_back(Slot::Waiting(request));
        self.waiting += 1;
        id
    }

    /// A line arrived, without its end.
    ///
    /// # Errors
    ///
    /// It is no answer to anything. Close the connection: the peer and we no longer mean the same by an id.
    pub fn receive<'l>(&mut self, line: &'l [u8]) -> Result<Received<'l, T>, PeerError> {
        let (id, text) = split(line).ok_or(PeerError::NoId)?;
        let at = id.checked_sub(self.first).ok_or(PeerError::AnsweredTwice)?;
        let slot = usize::try_from(at).ok().and_then(|at| self.window.get_mut(at)).ok_or(PeerError::UnknownId)?;
        let received = match mem::replace(slot, Slot::Answered) {
            Slot::Waiting(request) => {
                self.waiting -= 1;
                Received::Answer(request, text)
            }
            Slot::GivenUp => {
                self.late += 1;
                Received::Late(id)
            }
            Slot::Answered => return Err(PeerError::AnsweredTwice),
        };
        self.trim();
        Ok(received)
    }

    /// A request is no longer waited for. It is given back, unless it was answered or given up before.
    pub fn give_up(&mut self, id: u64) -> Option<T> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        let slot = self.window.get_mut(at)?;
        match mem::replace(slot, Slot::GivenUp) {
            Slot::Waiting(request) => {
                self.waiting -= 1;
                Some(request)
            }
            other => {
                *slot = other;
                None
            }
        }
    }

    /// A request was not sent after all, and never will be: no answer to it can come.
    pub fn withdraw(&mut self, id: u64) -> Option<T> {
        let request = self.give_up(id)?;
        let at = usize::try_from(id - self.first).expect("it was found there");
        self.window[at] = Slot::Answered;
        self.trim();
        Some(request)
    }

    /// The connection is lost: all that waited, with their ids, in the order in which they were sent. Ids go on counting, so
    /// that nothing of the old connection is mistaken for something of the next.
    pub fn lost(&mut self) -> impl Iterator<Item = (u64, T)> + use<T> {
        let first = self.first;
        self.first += self.window.len() as u64;
        self.waiting = 0;
        let slots = mem::take(&mut self.window).into_iter();
        slots.zip(first..).filter_map(|(slot, id)| match slot {
            Slot::Waiting(request) => Some((id, request)),
            Slot::GivenUp | Slot::Answered => None,
        })
    }

    /// Those that wait, with their ids, in the order in which they were sent.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &T)> {
        self.window.iter().zip(self.first..).filter_map(|(slot, id)| match slot {
            Slot::Waiting(request) => Some((id, request)),
            Slot::GivenUp | Slot::Answered => None,
        })
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether the peer has left a request behind by [`MAX_WINDOW`] others: nothing more should be sent to it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.window.len() >= MAX_WINDOW
    }

    /// How many answers came too late, on all connections.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Forgets the oldest that need not be remembered.
    fn trim(&mut self) {
        while let Some(Slot::Answered) = self.window.front() {
            self.window.pop_front();
            self.first += 1;
        }
    }
}

/// The id at the start of a line, and what follows it.
fn split(line: &[u8]) -> Option<(u64, &[u8])> {
    let numbered = line.strip_prefix(b"#")?;
    let end = numbered.iter().position(|byte| *byte == b' ').unwrap_or(numbered.len());
    let (digits, rest) = numbered.split_at(end);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let id = str::from_utf8(digits).ok()?.parse().ok()?;
    Some((id, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_line_is_an_answer_only_with_an_id() {
        const CASES: &[(&str, Option<(u64, &str)>)] = &[
            ("#1 PONG", Some((1, "PONG"))),
            ("#1", Some((1, ""))),
            ("#1 ", Some((1, ""))),
            ("#12  a #1 b", Some((12, " a #1 b"))),
            ("#18446744073709551615 x", Some((u64::MAX, "x"))),
            ("#18446744073709551616 x", None),
            ("#", None),
            ("# 1", None),
            ("#+1 x", None),
            ("#1x y", None),
            (" #1 x", None),
            ("1 x", None),
            ("", None),
            ("ERROR busy: try again later", None),
        ];
        for (line, expected) in CASES {
            assert_eq!(split(line.as_bytes()), expected.map(|(id, text)| (id, text.as_bytes())), "{line:?}");
        }
    }

    #[test]
    fn answers_in_any_order_find_their_requests() {
        let mut correlation = Correlation::new();
        let ids: Vec<u64> = ["a", "b", "c"].map(|request| correlation.send(request)).into();
        assert_eq!((ids, correlation.len()), (vec![1, 2, 3], 3));
        assert_eq!(correlation.receive(b"#2 B"), Ok(Received::Answer("b", b"B")));
        assert_eq!(correlation.receive(b"#3"), Ok(Received::Answer("c", b"")));
        assert_eq!(correlation.receive(b"#1 A"), Ok(Received::Answer("a", b"A")));
        assert!(correlation.is_empty() && correlation.window.is_empty());
        assert_eq!(correlation.send("d"), 4);
    }

    #[test]
    fn a_late_answer_is_dropped_and_a_wrong_one_is_an_error() {
        let mut correlation = Correlation::new();
        for request in 'a'..='c' {
            correlation.send(request);
        }
        assert_eq!((correlation.give_up(1), correlation.give_up(1)), (Some('a'), None));
        assert_eq!(correlation.receive(b"#2 B"), Ok(Received::Answer('b', b"B")));
        assert_eq!(correlation.receive(b"#1 A"), Ok(Received::Late(1)));
        for (line, error) in [
            ("#1 A", PeerError::AnsweredTwice),
            ("#2 B", PeerError::AnsweredTwice),
            ("#0 x", PeerError::AnsweredTwice),
            ("#4 x", PeerError::UnknownId),
            ("#18446744073709551615 x", PeerError::UnknownId),
            ("x", PeerError::NoId),
        ] {
            assert_eq!(correlation.receive(line.as_bytes()), Err(error), "{line}");
        }
        assert_eq!((correlation.late(), correlation.len()), (1, 1));
        assert_eq!((correlation.give_up(2), correlation.give_up(4), correlation.give_up(0)), (None, None, None));
    }

    #[test]
    fn after_a_loss_the_old_ids_mean_nothing() {
        let mut correlation = Correlation::new();
        for request in 'a'..='d' {
            correlation.send(request);
        }
        correlation.give_up(2);
        correlation.receive(b"#3 C").unwrap();
        assert_eq!(correlation.withdraw(4), Some('d'));
        assert_eq!(correlation.lost().collect::<Vec<_>>(), [(1, 'a')]);
        assert!(correlation.is_empty());
        assert_eq!(correlation.send('e'), 5);
        assert_eq!(correlation.receive(b"#1 A"), Err(PeerError::AnsweredTwice));
        assert_eq!(correlation.receive(b"#4 D"), Err(PeerError::AnsweredTwice));
        assert_eq!(correlation.receive(b"#5 E"), Ok(Received::Answer('e', b"E")));
    }

    #[test]
    fn a_request_that_is_left_behind_is_noticed() {
        let mut correlation = Correlation::new();
        for _ in 0..MAX_WINDOW {
            assert!(!correlation.is_full());
            let id = correlation.send(());
            if id > 1 {
                correlation.receive(format!("#{id}").as_bytes()).unwrap();
            }
        }
        assert!(correlation.is_full());
        correlation.receive(b"#1").unwrap();
        assert!(!correlation.is_full() && correlation.window.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Send,
        Answer(u64),
        GiveUp(u64),
        Lose,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Send),
            4 => (0..40u64).prop_map(Step::Answer),
            2 => (0..40u64).prop_map(Step::GiveUp),
            1 => Just(Step::Lose),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Against a map: each request is answered at most once, by the answer with its own id.
        #[test]
        fn behaves_as_a_map(steps in steps()) {
            let mut correlation = Correlation::new();
            let (mut model, mut given_up) = (BTreeMap::new(), Vec::new());
            let mut sent = 0u64;
            for step in steps {
                match step {
                    Step::Send => {
                        sent += 1;
                        prop_assert_eq!(correlation.send(sent * 7), sent);
                        model.insert(sent, sent * 7);
                    }
                    Step::Answer(id) => {
                        let line = format!("#{id} {id}");
                        let expected = match model.remove(&id) {
                            Some(request) => Ok(Received::Answer(request, &line.as_bytes()[line.len() - id.to_string().len()..])),
                            None if given_up.contains(&id) => {
                                given_up.retain(|other| *other != id);
                                Ok(Received::Late(id))
                            }
                            None if id > sent => Err(PeerError::UnknownId),
                            None => Err(PeerError::AnsweredTwice),
                        };
                        prop_assert_eq!(correlation.receive(line.as_bytes()), expected);
                    }
                    Step::GiveUp(id) => {
                        let request = model.remove(&id);
                        given_up.extend(request.map(|_| id));
                        prop_assert_eq!(correlation.give_up(id), request);
                    }
                    Step::Lose => {
                        prop_assert_eq!(correlation.lost().collect::<BTreeMap<_, _>>(), std::mem::take(&mut model));
                        given_up.clear();
                    }
                }
                prop_assert_eq!(correlation.len(), model.len());
                prop_assert_eq!(correlation.waiting().map(|(id, _)| id).collect::<Vec<_>>(), model.keys().copied().collect::<Vec<_>>());
            }
        }
    }
}
