//! The two queues that this process shares with the kernel: what is asked for, and what was done.
//!
//! ```text
//!   push ──▶ submission queue ──▶ enter ──▶ kernel works ──▶ completion queue ──▶ harvest
//!                                 (one system call a turn)
//! ```
//!
//! A pushed operation may name memory that the kernel reads or writes until the completion is harvested. That memory
//! has to live so long, and nothing in Rust's types says so: in [`super::operations`] each operation says why its
//! memory does, and [`Ring::end`] keeps it alive even when a panic tears the loop down.

#![allow(unsafe_code)] // Each block carries its argument.

use super::operations::{Kind, Operation};
use crate::net::Advised;
use io_uring::{
    IoUring,
    cqueue::{self, more},
    squeue::{self, Flags},
    types::{BufRingEntry, CancelBuilder, SubmitArgs, Timespec},
};
use nix::{errno::Errno, libc};
use std::{io, time::Duration};

/// Operations that are pushed before the kernel has to take them: 64 KiB. More than a turn of a busy loop has.
const SUBMISSIONS: u32 = 1024;

/// Completions that fit until they are harvested: 128 KiB. Others wait in the kernel's memory.
const COMPLETIONS: u32 = 8192;

/// How often the end of unfinished operations is waited for, before their memory is given up instead.
const PATIENCE: Duration = Duration::from_millis(100);
const TRIES: usize = 50;

/// How often the kernel is asked to take what is pushed, if it says each time that it cannot now. It waits for memory, or for
/// us to take completions, which we do in between; a kernel that still takes nothing will not begin to.
const REFUSALS: usize = 64;

/// Completions are made now (`IORING_ENTER_GETEVENTS`).
const GET_EVENTS: u32 = 1;

/// An instance of io_uring that belongs to one thread once it is [enabled](Ring::enable).
pub(super) struct Ring {
    ring: IoUring,
    /// Operations without their last completion: the kernel may use their memory.
    unfinished: usize,
    /// Completions that were taken to make room for an operation, and wait to be harvested.
    early: Vec<cqueue::Entry>,
    /// Why nothing more can be asked for. Operations pushed since then are lost, and [`Ring::enter`] says so.
    failed: Option<io::Error>,
    /// See [`Ring::tells_partial_sends`].
    is_recent: bool,
}

