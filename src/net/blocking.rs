//! The driver that blocks: one session, one socket, one thread.
//!
//! The iterative, forking, threaded and pooled servers run it. Deadlines become socket timeouts, so that a read or a
//! write that takes too long gives the session a chance to end it. A kernel counts socket timeouts in its own ticks (4
//! ms on many), so an answer that was promised for a time ([`Session::promised`]) is waited for with `ppoll` instead.

use super::{Traffic, clock, driver::LINGER, work};
use crate::{
    buf::{FilePart, Unreadable},
    session::{CloseReason, Session, Wants},
    time::Instant,
};
use nix::{
    errno::Errno,
    libc::{MSG_DONTWAIT, MSG_PEEK},
    poll::{PollFd, PollFlags},
};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem::MaybeUninit,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    time::Duration,
};

/// Bytes of the first read: a head is rarely longer. A page is all that a process or a thread made for one client has to
/// touch for it; of 16 KiB every page would be one more fault.
const READ: usize = 4 * 1024;

/// Bytes of one read of a peer that fills every one before it: fewer calls for the same bytes.
const MAX_READ: usize = 64 * 1024;

/// How many pieces one `writev` takes.
const SLICES: usize = 16;

/// How long a peer may take nothing of an answer if the session sets no deadline: nothing else would end it.
const STALL: Duration = Duration::from_secs(30);

/// Timeouts are set in steps of so much. A session whose deadline moves with every byte then needs no system call for it.
const STEP: Duration = Duration::from_millis(10);

/// Runs `session` over `stream` until it wants to close or the connection breaks, closes, and counts what passes.
///
/// Another thread ends it by shutting down the reading half of the stream: that is the end of the input. On Linux, the
/// end comes as soon as the peer pauses: bytes that it sends without a pause are still read. Work that the session
/// wants computed is computed here: no other client waits for this thread.
///
/// # Errors
///
/// The connection is broken, or a peer takes no byte of an answer for 30 s and the session does not mind. It is counted, too.
pub fn drive(stream: &TcpStream, session: &mut impl Session, traffic: &Traffic) -> io::Result<CloseReason> {
    run(stream, session, traffic).inspect_err(|_| traffic.failed())
}

fn run(stream: &TcpStream, session: &mut impl Session, traffic: &Traffic) -> io::Result<CloseReason> {
    let mut socket = Socket { stream, traffic, reading: None, writing: None, stuck: false };
    let mut buffer = vec![0; READ];
    let mut ended = false;
    loop {
        socket.flush(session)?;
        traffic.answered(session.answered());
        match session.wants() {
            Wants::Close(reason) => {
                if socket.stuck {
                    // A clean end would let the peer take a part of the answer for the whole: a reset says that some is
                    // missing.
                    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                } else if !(ended || reason.was_heard_out()) || socket.has_unread() {
                    socket.linger(&mut buffer);
                }
                return Ok(reason);
            }
            Wants::Work(wanted) => {
                session.worked(work::carry_out(wanted), clock::now());
                continue;
            }
            // No more input can come, so nothing could make it go on.
            Wants::Input if ended => return Ok(CloseReason::PeerFinished),
            Wants::Input => {}
            // All is sent, so it waits for its time.
            Wants::Flush => {
                if !socket.sleep(Until::of(session))? {
                    return Ok(CloseReason::PeerFinished);
                }
                session.expire(clock::now());
                continue;
            }
        }
        match socket.read(&mut buffer, Until::of(session))? {
            None => session.expire(clock::now()),
            Some(0) => {
                ended = true;
                session.receive_end(clock::now());
            }
            Some(len) => {
                traffic.received(len);
                session.receive(&buffer[..len], clock::now());
                if len == buffer.len() && len < MAX_READ {
                    buffer = vec![0; 4 * len];
                }
            }
        }
    }
}

/// A stream and the timeouts that are set on it.
struct Socket<'s> {
    stream: &'s TcpStream,
    traffic: &'s Traffic,
    reading: Option<Duration>,
    writing: Option<Duration>,
    /// The peer took nothing until a deadline passed: what it did not take is lost, so there is no answer to wait for.
    stuck: bool,
}

