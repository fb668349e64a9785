//! A load generator: many clients that ask, and an honest account of how they were served.
//!
//! ```text
//!   args ──▶ plan ──▶ run ──┬─ thread 1: Reactor + Clients ─▶ Record ─┐
//!                           ├─ thread 2: …                            ├─▶ Report ──▶ text, JSON, HTML
//!                           └─ the caller: timeline, CPU time ────────┘
//! ```
//!
//! *Closed loop*: each client asks again when it was answered. So a slow server is asked less, and a pause of a second is
//! one slow request per client. *Open loop* (`--rate`): requests are due at times that were fixed beforehand
//! ([`schedule`]), and each is timed from when it was due, not from when a client was free to send it. Both are true; they
//! answer different questions, and the book's chapter on measuring says which.
//!
//! Every request is answered, failed (under one [`Kind`]) or under way when the run ends, and these add up to those that were
//! started. Answers after the end are in no number: by then the other clients have left.

pub mod args;
mod clients;
pub mod command;
pub mod compare;
pub mod html;
mod kind;
mod page;
mod plot;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
mod talk;
mod target;
mod text;
pub mod usage;

pub use args::LoadArgs;
pub use kind::{Failures, Kind};
pub use record::{Record, Timeline};
pub use report::Report;
pub use run::{Plan, run};
pub use talk::{HttpScript, LineScript, Script};
pub use target::{Scheme, Target};
