//! Pipes: how bytes get from one socket to another without passing through our memory (splice(2), Linux).
//!
//! ```text
//!   socket ──fill──▶ [ pages, by reference ] ──drain──▶ socket
//! ```
//!
//! A pipe belongs to a receiver for as long as bytes are in it, and is spare otherwise: a thousand splices that keep up
//! share one. After an error with bytes inside, the pipe is closed with them and never used again.

use crate::time::Instant;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

/// Bytes in one pipe, and of one move: the most that Linux gives without privileges (`/proc/sys/fs/pipe-max-size`).
/// Measured with 64 MiB downloads, CPU seconds per GiB: 128 KiB at once 0.36, 512 KiB 0.27, 1 MiB 0.22; copied, 0.32.
pub(in crate::net) const CAPACITY: usize = 1024 * 1024;

/// How long a pipe that no splice needs is kept.
const SPARE_FOR: Duration = Duration::from_secs(10);

/// How long no pipe is asked for after the system had none. Else every step of every splice would ask, just when the
/// system has the least to give.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Bytes on their way, in the kernel.
#[derive(Debug)]
pub(in crate::net) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    len: usize,
    /// Counts the pipes that exist.
    _token: Arc<()>,
}

/// Not every kind of socket can be spliced from.
pub(in crate::net) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// The result of moving bytes into or out of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Nothing moves there.
pub(in crate::net) enum Moved {
    Bytes(usize),
    /// The socket has none, or takes none; or the pipe does not.
    Nothing,
    /// The socket's peer sends nothing more.
    End,
}

/// The pipes of one event loop.
#[derive(Debug)]
pub(in crate::net) struct Pipes {
    spare: Vec<Pipe>,
    token: Arc<()>,
    limit: usize,
    open: fn() -> io::Result<(OwnedFd, OwnedFd)>,
    /// When the spare ones are closed.
    until: Option<Instant>,
    /// The system had none; it is asked again then.
    refused_until: Option<Instant>,
}

impl Pipes {
    /// At most `limit` pipes.
    pub(in crate::net) fn new(limit: usize) -> Self {
        Self { spare: Vec::new(), token: Arc::new(()), limit, open: sys::open, until: None, refused_until: None }
    }

    /// An empty pipe, if there may be one more and the system has one, or has not just said that it has none. Without, bytes
    /// are copied.
    pub(in crate::net) fn take(&mut self, now: Instant) -> Option<Pipe> {
        if let Some(pipe) = self.spare.pop() {
            return Some(pipe);
        }
        let refused = self.refused_until.is_some_and(|until| now < until);
        if refused || Arc::strong_count(&self.token) > self.limit {
            return None;
        }
        match (self.open)() {
            Ok((read, write)) => Some(Pipe { read, write, len: 0, _token: self.token.clone() }),
            Err(error) => {
                tracing::debug!(%error, "no pipe: bytes are copied");
                self.refused_until = Some(now + REFUSED_FOR);
                None
            }
        }
    }

    /// Whether [`Pipes::take`] has one, unless the system has none.
    #[cfg(target_os = "linux")]
    pub(in crate::net) fn is_available(&self, now: Instant) -> bool {
        let refused = self.refused_until.is_some_and(|until| now < until);
        !self.spare.is_empty() || !refused && Arc::strong_count(&self.token) <= self.limit
    }

    /// Takes a pipe back, if nothing is in it.
    pub(in crate::net) fn give_back(&mut self, pipe: Pipe, now: Instant) {
        if pipe.len == 0 {
            self.spare.push(pipe);
            self.until = Some(now + SPARE_FOR);
        }
    }

    /// When [`Pipes::expire`] has something to do.
    pub(in crate::net) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Closes the pipes that no splice needed for a while.
    pub(in crate::net) fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.spare = Vec::new();
            self.until = None;
        }
    }

    /// The system cannot do it after all: everything is copied from now on.
    pub(in crate::net) fn give_up(&mut self) {
        self.limit = 0;
        self.spare = Vec::new();
    }
}

impl Pipe {
    /// Bytes inside.
    pub(in crate::net) fn len(&self) -> usize {
        self.len
    }

    /// Whether as many bytes are inside as may be.
    pub(in crate::net) fn is_full(&self) -> bool {
        self.len >= CAPACITY
    }

    /// Moves up to `most` bytes in.
    ///
    /// [`Moved::Nothing`] of an empty pipe means that the socket has nothing; of another one, it may also be that the
    /// pipe has no room: that depends on the number of pieces, which the kernel does not tell.
    pub(in crate::net) fn fill(&mut self, from: impl AsFd, most: u64) -> io::Result<Moved> {
        let room = CAPACITY.saturating_sub(self.len);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(room);
        if most == 0 {
            return Ok(Moved::Nothing);
        }
        let moved = sys::splice(from, &self.write, most)?;
        if let Moved::Bytes(len) = moved {
            self.len += len;
        }
        Ok(moved)
    }

