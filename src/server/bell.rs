//! A bell that wakes a thread that waits: signal handlers and other threads pull its rope.

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    time::Duration,
};

/// The end of a pipe that is waited at.
#[derive(Debug)]
pub(super) struct Bell {
    pipe: UnixStream,
}

impl Bell {
    /// A bell and its rope: a byte written there rings it. Neither end blocks.
    pub(super) fn new() -> io::Result<(UnixStream, Self)> {
        let (rope, pipe) = UnixStream::pair()?;
        rope.set_nonblocking(true)?;
        pipe.set_nonblocking(true)?;
        Ok((rope, Self { pipe }))
    }

    /// For threads that wait for something else as well.
    pub(super) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)
    }

    /// Waits until it rings, at most for `time`.
    pub(super) fn wait(&mut self, time: Option<Duration>) -> io::Result<()> {
        match poll(&mut [self.poll_fd()], timeout(time)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.silence();
        Ok(())
    }

    /// Empties the pipe, however often it was rung.
    pub(super) fn silence(&mut self) {
        while matches!(self.pipe.read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// In whole milliseconds, and never too short.
fn timeout(time: Option<Duration>) -> PollTimeout {
    let Some(time) = time else { return PollTimeout::NONE };
    let millis = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(millis).ok().and_then(|millis| PollTimeout::try_from(millis).ok()).unwrap_or(PollTimeout::MAX)
}
