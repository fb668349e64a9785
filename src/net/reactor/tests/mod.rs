//! The reactor over real sockets: nothing sleeps, every wait is for an event, and gives up after [`PATIENCE`].

mod relay;
mod support;
