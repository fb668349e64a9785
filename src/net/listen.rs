//! Opening a listener.

use super::{Error, options::limit_ahead};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    fs,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
    time::Duration,
};

/// How often a port is tried that is neither taken nor ours, and for how long at most to wait in between: two processes
/// that begin to listen at the same moment may both be refused.
const TIES: u32 = 8;
const TIE_WAIT: Duration = Duration::from_millis(8);

/// How to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// Where. Port 0: any free one, see [`TcpListener::local_addr`].
    pub address: SocketAddr,
    /// How many connections the kernel keeps for us until we accept them, at least 1. More than the system allows
    /// ([`max_backlog`]) becomes that, with a warning.
    pub backlog: u32,
    /// The flag that set the address: an error advises to change that one. `None`: no flag set the address.
    pub flag: Option<&'static str>,
}

impl ListenOptions {
    /// At `address`, which the program chose itself, with room for a burst of 1024 connections.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, backlog: 1024, flag: None }
    }

    /// At the address that the user gave with `flag`.
    #[must_use]
    pub fn set_by(flag: &'static str, address: SocketAddr) -> Self {
        Self { flag: Some(flag), ..Self::new(address) }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Listen { at: self.address, flag: self.flag, source }
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
    open_alone(options.address, backlog).map_err(|source| options.failed(source))
}

/// Opens `count` listeners at one address: the kernel spreads connections over them (`SO_REUSEPORT`).
///
/// The first listens alone before the port is shared, so of two servers that start at the same moment one is refused: the
/// kernel decides, and nothing lies between its decision and what follows from it. Later, only processes of the same user that
/// ask for it could join; ours never do.
///
/// # Errors
///
/// As for [`listen`].
pub fn listen_together(options: &ListenOptions, count: usize) -> Result<Vec<TcpListener>, Error> {
    let first = listen(options)?;
    let backlog = backlog(options.backlog, max_backlog())?;
    let join = |first: &TcpListener| {
        share(first)?;
        let address = first.local_addr()?;
        (1..count).map(|_| open(address, backlog, true)).collect::<io::Result<Vec<_>>>()
    };
    let others = if count > 1 { join(&first).map_err(|source| options.failed(source))? } else { Vec::new() };
    Ok([first].into_iter().chain(others).collect())
}

/// The most connections that the system keeps in a backlog; `None` if it does not say.
#[must_use]
pub fn max_backlog() -> Option<u32> {
    fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

/// The number to ask the kernel for. The kernel would lower a higher number without a word; the user should know.
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

/// Opens the only listener at an address.
fn open_alone(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    for _ in 0..TIES {
        let socket = bind(address, false)?;
        match socket.listen(backlog) {
            // It was free a moment ago. If another program has it now, the next bind says so.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                thread::park_timeout(TIE_WAIT.mul_f64(rand::random()));
            }
            other => return other.map(|()| socket.into()),
        }
    }
    open(address, backlog, false)
}

fn open(address: SocketAddr, backlog: i32, shared: bool) -> io::Result<TcpListener> {
    let socket = bind(address, shared)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option means that any program may take the port over.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    if shared {
        share(&socket)?;
    }
    // Accepted sockets inherit it: one call here instead of one a connection.
    socket.set_tcp_nodelay(true)?;
    limit_ahead(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Lets other sockets listen at the same address. All of them have to allow it.
fn share<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    socket.into().set_reuse_port(true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_taken_port_is_named_and_so_is_the_flag_that_chose_it() {
        let first = listen(&ListenOptions::default()).unwrap();
        let address = first.local_addr().unwrap();
        let port = address.port();
        let cases = [
            (
                ListenOptions::set_by("--listen", address),
                format!("port {port} is in use: choose another with --listen"),
            ),
            (ListenOptions::set_by("--admin", address), format!("port {port} is in use: choose another with --admin")),
            (ListenOptions::new(address), format!("port {port} is in use")),
        ];
        for (options, expected) in cases {
            for count in [1, 2] {
                assert_eq!(listen_together(&options, count).unwrap_err().to_string(), expected, "{count}");
            }
        }
    }

    /// A port that no other test can be given, and at which several sockets may listen.
    fn reserved() -> (Socket, SocketAddr) {
        let holder = bind((Ipv4Addr::LOCALHOST, 0).into(), false).unwrap();
        let address = holder.local_addr().unwrap().as_socket().unwrap();
        (holder, address)
    }

    #[test]
    fn of_two_that_start_at_the_same_moment_one_gets_the_port() {
        for (one, other) in [(1, 1), (1, 2), (2, 2)] {
            for round in 0..200 {
                let (_holder, address) = reserved();
                let options = ListenOptions::new(address);
                let start = std::sync::Barrier::new(2);
                let open = |count| {
                    start.wait();
                    listen_together(&options, count)
                };
                let (one, other) = thread::scope(|scope| {
                    let other = scope.spawn(|| open(other));
                    (open(one), other.join().unwrap())
                });
                assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "{round}: {one:?} {other:?}");
            }
        }
    }

    #[test]
    fn connections_are_spread_over_those_that_share_a_port() {
        let ours = listen_together(&ListenOptions::default(), 2).unwrap();
        let address = ours[0].local_addr().unwrap();
        #[allow(clippy::disallowed_methods)] // A plain client.
        let _clients: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        if cfg!(target_os = "linux") {
            for listener in &ours {
                listener.set_nonblocking(true).unwrap();
                assert!(listener.accept().is_ok(), "one of 64 comes here, but for once in 2^63");
            }
        }
    }

    #[test]
    fn an_address_of_another_machine_is_told_apart() {
        // From the range for documentation (RFC 5737): no machine has it.
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
