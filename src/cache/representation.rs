//! A representation as far as conditions and ranges are about it: what its head says, and how long it is. Its bytes may be anywhere: in
//! a cache, or in a file.

use super::{Extent, Stored, date::date_of, validators::is_strong};
use crate::http::ResponseHead;
use std::time::SystemTime;

/// A response to `GET` that is there and may be sent, in whole or in part, or need not be sent at all.
#[derive(Debug, Clone, Copy)]
pub struct Representation<'a> {
    /// Status line and fields, with its validators.
    pub head: &'a ResponseHead,
    /// How much of it is here.
    pub extent: &'a Extent,
    /// When it was made or came. Without `Last-Modified`, this is the latest that it can have changed.
    pub date: SystemTime,
    /// By the clock of the origin, when it was as it is: the `Date` that it was sent with, unless this server is the origin.
    pub looked_at: Option<SystemTime>,
}

impl Representation<'_> {
    /// Whether its `Last-Modified` is a strong validator (RFC 9110 §8.8.2.2).
    pub(super) fn is_modification_date_strong(&self, now: SystemTime) -> bool {
        let fields = &self.head.fields;
        let looked_at = self.looked_at.or_else(|| date_of(fields, "date", now));
        let modified = date_of(fields, "last-modified", now);
        modified.zip(looked_at).is_some_and(|(modified, looked_at)| is_strong(modified, looked_at))
    }
}

impl<'a> From<&'a Stored> for Representation<'a> {
    fn from(stored: &'a Stored) -> Self {
        Self { head: &stored.head, extent: stored.body.extent(), date: stored.date, looked_at: None }
    }
}
