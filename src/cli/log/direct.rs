//! Lines of a program that has no thread to write them.

use super::queue;
use crate::{
    cli::stderr::{self, write_by},
    net::clock,
};
use std::{
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Writes a line on the spot, or gives it up. A reader that was too slow once gets no second wait until it has read.
#[derive(Debug)]
pub(super) struct Direct;

/// How long a line may wait for room if the one before it found some.
const MOMENT: Duration = Duration::from_millis(100);

/// Lines lost by [`Direct`] in a row.
static LOST_IN_A_ROW: AtomicU64 = AtomicU64::new(0);

impl io::Write for Direct {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let before = LOST_IN_A_ROW.load(Relaxed);
        let deadline = (before == 0).then(|| clock::now().instant + MOMENT);
        let words = || queue::lost(before, "stderr", None) + "\n";
        let told = before == 0 || write_by(&mut words().as_bytes(), None).is_ok();
        if told && write_by(&mut &*line, deadline).is_ok() {
            LOST_IN_A_ROW.store(0, Relaxed);
        } else {
            LOST_IN_A_ROW.store(if told { 1 } else { before + 1 }, Relaxed);
            stderr::lose(1);
        }
        // An error would be printed, by a library that panics if it cannot print.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
