//! Lines on their way to a place: queued by the threads that log, written by one thread.
//!
//! ```text
//!   workers ──try_send──▶ 8,192 lines, ──▶ thread "log" ──waits for room──▶ stderr, a file, syslog
//!                │ full   8 MiB                │ at the end: one second more, then the rest is given up
//!                └──────────▶ counted ◀────────┘ closed or full
//! ```

use super::sink::Sink;
use crate::{cli::stderr, net::clock, time::Instant, units::Counted};
use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait: about a second of a busy debug log, about a megabyte.
const QUEUED_LINES: usize = 8 * 1024;

/// Bytes that may wait. A client may send a head of 16 KiB, and much of it is in its line.
const QUEUED_BYTES: usize = 8 * 1024 * 1024;

/// How long what still waits at the end may take. A supervisor that sends SIGKILL after a while should not have to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a thread that waits for room looks whether something else is to be done.
const LOOK: Duration = Duration::from_millis(50);

/// Where lines are queued.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    lines: SyncSender<(Level, Vec<u8>)>,
    shared: Arc<Shared>,
}

/// State shared by the threads that log and the thread that writes.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait.
    bytes: AtomicUsize,
    /// Lines that were lost and not yet told of.
    untold: AtomicU64,
    /// The place is to be opened again.
    reopen: AtomicBool,
    /// When the last words have to be over: known when the end has begun.
    over_by: OnceLock<Instant>,
}

impl Shared {
    fn lose(&self, lines: u64) {
        self.untold.fetch_add(lines, Relaxed);
        stderr::lose(lines);
    }
}

/// The voice in which it is told that lines were lost.
#[derive(Debug, Clone, Copy)]
pub(super) enum Voice {
    /// A line among the others, made from the words for it.
    Among(fn(&str) -> String),
    /// An event of its own: lines of another form would be no use here.
    Event,
}

/// A place, and how it is told of.
pub(super) struct Place {
    pub(super) sink: Box<dyn Sink>,
    pub(super) name: String,
    pub(super) voice: Voice,
    /// It is stderr: what is wrong with it cannot be said there.
    pub(super) is_stderr: bool,
}

/// The end of the log: when this is dropped, waiting lines are written, for a second at most; what is left then is given up.
#[derive(Debug)]
pub(super) struct LastWords {
    queue: Queue,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Queue {
    /// Starts the thread that writes to a place.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(super) fn start(place: Place) -> io::Result<(Self, LastWords)> {
        let (sender, lines) = sync_channel(QUEUED_LINES);
        let queue = Self { lines: sender, shared: Arc::default() };
        let (alive, ended) = sync_channel(0);
        let mut writer = Writer {
            lines,
            shared: Arc::clone(&queue.shared),
            place,
            batch: Vec::new(),
            next: None,
            trouble: None,
            torn: false,
        };
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            writer.run();
            drop::<SyncSender<()>>(alive);
        })?;
        Ok((queue.clone(), LastWords { queue, ended }))
    }

    /// Queues a line, or loses it: it never fails and never waits.
    pub(super) fn push(&self, level: Level, line: Vec<u8>) {
        let length = line.len();
        let waiting = self.shared.bytes.fetch_add(length, Relaxed);
        if waiting > QUEUED_BYTES || self.lines.try_send((level, line)).is_err() {
            self.shared.bytes.fetch_sub(length, Relaxed);
            self.shared.lose(1);
        }
    }

    /// The place is opened again before the next line is written.
    pub(super) fn open_again(&self) {
        self.shared.reopen.store(true, Relaxed);
        self.wake();
    }

    /// An empty line wakes a thread that waits for lines. One that has lines to write does not need it.
    fn wake(&self) {
        let _ = self.lines.try_send((Level::TRACE, Vec::new()));
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let by = clock::now().instant + LAST_WORDS;
        let _ = self.queue.shared.over_by.set(by);
        self.queue.wake();
        // A little longer than it may take, and no longer: another process can still hold up a write.
        let _ = self.ended.recv_timeout(LAST_WORDS + LOOK);
    }
}

impl<'w> MakeWriter<'w> for Queue {
    type Writer = Entry<'w>;

    fn make_writer(&'w self) -> Self::Writer {
        Entry { queue: self, level: Level::INFO }
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        Entry { queue: self, level: *metadata.level() }
    }
}

/// A line in the making, of that level.
#[derive(Debug)]
pub(super) struct Entry<'q> {
    queue: &'q Queue,
    level: Level,
}

