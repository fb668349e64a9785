//! Listening sockets from one process to the next: to another process of the same program, or from a service manager.
//!
//! ```text
//!   old process                                    new process
//!   the sockets, without close-on-exec ──spawn──▶  Inherited::take: sockets by their addresses
//!   notes, in a pipe                   ──────────▶  Inherited::notes
//!   a pipe                             ◀──────────  Inherited::ready: it accepts connections
//!   ended, or silent for too long: the old one goes on
//! ```
//!
//! A socket is never closed on the way: a listener that is closed resets the connections that wait in its queue. systemd passes
//! sockets in its own way (`sd_listen_fds(3)`), which is understood, too.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
    path::PathBuf,
    process::{Child, Command},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::dup,
};

/// Places and descriptors: `plain/127.0.0.1:80/0=7 plain/127.0.0.1:80/0=8`.
const SOCKETS: &str = "HANDOVER_SOCKETS";
/// The descriptor of a pipe, on which the new process says that it is there.
const READY: &str = "HANDOVER_READY";
/// The descriptor of a pipe with words of the old process that no file has.
const NOTES: &str = "HANDOVER_NOTES";
/// Bytes of these: a process that says more is not to be believed.
const MOST_NOTES: u64 = 16 * 1024 * 1024;
/// As systemd has them, beginning with descriptor 3.
const LISTEN: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];
const FIRST: RawFd = 3;

/// The program as it was when the process began: a file that was replaced since has another name in `/proc`.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The place of a socket in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The use of the socket: a word.
    pub kind: &'static str,
    /// The address as the configuration has it.
    pub asked: SocketAddr,
    /// Where the system chooses the port, there may be several: the number of this one.
    pub number: usize,
}

impl Place {
    fn text(&self) -> String {
        format!("{}/{}/{}", self.kind, self.asked, self.number)
    }

    /// Whether a socket that was passed on with this text is for this place. A port that the system did not choose is there once, whatever
    /// it is used for.
    fn is_of(&self, text: &str) -> bool {
        let asked = text.split('/').nth(1).and_then(|asked| asked.parse().ok());
        if self.asked.port() == 0 { self.text() == text } else { asked == Some(self.asked) }
    }
}

/// Things that this process was started with.
#[derive(Debug, Default)]
pub struct Inherited {
    /// With the texts of their places.
    sockets: Vec<(String, TcpListener)>,
    ready: Option<File>,
    notes: Vec<u8>,
}

impl Inherited {
    /// Takes them: once in a process, before anything else is opened.
    #[must_use]
    pub fn take() -> Self {
        if let Ok(program) = env::current_exe() {
            let _ = PROGRAM.set(program);
        }
        if TAKEN.swap(true, SeqCst) {
            return Self::default();
        }
        let text = env::var(SOCKETS).unwrap_or_default();
        let ours = text.split(' ').filter_map(|pair| {
            let (place, number) = pair.split_once('=')?;
            Some((place.to_owned(), TcpListener::from(adopt(number.parse().ok()?)?)))
        });
        let sockets = ours.chain(activated()).collect();
        let file = |name| env::var(name).ok().and_then(|number| adopt(number.parse().ok()?)).map(File::from);
        let mut notes = Vec::new();
        if let Some(pipe) = file(NOTES)
            && let Err(error) = pipe.take(MOST_NOTES).read_to_end(&mut notes)
        {
            tracing::warn!(%error, "the notes of the old process cannot be read");
        }
        Self { sockets, ready: file(READY), notes }
    }

    /// The notes of the old process; empty, if it has none.
    pub fn notes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.notes)
    }

    /// The sockets for a place, if there are any.
    pub fn listeners(&mut self, place: &Place) -> Vec<TcpListener> {
        let of = self.sockets.extract_if(.., |(text, _)| place.is_of(text));
        of.map(|(_, socket)| socket).collect()
    }

    /// Sockets that nothing has asked for.
    #[must_use]
    pub fn unused(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|(_, socket)| socket.local_addr().ok()).collect()
    }

    /// Says that this process accepts connections.
    pub fn ready(&mut self) {
        if let Some(mut pipe) = self.ready.take() {
            // An error means that the old process has gone.
            let _ = pipe.write_all(b"1");
        }
    }
}

/// The sockets of a service manager.
fn activated() -> Vec<(String, TcpListener)> {
    let number = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    let [count, process] = [LISTEN[0], LISTEN[1]].map(number);
    if process != Some(std::process::id()) {
        return Vec::new();
    }
    let count = RawFd::try_from(count.unwrap_or(0)).unwrap_or(0);
    let socket = |descriptor| {
        let socket = TcpListener::from(adopt(descriptor)?);
        Some((format!("activated/{}/0", socket.local_addr().ok()?), socket))
    };
    (FIRST..FIRST.saturating_add(count)).filter_map(socket).collect()
}

