//! A chat: rooms, and people who talk in them, by lines or by WebSocket.
//!
//! ```text
//!   nc, telnet ──▶ LineClient ─╮            ╭─ Hall: people, rooms, history (pure)
//!                               ├─ House ───┤
//!              a session each, ─╯  one lock ╰─ a Mailbox for each connection ──▶ its session, by its Waker
//!              on some worker
//! ```
//!
//! A session brings a line into the house. The hall, behind the one lock of the process, decides what it means and who is told: its
//! effects put one shared [`Event`](event::Event) into the mailboxes of a room and call the sessions there. Each of these, on its own
//! worker, empties its mailbox as fast as its client reads.
//!
//! Reading order: `command` (what can be said), `event` (what people are told), `hall/` (the rules), `mailbox`, `house` (the lock), `talk`
//! and `lines` (one connection), `run`.

mod args;
mod command;
mod event;
mod hall;
mod house;
mod limits;
mod lines;
mod mailbox;
mod name;
mod run;
mod session;
mod talk;

pub use args::ChatArgs;
pub use run::run;
