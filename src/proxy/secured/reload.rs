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

use super::files::{Files, Loaded, Stamp};
use crate::{net::clock, tls::Shared};
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

/// Watches the files on a thread of its own; `known` is how they looked when they were read. Each message is a wish to reload now;
/// the thread ends when no sender is left.
///
/// # Errors
///
/// The system has no thread left.
pub(super) fn start(files: Arc<Files>, known: Stamp, shared: Arc<Shared>) -> io::Result<Sender<()>> {
    let (sender, wishes) = channel();
    thread::Builder::new().name("certificates".to_owned()).spawn(move || watch(&files, known, &shared, &wishes))?;
    Ok(sender)
}

fn watch(files: &Files, known: Stamp, shared: &Shared, wishes: &Receiver<()>) {
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
            reload(files, shared);
        }
    }
}

fn reload(files: &Files, shared: &Shared) {
    match files.load(clock::now().wall) {
        Ok(Loaded { store, warnings }) => {
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            shared.replace(store);
            shared.counters.reloaded(true);
            tracing::info!("certificates reloaded: {}", super::describe(&shared.store()));
        }
        Err(why) => {
            shared.counters.reloaded(false);
            tracing::error!("{why}; the certificates from before stay in use");
        }
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