impl Socket<'_> {
    /// Sends what the kernel takes without waiting. That is nearly always everything, and then no timeout has to be set.
    fn send_at_once(&self, session: &mut impl Session) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = session.output().io_slices(&mut slices);
        let socket = SockRef::from(self.stream);
        let sent = match &slices[..filled] {
            [] => return Ok(()),
            [only] => socket.send_with_flags(only, MSG_DONTWAIT),
            several => socket.send_vectored_with_flags(several, MSG_DONTWAIT),
        };
        match sent {
            Ok(taken) => {
                session.output().consume(taken);
                self.traffic.sent(taken);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends everything, bytes and parts of files by turns.
    fn flush(&mut self, session: &mut impl Session) -> io::Result<()> {
        self.flush_output(session)?;
        while !self.stuck
            && let Some(part) = session.file()
        {
            self.send_part(session, part)?;
            self.flush_output(session)?;
        }
        Ok(())
    }

    /// Limits the next write to what is left of the session's patience; `false`: that is over, and the session was told.
    fn set_patience(&mut self, session: &mut impl Session) -> io::Result<bool> {
        let timeout = match session.deadline().map(in_steps) {
            Some(Duration::ZERO) => {
                self.stuck = true;
                session.expire(clock::now());
                return Ok(false);
            }
            other => other.unwrap_or(STALL),
        };
        if self.writing != Some(timeout) {
            self.stream.set_write_timeout(Some(timeout))?;
            self.writing = Some(timeout);
        }
        Ok(true)
    }

    /// Sends a part of a file through our memory. The wait for a disk is this thread's alone.
    fn send_part(&mut self, session: &mut impl Session, mut part: FilePart) -> io::Result<()> {
        let mut buffer = vec![0; MAX_READ];
        while part.length > 0 {
            let most = usize::try_from(part.length).map_or(MAX_READ, |left| left.min(MAX_READ));
            let read = match part.file.read_at(&mut buffer[..most], part.at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(Unreadable::Failed(error.kind())),
                Ok(0) => Err(Unreadable::Truncated),
                Ok(len) => Ok(len),
            };
            let len = read.or_else(|why| self.cut_short(why))?;
            if !self.write_all(session, &buffer[..len])? {
                return Ok(());
            }
            part.at += len as u64;
            part.length -= len as u64;
        }
        Ok(())
    }

    /// The client was promised more than there is: a reset says so.
    fn cut_short(&self, why: Unreadable) -> io::Result<usize> {
        tracing::warn!(%why, "a connection is reset: what its client was promised cannot be sent");
        self.traffic.cut();
        SockRef::from(self.stream).set_linger(Some(Duration::ZERO))?;
        Err(why.kind().into())
    }

    /// Writes bytes of a file; `false`: the session gave up on its peer.
    fn write_all(&mut self, session: &mut impl Session, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            if !self.set_patience(session)? {
                if matches!(session.wants(), Wants::Close(_)) {
                    return Ok(false);
                }
                continue;
            }
            let waits = session.deadline().is_some();
            match { self.stream }.write(bytes) {
                Ok(taken) => {
                    bytes = &bytes[taken..];
                    self.traffic.sent(taken);
                    self.stuck = false;
                    session.taken();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if timed_out(&error) && waits => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Sends all output. A deadline that passes meanwhile may make the session drop what is left.
    fn flush_output(&mut self, session: &mut impl Session) -> io::Result<()> {
        self.send_at_once(session)?;
        while !session.output().is_empty() {
            if !self.set_patience(session)? {
                continue;
            }
            let deadline = session.deadline();
            let output = session.output();
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = output.io_slices(&mut slices);
            match self.stream.write_vectored(&slices[..filled]) {
                Ok(taken) => {
                    output.consume(taken);
                    self.traffic.sent(taken);
                    self.stuck = false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if timed_out(&error) && deadline.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once; `None`: the time has come.
    fn read(&mut self, buffer: &mut [u8], until: Until) -> io::Result<Option<usize>> {
        if matches!(until, Until::Promise(_)) && !self.wait(PollFlags::POLLIN, until)? {
            return Ok(None);
        }
        loop {
            let timeout = until.time().map(in_steps);
            if timeout == Some(Duration::ZERO) {
                return Ok(None);
            }
            if self.reading != timeout {
                self.stream.set_read_timeout(timeout)?;
                self.reading = timeout;
            }
            match self.stream.read(buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if timed_out(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets a time come, and reads nothing meanwhile; `false`: there is none.
    ///
    /// Not by reading with a timeout: after the peer's end every read returns at once, and a loop of them burns a core.
    fn sleep(&self, until: Until) -> io::Result<bool> {
        if until.time().is_none() {
            return Ok(false);
        }
        // No event is asked for. The system reports all the same when the connection is gone.
        match self.wait(PollFlags::empty(), until)? {
            false => Ok(true),
            true => Err(self.stream.take_error()?.unwrap_or(ErrorKind::NotConnected.into())),
        }
    }

    /// Waits for something to be said of the socket; `false`: the time has come before.
    fn wait(&self, events: PollFlags, until: Until) -> io::Result<bool> {
        loop {
            let left = until.left();
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            match poll_for(&mut [PollFd::new(self.stream.as_fd(), events)], left) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Whether input waits that the session is not going to hear: it would turn closing into a reset, whatever the
    /// session expects.
    fn has_unread(&self) -> bool {
        let peeked = SockRef::from(self.stream).recv_with_flags(&mut [MaybeUninit::uninit()], MSG_PEEK | MSG_DONTWAIT);
        matches!(peeked, Ok(1..))
    }

    /// Announces our end and throws away what the peer still sends, so that closing does not become a reset that destroys
    /// the answer on its way (RFC 9112 §9.6).
    fn linger(&mut self, buffer: &mut [u8]) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let until = clock::now().instant + LINGER;
        while let Ok(Some(1..)) = self.read(buffer, Until::Patience(until)) {}
    }
}

/// The end of a wait, if nothing happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Nothing.
    Never,
    /// The end of a wait: up to a [`STEP`] late, and cheap.
    Patience(Instant),
    /// A time that a peer was told: exact.
    Promise(Instant),
}

impl Until {
    fn of(session: &impl Session) -> Self {
        match (session.promised(), session.deadline()) {
            (Some(promised), deadline) if deadline.is_none_or(|at| promised <= at) => Self::Promise(promised),
            (_, Some(deadline)) => Self::Patience(deadline),
            (_, None) => Self::Never,
        }
    }

    fn time(self) -> Option<Instant> {
        match self {
            Self::Never => None,
            Self::Patience(at) | Self::Promise(at) => Some(at),
        }
    }

    /// How long that is from now; `None`: for ever.
    fn left(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Patience(at) => Some(in_steps(at)),
            Self::Promise(at) => Some(left_until(at)),
        }
    }
}

fn left_until(at: Instant) -> Duration {
    at.saturating_duration_since(clock::now().instant)
}

/// The time until `at`, in whole steps and never too short.
fn in_steps(at: Instant) -> Duration {
    let steps = left_until(at).as_nanos().div_ceil(STEP.as_nanos());
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// Polls for at most that long; `None`: until something happens.
#[cfg(target_os = "linux")]
fn poll_for(fds: &mut [PollFd<'_>], left: Option<Duration>) -> nix::Result<i32> {
    nix::poll::ppoll(fds, left.map(Into::into), None)
}

/// Polls for at most that long, in whole milliseconds: this system has nothing finer.
#[cfg(not(target_os = "linux"))]
fn poll_for(fds: &mut [PollFd<'_>], left: Option<Duration>) -> nix::Result<i32> {
    use nix::poll::{PollTimeout, poll};
    // Rounded up: a wait that ends early would be repeated until the time has come.
    let left = left.map(|left| left + Duration::from_nanos(999_999));
    poll(fds, left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)))
}

/// The error of a socket timeout depends on the system.
fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
