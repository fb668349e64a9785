//! The tests of the reactor once more: an application must not be able to tell which of the two drives it.
//!
//! Mistakes that only the proactor can make are tested in [`completions`].

#![allow(clippy::duplicate_mod)] // That is the point.

#[path = "../../reactor/tests/closing.rs"]
mod closing;
mod completions;
#[path = "../../reactor/tests/connections.rs"]
mod connections;
#[path = "../../reactor/tests/crowded.rs"]
mod crowded;
#[path = "../../reactor/tests/files.rs"]
mod files;
#[path = "../../reactor/tests/interrupted.rs"]
mod interrupted;
#[path = "../../reactor/tests/lifecycle.rs"]
mod lifecycle;
#[path = "../../reactor/tests/relay.rs"]
mod relay;
#[path = "../../reactor/tests/slow.rs"]
mod slow;
#[path = "../../reactor/tests/splicing.rs"]
mod splicing;
#[path = "../../reactor/tests/support.rs"]
mod support;

use super::{Proactor as Driver, actions::FRESH};
use crate::net::driver::CAPACITY;

/// No pipe, one for several splices, enough.
const PIPES: [usize; 3] = [0, 1, 64];

/// As many bytes as a splice takes before it hears that they are not taken from it.
fn most_read() -> usize {
    crate::net::DriverConfig::default().bulk_read_size.max(CAPACITY)
}
