//! Writing to stderr without being held up by its reader.
//!
//! A terminal that is scrolled back, or a pipe that is not read, blocks a write without a limit. A server must not wait
//! there, least of all with its last line, when it no longer hears signals. So the system is asked first whether there
//! is room, for a bounded time, and a text that finds none is given up.
//!
//! The descriptor is left as it is: to make it non-blocking would change it for the shell and for every process that has
//! inherited it.

use crate::{
    net::{clock, datagram::wait_for_room},
    time::Instant,
};
use nix::{errno::Errno, libc::PIPE_BUF, unistd::write};
use std::{
    io,
    os::fd::AsFd as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How long [`say`] waits for room. A reader that is alive makes some within milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Lines that were to be logged and could not be written, since the process began.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How many log lines were lost since the process began: stderr was too slow, closed or full.
#[must_use]
pub fn log_lines_lost() -> u64 {
    LOST.load(Relaxed)
}

/// Counts lines that could not be written.
pub(super) fn lose(lines: u64) {
    LOST.fetch_add(lines, Relaxed);
}

/// Says something on stderr, whatever the log level. A text that finds no room within half a second, or no reader at all,
/// is left out: no diagnostic is worth more than the work that it is about.
pub fn say(text: &str) {
    let _ = write_by(&mut text.as_bytes(), Some(clock::now().instant + PATIENCE));
}

/// Writes all of `bytes` to stderr, and waits for room until `deadline`; `None`: writes only what finds room at once.
/// Bytes that were written are taken off `bytes`.
///
/// # Errors
///
/// `WouldBlock`: the reader took too little in time. Any other kind: there is no reader, or no room on the device.
pub(super) fn write_by(bytes: &mut &[u8], deadline: Option<Instant>) -> io::Result<()> {
    while !bytes.is_empty() {
        // Asked first, as a terminal that takes nothing would hold up the write.
        wait_for_room(io::stderr().as_fd(), deadline.unwrap_or_else(|| clock::now().instant))?;
        // A pipe that has room at all has room for so much. Only another process that writes at the same moment could take it.
        match write(io::stderr().as_fd(), &bytes[..bytes.len().min(PIPE_BUF)]) {
            Ok(written) => *bytes = &bytes[written..],
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
