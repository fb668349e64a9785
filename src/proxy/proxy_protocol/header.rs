//! The header of a connection, read and written: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, sections 2.1 and 2.2.

use clap::ValueEnum;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The version in which servers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Version {
    /// A line of text.
    V1,
    /// Bytes.
    V2,
}

/// The longest line of version 1, with its end.
const LINE_MAX: usize = 107;

/// The first bytes of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;

/// Bytes behind the fixed part, at most. Real ones have an address of 36, and certificates' names of some hundreds.
const REST_MAX: usize = 4096;

/// The result of a look at the first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// They may be the beginning of a header.
    More,
    /// A header, so long; and the client that it names, with the address that it has connected to. `None`: the gateway speaks for itself,
    /// or does not know.
    Header {
        /// Bytes of it.
        length: usize,
        /// The ends of the connection that it is about.
        client: Option<Ends>,
    },
    /// They are none.
    Malformed,
}

/// Both ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client's.
    pub client: SocketAddr,
    /// The one that it has connected to.
    pub server: SocketAddr,
}

/// The header of a connection that is opened for a client; `None`: for the proxy itself, which looks whether the server lives.
#[must_use]
pub fn written(version: Version, ends: Option<Ends>) -> Vec<u8> {
    match (version, ends) {
        (Version::V1, None) => b"PROXY UNKNOWN\r\n".to_vec(),
        (Version::V1, Some(ends)) => {
            let (client, server) = ends.of_one_kind();
            let kind = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (client.ip(), server.ip());
            format!("PROXY {kind} {from} {to} {} {}\r\n", client.port(), server.port()).into_bytes()
        }
        // LOCAL, of no family, with nothing behind it.
        (Version::V2, None) => [&SIGNATURE[..], &[0x20, 0x00, 0, 0]].concat(),
        (Version::V2, Some(ends)) => {
            let (client, server) = ends.of_one_kind();
            let (family, addresses) = match (client.ip(), server.ip()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => (0x11, [from.octets(), to.octets()].concat()),
                (from, to) => (0x21, [six_octets(from), six_octets(to)].concat()),
            };
            let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
            // 12 or 36: it fits.
            let length = [0, (addresses.len() + ports.len()) as u8];
            [&SIGNATURE[..], &[0x21, family], &length, &addresses, &ports].concat()
        }
    }
}

impl Ends {
    /// Both as IPv4 if they are that, or else both as IPv6.
    fn of_one_kind(self) -> (SocketAddr, SocketAddr) {
        let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        let (client, server) = (plain(self.client), plain(self.server));
        if client.is_ipv4() == server.is_ipv4() {
            return (client, server);
        }
        let as_six = |at: SocketAddr| SocketAddr::new(six_octets(at.ip()).into(), at.port());
        (as_six(client), as_six(server))
    }
}

fn six_octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

/// Looks for a header at the beginning of these bytes.
#[must_use]
pub fn look(bytes: &[u8]) -> Look {
    if begins_like(bytes, SIGNATURE) {
        return binary(bytes);
    }
    if begins_like(bytes, b"PROXY ") { line(bytes) } else { Look::Malformed }
}

/// Whether nothing in `bytes` contradicts that they begin with `start`.
fn begins_like(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(byte, wanted)| byte == wanted)
}

fn line(bytes: &[u8]) -> Look {
    let part = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = part.iter().position(|byte| *byte == b'\n') else {
        return if part.len() == LINE_MAX { Look::Malformed } else { Look::More };
    };
    let text = part[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let words: Vec<&str> = text.unwrap_or_default().split(' ').collect();
    let client = match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(None),
        ["PROXY", "TCP4", from, to, from_port, to_port] => address::<Ipv4Addr>(from, to, from_port, to_port).map(Some),
        ["PROXY", "TCP6", from, to, from_port, to_port] => address::<Ipv6Addr>(from, to, from_port, to_port).map(Some),
        _ => None,
    };
    client.map_or(Look::Malformed, |client| Look::Header { length: end + 1, client })
}

