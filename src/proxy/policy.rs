//! The rules of a route, besides the place that it leads to.

use super::edits::Edits;

/// The rules for the requests of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Changes to the heads of requests, before the cache is asked.
    pub request: Edits,
    /// Changes to the heads of responses, behind the cache.
    pub response: Edits,
}
