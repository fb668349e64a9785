//! A proxy between a client and a backend that say, in turn, exactly what a test wants: conversations as tables.

use crate::support::{
    milestones::Milestone,
    process::Process,
    raw::{Backend, Conn},
    wire::Message,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

/// One request of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// `GET` and the like.
    pub method: &'static str,
    /// Further field lines, each with its line break.
    pub fields: &'static str,
    /// What the backend answers, one after the other. Nothing: it must not be asked.
    pub backend: &'static [&'static str],
    /// What the last of the backend's requests has to have (`Name: value`), or must not have (`!Name`).
    pub asked: &'static [&'static str],
    /// The status that the client gets.
    pub status: u16,
    /// The content that it gets.
    pub body: &'static str,
    /// What its response has to have, or must not have.
    pub got: &'static [&'static str],
}

/// A `GET` that is answered from the cache with this body.
pub const HIT: Step =
    Step { method: "GET", fields: "", backend: &[], asked: &[], status: 200, body: "", got: &["Age", "Cache-Status"] };

/// A request for which the backend has to be asked.
pub const MISS: Step = Step { got: &[], ..HIT };

/// The proxy, and the ends on both its sides.
pub struct Stage {
    proxy: Process,
    client: Conn,
    backend: Backend,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Stage {
    pub fn new(milestone: &Milestone, flags: &[&str]) -> Self {
        let answers: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let script = answers.clone();
        let backend = Backend::start(move |mut served| {
            while served.request().is_some() {
                let answer = script.lock().unwrap().pop_front();
                let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nnobody should ask me";
                // The proxy may have enough of a connection on which something odd came.
                let _ = served.conn.try_send(answer.as_deref().unwrap_or(unasked));
            }
        });
        let flags = [&["--workers", "1"], milestone.forgiving(), flags].concat();
        let proxy = milestone.start(&[&backend], &flags);
        let client = Conn::open(proxy.address());
        Self { proxy, client, backend, answers }
    }

    /// Each conversation is about a resource of its own, so that one proxy serves them all.
    pub fn play(&mut self, conversations: &[(&str, &[Step])]) {
        for (at, (what, steps)) in conversations.iter().enumerate() {
            for (number, step) in steps.iter().enumerate() {
                let context = format!("{what}, request {}", number + 1);
                self.step(&format!("/{at}"), step, &context);
            }
        }
    }

    fn step(&mut self, target: &str, step: &Step, context: &str) {
        let before = self.backend.requests().len();
        *self.answers.lock().unwrap() = step.backend.iter().map(|answer| (*answer).to_owned()).collect();
        self.client.send(format!("{} {target} HTTP/1.1\r\nHost: test\r\n{}\r\n", step.method, step.fields));
        let got = match self.client.outcome(step.method) {
            Ok(got) => got,
            Err(end) => panic!("{context}: the connection ended ({end:?})"),
        };
        let asked = self.backend.requests().split_off(before);
        assert_eq!(asked.len(), step.backend.len(), "{context}: requests to the backend: {asked:#?}\nresponse: {got:#?}");
        if let Some(asked) = asked.last() {
            check(asked, step.asked, &format!("{context}: the backend was asked"));
        }
        let body = String::from_utf8_lossy(&got.body);
        assert_eq!((got.status(), &*body), (step.status, step.body), "{context}: {got:#?}");
        check(&got, step.got, &format!("{context}: the client got"));
        if got.field("connection") == Some("close") {
            self.client = Conn::open(self.proxy.address());
        }
    }
}

/// `Name`, `!Name`, `Name: value`, `Name~part of the value`.
fn check(message: &Message, expectations: &[&str], context: &str) {
    for expectation in expectations {
        let values = |name: &str| message.all(name).collect::<Vec<_>>().join(", ");
        let holds = if let Some(name) = expectation.strip_prefix('!') {
            message.field(name).is_none()
        } else if let Some((name, value)) = expectation.split_once(": ") {
            message.field(name).is_some() && values(name) == value
        } else if let Some((name, part)) = expectation.split_once('~') {
            values(name).contains(part)
        } else {
            message.field(expectation).is_some()
        };
        assert!(holds, "{context} without {expectation:?}: {message:#?}");
    }
}
