//! The student's program while a check runs: started within limits, watched, and gone afterwards with all that it started.

use crate::{
    excess::{Excess, Watch},
    probe,
    problem::{Problem, Seen},
    running,
    timing::Timing,
};
use nix::sys::signal::Signal;
use std::{
    io::{self, Read, Write as _},
    net::SocketAddr,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The limits of a program that a check may tighten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most descriptors.
    pub(crate) descriptors: Option<u32>,
    /// The most memory, in KiB of addresses [usually 4 GiB].
    pub(crate) memory: Option<u32>,
}

impl Limits {
    /// A shell sets the limits and is then replaced by the program. There are no core files.
    fn shell(self) -> String {
        let descriptors = self.descriptors.map_or_else(String::new, |most| format!("ulimit -n {most}; "));
        let memory = self.memory.unwrap_or(4 * 1024 * 1024);
        format!("ulimit -c 0; ulimit -v {memory}; {descriptors}exec \"$0\" \"$@\"")
    }
}

/// The most that is kept of its output: the beginning of stdout, the end of stderr.
const KEPT: usize = 64 * 1024;

/// A started program.
#[derive(Debug)]
pub(crate) struct Student {
    child: Child,
    stdout: Arc<Printed>,
    stderr: Arc<Printed>,
    watch: Watch,
}

/// The output of a program: read by a thread, so that the program never waits for us.
#[derive(Debug, Default)]
struct Printed {
    text: Mutex<Text>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    total: usize,
    ended: bool,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(String),
}

impl Student {
    /// Starts `program` as a server on a free port of the loopback.
    pub(crate) fn start(program: &Path, args: &[&str], limits: Limits, live: bool) -> io::Result<Self> {
        probe::adopt_orphans();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &limits.shell()])
            .arg(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("RUST_BACKTRACE")
            .process_group(0);
        let mut child = running::group(|| command.spawn())?;
        let stdout = collect(child.stdout.take(), Keep::Beginning, false);
        let stderr = collect(child.stderr.take(), Keep::End, live);
        let printed = [Arc::clone(&stdout), Arc::clone(&stderr)];
        let watch = Watch::begin(child.id(), move || printed.iter().map(|printed| printed.total()).sum());
        Ok(Self { child, stdout, stderr, watch })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for `READY ADDR`, and checks that the address is one that was asked for.
    pub(crate) fn ready(&self, told: SocketAddr, timing: Timing) -> Result<SocketAddr, Problem> {
        const WANTED: &str = "the line `READY ADDR` on stdout, once it listens";
        let Some(line) = self.stdout.line(0, timing.patience()) else {
            let begun = String::from_utf8_lossy(&self.stdout.lock().bytes).into_owned();
            let seen = match () {
                // The end of stdout comes a moment before the end of the process.
                () if self.stdout.has_ended() => Seen::Exited,
                () if begun.is_empty() => Seen::NotReady,
                () => Seen::BadReady(begun),
            };
            return Err(Problem::new(WANTED, seen));
        };
        let said: Option<SocketAddr> = line.strip_prefix("READY ").and_then(|address| address.parse().ok());
        let Some(said) = said else { return Err(Problem::new(WANTED, Seen::BadReady(line))) };
        if said.ip() != told.ip() || said.port() == 0 || (told.port() != 0 && said.port() != told.port()) {
            return Err(Problem::new("that it listens where it was told to", Seen::OtherAddress { told, said }));
        }
        Ok(said)
    }

    /// A line of stdout that says nothing of where it listens: beyond the first one, and beyond `READY-TLS ADDR` of a proxy that has a
    /// second listener.
    pub(crate) fn chatter(&self) -> Option<String> {
        let listens =
            |line: &str| line.strip_prefix("READY-TLS ").is_some_and(|address| address.parse::<SocketAddr>().is_ok());
        (1..).map_while(|number| self.stdout.line(number, Duration::ZERO)).find(|line| !listens(line))
    }

    /// Whether stdout has a whole line.
    pub(crate) fn has_said_a_line(&self) -> bool {
        self.stdout.lock().bytes.contains(&b'\n')
    }

    /// All that it has said on stdout, as far as it is kept, once it has ended.
    pub(crate) fn said(&self, patience: Duration) -> String {
        self.stdout.wait(patience, |text| text.ended);
        String::from_utf8_lossy(&self.stdout.lock().bytes).into_owned()
    }

    /// The resource of which it took too much, if it did: then it was ended.
    pub(crate) fn excess(&self) -> Option<Excess> {
        self.watch.found().or_else(|| Watch::multiplies(self.id()))
    }

    /// Waits until stderr has a line for which `wanted` holds.
    pub(crate) fn logs(&self, wanted: impl Fn(&str) -> bool, within: Duration) -> bool {
        self.stderr.wait(within, |text| String::from_utf8_lossy(&text.bytes).lines().any(&wanted))
    }

    /// Whether it says `READY` and lives, or ends first: whichever comes.
    pub(crate) fn says_ready(&self, timing: Timing) -> bool {
        self.stdout.line(0, timing.patience()).is_some_and(|line| line.starts_with("READY"))
    }

    /// The complete lines of stderr, as far as they are kept, that are such. A program may write a line in several pieces.
    pub(crate) fn log(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let text = self.stderr.lock();
        let end = text.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&text.bytes[..end]).lines().filter(|line| wanted(line)).map(str::to_owned).collect()
    }

    /// How many of them there are.
    pub(crate) fn count_log(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.log(wanted).len()
    }

    /// The last lines of stderr.
    pub(crate) fn last_words(&self, count: usize) -> Vec<String> {
        let text = self.stderr.lock();
        let all = String::from_utf8_lossy(&text.bytes);
        let mut lines: Vec<String> = all.lines().rev().take(count).map(str::to_owned).collect();
        lines.reverse();
        lines
    }

    /// Waits until it has said everything, once it has ended. A child that holds its stderr may go on for longer.
    pub(crate) fn hear_out(&self, patience: Duration) {
        self.stderr.wait(patience, |text| text.ended);
    }

    /// How it ended, if it has; looked at for at most a moment, since a process that breaks ends a little later than its
    /// connections.
    pub(crate) fn exit(&mut self, within: Duration) -> Option<Exit> {
        let until = Instant::now() + within;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(exit(status)),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    match status.signal() {
        Some(number) => Exit::Signal(Signal::try_from(number).map_or(format!("signal {number}"), |s| s.to_string())),
        None => Exit::Code(status.code().unwrap_or(-1)),
    }
}

