//! WebSockets (RFC 6455), the side of a server: bytes in, messages out, and back. No I/O, no clock, and no HTTP: the handshake's proof is
//! here ([`accept`]), its request and response are the caller's.
//!
//! ```text
//!   bytes ──▶ Reader: head ─▶ unmask ─▶ fragments ─▶ UTF-8 ──▶ Message      Fault ──▶ close code
//!   bytes ◀── write_frame, close_frame ◀────────────────────── text, pong, close
//! ```
//!
//! A broken rule ends the connection with a code that says why:
//!
//! | a client sends | code | RFC 6455 |
//! |---|---|---|
//! | a reserved bit, an opcode that nobody has defined | 1002 | §5.2 |
//! | a frame without a mask | 1002 | §5.1 |
//! | a length in more bytes than it needs, or of more than 63 bits | 1002 | §5.2 |
//! | a control frame in fragments, or of more than 125 bytes | 1002 | §5.5 |
//! | a continuation of nothing, or a new message inside of another | 1002 | §5.4 |
//! | a close frame of one byte, or with a code that may not be sent | 1002 | §5.5.1, §7.4 |
//! | text, or a reason, that is not UTF-8 | 1007 | §8.1 |
//! | a message that is too long, told by the first frame that makes it so | 1009 | §7.4.1 |
//!
//! No extension is offered, so none is in use: compression would let one message of a kilobyte become one of a megabyte.

mod frame;
mod key;
mod reader;

pub use frame::{CloseCode, Opcode, close_frame, frame, write_frame};
pub use key::accept;
pub use reader::{Fault, Message, Reader};
