//! The programs that this run has started: none of them outlives it, however it ends.

use crate::probe;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};
use std::{
    io,
    process::Child,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

/// A started program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Started {
    /// It leads a group of its own; the group ends with it.
    Group(u32),
    /// It looks after its own programs, and is asked to end.
    Runner(u32),
}

fn all() -> MutexGuard<'static, Vec<Started>> {
    static ALL: Mutex<Vec<Started>> = Mutex::new(Vec::new());
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program that leads a group; no signal comes between its start and its being known.
pub(crate) fn group(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    let mut all = all();
    let child = start()?;
    all.push(Started::Group(child.id()));
    Ok(child)
}

/// The same for another runner.
pub(crate) fn runner(start: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    let mut all = all();
    let child = start()?;
    all.push(Started::Runner(child.id()));
    Ok(child)
}

/// Ends a program, its group and all that it left behind, and forgets it.
pub(crate) fn end(child: &mut Child) {
    end_group(child.id());
    // In case that it left its group. If it was waited for already, its number may be another's by now: std knows.
    let _ = child.kill();
    let _ = child.wait();
    let mut all = all();
    all.retain(|started| *started != Started::Group(child.id()));
    let spared: Vec<u32> = all.iter().map(|(Started::Group(id) | Started::Runner(id))| *id).collect();
    probe::end_orphans(&spared);
}

/// Forgets a program that has ended, and was waited for.
pub(crate) fn forget(id: u32) {
    all().retain(|started| !matches!(started, Started::Group(known) | Started::Runner(known) if *known == id));
}

/// Asks a program to end.
pub(crate) fn ask(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

fn end_group(id: u32) {
    if let Ok(id) = i32::try_from(id) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
}

/// From now on a signal that ends this run ends its programs first; `before` is done before that.
pub(crate) fn end_with_us(before: fn()) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            before();
            // The lock is kept for good: nothing more is started.
            let all = all();
            for started in all.iter() {
                match started {
                    Started::Group(id) => end_group(*id),
                    Started::Runner(id) => ask(*id),
                }
            }
            let runners: Vec<u32> =
                all.iter().filter_map(|one| if let Started::Runner(id) = one { Some(*id) } else { None }).collect();
            probe::end_orphans(&runners);
            // As if the signal had never been caught: a shell sees what ended us.
            let _ = low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
