//! The same client work against each architecture: the real programs, over real sockets.
//!
//! The client is timed: how long it takes until all of its answers are there. Client and server share the machine, so
//! this is the time that a client waits, not the cost of a server. The differences are worth looking at:
//!
//! - **one client**: one connection, request after request. All are about equal: no client has to wait for another.
//! - **eight clients**: each connects, asks, and leaves. The iterative server serves them one after another.
//! - **a new connection each**: what it takes to begin. A process costs most, a thread less, a table entry least.
//! - **eight clients, 1 ms each**: the answer takes a while in which nothing is computed. The iterative server needs the sum of
//!   these times, and the others little more than one of them.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
};

const PROGRAMS: [(&str, &str); 7] = [
    ("iterative", env!("CARGO_BIN_EXE_iterative")),
    ("fork", env!("CARGO_BIN_EXE_fork")),
    ("thread-per-client", env!("CARGO_BIN_EXE_thread-per-client")),
    ("thread-pool", env!("CARGO_BIN_EXE_thread-pool")),
    ("event-driven", env!("CARGO_BIN_EXE_event-driven")),
    ("hybrid", env!("CARGO_BIN_EXE_hybrid")),
    // Only where the kernel allows it.
    ("io-uring", env!("CARGO_BIN_EXE_io-uring")),
];

/// A running server. Killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts one. `None`: it does not run here.
    fn start(program: &str) -> Option<Self> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--service", "http", "--log-level", "off", "--backlog", "4096"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it was built with this");
        let stdout = BufReader::new(child.stdout.take().expect("it was piped"));
        let ready = stdout.lines().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("READY ")?.to_owned()));
        let Some(address) = ready else {
            let ended = child.wait().expect("it is our child");
            assert_eq!(ended.code(), Some(2), "{program} does not get ready, and does not say that it never will");
            return None;
        };
        Some(Self { child, address })
    }

    /// Asks so many times on a connection of its own, for the last time if it is the last.
    fn talk(&self, path: &str, requests: usize) {
        // A client needs a socket.
        #[allow(clippy::disallowed_methods)]
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_nodelay(true).expect("it is a TCP socket");
        let mut heard = [0; 4096];
        for left in (0..requests).rev() {
            let close = if left == 0 { "Connection: close\r\n" } else { "" };
            let request = format!("GET {path} HTTP/1.1\r\nHost: b\r\n{close}\r\n");
            stream.write_all(request.as_bytes()).expect("it reads");
            let mut len = 0;
            // The content is three bytes: an answer ends like no head does.
            while !heard[..len].ends_with(b"\nok\n") && !heard[..len].ends_with(b" ms\n") {
                len += match stream.read(&mut heard[len..]).expect("it answers") {
                    0 => panic!("ended after {len} bytes"),
                    more => more,
                };
            }
        }
    }

    /// The same by several clients at once.
    fn talk_at_once(&self, clients: usize, path: &str, requests: usize) {
        thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| self.talk(path, requests));
            }
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Hybrid's workers and fork's children do not outlive it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn compare(criterion: &mut Criterion, name: &str, requests: u64, work: impl Fn(&Server)) {
    let mut group = criterion.benchmark_group(format!("architectures, {name}"));
    group.throughput(Throughput::Elements(requests)).sample_size(10);
    for (architecture, program) in PROGRAMS {
        let Some(server) = Server::start(program) else { continue };
        group.bench_with_input(BenchmarkId::from_parameter(architecture), &server, |bencher, server| {
            bencher.iter(|| work(server));
        });
    }
    group.finish();
}

fn architectures(criterion: &mut Criterion) {
    compare(criterion, "one client", 100, |server| server.talk("/health", 100));
    compare(criterion, "eight clients", 160, |server| server.talk_at_once(8, "/health", 20));
    compare(criterion, "a new connection each", 20, |server| (0..20).for_each(|_| server.talk("/health", 1)));
    compare(criterion, "eight clients, 1 ms each", 8, |server| server.talk_at_once(8, "/delay/1", 1));
}

criterion_group! { name = benches; config = common::quick(); targets = architectures }
criterion_main!(benches);
