//! Tests that need a process of their own: signals that interrupt the wait, and a limit of descriptors.
//!
//! The test starts this test program again with the name of the test that plays the server: it runs an event loop until its
//! standard input ends.

use super::{Driver, support::*};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    net::{DriverConfig, signals},
};
use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
};

// Of all threads of a process, Linux prefers for a signal the one that is named. Elsewhere the process has to do.
#[cfg(not(target_os = "linux"))]
use nix::unistd::getpid as gettid;
#[cfg(target_os = "linux")]
use nix::unistd::gettid;

struct Echo;

impl App for Echo {
    fn accepted(&mut self, _: &mut Cx, _: ConnId, _: Origin) {}
    fn connected(&mut self, _: &mut Cx, _: ConnId) {}
    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        cx.forward(conn, input);
    }
    fn sent(&mut self, _: &mut Cx, _: ConnId, _: usize) {}
    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        cx.close(conn);
    }
    fn failed(&mut self, _: &mut Cx, _: ConnId, _: ErrorKind) {}
    fn expired(&mut self, _: &mut Cx, _: TimerKey) {}
    fn drain(&mut self, _: &mut Cx) {}
}

/// Set for the process that plays the server: how many descriptors it may have.
const LIMIT: &str = "TEST_DESCRIPTORS";

#[test]
fn plays_the_server() {
    let Ok(limit) = std::env::var(LIMIT) else { return };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    println!("\nREADY {} {}", gettid(), listener.local_addr().unwrap());
    let mut reactor = Driver::new(Echo, DriverConfig::default()).unwrap();
    reactor.listen(listener).unwrap();
    let remote = reactor.remote();
    let _watch = signals::watch(|_| {}).unwrap();
    #[allow(clippy::disallowed_methods)] // This thread runs the reactor.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        remote.stop();
    });
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, limit.parse().unwrap(), hard).unwrap();
    reactor.run().unwrap();
}

struct Server {
    process: Child,
    /// Kept open: the test program says more at its end.
    output: BufReader<ChildStdout>,
    /// The thread that runs the reactor.
    thread: Pid,
    address: SocketAddr,
}

fn serve(descriptors: u64) -> Server {
    let (_, module) = module_path!().split_once("::").unwrap();
    let server = format!("{module}::plays_the_server");
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", &server])
        .env(LIMIT, descriptors.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut lines = output.by_ref().lines().map(Result::unwrap);
    let ready = lines.find_map(|line| line.strip_prefix("READY ").map(str::to_owned));
    let (thread, address) = ready.as_ref().and_then(|words| words.split_once(' ')).unwrap();
    Server { thread: Pid::from_raw(thread.parse().unwrap()), address: address.parse().unwrap(), process, output }
}

impl Server {
    fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    fn end(mut self) {
        drop(self.process.stdin.take());
        self.output.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

fn ping(mut client: &TcpStream) {
    client.write_all(b"ping").unwrap();
    assert_eq!(read_exactly(client, 4), b"ping");
}

#[test]
fn a_signal_that_interrupts_the_wait_is_harmless() {
    let server = serve(1024);
    let client = server.connect();
    ping(&client);
    for _ in 0..1000 {
        // It is in the wait most of the time.
        kill(server.thread, Signal::SIGUSR1).unwrap();
        std::thread::yield_now();
    }
    ping(&client);
    server.end();
}

#[test]
fn without_descriptors_clients_wait_until_there_are_some() {
    // Enough for the program itself and some of the clients.
    let server = serve(40);
    let mut clients: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"ping").unwrap();
    }
    // Each client that leaves makes room for one that waits.
    for client in clients {
        assert_eq!(read_exactly(&client, 4), b"ping");
    }
    server.end();
}