/// One call is one line.
impl io::Write for Entry<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(self.level, line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's side.
struct Writer {
    lines: Receiver<(Level, Vec<u8>)>,
    shared: Arc<Shared>,
    place: Place,
    /// Lines that are written at once.
    batch: Vec<u8>,
    /// The line that found no room in the last batch.
    next: Option<(Level, Vec<u8>)>,
    /// Why the place could not be written when that was tried last.
    trouble: Option<io::Error>,
    /// Its last line was not written to its end.
    torn: bool,
}

impl Writer {
    fn run(&mut self) {
        while self.gather() {
            self.open_again_if_asked();
            if !self.batch.is_empty() {
                self.pass_on();
            }
        }
        self.confess();
    }

    fn over_by(&self) -> Option<Instant> {
        self.shared.over_by.get().copied()
    }

    fn next(&mut self, waits: bool) -> Option<(Level, Vec<u8>)> {
        let next = match self.next.take() {
            Some(next) => return Some(next),
            None if waits => self.lines.recv().ok()?,
            None => self.lines.try_recv().ok()?,
        };
        self.shared.bytes.fetch_sub(next.1.len(), Relaxed);
        Some(next)
    }

    /// Waits for a line, and takes those behind it that fit into one batch. `false`: the end has come, and none is left.
    fn gather(&mut self) -> bool {
        let waits = self.over_by().is_none();
        let Some((level, line)) = self.next(waits) else { return false };
        self.batch.clear();
        if line.is_empty() {
            return true;
        }
        self.place.sink.add(level, &line, &mut self.batch);
        while self.batch.len() < self.place.sink.batch()
            && let Some((level, line)) = self.next(false)
        {
            if self.batch.len() + line.len() > self.place.sink.batch() {
                self.next = Some((level, line));
                break;
            }
            self.place.sink.add(level, &line, &mut self.batch);
        }
        true
    }

    fn open_again_if_asked(&mut self) {
        if self.shared.reopen.swap(false, Relaxed) {
            match self.place.sink.open_again() {
                Ok(()) => self.torn = false,
                Err(error) => {
                    self.say(&format!("cannot open {} again: {error}; all goes on with the old one", self.place.name))
                }
            }
        }
    }

    fn pass_on(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let mut left = &batch[..];
        let result = self.write(&mut left);
        match result {
            Ok(()) => self.confess(),
            Err(error) => {
                self.torn = left.len() < batch.len() && batch[batch.len() - left.len() - 1] != b'\n';
                let lines = left.iter().filter(|byte| **byte == b'\n').count().max(1);
                self.shared.lose(lines as u64);
                if self.trouble.is_none() {
                    self.say(&format!("log lines are being lost: {}: {error}", self.place.name));
                }
                self.trouble = Some(error);
            }
        }
        self.batch = batch;
    }

    /// Waits for room as long as it takes, until the end has come. A line behind one that was cut off begins on its own.
    fn write(&mut self, batch: &mut &[u8]) -> io::Result<()> {
        if self.torn {
            self.write_all(&mut &b"\n"[..])?;
            self.torn = false;
        }
        self.write_all(batch)
    }

    fn write_all(&mut self, batch: &mut &[u8]) -> io::Result<()> {
        loop {
            let look = clock::now().instant + LOOK;
            let by = self.over_by();
            match self.place.sink.write(batch, by.map_or(look, |by| by.min(look))) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if by.is_some_and(|by| clock::now().instant >= by) {
                        return Err(error);
                    }
                    self.open_again_if_asked();
                }
                other => return other,
            }
        }
    }

    /// Tells how many lines were lost since the last time, once there is room for that.
    fn confess(&mut self) {
        let lines = self.shared.untold.load(Relaxed);
        if lines == 0 {
            return;
        }
        let words = lost(lines, &self.place.name, self.trouble.as_ref());
        let told = match self.place.voice {
            Voice::Event => {
                tracing::warn!("{words}");
                Ok(())
            }
            Voice::Among(form) => {
                let mut line = Vec::new();
                self.place.sink.add(Level::WARN, form(&words).as_bytes(), &mut line);
                self.place.sink.write(&mut &line[..], clock::now().instant)
            }
        };
        if told.is_ok() {
            self.shared.untold.fetch_sub(lines, Relaxed);
            self.trouble = None;
        }
    }

    /// Says at once what is wrong with the place, where somebody may read it. Of stderr, it cannot be said.
    fn say(&self, words: &str) {
        match self.place.voice {
            Voice::Event => tracing::warn!("{words}"),
            Voice::Among(_) if self.place.is_stderr => {}
            Voice::Among(_) => stderr::say(&format!("{words}\n")),
        }
    }
}

