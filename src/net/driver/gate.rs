//! When connections are accepted, and when not.

use super::spare::Spare;
use crate::time::Instant;
use nix::errno::Errno;
use std::{
    io::{self, ErrorKind},
    mem,
    time::Duration,
};

/// How long to wait when descriptors ran out, or another error says that accepting makes no sense. Trying at once would
/// fail at once, and burn a core. Also how soon an application that had nothing to close is asked again.
pub(in crate::net) const BACK_OFF: Duration = Duration::from_millis(100);

/// The limits that all listeners of an event loop share.
#[derive(Debug)]
pub(in crate::net) struct Gate {
    /// Descriptors ran out, most likely; until then nothing is accepted.
    closed_until: Option<Instant>,
    /// A connection waits for another to end: when to ask the application again to close one.
    pub(in crate::net) ask_again: Option<Instant>,
    spare: Spare,
    /// It was logged. Once is enough until it works again.
    complained: bool,
}

impl Gate {
    /// Keeps descriptors for `spare` connections.
    pub(super) fn new(spare: usize) -> Self {
        Self { closed_until: None, ask_again: None, spare: Spare::new(spare), complained: false }
    }

    /// Whether it is worth trying to accept.
    pub(in crate::net) fn is_open(&self) -> bool {
        self.closed_until.is_none()
    }

    /// Opens it if it was closed for long enough. Tells whether it is open.
    pub(in crate::net) fn open_if_due(&mut self, now: Instant) -> bool {
        self.closed_until = self.closed_until.filter(|until| now < *until);
        self.is_open()
    }

    /// When there is something to do here.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.closed_until.into_iter().chain(self.ask_again).min()
    }

    /// Keeps descriptors aside for connections beyond the `open` ones.
    pub(in crate::net) fn keep_spare(&mut self, open: usize) {
        self.spare.keep(open);
    }

    /// Gives up a descriptor that was kept. `false`: there is none.
    pub(in crate::net) fn release_spare(&mut self) -> bool {
        self.spare.release()
    }

    /// A connection was accepted.
    pub(in crate::net) fn works(&mut self) {
        self.complained = false;
    }

    /// Accepts nothing for a while. The cause will not be gone at once.
    pub(in crate::net) fn back_off(&mut self, error: &io::Error, now: Instant) {
        self.closed_until = Some(now + BACK_OFF);
        if !mem::replace(&mut self.complained, true) {
            explain(error);
        }
    }
}

/// Says what may help.
fn explain(error: &io::Error) {
    if out_of_descriptors(error) {
        tracing::warn!(%error, "cannot accept: raise the limit with `ulimit -n`, or take fewer at once");
    } else {
        tracing::warn!(%error, "cannot accept: trying again every 100 ms");
    }
}

/// The process or the system has no descriptor, or no memory for one.
pub(in crate::net) fn out_of_descriptors(error: &io::Error) -> bool {
    const CAUSES: [Errno; 4] = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| CAUSES.contains(&Errno::from_raw(code)))
}

/// Whether no connection was accepted for a reason that does not concern the next one: a peer that gave up while it
/// waited, a signal.
pub(in crate::net) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}
