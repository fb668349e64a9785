//! Real programs, started for one test: ready when they say so, gone when the test ends.

use super::{absolute_form::Named, raw::Conn, tls::Site};
use serde_json::Value;
use socket_patterns::{net::descriptors, time::Instant};
use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// Longer than a loaded machine needs for anything; a test that waits for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running program. Killed, by its own process id, when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it listens, in the order of its `READY` lines.
    pub ready: Vec<SocketAddr>,
    stderr: Arc<Mutex<String>>,
    /// Files that it uses.
    pub site: Option<Site>,
    /// For a forward proxy: the server that its clients name.
    pub named: Option<Named>,
}

/// Whether it is a failure if a program that others have written is missing. Without `REQUIRE_PROGRAMS`, its tests are left out.
pub fn programs_are_required() -> bool {
    std::env::var_os("REQUIRE_PROGRAMS").is_some()
}

/// Lets this process have as many connections open as its tests want at once. Some systems begin with 256 descriptors.
pub fn allow_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        descriptors::raise_limit().expect("nobody needs to ask for what is allowed");
    });
}

/// Starts `program` on a free port of the loopback and waits until it listens.
///
/// `program` is `env!("CARGO_BIN_EXE_…")` of one of our binaries.
pub fn start(program: impl AsRef<Path>, args: &[&str]) -> Process {
    start_listening(program, &[&["--listen", "127.0.0.1:0"], args].concat(), 1)
}

/// As [`start`], with a stderr of the test's own.
pub fn start_saying_into(stderr: Stdio, program: impl AsRef<Path>, args: &[&str]) -> Process {
    start_with(stderr, program, &[&["--listen", "127.0.0.1:0"], args].concat(), 1)
}

/// Starts `program` with exactly `args` and waits for so many `READY` lines.
pub fn start_listening(program: impl AsRef<Path>, args: &[&str], ready: usize) -> Process {
    start_with(Stdio::piped(), program, args, ready)
}

/// Runs `program`, which refuses what it is told and ends. Returns its exit code and what it wrote to stderr. One that serves instead is killed
/// after a while, and the test has failed.
pub fn refusal(program: impl AsRef<Path>, args: &[&str]) -> (Option<i32>, String) {
    let mut process = start_listening(program, args, 0);
    let code = process.wait().code();
    // The thread that collects it lets go when it has all.
    wait_until("the end of stderr", || Arc::strong_count(&process.stderr) == 1);
    (code, process.stderr())
}

fn start_with(stderr: Stdio, program: impl AsRef<Path>, args: &[&str], ready: usize) -> Process {
    allow_descriptors();
    let mut command = Command::new(program.as_ref());
    command
        .args(args)
        .args(driver_for(program.as_ref(), args))
        // A program that is killed leaves its temporary files behind: in a place that `cargo clean` empties.
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = child.stdout.take().expect("stdout was piped");
    let stderr = child.stderr.take().map_or_else(Arc::default, collect);
    let mut process = Process { child, ready: Vec::new(), stderr, site: None, named: None };
    let lines = announcements(stdout);
    let deadline = now() + PATIENCE;
    while process.ready.len() < ready {
        match lines.recv_timeout(deadline.saturating_duration_since(now())) {
            Ok(line) => process.ready.extend(listening(&line)),
            Err(why) => panic!("{command:?} did not get ready ({why}); it said:\n{}", process.stderr()),
        }
    }
    process
}

/// The address in a `READY` or `READY-TLS` line.
fn listening(line: &str) -> Option<SocketAddr> {
    let at = ["READY ", "READY-TLS ", "READY-COMMAND "].iter().find_map(|word| line.strip_prefix(word))?;
    at.parse().ok()
}

/// The drivers that this system has.
pub fn drivers() -> Vec<&'static str> {
    let io_uring = socket_patterns::net::DriverKind::IoUring.choose().is_ok();
    ["epoll"].into_iter().chain(io_uring.then_some("io-uring")).collect()
}

/// The driver on which `make test-epoll` and `make test-io-uring` run the milestones, as a flag. Without it, they run on the one
/// that they choose themselves.
fn driver_for(program: &Path, args: &[&str]) -> Vec<String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let others = ["broker", "chat", "file-server", "forward-proxy", "gateway", "origin", "store"];
    let has_drivers = name.starts_with("milestone") || others.contains(&&*name);
    match std::env::var("TEST_DRIVER") {
        Ok(driver) if has_drivers && !args.contains(&"--driver") => vec!["--driver".to_owned(), driver],
        _ => Vec::new(),
    }
}

