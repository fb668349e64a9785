//! The reactor over real sockets: nothing sleeps; every wait is for an event, and gives up after
//! [`support::PATIENCE`].

mod alarm;
mod closing;
mod connections;
mod interrupted;
mod lifecycle;
mod relay;
mod relaying;
mod support;
