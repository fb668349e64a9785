//! The requests of a client, and whether the bytes it hears are right answers.
//!
//! ```text
//!   Script   the bytes of a request, prepared once                 one for all clients
//!   Talk     how far the answers on one connection have come       one a connection: HttpTalk or LineTalk
//! ```

mod http;
mod lines;

pub use http::HttpScript;
pub use lines::LineScript;

use super::{Kind, Scheme};
use bytes::Bytes;
use http::HttpTalk;
use lines::LineTalk;

/// The requests of a run, which are all the same.
#[derive(Debug, Clone)]
pub enum Script {
    /// HTTP/1.1.
    Http(HttpScript),
    /// The echo and command services.
    Lines(LineScript),
}

/// One connection's conversation.
#[derive(Debug)]
pub(super) enum Talk {
    Http(HttpTalk),
    Lines(LineTalk),
}

/// The result of new input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that is complete; all of it was used.
    More,
    /// The server has greeted: requests may be sent.
    Greeted,
    /// The answer to the oldest request is complete.
    Answer {
        verdict: Result<(), Kind>,
        /// The server takes no further request on this connection.
        last: bool,
    },
    /// The rest of this connection makes no sense.
    Broken(Kind),
    /// Bytes, and no request that they could belong to.
    Unasked,
}

impl Script {
    /// The bytes of one request.
    pub(super) fn request(&self) -> &Bytes {
        match self {
            Self::Http(script) => &script.request,
            Self::Lines(script) => &script.request,
        }
    }

    /// A conversation on a new connection.
    pub(super) fn talk(&self) -> Talk {
        match self {
            Self::Http(_) => Talk::Http(HttpTalk::default()),
            Self::Lines(script) => Talk::Lines(LineTalk::new(script)),
        }
    }
}

impl Talk {
    /// Whether the server speaks first.
    pub(super) fn awaits_greeting(&self) -> bool {
        match self {
            Self::Http(_) => false,
            Self::Lines(talk) => talk.awaits_greeting(),
        }
    }

    /// A request is sent.
    pub(super) fn asked(&mut self, script: &Script) {
        match (self, script) {
            (Self::Http(talk), Script::Http(script)) => talk.asked(script),
            (Self::Lines(talk), _) => talk.asked(),
            (Self::Http(_), Script::Lines(_)) => {}
        }
    }

    /// Takes one step; `input` is advanced past what was used.
    pub(super) fn hear(&mut self, script: &Script, input: &mut &[u8]) -> Heard {
        match (self, script) {
            (Self::Http(talk), Script::Http(script)) => talk.hear(script, input),
            (Self::Lines(talk), Script::Lines(script)) => talk.hear(script, input),
            (Self::Http(_), Script::Lines(_)) | (Self::Lines(_), Script::Http(_)) => Heard::Broken(Kind::BadResponse),
        }
    }

    /// The server sends nothing more. `Some`: that completes an answer.
    pub(super) fn end(&mut self) -> Option<Result<(), Kind>> {
        match self {
            Self::Http(talk) => talk.end(),
            Self::Lines(_) => None,
        }
    }
}

impl Scheme {
    /// The line that a client sends if the user gives none.
    pub(super) fn usual_line(self) -> &'static str {
        match self {
            Self::Command => "PING",
            Self::Http | Self::Echo => "hello",
        }
    }
}
