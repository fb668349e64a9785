//! Other certificates without a restart: on SIGHUP, and when the files have changed.
//!
//! ```text
//!   every 2 s: have the files changed? ──yes──▶ again 2 s later: are they as they were? ──yes──▶ load, try, put in place
//!   SIGHUP ─────────────────────────────────────────────────────────────────────────────────▶       │
//!                                                        something is wrong: one line, and nothing changes
//! ```
//!
//! A certificate and its key are two files, and are not replaced at one moment. So files that have just changed are left alone until
//! they rest. A handshake that has begun keeps the certificate that it began with, and so do all connections that are open.
//!
//! The authorities for backends and our certificate for them are files as well, and change with the others. A connection to a backend that
//! is open stays in the pool: it was verified by the authorities of its time.

use super::files::{Files, Stamp};
use crate::{
    net::clock,
    tls::{Servers, Shared},
};
use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// How often the files are looked at. Renewal has days of time; a person who tries it does not want to wait.
const EVERY: Duration = Duration::from_secs(2);

/// The places for what is loaded.
pub(super) struct Targets {
    pub(super) shared: Arc<Shared>,
    pub(super) servers: Arc<Servers>,
    /// The hash of all that was read for the servers that are in place.
    pub(super) content: u64,
}

/// Watches the files on a thread of its own; `known` is how they looked when they were read. Each message is a wish to reload now;
/// the thread ends when no sender is left.
///
/// # Errors
///
/// The system has no thread left.
pub(super) fn start(files: Arc<Files>, known: Stamp, targets: Targets) -> io::Result<Sender<()>> {
    let (sender, wishes) = channel();
    thread::Builder::new().name("certificates".to_owned()).spawn(move || watch(&files, known, targets, &wishes))?;
    Ok(sender)
}

fn watch(files: &Files, known: Stamp, mut targets: Targets, wishes: &Receiver<()>) {
    let mut looks = Looks::new(known);
    loop {
        let wished = match wishes.recv_timeout(EVERY) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Several wishes in the meantime are one.
        while wishes.try_recv().is_ok() {}
        // The look comes before the reading: a change in between is another change.
        if looks.is_due(files.stamp(), wished) {
            targets.reload(files);
        }
    }
}

impl Targets {
    /// Puts all of it in place, or nothing.
    fn reload(&mut self, files: &Files) {
        let loaded = match files.load(clock::now().wall) {
            Ok(loaded) => loaded,
            Err(why) => {
                self.shared.counters.reloaded(false);
                return tracing::error!("{why}; the certificates from before stay in use");
            }
        };
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.shared.replace(loaded.store);
        // The same servers keep the sessions that were opened with them.
        let others = loaded.servers.content != self.content;
        if others {
            self.servers.replace(loaded.servers.list);
            self.content = loaded.servers.content;
        }
        self.shared.counters.reloaded(true);
        let backends = if others { "; for backends: other authorities, or another certificate of ours" } else { "" };
        tracing::info!("certificates reloaded: {}{backends}", super::describe(&self.shared.store()));
    }
}

/// The stamps of the files at earlier looks.
#[derive(Debug)]
struct Looks {
    /// When they were loaded last, or could not be.
    known: Stamp,
    /// At the last look, if that was something else.
    changed: Option<Stamp>,
}

impl Looks {
    fn new(known: Stamp) -> Self {
        Self { known, changed: None }
    }

    /// Whether it is time to load, given what the files look like now.
    fn is_due(&mut self, now: Stamp, wished: bool) -> bool {
        let rests = self.changed.as_ref() == Some(&now);
        let due = wished || (now != self.known && rests);
        if due {
            (self.known, self.changed) = (now, None);
        } else {
            self.changed = (now != self.known).then_some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_loaded_once_they_rest() {
        let stamp = |mark: u64| Stamp::of_marks(&[mark]);
        let mut looks = Looks::new(stamp(1));
        for (mark, wished, due, why) in [
            (1, false, false, "as they were"),
            (2, false, false, "have changed just now"),
            (3, false, false, "and again"),
            (3, false, true, "rest"),
            (3, false, false, "are loaded"),
            (4, false, false, "have changed"),
            (3, false, false, "and are as they were"),
            (4, false, false, "have changed"),
            (4, true, true, "are wished for"),
            (4, false, false, "are loaded"),
            (4, true, true, "are wished for once more"),
        ] {
            assert_eq!(looks.is_due(stamp(mark), wished), due, "{why}");
        }
    }
}
