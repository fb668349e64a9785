//! The rules of a route, besides the place that it leads to.

use super::{
    access::{AtOnce, Lists, Login, Rate},
    edits::Edits,
};

/// The rules for the requests of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Changes to the heads of requests, before the cache is asked.
    pub request: Edits,
    /// Changes to the heads of responses, behind the cache.
    pub response: Edits,
    /// The clients that are let in, by their addresses.
    pub lists: Lists,
    /// How often clients may ask.
    pub rates: Vec<Rate>,
    /// How many requests one client may have at once.
    pub at_once: Option<AtOnce>,
    /// The users that are let in. `None`: all clients.
    pub login: Option<Login>,
}

impl Policy {
    /// How often clients may ask, and how much at once.
    pub(super) fn limits(&self) -> (&[Rate], Option<&AtOnce>) {
        (&self.rates, self.at_once.as_ref())
    }

    /// Whether clients are counted, or asked for a password.
    pub(super) fn needs_gate(&self) -> bool {
        self.login.is_some() || self.at_once.is_some() || !self.rates.is_empty()
    }
}
