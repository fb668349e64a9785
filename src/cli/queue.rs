//! Lines on their way to stderr: queued by the threads that log, written by one thread.
//!
//! ```text
//!   workers ──try_send──▶ 8,192 lines ──▶ thread "log" ──waits for room──▶ stderr
//!                │ full                        │ at the end: one second more, then the rest is given up
//!                └──────────▶ counted ◀────────┘ closed or full
//! ```

use super::stderr::{lose, write_by};
use crate::{net::clock, units::Counted};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for the terminal: about a second of a busy debug log, about a megabyte.
const QUEUED_LINES: usize = 8 * 1024;

/// How long what still waits at the end may take. A supervisor that sends SIGKILL after a while should not have to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a thread that waits for room looks whether the end has come.
const LOOK: Duration = Duration::from_millis(50);

/// The place that the thread writes to: stderr, except in tests.
pub(super) type Sink = Box<dyn FnMut(&mut &[u8], Instant) -> io::Result<()> + Send>;

/// Where lines are queued.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    lines: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

/// State shared by the threads that log and the thread that writes.
#[derive(Debug, Default)]
struct Shared {
    /// Lines that were lost and not yet told of.
    untold: AtomicU64,
    /// When the last words have to be over: known when the end has begun.
    over_by: OnceLock<Instant>,
}

impl Shared {
    fn lose(&self, lines: u64) {
        self.untold.fetch_add(lines, Relaxed);
        lose(lines);
    }
}

/// The end of the log: when this is dropped, waiting lines are written, for a second at most; what is left then is given up.
#[derive(Debug)]
pub(super) struct LastWords {
    queue: Queue,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Queue {
    /// Starts the thread that writes to stderr.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(super) fn start() -> io::Result<(Self, LastWords)> {
        Self::start_with(Box::new(|bytes, by| write_by(bytes, Some(by))))
    }

    pub(super) fn start_with(sink: Sink) -> io::Result<(Self, LastWords)> {
        let (sender, lines) = sync_channel(QUEUED_LINES);
        let queue = Self { lines: sender, shared: Arc::default() };
        let (alive, ended) = sync_channel(0);
        let mut writer = Writer { lines, shared: Arc::clone(&queue.shared), sink };
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            writer.run();
            drop::<SyncSender<()>>(alive);
        })?;
        Ok((queue.clone(), LastWords { queue, ended }))
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let by = clock::now().instant + LAST_WORDS;
        let _ = self.queue.shared.over_by.set(by);
        // An empty line wakes a thread that waits for lines. One that has lines to write does not need it.
        let _ = self.queue.lines.try_send(Vec::new());
        // A little longer than it may take, and no longer: another process can still hold up a write.
        let _ = self.ended.recv_timeout(LAST_WORDS + LOOK);
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> Self::Writer {
        self
    }
}

/// One call is one line; it never fails and never waits.
impl io::Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(line.to_vec()).is_err() {
            self.shared.lose(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's side.
struct Writer {
    lines: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    sink: Sink,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let ending = self.over_by().is_some();
            let next = if ending { self.lines.try_recv().ok() } else { self.lines.recv().ok() };
            let Some(line) = next else { break };
            self.pass_on(&line);
        }
        self.confess();
    }

    fn over_by(&self) -> Option<Instant> {
        self.shared.over_by.get().copied()
    }

    fn pass_on(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        match self.write(line) {
            Ok(()) => self.confess(),
            Err(_) => self.shared.lose(1),
        }
    }

    /// Waits for room as long as it takes, until the end has come.
    fn write(&mut self, mut line: &[u8]) -> io::Result<()> {
        loop {
            let look = clock::now().instant + LOOK;
            let by = self.over_by();
            match (self.sink)(&mut line, by.map_or(look, |by| by.min(look))) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if by.is_some_and(|by| clock::now().instant >= by) {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// Tells how many lines were lost since the last time, once there is room for that.
    fn confess(&mut self) {
        let lines = self.shared.untold.load(Relaxed);
        if lines > 0 && (self.sink)(&mut lost(lines).as_bytes(), clock::now().instant).is_ok() {
            self.shared.untold.fetch_sub(lines, Relaxed);
        }
    }
}

/// The line that stands for lines that were lost.
pub(super) fn lost(lines: u64) -> String {
    let were = if lines == 1 { "was" } else { "were" };
    format!("{} {were} dropped: stderr was too slow\n", Counted(lines, "log line"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write as _,
        sync::{Mutex, atomic::AtomicBool},
    };

    /// A stderr that takes everything or nothing.
    #[derive(Clone, Default)]
    struct Reader(Arc<(AtomicBool, Mutex<String>)>);

    impl Reader {
        fn sink(&self) -> Sink {
            let reader = self.clone();
            Box::new(move |bytes, by| {
                if !reader.0.0.load(Relaxed) {
                    thread::park_timeout(
                        by.saturating_duration_since(clock::now().instant).min(Duration::from_millis(1)),
                    );
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                reader.0.1.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
                *bytes = &[];
                Ok(())
            })
        }

        fn read(&self) -> String {
            self.0.1.lock().unwrap().clone()
        }
    }

    #[test]
    fn a_line_that_finds_no_room_is_counted_and_told_of_when_there_is_some() {
        const SENT: usize = QUEUED_LINES + 100;
        let reader = Reader::default();
        let (queue, last_words) = Queue::start_with(reader.sink()).unwrap();
        for number in 0..SENT {
            (&queue).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        reader.0.0.store(true, Relaxed);
        drop(last_words);
        let said = reader.read();
        let lines = said.lines().filter(|line| line.starts_with("line ")).count();
        // One more if the thread had taken the first before the queue was full.
        assert!([QUEUED_LINES, QUEUED_LINES + 1].contains(&lines), "{lines}");
        assert!(said.contains(&lost((SENT - lines) as u64)), "{said}");
        assert_eq!(said.matches("were dropped").count(), 1);
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_that_takes_nothing() {
        let reader = Reader::default();
        let (queue, last_words) = Queue::start_with(reader.sink()).unwrap();
        (0..QUEUED_LINES + 100).for_each(|_| (&queue).write_all(b"line\n").unwrap());
        let before = clock::now().instant;
        drop(last_words);
        assert!(clock::now().instant - before < 5 * LAST_WORDS);
        assert_eq!(reader.read(), "");
    }

    #[test]
    fn lines_that_wait_at_the_end_are_written() {
        let reader = Reader::default();
        reader.0.0.store(true, Relaxed);
        let (queue, last_words) = Queue::start_with(reader.sink()).unwrap();
        (0..1000).for_each(|number| (&queue).write_all(format!("{number}\n").as_bytes()).unwrap());
        drop(last_words);
        assert_eq!(reader.read().lines().count(), 1000);
    }
}