/// Two addresses of one kind. Both have to be right.
fn address<A: std::str::FromStr + Into<IpAddr>>(from: &str, to: &str, from_port: &str, to_port: &str) -> Option<Ends> {
    let server = SocketAddr::new(to.parse::<A>().ok()?.into(), port(to_port)?);
    Some(Ends { client: SocketAddr::new(from.parse::<A>().ok()?.into(), port(from_port)?), server })
}

fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn binary(bytes: &[u8]) -> Look {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        // A mistake is told as soon as it is here.
        return if bytes.get(12).is_some_and(|version| !is_version(*version)) { Look::Malformed } else { Look::More };
    };
    let [.., version, family, high, low] = *fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if !is_version(version) || rest > REST_MAX {
        return Look::Malformed;
    }
    let length = FIXED + rest;
    let Some(body) = bytes.get(FIXED..length) else { return Look::More };
    let client = match (version & 0xf, family) {
        // LOCAL: the gateway looks whether we live.
        (0, _) => Some(None),
        (_, 0x11) => body.first_chunk::<12>().map(|body| Some(four(body))),
        (_, 0x21) => body.first_chunk::<36>().map(|body| Some(six(body))),
        // Datagrams, sockets of a file system, and what is not said: the address is not one that a client of ours has.
        (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Some(None),
        _ => None,
    };
    client.map_or(Look::Malformed, |client| Look::Header { length, client })
}

/// Version 2, and one of its two commands.
fn is_version(byte: u8) -> bool {
    matches!(byte, 0x20 | 0x21)
}

