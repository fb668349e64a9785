//! The terminal: single keys without Enter, colour where it is wanted, and everything as it was afterwards.

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    unistd::read,
};
use std::{
    any::Any,
    env,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// How the terminal was before keys were read.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The keys that are pressed.
#[derive(Debug)]
pub(crate) struct Keys {
    open: bool,
}

impl Keys {
    /// From now on keys come one by one, if stdin is a terminal.
    pub(crate) fn new() -> Self {
        let keys = Self { open: io::stdin().is_terminal() };
        keys.one_by_one();
        keys
    }

    /// Ctrl-C stays what it is: a signal.
    fn one_by_one(&self) {
        if !self.open {
            return;
        }
        let Ok(mut now) = tcgetattr(io::stdin()) else { return };
        if !now.local_flags.contains(LocalFlags::ICANON) {
            return;
        }
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| now.clone());
        now.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &now);
    }

    /// The next key, if one is pressed within this time.
    pub(crate) fn next(&mut self, within: Duration) -> Option<u8> {
        if !self.open {
            thread::sleep(within);
            return None;
        }
        // A shell that stopped us and let us go on has its own idea of the terminal.
        self.one_by_one();
        let stdin = io::stdin();
        let mut wanted = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let time = PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO);
        if poll(&mut wanted, time).is_ok_and(|ready| ready > 0) {
            let mut key = [0];
            // Past the buffer of the standard library: poll does not know what waits in it.
            match read(stdin.as_fd(), &mut key) {
                Ok(1) => return Some(key[0]),
                // The terminal has gone.
                _ => self.open = false,
            }
        }
        None
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back as it was. Also called when a signal ends us.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
    }
}

/// An empty screen, where there is one.
pub(crate) fn clear() {
    let mut stdout = io::stdout();
    if stdout.is_terminal() {
        let _ = stdout.write_all(b"\x1b[2J\x1b[H").and_then(|()| stdout.flush());
    }
}

/// Whether stdout takes colour: a terminal, and `NO_COLOR` is not set (no-color.org).
pub(crate) fn colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The exit code after a write to a pipe whose reader has gone: that of a program which SIGPIPE has ended, as a shell says it.
pub(crate) const NOBODY_READS: u8 = 141;

/// Runs `run`, until our output has no reader any more (`cargo course list | head -3`): `None`. That is no fault, so nothing is said about
/// it; as for any other panic, what was started is ended.
pub(crate) fn until_nobody_reads<T>(run: impl FnOnce() -> T) -> Option<T> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !is_of_a_closed_pipe(info.payload()) {
            usual(info);
        }
    }));
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(ran) => Some(ran),
        Err(payload) if is_of_a_closed_pipe(&*payload) => None,
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// `println!` panics with these words; its error is in nothing else that it passes on.
fn is_of_a_closed_pipe(payload: &(dyn Any + Send)) -> bool {
    let closed = format!("(os error {})", nix::errno::Errno::EPIPE as i32);
    payload
        .downcast_ref::<String>()
        .is_some_and(|text| text.starts_with("failed printing to") && text.ends_with(&closed))
}
