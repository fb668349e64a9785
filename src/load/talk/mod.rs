//! The requests of a client, and whether the bytes it hears are right answers.
//!
//! ```text
//!   Script   a request, prepared once                              one for all clients
//!   Talk     how far the answers on one connection have come       one a connection: HttpTalk, Http2Talk or LineTalk
//! ```

mod http;
mod http2;
mod lines;

pub use http::HttpScript;
pub use http2::Http2Script;
pub use lines::LineScript;

use super::{Kind, Scheme};
use crate::{http2::ErrorCode, time::Instant};
use bytes::Bytes;
use http::HttpTalk;
use http2::Http2Talk;
use lines::LineTalk;

/// The requests of a run, which are all the same.
#[derive(Debug, Clone)]
pub enum Script {
    /// HTTP/1.1.
    Http(HttpScript),
    /// HTTP/2.
    Http2(Http2Script),
    /// The echo and command services.
    Lines(LineScript),
}

/// One connection's conversation.
#[derive(Debug)]
pub(super) enum Talk {
    Http(HttpTalk),
    Http2(Http2Talk),
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
    /// The request on this stream has come to its end.
    Stream(u32, End),
    /// The server takes no further request on this connection; those that run go on.
    GoingAway(ErrorCode),
    /// The rest of this connection makes no sense.
    Broken(Kind),
    /// Bytes, and no request that they could belong to.
    Unasked,
}

/// The end of a request that has a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As [`Heard::Answer`].
    Answered {
        verdict: Result<(), Kind>,
        last: bool,
    },
    Failed(Kind),
    /// The server has not looked at it, and says so: it may be sent again.
    Unprocessed,
}

/// The result of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// These bytes are the request.
    Whole(Bytes),
    /// It has this stream, and leaves with [`Talk::write`].
    Stream(u32),
    /// The server has as many as it allows.
    NoRoom,
    /// The connection can carry no more requests.
    Spent,
}

impl Script {
    /// A conversation on a new connection.
    pub(super) fn talk(&self, now: Instant) -> Talk {
        match self {
            Self::Http(_) => Talk::Http(HttpTalk::default()),
            Self::Http2(script) => Talk::Http2(Http2Talk::new(script, now)),
            Self::Lines(script) => Talk::Lines(LineTalk::new(script)),
        }
    }

    /// The protocol's name.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Self::Http(_) => "HTTP/1.1",
            Self::Http2(_) => "HTTP/2",
            Self::Lines(script) => script.protocol(),
        }
    }

    /// Whether requests have streams.
    pub(super) fn has_streams(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

impl Talk {
    /// Whether the server speaks first.
    pub(super) fn awaits_greeting(&self) -> bool {
        match self {
            Self::Http(_) => false,
            Self::Http2(talk) => talk.awaits_greeting(),
            Self::Lines(talk) => talk.awaits_greeting(),
        }
    }

    /// A request is to be sent.
    pub(super) fn ask(&mut self, script: &Script) -> Sent {
        match (self, script) {
            (Self::Http(talk), Script::Http(script)) => {
                talk.asked(script);
                Sent::Whole(script.request.clone())
            }
            (Self::Http2(talk), Script::Http2(script)) => talk.ask(script),
            (Self::Lines(talk), Script::Lines(script)) => {
                talk.asked();
                Sent::Whole(script.request.clone())
            }
            // A script makes its own talks.
            (Self::Http(_) | Self::Http2(_) | Self::Lines(_), _) => Sent::Spent,
        }
    }

    /// Takes one step; `input` is advanced past what was used.
    pub(super) fn hear(&mut self, script: &Script, input: &mut &[u8], now: Instant) -> Heard {
        match (self, script) {
            (Self::Http(talk), Script::Http(script)) => talk.hear(script, input),
            (Self::Http2(talk), Script::Http2(script)) => talk.hear(script, input, now),
            (Self::Lines(talk), Script::Lines(script)) => talk.hear(script, input),
            (Self::Http(_) | Self::Http2(_) | Self::Lines(_), _) => Heard::Broken(Kind::BadResponse),
        }
    }

    /// The server sends nothing more. `Some`: that completes an answer.
    pub(super) fn end(&mut self) -> Option<Result<(), Kind>> {
        match self {
            Self::Http(talk) => talk.end(),
            Self::Http2(_) | Self::Lines(_) => None,
        }
    }

    /// The conversation as one with streams.
    pub(super) fn streams(&mut self) -> Option<&mut Http2Talk> {
        match self {
            Self::Http2(talk) => Some(talk),
            Self::Http(_) | Self::Lines(_) => None,
        }
    }
}

impl Scheme {
    /// The line that a client sends if the user gives none.
    pub(super) fn usual_line(self) -> &'static str {
        match self {
            Self::Command => "PING",
            Self::Http | Self::Https | Self::Echo => "hello",
        }
    }
}
