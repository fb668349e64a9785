//! The same services under every architecture: whatever runs the sessions, a client must not be able to tell, except by
//! who has to wait. Black boxes: real processes, real sockets, bytes.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod computing;
mod delays;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod replacing;
mod shape;
mod stopping;
#[cfg(target_os = "linux")]
mod streams;
mod transcripts;

use std::{
    fs,
    io::{ErrorKind, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};
use support::{
    process::{PATIENCE, Process, now, start, wait_for, wait_until},
    raw::Conn,
};

/// One row of the table: a binary, and how it is told to serve one client and refuse the next.
#[derive(Debug)]
struct Architecture {
    program: &'static str,
    /// Whether clients are served at the same time.
    concurrent: bool,
    /// Processes that it has besides its own while it serves no client.
    children: usize,
    /// Flags for one client at a time, and a refusal for others; none if others wait instead.
    one_client: &'static [&'static str],
}

const ITERATIVE: Architecture =
    Architecture { program: env!("CARGO_BIN_EXE_iterative"), concurrent: false, children: 0, one_client: &[] };
const FORK: Architecture = Architecture {
    program: env!("CARGO_BIN_EXE_fork"),
    concurrent: true,
    children: 0,
    one_client: &["--max-clients", "1"],
};
const THREAD_PER_CLIENT: Architecture = Architecture {
    program: env!("CARGO_BIN_EXE_thread-per-client"),
    concurrent: true,
    children: 0,
    one_client: &["--max-clients", "1"],
};
const THREAD_POOL: Architecture = Architecture {
    program: env!("CARGO_BIN_EXE_thread-pool"),
    concurrent: true,
    children: 0,
    one_client: &["--workers", "1", "--queue", "0"],
};
const EVENT_DRIVEN: Architecture =
    Architecture { program: env!("CARGO_BIN_EXE_event-driven"), concurrent: true, children: 0, one_client: &[] };

const HYBRID: Architecture =
    Architecture { program: env!("CARGO_BIN_EXE_hybrid"), concurrent: true, children: 2, one_client: &[] };

#[cfg(target_os = "linux")]
const IO_URING: Architecture =
    Architecture { program: env!("CARGO_BIN_EXE_io-uring"), concurrent: true, children: 0, one_client: &[] };

/// Whether this kernel lets us use io_uring; if not, that is said, and the test ends without having tested anything.
#[cfg(target_os = "linux")]
#[allow(clippy::print_stdout)] // Who runs the tests has to see it.
fn has_io_uring() -> bool {
    use std::sync::OnceLock;
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    let refusal = REFUSAL.get_or_init(|| {
        // No program can listen at an address for documentation (RFC 5737): it ends either way.
        let ended = Command::new(IO_URING.program).args(["--listen", "192.0.2.1:0"]).output().unwrap();
        (ended.status.code() == Some(2)).then(|| String::from_utf8_lossy(&ended.stderr).into_owned())
    });
    if let Some(why) = refusal {
        println!("SKIPPED, not tested: {why}");
    }
    refusal.is_none()
}

/// Makes a test of each function for each architecture.
macro_rules! under_every_architecture {
    ($($test:ident),+ $(,)?) => {
        $(mod $test {
            #[test]
            fn iterative() {
                super::$test(&crate::ITERATIVE);
            }
            #[test]
            fn fork() {
                super::$test(&crate::FORK);
            }
            #[test]
            fn thread_per_client() {
                super::$test(&crate::THREAD_PER_CLIENT);
            }
            #[test]
            fn thread_pool() {
                super::$test(&crate::THREAD_POOL);
            }
            #[test]
            fn event_driven() {
                super::$test(&crate::EVENT_DRIVEN);
            }
            #[test]
            fn hybrid() {
                super::$test(&crate::HYBRID);
            }
            #[cfg(target_os = "linux")]
            #[test]
            fn io_uring() {
                if crate::has_io_uring() {
                    super::$test(&crate::IO_URING);
                }
            }
        })+
    };
}
use under_every_architecture;

const WELCOME: &str = "Welcome! Every line comes back; \"quit\" ends.\n";

impl Architecture {
    fn start(&self, service: &str, flags: &[&str]) -> Process {
        // The number of processors must not make a difference to what is tested.
        let workers: &[&str] =
            if self.children > 0 && !flags.contains(&"--workers") { &["--workers", "2"] } else { &[] };
        start(self.program, &[&["--service", service], workers, flags].concat())
    }
}

/// An echo client that has been greeted.
fn greeted(server: &Process) -> Conn {
    let mut conn = Conn::open(server.address());
    assert_eq!(conn.read_until("\n"), WELCOME);
    conn
}

/// Sends a line and takes its echo.
fn echo(conn: &mut Conn, number: u32, text: &str) {
    conn.send(format!("{text}\n"));
    assert_eq!(conn.read_until("\n"), format!("Echo #{number}: {text}\n"));
}

/// One request of HTTP.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n")
}

/// Processor time that a server, its children included, has had so far; 0 where only other ways than Linux's would tell.
fn processor_time(server: &Process) -> Duration {
    let processes = [&[server.id()], &children(server)[..]].concat();
    let threads = processes.into_iter().filter_map(|id| fs::read_dir(format!("/proc/{id}/task")).ok()).flatten();
    let times = threads.flatten().filter_map(|thread| {
        // The first number is nanoseconds on a processor (Documentation/scheduler/sched-stats).
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

/// Waits until its statistics say so.
fn wait_for_statistics(server: &Process, text: &str) {
    wait_until(&format!("statistics with {text:?}"), || {
        server.signal("USR1");
        server.stderr().contains(text)
    });
}

/// Children of a process, zombies included.
fn children(server: &Process) -> Vec<u32> {
    if cfg!(target_os = "linux") {
        let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id())).unwrap_or_default();
        return list.split_whitespace().map(|id| id.parse().unwrap()).collect();
    }
    let listed = Command::new("ps").args(["-A", "-o", "ppid=,pid="]).output().unwrap();
    let lines = String::from_utf8(listed.stdout).unwrap();
    let pairs = lines.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>());
    pairs.filter(|pair| pair[0] == server.id()).map(|pair| pair[1]).collect()
}

/// A peer that sends and never reads.
struct Deaf {
    stream: TcpStream,
    line: &'static [u8],
    sent: usize,
}

impl Deaf {
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    fn connect(server: &Process, line: &'static [u8]) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, line, sent: 0 }
    }

    /// Sends lines until the server takes no more of them for a while.
    fn fill(&mut self) {
        let mut refused = 0;
        while refused < 50 {
            match self.send() {
                Ok(()) => refused = 0,
                Err(error) => {
                    assert_eq!(error, ErrorKind::WouldBlock, "after {} bytes", self.sent);
                    refused += 1;
                    wait_for(Duration::from_millis(2));
                }
            }
            assert!(self.sent < 64 << 20, "the server reads on, though its answers are not taken");
        }
    }

    /// Sends on until the server has had enough.
    fn wait_for_reset(&mut self) {
        let deadline = now() + PATIENCE;
        while !matches!(self.send(), Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)) {
            assert!(now() < deadline, "a client that never reads is never sent away");
            std::thread::yield_now();
        }
    }

    fn send(&mut self) -> Result<(), ErrorKind> {
        // Written in part, a line is torn, and its rest another line: which does not matter here.
        self.sent += self.stream.write(&self.line.repeat(1024)).map_err(|error| error.kind())?;
        Ok(())
    }
}
