//! Runs of this program side by side. Most checks wait for something, so a processor has time for more than one.
//!
//! A run that fails beside others is tried again alone, and only that counts: the others may have taken its time.

use crate::running;
use std::{
    env, io,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// The number of runs for each processor.
const FOR_EACH_PROCESSOR: usize = 2;

/// A run that counts.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its words on stdout.
    pub(super) text: String,
    /// Whether it ended with exit code 0.
    pub(super) well: bool,
}

/// Stands before the words of a run that was tried again.
const AGAIN: &str = "once more, alone: ";

/// Runs this program with each of these lists of arguments; `told` hears of each as it ends. Returns how many failed.
pub(super) fn run(runs: &[Vec<impl AsRef<str> + Sync>], told: impl Fn(&Ended) + Sync) -> io::Result<usize> {
    let at_once = FOR_EACH_PROCESSOR * thread::available_parallelism().map_or(1, usize::from);
    let (next, again) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> io::Result<()> {
        while let Some(args) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ended = one(args)?;
            if ended.well {
                told(&ended);
            } else {
                again.lock().unwrap_or_else(PoisonError::into_inner).push(args);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..at_once.min(runs.len())).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
    })?;
    let mut failed = 0;
    for args in again.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let mut ended = one(args)?;
        ended.text.insert_str(0, AGAIN);
        told(&ended);
        failed += usize::from(!ended.well);
    }
    Ok(failed)
}

fn one(args: &[impl AsRef<str>]) -> io::Result<Ended> {
    let mut command = Command::new(env::current_exe()?);
    command.args(args.iter().map(AsRef::as_ref)).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = running::runner(|| command.spawn())?;
    let id = child.id();
    let output = child.wait_with_output();
    running::forget(id);
    let output = output?;
    Ok(Ended { text: String::from_utf8_lossy(&output.stdout).into_owned(), well: output.status.success() })
}
