//! Processes as the fork server and the hybrid one use them: made, told to end, asked how they ended.

use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, getppid, setpgid},
};
use std::{fs, io, os::unix::fs::MetadataExt as _, process};

/// Splits the process in two; `None`: this is the new one. It hears no SIGINT and no SIGTERM until it says [`hear_signals`]:
/// its handlers are its parent's still, and to them the first one that it is sent may be the second.
///
/// It leads a process group of its own. Ctrl-C goes to all processes in the terminal's group, and the parent decides
/// when its children end. And the child does not outlive its parent, which could no longer ask it to finish.
///
/// # Errors
///
/// No more processes are allowed, or this one has several threads.
#[allow(unsafe_code)]
pub(super) fn split() -> io::Result<Option<Pid>> {
    if thread_count().is_some_and(|count| count != 1) {
        return Err(io::Error::other("a process with several threads must not fork"));
    }
    let parent = Pid::this();
    ends().thread_block()?;
    // SAFETY: in a process with one thread no lock can be held by a thread that the child does not have, so the child may
    // do whatever the parent could. On Linux that was checked above; elsewhere it holds because `open_single_threaded` and
    // `Master::open` start no thread, and nothing else in those binaries does.
    match unsafe { fork() } {
        Err(errno) => {
            hear_signals();
            Err(errno.into())
        }
        Ok(ForkResult::Parent { child }) => {
            hear_signals();
            Ok(Some(child))
        }
        Ok(ForkResult::Child) => {
            // Only a session's leader must not do this, and a new process leads none.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            #[cfg(target_os = "linux")]
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            if getppid() != parent {
                // It went before it could be watched.
                process::exit(1);
            }
            Ok(None)
        }
    }
}

/// The signals that ask a process to end.
fn ends() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM].into_iter().collect()
}

/// Lets this process hear signals again: those sent since [`split`], and all that follow.
pub(super) fn hear_signals() {
    // Fails only if asked for something that is neither blocking nor its opposite.
    let _ = ends().thread_unblock();
}

/// A child that has ended, and why if it was not its own will.
pub(super) type Ended = (Pid, Option<String>);

/// The next child that has ended; `None`: none has.
pub(super) fn reap() -> Option<Ended> {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(child, code)) => {
                return Some((child, (code != 0).then(|| format!("exit code {code}"))));
            }
            Ok(WaitStatus::Signaled(child, signal, _)) => return Some((child, Some(signal.to_string()))),
            Ok(WaitStatus::StillAlive) => return None,
            // Stopped or traced: nothing that we asked for.
            Err(Errno::EINTR) | Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Sends a signal to a child that was not reaped yet, so that its number still means it. An error means that it has ended.
pub(super) fn tell(child: Pid, signal: Signal) {
    let _ = kill(child, signal);
}

/// How many threads this process has, where the system tells.
fn thread_count() -> Option<u64> {
    // A directory has a link for itself, one in its parent, and one in each directory in it. Counting those costs more.
    fs::metadata("/proc/self/task").ok()?.nlink().checked_sub(2)
}
