//! A process for each client: fork, serve, exit; and the parent that reaps.
//!
//! Three descriptors decide whether it works. The child closes the listener, else the port stays taken as long as any
//! client stays. The parent closes the connection, else the client never hears its end. And a child that ended stays in
//! the process table, a zombie, until its parent has asked how it ended.

use super::{
    Client, Seat, Server, Shared,
    process::{reap, split, tell},
};
use crate::{
    net::{clock, counters::Counters},
    time::Instant,
};
use nix::{errno::Errno, libc, sys::signal::Signal as Kill, unistd::Pid};
use signal_hook::{SigId, consts::SIGTERM, low_level};
use std::{
    collections::HashMap,
    io,
    os::fd::RawFd,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

/// How often to look whether children have ended, at the end only: there is no bell any more.
const LOOK: Duration = Duration::from_millis(10);

/// The processes that serve clients.
#[derive(Debug)]
pub struct Children {
    shared: Arc<Shared>,
    running: HashMap<Pid, Option<Seat>>,
    /// How many were done with their client and ended by themselves: those told so, and those that were reaped.
    done: Arc<Counters<1>>,
    reaped: u64,
}

/// Which of the two processes this is, after a fork.
#[derive(Debug)]
#[must_use = "both processes go on from here"]
pub enum Fork {
    /// The old one.
    Parent(Pid),
    /// The new one.
    Child(Child),
}

/// The right to live as a child: a process that has it has no children of its own.
#[derive(Debug)]
pub struct Child {
    done: Arc<Counters<1>>,
}

impl Children {
    /// No child yet. Prepares values that each child would else compute anew. For example the parsers ask the processor
    /// once what it can do; each child would ask again, and in a virtual machine that is a call to the host.
    ///
    /// # Errors
    ///
    /// The system has no memory left.
    pub fn new(server: &Server) -> io::Result<Self> {
        server.shared().rehearse();
        let done = Arc::new(Counters::inherited()?);
        Ok(Self { shared: Arc::clone(server.shared()), running: HashMap::new(), done, reaped: 0 })
    }

    /// How many are done with their client and still have to end. Their clients may have seen the connection closed,
    /// and new clients in their place should not be refused because of them.
    #[must_use]
    pub fn leaving(&self) -> usize {
        usize::try_from(self.done[0].load(Relaxed).saturating_sub(self.reaped)).unwrap_or(usize::MAX)
    }

    /// Splits the process in two.
    ///
    /// # Errors
    ///
    /// No more processes are allowed, or this one has several threads.
    pub fn fork(&self) -> io::Result<Fork> {
        Ok(match split()? {
            Some(child) => Fork::Parent(child),
            None => Fork::Child(Child { done: Arc::clone(&self.done) }),
        })
    }

    /// The child's own copy of the connection is the only one from now on.
    pub fn adopt(&mut self, child: Pid, client: Client) {
        self.running.insert(child, client.hand_over());
    }

    /// Asks how children ended, of all that have.
    pub fn reap(&mut self) {
        while let Some((child, crash)) = reap() {
            self.running.remove(&child);
            if let Some(cause) = crash {
                // It took one client with it: no other client was in that process.
                tracing::warn!(%child, cause, "a child crashed");
                self.shared.traffic().lost(1);
            } else {
                self.reaped += 1;
            }
        }
    }

    /// Tells all children to finish, and kills those that have not `within` this time.
    pub fn finish(mut self, server: &Server) {
        self.signal(Kill::SIGTERM);
        let deadline = clock::now().instant + server.within();
        if !self.wait(server, deadline) {
            tracing::warn!(children = self.running.len(), "killed after the drain timeout");
            self.signal(Kill::SIGKILL);
            self.wait(server, clock::now().instant + Duration::from_secs(1));
        }
    }

    fn wait(&mut self, server: &Server, deadline: Instant) -> bool {
        self.reap();
        while !self.running.is_empty() && clock::now().instant < deadline {
            thread::park_timeout(LOOK);
            server.obey_flags();
            self.reap();
        }
        self.running.is_empty()
    }

    fn signal(&self, signal: Kill) {
        self.running.keys().for_each(|child| tell(*child, signal));
    }
}

impl Child {
    /// The child's whole life.
    #[allow(unsafe_code)]
    pub fn live(self, server: Server, client: &Client) -> ! {
        let shared = Arc::clone(server.shared());
        let hears = end_input_on_stop(client.descriptor());
        // A signal between the fork and the line above was heard by the handlers of the parent, which are ours as well.
        if server.leave_to_parent() {
            shared.stop();
        }
        client.serve();
        if hears.is_ok() {
            self.done[0].fetch_add(1, Relaxed);
        }
        // Not `process::exit`: that does for libraries what their parent still needs, and touches pages for it that this
        // process has not touched yet: 16 page faults more for each client.
        // SAFETY: it can be called at any time. Nothing is left to be written: logs are not buffered in a process that forks.
        unsafe { libc::_exit(i32::from(hears.is_err())) }
    }
}

/// Lets SIGTERM be the end of the input of the one connection that this process has. A thread that waits for signals, as
/// other servers have one, would cost each client as much as all the rest.
#[allow(unsafe_code)]
fn end_input_on_stop(connection: RawFd) -> io::Result<SigId> {
    let end_input = move || {
        let before = Errno::last_raw();
        // SAFETY: the call takes no memory. The descriptor stays open as long as the process lives, since `Child::live` does
        // not return and only borrows its client.
        unsafe { libc::shutdown(connection, libc::SHUT_RD) };
        Errno::set_raw(before);
    };
    // SAFETY: what runs in the handler is safe there (signal-safety(7)): one `shutdown`, and `errno` is as it was before.
    unsafe { low_level::register(SIGTERM, end_input) }
}
