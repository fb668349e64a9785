//! Takes out of the first level what other proxies have taken out.
//!
//! One URI is a look-up, which is done at once. Everything else is a walk over all entries, for which there is a thread: the one that hears of
//! it has requests that wait for their answers.

use crate::cache::{
    Flights,
    purge::{Purge, Sweep},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::*},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
};

/// Walks that wait. With more, everything goes: better too much than too little.
const MOST: usize = 100;

/// Does it.
#[derive(Debug)]
pub(super) struct Sweeper {
    flights: Arc<Flights>,
    walks: SyncSender<Purge>,
    /// There was no room for one of them.
    overflow: Arc<AtomicBool>,
    /// How many were heard of.
    heard: AtomicU64,
}

impl Sweeper {
    /// Starts the thread, which ends when this is dropped.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(super) fn start(flights: Arc<Flights>) -> io::Result<Self> {
        let (walks, waiting) = sync_channel(MOST);
        let overflow = Arc::new(AtomicBool::new(false));
        let (all, place) = (overflow.clone(), flights.clone());
        let work = move || {
            for purge in waiting {
                sweep(&place, if all.swap(false, AcqRel) { Purge::All } else { purge });
            }
        };
        thread::Builder::new().name("purges".to_owned()).spawn(work)?;
        Ok(Self { flights, walks, overflow, heard: AtomicU64::new(0) })
    }

    /// Takes these out, now or soon.
    pub(super) fn take_out(&self, purge: Purge) {
        self.heard.fetch_add(1, Relaxed);
        if matches!(purge, Purge::Url(_)) {
            return sweep(&self.flights, purge);
        }
        if let Err(TrySendError::Full(_)) = self.walks.try_send(purge) {
            self.overflow.store(true, Release);
        }
    }

    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }
}

fn sweep(flights: &Flights, purge: Purge) {
    let mut sweep = Sweep::begin(flights, purge, false, 0);
    while sweep.step(flights.store()) {}
}
