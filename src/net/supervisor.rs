//! Words to a service manager that has started this process (`sd_notify(3)`): ready, reloading, stopping, alive.
//!
//! Without `NOTIFY_SOCKET` there is none, and nothing is said.

use nix::time::{ClockId, clock_gettime};
use std::{
    env, io,
    os::unix::net::{SocketAddr, UnixDatagram},
    time::Duration,
};

/// A state to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It accepts connections, under the configuration that was read last.
    Ready,
    /// It reads another configuration; [`State::Ready`] follows, whatever comes of it.
    Reloading,
    /// It finishes what runs.
    Stopping,
    /// All of its threads do their work.
    Alive,
    /// From now on, this other process is the service.
    Successor(u32),
}

impl State {
    fn text(self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Reloading => {
                let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
                format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros())
            }
            Self::Stopping => "STOPPING=1".to_owned(),
            Self::Alive => "WATCHDOG=1".to_owned(),
            Self::Successor(process) => format!("MAINPID={process}"),
        }
    }
}

/// Tells a service manager, if there is one.
pub fn tell(state: State) {
    let Some(name) = env::var_os("NOTIFY_SOCKET").and_then(|name| name.into_string().ok()) else { return };
    if let Err(error) = send(&name, state.text().as_bytes()) {
        tracing::warn!(%error, "NOTIFY_SOCKET: the service manager cannot be told {state:?}");
    }
}

fn send(name: &str, text: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            socket.send_to_addr(text, &SocketAddr::from_abstract_name(name)?)
        }
        _ => socket.send_to_addr(text, &SocketAddr::from_pathname(name)?),
    }
    .map(drop)
}

/// How often a service manager wants to hear that the process is alive, if it does.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_words() {
        for (state, text) in [
            (State::Ready, "READY=1"),
            (State::Stopping, "STOPPING=1"),
            (State::Alive, "WATCHDOG=1"),
            (State::Successor(42), "MAINPID=42"),
        ] {
            assert_eq!(state.text(), text);
        }
        let reloading = State::Reloading.text();
        let usec: u128 = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(usec > 0);
    }
}
