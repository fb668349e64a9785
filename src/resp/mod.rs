//! RESP, the protocol of Redis, in both directions. Pure: bytes in, words and values out.
//!
//! ```text
//!               command ── Reply::bulks ──▶ ── request::Parser ──▶ words
//!   a client                                                                   a server
//!    (redis)      value ◀── Replies ─────── ◀── Reply ───────────── reply       (store)
//! ```
//!
//! A command is an array of bulk strings, so it is written as a reply of that form is. `words` are the parts of a command, `number` is how
//! numbers are written.

pub(crate) mod number;
pub(crate) mod reply;
pub(crate) mod request;
mod value;
pub(crate) mod words;

pub use value::{Malformed, Replies, Value};
