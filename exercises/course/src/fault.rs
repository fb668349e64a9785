//! The harm that clients do to servers, by mistake, by bad luck or on purpose: bytes in other pieces, a reader that is slow,
//! another protocol.

use crate::{
    client::Client,
    problem::{Problem, Seen},
    queues,
    stage::Stage,
};
use nix::sys::signal::Signal;
use rand::RngExt as _;
use std::{
    thread,
    time::{Duration, Instant},
};

/// In which pieces bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// All at once.
    Whole,
    /// Each byte in a segment of its own, as fast as they go.
    Bytewise,
    /// Two pieces; the second is sent when the server has read the first.
    Cut(usize),
    /// Each byte after a pause.
    Slowly(Duration),
}

/// Speakers of other protocols, as a port on the internet meets them: a name, and what they send first.
pub(crate) const WRONG_PROTOCOLS: [(&str, &[u8]); 6] = [
    // RFC 8446, section 4.1.2: a record of type 22 with a ClientHello; its length promises more than comes.
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x9f\x0a\x00\xff\x00\x0a\n"),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: nobody\r\n\r\n"),
    ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
    // Telnet, RFC 854: IAC DO SUPPRESS-GO-AHEAD, IAC WILL TERMINAL-TYPE.
    ("Telnet", b"\xff\xfd\x03\xff\xfb\x18\n"),
    // RDP, as scanners send it: TPKT, X.224.
    ("RDP", b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00\n"),
    ("UTF-16", b"\xff\xfeh\0e\0l\0l\0o\0\n\0"),
];

/// The receive buffer of a client that reads slowly, in bytes.
const NARROW: usize = 64 * 1024;
/// The largest segment that it takes, as on an Ethernet. For the large ones of the loopback the kernel gives a server a send buffer of
/// megabytes: then a short write, which is what a slow reader causes, would never be seen.
const SEGMENT: u32 = 1460;

/// More of a line without end than any server should keep.
pub(crate) const OVERSIZE: usize = 4 * 1024 * 1024;

