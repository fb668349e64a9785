//! Headers of the PROXY protocol: what is read of one does not depend on how it is cut, a reader that goes by the words of the
//! specification alone reads the same addresses, and what we write of them is read again.

use socket_patterns::proxy::{Announced, ProxyProtocol, announced, announcement};
use std::net::{IpAddr, SocketAddr};

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let whole = announced(data);
    let mut over = false;
    for cut in 0..data.len() {
        match announced(&data[..cut]) {
            Announced::More => assert!(!over, "wants more at {cut} of what was decided"),
            decided => {
                assert_eq!(decided, whole, "cut at {cut}");
                over = true;
            }
        }
    }
    let Announced::Header { length, client } = whole else { return };
    assert!(length <= data.len());
    assert_eq!(announced(&data[..length]), whole);
    let Some(ends) = client else { return };
    let second = if data.starts_with(b"PROXY ") { of_line(&data[..length]) } else { of_bytes(&data[..length]) };
    assert_eq!(second, (ends.client, ends.server));
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let written = announcement(version, Some(ends));
        let Announced::Header { length, client: Some(again) } = announced(&written) else { panic!("{written:?}") };
        assert_eq!(length, written.len());
        let same = |at: SocketAddr| (at.ip().to_canonical(), at.port());
        assert_eq!((same(again.client), same(again.server)), (same(ends.client), same(ends.server)));
    }
}

/// `PROXY TCP4 from to port port`.
fn of_line(line: &[u8]) -> (SocketAddr, SocketAddr) {
    let text = std::str::from_utf8(line).expect("a line that was read is ASCII");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let at = |ip: usize, port: usize| {
        SocketAddr::new(words[ip].parse().expect("an address"), words[port].parse().expect("a port"))
    };
    (at(2, 4), at(3, 5))
}

/// Section 2.2: the family in the high half of byte 13, addresses from byte 16 on, then both ports.
fn of_bytes(bytes: &[u8]) -> (SocketAddr, SocketAddr) {
    let size = if bytes[13] >> 4 == 1 { 4 } else { 16 };
    let ip = |at: usize| -> IpAddr {
        let octets = &bytes[at..at + size];
        match <[u8; 4]>::try_from(octets) {
            Ok(four) => four.into(),
            Err(_) => <[u8; 16]>::try_from(octets).expect("16 octets").into(),
        }
    };
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let ports = 16 + 2 * size;
    (SocketAddr::new(ip(16), port(ports)), SocketAddr::new(ip(16 + size), port(ports + 2)))
}
