//! A client of Redis, Valkey, or any server that speaks RESP3: one connection, on a thread of its own.
//!
//! ```text
//!   any thread ── ask(words, tag) ──▶ mailbox, bounded ──▶ thread "redis": Link, one socket ──▶ server
//!        ▲                                                     │
//!        ╰──────────── Event: Answer(tag, …), Push, Up, Down ──╯
//! ```
//!
//! A question is put into the mailbox and never waited for; its answer comes as an [`Event`], on the thread of the client. So no event loop
//! waits for Redis, however slow that is. Why a thread, and not a connection in the event loop: a server has several loops, and all of them
//! share what is in Redis. One connection for all of them needs one lock around a mailbox; one for each loop would have to be told what the
//! others know.
//!
//! Questions go out in the order in which they were asked, without waiting for answers in between (pipelining). Each has a deadline, and
//! one that passes ends the connection: everything behind it would wait, too. While there is no connection, questions are refused at once,
//! and the thread tries again, after ever longer waits. [`Event::Down`] and [`Event::Up`] tell of it, each once.
//!
//! Reading order: `target` and `secured` (which server, and how it proves that), `link` (the rules, pure), `wire` (the socket), `mail` and
//! `driver` (the thread), `handle` (how others reach it).

mod driver;
mod handle;
mod link;
mod mail;
mod secured;
mod target;
mod wire;

pub use handle::{Redis, Refused};
pub use link::{Event, Lost, Next, Settings};
pub use secured::Files;
pub use target::Target;
