//! A client that survives its server: each pattern alone, and all of them together.
//!
//! | what goes wrong | what answers it |
//! |---|---|
//! | the server is restarted | [`Reconnect`]: try again, each time later |
//! | it comes back somewhere else | [`Server`]: look its name up again, and try all addresses that it has |
//! | an answer is lost with its connection | [`Attempts`]: send again only what may be executed twice |
//! | every request pays for a handshake | [`ConnectionPool`]: keep connections, and notice dead ones before they are used |
//! | one slow answer holds up the others | [`Correlation`]: number the requests |
//! | the peer is gone and says nothing | [`Heartbeat`]: ask when it is silent |
//! | everybody waits for a server that cannot answer | [`Breaker`](crate::resilience::Breaker): stop asking for a while |
//! | three tries take three times as long | [`DeadlineBudget`](crate::resilience::DeadlineBudget): one time limit over all of them |
//! | there is no answer | [`Fallback`]: say something useful, and say that it is that |
//!
//! ```text
//!   Client ──▶ mailbox ──▶ driver ──▶ socket        a thread, and all the I/O
//!                            │ ▲
//!          what happened ────┘ └──── what to do
//!                            ▼ │
//!                           Link                    pure: bytes and time
//!           queue, Correlation, Attempts, Outgoing,
//!           Reconnect, Heartbeat, Breaker
//! ```
//!
//! # Alone
//!
//! Each has an example that runs. Two of them the proxy uses as well, so they live in [`crate::resilience`]; against a server
//! they look like this. A breaker:
//!
//! ```
//! use socket_patterns::{client::demo, net::{clock, connect}, resilience::{Admit, Breaker, BreakerConfig}};
//! use std::time::Duration;
//!
//! let server = demo::command_server()?;
//! let mut breaker = Breaker::new(BreakerConfig { failures: 2, ..BreakerConfig::default() });
//! let mut ask = |address| match breaker.admit(clock::now().instant) {
//!     Admit::No { .. } => "refused, without asking",
//!     Admit::Yes | Admit::Trial => match connect::connect(address, Duration::from_secs(5)) {
//!         Ok(_) => { breaker.success(clock::now().instant); "answered" }
//!         Err(_) => { breaker.failure(clock::now().instant); "failed" }
//!     },
//! };
//! let address = server.address();
//! assert_eq!(ask(address), "answered");
//! drop(server);
//! assert_eq!([ask(address), ask(address), ask(address)], ["failed", "failed", "refused, without asking"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! One time limit over three tries, of which the first takes its share and no more:
//!
//! ```
//! use socket_patterns::{client::{Client, Config, Policy, Request, demo}, net::clock, resilience::DeadlineBudget};
//! use std::time::Duration;
//!
//! let server = demo::command_server()?;
//! let budget = DeadlineBudget::new(Duration::from_millis(300), clock::now().instant);
//! let mut tries = 0;
//! for left in (1..=3).rev() {
//!     let deadline = budget.for_try(clock::now().instant, left);
//!     let config = Config { policy: Policy { deadline, tries: 1 }, ..Config::default() };
//!     let slow = Client::connect(server.address(), config)?.ask(Request::new("DELAY 10000 too slow")?);
//!     assert!(slow.is_err());
//!     tries += 1;
//! }
//! assert_eq!((tries, budget.remaining(clock::now().instant)), (3, Duration::ZERO));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading order
//!
//! `error.rs` (what can be known about a request without an answer) and `attempts.rs` (what follows from that) are the heart.
//! Then the small machines, then `link.rs`, which puts them together and has never seen a socket, then `driver.rs`.
//! `connection_pool.rs` is the other way to use connections: one request at a time on each, from many threads.

mod args;
mod attempts;
mod config;
mod connection_pool;
mod correlation;
pub mod demo;
mod driver;
mod error;
mod fallback;
mod handle;
mod heartbeat;
mod link;
mod outgoing;
mod reconnect;
mod request;
mod server;
pub mod shell;
#[cfg(test)]
mod testing;

pub use args::ClientArgs;
pub use attempts::{Attempts, Policy, Verdict};
pub use config::Config;
pub use connection_pool::{ConnectionPool, Pooled};
pub use correlation::{Correlation, MAX_WINDOW, Received};
pub use error::{Blame, Cause, Error, PeerError, Written};
pub use fallback::{Fallback, Reply};
pub use handle::Client;
pub use heartbeat::{Beat, Heartbeat, HeartbeatConfig};
pub use link::{Action, Event, Link, Stats};
pub use reconnect::{Again, BACKOFF, GaveUp, Reconnect, TRIES};
pub use request::{Answer, MAX_REQUEST, Names, Request};
pub use server::Server;