impl Drop for Student {
    fn drop(&mut self) {
        running::end(&mut self.child);
    }
}

/// Which part of what is printed is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Beginning,
    End,
}

fn collect(from: Option<impl Read + Send + 'static>, keep: Keep, live: bool) -> Arc<Printed> {
    let printed = Arc::new(Printed::default());
    let into = Arc::clone(&printed);
    thread::spawn(move || {
        let mut scratch = [0; 16 * 1024];
        if let Some(mut from) = from {
            while let Ok(count @ 1..) = from.read(&mut scratch) {
                if live {
                    // A closed terminal is no reason to stop reading.
                    let _ = io::stderr().write_all(&scratch[..count]);
                }
                into.append(&scratch[..count], keep);
            }
        }
        into.lock().ended = true;
        into.more.notify_all();
    });
    printed
}

impl Printed {
    fn lock(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, bytes: &[u8], keep: Keep) {
        let mut text = self.lock();
        text.total += bytes.len();
        match keep {
            Keep::Beginning => {
                let room = KEPT - text.bytes.len().min(KEPT);
                text.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Keep::End => {
                text.bytes.extend_from_slice(bytes);
                if text.bytes.len() > 2 * KEPT {
                    let surplus = text.bytes.len() - KEPT;
                    text.bytes.drain(..surplus);
                }
            }
        }
        drop(text);
        self.more.notify_all();
    }

    fn total(&self) -> usize {
        self.lock().total
    }

    fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until `wanted` holds of what was printed. `false`: it did not in time, or nothing more will be printed.
    fn wait(&self, patience: Duration, wanted: impl Fn(&Text) -> bool) -> bool {
        let waits = |text: &mut Text| !text.ended && !wanted(text);
        let waited = self.more.wait_timeout_while(self.lock(), patience, waits);
        let (text, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wanted(&text)
    }

    /// The complete line of that number, once it is there.
    fn line(&self, number: usize, patience: Duration) -> Option<String> {
        let line = |text: &Text| {
            let ends = text.bytes.iter().filter(|byte| **byte == b'\n').count();
            (ends > number).then(|| String::from_utf8_lossy(&text.bytes).lines().nth(number).map(str::to_owned))?
        };
        self.wait(patience, |text| line(text).is_some());
        line(&self.lock())
    }
}
