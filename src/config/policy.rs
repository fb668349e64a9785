//! The rules of a site or a route, besides the place that it leads to.

use super::{edits::Edits, fields::Fields, tree::Mistake};
use crate::proxy::{self, Side};

/// Its keys.
pub(super) const KEYS: &[&str] = &["request-headers", "response-headers"];

/// The rules for the requests of a site or a route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policy {
    request: Edits,
    response: Edits,
}

impl Policy {
    /// Reads those of one table.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Mistake> {
        Ok(Self {
            request: Edits::read(fields, "request-headers", Side::Request)?,
            response: Edits::read(fields, "response-headers", Side::Response)?,
        })
    }

    /// These, with those of a part of it.
    pub(super) fn then(&self, inner: &Self) -> Self {
        Self { request: self.request.then(&inner.request), response: self.response.then(&inner.response) }
    }

    /// As the machine has them.
    pub(super) fn made(&self) -> proxy::Policy {
        proxy::Policy { request: self.request.made(), response: self.response.made() }
    }

    /// The keys that say so, with their values as a file has them.
    pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
        let keys = [("request-headers", self.request.shown()), ("response-headers", self.response.shown())];
        keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// The differences in `new`, a line for each key. Two values that look the same may differ in what is not shown.
    pub(super) fn differences(&self, new: &Self) -> Vec<String> {
        let line = |(key, old, now, differ): (&str, Option<String>, Option<String>, bool)| {
            let words = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            differ.then(|| format!("{key}: {} → {}", words(old), words(now)))
        };
        let keys = [
            ("request-headers", self.request.shown(), new.request.shown(), self.request != new.request),
            ("response-headers", self.response.shown(), new.response.shown(), self.response != new.response),
        ];
        keys.into_iter().filter_map(line).collect()
    }
}
