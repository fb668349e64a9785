//! Opens connections to servers.

use super::{Error, options::limit_ahead};
use mio::net::TcpStream as Nonblocking;
use nix::errno::Errno;
use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Connects within `timeout` and waits for it. Small writes leave at once (`TCP_NODELAY`).
///
/// # Errors
///
/// [`Error::Connect`], which says why.
pub fn connect(to: SocketAddr, timeout: Duration) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect_timeout(&to, timeout);
    let ready = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    ready.map_err(|source| Error::Connect { to, source })
}

/// The category of what the system said about a connection, such that our own shortage can be told from the peer's refusal
/// ([`crate::resilience::is_our_shortage`]): the standard library has no name of its own for a process without descriptors.
pub(crate) fn kind_of(error: &io::Error) -> io::ErrorKind {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE) => io::ErrorKind::QuotaExceeded,
        Some(Errno::ENOBUFS | Errno::ENOMEM) => io::ErrorKind::OutOfMemory,
        // connect(2): no free local ports.
        Some(Errno::EAGAIN) => io::ErrorKind::AddrNotAvailable,
        // connect(2): the kernel has no such family, as one without IPv6.
        Some(Errno::EAFNOSUPPORT) => io::ErrorKind::Unsupported,
        _ => error.kind(),
    }
}

/// Begins to connect. The socket becomes writable when it has, or says that it failed.
pub(super) fn begin(to: SocketAddr) -> io::Result<Nonblocking> {
    let stream = Nonblocking::connect(to)?;
    stream.set_nodelay(true)?;
    limit_ahead(&stream)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_connection_sends_small_writes_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(listener.local_addr().unwrap(), PATIENCE).unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(listener.accept().unwrap().1, stream.local_addr().unwrap());
    }

    #[test]
    fn our_own_shortage_is_told_from_a_refusal_of_the_peer() {
        use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, OutOfMemory, QuotaExceeded, TimedOut, Unsupported};
        for (errno, kind, ours) in [
            (Errno::EMFILE, QuotaExceeded, true),
            (Errno::ENFILE, QuotaExceeded, true),
            (Errno::ENOBUFS, OutOfMemory, true),
            (Errno::ENOMEM, OutOfMemory, true),
            (Errno::EADDRNOTAVAIL, AddrNotAvailable, true),
            (Errno::EAGAIN, AddrNotAvailable, true),
            (Errno::EAFNOSUPPORT, Unsupported, false),
            (Errno::ECONNREFUSED, ConnectionRefused, false),
            (Errno::ETIMEDOUT, TimedOut, false),
        ] {
            let told = kind_of(&io::Error::from(errno));
            assert_eq!((told, crate::resilience::is_our_shortage(told)), (kind, ours), "{errno}");
        }
    }

    #[test]
    fn a_missing_listener_is_told() {
        let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(to, PATIENCE).unwrap_err();
        assert_eq!(error.to_string(), format!("nothing listens on {to}: start the server, or check the port"));
    }
}
