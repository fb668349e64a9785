//! The same service under every classic architecture.
//!
//! A [`crate::session::Session`] decides what a client hears; this module decides which thread or process runs it:
//!
//! ```text
//!                       ┌─ iterative           this thread, one client after another
//!   Server::accept ─────┼─ fork                a process of its own            Children
//!   listener + bell     ├─ thread-per-client   a thread of its own
//!                       └─ thread-pool         one of N threads, after a queue  Pool
//!   Reactor + Sessions ─┬─ event-driven        one thread, all clients at once
//!                       └─ hybrid              the same in several processes     Master, Threads
//!   Proactor + Sessions ── io-uring            one thread, and the kernel reads and writes
//! ```
//!
//! The accept loop of each is in its binary, `bin/*.rs`: start there. [`Server`] is the part that the blocking ones
//! share, [`Shared`] the part that the event-driven ones share, too. A server stops in two steps. First every session
//! hears that its input has ended, so it answers what it has heard and closes. Sessions that have not closed after
//! `--drain-timeout` are cut off. To a session that is just hearing something, its input has ended in the middle: an
//! upload over HTTP is answered with 400.

/// Bytes of stack for a thread that serves one client or computes: what they keep is on the heap. Less than the usual 2 MiB,
/// because the C library keeps stacks of threads that ended for the next ones, and 40 MiB of them: 320 instead of 20.
pub const STACK: usize = 128 * 1024;

mod args;
mod bell;
mod blocking;
mod client;
mod conversation;
mod door;
mod flags;
mod fork;
mod hybrid;
mod lingering;
mod pool;
mod process;
mod shared;
mod statistics;

pub use args::ServerArgs;
pub use blocking::{Next, Server};
pub use client::Client;
pub use conversation::Conversation;
pub use fork::{Child, Children, Fork};
pub use hybrid::{Master, Outbox, Place, Role, Threads};
pub use pool::{Job, Pool};
pub use shared::{Seat, Seated, Shared};
