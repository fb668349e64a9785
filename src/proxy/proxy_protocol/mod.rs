//! The PROXY protocol: a gateway that passes bytes on says first where they come from.
//!
//! ```text
//!   PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n          version 1, one line
//!   \r\n\r\n\0\r\nQUIT\n 21 11 000C …                           version 2, 16 bytes, addresses, and more that is skipped
//!   then whatever the client says: HTTP, or TLS
//! ```
//!
//! It is spoken in both directions: gateways in front of us say whose connection they pass on, and servers behind us hear whose
//! requests they get. A connection that was opened for one client carries no request of another: so such servers get a connection for
//! each request, and the pool keeps none.
//!
//! The header is the first thing on the connection, before TLS. It is believed only from gateways that are trusted, and where it is
//! expected it has to be there: a recipient that guessed could be lied to by anybody.

mod args;
mod header;
mod recipient;

pub use args::AnnounceArgs;
pub use header::Version as ProxyProtocol;
pub use header::{Ends, Look, look, written};
pub(super) use recipient::Recipient;
