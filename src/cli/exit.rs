//! How a run starts and ends, as the caller of the binary sees it: `READY ADDR`, one line on stderr, an exit code.

use super::say;
use crate::net::{self, Advised};
use std::{
    backtrace::Backtrace,
    error::Error,
    fmt,
    io::{self, Write},
    net::SocketAddr,
    panic,
    process::ExitCode,
    thread,
};

/// Why a binary ends without having done its work. The text is one line and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The user asked for something that cannot be: exit code 2, as clap's own errors.
    Usage(String),
    /// It could not be done here and now: exit code 1.
    Run(String),
    /// It was done, and what was asked for has no answer: exit code 3.
    Unanswered(String),
}

impl Failure {
    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Run(_) => 1,
            Self::Unanswered(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Run(text) | Self::Unanswered(text)) = self;
        // Scripts and logs read one line; what breaks in an error's text is not ours to know.
        let mut separator = "";
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            write!(f, "{separator}{line}")?;
            separator = " ";
        }
        Ok(())
    }
}

/// With `?`, an error is a failure at run time, unless it knows that the user's words are wrong.
impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let known: &(dyn Error + 'static) = &error;
        match (known.downcast_ref::<net::Error>(), known.downcast_ref::<io::Error>()) {
            (Some(error), _) if error.is_usage() => Self::Usage(error.to_string()),
            (_, Some(error)) => Self::Run(Advised(error).to_string()),
            _ => Self::Run(error.to_string()),
        }
    }
}

/// A binary's `main`: runs, prints a failure as one line on stderr, gives the exit code.
///
/// A panic is told on stderr as usual, but without waiting for its reader: a thread that could not write its last line
/// would never end, and its supervisor would not learn that it is gone.
pub fn main(run: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let trace = Backtrace::capture();
        say(&format!("thread '{}' {info}\n{trace}\n", thread.name().unwrap_or("?")));
    }));
    ExitCode::from(report(run(), say))
}

/// If stderr is not read, the exit code still tells.
fn report(result: Result<(), Failure>, say: impl FnOnce(&str)) -> u8 {
    let Err(failure) = result else { return 0 };
    say(&format!("error: {failure}\n"));
    failure.code()
}

/// Says on stdout that connections to `listening` are answered from now on; scripts wait for this line to learn the port.
///
/// A closed stdout is no reason not to serve.
pub fn ready(listening: SocketAddr) {
    announce("READY", listening);
}

/// The same of a listener for TLS, behind the line for the other one.
pub fn ready_tls(listening: SocketAddr) {
    announce("READY-TLS", listening);
}

/// The same of a listener for commands.
pub fn ready_command(listening: SocketAddr) {
    announce("READY-COMMAND", listening);
}

fn announce(word: &str, listening: SocketAddr) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{word} {listening}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_a_code() {
        let taken = io::Error::new(io::ErrorKind::AddrInUse, "port 8080 is in use:\n  choose another with --listen\n");
        let cases = [
            (Ok(()), 0, ""),
            (
                Err(Failure::Usage("no backend: add --backend ADDR".to_owned())),
                2,
                "error: no backend: add --backend ADDR\n",
            ),
            (Err(Failure::Unanswered("nothing was served".to_owned())), 3, "error: nothing was served\n"),
            (Err(Failure::from(taken)), 1, "error: port 8080 is in use: choose another with --listen\n"),
        ];
        for (result, code, line) in cases {
            let mut stderr = String::new();
            assert_eq!(report(result, |text| stderr.push_str(text)), code);
            assert_eq!(stderr, line);
        }
    }

    #[test]
    fn an_error_knows_whose_fault_it_is() {
        assert_eq!(Failure::from(net::Error::Backlog(0)).code(), 2);
        let refused = net::Error::Signals(io::ErrorKind::PermissionDenied.into());
        assert_eq!(Failure::from(refused).code(), 1);
        // The system's message does not always tell the user what to do.
        let text = Failure::from(io::Error::from(nix::errno::Errno::EMFILE)).to_string();
        assert!(text.ends_with("; raise the limit with `ulimit -n`"), "{text}");
    }
}
