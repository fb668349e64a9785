//! The bytes that the kernel holds for a program until it reads them.
//!
//! Linux is asked about one connection (`NETLINK_SOCK_DIAG`). The table `/proc/net/tcp` says the same, but the kernel writes down all
//! connections of the machine for it, also those that ended within the last minute: with 29,000 of them each look takes a third of a
//! second. It is read where the kernel does not answer the question.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fs,
    io::{self, Read as _},
    net::{SocketAddr, SocketAddrV4},
    time::Duration,
};

/// How many bytes wait in a socket of the server until it reads them: those that came on the connection from `client`. `None`: there is
/// no such connection, or the system does not tell.
pub(crate) fn unread(server: SocketAddr, client: SocketAddr) -> Option<u64> {
    let (SocketAddr::V4(server), SocketAddr::V4(client)) = (server, client) else { return None };
    asked(server, client).unwrap_or_else(|_| listed(server, client))
}

// `linux/netlink.h` and `linux/sock_diag.h`.
const AF_NETLINK: i32 = 16;
const SOCK_DIAG: i32 = 4;
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const ERROR: u16 = 2;
const ENOENT: i32 = 2;
/// Of a header of netlink: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Where the port of the far end is in an `inet_diag_msg`: behind four bytes and the port of the near one.
const AT_REMOTE_PORT: usize = HEADER + 6;
/// Where the bytes are counted that came and were not read: behind four bytes, the two addresses with their ports, and a deadline.
const AT_UNREAD: usize = HEADER + 4 + 48 + 4;
/// The kernel answers within the call that asks. A system that only pretends to be Linux might not.
const PATIENCE: Duration = Duration::from_millis(100);

/// The answer of the kernel; an error if it does not answer such questions.
fn asked(server: SocketAddrV4, client: SocketAddrV4) -> io::Result<Option<u64>> {
    if !cfg!(target_os = "linux") {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut netlink = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(SOCK_DIAG)))?;
    netlink.set_read_timeout(Some(PATIENCE))?;
    netlink.send(&question(server, client))?;
    let mut answer = [0; 1024];
    let len = netlink.read(&mut answer)?;
    let word = |at: usize| [answer[at], answer[at + 1], answer[at + 2], answer[at + 3]];
    if u16::from_ne_bytes([answer[4], answer[5]]) == ERROR {
        let errno = -i32::from_ne_bytes(word(HEADER));
        return if errno == ENOENT { Ok(None) } else { Err(io::Error::from_raw_os_error(errno)) };
    }
    if len < AT_UNREAD + 4 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Without such a connection, the kernel names the listener at its near end: that has no far end.
    let connected = u16::from_be_bytes([answer[AT_REMOTE_PORT], answer[AT_REMOTE_PORT + 1]]) == client.port();
    Ok(connected.then(|| u64::from(u32::from_ne_bytes(word(AT_UNREAD)))))
}

/// An `inet_diag_req_v2` behind its header.
fn question(server: SocketAddrV4, client: SocketAddrV4) -> Vec<u8> {
    const LEN: u32 = HEADER as u32 + 56;
    let mut bytes = Vec::with_capacity(LEN as usize);
    bytes.extend(LEN.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    // IPv4, TCP, no extensions, a byte of padding; connections of every state.
    bytes.extend([2, 6, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(server.port().to_be_bytes());
    bytes.extend(client.port().to_be_bytes());
    for address in [server, client] {
        bytes.extend(address.ip().octets());
        bytes.extend([0; 12]);
    }
    // Any interface, any cookie.
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
}

/// The answer of the table of all connections.
fn listed(server: SocketAddrV4, client: SocketAddrV4) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    // The table may have thousands of lines: only the right one is taken apart.
    let line = table.split_once(&format!(" {} {} ", hex_of(server), hex_of(client)))?.1;
    let (_, waiting) = line.split_whitespace().nth(1)?.split_once(':')?;
    u64::from_str_radix(waiting, 16).ok()
}

/// 127.0.0.1:8080 is `0100007F:1F90`: the address in the order of the machine's bytes, the port in the usual one.
fn hex_of(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn bytes_that_wait_to_be_read_can_be_seen_in_both_ways() {
        use std::io::Write as _;
        let v4 = |address: io::Result<SocketAddr>| match address {
            Ok(SocketAddr::V4(address)) => address,
            other => panic!("{other:?}"),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let (here, there) = (v4(server.local_addr()), v4(client.local_addr()));
        let seen = || {
            let asked = asked(here, there).unwrap();
            assert_eq!((asked, unread(here.into(), there.into())), (listed(here, there), asked));
            asked
        };
        assert_eq!(seen(), Some(0));
        (&client).write_all(b"four").unwrap();
        assert_eq!(seen(), Some(4));
        server.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(seen(), Some(0));
        // A connection that is not there: the listener at that address is none.
        let nobody = SocketAddrV4::new(*there.ip(), 1);
        assert_eq!(asked(here, nobody).unwrap(), None);
        assert_eq!(unread(here.into(), nobody.into()), None);
    }
}
