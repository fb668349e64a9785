//! Waiting for the next client, or for news.
//!
//! `accept` alone cannot be interrupted: a signal handler returns and the call goes on. So the listener does not block, and
//! what blocks is a `poll` on two descriptors: the listener, and a bell that signal handlers and other threads ring.

use super::{bell::Bell, lingering::SWEEP};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
};

/// How long to accept no client when descriptors ran out. Trying at once would fail at once, and burn a core.
const BACK_OFF: u16 = 100;

/// A listener and a bell.
#[derive(Debug)]
pub(super) struct Door {
    /// Until the door is closed.
    listener: Option<TcpListener>,
    bell: Bell,
    /// A client was there the last time: another one may be. Then it is cheaper to look than to ask whether to look.
    busy: bool,
    /// Accepting failed: the next time, only the bell is waited for, for a while.
    exhausted: bool,
    /// It was logged. Once is enough until it works again.
    complained: bool,
}

/// Why the wait was over.
#[derive(Debug)]
pub(super) enum Knock {
    Client(TcpStream, SocketAddr),
    Bell,
    Nobody,
}

impl Door {
    pub(super) fn new(listener: TcpListener, bell: Bell) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Some(listener), bell, busy: false, exhausted: false, complained: false })
    }

    /// Closes the listener: the kernel refuses clients that connect from now on.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// Waits; with `sweep`, not longer than the lingering may be left alone.
    pub(super) fn wait(&mut self, sweep: bool) -> io::Result<Knock> {
        if std::mem::take(&mut self.busy)
            && let Knock::Client(stream, peer) = self.accept()
        {
            return Ok(Knock::Client(stream, peer));
        }
        let exhausted = std::mem::take(&mut self.exhausted);
        let timeout = match (exhausted, sweep) {
            (true, _) => PollTimeout::from(BACK_OFF),
            (false, true) => PollTimeout::try_from(SWEEP).unwrap_or(PollTimeout::ZERO),
            (false, false) => PollTimeout::NONE,
        };
        let bell = self.bell.poll_fd();
        let listener = self.listener.as_ref().filter(|_| !exhausted);
        let listener = listener.map_or(bell.clone(), |listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN));
        let mut ready = [bell, listener];
        match poll(&mut ready, timeout) {
            // A signal. Its handler rings the bell.
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Knock::Nobody),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        if ready[0].any().unwrap_or(false) {
            self.bell.silence();
            return Ok(Knock::Bell);
        }
        Ok(self.accept())
    }

    /// The next client of the backlog, if one waits there.
    pub(super) fn accept(&mut self) -> Knock {
        let Some(listener) = &self.listener else { return Knock::Nobody };
        match listener.accept().and_then(prepare) {
            Ok((stream, peer)) => {
                self.complained = false;
                self.busy = true;
                Knock::Client(stream, peer)
            }
            // A signal, or a client that gave up while it waited: the next one is not affected.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::ConnectionAborted
                ) =>
            {
                Knock::Nobody
            }
            Err(error) => {
                self.exhausted = true;
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(%error, "cannot accept: trying again every {BACK_OFF} ms; `ulimit -n` may help");
                }
                Knock::Nobody
            }
        }
    }
}

/// Sets the options that an accepted connection should have: it blocks, and an answer is not held back to be joined
/// with the next. On Linux it has both already: "non-blocking" is not copied from the listener, "no delay" is.
fn prepare((stream, peer): (TcpStream, SocketAddr)) -> io::Result<(TcpStream, SocketAddr)> {
    if cfg!(not(target_os = "linux")) {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
    }
    Ok((stream, peer))
}
