//! A shell that commands are typed into, and what it prints.

use crate::support::process::{lock, now, spawn};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// Longer than any command of the book takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Begins the line that tells a command's exit status: no program prints it.
const END: char = '\u{1}';

/// The output of an open terminal, in pieces that a reader of the page would tell apart.
enum Shown {
    Line(String),
    End(i32),
}

/// Lines that the programs of a page wrote so far and that no step has read yet: their logs.
pub type Log = Arc<Mutex<Vec<String>>>;

/// A bash and everything that it started, in a process group of their own. All of it is gone when this is dropped.
pub struct Terminal {
    bash: Child,
    stdin: Option<ChildStdin>,
    shown: Receiver<Shown>,
    directory: PathBuf,
    commands: u32,
    /// Whether a command has begun and not ended.
    busy: bool,
}

/// The output of a command, and its exit status if it has ended.
#[derive(Debug)]
pub struct Printed {
    pub lines: Vec<String>,
    pub status: Option<i32>,
}

impl Terminal {
    /// Opens one in `directory`, with `variables` in its environment. `log` gets every line that `is_log` picks.
    pub fn open(directory: &Path, variables: &[(&str, String)], log: Log, is_log: fn(&str) -> bool) -> Self {
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile"]).current_dir(directory).envs(variables.iter().cloned());
        command.env_remove("BASH_ENV").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut bash = command.spawn().unwrap_or_else(|error| panic!("cannot start bash: {error}"));
        let mut stdin = bash.stdin.take().expect("stdin was piped");
        // A signal to the group is for what runs in it: the shell itself stays. At its end it stops its jobs, the
        // stopped ones, too.
        let begin = "exec 2>&1; trap : INT; trap 'kill -CONT $(jobs -p); kill $(jobs -p); wait' EXIT\n";
        stdin.write_all(begin.as_bytes()).expect("bash reads its input");
        let stdout = BufReader::new(bash.stdout.take().expect("stdout was piped"));
        let (sender, shown) = channel();
        spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                let (text, end) = line.split_once(END).map_or((&*line, None), |(text, end)| (text, Some(end)));
                if is_log(text) {
                    lock(&log).push(text.to_owned());
                }
                if !text.is_empty() || end.is_none() {
                    let _ = sender.send(Shown::Line(text.to_owned()));
                }
                if let Some(status) = end.and_then(|end| end.parse().ok()) {
                    let _ = sender.send(Shown::End(status));
                }
            }
        });
        Self { bash, stdin: Some(stdin), shown, directory: directory.to_owned(), commands: 0, busy: false }
    }

    /// Types a command. Its input is empty: a program that waits for typed input hears the end of it.
    pub fn begin(&mut self, command: &str) {
        self.commands += 1;
        let file = self.directory.join(format!(".command-{}-{}", self.bash.id(), self.commands));
        fs::write(&file, format!("{command}\n")).expect("the directory is ours");
        let line = format!(". {} </dev/null; printf '\\1%s\\n' $?\n", file.display());
        let stdin = self.stdin.as_mut().expect("it is open until it is dropped");
        stdin.write_all(line.as_bytes()).expect("bash reads its input");
        self.busy = true;
    }

    /// Reads on until there is `enough`, for as long as we have patience. Output until then is appended to `printed`;
    /// true means that it did not take too long.
    pub fn read(&mut self, printed: &mut Printed, enough: impl Fn(&Printed) -> bool) -> bool {
        self.read_for(PATIENCE, printed, enough)
    }

    /// The same, with another patience.
    pub fn read_for(&mut self, patience: Duration, printed: &mut Printed, enough: impl Fn(&Printed) -> bool) -> bool {
        let deadline = now() + patience;
        while !enough(printed) {
            match self.shown.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(Shown::Line(line)) => printed.lines.push(line),
                Ok(Shown::End(status)) => {
                    printed.status = Some(status);
                    self.busy = false;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Skips output that has come meanwhile.
    pub fn skip(&mut self) {
        while let Ok(shown) = self.shown.try_recv() {
            self.busy &= matches!(shown, Shown::Line(_));
        }
    }

    /// Ctrl-C, and the end of what runs.
    pub fn interrupt(&mut self) -> bool {
        self.skip();
        if !self.busy {
            return true;
        }
        self.signal(Signal::SIGINT);
        let mut printed = Printed { lines: Vec::new(), status: None };
        self.read(&mut printed, |printed| printed.status.is_some())
    }

    /// An error means that all its processes are gone.
    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(self.bash.id().try_into().expect("process ids are positive"));
        let _ = killpg(group, signal);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
        if self.busy {
            self.signal(Signal::SIGINT);
        }
        self.stdin = None;
        let mut gone = false;
        let deadline = now() + Duration::from_secs(10);
        while !gone && now() < deadline {
            gone = self.bash.try_wait().is_ok_and(|status| status.is_some());
            thread::park_timeout(Duration::from_millis(5));
        }
        // For processes that the shell did not know of.
        self.signal(Signal::SIGKILL);
        let _ = self.bash.wait();
    }
}

/// Waits for a listener on `port`, of a program that does not say itself when it is ready. False if there was none in
/// time.
#[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
pub fn is_listened_at(port: u16) -> bool {
    let deadline = now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if now() > deadline {
            return false;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    true
}
