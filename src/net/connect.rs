//! Opening a connection to somebody else.

use super::{Error, options::limit_ahead};
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
    fn nobody_there_is_told() {
        let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(to, PATIENCE).unwrap_err();
        assert_eq!(error.to_string(), format!("nothing listens on {to}: start the server, or check the port"));
    }
}
