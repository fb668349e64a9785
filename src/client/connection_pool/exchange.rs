//! One request and its answer on a connection that no other request uses.

use super::{Cause, Written, now};
use crate::{client::PeerError, time::Instant};
use socket2::SockRef;
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// The longest answer, its end included.
const MAX_ANSWER: usize = 16 * 1024;

/// Whether nothing has arrived on a connection that idled: neither bytes nor an end.
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).is_ok() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Sends a command as line `number` of a connection, and waits for its answer.
pub(super) fn exchange(
    stream: &TcpStream,
    number: u64,
    command: &str,
    ends: Instant,
) -> Result<String, (Written, Cause)> {
    let line = format!("#{number} {command}\n");
    let result = send(stream, line.as_bytes(), ends).and_then(|()| {
        let answer = receive(stream, ends).map_err(|cause| (Written::Wholly, cause))?;
        let prefix = &line[..=line.find(' ').expect("it was put there")];
        understand(&answer, prefix, number)
    });
    if result.is_err() {
        // With a reset: half a line must not be taken for a whole one. Closed without it, at worst.
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
    result
}

/// The text of an answer, if it is one to this request.
fn understand(answer: &[u8], prefix: &str, number: u64) -> Result<String, (Written, Cause)> {
    let text = match answer.strip_prefix(prefix.as_bytes()) {
        Some(text) => text,
        None if answer == prefix.trim_end().as_bytes() => b"",
        // How a full server refuses a client: instead of listening, so that nothing was executed.
        None if number == 1 && answer.starts_with(b"ERROR busy") => return Err((Written::Nothing, Cause::Busy)),
        None if answer.starts_with(b"#") => return Err((Written::Wholly, Cause::Protocol(PeerError::UnknownId))),
        None => return Err((Written::Wholly, Cause::Protocol(PeerError::NoId))),
    };
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn send(stream: &TcpStream, line: &[u8], ends: Instant) -> Result<(), (Written, Cause)> {
    let mut taken = 0;
    let written = |taken: usize| match taken {
        0 => Written::Nothing,
        _ if taken < line.len() => Written::Partly,
        _ => Written::Wholly,
    };
    while taken < line.len() {
        let left = left(ends).map_err(|cause| (written(taken), cause))?;
        let sent = stream.set_write_timeout(Some(left)).and_then(|()| (&mut &*stream).write(&line[taken..]));
        match sent {
            Ok(more) => taken += more,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                kind => return Err((written(taken), Cause::Broken(kind))),
            },
        }
    }
    Ok(())
}

/// One line, without its end.
fn receive(stream: &TcpStream, ends: Instant) -> Result<Vec<u8>, Cause> {
    let mut buffer = vec![0; MAX_ANSWER];
    let mut len = 0;
    loop {
        if len == buffer.len() {
            return Err(Cause::Protocol(PeerError::TooLong));
        }
        let left = left(ends)?;
        let read = stream.set_read_timeout(Some(left)).and_then(|()| (&mut &*stream).read(&mut buffer[len..]));
        match read {
            Ok(0) => return Err(Cause::Ended),
            Ok(more) => len += more,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                kind => return Err(Cause::Broken(kind)),
            },
        }
        match memchr::memchr(b'\n', &buffer[..len]) {
            None => {}
            Some(end) if end + 1 < len => return Err(Cause::Protocol(PeerError::AnsweredTwice)),
            Some(end) => {
                buffer.truncate(end);
                if buffer.last() == Some(&b'\r') {
                    buffer.pop();
                }
                return Ok(buffer);
            }
        }
    }
}

/// The time that is left. A timeout of nothing would mean: for ever.
fn left(ends: Instant) -> Result<Duration, Cause> {
    let left = ends.saturating_duration_since(now());
    if left.is_zero() { Err(Cause::TimedOut) } else { Ok(left) }
}
