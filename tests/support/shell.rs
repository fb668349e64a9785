//! A program that is talked to: lines in, lines out, and what it says on the side.

use super::process::{lock, spawn, wait_until};
use std::{
    io::{Read, Write as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// A running program with a pipe at each end. Killed, by its own process id, when dropped.
pub struct Shell {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Shell {
    /// Starts `program`, which is `env!("CARGO_BIN_EXE_…")` of one of our binaries.
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let stdout = collect(child.stdout.take().expect("stdout was piped"));
        let stderr = collect(child.stderr.take().expect("stderr was piped"));
        Self { child, stdin, stdout, stderr }
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) {
        self.text(&format!("{text}\n"));
    }

    /// Types that and no line end, all of it at once.
    pub fn text(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it was not closed");
        stdin.write_all(text.as_bytes()).expect("it reads its input");
    }

    /// Writes all that from another thread, and closes: the program takes it at its own pace.
    pub fn feed(&mut self, text: String) {
        let mut stdin = self.stdin.take().expect("it was not closed");
        // Fails if the program ends first.
        spawn(move || drop(stdin.write_all(text.as_bytes())));
    }

    /// Ends its input.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    pub fn stdout(&self) -> String {
        lock(&self.stdout).clone()
    }

    pub fn stderr(&self) -> String {
        lock(&self.stderr).clone()
    }

    pub fn wait_for_stdout(&self, text: &str) {
        wait_until(&format!("stdout to have {text:?}"), || self.stdout().contains(text));
    }

    pub fn wait_for_stderr(&self, text: &str) {
        wait_until(&format!("stderr to have {text:?}"), || self.stderr().contains(text));
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.child.id());
    }

    /// Waits for its end, and for the end of what it says.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program to end", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        // A collector lets go of its text when the pipe has ended.
        for text in [&self.stdout, &self.stderr] {
            wait_until("the pipes to end", || Arc::strong_count(text) == 1);
        }
        status.expect("wait_until returns when it is there")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        #[allow(clippy::print_stderr)] // The report of a failed test.
        if thread::panicking() {
            eprintln!("--- stdout ---\n{}--- stderr ---\n{}", self.stdout(), self.stderr());
        }
    }
}

/// Everything that comes out of a pipe, as it comes.
fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let shared = text.clone();
    spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            lock(&shared).push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    text
}
