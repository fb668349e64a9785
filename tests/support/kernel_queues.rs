//! The bytes that the kernel holds of one TCP connection, at one of its ends. Both ends are on this machine, and the kernel is
//! asked about the one connection (`NETLINK_SOCK_DIAG`): to read `/proc/net/tcp` would have it write down all of them, also the
//! thousands that ended within the last minute.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
};

/// Bytes in the queues of a connection.
#[derive(Debug)]
pub struct Queues {
    pub unsent: usize,
    pub unread: usize,
}

// `linux/netlink.h` and `linux/sock_diag.h`.
const AF_NETLINK: i32 = 16;
const SOCK_DIAG: i32 = 4;
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const ERROR: u16 = 2;
/// Of a header of netlink: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Where the port of the far end is in an `inet_diag_msg`: behind four bytes and the port of the near one.
const AT_REMOTE_PORT: usize = HEADER + 6;
/// Where both queues are in an `inet_diag_msg`: behind four bytes, the two addresses with their ports, and a deadline.
const AT_QUEUES: usize = HEADER + 4 + 48 + 4;

/// The queues of the connection whose near end is `local`; `None` if there is no such connection.
pub fn kernel_queues(local: SocketAddr, remote: SocketAddr) -> Option<Queues> {
    let mut netlink = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(Protocol::from(SOCK_DIAG)))
        .expect("Linux has sockets that tell about sockets");
    netlink.send(&question(local, remote)).expect("the kernel takes a question");
    let mut answer = [0; 1024];
    let len = netlink.read(&mut answer).expect("the kernel answers");
    let word = |at: usize| [answer[at], answer[at + 1], answer[at + 2], answer[at + 3]];
    let number = |at: usize| u32::from_ne_bytes(word(at)) as usize;
    if u16::from_ne_bytes([answer[4], answer[5]]) == ERROR {
        let errno = -i32::from_ne_bytes(word(HEADER));
        assert_eq!(errno, nix::errno::Errno::ENOENT as i32, "the kernel does not tell about connections");
        return None;
    }
    assert!(len >= AT_QUEUES + 8, "an answer of {len} bytes");
    // Without such a connection, the kernel names the listener at its near end: that has no far end.
    if u16::from_be_bytes([answer[AT_REMOTE_PORT], answer[AT_REMOTE_PORT + 1]]) != remote.port() {
        return None;
    }
    Some(Queues { unread: number(AT_QUEUES), unsent: number(AT_QUEUES + 4) })
}

/// An `inet_diag_req_v2` behind its header.
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    const LEN: u32 = HEADER as u32 + 56;
    let mut bytes = Vec::with_capacity(LEN as usize);
    bytes.extend(LEN.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    // IPv4, TCP, no extensions, a byte of padding; connections of every state.
    bytes.extend([2, 6, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(remote.port().to_be_bytes());
    for address in [local, remote] {
        bytes.extend(v4(address).octets());
        bytes.extend([0; 12]);
    }
    // Any interface, any cookie.
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
}

fn v4(address: SocketAddr) -> Ipv4Addr {
    match address {
        SocketAddr::V4(v4) => *v4.ip(),
        SocketAddr::V6(_) => panic!("tests use IPv4"),
    }
}
