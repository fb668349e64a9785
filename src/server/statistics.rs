//! The line of statistics, and who counts for it.

use crate::{
    cli,
    net::{Volume, counters::Counters},
};
use std::{
    fmt, fs, io,
    ops::Add,
    process,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// Clients by head: counted where they come and go.
#[derive(Debug, Default)]
pub(super) struct Census {
    counters: Arc<Counters<4>>,
    /// Of those, the clients of this process, if it is one of several; and whether it has said that it is ready.
    child: Option<Counters<2>>,
}

const CLIENTS: usize = 0;
const ACTIVE: usize = 1;
const PEAK: usize = 2;
const REFUSED: usize = 3;

const HERE: usize = 0;
const READY: usize = 1;

impl Census {
    /// Counted together with the children that this process forks from now on.
    pub(super) fn inherited() -> io::Result<Self> {
        Counters::inherited().map(|counters| Self { counters: Arc::new(counters), child: None })
    }

    /// The same numbers, and beside them those of one child that is to be forked: to know what it had when it is gone.
    pub(super) fn of_child(&self) -> io::Result<Self> {
        Ok(Self { counters: Arc::clone(&self.counters), child: Some(Counters::inherited()?) })
    }

    /// Counts a client that is being served from now on.
    pub(super) fn arrive(&self) {
        self.counters[CLIENTS].fetch_add(1, Relaxed);
        let active = self.counters[ACTIVE].fetch_add(1, Relaxed) + 1;
        self.counters[PEAK].fetch_max(active, Relaxed);
        if let Some(child) = &self.child {
            child[HERE].fetch_add(1, Relaxed);
        }
    }

    /// Counts `clients` that are gone.
    pub(super) fn leave(&self, clients: u64) {
        self.counters[ACTIVE].fetch_sub(clients, Relaxed);
        if let Some(child) = &self.child {
            child[HERE].fetch_sub(clients, Relaxed);
        }
    }

    /// The child is dead, and its clients are gone. Returns how many they were.
    pub(super) fn bury(&self) -> u64 {
        let clients = self.child.as_ref().map_or(0, |child| child[HERE].load(Relaxed));
        self.leave(clients);
        clients
    }

    /// The child accepts clients.
    pub(super) fn ready(&self) {
        if let Some(child) = &self.child {
            child[READY].store(1, Relaxed);
        }
    }

    /// Whether it has said so.
    pub(super) fn is_ready(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child[READY].load(Relaxed) == 1)
    }

    /// Counts a client that was sent away.
    pub(super) fn refuse(&self) {
        self.counters[REFUSED].fetch_add(1, Relaxed);
    }

    /// How many are here.
    pub(super) fn active(&self) -> u64 {
        self.counters[ACTIVE].load(Relaxed)
    }
}

/// A server's numbers at one moment, as one line.
pub(super) struct Report<'c> {
    pub(super) census: &'c Census,
    pub(super) volume: Volume,
}

impl Report<'_> {
    /// Prints it on stderr at every log level, because the user asked for it.
    pub(super) fn print(&self) {
        // In one piece: others write there, too.
        cli::say(&format!("{self}\n"));
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [clients, active, peak, refused] = self.census.counters.each_ref().map(|number| number.load(Relaxed));
        let Volume { received, sent, failed, answered } = self.volume;
        write!(f, "STATS clients={clients} active={active} peak={peak} refused={refused} errors={failed} ")?;
        write!(f, "received={received} sent={sent} requests={answered}")?;
        // Only Linux and its like tell; what is not known is not said.
        let processes = Processes::now();
        if let Some(memory) = processes.memory() {
            write!(f, " memory={memory}KiB")?;
        }
        processes.descriptors().map_or(Ok(()), |open| write!(f, " descriptors={open}"))
    }
}

/// This process and its children.
struct Processes(Vec<u32>);

impl Processes {
    fn now() -> Self {
        let this = process::id();
        let of_thread = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).ok();
        let lists = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().filter_map(of_thread);
        let children: Vec<u32> = lists
            .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
            .collect();
        Self([&[this], &children[..]].concat())
    }

    /// Memory that is really there, in KiB. Memory that several processes share counts once.
    fn memory(&self) -> Option<u64> {
        match &self.0[..] {
            [alone] => kib_of(&format!("/proc/{alone}/status"), "VmRSS:"),
            // One that has ended meanwhile has none.
            several => {
                several.iter().filter_map(|id| kib_of(&format!("/proc/{id}/smaps_rollup"), "Pss:")).reduce(Add::add)
            }
        }
    }

    fn descriptors(&self) -> Option<usize> {
        let open = |id: &u32| Some(fs::read_dir(format!("/proc/{id}/fd")).ok()?.count());
        // One of them is for looking.
        self.0.iter().filter_map(open).sum::<usize>().checked_sub(1)
    }
}

/// The number of KiB that a file of the kernel's has behind `name`.
fn kib_of(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_just_ended_does_not_hide_the_memory_of_the_others() {
        let this = process::id();
        assert!(Processes(vec![this, u32::MAX]).memory().is_some_and(|memory| memory > 0));
    }
}
