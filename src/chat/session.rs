//! A connection that was just accepted, and what it turns out to be.
//!
//! One port for all: the first bytes tell. A browser speaks first and says `GET /`; a person with `nc` says something else, or waits to be
//! greeted. So silence for a moment means a person, and only then the server speaks first.
//!
//! ```text
//!            `GET /`, …             101
//!   New ───────────────▶ Visitor ───────▶ SocketClient     a browser
//!    ╰──── any other byte, or silence ──▶ LineClient        nc, telnet
//! ```

use super::{
    house::House,
    http::{Asked, Visitor},
    lines::LineClient,
    socket::SocketClient,
    talk::Config,
};
use crate::{
    buf::Output,
    session::{CloseReason, Session, Waker, Wants},
    time::{Instant, Now},
};
use std::{mem, sync::Arc, time::Duration};

/// Silence after which a client is a person who waits to be greeted. A browser's request comes right behind its connection; one that was
/// lost on the way comes again within this time.
const GREETING: Duration = Duration::from_secs(1);

/// How long the rest of a word may take that may become a request.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// The beginnings of requests.
const METHODS: &[&[u8]] =
    &[b"GET /", b"HEAD /", b"POST /", b"PUT /", b"DELETE /", b"OPTIONS ", b"PATCH /", b"CONNECT ", b"TRACE /"];

/// One client.
pub struct Chat {
    house: Arc<House>,
    config: Arc<Config>,
    waker: Option<Waker>,
    now: Now,
    state: State,
}

enum State {
    /// It has said so much.
    New { heard: Vec<u8>, since: Instant, output: Output },
    /// The kind that it turned out to be.
    Known(Box<dyn Session + Send>),
    /// A browser: it may become a WebSocket.
    Visitor(Box<Visitor>),
    /// It was told why, in what is left.
    Refused(Output),
    /// It has gone without a word.
    Gone(Output),
}

/// The meaning of a client's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Request,
    Line,
    /// It takes more of them to know.
    Open,
}

impl First {
    fn of(bytes: &[u8]) -> Self {
        if METHODS.iter().any(|method| bytes.starts_with(method)) {
            Self::Request
        } else if METHODS.iter().any(|method| method.starts_with(bytes)) {
            Self::Open
        } else {
            Self::Line
        }
    }
}

impl Chat {
    pub(crate) fn new(house: Arc<House>, config: Arc<Config>, now: Now) -> Self {
        let state = State::New { heard: Vec::new(), since: now.instant, output: Output::new() };
        Self { house, config, waker: None, now, state }
    }

    /// The first bytes are known to be a request, or not to be one.
    fn begin(&mut self, is_request: bool) {
        let State::New { heard, .. } = &mut self.state else { return };
        let heard = mem::take(heard);
        if is_request {
            self.state = State::Visitor(Box::new(Visitor::new(Arc::clone(&self.config), self.now)));
        } else {
            self.state = match LineClient::begin(&self.house, &self.config, self.waker.clone(), self.now) {
                Ok(client) => State::Known(Box::new(client)),
                Err(why) => refused(why.as_bytes()),
            };
        }
        self.receive(&heard, self.now);
    }

    /// A browser that asked for a WebSocket becomes one.
    fn upgrade(&mut self) {
        let State::Visitor(visitor) = &mut self.state else { return };
        let Some(Asked { answer, rest }) = visitor.take_upgrade(self.now.wall) else { return };
        self.state = match SocketClient::begin(&self.house, &self.config, self.waker.clone(), answer, self.now) {
            Ok(client) => State::Known(Box::new(client)),
            Err(_) => refused(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        };
        self.receive(&rest, self.now);
    }

    fn session(&mut self) -> Option<&mut dyn Session> {
        match &mut self.state {
            State::Known(session) => Some(&mut **session),
            State::Visitor(visitor) => Some(&mut **visitor),
            State::New { .. } | State::Refused(_) | State::Gone(_) => None,
        }
    }
}

fn refused(why: &[u8]) -> State {
    let mut output = Output::new();
    output.extend(why);
    State::Refused(output)
}

impl Session for Chat {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.now = now;
        if let State::New { heard, .. } = &mut self.state {
            heard.extend_from_slice(input);
            match First::of(heard) {
                First::Open => {}
                first => self.begin(first == First::Request),
            }
        } else if let Some(session) = self.session() {
            session.receive(input, now);
            self.upgrade();
        }
    }

    fn receive_end(&mut self, now: Now) {
        self.now = now;
        match &self.state {
            State::New { heard, .. } if heard.is_empty() => self.state = State::Gone(Output::new()),
            State::New { .. } => self.begin(false),
            _ => {}
        }
        self.session().into_iter().for_each(|session| session.receive_end(now));
    }

    fn output(&mut self) -> &mut Output {
        if let State::Visitor(visitor) = &mut self.state {
            // It may go on with requests that waited, and one of them may be the handshake.
            visitor.output();
            self.upgrade();
        }
        match &mut self.state {
            State::Known(session) => session.output(),
            State::Visitor(visitor) => visitor.output(),
            State::Refused(output) | State::Gone(output) => output,
            // Nothing is said before it is known in which language.
            State::New { output, .. } => output,
        }
    }

    fn wants(&self) -> Wants {
        match &self.state {
            State::New { .. } => Wants::Input,
            State::Known(session) => session.wants(),
            State::Visitor(visitor) => visitor.wants(),
            State::Refused(_) => Wants::Close(CloseReason::Protocol("the hall is full")),
            State::Gone(_) => Wants::Close(CloseReason::PeerFinished),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::New { heard, since, .. } => Some(*since + if heard.is_empty() { GREETING } else { FIRST_WORD }),
            State::Known(session) => session.deadline(),
            State::Visitor(visitor) => visitor.deadline(),
            State::Refused(_) | State::Gone(_) => None,
        }
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        self.now = now;
        match &self.state {
            State::New { .. } if self.deadline().is_some_and(|at| at <= now.instant) => self.begin(false),
            _ => self.session().into_iter().for_each(|session| session.expire(now)),
        }
    }

    fn taken(&mut self) {
        self.session().into_iter().for_each(Session::taken);
    }

    fn attach(&mut self, waker: &dyn Fn() -> Waker) {
        self.waker = Some(waker());
    }

    fn woken(&mut self, now: Now) {
        self.now = now;
        self.session().into_iter().for_each(|session| session.woken(now));
    }

    fn answered(&mut self) -> u32 {
        self.session().map_or(0, |session| session.answered())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        let cases = [
            ("", First::Open),
            ("G", First::Open),
            ("GET ", First::Open),
            ("GET /", First::Request),
            ("POST /x HTTP/1.1", First::Request),
            ("OPTIONS *", First::Request),
            ("GET to the point", First::Line),
            ("get /", First::Line),
            ("/join lobby", First::Line),
            ("\n", First::Line),
            ("HELLO", First::Line),
            ("HE", First::Open),
        ];
        for (bytes, expected) in cases {
            assert_eq!(First::of(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
