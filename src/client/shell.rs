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
//!
//! Every line that asks for something is answered, or named on stderr with the reason why not: also one that comes after `QUIT`, or
//! was read when the client is interrupted.

mod input;
mod printer;
mod way;

use super::{Cause, ClientArgs, Error, Event, Request, error::tries_of};
use crate::{
    cli::{self, Failure},
    net::{
        self,
        signals::{self, Signal},
    },
    resilience::BreakerState,
};
use input::{Input, Stopper};
use printer::{Printer, Trouble};
use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use way::Way;

/// An event for the main thread.
enum Control {
    /// A line of stdin, or why it is none.
    Line(Result<String, Error>),
    /// The last of them was read, or reading failed.
    End(io::Result<()>),
    /// `QUIT` has its answer.
    Quit,
    /// Ctrl-C.
    Interrupted,
    /// The server is not there, and no user sits before the screen who could know better.
    GaveUp,
    /// The reader of stdout is gone.
    Unread,
}

/// Why no more commands are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// There are none.
    End,
    /// One of them was `QUIT`.
    Quit,
    /// Answers that are on their way are not waited for.
    Interrupted,
    /// The server is not there.
    GaveUp,
    /// The reader of the answers is gone, as in `client | head`.
    Unread,
}

impl Stop {
    /// Why a command that comes all the same is not sent; `None`: that is not printed.
    fn why_not(self) -> Option<&'static str> {
        match self {
            Self::End | Self::Unread => None,
            Self::Quit => Some("not sent: it comes after QUIT"),
            Self::Interrupted => Some("not sent: interrupted"),
            Self::GaveUp => Some("not sent: the server is not there"),
        }
    }
}

/// Runs until stdin ends and everything is answered.
///
/// # Errors
///
/// Wrong flags, no server, or commands without an answer.
pub fn run(args: &ClientArgs) -> Result<(), Failure> {
    let interactive = io::stdin().is_terminal();
    let (sender, control) = mpsc::channel();
    // Before anything is printed: from the first line on, an interrupt is answered and does not kill.
    let interrupted = sender.clone();
    let _signals = signals::watch(move |signal| {
        if signal == Signal::Stop {
            let _ = interrupted.send(Control::Interrupted);
        }
    })?;
    let way = Way::open(args, watcher(args.connect.to_string()))?;
    if interactive {
        say("type commands: HELP lists them, Ctrl-D ends");
    }
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
    let (input, stopper) = Input::new()?;
    let (permits, lines) = (Arc::clone(&printer), sender.clone());
    thread::Builder::new().name("stdin".to_owned()).spawn(move || input.read(&permits, &lines))?;
    let stopped = serve(&control, &way, &printer, args, &sender, &stopper);
    drop(sender);
    if stopped.is_err() {
        way.close();
    }
    // The wait for the last answers may be interrupted, too. The second time, the process ends at once.
    let waiting = Arc::new(way);
    let closing = Arc::clone(&waiting);
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        if control.into_iter().any(|heard| !matches!(heard, Control::Line(_) | Control::End(_) | Control::Quit)) {
            closing.close();
        }
    })?;
    let stats = waiting.finish();
    if args.stats {
        say(&stats);
    }
    match stopped? {
        Stop::End | Stop::Quit | Stop::Interrupted => printer.verdict(),
        Stop::GaveUp => Err(Failure::Run(format!("{} is not there: gave up", args.connect))),
        Stop::Unread => Ok(()),
    }
}

/// Hands on lines until there are no more. When commands are taken no longer, those that come all the same are named.
fn serve(
    control: &mpsc::Receiver<Control>,
    way: &Way,
    printer: &Arc<Printer>,
    args: &ClientArgs,
    told: &mpsc::Sender<Control>,
    input: &Stopper,
) -> Result<Stop, Failure> {
    let (mut number, mut stopped) = (0, None);
    for heard in control {
        let stop = match heard {
            Control::Line(line) => {
                number += 1;
                let quits = take(number, line, stopped, way, printer, args, told);
                stopped = stopped.or(quits.then_some(Stop::Quit));
                continue;
            }
            Control::End(result) => return Ok(result.map(|()| stopped.unwrap_or(Stop::End))?),
            Control::Quit => {
                input.read_the_rest();
                continue;
            }
            Control::Interrupted => Stop::Interrupted,
            Control::GaveUp => Stop::GaveUp,
            Control::Unread => Stop::Unread,
        };
        // The requests under way are ended, and so the permits come back that the reader may wait for.
        stopped = Some(stop);
        way.close();
        input.stop();
    }
    Ok(stopped.unwrap_or(Stop::End))
}

/// Asks for what a line says, or says why not. Whether the line ends the conversation.
fn take(
    number: u64,
    line: Result<String, Error>,
    stopped: Option<Stop>,
    way: &Way,
    printer: &Arc<Printer>,
    args: &ClientArgs,
    told: &mpsc::Sender<Control>,
) -> bool {
    let text = match &line {
        Ok(text) => text.as_str(),
        Err(_) => "…",
    };
    // As the service itself: a blank line is not answered.
    if text.trim().is_empty() {
        printer.skip(number);
        return false;
    }
    if let Some(stop) = stopped {
        match stop.why_not() {
            Some(why) => printer.refused(number, text, &why),
            None => printer.skip(number),
        }
        return false;
    }
    match line.clone().and_then(Request::new) {
        Err(error) => {
            printer.refused(number, text, &error);
            false
        }
        Ok(request) => {
            let request = request.idempotent_if(&args.idempotent);
            // With anything behind it, it is a wrong command, and the conversation goes on.
            let quits = request.text().trim().eq_ignore_ascii_case("QUIT");
            let (printer, asked, told) = (Arc::clone(printer), request.clone(), quits.then(|| told.clone()));
            way.submit(request, quits, move |result| {
                printer.done(number, asked, result);
                // Fails if the end has come already.
                let _ = told.map(|told| told.send(Control::Quit));
            });
            quits
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
