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
//! Where the standards let a recipient repair or refuse, this module refuses: see [`Error`] for the list. Where they say that
//! a proxy has to repair, it does. Other choices that they leave open:
//!
//! | question | answer | why |
//! |---|---|---|
//! | HTTP/1.2 to 1.9 | is HTTP/1.1 | RFC 9110 §2.5; another major version is 505 |
//! | empty lines before a request | skipped, at most [`limits::MAX_EMPTY_LINES`] | RFC 9112 §2.2 |
//! | leading zeros of a length | read, as decimal | legal (RFC 9110 §8.6); a proxy writes the length anew, so nobody behind it can read octal |
//! | codings other than `chunked` | refused, in responses too | we decode none and offer none (`TE`) |
//! | length or coding in 1xx, 204 | no body; the connection is not used again ([`persistent_after`]) | RFC 9112 §6.3 rule 1, but what follows may be one |
//! | 205 | framed by its fields | RFC 9112 §6.3 knows no rule for it |
//! | reason and its space | may be missing | RFC 9112 §4 wants the space, many servers forget it |
//! | white space before a colon | refused in a request, removed from a response | RFC 9112 §5.1 |
//! | lengths and chunk sizes above [`limits::MAX_LENGTH`] | refused | they fit 64 bits, and a peer with signed numbers reads them as negative |
//! | bad white space in chunk extensions | read | RFC 9110 §5.6.3; white space before a size line's end is none |
//! | `[ ] ^ \|` in targets, and ``\ ` { } %`` in queries | passed on | browsers send them, nothing is delimited by them |
//! | odd `%` and `%00` in paths | refused | RFC 3986 §2.1, §7.3 |
//! | empty `Host` | refused | RFC 9110 §4.2.1: a host must not be empty |
//! | `Host` beside an absolute target | has to be there and valid, and is not believed | RFC 9112 §3.2, §3.2.2: the target wins; what goes on is written from it |
//! | trailers that may not be trailers | read, never written | RFC 9110 §6.5.1 |
//! | a response nobody asked for | refused | RFC 9112 §9.2: it would answer the next request |

mod body;
mod chunked;
pub mod claims;
mod credentials;
mod date;
mod error;
mod fields;
pub mod framing;
mod grammar;
mod head;
pub mod hop;
mod host;
pub mod limits;
mod list;
mod method;
pub mod name;
mod page_policy;
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

pub use credentials::{basic_credentials, basic_user};
pub use date::http_date;
pub use error::Error;
pub use fields::{Fields, write_line};
pub use framing::BodyLength;
pub(crate) use grammar::{is_token, is_token_byte, split_run};
pub(crate) use head::RequestLine;
pub use head::{RequestHead, ResponseHead, write_status_line};
pub use hop::{HopByHop, accepts_trailers, expects_continue, max_forwards, upgrade_offers};
pub use host::Authority;
pub use limits::Limits;
pub use list::{is_unterminated, members};
pub use method::Method;
#[cfg(test)]
pub(crate) use page_policy::page_faults;
pub use page_policy::page_policy;
pub use persistence::{NotPersistent, persistent, persistent_after, persistent_without_tunnels, write_connection};
pub use request_reader::{RequestEvent, RequestReader};
pub use response_reader::{ResponseEvent, ResponseReader};
pub use status::Status;
pub use target::Target;
pub use version::Version;
pub use writer::BodyWriter;

/// The part of a message that a reader waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadPhase {
    /// A message; no byte of one was seen.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}
