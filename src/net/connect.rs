//! Opening a connection to somebody else.

use super::Error;
use mio::net::TcpStream as Nonblocking;
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

/// Begins to connect. The socket becomes writable when it has, or says that it failed.
pub(super) fn begin(to: SocketAddr) -> io::Result<Nonblocking> {
    let stream = Nonblocking::connect(to)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
