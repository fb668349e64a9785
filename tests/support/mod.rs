//! Helpers that the integration tests share.
//!
//! - A fake world for any [`socket_patterns::app::App`]: [`world`], and around it [`link`], [`pipe`], [`driver`],
//!   [`network`], [`weather`], [`peer`], [`random`], [`trace`].
//! - Clients and origins for that world that speak HTTP, and the oracle that judges what passed between them:
//!   [`wire`], [`ledger`], [`heads`], [`asks`], [`client`], [`answers`], [`origin`]; clients of HTTP/2: [`stream_asks`],
//!   [`stream_client`]; mistakes made on purpose: [`relay`], [`saboteur`].
//! - Real processes and sockets for black-box tests: [`process`], [`raw`], [`mortal`], [`milestones`], [`absolute_form`], [`tls`],
//!   [`tls_backend`], [`tls_tunnel`], [`websocket`], [`socket`], [`browser`], [`page_site`], [`http2`], [`http2_gateway`], [`http2_origin`],
//!   `deaf_stderr`, `kernel_queues`, [`redis`]; for the client, [`shell`] and [`lines`].

// Each test binary uses its own part, and `pub` here means "for the tests".
#![allow(dead_code, unreachable_pub)]

pub mod absolute_form;
pub mod answers;
pub mod asks;
pub mod browser;
pub mod client;
#[cfg(target_os = "linux")]
pub mod deaf_stderr;
pub mod driver;
pub mod heads;
pub mod http2;
pub mod http2_gateway;
pub mod http2_origin;
#[cfg(target_os = "linux")]
pub mod kernel_queues;
pub mod ledger;
pub mod lines;
pub mod link;
pub mod milestones;
pub mod mortal;
pub mod network;
pub mod origin;
pub mod page_site;
pub mod peer;
pub mod pipe;
pub mod process;
pub mod random;
pub mod raw;
pub mod redis;
pub mod relay;
pub mod saboteur;
pub mod shell;
pub mod simulation;
pub mod socket;
pub mod stream_asks;
pub mod stream_client;
pub mod tls;
pub mod tls_backend;
pub mod tls_tunnel;
pub mod trace;
pub mod weather;
pub mod websocket;
pub mod wire;
pub mod world;