impl Ring {
    /// A ring that may not be entered yet.
    ///
    /// `SINGLE_ISSUER` (6.0) is what tells whether receiving many times with one operation is known: both came with the same
    /// release. `DEFER_TASKRUN` (6.1) has completions made when we wait for them, not in the middle of our work.
    pub(super) fn new() -> io::Result<Self> {
        let base = || {
            let mut builder = IoUring::builder();
            builder.dontfork().setup_clamp().setup_cqsize(COMPLETIONS).setup_r_disabled();
            builder.setup_submit_all().setup_single_issuer();
            builder
        };
        let (ring, is_recent) = match base().setup_defer_taskrun().build(SUBMISSIONS) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                (base().setup_coop_taskrun().build(SUBMISSIONS)?, false)
            }
            other => (other?, true),
        };
        Ok(Self { ring, unfinished: 0, early: Vec::new(), failed: None, is_recent })
    }

    /// Whether a send that fails in the middle tells how much it has sent: so it is since 6.1.
    pub(super) fn tells_partial_sends(&self) -> bool {
        self.is_recent
    }

    /// From now on the calling thread is the only one that may enter.
    pub(super) fn enable(&mut self) -> io::Result<()> {
        let mut submitter = self.ring.submitter();
        submitter.register_enable_rings()?;
        // Saves looking the descriptor up at each call (5.18). Without it, it is looked up.
        let _ = submitter.register_ring_fd();
        Ok(())
    }

    /// Has the kernel take receive buffers of `group` from a queue of its own.
    ///
    /// # Safety
    ///
    /// `queue` holds `len` entries, and outlives this ring; so does all memory that is announced in it.
    pub(super) unsafe fn register_buffers(&self, queue: *mut BufRingEntry, len: u16, group: u16) -> io::Result<()> {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { self.ring.submitter().register_buf_ring_with_flags(queue.addr() as u64, len, group, 0) }
    }

    /// Asks for something. It reaches the kernel with the next [`Ring::enter`], or before if the queue is full.
    pub(super) fn push(&mut self, operation: Operation) {
        let entry = operation.into_entry();
        let over_at_once = Kind::is_over_at_once(entry.get_user_data());
        if self.push_entry(&entry) && !over_at_once {
            self.unfinished += 1;
        }
    }

    /// Asks that an operation end early. Its own last completion says whether it did.
    pub(super) fn cancel(&mut self, token: u64) {
        let cancel = io_uring::opcode::AsyncCancel::new(token).build();
        // It may find that the operation has just ended: that does not matter.
        self.push_entry(&cancel.user_data(super::operations::NOBODY).flags(Flags::SKIP_SUCCESS));
    }

    /// `false`: it was not pushed, for the ring has failed.
    fn push_entry(&mut self, entry: &squeue::Entry) -> bool {
        for _ in 0..REFUSALS {
            if self.failed.is_some() {
                return false;
            }
            // SAFETY: an `Operation` is only made for memory that outlives it (see there); a cancellation names none.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return true;
            }
            // Full. The kernel takes what is there; it copies what it needs of it.
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) if is_for_now(&error) => {
                    tracing::debug!(%error, "submitting again");
                    // Too many completions may be the reason.
                    self.early.extend(self.ring.completion());
                }
                Err(error) => self.failed = Some(error),
            }
        }
        self.failed.get_or_insert_with(|| Errno::EBUSY.into());
        false
    }

    /// Submits what was pushed and waits for at least one completion, at most for `patience`.
    ///
    /// # Errors
    ///
    /// The kernel refuses, now or when something was pushed; a signal or a timeout is none.
    pub(super) fn enter(&mut self, patience: Option<Duration>) -> io::Result<()> {
        if let Some(error) = &self.failed {
            let text = format!("io_uring takes no more operations: {}", Advised(error));
            return Err(io::Error::new(error.kind(), text));
        }
        let submitter = self.ring.submitter();
        let entered = match patience {
            None => submitter.submit_and_wait(1),
            // No timer has to be set for that.
            Some(Duration::ZERO) => return self.finish_entering(),
            Some(patience) => {
                let limit = Timespec::from(patience);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&limit))
            }
        };
        match entered {
            Ok(_) => {}
            // Time has passed.
            Err(error) if error.raw_os_error() == Some(Errno::ETIME as i32) || is_for_now(&error) => {}
            Err(error) => return Err(error),
        }
        if self.is_entered() { Ok(()) } else { self.finish_entering() }
    }

    /// Has the kernel take what was pushed, and takes from it what it has done by now, without waiting.
    fn finish_entering(&mut self) -> io::Result<()> {
        for _ in 0..REFUSALS {
            match self.look() {
                Ok(()) if self.is_entered() => return Ok(()),
                Err(error) if !is_for_now(&error) => return Err(error),
                // There has to be room for more completions.
                _ => self.early.extend(self.ring.completion()),
            }
        }
        Err(Errno::EBUSY.into())
    }

    /// Whether the kernel has taken everything that was pushed, and all that came of it at once can be harvested.
    fn is_entered(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.is_empty() && !queue.cq_overflow()
    }

    /// Submits what was pushed, and has the kernel say what it has done, without waiting for more.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let pushed = u32::try_from(self.ring.submission().len()).expect("the queue has 1024 places");
        // SAFETY: no argument is passed, and the flag is one that the kernel knows.
        let entered = unsafe { self.ring.submitter().enter::<libc::sigset_t>(pushed, 0, GET_EVENTS, None) };
        entered.map(drop)
    }

    /// Takes the completions that are there.
    pub(super) fn harvest(&mut self, into: &mut Vec<cqueue::Entry>) {
        let before = into.len();
        into.append(&mut self.early);
        into.extend(self.ring.completion());
        let ended = |done: &&cqueue::Entry| {
            let token = done.user_data();
            !more(done.flags()) && token != super::operations::NOBODY && !Kind::is_over_at_once(token)
        };
        self.unfinished -= into[before..].iter().filter(ended).count();
    }

    /// Ends all operations. `false`: some go on, and their memory must never be used again.
    ///
    /// Closing the ring is not enough: the kernel would end them some time later.
    pub(super) fn end(&mut self) -> bool {
        let mut done = Vec::new();
        for _ in 0..TRIES {
            if self.unfinished == 0 {
                return true;
            }
            let all = io_uring::opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
            let pushed = self.push_entry(&all.user_data(super::operations::NOBODY).flags(Flags::SKIP_SUCCESS));
            if !pushed || self.enter(Some(PATIENCE)).is_err() {
                return false;
            }
            self.harvest(&mut done);
            done.clear();
        }
        false
    }
}

/// A signal came; too many completions wait to take more; no memory for an operation now.
fn is_for_now(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EINTR | Errno::EBUSY | Errno::EAGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring that is not enabled yet takes no operations, and never will unless it is: that stands for one that is broken.
    /// `None`: this system has no io_uring.
    fn disabled() -> Option<Ring> {
        Ring::new().ok()
    }

    #[test]
    fn a_ring_that_takes_nothing_ends_with_a_message_and_does_not_spin() {
        let Some(mut ring) = disabled() else { return };
        for token in 0..u64::from(SUBMISSIONS) {
            ring.cancel(token);
        }
        assert!(ring.failed.is_none(), "the queue has room for all of these");
        ring.cancel(0);
        let error = ring.enter(Some(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().starts_with("io_uring takes no more operations: "), "{error}");
        // Nor afterwards: a pushed operation has no place, and its end is not waited for.
        ring.cancel(0);
        assert!(ring.enter(Some(Duration::ZERO)).is_err() && ring.end(), "nothing is under way");
    }
}
