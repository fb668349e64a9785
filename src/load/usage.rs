//! The resources of a process: CPU time, memory, threads. From `/proc` on Linux; elsewhere only our own CPU time is
//! known.

pub use crate::net::process::own_cpu;
use std::time::Duration;

/// The resources that a process and its descendants use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time so far, that of children which have ended and been waited for included.
    pub cpu: Duration,
    /// Living processes, it included.
    pub processes: usize,
    /// Their threads.
    pub threads: usize,
    /// Memory that is really there, in bytes, summed over the processes: what they share counts several times.
    pub resident: u64,
    /// The same with what is shared divided by how many share it (PSS), where the system tells.
    pub proportional: Option<u64>,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Usage;
    use std::{collections::BTreeMap, fs, time::Duration};

    /// The numbers of one process in `/proc/PID/stat`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Stat {
        pub(super) parent: u32,
        /// User and system time in clock ticks, each rounded down.
        pub(super) ticks: u64,
        /// That of children which have ended and were waited for.
        pub(super) children: u64,
        pub(super) threads: usize,
    }

    /// Reads a line of `/proc/PID/stat` (proc_pid_stat(5)). The name in brackets may hold anything, brackets too.
    pub(super) fn parse_stat(text: &str) -> Option<Stat> {
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
        // Field 3 (state) is the first after the name.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Stat {
            parent: u32::try_from(number(4)?).ok()?,
            ticks: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
            threads: usize::try_from(number(20)?).ok()?,
        })
    }

    /// The process and its descendants that live. One that ends while we look is not found.
    fn family(pid: u32) -> Option<BTreeMap<u32, Stat>> {
        let stat = |pid: u32| parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
        let mut family = BTreeMap::from([(pid, stat(pid)?)]);
        let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let all: BTreeMap<u32, Stat> = pids.filter_map(|pid| Some((pid, stat(pid)?))).collect();
        loop {
            let known = family.len();
            let children = all.iter().filter(|(_, stat)| family.contains_key(&stat.parent));
            let children: Vec<(u32, Stat)> = children.map(|(pid, stat)| (*pid, *stat)).collect();
            family.extend(children);
            if family.len() == known {
                return Some(family);
            }
        }
    }

    /// More threads than this are not asked one by one: it would take longer than what is lost by rounding.
    const FEW: usize = 64;

    /// The CPU time of a process and its descendants; `None` if there is no such process.
    pub(super) fn cpu(pid: u32) -> Option<Duration> {
        Some(family(pid)?.iter().map(|(pid, stat)| cpu_of_one(*pid, stat)).sum())
    }

    /// Two accounts of the same time. One counts threads that have ended, in ticks of 10 ms: of a hundred children that
    /// used 9 ms each it says nothing. The scheduler's counts nanoseconds, and only threads that live. Neither says too
    /// much, so the larger one is right.
    fn cpu_of_one(pid: u32, stat: &Stat) -> Duration {
        let living = (stat.threads <= FEW).then(|| scheduled(pid)).flatten().unwrap_or_default();
        of_ticks(stat.ticks).max(living) + of_ticks(stat.children)
    }

    /// Nanoseconds on a CPU of all living threads: the first number in each `/proc/PID/task/TID/schedstat`.
    fn scheduled(pid: u32) -> Option<Duration> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let nanos = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Some(Duration::from_nanos(nanos.sum()))
    }

    fn of_ticks(ticks: u64) -> Duration {
        // USER_HZ is 100 on every architecture that Rust's standard library supports.
        Duration::from_millis(ticks * 10)
    }

    pub(super) fn usage(pid: u32) -> Option<Usage> {
        let family = family(pid)?;
        let mut usage = Usage { processes: family.len(), proportional: Some(0), ..Usage::default() };
        for (pid, stat) in family {
            usage.cpu += cpu_of_one(pid, &stat);
            usage.threads += stat.threads;
            usage.resident += kib(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0);
            let proportional = kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
            usage.proportional = usage.proportional.zip(proportional).map(|(sum, one)| sum + one);
        }
        Some(usage)
    }

    /// A line such as `VmRSS:   1234 kB`, in bytes.
    fn kib(path: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    }
}

/// The CPU time of a process and its descendants. `None` if there is no such process, or the system does not tell.
#[must_use]
pub fn cpu_of(pid: u32) -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return linux::cpu(pid);
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = pid;
        None
    };
}

/// Everything about a process and its descendants. Reads several files for each: not while it counts.
#[must_use]
pub fn of(pid: u32) -> Option<Usage> {
    #[cfg(target_os = "linux")]
    return linux::usage(pid);
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = pid;
        None
    };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 5 0 1 2 3";
        let parsed = linux::parse_stat(stat).unwrap();
        assert_eq!(parsed, linux::Stat { parent: 3, ticks: 30, children: 70, threads: 5 });
        for broken in ["", "7 (a", "7 (a) S 3 7", "7 (a) S x 7 7 0 -1 1 1 2 3 4 10 20 30 40 20 0 5"] {
            assert_eq!(linux::parse_stat(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn this_process_is_measured() {
        let before = own_cpu().unwrap();
        let mut x = 1_u64;
        while own_cpu().unwrap() < before + Duration::from_millis(30) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let usage = of(std::process::id()).unwrap();
        assert!(usage.cpu >= Duration::from_millis(10) && usage.processes >= 1 && usage.threads >= 1, "{usage:?}");
        assert!(usage.resident > 1 << 20, "{usage:?}");
        assert!(usage.proportional.is_none_or(|bytes| bytes > 0 && bytes <= usage.resident), "{usage:?}");
    }

    #[test]
    fn children_count_while_they_live_and_when_they_were_waited_for() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let living = of(own).unwrap();
        assert!(living.processes >= 2, "{living:?}");
        assert_eq!(of(child.id()).unwrap().processes, 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of(child.id()), None);
    }
}
