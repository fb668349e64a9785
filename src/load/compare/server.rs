//! One architecture, running: started for a cell, stopped when it is dropped.

use super::matrix::{Architecture, Cell};
use crate::cli::Failure;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
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

impl Server {
    /// Starts a cell's server on a free port of the loopback and waits until it listens.
    ///
    /// Limits that are a number in a flag are set out of the way, where the architecture has no other answer than to
    /// raise them. The pool's number of workers is its point, and stays as it is.
    pub(super) fn start(cell: &Cell) -> Result<Self, Failure> {
        let name = cell.architecture.as_str();
        let program =
            cell.architecture.program().ok_or_else(|| Failure::Usage(format!("no program {name} beside this one")))?;
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--backlog", "4096", "--drain-timeout", "1s", "--log-level", "off"]);
        command.args(["--service", cell.service.as_str()]);
        if matches!(cell.architecture, Architecture::Fork | Architecture::ThreadPerClient) {
            // Connections that are ending count, too.
            command.args(["--max-clients", &(cell.clients * 2 + 16).to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Failure::Run(format!("cannot start {name}: {error}")))?;
        match child.stdout.take().map(listening) {
            Some(Some(address)) => Ok(Self { child: quiet(child), address }),
            _ => {
                let said = last_words(child);
                Err(Failure::Run(format!("{name} did not start: {said}")))
            }
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

/// Nobody reads its statistics; a full pipe must not hold it up.
fn quiet(mut child: Child) -> Child {
    if let Some(mut stderr) = child.stderr.take() {
        let drain = move || std::io::copy(&mut stderr, &mut std::io::sink());
        // Without a thread the pipe fills up only if a server is very talkative.
        drop(thread::Builder::new().name("stderr".to_owned()).spawn(drain));
    }
    child
}

/// Why a server ended.
fn last_words(mut child: Child) -> String {
    let mut said = String::new();
    // It may still run, and then it would say nothing more of use.
    let _ = child.kill();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let _ = child.wait();
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    last.trim_start_matches("error: ").to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has not been waited for, so its number is still its own.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::park_timeout(LOOK);
            waited += LOOK;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
