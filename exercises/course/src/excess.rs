//! Programs that take too much: a thread looks at each from time to time, and ends it before the machine suffers.

use crate::{probe, transcript::thousands};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How often a program is looked at,
const EVERY: Duration = Duration::from_millis(100);
/// and how often one that has just begun, or starts processes: those that start others double in a few milliseconds.
const OFTEN: Duration = Duration::from_millis(10);
const BEGINNING: Duration = Duration::from_millis(300);
/// No exercise needs more processes; with a process for each client, the most clients at once are 200.
const MOST_PROCESSES: usize = 300;
/// With no client there, a program has few; and if it has more than that, it starts none.
const FEW: usize = 8;
/// No exercise needs more memory, in KiB, for all its processes together.
const MOST_MEMORY: u64 = 1024 * 1024;
/// No exercise prints more in one check.
const MOST_PRINTED: usize = 64 * 1024 * 1024;
/// A program that fails a check is suspected earlier: if it has printed so much,
const SUSPICIOUS_PRINTED: usize = 4 * 1024 * 1024;
/// or has so much memory, in KiB, and took more at each of the last looks.
const SUSPICIOUS_MEMORY: u64 = 128 * 1024;
const LOOKS: u32 = 3;

/// The resource of which a program took too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It started so many processes.
    Processes(usize),
    /// It and its children have so much memory, in KiB.
    Memory(u64),
    /// It printed so many bytes.
    Printed(usize),
}

impl Excess {
    /// In words.
    pub(crate) fn fact(self) -> String {
        let whole = |number: u64| thousands(usize::try_from(number).unwrap_or(usize::MAX));
        match self {
            Self::Processes(count) => format!("it had {} processes by then", thousands(count)),
            Self::Memory(kib) => format!("it had {} MiB by then", whole(kib / 1024)),
            Self::Printed(bytes) => format!("it had printed {} bytes by then", thousands(bytes)),
        }
    }
}

/// A watch on one program.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct State {
    over: bool,
    found: Option<Excess>,
    /// Memory at the last look, and how many looks in a row found more than the one before.
    memory: u64,
    grew: u32,
    printed: usize,
    /// The number of processes at the last look, and whether there were more than before.
    processes: usize,
    multiplies: bool,
}

impl State {
    /// One look at the program.
    fn look(&mut self, id: u32, printed: usize) {
        self.printed = printed;
        let family = probe::family(id);
        let memory = family.iter().filter_map(|id| probe::memory(*id)).sum();
        self.grew = if memory > self.memory + 1024 { self.grew + 1 } else { 0 };
        self.memory = memory;
        self.multiplies = family.len() > self.processes.max(1) + FEW;
        self.processes = family.len();
        self.found = match () {
            () if printed > MOST_PRINTED => Some(Excess::Printed(printed)),
            () if family.len() > MOST_PROCESSES => Some(Excess::Processes(family.len())),
            () if memory > MOST_MEMORY => Some(Excess::Memory(memory)),
            () => None,
        };
    }

    /// The resource of which it takes too much, as far as can be seen by now.
    fn suspicion(&self) -> Option<Excess> {
        match () {
            () if self.found.is_some() => self.found,
            () if self.printed > SUSPICIOUS_PRINTED => Some(Excess::Printed(self.printed)),
            () if self.memory > SUSPICIOUS_MEMORY && self.grew >= LOOKS => {
                // Many processes have much memory, and that is not what is wrong with them.
                let many = self.processes > MOST_PROCESSES / 2;
                Some(if many { Excess::Processes(self.processes) } else { Excess::Memory(self.memory) })
            }
            () => None,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Watches the group of `id`; `printed` tells how much it has printed.
    pub(crate) fn begin(id: u32, printed: impl Fn() -> usize + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let (ours, begun) = (Arc::clone(&shared), Instant::now());
        let thread = thread::spawn(move || {
            let mut state = ours.lock();
            while !state.over {
                let often = state.multiplies || begun.elapsed() < BEGINNING;
                let until_next = if often { OFTEN } else { EVERY };
                let waited = ours.over.wait_timeout_while(state, until_next, |state| !state.over);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !state.over {
                    state.look(id, printed());
                }
                if state.found.is_some() {
                    if let Ok(id) = i32::try_from(id) {
                        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
                    }
                    return;
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// The number of processes of a program that starts more although no client is there, while we look.
    pub(crate) fn multiplies(id: u32) -> Option<Excess> {
        let before = probe::family(id).len();
        if before <= FEW {
            return None;
        }
        thread::sleep(EVERY / 2);
        let now = probe::family(id).len();
        (now > before + FEW).then_some(Excess::Processes(now))
    }

    /// The resource of which it took too much, if it did, or seems to. Beyond the limits it was ended.
    pub(crate) fn found(&self) -> Option<Excess> {
        self.shared.lock().suspicion()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.over.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_suspected_before_it_is_ended() {
        let state = |memory, grew, printed| State { memory, grew, printed, ..State::default() };
        assert_eq!(state(SUSPICIOUS_MEMORY + 1, LOOKS, 0).suspicion(), Some(Excess::Memory(SUSPICIOUS_MEMORY + 1)));
        assert_eq!(state(SUSPICIOUS_MEMORY + 1, LOOKS - 1, 0).suspicion(), None);
        assert_eq!(state(SUSPICIOUS_MEMORY, LOOKS, SUSPICIOUS_PRINTED).suspicion(), None);
        let printed = SUSPICIOUS_PRINTED + 1;
        assert_eq!(state(0, 0, printed).suspicion(), Some(Excess::Printed(printed)));
    }
}