impl Process {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.ready[0]
    }

    /// Where the program itself listens for the clients of this test: behind what is put before it.
    pub fn listener(&self) -> SocketAddr {
        if self.site.is_some() { self.tls_address() } else { self.address() }
    }

    /// The bytes that a request line gets on its way to the program, beside those that the test says.
    pub fn added(&self) -> usize {
        self.named.as_ref().map_or(0, |named| named.added)
    }

    /// Where it listens for TLS.
    pub fn tls_address(&self) -> SocketAddr {
        self.ready[1]
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The text that it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        lock(&self.stderr).clone()
    }

    /// Waits until stderr has `text`.
    pub fn wait_for_stderr(&self, text: &str) {
        wait_until(&format!("stderr to have {text:?}"), || self.stderr().contains(text));
    }

    /// Where a proxy with `--admin 127.0.0.1:0` says that its admin listener is.
    pub fn admin(&self) -> SocketAddr {
        const BEFORE: &str = "admin on http://";
        self.wait_for_stderr(BEFORE);
        let log = self.stderr();
        let (_, rest) = log.split_once(BEFORE).expect("it was waited for");
        rest.split('/').next().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// The numbers of `/stats` on that listener.
    pub fn stats(&self) -> Value {
        let answer = Conn::open(self.admin()).ask("GET /stats HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!((answer.status(), answer.field("content-type")), (200, Some("application/json")), "{answer:?}");
        serde_json::from_slice(&answer.body).expect("it is JSON")
    }

    /// Sends it a signal: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.id());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process to end", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.expect("wait_until returns when it is there")
    }

    /// `SIGTERM`, then its end: the exit code of a clean shutdown.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// How many descriptors it has open; 0 where only other ways than Linux's would tell.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    /// The most memory that it ever had, in KiB; 0 where only other ways than Linux's would tell.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it has now, in the same way.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> u64 {
        if cfg!(not(target_os = "linux")) {
            return 0;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }

    /// How many descriptors it has open once their number no longer changes: started, and rid of what it closes.
    pub fn settled_descriptors(&self) -> usize {
        let mut seen = (self.descriptors(), 0);
        wait_until("the number of descriptors to settle", || {
            let now = self.descriptors();
            seen = if now == seen.0 { (now, seen.1 + 1) } else { (now, 0) };
            seen.1 > 50
        });
        seen.0
    }

    /// Waits until it has `most` descriptors open, or fewer: what it closed, it closed.
    pub fn wait_for_descriptors(&self, most: usize) {
        wait_until(&format!("at most {most} descriptors; last seen: {}", self.descriptors()), || {
            self.descriptors() <= most
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its port may be another program's as soon as it has ended.
        self.named = None;
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        #[allow(clippy::print_stderr)] // The report of a failed test.
        if thread::panicking() {
            eprintln!("--- stderr of process {} ---\n{}", self.id(), self.stderr());
        }
    }
}

/// Polls until `condition` holds. For what has no event that a test could wait for: another process's state.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_until_within(PATIENCE, what, condition);
}

/// The same with another patience.
pub fn wait_until_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + patience;
    while !condition() {
        assert!(now() < deadline, "waited in vain for {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Lets `time` pass, for deadlines that must not fire early or a peer that is slow.
pub fn wait_for(time: Duration) {
    let until = now() + time;
    wait_until("time to pass", || now() >= until);
}

/// Lines of a program's stdout, as they come.
fn announcements(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The receiver is gone once the program is ready; the pipe must not fill up all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Everything a program writes to stderr, as it comes.
pub fn collect(mut stderr: ChildStderr) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let shared = text.clone();
    spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stderr.read(&mut buffer) {
            lock(&shared).push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    text
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that serves a test and ends with its peer.
#[allow(clippy::disallowed_methods)] // Black-box tests have real threads and real time.
pub fn spawn(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work);
}

#[allow(clippy::disallowed_methods)] // As above.
pub fn now() -> Instant {
    Instant::now()
}
