//! A session of whichever service was chosen at run time.

use crate::{
    buf::{FilePart, Output},
    service::{Command, Echo, Http, HttpConfig, Service, line_session::LineLimits, line_session::LineSession},
    session::{Session, Wants, Worked},
    time::{Instant, Now},
};
use std::{sync::Arc, time::Duration};

/// Makes a new conversation for each client.
#[derive(Debug)]
pub(super) struct Factory {
    service: Service,
    limits: LineLimits,
    http: Arc<HttpConfig>,
}

impl Factory {
    pub(super) fn new(service: Service, idle: Option<Duration>) -> Self {
        let (lines, http) = (LineLimits::default(), HttpConfig::default());
        Self {
            service,
            limits: LineLimits { idle: idle.unwrap_or(lines.idle), ..lines },
            http: Arc::new(HttpConfig { idle: idle.unwrap_or(http.idle), ..http }),
        }
    }

    pub(super) fn service(&self) -> Service {
        self.service
    }

    pub(super) fn open(&self, now: Now) -> Conversation {
        match self.service {
            Service::Echo => Conversation::Echo(Echo::session_within(self.limits, now)),
            Service::Command => Conversation::Command(Command::session_within(self.limits, now)),
            Service::Http => Conversation::Http(Http::new(Arc::clone(&self.http), now)),
        }
    }

    /// Has one conversation without a client.
    pub(super) fn rehearse(&self, now: Now) {
        self.open(now).receive(self.service.example().as_bytes(), now);
    }
}

/// A session of whichever service was chosen.
#[derive(Debug)]
pub enum Conversation {
    /// See [`Service::Echo`].
    Echo(LineSession<Echo>),
    /// See [`Service::Command`].
    Command(LineSession<Command>),
    /// See [`Service::Http`].
    Http(Http),
}

/// Does the same with each kind of session.
macro_rules! each {
    ($conversation:expr, $session:ident => $do:expr) => {
        match $conversation {
            Conversation::Echo($session) => $do,
            Conversation::Command($session) => $do,
            Conversation::Http($session) => $do,
        }
    };
}

impl Session for Conversation {
    fn receive(&mut self, input: &[u8], now: Now) {
        each!(self, session => session.receive(input, now));
    }

    fn receive_end(&mut self, now: Now) {
        each!(self, session => session.receive_end(now));
    }

    fn output(&mut self) -> &mut Output {
        each!(self, session => session.output())
    }

    fn file(&mut self) -> Option<FilePart> {
        each!(self, session => session.file())
    }

    fn wants(&self) -> Wants {
        each!(self, session => session.wants())
    }

    fn deadline(&self) -> Option<Instant> {
        each!(self, session => session.deadline())
    }

    fn promised(&self) -> Option<Instant> {
        each!(self, session => session.promised())
    }

    fn expire(&mut self, now: Now) {
        each!(self, session => session.expire(now));
    }

    fn worked(&mut self, worked: Worked, now: Now) {
        each!(self, session => session.worked(worked, now));
    }

    fn taken(&mut self) {
        each!(self, session => session.taken());
    }

    fn answered(&mut self) -> u32 {
        each!(self, session => session.answered())
    }
}