/// The words for lines that were lost.
pub(super) fn lost(lines: u64, place: &str, trouble: Option<&io::Error>) -> String {
    let were = if lines == 1 { "was" } else { "were" };
    let why = trouble.map_or_else(|| " was too slow".to_owned(), |error| format!(": {error}"));
    format!("{} {were} dropped: {place}{why}", Counted(lines, "log line"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A place that takes everything, nothing, or a part of a line and no more.
    #[derive(Clone, Default)]
    struct Reader(Arc<Read>);

    #[derive(Default)]
    struct Read {
        takes: AtomicBool,
        breaks: AtomicBool,
        opened: AtomicUsize,
        text: Mutex<String>,
    }

    impl Sink for Reader {
        fn batch(&self) -> usize {
            0
        }

        fn write(&mut self, batch: &mut &[u8], by: Instant) -> io::Result<()> {
            if !self.0.takes.load(Relaxed) {
                thread::park_timeout(by.saturating_duration_since(clock::now().instant).min(Duration::from_millis(1)));
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let breaks = self.0.breaks.swap(false, Relaxed);
            let (taken, rest) = batch.split_at(if breaks { 2 } else { batch.len() });
            self.0.text.lock().unwrap().push_str(std::str::from_utf8(taken).unwrap());
            *batch = rest;
            if breaks { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn open_again(&mut self) -> io::Result<()> {
            self.0.opened.fetch_add(1, Relaxed);
            Ok(())
        }
    }

    impl Reader {
        fn start(&self) -> (Queue, LastWords) {
            let (sink, voice) = (Box::new(self.clone()), Voice::Among(|words| format!("{words}\n")));
            Queue::start(Place { sink, name: "it".to_owned(), voice, is_stderr: true }).unwrap()
        }

        fn taking() -> Self {
            let reader = Self::default();
            reader.0.takes.store(true, Relaxed);
            reader
        }

        fn read(&self) -> String {
            self.0.text.lock().unwrap().clone()
        }
    }

    fn push(queue: &Queue, line: &str) {
        queue.push(Level::INFO, format!("{line}\n").into_bytes());
    }

    #[test]
    fn a_line_that_finds_no_room_is_counted_and_told_of_when_there_is_some() {
        const SENT: usize = QUEUED_LINES + 100;
        let reader = Reader::default();
        let (queue, last_words) = reader.start();
        for number in 0..SENT {
            push(&queue, &format!("line {number}"));
        }
        reader.0.takes.store(true, Relaxed);
        drop(last_words);
        let said = reader.read();
        let lines = said.lines().filter(|line| line.starts_with("line ")).count();
        // One more if the thread had taken the first before the queue was full.
        assert!([QUEUED_LINES, QUEUED_LINES + 1].contains(&lines), "{lines}");
        assert!(said.contains(&lost((SENT - lines) as u64, "it", None)), "{said}");
        assert_eq!(said.matches("were dropped").count(), 1);
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        const LINE: usize = 64 * 1024;
        let reader = Reader::default();
        let (queue, last_words) = reader.start();
        let sent = 2 * QUEUED_BYTES / LINE;
        (0..sent).for_each(|_| push(&queue, &"x".repeat(LINE - 1)));
        assert!(queue.shared.bytes.load(Relaxed) <= QUEUED_BYTES + LINE);
        reader.0.takes.store(true, Relaxed);
        drop(last_words);
        let lines = reader.read().lines().filter(|line| line.starts_with('x')).count();
        let room = QUEUED_BYTES / LINE;
        assert!((room..=room + 2).contains(&lines), "{lines}");
        assert!(reader.read().contains(&lost((sent - lines) as u64, "it", None)));
        assert_eq!(queue.shared.bytes.load(Relaxed), 0);
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_that_takes_nothing() {
        let reader = Reader::default();
        let (queue, last_words) = reader.start();
        (0..QUEUED_LINES + 100).for_each(|_| push(&queue, "line"));
        let before = clock::now().instant;
        drop(last_words);
        assert!(clock::now().instant - before < 5 * LAST_WORDS);
        assert_eq!(reader.read(), "");
    }

    #[test]
    fn lines_that_wait_at_the_end_are_written() {
        let reader = Reader::taking();
        let (queue, last_words) = reader.start();
        (0..1000).for_each(|number| push(&queue, &number.to_string()));
        drop(last_words);
        assert_eq!(reader.read().lines().count(), 1000);
    }

    #[test]
    fn a_line_that_was_cut_off_is_told_of_and_the_next_one_begins_on_its_own() {
        let reader = Reader::taking();
        reader.0.breaks.store(true, Relaxed);
        let (queue, last_words) = reader.start();
        push(&queue, "first");
        push(&queue, "second");
        drop(last_words);
        let told = lost(1, "it", Some(&io::ErrorKind::StorageFull.into()));
        assert_eq!(reader.read(), format!("fi\nsecond\n{told}\n"));
    }

    #[test]
    fn the_place_is_opened_again_when_nothing_is_written_and_when_it_takes_nothing() {
        let reader = Reader::default();
        let (queue, last_words) = reader.start();
        for times in 1..=2 {
            queue.open_again();
            let by = clock::now().instant + Duration::from_secs(20);
            while reader.0.opened.load(Relaxed) < times && clock::now().instant < by {
                thread::park_timeout(Duration::from_millis(1));
            }
            assert_eq!(reader.0.opened.load(Relaxed), times);
            push(&queue, "line");
        }
        reader.0.takes.store(true, Relaxed);
        drop(last_words);
        assert_eq!(reader.read(), "line\nline\n");
    }
}
