//! How lines are written to each kind of place.

use super::{place::Place, syslog};
use crate::{
    cli::stderr::write_by,
    net::{
        clock,
        datagram::{Collector, Datagrams, wait_for_room},
    },
    time::Instant,
};
use nix::libc::{O_NONBLOCK, PIPE_BUF};
use std::{
    fs::File,
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use tracing::Level;

/// Bytes for a file that are written at once.
const FILE_BATCH: usize = 64 * 1024;

/// A place that is open. Its thread may wait here; no other does.
pub(super) trait Sink: Send {
    /// The most bytes that are worth writing at once. 0: each line by itself.
    fn batch(&self) -> usize;

    /// Adds a line to a batch, as this place wants it.
    fn add(&mut self, level: Level, line: &[u8], batch: &mut Vec<u8>) {
        let _ = level;
        batch.extend_from_slice(line);
    }

    /// Writes all of a batch, and waits for room until `by`. Bytes that were written are taken off it.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: there was no room in time. Any other kind: there is no reader, or no room on the device.
    fn write(&mut self, batch: &mut &[u8], by: Instant) -> io::Result<()>;

    /// Opens the place again: its file may have been renamed.
    ///
    /// # Errors
    ///
    /// Then all goes on with the place as it was.
    fn open_again(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a place.
///
/// # Errors
///
/// It cannot be opened.
pub(super) fn open(place: &Place) -> io::Result<Box<dyn Sink>> {
    Ok(match place {
        Place::Stderr => Box::new(Stderr),
        Place::File(path) => Box::new(LogFile { path: path.clone(), file: append_to(path)? }),
        Place::Syslog(collector) => Box::new(Syslog {
            socket: Some(Datagrams::to(collector)?),
            collector: collector.clone(),
            sender: syslog::Sender::this_process(),
        }),
    })
}

/// The stream that the program was started with.
struct Stderr;

impl Sink for Stderr {
    fn batch(&self) -> usize {
        PIPE_BUF
    }

    fn write(&mut self, batch: &mut &[u8], by: Instant) -> io::Result<()> {
        write_by(batch, Some(by))
    }
}

struct LogFile {
    path: PathBuf,
    file: File,
}

/// Others than the owner and the group have no business with the addresses of clients. A FIFO without a reader is an error and no
/// wait, and one that is full takes nothing and does not hold up the write.
fn append_to(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(0o640).custom_flags(O_NONBLOCK).open(path)
}

impl Sink for LogFile {
    fn batch(&self) -> usize {
        FILE_BATCH
    }

    fn write(&mut self, batch: &mut &[u8], by: Instant) -> io::Result<()> {
        while !batch.is_empty() {
            match self.file.write(batch) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *batch = &batch[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(self.file.as_fd(), by)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open_again(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        Ok(())
    }
}

/// The system's log: a datagram for each line.
struct Syslog {
    /// `None`: the collector was not there when it was tried last.
    socket: Option<Datagrams>,
    collector: Collector,
    sender: syslog::Sender,
}

impl Sink for Syslog {
    fn batch(&self) -> usize {
        0
    }

    fn add(&mut self, level: Level, line: &[u8], batch: &mut Vec<u8>) {
        self.sender.write(level, clock::now().wall, line, batch);
    }

    fn write(&mut self, batch: &mut &[u8], by: Instant) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => Datagrams::to(&self.collector)?,
        };
        match socket.send(batch, by) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                // One that was started anew hears at a new socket of the same name.
                let socket = Datagrams::to(&self.collector)?;
                socket.send(batch, by)?;
                self.socket = Some(socket);
            }
            done => {
                self.socket = Some(socket);
                done?;
            }
        }
        *batch = &[];
        Ok(())
    }

    fn open_again(&mut self) -> io::Result<()> {
        self.socket = Some(Datagrams::to(&self.collector)?);
        Ok(())
    }
}
