//! Lines from stdin: as many as may be asked for, until they end or no more are wanted.
//!
//! Nothing here blocks in a read. So it can be told to stop at any time, and a command that came too late is named, not lost.

use super::{Control, printer::Printer};
use crate::{
    client::{Error, MAX_REQUEST, request::TOO_LONG},
    service::lines::{Line, Lines},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
        mpsc::Sender,
    },
};

/// Bytes of one read. At least as many as stdin's own buffer, which is left empty by that: what waits, waits in the kernel, where
/// `poll` sees it.
const READ: usize = 16 * 1024;

/// Bytes that are still read when no more commands are taken: what a pipe holds, many times over. Behind that may be a file without
/// an end.
const MAX_REST: usize = 1024 * 1024;

/// How much more is wanted.
const ALL: u8 = 0;
const REST: u8 = 1;
const NOTHING: u8 = 2;

/// Tells the thread that reads when to stop.
#[derive(Debug, Clone)]
pub(super) struct Stopper {
    wanted: Arc<AtomicU8>,
    bell: Arc<UnixStream>,
}

impl Stopper {
    /// No more commands are taken. Lines that have been typed are still read, so that each of them can be named.
    pub(super) fn read_the_rest(&self) {
        self.want(REST);
    }

    /// Nothing more is read.
    pub(super) fn stop(&self) {
        self.want(NOTHING);
    }

    fn want(&self, less: u8) {
        self.wanted.fetch_max(less, SeqCst);
        // It fails if the reading thread is gone, or if the bell was rung so often that it does not matter.
        let _ = (&*self.bell).write(&[0]);
    }
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Input {
    wanted: Arc<AtomicU8>,
    bell: UnixStream,
    /// Bytes read since only the rest was wanted.
    rest: usize,
}

impl Input {
    /// Stdin, and what stops the reading of it.
    pub(super) fn new() -> io::Result<(Self, Stopper)> {
        let (bell, ours) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let wanted = Arc::new(AtomicU8::new(ALL));
        let stopper = Stopper { wanted: Arc::clone(&wanted), bell: Arc::new(ours) };
        Ok((Self { wanted, bell, rest: 0 }, stopper))
    }

    /// Reads until the end, a line for each permit, and says that it has ended.
    pub(super) fn read(mut self, permits: &Printer, sender: &Sender<Control>) {
        let mut lines = Lines::new(MAX_REQUEST);
        let mut buffer = vec![0; READ];
        let mut ended = false;
        while !ended {
            let mut input = match self.next(&mut buffer) {
                Err(error) => return drop(sender.send(Control::End(Err(error)))),
                // The last line may lack its end: also the last that is wanted, when the writer has not closed the pipe yet.
                Ok(None | Some(0)) => {
                    ended = true;
                    &b"\n"[..]
                }
                Ok(Some(len)) => &buffer[..len],
            };
            while let Some(line) = lines.next(&mut input) {
                // The line end that was added makes no line if no text came before it.
                if ended && line == Line::Text(b"".into()) {
                    break;
                }
                permits.acquire();
                if sender.send(Control::Line(understand(line))).is_err() {
                    return;
                }
            }
        }
        let _ = sender.send(Control::End(Ok(())));
    }

    /// Waits for bytes and takes them; `None`: no more are wanted.
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let wanted = self.wanted.load(SeqCst);
            let stdin = io::stdin();
            let mut both = [&stdin.as_fd(), &self.bell.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
            // Rung once, the bell is not listened to any more: what is there is there.
            let (polled, patience) =
                if wanted == ALL { (&mut both[..], PollTimeout::NONE) } else { (&mut both[..1], PollTimeout::ZERO) };
            match poll(polled, patience) {
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
                Ok(_) => {}
            }
            if wanted == NOTHING || self.rest > MAX_REST {
                return Ok(None);
            }
            let there = both[0].any().unwrap_or(true);
            match (there, wanted) {
                (true, _) => {}
                // The bell.
                (false, ALL) => continue,
                (false, _) => return Ok(None),
            }
            match stdin.lock().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(len) => {
                    self.rest += if wanted == REST { len } else { 0 };
                    return Ok(Some(len));
                }
            }
        }
    }
}

fn understand(line: Line<'_>) -> Result<String, Error> {
    match line {
        Line::TooLong => Err(Error::Invalid(TOO_LONG)),
        Line::Text(text) => {
            String::from_utf8(text.into_owned()).map_err(|_| Error::Invalid("a command is text in UTF-8"))
        }
    }
}
