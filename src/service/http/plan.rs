//! Which answer which request gets. Everything here is decided from the request's head.

use super::{
    HttpConfig,
    route::{NoRoute, Route},
};
use crate::{
    http::{RequestHead, Status},
    session::{Work, Worked},
};
use bytes::Bytes;
use std::time::Duration;

/// The way to handle a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Answer at once, with the content as it arrives.
    Echo,
    /// Answer when all of it was read.
    Read(Reply),
}

/// The step once a request was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Wait so long, then answer.
    Answer(Duration, Answer),
    /// Have this computed, then tell.
    Work(Work),
    /// Tell how long its content was.
    Count,
}

/// A response, before anything of it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// The field that comes with this status.
    pub(super) field: Option<Field>,
    pub(super) content: Content,
}

/// A field that some responses have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// These methods (RFC 9110 §10.2.1).
    Allow(&'static [&'static str]),
    /// In a second (RFC 9110 §10.2.3).
    RetryAfter,
    /// Fresh for so many seconds, to all (RFC 9111 §5.2.2.1).
    MaxAge(u32),
}

/// The content of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// This text.
    Text(Bytes),
    /// This number of bytes of the pattern, declared in the head.
    Declared(u64),
    /// The same in chunks.
    Chunked(u64),
}

impl Plan {
    pub(super) fn of(head: &RequestHead, config: &HttpConfig) -> Self {
        let mut delay = Duration::ZERO;
        let answer = match Route::of(head.parsed_target().path()) {
            // For every path (RFC 9110 §9.1).
            _ if !Route::is_implemented(head.method.as_str()) => {
                Answer::refusal(Status::NOT_IMPLEMENTED, "/ lists what there is")
            }
            Ok(route) if !route.allows(head.method.as_str()) => Answer {
                // Required (RFC 9110 §15.5.6).
                field: Some(Field::Allow(route.allow())),
                ..Answer::refusal(Status::METHOD_NOT_ALLOWED, "the Allow field lists what is allowed")
            },
            Ok(Route::Echo) => return Self::Echo,
            Ok(Route::Cpu(time)) => return Self::Read(Reply::Work(Work { time })),
            Ok(Route::Upload) => return Self::Read(Reply::Count),
            Ok(Route::Welcome) => Answer::text(Status::OK, config.name.welcome()),
            Ok(Route::Health) => Answer::text(Status::OK, "ok\n"),
            Ok(Route::Headers) => Answer::text(Status::OK, describe(head)),
            Ok(Route::Status(status)) => Answer::status(status),
            Ok(Route::Delay(time)) => {
                delay = time;
                Answer::text(Status::OK, format!("waited {} ms\n", time.as_millis()))
            }
            Ok(Route::MaxAge(seconds)) => Answer {
                field: Some(Field::MaxAge(seconds)),
                ..Answer::text(Status::OK, format!("fresh for {seconds} s: Age and Cache-Status tell who keeps it\n"))
            },
            Ok(Route::Bytes(length)) => Answer::ok(Content::Declared(length)),
            Ok(Route::Chunked(length)) => Answer::ok(Content::Chunked(length)),
            Ok(Route::Server) => {
                let field = Some(Field::Allow(Route::Welcome.allow()));
                Answer { field, ..Answer::text(Status::NO_CONTENT, "") }
            }
            Err(NoRoute::Unknown) => Answer::refusal(Status::NOT_FOUND, "/ lists what there is"),
            Err(NoRoute::Number(usage)) => Answer::refusal(Status::BAD_REQUEST, usage),
        };
        Self::Read(Reply::Answer(delay, answer))
    }

    /// Whether the request's content makes a difference to the answer.
    pub(super) fn uses_content(&self) -> bool {
        matches!(self, Self::Echo | Self::Read(Reply::Count))
    }
}

impl Answer {
    pub(super) fn text(status: Status, text: impl Into<Bytes>) -> Self {
        Self { status, field: None, content: Content::Text(text.into()) }
    }

    /// The reply after `work` was computed, or was refused because no thread had time for it.
    pub(super) fn worked(work: Work, worked: Worked) -> Self {
        match worked {
            Worked::Done => Self::text(Status::OK, format!("computed for {} ms\n", work.time.as_millis())),
            Worked::Refused => Self {
                // In a second at most another piece of work will be done.
                field: Some(Field::RetryAfter),
                ..Self::refusal(Status::SERVICE_UNAVAILABLE, "too much to compute, try again later")
            },
        }
    }

    /// A status, and a line that says why.
    pub(super) fn refusal(status: Status, why: &str) -> Self {
        Self::text(status, format!("{} {}: {why}\n", status.code(), status.reason()))
    }

    fn ok(content: Content) -> Self {
        Self { status: Status::OK, field: None, content }
    }

    fn status(status: Status) -> Self {
        // A 205 has a length, and it is zero (RFC 9110 §15.3.6).
        if status.is_bodiless() || status == Status::RESET_CONTENT {
            return Self::text(status, "");
        }
        Self::text(status, format!("{} {}\n", status.code(), status.reason()))
    }
}

/// The request's head as it was received: what a proxy made of it.
fn describe(head: &RequestHead) -> Vec<u8> {
    let mut text = Vec::new();
    head.write_to(&mut text);
    // Without the empty line at its end.
    text.truncate(text.len() - 2);
    text
}
