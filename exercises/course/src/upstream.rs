//! A server of the grader: for client programs, and behind proxies. It does what it is told, mistakes included.
//!
//! Scripted, step by step with the clients of the same check ([`Upstream::accept`]), or by itself in threads
//! ([`Upstream::serve`]). A server that stands still (SIGSTOP) is one that nobody accepts from: the kernel still completes
//! connections and takes bytes.

use crate::{
    client::{Client, Open},
    problem::{Problem, Seen},
    stage::Stage,
    timing::Timing,
    wire::Recorder,
};
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A listening server.
#[derive(Debug)]
pub(crate) struct Upstream {
    listener: TcpListener,
    address: SocketAddr,
    name: char,
    record: Recorder,
    open: Open,
    timing: Timing,
}

/// The harm that servers do to clients that trust them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Takes the request and never answers.
    NeverAnswer,
    /// Answers in small bites.
    Drip(Duration),
    /// Half of the answer, then a reset.
    HalfThenReset,
    /// Half of the answer, then the end, as if that had been all.
    HalfThenEnd,
    /// More than the answer says that it has.
    TooMuch,
    /// No answer at all, but bytes.
    Garbage,
}

impl Stage {
    /// A server of ours, for the program to connect to. Before the first one, no client connects.
    pub(crate) fn upstream(&mut self) -> Result<Upstream, Problem> {
        let failed = |error| Problem::new("a server of the grader", Seen::Grader(error));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        self.record.lock().has_upstreams();
        let name = char::from(b'A' + self.upstreams);
        self.upstreams = (self.upstreams + 1) % 26;
        Ok(Upstream {
            listener,
            address,
            name,
            record: self.record.clone(),
            open: self.open.clone(),
            timing: self.timing,
        })
    }
}

impl Upstream {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the program connects.
    pub(crate) fn accept(&self, wanted: &str) -> Result<Client, Problem> {
        self.accept_within(self.timing.patience())
            .ok_or_else(|| Problem::new(wanted, Seen::NobodyConnected(self.address)))
    }

    /// Waits until the program connects and sends a request head. One that connects only to see whether somebody listens is passed
    /// over: proxies do that.
    pub(crate) fn asked(&self, wanted: &str) -> Result<Client, Problem> {
        loop {
            let mut connection = self.accept(wanted)?;
            match connection.expect_head(wanted) {
                Err(Problem { seen: Seen::EarlyEnd(heard), .. }) if heard.is_empty() => {}
                Err(problem) => return Err(problem),
                Ok(_) => return Ok(connection),
            }
        }
    }

    fn accept_within(&self, time: Duration) -> Option<Client> {
        let until = Instant::now() + time;
        self.listener.set_nonblocking(true).ok()?;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    return Client::accepted(stream, self.name, &self.record, &self.open, self.timing).ok();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < until => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Closes the listener: from now on connections to this address are refused.
    pub(crate) fn refuse(self) -> SocketAddr {
        self.address
    }

    /// Serves by itself: `serve` is called for each connection, in a thread of its own.
    pub(crate) fn serve(
        self,
        serve: impl Fn(Client) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Result<Serving, Problem> {
        let failed = |error| Problem::new("a server of the grader", Seen::Grader(error));
        self.listener.set_nonblocking(false).map_err(failed)?;
        let (over, problem, address) =
            (Arc::<AtomicBool>::default(), Arc::<Mutex<Option<Problem>>>::default(), self.address);
        // These connections end with the server, not with the check.
        let open = Open::default();
        let (ours, theirs, serve) = (open.clone(), Arc::clone(&problem), Arc::new(serve));
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut all = Vec::new();
            while let Ok((stream, _)) = self.listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(client) = Client::accepted(stream, self.name, &self.record, &ours, self.timing) else {
                    continue;
                };
                let (serve, theirs) = (Arc::clone(&serve), Arc::clone(&theirs));
                all.push(thread::spawn(move || {
                    if let Err(problem) = serve(client) {
                        theirs.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
                    }
                }));
            }
            ours.end();
            for thread in all {
                let _ = thread.join();
            }
        });
        Ok(Serving { address, over, open, problem, thread: Some(thread) })
    }
}

