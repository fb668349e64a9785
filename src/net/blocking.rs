//! The driver that blocks: one session, one socket, one thread.
//!
//! What the iterative, forking, threaded and pooled servers run. Deadlines become socket timeouts, so that a read or a
//! write that takes too long gives the session a chance to end it.

use super::{Traffic, clock, reactor::LINGER, work};
use crate::session::{CloseReason, Session, Wants};
use nix::{
    errno::Errno,
    libc::{MSG_DONTWAIT, MSG_PEEK},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem::MaybeUninit,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

/// Bytes of the first read: a head is rarely longer. A page is all that a process or a thread made for one client has to
/// touch for it; of 16 KiB every page would be one more fault.
const READ: usize = 4 * 1024;

/// Bytes of one read of a peer that fills every one before it: fewer calls for the same bytes.
const MAX_READ: usize = 64 * 1024;

/// How many pieces one `writev` takes.
const SLICES: usize = 16;

/// How long a peer may take nothing of an answer if the session sets no deadline: nobody else would end it.
const STALL: Duration = Duration::from_secs(30);

/// Timeouts are set in steps of so much. A session whose deadline moves with every byte then needs no system call for it.
const STEP: Duration = Duration::from_millis(10);

/// Runs `session` over `stream` until it wants to close or the connection breaks, and closes.
///
/// Another thread ends it by shutting down the reading half of the stream: that is the end of the input, or on Linux, the end
/// as soon as the peer pauses: what it sends without a pause is still read. What the session wants computed is computed here:
/// nobody waits for this thread but this client.
///
/// # Errors
///
/// The connection is broken, or a peer takes no byte of an answer for 30 s and the session does not mind.
pub fn drive(stream: &TcpStream, session: &mut impl Session) -> io::Result<CloseReason> {
    drive_counted(stream, session, &Traffic::default())
}

/// Like [`drive`], and counts what passes.
///
/// # Errors
///
/// As for [`drive`]; it is counted, too.
pub fn drive_counted(stream: &TcpStream, session: &mut impl Session, traffic: &Traffic) -> io::Result<CloseReason> {
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
                    // What the peer has must not pass for the whole, as it would if it ended cleanly.
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
            // Nobody is left who could make it go on.
            Wants::Input if ended => return Ok(CloseReason::PeerFinished),
            Wants::Input => {}
            // All is sent, so it waits for its time.
            Wants::Flush => {
                if !socket.sleep(session.deadline())? {
                    return Ok(CloseReason::PeerFinished);
                }
                session.expire(clock::now());
                continue;
            }
        }
        match socket.read(&mut buffer, session.deadline())? {
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

    /// Sends everything. A deadline that passes meanwhile may make the session drop what is left.
    fn flush(&mut self, session: &mut impl Session) -> io::Result<()> {
        self.send_at_once(session)?;
        while !session.output().is_empty() {
            let deadline = session.deadline();
            let timeout = match until(deadline) {
                Some(Duration::ZERO) => {
                    self.stuck = true;
                    session.expire(clock::now());
                    continue;
                }
                other => other.unwrap_or(STALL),
            };
            if self.writing != Some(timeout) {
                self.stream.set_write_timeout(Some(timeout))?;
                self.writing = Some(timeout);
            }
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

    /// Reads once; `None`: the deadline has passed, or nearly.
    fn read(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<Option<usize>> {
        loop {
            let timeout = until(deadline);
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

    /// Lets the deadline come, and reads nothing meanwhile; `false`: there is none.
    ///
    /// Not by reading with a timeout: after the peer's end every read returns at once, and a loop of them burns a core.
    fn sleep(&self, deadline: Option<Instant>) -> io::Result<bool> {
        while let Some(left) = until(deadline).filter(|left| !left.is_zero()) {
            // Nothing is asked for. What is told all the same is that the connection is gone.
            let mut only = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
            match poll(&mut only, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Err(self.stream.take_error()?.unwrap_or(ErrorKind::NotConnected.into())),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(deadline.is_some())
    }

    /// Whether input waits that nobody is going to hear: it would turn closing into a reset, whatever the session expects.
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
        while let Ok(Some(1..)) = self.read(buffer, Some(until)) {}
    }
}

/// The time until a deadline, in whole steps and never too short.
fn until(deadline: Option<Instant>) -> Option<Duration> {
    let left = deadline?.saturating_duration_since(clock::now().instant);
    let steps = left.as_nanos().div_ceil(STEP.as_nanos());
    Some(STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)))
}

/// What a socket timeout looks like depends on the system.
fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
