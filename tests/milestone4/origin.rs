//! A backend that answers each target with what the test put there for it, in order, and a client's view of it.

use crate::support::{
    milestones::Milestone,
    process::Process,
    raw::{Backend, Conn},
    wire::Message,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// The answers that are still to be sent, by target.
type Scripts = Arc<Mutex<HashMap<String, VecDeque<String>>>>;

/// A backend with a script for each target, and the proxy in front of it.
pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) proxy: Process,
    scripts: Scripts,
}

impl World {
    /// A proxy with these flags. Without anything more to say the backend answers `404` that is not stored.
    pub(crate) fn new(milestone: &Milestone, flags: &[&str]) -> Self {
        let scripts = Scripts::default();
        let said = scripts.clone();
        let backend = Backend::start(move |mut served| {
            while let Some(request) = served.request() {
                let next = lock(&said).get_mut(target(&request)).and_then(VecDeque::pop_front);
                let answer =
                    next.unwrap_or_else(|| response(404, "Cache-Control: no-store\r\n", "nothing more to say"));
                if answer.is_empty() || served.conn.try_send(answer).is_err() {
                    return;
                }
            }
        });
        let proxy = milestone.start(&[&backend], &[milestone.forgiving(), flags].concat());
        Self { backend, proxy, scripts }
    }

    /// The next answer for `target`; an empty one ends the connection.
    pub(crate) fn say(&self, target: &str, answer: impl Into<String>) {
        lock(&self.scripts).entry(target.to_owned()).or_default().push_back(answer.into());
    }

    /// One request of a client of its own.
    pub(crate) fn ask(&self, method: &str, target: &str, lines: &str) -> Message {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n");
        Conn::open(self.proxy.address()).ask(&request)
    }

    pub(crate) fn get(&self, target: &str) -> Message {
        self.ask("GET", target, "")
    }

    /// How many requests for it reached the backend.
    pub(crate) fn asked(&self, target: &str) -> usize {
        self.backend.requests().iter().filter(|request| self::target(request) == target).count()
    }
}

/// A whole response. `{+60}` and `{-60}` in the lines become the date in, and before, so many seconds.
pub(crate) fn response(status: u16, lines: &str, body: &str) -> String {
    let lines = dated(lines);
    if matches!(status, 204 | 304) {
        return format!("HTTP/1.1 {status} X\r\n{lines}\r\n");
    }
    format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Replaces `{±seconds}` with dates.
pub(crate) fn dated(lines: &str) -> String {
    let mut text = String::new();
    let mut rest = lines;
    while let Some((before, after)) = rest.split_once('{') {
        let (offset, after) = after.split_once('}').expect("a brace is closed");
        text += before;
        text += &date(offset.parse().expect("an offset in seconds"));
        rest = after;
    }
    text + rest
}

fn date(offset: i64) -> String {
    #[allow(clippy::disallowed_methods)] // Black-box tests have the real clock.
    let now = SystemTime::now();
    let distance = Duration::from_secs(offset.unsigned_abs());
    httpdate::fmt_http_date(if offset < 0 { now - distance } else { now + distance })
}

pub(crate) fn field<'m>(message: &'m Message, name: &str) -> &'m str {
    message.field(name).unwrap_or("-")
}

pub(crate) fn body(message: &Message) -> &str {
    std::str::from_utf8(&message.body).expect("tests answer with text")
}

/// All values of a field, in order.
pub(crate) fn all<'m>(message: &'m Message, name: &'m str) -> Vec<&'m str> {
    message.head.iter().flat_map(|head| head.all(name)).collect()
}

fn target(request: &Message) -> &str {
    request.head.as_ref().map_or("", |head| head.target())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