/// A server that serves by itself, until it is dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    open: Open,
    problem: Arc<Mutex<Option<Problem>>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first complaint of a connection, if there was one.
    pub(crate) fn complaint(&self) -> Result<(), Problem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.open.end();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Fault {
    /// Answers `answer` in this way; the request has come already. Returns the connection, if it is still open.
    pub(crate) fn play(self, mut connection: Client, answer: &[u8]) -> Result<Option<Client>, Problem> {
        let half = &answer[..answer.len() / 2];
        match self {
            Self::NeverAnswer => {}
            Self::Drip(pause) => {
                for bite in answer.chunks(7) {
                    connection.send(bite)?;
                    thread::sleep(pause);
                }
            }
            Self::HalfThenReset => {
                connection.send(half)?;
                connection.until_read();
                connection.abort();
                return Ok(None);
            }
            Self::HalfThenEnd => {
                connection.send(half)?;
                connection.close();
                return Ok(None);
            }
            Self::TooMuch => connection.send(&[answer, b"and some more"].concat())?,
            Self::Garbage => connection.send(b"\x00\x01\x02 this is no answer \xff\xfe\r\n\r\n")?,
        }
        Ok(Some(connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::{Cause, diagnose};
    use std::{io::Write as _, net::Shutdown, path::Path};

    fn stage() -> Stage {
        Stage::new(Path::new("/bin/true"), 1, "upstream", Timing::calibrated(), false)
    }

    fn cause(stage: &mut Stage, found: Result<impl std::fmt::Debug, Problem>) -> Cause {
        diagnose(&found.unwrap_err(), stage).cause
    }

    #[test]
    fn a_program_that_does_not_connect() {
        let mut stage = stage();
        let found = stage.upstream().unwrap().accept("a connection");
        assert_eq!(cause(&mut stage, found), Cause::NeverConnected);
    }

    #[test]
    fn a_program_that_passes_nothing_on_and_one_that_never_half_closes() {
        let mut stage = stage();
        let upstream = stage.upstream().unwrap();
        let mut program = TcpStream::connect(upstream.address()).unwrap();
        let mut connection = upstream.accept("a connection").unwrap();
        let found = connection.expect(b"PING\n", "a command");
        assert_eq!(cause(&mut stage, found), Cause::NotPassedOn);
        program.write_all(b"PING\n").unwrap();
        connection.expect(b"PING\n", "a command").unwrap();
        let found = connection.expect_end("FIN after the last command");
        assert_eq!(cause(&mut stage, found), Cause::NeverHalfClosed);
        program.shutdown(Shutdown::Write).unwrap();
        connection.expect_end("FIN after the last command").unwrap();
        let text = stage.record.lock().text();
        assert!(text.contains("your client") && text.contains("FIN ---"), "{text}");
    }

    #[test]
    fn a_server_that_serves_by_itself_ends_with_its_connections() {
        let mut stage = stage();
        let serving = stage.upstream().unwrap().serve(|mut connection| connection.expect(b"PING\n", "PING")).unwrap();
        let mut program = TcpStream::connect(serving.address()).unwrap();
        program.write_all(b"PONG\n").unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let complaint = loop {
            match serving.complaint() {
                Ok(()) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                found => break found,
            }
        };
        assert!(matches!(complaint.unwrap_err().seen, Seen::Wrong(got) if got == b"PONG\n"));
        // One connection waits for bytes that never come; the server does not wait for it.
        let silent = TcpStream::connect(serving.address()).unwrap();
        let begun = Instant::now();
        drop(serving);
        assert!(begun.elapsed() < Timing::calibrated().patience());
        drop(silent);
    }
}
