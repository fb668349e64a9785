//! The thread that tells a service manager that all workers are alive (`pulse.rs`).

use super::{
    pulse::{Look, Watch},
    versions::Current,
};
use crate::net::{
    Remote,
    supervisor::{self, State},
};
use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
};

/// How often the workers are looked at while a service manager waits for one word: a turn that takes long is not yet a hang.
const LOOKS: u32 = 4;

/// Tells the service manager that the workers are alive, if it wants to hear that, until the end begins: then it waits for that.
///
/// # Errors
///
/// The system has no thread left.
pub(super) fn watch(current: Arc<Current>, workers: Vec<Remote>) -> io::Result<()> {
    let Some(every) = supervisor::watchdog() else { return Ok(()) };
    tracing::info!("the service manager hears every {every:?} at the latest that all workers are alive");
    let work = move || {
        let mut watch = Watch::default();
        loop {
            let shared = current.get();
            if shared.draining.load(Relaxed) {
                return;
            }
            match watch.look(&shared.pulses) {
                Look::Alive => supervisor::tell(State::Alive),
                Look::Hanging { workers, new: true } => {
                    tracing::error!(
                        "hanging: worker {workers:?}; the service manager hears nothing until that is over"
                    );
                }
                Look::Hanging { new: false, .. } => {}
            }
            drop(shared);
            workers.iter().for_each(Remote::wake);
            thread::park_timeout(every / LOOKS);
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(work).map(drop)
}
