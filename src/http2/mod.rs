//! HTTP/2 (RFC 9113): bytes and time in, events and frames out; no I/O, no clock.
//!
//! A connection is built from the bottom up. So far there is [`hpack`], the form in which field lines are written.

pub mod hpack;
