//! Which addresses a name stands for.
//!
//! The system's resolver blocks, for seconds if a name server is down: an event loop must not ask it. [`spawn`] asks from
//! a thread of its own.

use super::{
    Error,
    address::{Host, HostPort},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    thread,
};

/// The name that has to be asked for, if there is one; or else the addresses, best first.
///
/// `localhost` is not asked for: it is this machine (RFC 6761 §6.3), by IPv4 first, as most servers listen there.
///
/// # Errors
///
/// The name.
pub fn known(to: &HostPort) -> Result<Vec<SocketAddr>, &str> {
    match &to.host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, to.port)]),
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
            Ok(vec![(Ipv4Addr::LOCALHOST, to.port).into(), (Ipv6Addr::LOCALHOST, to.port).into()])
        }
        Host::Name(name) => Err(name),
    }
}

/// The addresses of a host, best first. Blocks.
///
/// # Errors
///
/// [`Error::Resolve`].
pub fn resolve(to: &HostPort) -> Result<Vec<SocketAddr>, Error> {
    let name = match known(to) {
        Ok(addresses) => return Ok(addresses),
        Err(name) => name.to_owned(),
    };
    let failed = |source| Error::Resolve { host: name.clone(), source };
    let addresses: Vec<_> = (name.as_str(), to.port).to_socket_addrs().map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

/// Those of the addresses that this machine has a route to; all of them, if that is none. Where there is no IPv6, a server with addresses
/// of both kinds is not down at one of them: it is not reachable there.
///
/// Nothing is sent: the kernel looks for a route when a datagram socket gets a peer.
#[must_use]
pub fn with_route(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let has_route = |address: &IpAddr| {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // Port 9 means nothing here; the system wants one.
        UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((*address, 9))).is_ok()
    };
    let (with, without): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(has_route);
    if with.is_empty() { without } else { with }
}

/// Calls `ask`, which may block, on another thread, and `done` with what it said.
///
/// # Errors
///
/// The system has no room for another thread.
pub fn spawn<T>(ask: impl FnOnce() -> T + Send + 'static, done: impl FnOnce(T) + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("resolve".to_owned()).spawn(move || done(ask())).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn addresses(text: &str) -> Vec<String> {
        let (sender, receiver) = channel();
        let to = text.parse().unwrap();
        spawn(move || resolve(&to), move |result| sender.send(result).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_and_this_machine_need_no_resolver() {
        assert_eq!(addresses("192.0.2.7:80"), ["192.0.2.7:80"]);
        assert_eq!(addresses("[2001:db8::7]:80"), ["[2001:db8::7]:80"]);
        assert_eq!(addresses("localhost:3000"), ["127.0.0.1:3000", "[::1]:3000"]);
    }

    #[test]
    fn this_machine_has_a_route_to_itself() {
        let here: IpAddr = Ipv4Addr::LOCALHOST.into();
        // The kernel refuses a broadcast that was not announced.
        let nowhere: IpAddr = Ipv4Addr::BROADCAST.into();
        assert_eq!(with_route(vec![nowhere, here]), [here]);
        assert_eq!(with_route(vec![nowhere]), [nowhere]);
    }

    #[test]
    fn a_name_that_nobody_has_is_named() {
        // Never in DNS (RFC 6761 §6.4).
        let error = resolve(&"nobody.invalid:80".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("\"nobody.invalid\""), "{error}");
    }
}
