//! Opening a listener.

use super::Error;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// How to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// Where. Port 0: any free one, see [`TcpListener::local_addr`].
    pub address: SocketAddr,
    /// How many connections the kernel keeps for us until we accept them, at least 1. More than the system allows
    /// ([`max_backlog`]) becomes that, with a warning.
    pub backlog: u32,
    /// Whether several listeners share the address, each with its own backlog, as the workers of a proxy do
    /// (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

impl ListenOptions {
    /// Alone at `address`, with room for a burst of 1024 connections.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, backlog: 1024, reuse_port: false }
    }
}

impl Default for ListenOptions {
    /// Any free port, on loopback.
    fn default() -> Self {
        Self::new((Ipv4Addr::LOCALHOST, 0).into())
    }
}

/// Opens a listener. It blocks; connections accepted from it send small writes at once (`TCP_NODELAY`) on Linux.
///
/// A port can be used again as soon as the last process let go of it (`SO_REUSEADDR`): connections of the past that the
/// kernel still remembers do not stand in the way of a restart.
///
/// # Errors
///
/// [`Error::Backlog`] and [`Error::Listen`].
pub fn listen(options: &ListenOptions) -> Result<TcpListener, Error> {
    let backlog = backlog(options.backlog, max_backlog())?;
    open(options, backlog).map_err(|source| Error::Listen { at: options.address, source })
}

/// Opens `count` listeners at one address: the kernel spreads connections over them (`SO_REUSEPORT`).
///
/// Any process of the same user could join them later, and take its share of the connections without a word. So that two
/// servers do not share a port by accident, it has to be free at first.
///
/// # Errors
///
/// As for [`listen`].
pub fn listen_together(options: &ListenOptions, count: usize) -> Result<Vec<TcpListener>, Error> {
    if count == 1 {
        return listen(options).map(|alone| vec![alone]);
    }
    let failed = |source| Error::Listen { at: options.address, source };
    if options.address.port() != 0 {
        // Bound alone, without listening: nobody can connect to it. Closed again at once.
        bind(&ListenOptions { reuse_port: false, ..*options }).map_err(failed)?;
    }
    let first = listen(&ListenOptions { reuse_port: true, ..*options })?;
    let address = first.local_addr().map_err(failed)?;
    let mut listeners = vec![first];
    while listeners.len() < count {
        listeners.push(listen(&ListenOptions { address, reuse_port: true, ..*options })?);
    }
    Ok(listeners)
}

/// The most connections that the system keeps in a backlog; `None` if it does not say.
#[must_use]
pub fn max_backlog() -> Option<u32> {
    fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

/// What to ask the kernel for. It would lower a higher number without a word; the user should know.
fn backlog(wanted: u32, max: Option<u32>) -> Result<i32, Error> {
    let capped = match max {
        Some(max) if wanted > max => {
            tracing::warn!(
                "a backlog of {wanted} becomes {max}: raise the limit with `sysctl net.core.somaxconn={wanted}`"
            );
            max
        }
        _ => wanted,
    };
    i32::try_from(capped).ok().filter(|backlog| *backlog > 0).ok_or(Error::Backlog(wanted))
}

fn open(options: &ListenOptions, backlog: i32) -> io::Result<TcpListener> {
    let socket = bind(options)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn bind(options: &ListenOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(options.address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option means that anybody may take the port over.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.set_reuse_port(options.reuse_port)?;
    // Accepted sockets inherit it: one call here instead of one a connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&options.address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn a_backlog_is_at_least_one_and_at_most_what_the_system_keeps() {
        let cases = [
            (0, Some(128), None),
            (1, Some(128), Some(1)),
            (128, Some(128), Some(128)),
            (129, Some(128), Some(128)),
            (129, None, Some(129)),
            (i32::MAX as u32, None, Some(i32::MAX)),
            (i32::MAX as u32 + 1, None, None),
        ];
        for (wanted, max, expected) in cases {
            assert_eq!(backlog(wanted, max).ok(), expected, "{wanted} of {max:?}");
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = listen(&ListenOptions::default()).unwrap();
        let address = first.local_addr().unwrap();
        let error = listen(&ListenOptions::new(address)).unwrap_err();
        assert_eq!(error.to_string(), format!("port {} is in use: choose another with --listen", address.port()));
    }

    #[test]
    fn workers_share_a_port() {
        let options = ListenOptions { reuse_port: true, ..ListenOptions::default() };
        let first = listen(&options).unwrap();
        let second = ListenOptions { address: first.local_addr().unwrap(), ..options };
        assert_eq!(listen(&second).unwrap().local_addr().unwrap(), second.address);
    }

    #[test]
    fn an_address_of_another_machine_is_told_apart() {
        // From the range for documentation (RFC 5737): nobody has it.
        let error = listen(&ListenOptions::new("192.0.2.1:0".parse().unwrap())).unwrap_err();
        assert!(error.to_string().starts_with("192.0.2.1 is not an address of this machine"), "{error}");
    }

    #[test]
    fn accepted_connections_send_small_writes_at_once() {
        let listener = listen(&ListenOptions::default()).unwrap();
        #[allow(clippy::disallowed_methods)] // A plain client.
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        if cfg!(target_os = "linux") {
            assert!(SockRef::from(&accepted).tcp_nodelay().unwrap());
        }
    }

    #[test]
    fn listeners_share_a_port_with_each_other_and_with_nobody_else() {
        let ours = listen_together(&ListenOptions::default(), 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|listener| listener.local_addr().unwrap() == address));
        for count in [1, 2] {
            let error = listen_together(&ListenOptions::new(address), count).unwrap_err();
            assert!(error.to_string().contains("in use"), "{count}: {error}");
        }
        drop(ours);
        assert_eq!(listen_together(&ListenOptions::new(address), 2).unwrap().len(), 2);
    }
}
