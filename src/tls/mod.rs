//! TLS: a layer between driver and application.
//!
//! ```text
//!   driver ──▶ Terminator ──▶ App         hears plaintext; "accepted" means that the handshake is over
//!          ◀──            ◀──             Send, Forward, Close: sealed, and a close_notify before the end
//! ```
//!
//! The driver learns no protocol, the application sends plain bytes, and without a TLS listener none of this is there. Connections that
//! the application opens to a [`Server`] are protected in the same way, with the other role. The
//! protocol's mathematics are rustls'; what is decided here is which certificate a client gets ([`Store`]), what may be resumed
//! ([`Tickets`]), how long a handshake may take, and how sealed bytes go with the contract of [`crate::app`] ([`Terminator`]).

mod call;
mod counters;
mod failure;
mod machine;
mod pair;
mod refusal;
mod resolver;
mod server;
mod session;
mod settings;
mod shared;
mod store;
mod terminator;
#[cfg(test)]
mod tests;
mod tickets;
mod verifier;

pub use call::{Answer, Call, Callee, Facts, Vouching};
pub use counters::{Counters, Handshakes};
pub use failure::Failure;
pub use pair::{File, Pair, Problem, WARNING};
pub use refusal::Refusal;
pub use server::{Server, Servers, Trust};
pub use settings::{HTTP2, HTTP11, MinVersion, Rules, provider};
pub use shared::Shared;
pub use store::{Site, Store};
pub use terminator::Terminator;
pub use tickets::Tickets;
