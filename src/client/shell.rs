//! The program `client`: commands from stdin, answers to stdout, what happens in between to stderr.
//!
//! ```text
//!   stdin ──▶ reader ──▶ control ──▶ Client or ConnectionPool
//!               ▲  a permit a line      │
//!               └──────── Printer ◀─────┘ answers
//! ```
//!
//! The reader takes a permit for each line, and the printer gives it back: so a file of any length is read only as fast as
//! it is answered.

mod printer;
mod way;

use super::{Cause, ClientArgs, Error, Event, MAX_REQUEST, Request, error::tries_of, request::TOO_LONG};
use crate::{
    cli::{self, Failure},
    net::{
        self,
        signals::{self, Signal},
    },
    resilience::BreakerState,
    service::lines::{Line, Lines},
};
use printer::{Printer, Trouble};
use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use way::Way;

/// Bytes of one read of stdin.
const READ: usize = 16 * 1024;

/// What the main thread hears.
enum Control {
    /// A line of stdin, or why it is none.
    Line(Result<String, Error>),
    /// The last of them was read, or reading failed.
    End(io::Result<()>),
    /// Ctrl-C.
    Interrupted,
    /// The server is not there, and nobody sits before the screen who could know better.
    GaveUp,
    /// Nobody reads stdout any more.
    Unread,
}

/// Why no more commands are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// There are none, or the last one said so.
    End,
    /// What is on its way is not waited for.
    Interrupted,
    /// Nor does anybody want to know what became of it, as in `client | head`.
    Unread,
}

/// Runs until stdin ends and everything is answered.
///
/// # Errors
///
/// Wrong flags, no server, or commands without an answer.
pub fn run(args: &ClientArgs) -> Result<(), Failure> {
    let interactive = io::stdin().is_terminal();
    let way = Way::open(args, watcher(args.connect.to_string()))?;
    if interactive {
        say("type commands: HELP lists them, Ctrl-D ends");
    }
    let (sender, control) = mpsc::channel();
    let told = sender.clone();
    let printer = Arc::new(Printer::new(args, move |trouble| {
        let heard = match trouble {
            Trouble::Unread => Control::Unread,
            Trouble::GaveUp if interactive => return,
            Trouble::GaveUp => Control::GaveUp,
        };
        // Fails if the end has come already.
        let _ = told.send(heard);
    }));
    let interrupted = sender.clone();
    let _signals = signals::watch(move |signal| {
        if signal == Signal::Stop {
            let _ = interrupted.send(Control::Interrupted);
        }
    })?;
    let permits = Arc::clone(&printer);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || read(&permits, &sender))?;
    let stopped = serve(&control, &way, &printer, args);
    if !matches!(stopped, Ok(Stop::End)) {
        way.close();
    }
    // What is still on its way may be interrupted, too. The second time, the process ends at once.
    let waiting = Arc::new(way);
    let closing = Arc::clone(&waiting);
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        if control.into_iter().any(|heard| !matches!(heard, Control::Line(_) | Control::End(_))) {
            closing.close();
        }
    })?;
    let stats = waiting.finish();
    if args.stats {
        say(&stats);
    }
    match stopped? {
        Stop::End | Stop::Interrupted => printer.verdict(),
        Stop::Unread => Ok(()),
    }
}

/// Hands on lines until there are no more.
fn serve(
    control: &mpsc::Receiver<Control>,
    way: &Way,
    printer: &Arc<Printer>,
    args: &ClientArgs,
) -> Result<Stop, Failure> {
    let mut number = 0;
    for heard in control {
        let line = match heard {
            Control::Line(line) => line,
            Control::End(result) => return Ok(result.map(|()| Stop::End)?),
            Control::Interrupted => return Ok(Stop::Interrupted),
            Control::Unread => return Ok(Stop::Unread),
            Control::GaveUp => return Err(Failure::Run(format!("{} is not there: gave up", args.connect))),
        };
        number += 1;
        let text = match &line {
            Ok(text) => text.as_str(),
            Err(_) => "…",
        };
        // As the service itself: a blank line is not answered.
        if text.trim().is_empty() {
            printer.skip(number);
            continue;
        }
        match line.clone().and_then(Request::new) {
            Err(error) => printer.refused(number, text, error),
            Ok(request) => {
                let request = request.idempotent_if(&args.idempotent);
                let quits = request.name().eq_ignore_ascii_case("QUIT");
                let printer = Arc::clone(printer);
                let asked = request.clone();
                way.submit(request, move |result| printer.done(number, asked, result));
                if quits {
                    return Ok(Stop::End);
                }
            }
        }
    }
    Ok(Stop::End)
}

/// Reads stdin, a line for each permit.
fn read(permits: &Printer, sender: &mpsc::Sender<Control>) {
    let mut lines = Lines::new(MAX_REQUEST);
    let mut buffer = vec![0; READ];
    let mut ended = false;
    while !ended {
        let mut input = match io::stdin().read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return drop(sender.send(Control::End(Err(error)))),
            // The last line may lack its end.
            Ok(0) => {
                ended = true;
                &b"\n"[..]
            }
            Ok(len) => &buffer[..len],
        };
        while let Some(line) = lines.next(&mut input) {
            // What was added at the end is no line if nothing came before it.
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

fn understand(line: Line<'_>) -> Result<String, Error> {
    match line {
        Line::TooLong => Err(Error::Invalid(TOO_LONG)),
        Line::Text(text) => {
            String::from_utf8(text.into_owned()).map_err(|_| Error::Invalid("a command is text in UTF-8"))
        }
    }
}

/// Tells what happens to the connection.
fn watcher(name: String) -> impl Fn(Event) + Clone + Send + Sync + 'static {
    let down = Arc::new(std::sync::atomic::AtomicBool::new(false));
    move |event| {
        use std::sync::atomic::Ordering::Relaxed;
        match event {
            Event::Connected if down.swap(false, Relaxed) => say(&format!("back again: {name}")),
            Event::Connected => {}
            Event::Lost { cause, again } => {
                down.store(true, Relaxed);
                let wait = Duration::from_millis(u64::try_from(again.after.as_millis()).unwrap_or(u64::MAX));
                say(&format!("{name}: {cause}; trying again in {wait:?} ({} of {})", again.attempt, again.of));
            }
            Event::GaveUp { tries, cause } => say(&format!("{name}: {cause}; gave up after {}", tries_of(tries))),
            Event::Breaker(BreakerState::Open) => say("breaker open: commands are refused for now"),
            Event::Breaker(BreakerState::HalfOpen) => say("breaker half-open: one command at a time is let through"),
            Event::Breaker(BreakerState::Closed) => say("breaker closed"),
            Event::Late { .. } => say("an answer came too late and was dropped"),
        }
    }
}

/// For a person: on stderr, which may be closed.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "* {text}");
}

fn no_server(error: net::Error) -> Failure {
    match error {
        net::Error::Connect { .. } => Failure::Run(format!(
            "{error}; for one to try: thread-per-client --service command; to wait for it: --wait"
        )),
        other => other.into(),
    }
}

/// Whether an error means that no later command will fare better.
fn is_final(error: &Error) -> bool {
    matches!(error.cause(), Some(Cause::GaveUp { .. }))
}

/// Starts the log, for what goes wrong in the client itself.
pub fn start_logging() -> cli::LogGuard {
    cli::start_logging(&"warn".parse().expect("`warn` is a level"))
}
