//! The reactor over real sockets: nothing sleeps; every wait is for an event, and gives up after
//! [`support::PATIENCE`].
//!
//! These files are the tests of the proactor as well: see its `tests`. They name the event loop `Driver`.

mod alarm;
mod closing;
mod connections;
mod crowded;
mod files;
mod interrupted;
mod lifecycle;
mod relay;
mod slow;
mod splicing;
mod support;

use super::{Reactor as Driver, actions::FRESH};
use crate::net::driver::CAPACITY;

/// No pipe, one for several splices, enough.
const PIPES: [usize; 3] = [0, 1, 64];

/// As many bytes as a splice takes before it hears that they are not taken from it.
fn most_read() -> usize {
    crate::net::DriverConfig::default().bulk_read_size.max(CAPACITY)
}
