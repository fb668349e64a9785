//! A chat: rooms, and people who talk in them, by lines or by a page with a WebSocket.
//!
//! ```text
//!   nc, telnet ──▶ LineClient ───╮           ╭─ Hall: people, rooms, history (pure)
//!   browser ─▶ Visitor            ├─ House ──┤
//!        ╰─101─▶ SocketClient ────╯ one lock ╰─ a Mailbox for each connection ──▶ its session, by its Waker
//!   a session each, on some worker        │ Record               │ Ask
//!                                          ▼                      ▼
//!                              Journal: one thread, one file   Guard: a few threads, passwords
//! ```
//!
//! A session brings a line into the house. The hall, behind the one lock of the process, decides what it means and who is told: its
//! effects put one shared [`Event`](event::Event) into the mailboxes of a room and call the sessions there. Each of these, on its own
//! worker, empties its mailbox as fast as its client reads.
//!
//! With `--cluster`, several such servers behave as one (`cluster/`): the hall shares what others have to know, and hears what they share.
//!
//! Reading order: `command` (what can be said), `event` (what people are told), `hall/` (the rules), `mailbox`, `house` (the lock), `talk`
//! (one connection), `lines` and `socket` (its two protocols), `session` (which of them it is), `http`, `origin` and `page`, `record`, `journal` and
//! `writer` (what outlives the process), `guard`, `cluster/` (several servers), `parts`, `run`.

mod args;
mod census;
mod cluster;
mod command;
mod event;
mod guard;
mod hall;
mod house;
mod http;
mod journal;
mod limits;
mod lines;
mod mailbox;
mod name;
mod origin;
mod page;
mod parts;
mod record;
mod run;
mod session;
mod socket;
mod talk;
mod writer;

pub use args::ChatArgs;
pub use census::Census;
pub use guard::Guard;
pub use parts::{Door, Parts, Worker};
pub use run::run;
pub use session::Chat;
pub use writer::Writer;