    /// Moves bytes out until none is left, or the socket takes no more: then [`Pipe::len`] is not zero.
    pub(in crate::net) fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let before = self.len;
        while self.len > 0
            && let Moved::Bytes(len) = sys::splice(&self.read, &to, self.len)?
        {
            self.len -= len;
        }
        Ok(before - self.len)
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use super::{CAPACITY, Moved};
    use nix::{
        errno::Errno,
        fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice as call},
        unistd::pipe2,
    };
    use std::{
        io,
        os::fd::{AsFd, OwnedFd},
    };

    /// A smaller pipe than this costs more calls than it saves copies: Linux gives less to a user who has many.
    const SMALLEST: usize = 256 * 1024;

    pub(super) fn open() -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        let wanted = i32::try_from(CAPACITY).expect("a megabyte");
        // Refused to a user whose pipes are many: what it has got then is what counts.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(wanted));
        let got = fcntl(&write, FcntlArg::F_GETPIPE_SZ)?;
        if usize::try_from(got).unwrap_or(0) < SMALLEST {
            return Err(io::Error::other(format!("the system gives a pipe of {got} bytes only")));
        }
        Ok((read, write))
    }

    /// One system call. A socket whose peer is gone raises SIGPIPE here, which Rust's runtime ignores.
    pub(super) fn splice(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<Moved> {
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        loop {
            return match call(&from, None, &to, None, most, flags) {
                Ok(0) => Ok(Moved::End),
                Ok(len) => Ok(Moved::Bytes(len)),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => Ok(Moved::Nothing),
                Err(error) => Err(error.into()),
            };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use super::Moved;
    use std::{
        io::{self, ErrorKind},
        os::fd::{AsFd, OwnedFd},
    };

    pub(super) fn open() -> io::Result<(OwnedFd, OwnedFd)> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn splice(_: impl AsFd, _: impl AsFd, _: usize) -> io::Result<Moved> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    fn now() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    #[test]
    fn a_pipe_is_used_again_when_it_is_empty_and_only_then() {
        let (mut pipes, now) = (Pipes::new(2), now());
        let (mut here, there) = UnixStream::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        let (mut first, second) = (pipes.take(now).unwrap(), pipes.take(now).unwrap());
        assert!(pipes.take(now).is_none(), "two are the limit");
        assert_eq!(first.fill(&there, 10).unwrap(), Moved::Nothing);
        here.write_all(b"abc").unwrap();
        assert_eq!(first.fill(&there, 2).unwrap(), Moved::Bytes(2));
        assert_eq!((first.len(), first.fill(&there, 10).unwrap(), first.len()), (2, Moved::Bytes(1), 3));
        assert_eq!(first.drain(&there).unwrap(), 3);
        let mut back = [0; 3];
        here.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"abc");

        pipes.give_back(first, now);
        here.write_all(b"x").unwrap();
        let mut full = second;
        assert_eq!(full.fill(&there, 10).unwrap(), Moved::Bytes(1));
        pipes.give_back(full, now);
        assert_eq!(pipes.spare.len(), 1, "what has bytes in it is closed");
        drop(here);
        let mut again = pipes.take(now).unwrap();
        assert_eq!(again.fill(&there, 10).unwrap(), Moved::End);
        assert!(pipes.take(now).is_some(), "the closed one counts no more");
    }

    #[test]
    fn spare_pipes_are_closed_after_a_while() {
        let (mut pipes, now) = (Pipes::new(4), now());
        let pipe = pipes.take(now).unwrap();
        assert_eq!(pipes.deadline(), None);
        pipes.give_back(pipe, now);
        let until = pipes.deadline().unwrap();
        pipes.expire(until - Duration::from_nanos(1));
        assert_eq!(pipes.spare.len(), 1);
        pipes.expire(until);
        assert_eq!((pipes.spare.len(), pipes.deadline(), Arc::strong_count(&pipes.token)), (0, None, 1));
    }

    #[test]
    fn without_descriptors_there_is_no_pipe() {
        let (mut pipes, now) = (Pipes::new(4), now());
        pipes.open = || Err(nix::errno::Errno::EMFILE.into());
        assert!(pipes.take(now).is_none());
        pipes.open = || panic!("asked again at once");
        let soon = now + REFUSED_FOR - Duration::from_nanos(1);
        assert!(pipes.take(soon).is_none());
        pipes.open = sys::open;
        let later = now + REFUSED_FOR;
        let pipe = pipes.take(later).expect("the system has one again");
        pipes.open = || Err(nix::errno::Errno::EMFILE.into());
        assert!(pipes.take(later).is_none());
        pipes.give_back(pipe, later);
        assert!(pipes.take(later).is_some(), "what is there is used");
        pipes.give_up();
        assert!(pipes.take(later + REFUSED_FOR).is_none());
    }
}
