//! Facts about a running program: from `/proc`, where there is one. Elsewhere the answer is "not known", and
//! checks that need it pass over it.

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The state of a process while nothing comes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It computes, or asks the kernel over and over.
    Spinning,
    /// All its threads sleep; the first one in this call.
    Sleeping(Call),
    /// It has ended, and nobody has waited for it.
    Zombie,
    /// It was stopped by a signal.
    Stopped,
    /// The system does not tell.
    Unknown,
}

/// The system calls that servers sleep in, by what they wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Bytes from a peer.
    Read,
    /// Room to send.
    Write,
    /// A new connection.
    Accept,
    /// Any of several events.
    Poll,
    /// Another thread: a lock, a condition, a join.
    Lock,
    /// Time to pass.
    Sleep,
    /// A child to end.
    Child,
    /// Something else.
    Other,
}

impl Call {
    /// The name that `strace` shows.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Accept => "accept",
            Self::Poll => "poll",
            Self::Lock => "futex (a lock, or another thread)",
            Self::Sleep => "sleep",
            Self::Child => "wait (for a child)",
            Self::Other => "another system call",
        }
    }
}

/// How often a process is looked at, and how far apart. One that spins wants the processor each time, however busy the machine is
/// with others; one that waits is asleep nearly always.
pub(crate) const LOOKS: usize = 12;
const APART: Duration = Duration::from_millis(10);

/// Watches the process for a moment. A thread that spins beside others that sleep counts: all threads are looked at.
pub(crate) fn doing(id: u32) -> Doing {
    match stat(id).map(|stat| stat.state) {
        None => Doing::Unknown,
        Some('Z') => Doing::Zombie,
        Some('T' | 't') => Doing::Stopped,
        Some(_) => awake(id).unwrap_or_else(|| call(id).map_or(Doing::Unknown, Doing::Sleeping)),
    }
}

/// A thread that is watched.
struct Watched {
    directory: PathBuf,
    before: Used,
    /// How often it ran, or wanted to, when it was looked at.
    running: usize,
}

/// One that goes to sleep by itself more often within a few looks has a sleep in its loop. One that spins never does.
const MOST_WAITS: u64 = 3;

impl Watched {
    /// Whether it never slept, and got on.
    fn spins(&self) -> bool {
        let after = used_by(&self.directory);
        let (got_on, waited) = (after.processor > self.before.processor, after.waits >= self.before.waits + MOST_WAITS);
        self.running * 2 > LOOKS && got_on && !waited
    }
}

/// Whether a process that is never seen asleep spins. `None`: it sleeps.
fn awake(id: u32) -> Option<Doing> {
    // On a busy machine one that has just been woken waits long for the processor, and then it does little.
    const ROUNDS: usize = 4;
    let before = used(id);
    let mut threads: Vec<Watched> =
        tasks(id).into_iter().map(|directory| Watched { before: used_by(&directory), directory, running: 0 }).collect();
    for _ in 0..ROUNDS {
        let mut looks = 0;
        threads.iter_mut().for_each(|thread| thread.running = 0);
        for _ in 0..LOOKS {
            thread::sleep(APART);
            looks += usize::from(runs(id));
            threads.iter_mut().for_each(|thread| thread.running += usize::from(is_running(&thread.directory)));
        }
        if looks * 2 <= LOOKS {
            return None;
        }
        // Others of its threads may go to sleep, and wake up, all the time.
        if threads.iter().any(Watched::spins) {
            return Some(Doing::Spinning);
        }
        match (before, used(id)) {
            (Some(before), Some(after)) if after.processor == before.processor => {}
            // It goes to sleep by itself, again and again: a loop with a sleep in it. One that spins never does.
            (Some(before), Some(after)) if after.waits >= before.waits + MOST_WAITS => return None,
            _ => return Some(Doing::Spinning),
        }
    }
    Some(Doing::Unknown)
}

/// Whether the process runs, or wants to, at most of the looks, which are so far apart.
pub(crate) fn spins(id: u32, apart: Duration) -> bool {
    let running = (0..LOOKS).filter(|_| {
        thread::sleep(apart);
        runs(id)
    });
    running.count() * 2 > LOOKS
}

/// Whether a signal has stopped the process, with all its threads.
pub(crate) fn stands_still(id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return true };
    threads.flatten().all(|thread| stat_at(&thread.path()).is_none_or(|stat| matches!(stat.state, 'T' | 't' | 'Z')))
}

