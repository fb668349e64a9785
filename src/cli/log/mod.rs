//! Logs: one line an event, in UTC, written by threads of their own.
//!
//! ```text
//! 2026-07-29T12:00:00.123456Z  INFO listening address=127.0.0.1:8080
//! ```
//!
//! A terminal that is scrolled back, a pipe that is full or a disk that is slow blocks the thread that writes to it. If that were an
//! event loop, every connection on it would stand still. So loops only queue their lines (`queue.rs`). When the queue is
//! full, lines are dropped and counted, and a line tells how many as soon as there is room again.

mod direct;
mod line;
mod place;
mod queue;
mod sink;
mod syslog;

pub use place::Place;

use crate::units::json_text;
use clap::ValueEnum;
use direct::Direct;
use line::OneLine;
use queue::{LastWords, Queue, Voice};
use std::{
    env,
    io::{self, IsTerminal},
    str::FromStr,
};
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _,
    filter::{Targets, filter_fn},
    fmt::{Layer, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
};

/// The target of the events that are lines about requests.
pub const ACCESS: &str = "access";

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

/// The form of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum EventFormat {
    /// A line for people: time, level, message, fields.
    #[default]
    Text,
    /// An object of JSON.
    Json,
}

/// Where a program's lines go, and in which form.
#[derive(Debug, Clone)]
pub struct Logging<'a> {
    /// Which events there are.
    pub filter: &'a LogFilter,
    /// Where they go.
    pub to: &'a Place,
    /// Their form.
    pub format: EventFormat,
    /// Where lines about requests go.
    pub requests_to: &'a Place,
    /// Events of target [`ACCESS`] are lines about requests. Otherwise the program writes these itself ([`Lines`]).
    pub requests_are_events: bool,
}

/// Keeps the log going. When it goes, waiting lines are written, for a second at most; what is left then is given up.
#[derive(Debug)]
#[must_use = "logging ends when the guard goes"]
pub struct LogGuard {
    // Empty: there was no thread for it.
    _last_words: Vec<LastWords>,
}

/// Where a program writes lines of its own form. It never waits.
#[derive(Debug, Clone)]
pub struct Lines(Queue);

impl Lines {
    /// Writes a line, of which the last byte ends it.
    pub fn write(&self, line: String) {
        self.0.push(Level::INFO, line.into_bytes());
    }
}

/// All places that lines go to.
#[derive(Debug, Clone)]
pub struct Places(Vec<Queue>);

impl Places {
    /// Opens each of them again, on its own thread: files that were renamed are left alone from then on.
    pub fn open_again(&self) {
        self.0.iter().for_each(Queue::open_again);
    }
}

/// Starts logging to stderr, in colour on a terminal unless `NO_COLOR` is set. The first call in a process decides.
///
/// The writing thread does not survive a `fork`: a child logs nothing.
pub fn start_logging(filter: &LogFilter) -> LogGuard {
    let stderr = Place::Stderr;
    let logging =
        Logging { filter, to: &stderr, format: EventFormat::Text, requests_to: &stderr, requests_are_events: true };
    match start(&logging) {
        Ok((guard, ..)) => guard,
        Err(_) => {
            start_logging_unthreaded(filter);
            LogGuard { _last_words: Vec::new() }
        }
    }
}

/// Starts logging to these places. The first call in a process decides.
///
/// # Errors
///
/// A place that cannot be opened, or there is no thread for it.
pub fn start(logging: &Logging<'_>) -> io::Result<(LogGuard, Lines, Places)> {
    let Logging { filter, to, format, requests_to, requests_are_events } = logging;
    let among = match format {
        EventFormat::Text => |words: &str| format!("{words}\n"),
        EventFormat::Json => warning_in_json,
    };
    let (events, last_words) = open(to, Voice::Among(among))?;
    let (mut places, mut guards) = (vec![events.clone()], vec![last_words]);
    let mut requests = events.clone();
    if requests_to != to {
        let (queue, last_words) = open(requests_to, Voice::Event)?;
        requests = queue;
        places.push(requests.clone());
        // First, so that its last words may be events.
        guards.insert(0, last_words);
    }
    let form = |format, place| OneLine { format, stamped: !matches!(place, &Place::Syslog(_)) };
    let colour = |place| matches!(place, &Place::Stderr) && colour();
    // Only a second call fails, and then the first goes on.
    let _ = if *requests_are_events && (requests_to != to || *format != EventFormat::Text) {
        let about_requests = layer(form(EventFormat::Text, requests_to), requests.clone(), colour(requests_to));
        let others = layer(form(*format, to), events, colour(to));
        let subscriber = tracing_subscriber::registry()
            .with(about_requests.with_filter(filter_fn(|metadata| metadata.target() == ACCESS)))
            .with(others.with_filter(filter_fn(|metadata| metadata.target() != ACCESS)))
            .with(filter.0.clone());
        tracing::subscriber::set_global_default(subscriber)
    } else {
        tracing::subscriber::set_global_default(subscriber(filter, form(*format, to), events, colour(to)))
    };
    Ok((LogGuard { _last_words: guards }, Lines(requests), Places(places)))
}

