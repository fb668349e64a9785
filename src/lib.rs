//! How network servers work, as a library that its own binaries use.
//!
//! # Reading order
//!
//! 1. [`app`] and [`session`]: the two contracts. Bytes and time come in, bytes and actions go out. Code written for
//!    them never sees a socket.
//! 2. [`http`]: where a message starts and ends (RFC 9112); [`http2`]: many of them at once (RFC 9113).
//! 3. [`net`]: sockets, clock and signals. Its reactor and its blocking driver run the same sessions.
//! 4. [`lb`], [`health`], [`resilience`], [`pool`]: one decision each. Which backend, is it alive, may we try again,
//!    which connection.
//! 5. [`proxy`]: the parts put together. Start with `proxy/exchange/`, the life of one request. [`config`]: the same from a file.
//!
//! # Layers
//!
//! An arrow may only point down; `tests/layering/` checks it, and that files of one folder use each other in no circle.
//!
//! ```text
//! bin/*                                 parse flags, choose parts
//! config                                a proxy from a file
//! server  client  proxy  load  gateway  multi  chat  files  broker  store    run things: workers, threads, processes
//! cli                                   what all command lines have in common
//! redis                                 a client of Redis, on a thread of its own
//! disk                                  files that outlive a process
//! net                                   sockets, clock, signals; what is below has none
//! http  http2  websocket  mqtt  resp  tls  service  lb  pool  health  resilience  cache     pure: bytes and time in, decisions out
//! app  session  backend                 the contracts and the shared noun
//! time  buf  units                      timer wheel, buffers, how values are written
//! ```

pub mod app;
pub mod backend;
pub mod broker;
pub mod buf;
pub mod cache;
pub mod chat;
pub mod cli;
pub mod client;
pub mod config;
pub mod disk;
pub mod files;
pub mod gateway;
pub mod health;
pub mod http;
pub mod http2;
pub mod lb;
pub mod load;
pub mod mqtt;
pub mod multi;
pub mod net;
pub mod pool;
pub mod proxy;
pub mod redis;
pub mod resilience;
pub mod resp;
pub mod server;
pub mod service;
pub mod session;
pub mod store;
pub mod time;
pub mod tls;
pub mod units;
pub mod websocket;