/// Whether a thread of the process runs or wants to.
pub(crate) fn runs(id: u32) -> bool {
    tasks(id).iter().any(|thread| is_running(thread))
}

fn is_running(thread: &Path) -> bool {
    stat_at(thread).is_some_and(|stat| stat.state == 'R')
}

/// The directories of its threads.
fn tasks(id: u32) -> Vec<PathBuf> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten();
    threads.flatten().map(|thread| thread.path()).collect()
}

struct Stat {
    state: char,
    parent: u32,
}

fn stat(id: u32) -> Option<Stat> {
    stat_at(Path::new(&format!("/proc/{id}")))
}

fn stat_at(directory: &Path) -> Option<Stat> {
    let text = fs::read_to_string(directory.join("stat")).ok()?;
    // The name stands in parentheses and may have some itself.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat { state: fields.first()?.chars().next()?, parent: fields.get(1)?.parse().ok()? })
}

/// The calls that its threads sleep in.
pub(crate) fn calls(id: u32) -> Vec<Call> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    threads.flatten().filter_map(|thread| call_at(&thread.path())).collect()
}

/// The call that the first thread sleeps in.
fn call(id: u32) -> Option<Call> {
    call_at(Path::new(&format!("/proc/{id}")))
}

fn call_at(directory: &Path) -> Option<Call> {
    let text = fs::read_to_string(directory.join("syscall")).ok()?;
    let number: u32 = text.split_whitespace().next()?.parse().ok()?;
    Some(named(number))
}

#[cfg(target_arch = "x86_64")]
fn named(number: u32) -> Call {
    match number {
        0 | 19 | 45 | 47 => Call::Read,
        1 | 20 | 44 | 46 => Call::Write,
        43 | 288 => Call::Accept,
        7 | 23 | 232 | 270 | 271 | 281 => Call::Poll,
        202 => Call::Lock,
        35 | 230 => Call::Sleep,
        61 | 247 => Call::Child,
        _ => Call::Other,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn named(number: u32) -> Call {
    // The numbers of the generic table, which arm64 and riscv64 use.
    match number {
        63 | 65 | 207 | 212 => Call::Read,
        64 | 66 | 206 | 211 => Call::Write,
        202 | 242 => Call::Accept,
        22 | 72 | 73 => Call::Poll,
        98 => Call::Lock,
        101 | 115 => Call::Sleep,
        95 | 260 => Call::Child,
        _ => Call::Other,
    }
}

/// Whether the first thread of the process runs, or wants to, at most of the looks.
pub(crate) fn first_runs(id: u32) -> bool {
    let first = PathBuf::from(format!("/proc/{id}/task/{id}"));
    let running = (0..LOOKS).filter(|_| {
        thread::sleep(APART);
        is_running(&first)
    });
    running.count() * 2 > LOOKS
}

/// How many descriptors are open.
pub(crate) fn descriptors(id: u32) -> Option<u64> {
    fs::read_dir(format!("/proc/{id}/fd")).ok().map(|entries| entries.count() as u64)
}

/// How many descriptors may be open.
pub(crate) fn descriptor_limit(id: u32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

/// How often its threads have gone to sleep so far, which is how often they woke up.
pub(crate) fn sleeps(id: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).ok()?;
    let of = |status: String| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    };
    Some(threads.flatten().filter_map(|thread| of(fs::read_to_string(thread.path().join("status")).ok()?)).sum())
}

/// How many threads run.
pub(crate) fn threads(id: u32) -> Option<u64> {
    fs::read_dir(format!("/proc/{id}/task")).ok().map(|entries| entries.count() as u64)
}

/// How many pieces its address space has.
pub(crate) fn mappings(id: u32) -> Option<u64> {
    fs::read_to_string(format!("/proc/{id}/maps")).ok().map(|text| text.lines().count() as u64)
}

/// Resident memory, in KiB.
pub(crate) fn memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many of its children have ended and were not waited for.
pub(crate) fn zombies(id: u32) -> Option<u64> {
    children(id).map(|ids| ids.into_iter().filter(|id| stat(*id).is_some_and(|stat| stat.state == 'Z')).count() as u64)
}

/// How many of its children still run.
pub(crate) fn living_children(id: u32) -> Option<usize> {
    children(id).map(|ids| ids.into_iter().filter(|id| stat(*id).is_some_and(|stat| stat.state != 'Z')).count())
}

fn children(parent: u32) -> Option<Vec<u32>> {
    let entries = fs::read_dir("/proc").ok()?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Some(ids.filter(|id| stat(*id).is_some_and(|stat| stat.parent == parent)).collect())
}

/// The TCP addresses at which the process listens (IPv4).
pub(crate) fn listening(id: u32) -> Option<Vec<SocketAddr>> {
    let sockets: Vec<PathBuf> = fs::read_dir(format!("/proc/{id}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let listeners = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (*fields.get(1)?, *fields.get(3)?, *fields.get(9)?);
        let ours = sockets.iter().any(|socket| socket.as_os_str() == format!("socket:[{inode}]").as_str());
        (state == "0A" && ours).then(|| address_of(address)).flatten()
    });
    Some(listeners.collect())
}

/// `0100007F:1F90` is 127.0.0.1:8080: the address in the order of the machine's bytes, the port in the usual one.
fn address_of(hex: &str) -> Option<SocketAddr> {
    let (ip, port) = hex.split_once(':')?;
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    Some((ip, u16::from_str_radix(port, 16).ok()?).into())
}

/// Children of a program that ends become ours, so that none can escape.
pub(crate) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Ends what a program left behind, and what that has started. The programs in `spared` are no orphans, nor is what they started.
pub(crate) fn end_orphans(spared: &[u32]) {
    // A program that starts others all the time is stopped first, as a whole: what stands still starts nothing.
    for _ in 0..100 {
        let orphans = descendants(std::process::id(), spared);
        if orphans.is_empty() {
            return;
        }
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            orphans.iter().for_each(|id| send(*id, signal));
        }
        // Those that are ours by now; the others become ours as their parents end.
        orphans.iter().for_each(|id| reap(*id));
    }
}

