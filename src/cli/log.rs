//! Logs: one line an event, on stderr, in UTC, written by a thread of its own.
//!
//! ```text
//! 2026-07-29T12:00:00.123456Z  INFO listening address=127.0.0.1:8080
//! ```
//!
//! A terminal that is scrolled back or a pipe that is full blocks the thread that writes to it. If that were an event
//! loop, every connection on it would stand still. So loops only queue their lines (`queue.rs`). When the queue is
//! full, lines are dropped and counted, and a line tells how many as soon as there is room again.

use super::{
    queue::{self, LastWords, Queue},
    stderr::{self, write_by},
};
use crate::net::clock;
use std::{
    env, fmt,
    io::{self, IsTerminal},
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, Layer, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
};

/// Which events are logged: a level, or levels by module.
#[derive(Debug, Clone)]
pub struct LogFilter(Targets);

impl FromStr for LogFilter {
    type Err = String;

    /// Takes `info` and `info,socket_patterns::proxy=debug`; the longest module name that matches decides.
    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "write off, error, warn, info, debug or trace, or info,some::module=debug";
        let mut targets = Targets::new();
        for part in text.split(',') {
            let (target, level) = part.split_once('=').map_or((None, part), |(target, level)| (Some(target), level));
            // `LevelFilter` also takes digits and the empty string. No user means those.
            if !level.starts_with(|first: char| first.is_ascii_alphabetic()) || target == Some("") {
                return Err(HINT.to_owned());
            }
            let level: LevelFilter = level.parse().map_err(|_| HINT.to_owned())?;
            targets = match target {
                Some(target) => targets.with_target(target, level),
                None => targets.with_default(level),
            };
        }
        Ok(Self(targets))
    }
}

/// Keeps the log going. When it goes, waiting lines are written, for a second at most; what is left then is given up.
#[derive(Debug)]
#[must_use = "logging ends when the guard goes"]
pub struct LogGuard {
    // `None`: there was no thread for it.
    _last_words: Option<LastWords>,
}

/// Starts logging to stderr, in colour on a terminal unless `NO_COLOR` is set. The first call in a process decides.
///
/// The writing thread does not survive a `fork`: a child logs nothing.
pub fn start_logging(filter: &LogFilter) -> LogGuard {
    let Ok((queue, last_words)) = Queue::start() else {
        start_logging_unthreaded(filter);
        return LogGuard { _last_words: None };
    };
    // Only a second call fails, and then the first goes on.
    let _ = tracing::subscriber::set_global_default(subscriber(filter, queue, colour()));
    LogGuard { _last_words: Some(last_words) }
}

/// Like [`start_logging`], but without a thread: each line is written by the code that logs it, which waits for a
/// moment if stderr is not read. For programs that fork, which must have one thread only.
pub fn start_logging_unthreaded(filter: &LogFilter) {
    let _ = tracing::subscriber::set_global_default(subscriber(filter, || Direct, colour()));
}

fn colour() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a line on the spot, or gives it up. A reader that was too slow once gets no second wait until it has read.
#[derive(Debug)]
struct Direct;

/// How long a line may wait for room if the one before it found some.
const MOMENT: Duration = Duration::from_millis(100);

/// Lines lost by [`Direct`] in a row.
static LOST_IN_A_ROW: AtomicU64 = AtomicU64::new(0);

impl io::Write for Direct {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let before = LOST_IN_A_ROW.load(Relaxed);
        let deadline = (before == 0).then(|| clock::now().instant + MOMENT);
        let told = before == 0 || write_by(&mut queue::lost(before).as_bytes(), None).is_ok();
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

fn subscriber<W>(filter: &LogFilter, writer: W, colour: bool) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = Layer::new().event_format(OneLine).with_writer(writer).with_ansi(colour).log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter.0.clone())
}

/// Time, level, message, fields.
#[derive(Debug)]
struct OneLine;

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'f> FormatFields<'f> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        SystemTime.format_time(&mut writer)?;
        if writer.has_ansi_escapes() {
            write!(writer, " \x1b[{}m{level:>5}\x1b[0m ", colour_of(level))?;
        } else {
            write!(writer, " {level:>5} ")?;
        }
        cx.format_fields(Writer::new(&mut Escaped(&mut writer)), event)?;
        writeln!(writer)
    }
}

/// ECMA-48 "select graphic rendition": red, yellow, green, blue, magenta.
fn colour_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// Writes control characters as escapes: what a peer sent must not forge a log line or steer a terminal.
struct Escaped<'w>(&'w mut dyn fmt::Write);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, control)) = rest.char_indices().find(|(_, character)| character.is_control()) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", control.escape_default())?;
            rest = &rest[at + control.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };
    use tracing::{debug, info, trace, warn};

    /// The lines that `events` logs, without the time at the start of each.
    fn logged(filter: &str, colour: bool, events: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Memory(Arc<Mutex<Vec<u8>>>);
        impl Write for Memory {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(&filter.parse().unwrap(), move || writer.clone(), colour);
        tracing::subscriber::with_default(subscriber, events);
        let log = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        let without_time = log.lines().map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() == "2026-07-29T12:00:00.123456Z".len() && time.ends_with('Z'), "{line}");
            format!("{rest}\n")
        });
        without_time.collect()
    }

    #[test]
    fn an_event_is_one_line() {
        let log = logged("info", false, || {
            info!(address = %"127.0.0.1:80", "listening");
            warn!(attempt = 2, path = "/a", "backend failed");
            debug!("not said");
        });
        assert_eq!(log, " INFO listening address=127.0.0.1:80\n WARN backend failed attempt=2 path=\"/a\"\n");
    }

    #[test]
    fn only_a_terminal_gets_colour() {
        assert_eq!(logged("info", true, || info!(n = 1, "hello")), "\x1b[32m INFO\x1b[0m hello n=1\n");
    }

    #[test]
    fn text_of_a_peer_cannot_forge_a_line() {
        let log = logged("info", true, || info!(name = %"a\r\nERROR\x1b[31m\u{9b}é", "bad\nname"));
        assert_eq!(log.lines().count(), 1);
        assert!(log.contains(r"bad\nname name=a\r\nERROR") && log.contains('é'), "{log:?}");
        assert!(!log.contains("\x1b[31m") && !log.contains('\u{9b}'), "{log:?}");
    }

    #[test]
    fn levels_by_module() {
        let log = logged("warn,noisy=debug,noisy::part=off", false, || {
            debug!(target: "noisy", "1");
            trace!(target: "noisy", "2");
            warn!(target: "noisy::part", "3");
            info!(target: "other", "4");
            warn!(target: "other", "5");
        });
        assert_eq!(log, "DEBUG 1\n WARN 5\n");
        for right in ["off", "ERROR", "info", "trace", "debug,a::b=info"] {
            assert!(right.parse::<LogFilter>().is_ok(), "{right:?}");
        }
        for wrong in ["", "loud", "3", "info,", "=info", "a=", "a=loud", "a=info=debug"] {
            assert!(wrong.parse::<LogFilter>().is_err(), "{wrong:?}");
        }
    }
}
