//! One architecture, running: started for a cell, stopped when it is dropped.

use super::matrix::{Architecture, Cell};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fmt,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

/// How long a server may take to end after its clients have gone. Longer than its own drain timeout.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
}

/// Why a server does not run.
#[derive(Debug)]
pub(super) struct Absence {
    /// In words, for the report.
    pub(super) why: String,
    /// It said so by its exit code (2, as for wrong usage): the next time will be no better.
    pub(super) for_good: bool,
}

impl Server {
    /// Starts a cell's server on a free port of the loopback and waits until it listens.
    ///
    /// Limits that are a number in a flag are set out of the way, where the architecture has no other answer than to
    /// raise them. The pool's number of workers is its point, and stays as it is.
    ///
    /// # Errors
    ///
    /// No process, or one that ended before it listened. One server that cannot run here is a line of the report, not the end
    /// of it.
    pub(super) fn start(cell: &Cell) -> Result<Self, Absence> {
        let gone = |why: &dyn fmt::Display| Absence { why: format!("did not start: {why}"), for_good: false };
        let program = cell.architecture.program().ok_or_else(|| gone(&"no such program beside this one"))?;
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--backlog", "4096", "--drain-timeout", "1s", "--log-level", "off"]);
        command.args(["--service", cell.service.as_str()]);
        if matches!(cell.architecture, Architecture::Fork | Architecture::ThreadPerClient) {
            // Connections that are ending count, too.
            command.args(["--max-clients", &(cell.clients * 2 + 16).to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| gone(&error))?;
        match child.stdout.take().and_then(listening) {
            Some(address) => Ok(Self { child: quiet(child), address }),
            None => Err(Absence::of(child)),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Where it listens, as its `READY` line says. `None`: it ended without.
fn listening(stdout: ChildStdout) -> Option<SocketAddr> {
    BufReader::new(stdout).lines().map_while(Result::ok).find_map(|line| {
        let address = line.strip_prefix("READY ")?;
        address.parse().ok()
    })
}

/// Reads and drops its statistics: a full pipe must not hold it up.
fn quiet(mut child: Child) -> Child {
    if let Some(mut stderr) = child.stderr.take() {
        let drain = move || std::io::copy(&mut stderr, &mut std::io::sink());
        // Without a thread the pipe fills up only if a server is very talkative.
        drop(thread::Builder::new().name("stderr".to_owned()).spawn(drain));
    }
    child
}

impl Absence {
    /// From the last words of a server that closed its stdout without a `READY`.
    fn of(mut child: Child) -> Self {
        let for_good = wait(&mut child).is_some_and(|status| status.code() == Some(2));
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            // Text that cannot be read is left out.
            let _ = stderr.read_to_string(&mut said);
        }
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let last = last.trim_start_matches("error: ");
        let what = if for_good { "not available here" } else { "did not start" };
        Self { why: format!("{what}: {last}"), for_good }
    }
}

/// Waits for a child's end, and kills it if that takes too long.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        match child.try_wait() {
            Ok(None) => thread::park_timeout(LOOK),
            ended => return ended.ok().flatten(),
        }
        waited += LOOK;
    }
    // It may have ended just now.
    let _ = child.kill();
    child.wait().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has not been waited for, so its number is still its own.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        wait(&mut self.child);
    }
}
