//! An MQTT broker: clients publish messages to topics, and get those of the topics that they subscribe to.
//!
//! ```text
//!   client ──▶ Client: packets ──▶ Core: sessions, subscriptions, retained messages (pure)
//!                                   │ output, gated by records      │ records
//!   client ◀── Outbox ◀─────────────╯                               ▼
//!                 ▲                                 Writer: one thread, an append-only log
//!                 ╰────────────── stored(n) ────────────╯            Guard: two threads, passwords
//! ```
//!
//! One event loop has everything that clients see; the disk and passwords have threads of their own. An answer leaves when the records
//! that it stands for are on the disk.
//!
//! Reading order: [`crate::mqtt`] (packets), `message`, `tree` and `retained`, `outgoing`, `outbox` and `link`, `session`, `core/` (the rules),
//! `record`, `image`, `journal` and `writer` (the part that outlives the process), `client` and `app` (the event loop), `bridge/` (another broker), `users`, `rights`, `password` and `guard`, `metrics`, `parts`, `secured` (TLS), `run`.

mod app;
mod args;
mod bridge;
mod client;
mod core;
mod guard;
mod image;
mod journal;
mod limits;
mod link;
mod message;
mod metrics;
mod outbox;
mod outgoing;
mod parts;
mod password;
mod record;
mod retained;
mod rights;
mod run;
mod secured;
mod session;
mod shared;
mod tree;
mod users;
mod writer;

pub use app::{Broker, Census};
pub use args::BrokerArgs;
pub use journal::Compaction;
pub use parts::Parts;
pub use run::run;
pub use shared::Call;
pub use writer::Writer;