fn send(id: u32, signal: Signal) {
    if let Ok(id) = i32::try_from(id) {
        let _ = kill(Pid::from_raw(id), signal);
    }
}

fn reap(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        let _ = waitpid(Pid::from_raw(id), Some(WaitPidFlag::empty()));
    }
}

/// The numbers of all processes, with their parents.
fn table() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| stat(id).map(|stat| (id, stat.parent))).collect()
}

/// All that `ancestor` has started, and what that has started; without `spared` and theirs.
fn descendants(ancestor: u32, spared: &[u32]) -> Vec<u32> {
    let table = table();
    let mut found: Vec<u32> = vec![ancestor];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        found.extend(table.iter().filter(|(id, of)| *of == parent && !spared.contains(id)).map(|(id, _)| *id));
    }
    found.split_off(1)
}

/// A program that we started, with all that it started. A process that has lost its parent is ours, and is counted, too.
pub(crate) fn family(id: u32) -> Vec<u32> {
    descendants(std::process::id(), &[]).into_iter().chain([id]).collect()
}

/// The time on the processor that a process has used, and how often it went to sleep by itself: all its threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Used {
    /// Time on the processor.
    pub(crate) processor: Duration,
    /// How often it waited, and was woken.
    pub(crate) waits: u64,
}

/// The use of the process so far.
pub(crate) fn used(id: u32) -> Option<Used> {
    let mut all = Used::default();
    for thread in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        let one = used_by(&thread.path());
        all.processor += one.processor;
        all.waits += one.waits;
    }
    Some(all)
}

/// The use of one thread so far.
fn used_by(thread: &Path) -> Used {
    // It may end while we look.
    let read = |name: &str| fs::read_to_string(thread.join(name)).unwrap_or_default();
    let nanoseconds = read("schedstat").split_whitespace().next().and_then(|text| text.parse().ok());
    let status = read("status");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Used {
        processor: Duration::from_nanos(nanoseconds.unwrap_or(0)),
        waits: line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_kernels_table() {
        if cfg!(target_endian = "little") {
            assert_eq!(address_of("0100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
        }
        assert_eq!(address_of("nonsense"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_sockets_of_this_process_can_be_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let id = std::process::id();
        assert!(listening(id).unwrap().contains(&listener.local_addr().unwrap()));
        assert!(descriptors(id).unwrap() >= 4);
        assert!(threads(id).unwrap() >= 1);
        assert!(memory(id).unwrap() > 100);
        assert!(used(id).unwrap().processor > Duration::ZERO);
    }
}