/// A descriptor that this process was started with is its own from now on, and not that of its children.
#[allow(unsafe_code)]
fn adopt(descriptor: RawFd) -> Option<OwnedFd> {
    if descriptor < FIRST {
        return None;
    }
    // SAFETY: the call looks at a number, and fails if no file is open under it.
    let is_open = unsafe { nix::libc::fcntl(descriptor, nix::libc::F_GETFD) } >= 0;
    // SAFETY: it is open. The process that has started this one has passed it on for this use, no code here has opened it, and
    // `TAKEN` sees to it that no second owner is made.
    let owned = is_open.then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })?;
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(owned)
}

/// Another process of this program that was just started.
#[derive(Debug)]
pub struct Successor {
    child: Child,
    ready: io::PipeReader,
}

impl Successor {
    /// Starts the program again, as it is on the disk now, with the same words, these sockets, and these notes.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start<'s>(sockets: impl Iterator<Item = (Place, &'s TcpListener)>, notes: Vec<u8>) -> io::Result<Self> {
        let program = PROGRAM.get().cloned().map_or_else(env::current_exe, Ok)?;
        let (reader, writer) = io::pipe()?;
        // Copies have no close-on-exec. They are closed here when the new process has them.
        let mut copies = vec![dup(writer.as_fd())?];
        let mut text = Vec::new();
        for (place, socket) in sockets {
            let copy = dup(socket.as_fd())?;
            text.push(format!("{}={}", place.text(), copy.as_raw_fd()));
            copies.push(copy);
        }
        let args: Vec<OsString> = env::args_os().skip(1).collect();
        let mut command = Command::new(program);
        for name in LISTEN.iter().chain(&["WATCHDOG_PID"]) {
            command.env_remove(name);
        }
        command.args(args).env(SOCKETS, text.join(" ")).env(READY, copies[0].as_raw_fd().to_string());
        // This process may have been started with some itself.
        command.env_remove(NOTES);
        let mut pipe = None;
        if !notes.is_empty() {
            let (reader, writer) = io::pipe()?;
            let copy = dup(reader.as_fd())?;
            command.env(NOTES, copy.as_raw_fd().to_string());
            copies.push(copy);
            pipe = Some(writer);
        }
        let child = command.spawn()?;
        if let Some(mut pipe) = pipe {
            // An older program does not read them. Then this waits for nobody, until the process ends.
            let write = move || drop(pipe.write_all(&notes));
            thread::Builder::new().name("handover".to_owned()).spawn(write)?;
        }
        Ok(Self { child, ready: reader })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it accepts connections.
    ///
    /// # Errors
    ///
    /// It has ended, or has said nothing for too long, and is ended then: which of the two.
    pub fn wait(mut self, patience: Duration) -> Result<u32, String> {
        let millis = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let spoke = loop {
            match poll(&mut [PollFd::new(self.ready.as_fd(), PollFlags::POLLIN)], millis) {
                Err(nix::errno::Errno::EINTR) => {}
                other => break other.unwrap_or(0) > 0,
            }
        };
        if spoke && matches!(self.ready.read(&mut [0]), Ok(1)) {
            return Ok(self.child.id());
        }
        if !spoke {
            let _ = self.child.kill();
            let _ = self.child.wait();
            return Err(format!("it was not ready after {patience:?}, and was ended"));
        }
        Err(match self.child.wait() {
            Ok(status) => format!("it ended with {status} before it was ready"),
            Err(error) => format!("it is gone: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_for_its_place() {
        let place = |kind, asked: &str, number| Place { kind, asked: asked.parse().unwrap(), number };
        let first = place("plain", "127.0.0.1:0", 0);
        assert!(first.is_of(&first.text()));
        for other in [place("plain", "127.0.0.1:0", 1), place("tls", "127.0.0.1:0", 0), place("plain", "[::1]:0", 0)] {
            assert!(!first.is_of(&other.text()), "{other:?}");
        }
        let fixed = place("plain", "127.0.0.1:80", 0);
        assert!(fixed.is_of("activated/127.0.0.1:80/0") && fixed.is_of("tls/127.0.0.1:80/0"));
        assert!(!fixed.is_of("plain/127.0.0.1:81/0") && !fixed.is_of("nonsense"));
    }
}
