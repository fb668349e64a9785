//! The access log: one line for each request, in one of several forms.
//!
//! | form | for |
//! |---|---|
//! | `text.rs` | people: an event like all others, with every fact |
//! | `json.rs` | programs: the same facts, an object for each line |
//! | `common.rs` | programs that read what web servers have written since 1993 |
//!
//! A client decides about much of the text in a line. So each form escapes what could end a line, a quoted string or an object, and
//! what could move the cursor of a terminal.

mod args;
mod common;
mod json;
mod text;

pub use args::LogArgs;

use super::{failure::Failure, marks::Marks, record::Record};
use crate::{
    cli::{ACCESS, Lines},
    http::{Fields, RequestHead},
    time::Now,
};
use clap::ValueEnum;
use std::fmt;

/// The form of a line about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AccessFormat {
    /// An event of the log, for people.
    #[default]
    Text,
    /// An object of JSON.
    Json,
    /// The Common Log Format.
    Common,
    /// The same, with the page that led there, and the program that asked.
    Combined,
}

/// How lines about requests are written, if there are any.
#[derive(Debug, Clone, Default)]
pub(super) enum AccessLog {
    /// Each is an event among the others.
    #[default]
    Events,
    /// Lines of a form of their own go there.
    Lines(AccessFormat, Lines),
}

/// One line of the access log.
pub(super) struct Line<'a> {
    pub(super) record: &'a Record,
    pub(super) asked: RequestLine<'a>,
    /// `-`: none was asked.
    pub(super) backend: &'a str,
    pub(super) outcome: Result<(), Failure>,
    /// `-`: the connection does not close for a reason that is worth telling.
    pub(super) close: &'a str,
    pub(super) now: Now,
    /// The choices of a proxy that has sites.
    pub(super) way: Option<Chosen<'a>>,
    pub(super) marks: &'a Marks,
}

/// The request of a line.
#[derive(Clone, Copy)]
pub(super) enum RequestLine<'a> {
    /// A head that was understood. The version is that of the client.
    Head(&'a RequestHead, &'static str),
    /// Bytes that were not, as far as they may be shown ([`super::record::printable`]).
    Bytes(&'a str),
}

/// The request line, or what there is of it.
impl fmt::Display for RequestLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(head, version) => write!(f, "{} {} {version}", head.method.as_str(), head.target()),
            Self::Bytes(shown) => f.write_str(shown),
        }
    }
}

/// The choices that were made for a request, by their names.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chosen<'a> {
    pub(super) site: Option<&'a str>,
    pub(super) route: Option<&'a str>,
    pub(super) upstream: Option<&'a str>,
}

impl Line<'_> {
    /// Writes the line. In each form, it is of target `access` and level info.
    pub(super) fn write(&self, log: &AccessLog) {
        let (format, lines) = match log {
            AccessLog::Events => return text::write(self),
            AccessLog::Lines(format, lines) => (format, lines),
        };
        if !tracing::enabled!(target: ACCESS, tracing::Level::INFO) {
            return;
        }
        match format {
            AccessFormat::Text => text::write(self),
            AccessFormat::Json => lines.write(json::line(self)),
            AccessFormat::Common => lines.write(common::line(self, false)),
            AccessFormat::Combined => lines.write(common::line(self, true)),
        }
    }

    /// The id of the request.
    fn request_id(&self) -> Option<&str> {
        self.fields().and_then(|fields| self.marks.request_id(fields)).map(|(_, id)| id)
    }

    /// The ids of its trace and of our part in it.
    fn trace(&self) -> Option<(&str, &str)> {
        self.fields().and_then(|fields| self.marks.trace(fields))
    }

    fn fields(&self) -> Option<&Fields> {
        match self.asked {
            RequestLine::Head(head, _) => Some(&head.fields),
            RequestLine::Bytes(_) => None,
        }
    }

    fn seconds(&self) -> f64 {
        self.now.instant.saturating_duration_since(self.record.started.instant).as_secs_f64()
    }
}
