//! The work of this process so far and what it holds, as its system counts it: for statistics.

use super::descriptors;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The unit of times in `/proc`: a hundredth of a second on every machine that Rust's Linux runs on.
const TICKS: u64 = 100;

/// Numbers of this process. `None`: this system does not tell.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Time of processors, in the program and in the kernel for it.
    pub cpu: Option<Duration>,
    /// Bytes of memory that are in use now.
    pub resident: Option<u64>,
    /// Descriptors that are open.
    pub open: Option<u64>,
    /// Most descriptors that may be.
    pub max: Option<u64>,
    /// The time when the process began.
    pub started: Option<SystemTime>,
}

/// The numbers now. Reads some small files of the kernel's, which takes some dozen microseconds.
#[must_use]
pub fn usage() -> Usage {
    let text = |file: &str| fs::read_to_string(file).ok();
    Usage {
        cpu: own_cpu(),
        resident: text("/proc/self/status").and_then(|status| resident(&status)),
        open: descriptors::count_open().ok().map(|open| open as u64),
        max: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
        started: text("/proc/self/stat").zip(text("/proc/stat")).and_then(|(own, all)| started(&own, &all)),
    }
}

/// The CPU time of this process so far, all its threads, user and system.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let times = [usage.user_time(), usage.system_time()];
    times.into_iter().try_fold(Duration::ZERO, |sum, time| {
        let seconds = u64::try_from(time.tv_sec()).ok()?;
        let micros = u64::try_from(time.tv_usec()).ok()?;
        Some(sum + Duration::from_secs(seconds) + Duration::from_micros(micros))
    })
}

/// From `VmRSS:     5384 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// From the 22nd number about the process, in ticks since the machine began, and the time of that.
fn started(own: &str, all: &str) -> Option<SystemTime> {
    // The second is the program's name, which may have spaces and parentheses in it.
    let (_, rest) = own.rsplit_once(") ")?;
    let ticks: u64 = rest.split(' ').nth(19)?.parse().ok()?;
    let boot: u64 = all.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(ticks * (1000 / TICKS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    #[test]
    fn this_process_has_used_something() {
        let before = usage();
        let cpu = || usage().cpu.unwrap();
        let end = cpu() + Duration::from_millis(20);
        while cpu() < end {}
        assert!(usage().cpu > before.cpu, "{before:?}");
        assert!(before.open.is_some_and(|open| open >= 3) && before.max >= before.open, "{before:?}");
        if cfg!(target_os = "linux") {
            assert!(before.resident.is_some_and(|bytes| bytes > 100_000), "{before:?}");
            let age = clock::now().wall.duration_since(before.started.unwrap());
            // Tests do not take a day. The clock of the kernel's start is in whole seconds.
            assert!(age.is_ok_and(|age| age < Duration::from_secs(86_400)), "{before:?}");
        }
    }

    #[test]
    fn the_name_of_a_program_may_look_like_numbers() {
        let own = "4711 (a) 1 (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 12345 20 21";
        let started = started(own, "cpu 1 2\nbtime 1700000000\nprocesses 3\n").unwrap();
        assert_eq!(started, UNIX_EPOCH + Duration::from_millis(1_700_000_123_450));
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t    5384 kB\n"), Some(5384 * 1024));
        assert_eq!(resident("VmRSS:\t    5384\n"), None);
    }
}
