//! HTTP/1.1 messages: heads, framing, bodies (RFC 9110, RFC 9112). Bytes in, events out; no I/O, no clock.
//!
//! ```text
//!            bytes ──▶ section ──▶ parse ──▶ host, framing ──▶ body ──▶ events       request_reader, response_reader
//!  where does the      which lines?  whose? where does it   content,                 (one half of a connection each)
//!  head end?                         end?                   trailers
//!
//!            events ──▶ RequestHead/ResponseHead::write_to, BodyWriter ──▶ bytes     head, writer
//! ```
//!
//! Where the standards let a recipient repair or refuse, this module refuses: see [`Error`] for the list.

mod body;
mod chunked;
mod date;
mod error;
mod fields;
pub mod framing;
mod grammar;
mod head;
pub mod hop;
mod host;
pub mod limits;
mod method;
mod parse;
mod persistence;
mod request_reader;
mod response_reader;
mod section;
mod status;
pub mod target;
#[cfg(test)]
mod tests;
mod version;
mod writer;

pub use date::http_date;
pub use error::Error;
pub use fields::{Fields, members, write_line};
pub use framing::BodyLength;
pub use head::{RequestHead, ResponseHead, write_status_line};
pub use hop::{HopByHop, accepts_trailers, check_expectations, expects_continue, max_forwards, upgrade_offers};
pub use host::Authority;
pub use limits::Limits;
pub use method::Method;
pub use persistence::{NotPersistent, persistent, persistent_after};
pub use request_reader::{RequestEvent, RequestReader};
pub use response_reader::{ResponseEvent, ResponseReader};
pub use status::Status;
pub use target::Target;
pub use version::Version;
pub use writer::BodyWriter;

/// What a reader waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadPhase {
    /// A message; no byte of one was seen.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}