fn four(body: &[u8; 12]) -> Ends {
    let [a, b, c, d, e, f, g, h, high, low, to_high, to_low] = *body;
    let client = (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into();
    Ends { client, server: (Ipv4Addr::new(e, f, g, h), u16::from_be_bytes([to_high, to_low])).into() }
}

fn six(body: &[u8; 36]) -> Ends {
    let at = |ip: usize, port: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&body[ip..ip + 16]);
        (Ipv6Addr::from(octets), u16::from_be_bytes([body[port], body[port + 1]])).into()
    };
    Ends { client: at(0, 32), server: at(16, 34) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    fn ipv4(tlvs: &[u8]) -> Vec<u8> {
        version2(1, 0x11, &[&[203, 0, 113, 9, 192, 0, 2, 1, 0xdc, 0x04, 1, 0xbb][..], tlvs].concat())
    }

    fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let ipv6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[0; 16], &[0xdc, 4, 1, 0xbb]].concat();
        vec![
            (b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n".to_vec(), Some("203.0.113.9:56324")),
            (b"PROXY TCP6 2001:db8::7 ::1 56324 443\r\n".to_vec(), Some("[2001:db8::7]:56324")),
            (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec(), Some("255.255.255.255:65535")),
            (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".to_vec(), Some("0.0.0.0:0")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), None),
            (ipv4(b""), Some("203.0.113.9:56324")),
            // TLVs: an ALPN, and something that is none.
            (ipv4(b"\x01\x00\x02h2\xff"), Some("203.0.113.9:56324")),
            (version2(1, 0x21, &ipv6), Some("[2001:db8::7]:56324")),
            (version2(0, 0x00, b""), None),
            (version2(0, 0x11, b"short"), None),
            (version2(1, 0x00, b"anything"), None),
            (version2(1, 0x31, &[0; 216]), None),
            (version2(1, 0x12, &[0; 12]), None),
            (version2(0, 0x00, &[0; REST_MAX]), None),
        ]
    }

    #[test]
    fn a_header_is_read_whole_in_any_two_parts_and_with_what_follows() {
        for (header, client) in headers() {
            let client: Option<SocketAddr> = client.map(|client| client.parse().unwrap());
            for cut in 0..header.len() {
                assert_eq!(look(&header[..cut]), Look::More, "{header:?} cut at {cut}");
            }
            for more in ["", "GET / HTTP/1.1\r\n\r\n", "\n"] {
                let read = look(&[&header[..], more.as_bytes()].concat());
                let Look::Header { length, client: named } = read else { panic!("{header:?} {more}: {read:?}") };
                assert_eq!((length, named.map(|ends| ends.client)), (header.len(), client), "{header:?} {more}");
            }
        }
    }

    #[test]
    fn other_bytes_are_refused_as_soon_as_they_are_known_to_be_none() {
        for text in [
            "GET / HTTP/1.1\r\n",
            "\x16\x03\x01",
            "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
            "PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 ::1 ::1 1 1\r\n",
            "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 x 1 1\r\n",
            "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY\r\n",
            "\r\n\r\nGET",
        ] {
            assert_eq!(look(text.as_bytes()), Look::Malformed, "{text:?}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(LINE_MAX));
        assert_eq!(look(&long.as_bytes()[..LINE_MAX - 1]), Look::More);
        assert_eq!(look(&long.as_bytes()[..LINE_MAX]), Look::Malformed);
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_MAX - 16));
        assert_eq!(look(longest.as_bytes()), Look::Header { length: LINE_MAX, client: None });
        let mut first = ipv4(b"");
        first[12] = 0x11;
        assert_eq!((look(&first[..13]), look(&first)), (Look::Malformed, Look::Malformed));
        for (command, family, rest) in [
            (2, 0x11, &[0; 12][..]),
            (1, 0x11, &[0; 11]),
            (1, 0x21, &[0; 35]),
            (1, 0x41, &[0; 40]),
            (1, 0x13, &[0; 40]),
            (0, 0x00, &[0; REST_MAX + 1]),
        ] {
            assert_eq!(look(&version2(command, family, rest)), Look::Malformed, "{command} {family} {}", rest.len());
        }
    }

    #[test]
    fn a_header_that_is_written_says_the_same_when_it_is_read() {
        for (client, server, kept) in [
            ("203.0.113.9:56324", "192.0.2.1:443", true),
            ("[2001:db8::7]:1", "[2001:db8::1]:65535", true),
            // Of two kinds: both become IPv6.
            ("203.0.113.9:56324", "[::1]:443", false),
            ("[::ffff:203.0.113.9]:56324", "192.0.2.1:443", false),
        ] {
            let ends = Ends { client: client.parse().unwrap(), server: server.parse().unwrap() };
            for version in [Version::V1, Version::V2] {
                let header = written(version, Some(ends));
                let Look::Header { length, client: Some(read) } = look(&header) else { panic!("{header:?}") };
                assert_eq!(length, header.len());
                assert_eq!(read == ends, kept, "{version:?} {read:?}");
                let same = |one: SocketAddr, other: SocketAddr| {
                    (one.ip().to_canonical(), one.port()) == (other.ip().to_canonical(), other.port())
                };
                assert!(same(read.client, ends.client) && same(read.server, ends.server), "{version:?} {read:?}");
            }
        }
        for version in [Version::V1, Version::V2] {
            let header = written(version, None);
            assert_eq!(look(&header), Look::Header { length: header.len(), client: None });
        }
    }

    proptest::proptest! {
        #[test]
        fn any_two_addresses_are_read_as_they_were_written(client: SocketAddr, server: SocketAddr) {
            for version in [Version::V1, Version::V2] {
                let header = written(version, Some(Ends { client, server }));
                let Look::Header { length, client: Some(read) } = look(&header) else { panic!("{header:?}") };
                proptest::prop_assert_eq!(length, header.len());
                let canonical = |at: SocketAddr| (at.ip().to_canonical(), at.port());
                proptest::prop_assert_eq!(canonical(read.client), canonical(client));
                proptest::prop_assert_eq!(canonical(read.server), canonical(server));
            }
        }

        #[test]
        fn no_bytes_are_too_much(bytes: Vec<u8>, more: Vec<u8>) {
            for start in [&b""[..], b"PROXY ", SIGNATURE, &ipv4(b"")[..16]] {
                let input = [start, &bytes, &more].concat();
                if let Look::Header { length, .. } = look(&input) {
                    assert!(length <= input.len() && length <= FIXED + REST_MAX);
                    assert_eq!(look(&input[..length]), look(&input));
                }
            }
        }
    }
}
