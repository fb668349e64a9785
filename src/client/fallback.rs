//! Replacements for an answer that does not come: an old answer or a fixed text, if that is better than nothing.
//!
//! A fallback never hides: a [`Reply`] says that it is one and what it stands for. The caller decides whether the price
//! of yesterday is better than no price.
//!
//! ```
//! use socket_patterns::client::{Client, Config, Fallback, Reply, Request, demo};
//!
//! let server = demo::command_server()?;
//! let client = Client::connect(server.address(), Config::default())?;
//! let mut fallback = Fallback::last_answer();
//! let request = Request::new("ECHO 42")?.idempotent();
//!
//! let reply = fallback.apply(&request, client.ask(request.clone()))?;
//! assert!(matches!(&reply, Reply::Live(answer) if answer.text == "42"));
//! client.close();
//! let reply = fallback.apply(&request, client.ask(request.clone()))?;
//! assert!(matches!(&reply, Reply::Fallback { text, .. } if text == "42"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{Answer, Error, Request};
use std::collections::{HashMap, VecDeque};

/// How many last answers are remembered. Beyond that, the one that was learned first is forgotten.
const REMEMBERED: usize = 1024;

/// A replacement for answers.
#[derive(Debug, Clone)]
pub struct Fallback {
    fixed: Option<String>,
    remembers: bool,
    last: HashMap<String, String>,
    /// The keys of `last`, in the order in which they were learned.
    learned: VecDeque<String>,
}

/// An answer, or what stands in for it.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The server's own.
    Live(Answer),
    /// Not the server's, or not of today.
    Fallback {
        /// The text to show instead.
        text: String,
        /// Why the server did not answer, and whether it may have executed the request all the same.
        because: Error,
    },
}

impl Reply {
    /// The text to show.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Live(answer) => &answer.text,
            Self::Fallback { text, .. } => text,
        }
    }
}

impl Fallback {
    /// The same text for every request.
    #[must_use]
    pub fn fixed(text: impl Into<String>) -> Self {
        Self { fixed: Some(text.into()), remembers: false, last: HashMap::new(), learned: VecDeque::new() }
    }

    /// The last answer to the same request, if there was one.
    #[must_use]
    pub fn last_answer() -> Self {
        Self { fixed: None, remembers: true, last: HashMap::new(), learned: VecDeque::new() }
    }

    /// Passes an answer on, or puts something in the place of an error.
    ///
    /// # Errors
    ///
    /// The error itself, if there is nothing to put in its place, or if the request is wrong: then no answer fits.
    pub fn apply(&mut self, request: &Request, result: Result<Answer, Error>) -> Result<Reply, Error> {
        match result {
            Ok(answer) => {
                self.learn(request, &answer);
                Ok(Reply::Live(answer))
            }
            Err(error @ Error::Invalid(_)) => Err(error),
            Err(because) => match self.last.get(request.text()).or(self.fixed.as_ref()).cloned() {
                Some(text) => Ok(Reply::Fallback { text, because }),
                None => Err(because),
            },
        }
    }

    fn learn(&mut self, request: &Request, answer: &Answer) {
        // The answer to a request that must not be repeated says nothing about the next such request.
        if !self.remembers || !request.is_idempotent() {
            return;
        }
        if self.last.insert(request.text().to_owned(), answer.text.clone()).is_none() {
            self.learned.push_back(request.text().to_owned());
        }
        if self.learned.len() > REMEMBERED
            && let Some(oldest) = self.learned.pop_front()
        {
            self.last.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Cause, *};

    fn answer(text: &str) -> Answer {
        Answer { text: text.to_owned(), tries: 1 }
    }

    fn reply(fallback: &mut Fallback, request: &Request, result: Result<Answer, Error>) -> Option<(bool, String)> {
        let reply = fallback.apply(request, result).ok()?;
        Some((matches!(reply, Reply::Live(_)), reply.text().to_owned()))
    }

    #[test]
    fn an_answer_passes_and_an_error_is_replaced() {
        let request = Request::new("TIME").unwrap().idempotent();
        let lost = || Err(Error::NotSent(Cause::Ended));
        let mut fixed = Fallback::fixed("unknown");
        assert_eq!(reply(&mut fixed, &request, Ok(answer("9"))), Some((true, "9".to_owned())));
        assert_eq!(reply(&mut fixed, &request, lost()), Some((false, "unknown".to_owned())));
        assert_eq!(reply(&mut fixed, &request, Err(Error::Invalid("no"))), None);
        let mut last = Fallback::last_answer();
        assert_eq!(reply(&mut last, &request, lost()), None);
        reply(&mut last, &request, Ok(answer("8")));
        reply(&mut last, &request, Ok(answer("9")));
        assert_eq!(reply(&mut last, &request, lost()), Some((false, "9".to_owned())));
        assert_eq!(reply(&mut last, &Request::new("PING").unwrap(), lost()), None);
    }

    #[test]
    fn the_number_of_remembered_answers_is_bounded() {
        let mut last = Fallback::last_answer();
        let request = |n: usize| Request::new(format!("ECHO {n}")).unwrap().idempotent();
        for n in 0..=REMEMBERED {
            reply(&mut last, &request(n), Ok(answer("x")));
            reply(&mut last, &Request::new(format!("ADD {n}")).unwrap(), Ok(answer("x")));
        }
        assert_eq!((last.last.len(), last.learned.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(reply(&mut last, &request(0), Err(Error::NotSent(Cause::Ended))), None);
        assert!(reply(&mut last, &request(1), Err(Error::NotSent(Cause::Ended))).is_some());
    }
}
