//! Sending datagrams to a program that collects logs.

use super::clock;
use crate::time::Instant;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixDatagram,
    },
    path::PathBuf,
    time::Duration,
};

/// Where it hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collector {
    /// At a socket of this machine.
    Local(PathBuf),
    /// At an address, over UDP.
    Udp(SocketAddr),
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Udp(address) => write!(f, "{address}"),
        }
    }
}

/// A socket that sends to one collector.
#[derive(Debug)]
pub(crate) enum Datagrams {
    Local(UnixDatagram),
    Udp(UdpSocket),
}

impl Datagrams {
    /// A new socket to `collector`.
    ///
    /// # Errors
    ///
    /// No collector hears there, or the system has no socket left.
    pub(crate) fn to(collector: &Collector) -> io::Result<Self> {
        match collector {
            Collector::Local(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Local(socket))
            }
            Collector::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket))
            }
        }
    }

    /// Sends one, and waits for room until `by`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: there was no room in time. Any other kind: it cannot be sent.
    pub(crate) fn send(&self, datagram: &[u8], by: Instant) -> io::Result<()> {
        loop {
            let sent = match self {
                Self::Local(socket) => socket.send(datagram),
                Self::Udp(socket) => socket.send(datagram),
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(self.as_fd(), by)?,
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Local(socket) => socket.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

/// Waits until `descriptor` takes bytes.
///
/// # Errors
///
/// `WouldBlock`: it does not until `by`.
pub(crate) fn wait_for_room(descriptor: BorrowedFd<'_>, by: Instant) -> io::Result<()> {
    loop {
        let left: Duration = by.saturating_duration_since(clock::now().instant);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(descriptor, PollFlags::POLLOUT)], timeout) {
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
