//! Signals that the user and the system send to the process while it runs.
//!
//! SIGINT and SIGTERM ask to finish; the second of them does not ask. SIGPIPE needs nothing: Rust's runtime ignores it
//! before `main`, so that writing to a peer that is gone is an error of that one connection.

use super::Error;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2},
    flag,
    iterator::{Handle, Signals},
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

/// The request that a signal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The first SIGINT or SIGTERM: finish what runs, then exit.
    Stop,
    /// SIGUSR1: its meaning is the program's, such as printing its state.
    User1,
}

/// Signals are told until this is dropped. From then on no code would act on them, so the first SIGINT or SIGTERM ends
/// the process at once, as the second does before: the last steps of a process may hang, too.
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    stopping: Arc<AtomicBool>,
}

/// Calls `on` for each signal, on a thread that does nothing else. From the second SIGINT or SIGTERM on the process exits
/// at once, with 128 plus the signal's number as shells expect, even if everything else hangs.
///
/// # Errors
///
/// [`Error::Signals`].
pub fn watch(on: impl FnMut(Signal) + Send + 'static) -> Result<Watch, Error> {
    begin(true, on).map_err(Error::Signals)
}

/// Calls `reload` for each SIGHUP, which asks a program to read its configuration again. Without this, that signal ends the process,
/// as when its terminal is closed: so a program begins to watch as soon as it has read what it may be asked to read again.
///
/// # Errors
///
/// [`Error::Signals`].
pub fn watch_for_reload(mut reload: impl FnMut() + Send + 'static) -> Result<Watch, Error> {
    hear(&[SIGHUP], Arc::default(), move |_| reload()).map_err(Error::Signals)
}

/// Calls `upgrade` for each SIGUSR2, which asks a program to let another process of itself take its place.
///
/// # Errors
///
/// [`Error::Signals`].
pub fn watch_for_upgrade(mut upgrade: impl FnMut() + Send + 'static) -> Result<Watch, Error> {
    hear(&[SIGUSR2], Arc::default(), move |_| upgrade()).map_err(Error::Signals)
}

/// Like [`watch`], for a child whose parent decides when it ends at once: a second signal is told as the first was. A
/// supervisor may signal every process of a server, and then the parent signals the child once more: that second signal
/// must not cut it off.
///
/// # Errors
///
/// [`Error::Signals`].
pub fn watch_as_child(on: impl FnMut(Signal) + Send + 'static) -> Result<Watch, Error> {
    begin(false, on).map_err(Error::Signals)
}

fn begin(second_is_at_once: bool, mut on: impl FnMut(Signal) + Send + 'static) -> io::Result<Watch> {
    let stopping = Arc::new(AtomicBool::new(false));
    // First, so that a signal that raises the flag below is told, too.
    let watch = hear(&[SIGINT, SIGTERM, SIGUSR1], Arc::clone(&stopping), move |signal| match signal {
        SIGUSR1 => on(Signal::User1),
        _ => on(Signal::Stop),
    })?;
    for signal in [SIGINT, SIGTERM].into_iter().filter(|_| second_is_at_once) {
        // In this order: the first signal finds the flag down and raises it, the second finds it raised. Never taken back: without
        // them, signals would be ignored.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stopping))?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    Ok(watch)
}

/// Calls `on` for each of these signals, on a thread of their own.
fn hear(signals: &[i32], stopping: Arc<AtomicBool>, mut on: impl FnMut(i32) + Send + 'static) -> io::Result<Watch> {
    let mut signals = Signals::new(signals)?;
    let handle = signals.handle();
    thread::Builder::new().name("signals".to_owned()).spawn(move || signals.forever().for_each(&mut on))?;
    Ok(Watch { handle, stopping })
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopping.store(true, SeqCst);
        self.handle.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level;
    use std::{sync::mpsc::channel, time::Duration};

    #[test]
    fn signals_are_told_apart() {
        let (sender, receiver) = channel();
        let watch = watch(move |signal| sender.send(signal).unwrap()).unwrap();
        for (raised, expected) in [(SIGUSR1, Signal::User1), (SIGTERM, Signal::Stop), (SIGUSR1, Signal::User1)] {
            low_level::raise(raised).unwrap();
            assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(expected));
        }
        drop(watch);
        // The thread has ended when its closure, and with it the sender, is gone.
        assert!(receiver.recv_timeout(Duration::from_secs(20)).is_err());
        // In the same test, for after the first watch a SIGTERM ends the process. SIGHUP does not, once it is watched.
        let (sender, receiver) = channel();
        let _watch = watch_for_reload(move || sender.send(()).unwrap()).unwrap();
        for _ in 0..2 {
            low_level::raise(SIGHUP).unwrap();
            assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(()));
        }
    }
}
