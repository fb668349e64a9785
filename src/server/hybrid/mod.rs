//! Several event loops at one port, and threads for what an event loop must not do itself.
//!
//! ```text
//!                      ┌─ worker 0: listener ─▶ event loop ◀─ outbox, waker ─┐
//!   master ── fork ────┤                            └─ /cpu ─▶ queue ─▶ N threads
//!   starts, counts,    └─ worker 1: listener ─▶ event loop …
//!   replaces
//! ```
//!
//! Workers are processes, not threads, since a worker is there to be lost: a thread that crashes (a wild pointer, an abort, the
//! kernel out of memory) takes all others with it, and only a process can be killed from outside. They share nothing but the
//! numbers they count with, and so nothing is locked between them. The price is memory for each, and that a client cannot
//! be handed from one to another.
//!
//! Each has a listener of its own at the same address (`SO_REUSEPORT`): the kernel deals connections out, and no worker
//! wakes up for a connection that another one takes. The master opened all of them before it forked and keeps them. So
//! the connections in a dead worker's backlog wait for its successor instead of being reset.

mod master;
mod restarts;
mod workshop;

pub use master::{Master, Place, Role};
pub use workshop::{Outbox, Threads};
