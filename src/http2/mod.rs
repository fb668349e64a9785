//! HTTP/2 (RFC 9113): many exchanges on one connection. Bytes and time come in, events and frames go out; no I/O, no clock.
//!
//! ```text
//!  bytes ──▶ frame ──▶ hpack ──▶ message ──▶ Event::Request, Data, End, Reset …      Connection::next
//!            length,   field     HTTP's       │
//!            place     lines     rules        ▼
//!                                             the application
//!                                             │ respond, send, finish, reset, took
//!  bytes ◀── turns ◀── windows ◀── stream ◀───╯                                       Connection::write
//!            whose?    how much?   which state?
//! ```
//!
//! | file | question |
//! |---|---|
//! | `frame`, `settings` | what do the bytes say, and may they? |
//! | [`hpack`] | which field lines is a block? |
//! | `message` | which request or response are the lines? |
//! | `stream` | what may come in which state? |
//! | `window` | how much content may be on its way? |
//! | `priority`, `connection/turns` | who sends next? |
//! | [`limits`], `cause` | how much is too much, and what is that called? |
//! | [`connection`] | what follows from a frame? |
//!
//! # How it is driven
//!
//! One [`Connection`] for each connection, a server's or a client's ([`Role`]). Its owner
//!
//! 1. feeds it with [`Connection::next`] until that gives nothing more, and acts on each [`Event`];
//! 2. says what it has to say: [`Connection::respond`], [`Connection::send`], [`Connection::finish`], [`Connection::reset`];
//! 3. tells when bytes of a body are gone, with [`Connection::took`]: only then may the peer send more;
//! 4. calls [`Connection::write`] once, after all of that, so that the frames of many streams leave together; and again when
//!    the system has taken some of them. Then [`Connection::relieved`] names the streams that may go on;
//! 5. calls [`Connection::expire`] at [`Connection::deadline`], and closes when [`Connection::is_over`].
//!
//! ```
//! use socket_patterns::{buf::Output, http::{Fields, Status}, http2::{Connection, Event, Limits, Role}, time::Instant};
//! use std::sync::Arc;
//!
//! # let now = Instant::now();
//! // What a client sends: preface, settings, and a request in 14 bytes of HPACK.
//! let mut input: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
//!     \x00\x00\x00\x04\x00\x00\x00\x00\x00\
//!     \x00\x00\x0e\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x09localhost";
//! let mut connection = Connection::new(Role::Server, Arc::new(Limits::default()), now);
//! while let Some(event) = connection.next(&mut input, now) {
//!     if let Event::Request { stream, request, ends } = event {
//!         assert_eq!((request.head.target(), request.head.authority(), ends), ("/", Some("localhost"), true));
//!         let mut head = connection.respond(stream, Status::OK).expect("it has not been answered");
//!         head.field(b"Content-Type", b"text/plain");
//!         head.finish(false);
//!         connection.send_copy(stream, b"hello");
//!         connection.finish(stream, Fields::new());
//!     }
//! }
//! let mut output = Output::new();
//! connection.write(&mut output, 64 * 1024, now);
//! let wire: Vec<u8> = std::iter::from_fn(|| output.pop()).flatten().collect();
//! // A DATA frame of 5 bytes that ends stream 1; the response's head is before it.
//! assert!(wire.ends_with(b"\x00\x00\x05\x00\x01\x00\x00\x00\x01hello"));
//! ```
//!
//! # Choices
//!
//! | question | answer | why |
//! |---|---|---|
//! | promises (`PUSH_PROMISE`) | none made, none taken | browsers have given them up |
//! | the old priorities | read and ignored; a stream may depend on itself | RFC 9113 §5.3.2 |
//! | responses of one urgency, not incremental | take turns, longer ones | RFC 9218 §10 would send them one after the other: a large one would hold up all that were asked for after it |
//! | a malformed request | an event; the application answers, and then the stream is reset | RFC 9113 §8.1.1, §8.2.1 |
//! | a request that is too large | an event; the answer ends the stream | it is not malformed |
//! | `Host` beside `:authority` | has to name the same server, and is dropped | §8.3.1 |
//! | `:path` with a whole URI | refused | only HTTP/1.1 has that form |
//! | a frame on a closed stream | ignored if we have reset it, else an error | §5.1: the peer could know; the last [`limits::REMEMBERED_RESETS`] are remembered |
//! | settings that are never acknowledged | borne | none of ours makes anything smaller than it was |
//! | `MAX_HEADER_LIST_SIZE` of the peer | ignored | it is advice; the peer says if a head is too large |
//! | a peer's window, shut for long | the stream is reset, or the connection ended | [`Connection::end_shut`]: its application says what is long |

mod cause;
pub mod connection;
mod frame;
pub mod hpack;
pub mod limits;
mod message;
mod priority;
mod settings;
mod stream;
mod window;

pub use cause::{Cause, ErrorCode};
pub use connection::{Connection, Event, HeadWriter, NoStream, PREFACE, Reset};
pub use limits::Limits;
pub use message::Request;
pub use priority::Priority;
pub use settings::Role;
