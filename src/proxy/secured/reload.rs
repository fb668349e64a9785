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

use super::{
    Prepared,
    files::{Files, Loaded, Stamp},
};
use crate::{
    app::Names,
    backend::BackendId,
    net::clock,
    tls::{Server, Servers, Shared, Store},
};
use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, SystemTime},
};

/// How often the files are looked at. Renewal has days of time; a person who tries it does not want to wait.
const EVERY: Duration = Duration::from_secs(2);

/// The places for what is loaded.
pub(super) struct Targets {
    pub(super) shared: Arc<Shared>,
    pub(super) servers: Arc<Servers>,
    /// The hash of all that was read for the servers that are in place.
    pub(super) content: u64,
    /// Each server that the files are for, as it was read last.
    pub(super) list: Vec<Option<Arc<Server>>>,
    /// The ids of its backends. `None`: they are those of the servers, which count from 0.
    pub(super) places: Option<Places>,
    /// Of the configuration that names the files.
    pub(super) teller: Teller,
}

/// Tells a message about a file that a flag names as one about its place: in a configuration, that of the key.
pub type Teller = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// For programs with flags.
pub(in crate::proxy) fn as_it_is() -> Teller {
    Arc::new(str::to_owned)
}

/// The ids of the backends that each server is.
pub(in crate::proxy) type Places = Vec<Vec<BackendId>>;

/// The thread that watches the files; it ends when no one has this any more.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Certificates(Sender<Wish>);

enum Wish {
    /// Read the files again, now.
    Reload,
    /// A configuration names these files from now on. The answer: the differences, one a line.
    Install(Box<Prepared>, Places, Teller, Sender<Vec<String>>),
    /// The same servers are these backends from now on. The answer: it is so.
    Place(Places, Sender<()>),
}

impl Certificates {
    /// Reads the files again.
    pub(in crate::proxy) fn reload(&self) {
        // An error would mean that the thread has panicked: then it has said so.
        let _ = self.0.send(Wish::Reload);
    }

    /// The same servers are other backends: addresses came or went.
    pub(in crate::proxy) fn place(&self, places: Places) {
        let (sender, done) = channel();
        let _ = self.0.send(Wish::Place(places, sender));
        let _ = done.recv();
    }

    /// Puts in place what another configuration names, for servers that are these backends. Tells what is different, one thing a line.
    pub(in crate::proxy) fn install(&self, prepared: Prepared, places: Places, teller: Teller) -> Vec<String> {
        let (sender, done) = channel();
        let _ = self.0.send(Wish::Install(Box::new(prepared), places, teller, sender));
        done.recv().unwrap_or_default()
    }
}

/// Watches the files on a thread of its own; `known` is how they looked when they were read.
///
/// # Errors
///
/// The system has no thread left.
pub(super) fn start(files: Arc<Files>, known: Stamp, targets: Targets) -> io::Result<Certificates> {
    let (sender, wishes) = channel();
    thread::Builder::new().name("certificates".to_owned()).spawn(move || watch(files, known, targets, &wishes))?;
    Ok(Certificates(sender))
}

fn watch(mut files: Arc<Files>, known: Stamp, mut targets: Targets, wishes: &Receiver<Wish>) {
    let mut looks = Looks::new(known);
    loop {
        let wished = match wishes.recv_timeout(EVERY) {
            Ok(Wish::Install(prepared, places, teller, done)) => {
                let Prepared { files: others, stamp, loaded } = *prepared;
                let keeps = others.makes_the_same(&files);
                (files, looks) = (others, Looks::new(stamp));
                (targets.places, targets.teller) = (Some(places), teller);
                // The other side may have given up.
                let _ = done.send(targets.install(loaded, keeps));
                continue;
            }
            Ok(Wish::Place(places, done)) => {
                targets.places = Some(places);
                targets.servers.replace(targets.placed());
                let _ = done.send(());
                continue;
            }
            Ok(Wish::Reload) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // The look comes before the reading: a change in between is another change.
        if looks.is_due(files.stamp(), wished) {
            targets.reload(&files);
        }
    }
}

impl Targets {
    /// Puts all of it in place, or nothing.
    fn reload(&mut self, files: &Files) {
        let loaded = match files.load(clock::now().wall) {
            Ok(loaded) => loaded,
            Err(why) => return self.shared.keep(&(self.teller)(&why)),
        };
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{}", (self.teller)(warning)));
        self.shared.replace(loaded.store);
        // The same servers keep the sessions that were opened with them.
        let others = loaded.servers.content != self.content;
        if others {
            self.list = loaded.servers.list;
            self.servers.replace(self.placed());
            self.content = loaded.servers.content;
        }
        self.shared.counters.reloaded(true);
        let backends = if others { "; for backends: other authorities, or another certificate of ours" } else { "" };
        tracing::info!("certificates reloaded: {}{backends}", self.shared.store().describe());
    }

    /// Puts in place what another configuration names. `keeps`: the certificate was made on the spot, and stays.
    fn install(&mut self, loaded: Loaded, keeps: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !keeps {
            let before = self.shared.store();
            self.shared.replace(loaded.store);
            lines = difference(&before, &self.shared.store());
        }
        self.list = loaded.servers.list;
        self.servers.replace(self.placed());
        self.content = loaded.servers.content;
        self.shared.counters.reloaded(true);
        lines
    }

    /// The servers by the ids of their backends. Those of backends that were taken out stay: requests may be under way to them.
    fn placed(&self) -> Vec<Option<Arc<Server>>> {
        let Some(places) = &self.places else { return self.list.clone() };
        let mut all = self.servers.list();
        for (ids, server) in places.iter().zip(&self.list) {
            for id in ids {
                if all.len() <= id.index() {
                    all.resize(id.index() + 1, None);
                }
                all[id.index()].clone_from(server);
            }
        }
        all
    }
}

/// The certificates that one store has and the other has not, one a line.
fn difference(old: &Store, new: &Store) -> Vec<String> {
    let has = |store: &Store, names: &Names, end: Option<SystemTime>| {
        store.ends().any(|(known, at)| known == names && end.is_none_or(|end| end == at))
    };
    let date = |end: SystemTime| humantime::format_rfc3339_seconds(end).to_string();
    let mut lines = Vec::new();
    for (names, end) in new.ends().filter(|(names, end)| !has(old, names, Some(*end))) {
        let what = if has(old, names, None) { "renewed" } else { "added" };
        lines.push(format!("certificate for {names} {what}, ends {}", date(end)));
    }
    let gone = old.ends().filter(|(names, _)| !has(new, names, None));
    lines.extend(gone.map(|(names, _)| format!("certificate for {names} removed")));
    lines
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
