//! The events of a run: always as a digest, and as lines only when they will be read.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The record of a run.
#[derive(Debug)]
pub struct Trace {
    digest: u64,
    lines: Option<Lines>,
}

/// The events as text. Shared, so that they outlive a run that panics.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Trace {
    /// With `lines`, every event is kept as text: for the second run of a seed that failed.
    pub fn new(lines: Option<Lines>) -> Self {
        Self { digest: 0xCBF2_9CE4_8422_2325, lines }
    }

    /// One event: `numbers` go into the digest, `line` is only made if lines are kept.
    pub fn note(&mut self, at: Duration, numbers: [usize; 3], line: impl FnOnce() -> String) {
        for number in [at.as_nanos() as u64].into_iter().chain(numbers.map(|n| n as u64)) {
            self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01B3);
        }
        if let Some(Lines(lines)) = &self.lines {
            let line = format!("{:>14.6}  {}", at.as_secs_f64(), line());
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// Equal for equal runs: a replay that differs shows randomness, a clock or an address that leaked into the run.
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

impl Lines {
    /// The last `most` lines.
    pub fn last(&self, most: usize) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = lines.len().saturating_sub(most);
        let more = if skipped > 0 { format!("… {skipped} earlier events\n") } else { String::new() };
        more + &lines[skipped..].join("\n")
    }
}