fn open(place: &Place, voice: Voice) -> io::Result<(Queue, LastWords)> {
    let sink = sink::open(place).map_err(|error| io::Error::new(error.kind(), format!("{place}: {error}")))?;
    Queue::start(queue::Place { sink, name: place.to_string(), voice, is_stderr: *place == Place::Stderr })
}

fn warning_in_json(words: &str) -> String {
    let time = humantime::format_rfc3339_micros(crate::net::clock::now().wall);
    let mut line = format!("{{\"time\":\"{time}\",\"level\":\"warn\",\"message\":");
    // Writing to a string does not fail.
    let _ = json_text(&mut line, words);
    line + "}\n"
}

/// Like [`start_logging`], but without a thread: each line is written by the code that logs it, which waits for a
/// moment if stderr is not read. For programs that fork, which must have one thread only.
pub fn start_logging_unthreaded(filter: &LogFilter) {
    let form = OneLine { format: EventFormat::Text, stamped: true };
    let _ = tracing::subscriber::set_global_default(subscriber(filter, form, || Direct, colour()));
}

fn colour() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

type Written<S, W> = Layer<S, tracing_subscriber::fmt::format::DefaultFields, OneLine, W>;

fn layer<S, W>(form: OneLine, writer: W, colour: bool) -> Written<S, W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Layer::new().event_format(form).with_writer(writer).with_ansi(colour).log_internal_errors(false)
}

fn subscriber<W>(filter: &LogFilter, form: OneLine, writer: W, colour: bool) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::registry().with(layer(form, writer, colour)).with(filter.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };
    use tracing::{debug, info, trace, warn};

    /// The lines that `events` logs, without the time at the start of each.
    fn logged(filter: &str, colour: bool, events: impl FnOnce()) -> String {
        let form = OneLine { format: EventFormat::Text, stamped: true };
        let log = written(filter, form, colour, events);
        let without_time = log.lines().map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() == "2026-07-29T12:00:00.123456Z".len() && time.ends_with('Z'), "{line}");
            format!("{rest}\n")
        });
        without_time.collect()
    }

    fn written(filter: &str, form: OneLine, colour: bool, events: impl FnOnce()) -> String {
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
        let subscriber = subscriber(&filter.parse().unwrap(), form, move || writer.clone(), colour);
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
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
    fn an_event_is_an_object_whatever_is_in_it() {
        let form = OneLine { format: EventFormat::Json, stamped: true };
        let log = written("info", form, false, || {
            info!(name = %"a\"\n\u{1b}", n = -1, count = 2_u64, yes = true, text = "\"", seen = ?Some("x"), "say \"hello\"");
            debug!("not said");
        });
        let object: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert!(object["time"].as_str().unwrap().ends_with('Z'));
        for (name, value) in [
            ("level", json!("info")),
            ("target", json!("socket_patterns::cli::log::tests")),
            ("message", json!("say \"hello\"")),
            ("name", json!("a\"\n\u{1b}")),
            ("n", json!(-1)),
            ("count", json!(2)),
            ("yes", json!(true)),
            ("text", json!("\"")),
            ("seen", json!("Some(\"x\")")),
        ] {
            assert_eq!(object[name], value, "{name}");
        }
        assert_eq!((log.lines().count(), object.as_object().unwrap().len()), (1, 10));
        let warning: serde_json::Value = serde_json::from_str(&warning_in_json("2 \"lines\"")).unwrap();
        assert_eq!((&warning["level"], &warning["message"]), (&json!("warn"), &json!("2 \"lines\"")));
        let form = OneLine { format: EventFormat::Text, stamped: false };
        assert_eq!(written("info", form, false, || info!(n = 1, "hello")), "hello n=1\n");
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
