//! Sockets, clocks and signals.
//!
//! Three drivers run the same sessions: [`blocking`] gives a thread to each, [`reactor`] gives all of them to one
//! thread, and so does the proactor, for which the kernel reads and writes (io_uring, Linux only). The part that these
//! two have in common, the order in which an application hears things, is in [`driver`]. All three share how a socket
//! is opened ([`listen()`], [`connect`]), set up ([`options`]) and named ([`address`], [`resolve`]), how work for the
//! processor is done ([`work`]), how a process gives its listeners to the next ([`handover`], [`supervisor`]), and that every failure says what to do about it ([`Error`]).
//!
//! ```text
//!   Session ◀── sessions::Sessions ──▶ App ◀── reactor ──▶ epoll, sockets
//!                                      App ◀── proactor ─▶ io_uring
//!   Session ◀────────────────────── blocking ────────────▶ one socket
//! ```

mod acknowledged;
pub mod address;
pub mod blocking;
mod choice;
pub mod clock;
pub mod connect;
pub(crate) mod counters;
pub mod datagram;
pub mod descriptors;
pub mod driver;
mod error;
mod files;
pub mod handover;
pub mod listen;
pub mod options;
#[cfg(target_os = "linux")]
pub mod proactor;
pub mod process;
pub mod reactor;
pub mod resolve;
pub mod secrets;
pub mod sessions;
pub mod signals;
pub mod supervisor;
mod traffic;
pub mod work;

pub use choice::{Driver, DriverChoice, DriverKind};
pub use driver::{Closed, DriverConfig, Remote, StillOpen};
pub(crate) use error::Advised;
pub use error::Error;
pub use listen::{ListenOptions, listen};
#[cfg(target_os = "linux")]
pub use proactor::Proactor;
pub use reactor::Reactor;
pub use sessions::{Calls, OnTheSpot, Sessions, Workshop};
pub use traffic::{Traffic, Volume};

#[cfg(test)]
mod tests;
