//! A load generator: many clients that ask, and an honest account of how they were served.
//!
//! ```text
//!   args ──▶ reach ─▶ run ──┬─ thread 1: Reactor + Clients ─▶ Record ─┐
//!                           ├─ thread 2: …                            ├─▶ Report ──▶ text, JSON, HTML
//!                           └─ the caller: timeline, CPU time ────────┘
//! ```
//!
//! *Closed loop*: each client asks again when it was answered. So a slow server is asked less, and a pause of a second is
//! one slow request per client. *Open loop* (`--rate`): requests are due at times that were fixed beforehand
//! ([`schedule`]), and each is timed from when it was due, not from when a client was free to send it. Both are true; they
//! answer different questions, and the book's chapter on measuring says which.
//!
//! A client speaks HTTP/1.1, HTTP/2 or a line protocol ([`Script`]), and over HTTP/2 it has several requests under way at once, each on a
//! stream of its own.
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
mod reach;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
pub mod secure;
mod talk;
mod target;
mod text;
pub mod usage;

pub use args::LoadArgs;
pub use kind::{Failures, Kind};
pub use reach::reach;
pub use record::{Record, Timeline};
pub use report::Report;
pub use run::{Plan, run};
pub use secure::Security;
pub use talk::{Http2Script, HttpScript, LineScript, Script};
pub use target::{Scheme, Target};
