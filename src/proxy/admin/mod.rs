//! The admin listener: a page for people who look, `/healthz` for a supervisor, `/stats` for an operator who looks for a cause, `/metrics` for Prometheus,
//! `/purge` for an operator who knows better than the cache, `/reload` for one who has changed the file, `/upstreams` for one who is about
//! to stop a server, `/explain` for one who wants to know why.
//!
//! | file | question |
//! |---|---|
//! | `paths.rs` | which path gives which answer: a new one begins here |
//! | `guard.rs` | which requests are not answered, because a web page may have sent them |
//! | `visitor.rs` | who is connected, and for how long |
//! | `desk.rs` | whose event loop that is |
//! | `live.rs`, `live.html` | a page for people, with numbers that change |
//! | `stats.rs` | all numbers of the proxy, as JSON |
//! | `purge.rs`, `reload.rs` | answers that take a while |
//! | `upstreams.rs` | servers, how they are, and orders about them |
//! | `explained.rs` | why a request was answered as it was |
//! | `answer.rs` | how an answer is written |
//!
//! Off unless asked for, on loopback unless insisted upon: what it tells is for the operator, not for clients.

mod answer;
mod desk;
mod explained;
mod guard;
mod live;
mod paths;
mod purge;
mod reload;
mod stats;
mod upstreams;
mod visitor;

pub use desk::Desk;
pub(super) use paths::paths;
pub(super) use reload::Reloads;
