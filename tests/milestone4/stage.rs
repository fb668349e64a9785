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
pub(crate) struct Step {
    /// `GET` and the like.
    pub(crate) method: &'static str,
    /// Further field lines, each with its line break.
    pub(crate) fields: &'static str,
    /// The backend's answers, one after the other. None: it must not be asked.
    pub(crate) backend: &'static [&'static str],
    /// Fields that the last of the backend's requests must have (`Name: value`), or must not have (`!Name`).
    pub(crate) asked: &'static [&'static str],
    /// The status that the client gets.
    pub(crate) status: u16,
    /// The content that it gets.
    pub(crate) body: &'static str,
    /// Fields that its response must have, or must not have.
    pub(crate) got: &'static [&'static str],
}

/// A `GET` that is answered from the cache with this body.
pub(crate) const HIT: Step =
    Step { method: "GET", fields: "", backend: &[], asked: &[], status: 200, body: "", got: &["Age", "Cache-Status"] };

/// A request for which the backend has to be asked.
pub(crate) const MISS: Step = Step { got: &[], ..HIT };

/// The proxy, and the ends on both its sides.
pub(crate) struct Stage {
    proxy: Process,
    client: Conn,
    backend: Backend,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Stage {
    pub(crate) fn new(milestone: &Milestone, flags: &[&str]) -> Self {
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

    /// Each conversation is about a resource of its own, so that one proxy serves them all. A failure in one does not
    /// hide a failure in the next.
    pub(crate) fn play(&mut self, conversations: &[(&str, &[Step])]) {
        let mut wrong = Vec::new();
        for (at, (what, steps)) in conversations.iter().enumerate() {
            let outcome = steps.iter().enumerate().try_for_each(|(number, step)| {
                let told = self.step(&format!("/{at}"), step);
                told.map_err(|why| format!("{what}, request {}: {why}", number + 1))
            });
            wrong.extend(outcome.err());
        }
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n\n"));
    }

    fn step(&mut self, target: &str, step: &Step) -> Result<(), String> {
        let before = self.backend.requests().len();
        *self.answers.lock().unwrap() = step.backend.iter().map(|answer| (*answer).to_owned()).collect();
        self.client.send(format!("{} {target} HTTP/1.1\r\nHost: test\r\n{}\r\n", step.method, step.fields));
        let got = match self.client.outcome(step.method) {
            Ok(got) => got,
            Err(end) => {
                self.client = Conn::open(self.proxy.address());
                return Err(format!("the connection ended ({end:?})"));
            }
        };
        if got.field("connection") == Some("close") {
            self.client = Conn::open(self.proxy.address());
        }
        let asked = self.backend.requests().split_off(before);
        if asked.len() != step.backend.len() {
            return Err(format!("{} requests to the backend\n{}\n{}", asked.len(), heads(&asked), head(&got)));
        }
        if let Some(asked) = asked.last() {
            check(asked, step.asked)?;
        }
        let body = String::from_utf8_lossy(&got.body);
        if (got.status(), &*body) != (step.status, step.body) {
            return Err(format!("{:?} instead of {} {:?}\n{}", body, step.status, step.body, head(&got)));
        }
        check(&got, step.got)
    }
}

/// `Name`, `!Name`, `Name: value`, `Name~part of the value`.
fn check(message: &Message, expectations: &[&str]) -> Result<(), String> {
    let values = |name: &str| {
        message.head.as_ref().map(|head| head.all(name).collect::<Vec<_>>().join(", ")).unwrap_or_default()
    };
    let holds = |expectation: &str| {
        if let Some(name) = expectation.strip_prefix('!') {
            message.field(name).is_none()
        } else if let Some((name, value)) = expectation.split_once(": ") {
            message.field(name).is_some() && values(name) == value
        } else if let Some((name, part)) = expectation.split_once('~') {
            values(name).contains(part)
        } else {
            message.field(expectation).is_some()
        }
    };
    match expectations.iter().find(|expectation| !holds(expectation)) {
        None => Ok(()),
        Some(expectation) => Err(format!("not so: {expectation}\n{}", head(message))),
    }
}

fn head(message: &Message) -> String {
    let head = message.head.as_ref();
    let lines =
        head.into_iter().flat_map(|head| head.fields.iter().map(|(name, value)| format!("\n  {name}: {value}")));
    head.map(|head| head.start.join(" ")).unwrap_or_default() + &lines.collect::<String>()
}

fn heads(messages: &[Message]) -> String {
    messages.iter().map(head).collect::<Vec<_>>().join("\n")
}
