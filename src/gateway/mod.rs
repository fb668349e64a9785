//! HTTP in front of a command server: one protocol translated into another.
//!
//! ```text
//!   HTTP clients ──▶ event loop ──▶ Gateway (a session each) ──Request──▶ client::Client ──▶ command server
//!                                        ▲                                (its own thread)
//!                                        └── Waker ◀── inbox ◀── Answer or Error ──┘
//! ```
//!
//! | request | commands | answer |
//! |---|---|---|
//! | `GET /ping`, `GET /time` | `PING`, `TIME` | the line |
//! | `GET /stats` | `STATS` | the numbers as JSON |
//! | `POST /echo` | `ECHO`, once for each line of the content | the lines |
//! | `POST /command` | each line of the content | JSON; of several commands a line each, in order, as they come |
//!
//! Each error of one side in the words of the other:
//!
//! | of a command | status | executed |
//! |---|---|---|
//! | answered; a text that begins with `ERROR ` and was to be sent back | 200 | yes |
//! | answered with `ERROR …`, not a line of text, too long, `QUIT` | 400 | no |
//! | no connection, or lost before a byte of it had left | 503 and `Retry-After` | no |
//! | the server has no room; the breaker is open; too many wait | 503 and `Retry-After` | no |
//! | lost when a part of it had left, and it must not be repeated | 502 | unknown |
//! | the server said what is no answer | 502 | unknown |
//! | no answer in time | 504 | unknown, or no if it had not left |
//! | the rest of its request is malformed, too late or missing | 400, 408, … | as far as it is known |
//!
//! A command that may be executed twice is repeated first ([`Attempts`](crate::client::Attempts)), so its client hardly sees these. The
//! method of the request does not matter for that: `POST /command` with `PING` is repeated, with a command of unknown name it is not.
//!
//! A client waits for its own commands alone: 64 of them (or 64 KiB) are under way, and of the rest nothing is read. One that takes no answers
//! is not read from, either.
//!
//! Reading order: `route` (what a request stands for), `outcome` (the table above), `exchange` (lines, commands, outcomes in order),
//! [`Gateway`] (the connection), `run`.

mod args;
mod exchange;
mod outcome;
mod respond;
mod route;
mod run;
mod session;
#[cfg(test)]
mod tests;

pub use args::GatewayArgs;
pub use run::run;
pub use session::{Commands, Config, Done, Gateway};
