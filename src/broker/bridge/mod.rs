//! A bridge: the broker is a client of another one, and topics cross in both directions.
//!
//! Its packets are those of other connections, so the rules (`core/bridge.rs`) and the event loop (`app/bridge.rs`) have little to add. Here
//! is what the user says about it.

mod rules;
mod target;

pub(crate) use rules::{Rule, Rules, crossed, is_lost};
pub(crate) use target::{Place, Target};

/// The names of sessions of bridges begin so; those of clients do not.
pub(crate) const SESSIONS: &str = "$bridge/";
