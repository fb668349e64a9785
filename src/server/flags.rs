//! Signals without a thread to hear them: for processes that fork.
//!
//! A handler may do next to nothing, so it raises a flag and rings the bell; the thread that waits at the bell looks at
//! the flags.

use super::process::hear_signals;
use crate::cli::Failure;
use signal_hook::{
    SigId,
    consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1},
    flag,
    low_level::{self, pipe},
};
use std::{
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// Requests made by signals.
#[derive(Debug)]
pub(super) struct Flags {
    stop: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
    registered: Vec<SigId>,
}

impl Flags {
    /// From now on signals raise flags and pull `rope`. A second SIGINT or SIGTERM ends the process at once.
    pub(super) fn register(rope: &UnixStream) -> Result<Self, Failure> {
        let (stop, report) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut registered = Vec::new();
        for signal in [SIGINT, SIGTERM] {
            // The first signal finds the flag down and raises it, the second finds it raised.
            registered.push(flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?);
            registered.push(flag::register(signal, Arc::clone(&stop))?);
        }
        registered.push(flag::register(SIGUSR1, Arc::clone(&report))?);
        // After the flags: a thread that hears the bell has to find them raised.
        for signal in [SIGINT, SIGTERM, SIGUSR1, SIGCHLD] {
            registered.push(pipe::register(signal, rope.try_clone()?)?);
        }
        Ok(Self { stop, report, registered })
    }

    /// For a child that has handlers of its own by now: its copy of this ends, and what it was sent meanwhile is heard. `true`: the end was asked for before.
    pub(super) fn release(self) -> bool {
        for id in self.registered {
            low_level::unregister(id);
        }
        hear_signals();
        self.stop.load(SeqCst)
    }

    /// Whether the end was asked for. Stays so.
    pub(super) fn stop(&self) -> bool {
        self.stop.load(SeqCst)
    }

    /// Whether statistics were asked for since this was last called.
    pub(super) fn take_report(&self) -> bool {
        self.report.swap(false, SeqCst)
    }
}
