//! The marks by which one request is found again in the logs of several programs: an id, and its place in a trace.
//!
//! ```text
//!   client ── traceparent: 00-TRACE-CLIENT-01 ──▶ proxy ── traceparent: 00-TRACE-OURS-01 ──▶ server
//!          ◀── X-Request-ID: ID ────────────────        ── X-Request-ID: ID ──────────────▶
//! ```
//!
//! Both are fields of the request's head, as it goes on. The log and the response take them from there.

mod args;
mod request_id;
mod trace;

pub use args::{MarkArgs, TraceContext};

use crate::http::{Fields, RequestHead, hop};
use rand::Rng;

/// The marks that requests get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The field of the id, if there is one.
    pub(super) request_id: Option<Box<str>>,
    pub(super) trace: TraceContext,
}

impl Marks {
    /// Whether there are any.
    fn are_none(&self) -> bool {
        self.request_id.is_none() && self.trace == TraceContext::Off
    }

    /// The id of a request that was marked: its field, and its value.
    pub(super) fn request_id<'a>(&'a self, fields: &'a Fields) -> Option<(&'a str, &'a str)> {
        let name = self.request_id.as_deref()?;
        Some((name, std::str::from_utf8(fields.get(name)?).ok()?))
    }

    /// The ids of the trace and of our part in it.
    pub(super) fn trace<'a>(&self, fields: &'a Fields) -> Option<(&'a str, &'a str)> {
        (self.trace != TraceContext::Off).then(|| trace::ids(fields))?
    }
}

/// Marks a request, if requests are marked. `trusted`: whether its sender is believed about its id.
pub(super) fn mark(head: &mut RequestHead, marks: &Marks, trusted: impl FnOnce() -> bool, random: &mut impl Rng) {
    if marks.are_none() {
        return;
    }
    // A client could name our fields in `Connection`, and they would not go on.
    hop::remove_listed(&mut head.fields);
    if let Some(name) = &marks.request_id {
        request_id::mark(&mut head.fields, name, trusted(), random);
    }
    match marks.trace {
        TraceContext::Off => {}
        TraceContext::Pass => trace::mark(&mut head.fields, false, random),
        TraceContext::Make => trace::mark(&mut head.fields, true, random),
    }
}
