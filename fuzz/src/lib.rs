//! Rules that must hold for any bytes at all: one module for each fuzz target, with a function `judge` that panics if a
//! rule is broken. `tests/fuzz.rs` calls the same functions, so that they stay true without a fuzzer.

pub mod announcement;
pub mod chunked;
pub mod config;
pub mod dates;
pub mod dictionary;
pub mod directives;
pub mod files;
pub mod frames;
pub mod freshness;
pub mod gateway;
pub mod guard;
pub mod heard;
pub mod hpack;
pub mod http2;
pub mod lines;
pub mod mqtt;
pub mod peer;
pub mod pieces;
pub mod proxy;
pub mod ranges;
pub mod replies;
pub mod requests;
pub mod responses;
pub mod saved;
pub mod store;
pub mod tags;
pub mod tls;
pub mod vary;
pub mod websocket;
pub mod wire;
