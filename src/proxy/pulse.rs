//! Whether the event loops do their work, for a service manager that ends a process which does not (`WatchdogSec` of systemd).
//!
//! ```text
//!   watchdog thread     wake all workers ──▶ a quarter of the time later: has each of them heard it?  ──yes──▶ WATCHDOG=1
//!   worker              woken: beat                                                 ╰──no──▶ a line, and no word to the manager
//! ```
//!
//! A worker that hangs, in a loop of its own or in a call that blocks, is not woken any more. The others would go on, and its clients
//! would wait for ever. So the process says nothing, and the service manager begins another one.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// The signs of life of one worker.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU32);

impl Pulse {
    /// It has heard that it was woken.
    pub(super) fn beat(&self) {
        // One thread writes this.
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Release);
    }
}

/// The signs that were seen last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Of each worker. Empty: this is the first look.
    seen: Vec<u32>,
    /// Workers that have been said to hang.
    hanging: Vec<usize>,
}

/// The result of a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Each worker has done something since the last look.
    Alive,
    /// These have not. `new`: that was not so at the last look.
    Hanging { workers: Vec<usize>, new: bool },
}

impl Watch {
    pub(super) fn look(&mut self, pulses: &[Pulse]) -> Look {
        let now: Vec<u32> = pulses.iter().map(|pulse| pulse.0.load(Acquire)).collect();
        let before = std::mem::replace(&mut self.seen, now);
        let still = before.iter().zip(&self.seen).enumerate().filter(|(_, (before, now))| before == now);
        let workers: Vec<usize> = still.map(|(number, _)| number).collect();
        let known = std::mem::replace(&mut self.hanging, workers.clone());
        if workers.is_empty() { Look::Alive } else { Look::Hanging { new: known != workers, workers } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_that_hangs_is_enough() {
        let pulses: [Pulse; 3] = Default::default();
        let mut watch = Watch::default();
        assert_eq!(watch.look(&pulses), Look::Alive, "nobody was asked before");
        let hanging = |workers: &[usize], new| Look::Hanging { workers: workers.to_vec(), new };
        for (beats, expected) in [
            (&[0, 1, 2][..], Look::Alive),
            (&[0, 2, 2], hanging(&[1], true)),
            (&[0, 2], hanging(&[1], false)),
            (&[0], hanging(&[1, 2], true)),
            (&[0, 1, 2], Look::Alive),
            (&[], hanging(&[0, 1, 2], true)),
        ] {
            beats.iter().for_each(|number| pulses[*number].beat());
            assert_eq!(watch.look(&pulses), expected, "{beats:?}");
        }
    }
}
