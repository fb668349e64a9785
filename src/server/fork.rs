//! A process for each client: fork, serve, exit; and the parent that reaps.
//!
//! Three descriptors decide whether it works. The child closes the listener, else the port stays taken as long as any
//! client stays. The parent closes the connection, else the client never hears its end. And a child that ended stays in
//! the process table, a zombie, until its parent has asked how it ended.

use super::{Client, Seat, Server, Shared};
use crate::net::{
    Volume, clock,
    signals::{self, Signal},
};
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal as Kill, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork},
};
use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    process,
    sync::{Arc, atomic::Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

/// How often to look whether children have ended, at the end only: there is no bell any more.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes of a child's report: three numbers.
const REPORT: usize = 24;

/// The processes that serve clients.
#[derive(Debug)]
pub struct Children {
    shared: Arc<Shared>,
    running: HashMap<Pid, Option<Seat>>,
    /// Where children tell what they moved: memory is not shared any more after a fork.
    reports: UnixStream,
    reporter: UnixStream,
}

/// Which of the two processes this is, after a fork.
#[derive(Debug)]
#[must_use = "both processes go on from here"]
pub enum Fork {
    /// The old one.
    Parent(Pid),
    /// The new one.
    Child(Reporter),
}

/// A child's way to tell its parent what it moved.
#[derive(Debug)]
pub struct Reporter {
    pipe: UnixStream,
    before: Volume,
}

impl Children {
    /// None yet.
    ///
    /// # Errors
    ///
    /// No descriptors are left.
    pub fn new(server: &Server) -> io::Result<Self> {
        let (reports, reporter) = UnixStream::pair()?;
        reports.set_nonblocking(true)?;
        Ok(Self { shared: Arc::clone(server.shared()), running: HashMap::new(), reports, reporter })
    }

    /// Splits the process in two.
    ///
    /// # Errors
    ///
    /// No more processes are allowed, or this one has several threads.
    #[allow(unsafe_code)]
    pub fn fork(&self) -> io::Result<Fork> {
        if thread_count().is_some_and(|count| count != 1) {
            return Err(io::Error::other("a process with several threads must not fork"));
        }
        let before = self.shared.traffic().volume();
        let pipe = self.reporter.try_clone()?;
        // SAFETY: in a process with one thread no lock can be held by a thread that the child does not have, so the child may
        // do whatever the parent could. On Linux that was checked above; elsewhere it holds because `open_single_threaded`
        // starts no thread, and nothing else in that binary does.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Fork::Parent(child)),
            ForkResult::Child => Ok(Fork::Child(Reporter { pipe, before })),
        }
    }

    /// The child's own copy of the connection is the only one from now on.
    pub fn adopt(&mut self, child: Pid, client: Client) {
        self.running.insert(child, client.hand_over());
    }

    /// Asks how children ended, of all that have.
    pub fn reap(&mut self) {
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(child, code)) => {
                    self.bury(child, (code != 0).then(|| format!("exit code {code}")))
                }
                Ok(WaitStatus::Signaled(child, signal, _)) => self.bury(child, Some(signal.to_string())),
                Err(Errno::EINTR) => {}
                // None has ended, or none is left.
                Ok(_) | Err(_) => break,
            }
        }
        self.collect();
    }

    fn bury(&mut self, child: Pid, crash: Option<String>) {
        self.running.remove(&child);
        if let Some(cause) = crash {
            // It took one client with it: nobody else had anything in that process.
            tracing::warn!(%child, cause, "a child crashed");
            self.shared.traffic().add(Volume { failed: 1, ..Volume::default() });
        }
    }

    /// Adds up what children told. A report is written in one piece, so it is read in one.
    fn collect(&mut self) {
        let mut report = [0; REPORT];
        while matches!(self.reports.read(&mut report), Ok(REPORT)) {
            let mut numbers =
                report.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()));
            let mut next = || numbers.next().unwrap_or_default();
            self.shared.traffic().add(Volume { received: next(), sent: next(), failed: next() });
        }
    }

    /// Tells all children to finish, and kills those that have not `within` this time.
    pub fn finish(mut self, server: &Server) {
        self.signal(Kill::SIGTERM);
        let deadline = clock::now().instant + server.within();
        if !self.wait(deadline) {
            tracing::warn!(children = self.running.len(), "killed after the drain timeout");
            self.signal(Kill::SIGKILL);
            self.wait(clock::now().instant + Duration::from_secs(1));
        }
    }

    fn wait(&mut self, deadline: Instant) -> bool {
        self.reap();
        while !self.running.is_empty() && clock::now().instant < deadline {
            thread::park_timeout(LOOK);
            self.reap();
        }
        self.running.is_empty()
    }

    fn signal(&self, signal: Kill) {
        for child in self.running.keys() {
            // Not reaped yet, so the number still means our child. An error means that it has ended.
            let _ = kill(*child, signal);
        }
    }
}

impl Reporter {
    /// The child's whole life. It has its own stop: signals reach it, too, and a thread that hears them is no danger any
    /// more, because a child does not fork.
    pub fn live(self, server: Server, client: &Client) -> ! {
        // A parent that is gone cannot ask it to finish.
        #[cfg(target_os = "linux")]
        let _ = nix::sys::prctl::set_pdeathsig(Kill::SIGKILL);
        let shared = Arc::clone(server.shared());
        let stopped = Arc::clone(&shared);
        let watch = signals::watch(move |signal| {
            if signal == Signal::Stop {
                stopped.stop();
            }
        });
        // A signal between the fork and the line above was heard by the handlers of the parent, which are ours as well.
        if server.stop_flag().is_some_and(|stop| stop.load(SeqCst)) {
            shared.stop();
        }
        server.leave_to_parent();
        client.serve();
        let code = i32::from(watch.is_err() || self.report(&shared).is_err());
        process::exit(code)
    }

    fn report(mut self, shared: &Shared) -> io::Result<()> {
        let (now, before) = (shared.traffic().volume(), self.before);
        let moved =
            [now.received - before.received, now.sent - before.sent, now.failed - before.failed].map(u64::to_le_bytes);
        self.pipe.write_all(moved.as_flattened())
    }
}

/// How many threads this process has, where the system tells.
fn thread_count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