/// Every place at which `length` bytes can be cut in two; of long ones the places near both ends, and some from the seed.
pub(crate) fn cuts(stage: &mut Stage, length: usize) -> Vec<usize> {
    /// The most places that are tried: each takes a round trip.
    const MOST: usize = 96;
    if length <= MOST {
        return (1..length).collect();
    }
    let mut cuts: Vec<usize> = (1..MOST / 3).chain(length - MOST / 3..length).collect();
    cuts.extend((0..MOST / 3).map(|_| 1 + stage.below(length - 1)));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

impl Client {
    /// Sends bytes in these pieces.
    pub(crate) fn deliver(&mut self, bytes: &[u8], manner: Manner) -> Result<(), Problem> {
        match manner {
            Manner::Whole => self.send(bytes),
            Manner::Bytewise => self.send_bytewise(bytes),
            Manner::Cut(at) => {
                let (first, second) = bytes.split_at(at.min(bytes.len()));
                self.send(first)?;
                self.until_read();
                self.send(second)
            }
            Manner::Slowly(pause) => bytes.chunks(1).try_for_each(|byte| {
                thread::sleep(pause);
                self.send(byte)
            }),
        }
    }

    /// Waits until the server has read all that was sent, at most a moment: two sends are then two reads for it.
    pub(crate) fn until_read(&self) {
        let until = Instant::now() + self.timing().quiet();
        let (Ok(ours), Ok(theirs)) = (self.address(), self.peer()) else { return };
        while Instant::now() < until {
            match queues::unread(theirs, ours) {
                Some(0) => return,
                Some(_) => thread::sleep(Duration::from_millis(1)),
                // Not observable here: a pause is all that we have.
                None => return thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Reads `expected` in small bites with a pause after each: the server soon finds no room to send.
    pub(crate) fn expect_slowly(
        &mut self,
        expected: &[u8],
        bite: usize,
        pause: Duration,
        wanted: &str,
    ) -> Result<(), Problem> {
        for part in expected.chunks(bite.max(1)) {
            thread::sleep(pause);
            self.expect(part, wanted)?;
        }
        Ok(())
    }
}

impl Stage {
    /// Connects a client whose window is small: what the server sends and nobody reads soon has no room.
    pub(crate) fn connect_narrow(&self) -> Result<Client, Problem> {
        self.connect_with(|socket| socket.set_recv_buffer_size(NARROW).and_then(|()| socket.set_tcp_mss(SEGMENT)))
    }

    /// The same with the large segments of the loopback, for answers of many small writes: in small segments they fill the window after
    /// a while only, because the kernel puts them together and asks for some of them again.
    pub(crate) fn connect_small_window(&self) -> Result<Client, Problem> {
        self.connect_with(|socket| socket.set_recv_buffer_size(NARROW))
    }

    /// `count` clients that come and go without a word, every second one with a reset.
    pub(crate) fn storm(&self, count: usize) -> Result<(), Problem> {
        for at in 0..count {
            let client = self.connect()?;
            if at % 2 == 0 { client.close() } else { client.abort() }
        }
        Ok(())
    }

    /// Sends `signal` and waits until the program has ended, which must be with exit code `code`.
    pub(crate) fn expect_end_by(&mut self, signal: Signal, code: i32, wanted: &str) -> Result<(), Problem> {
        self.signal(signal)?;
        match self.expect_exit(code, wanted) {
            Err(_) if self.student.as_mut().is_some_and(|student| student.exit(Duration::ZERO).is_none()) => {
                Err(Problem::new(wanted, Seen::SignalIgnored(signal)))
            }
            ended => ended,
        }
    }

    /// `length` bytes from the seed, all of them plain: none ends a line.
    pub(crate) fn payload(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes[..]);
        bytes.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cause::{Cause, diagnose},
        timing::Timing,
    };
    use std::path::Path;

    #[test]
    fn short_texts_are_cut_everywhere_and_long_ones_often_enough() {
        let mut stage = Stage::new(Path::new("/bin/true"), 1, "cuts", Timing::calibrated(), false);
        assert_eq!(cuts(&mut stage, 4), [1, 2, 3]);
        let long = cuts(&mut stage, 100_000);
        assert!(long.len() > 70 && long.iter().all(|cut| (1..100_000).contains(cut)), "{long:?}");
        assert!(long.contains(&1) && long.contains(&99_999));
    }

    /// A program that says READY and does the rest of `script` as a shell.
    fn program(script: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (directory, path)
    }

    const READY: &str = "echo READY 127.0.0.1:1";

    /// The cause that is named for what `find` finds on a program with this script.
    fn cause(script: &str, find: impl Fn(&mut Stage) -> Result<(), Problem>) -> Option<Cause> {
        let (_directory, path) = program(&format!("{script}\n{READY}\nwhile :; do sleep 0.1; done"));
        let mut stage = Stage::new(&path, 1, "program", Timing::calibrated(), false);
        stage.serve().unwrap();
        let problem = find(&mut stage).err()?;
        Some(diagnose(&problem, &mut stage).cause)
    }

    #[test]
    fn a_signal_that_should_end_a_program_is_obeyed_ignored_or_not_caught() {
        let term = |stage: &mut Stage| stage.expect_end_by(Signal::SIGTERM, 0, "exit code 0");
        assert_eq!(cause("trap 'exit 0' TERM", term), None);
        assert_eq!(cause("trap '' TERM", term), Some(Cause::SignalIgnored));
        assert_eq!(cause("", term), Some(Cause::Killed));
        assert_eq!(cause("trap 'exit 7' TERM", term), Some(Cause::ExitCode));
    }

    #[test]
    fn a_program_that_stands_still_is_told_from_one_that_is_killed() {
        let pause = |stage: &mut Stage| {
            stage.pause()?;
            Err(Problem::new("an answer", Seen::Silence(Vec::new())))
        };
        assert_eq!(cause("", pause), Some(Cause::Stopped));
        let kill = |stage: &mut Stage| {
            stage.signal(Signal::SIGKILL)?;
            Err(Problem::new("an answer", Seen::Silence(Vec::new())))
        };
        assert_eq!(cause("", kill), Some(Cause::Killed));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_idle_program_is_told_from_one_that_looks_again_and_again() {
        let idle = |stage: &mut Stage| stage.expect_idle(20);
        let (_directory, path) = program(&format!("{READY}\nexec sleep 60"));
        let mut stage = Stage::new(&path, 1, "idle", Timing::calibrated(), false);
        stage.serve().unwrap();
        assert!(idle(&mut stage).is_ok());
        let spins = cause(&format!("{READY}\nwhile :; do :; done"), idle);
        assert_eq!(spins, Some(Cause::Spinning));
    }

    #[test]
    fn the_same_seed_draws_the_same_bytes() {
        let drawn = |seed| {
            let mut stage = Stage::new(Path::new("/bin/true"), seed, "bytes", Timing::calibrated(), false);
            (stage.payload(64), stage.line())
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert!(!drawn(7).0.contains(&b'\n'));
    }
}
