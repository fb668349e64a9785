//! The end of a file that only grows: bytes gather, go to the file together, and are kept here until the disk has confirmed them.
//!
//! ```text
//!   tail ── write ──▶ disk ── sync ──▶ kept
//!   │ until the disk has confirmed it: then it's forgotten
//!   ╰ a sync that fails: all of it is written again
//! ```

use super::{DiskFile, write_again, write_all};
use crate::time::Instant;
use std::{io, time::Duration};

/// How long what was written may be in the system's memory alone, with [`Sync::EverySecond`].
const SECOND: Duration = Duration::from_secs(1);

/// Bytes that may be in the system's memory alone, with [`Sync::EverySecond`]: they are in ours as well.
const MAX_UNSYNCED: usize = 8 * 1024 * 1024;

/// When the disk is told to keep what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sync {
    /// Before anything is acknowledged.
    Always,
    /// Once a second.
    #[value(name = "1s")]
    EverySecond,
    /// When the system wants to.
    Never,
}

/// A file that only grows, open for writing behind its last byte.
#[derive(Debug)]
pub(crate) struct Log {
    file: Box<dyn DiskFile>,
    /// Bytes of the file that are not in the tail.
    kept: u64,
    /// Bytes behind them. With [`Sync::Never`] they leave it when they are written, else when the disk has confirmed them.
    tail: Vec<u8>,
    /// Bytes of the tail that are written.
    written: usize,
    /// Bytes that the disk has confirmed: with [`Sync::Never`] they may be fewer than those before the tail.
    confirmed: u64,
    /// The disk has failed to keep some of the others, in this process or perhaps in one before: another sync that succeeds proves nothing,
    /// unless they are written again.
    is_doubtful: bool,
    /// When the tail is to be confirmed at the latest.
    due: Option<Instant>,
    sync: Sync,
}

impl Log {
    /// A file of so many bytes, of which the disk has confirmed so many.
    pub(crate) fn new(file: Box<dyn DiskFile>, len: u64, confirmed: u64, sync: Sync) -> Self {
        let (tail, written, is_doubtful, due) = (Vec::new(), 0, confirmed < len, None);
        Self { file, kept: len, tail, written, confirmed, is_doubtful, due, sync }
    }

    /// Where bytes that are to be written are appended.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// The disk has confirmed all bytes that there are.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.tail.is_empty() && self.confirmed == self.kept
    }

    /// Bytes that are not in the tail.
    pub(crate) fn kept(&self) -> u64 {
        self.kept
    }

    /// Bytes that are to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.tail.len() - self.written
    }

    /// When [`Log::write`] is to be called even if nothing comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The file, for those who read it.
    pub(crate) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    /// Writes the tail, and has the disk confirm it when the policy says so. After an error nothing is sure that was not before; it may be
    /// tried again.
    pub(crate) fn write(&mut self, now: Instant) -> io::Result<()> {
        self.write_tail()?;
        let is_due = self.due.is_some_and(|due| due <= now) || self.tail.len() > MAX_UNSYNCED;
        match self.sync {
            Sync::Always if !self.tail.is_empty() => self.confirm()?,
            Sync::EverySecond if is_due || self.is_doubtful => self.confirm()?,
            Sync::Always | Sync::EverySecond | Sync::Never => {}
        }
        if self.sync == Sync::Never && !self.tail.is_empty() {
            self.forget_tail();
        }
        if !self.tail.is_empty() {
            self.due = self.due.or(Some(now + SECOND));
        }
        Ok(())
    }

    /// Has the disk confirm what it was not asked for yet, at the end.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        self.write_tail()?;
        self.confirm()
    }

    /// A write that fails leaves a part of a record, which the next try covers: the tail only grows until it is written.
    fn write_tail(&mut self) -> io::Result<()> {
        let from = if self.is_doubtful { 0 } else { self.written };
        write_all(&*self.file, &self.tail[from..], self.kept + from as u64)?;
        self.written = if self.sync == Sync::Always { 0 } else { self.tail.len() };
        Ok(())
    }

    /// Has the disk confirm what is written.
    pub(crate) fn confirm(&mut self) -> io::Result<()> {
        let (file, kept) = (&*self.file, self.kept);
        // The last write has written the tail again.
        let synced = if self.is_doubtful { write_again(file, self.confirmed, kept) } else { file.sync() };
        if let Err(error) = synced {
            self.is_doubtful = true;
            return Err(error);
        }
        self.forget_tail();
        (self.confirmed, self.is_doubtful) = (self.kept, false);
        Ok(())
    }

    fn forget_tail(&mut self) {
        self.kept += self.tail.len() as u64;
        self.tail.clear();
        // A burst must not keep its memory for ever.
        self.tail.shrink_to(MAX_UNSYNCED);
        (self.written, self.due) = (0, None);
    }
}
