//! A client that says bytes and reads bytes. It knows how packets are framed, and nothing of the code that is tested.

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use crate::support::process::PATIENCE;
use socket2::{Domain, Socket, Type};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// A connection.
pub struct Peer {
    stream: TcpStream,
}

/// A packet: its first byte, the length, and its parts.
pub fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let more = len > 127;
        bytes.push((len & 127) as u8 | if more { 128 } else { 0 });
        len >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// A string, or binary data.
pub fn s(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&(text.len() as u16).to_be_bytes()[..], text].concat()
}

/// Properties with their length. They are short in these tests.
pub fn props(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    assert!(body.len() < 128);
    [&[body.len() as u8][..], &body].concat()
}

pub const NONE: &[u8] = &[0];

/// CONNECT of MQTT 3.1.1.
pub fn connect3(id: &str, flags: u8, keep_alive: u16) -> Vec<u8> {
    packet(0x10, &[&s("MQTT"), &[4, flags], &keep_alive.to_be_bytes(), &s(id)])
}

/// CONNECT of MQTT 5.
pub fn connect5(id: &str, flags: u8, keep_alive: u16, properties: &[u8]) -> Vec<u8> {
    packet(0x10, &[&s("MQTT"), &[5, flags], &keep_alive.to_be_bytes(), properties, &s(id)])
}

/// The flag for a clean start.
pub const CLEAN: u8 = 2;

/// The answer of MQTT 3.1.1.
pub const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];

/// SUBSCRIBE. `properties`: those of MQTT 5.
pub fn subscribe(id: u16, properties: Option<&[u8]>, filters: &[(&str, u8)]) -> Vec<u8> {
    let filters: Vec<u8> = filters.iter().flat_map(|(filter, options)| [s(filter), vec![*options]].concat()).collect();
    packet(0x82, &[&id.to_be_bytes(), properties.unwrap_or_default(), &filters])
}

/// PUBLISH. `flags`: the lower half of the first byte.
pub fn publish(flags: u8, topic: &str, id: Option<u16>, properties: Option<&[u8]>, payload: &str) -> Vec<u8> {
    let id = id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default();
    packet(0x30 | flags, &[&s(topic), &id, properties.unwrap_or_default(), payload.as_bytes()])
}

pub const PINGREQ: &[u8] = &[0xC0, 0];
pub const PINGRESP: &[u8] = &[0xD0, 0];
pub const DISCONNECT: &[u8] = &[0xE0, 0];

impl Peer {
    pub fn open(to: SocketAddr) -> Self {
        Self::with(to, None)
    }

    /// A connection whose kernel takes few bytes that the test does not read.
    pub fn open_narrow(to: SocketAddr) -> Self {
        Self::with(to, Some(4096))
    }

    fn with(to: SocketAddr, narrow: Option<usize>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = narrow {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.connect(&to.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// A client of MQTT 3.1.1 that is let in, with a new session.
    pub fn v3(to: SocketAddr, id: &str) -> Self {
        let mut peer = Self::open(to);
        peer.send(&connect3(id, CLEAN, 0));
        peer.expect(ACCEPTED);
        peer
    }

    /// A client of MQTT 5 that is let in.
    pub fn v5(to: SocketAddr, id: &str, flags: u8, properties: &[u8]) -> Self {
        let mut peer = Self::open(to);
        peer.send(&connect5(id, flags, 0, properties));
        let connack = peer.packet();
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:?}");
        peer
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends as much as is taken before nothing moves for a while, and tells how many bytes that was.
    pub fn send_some(&mut self, bytes: &[u8]) -> usize {
        self.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut sent = 0;
        while let Ok(more) = self.stream.write(&bytes[sent..]) {
            sent += more;
            if sent == bytes.len() {
                break;
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// As [`Peer::open`], for a server that may not be there.
    #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
    pub fn try_open(to: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(to).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream })
    }

    /// As [`Peer::send`], to a server that may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next packet, of a server that may be gone at any byte of it.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 2];
        self.stream.read_exact(&mut bytes).ok()?;
        // None of them is longer than 127 bytes.
        let mut body = vec![0; usize::from(bytes[1])];
        self.stream.read_exact(&mut body).ok()?;
        bytes.extend(body);
        Some(bytes)
    }

    /// The next packet, with its header. `None`: the connection has ended.
    pub fn try_packet(&mut self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 2];
        if !self.fill(&mut bytes) {
            return None;
        }
        let (mut len, mut shift) = (usize::from(bytes[1] & 127), 7);
        while bytes.last().is_some_and(|last| last & 128 != 0) {
            let mut more = [0];
            assert!(self.fill(&mut more), "the connection ended within a packet");
            bytes.push(more[0]);
            len |= usize::from(more[0] & 127) << shift;
            shift += 7;
        }
        let start = bytes.len();
        bytes.resize(start + len, 0);
        assert!(self.fill(&mut bytes[start..]), "the connection ended within a packet");
        Some(bytes)
    }

    /// The next byte, of whatever it is.
    pub fn try_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.fill(&mut byte).then_some(byte[0])
    }

    pub fn packet(&mut self) -> Vec<u8> {
        self.try_packet().expect("a packet, not the end of the connection")
    }

    /// The next packet is this one.
    #[track_caller]
    pub fn expect(&mut self, expected: &[u8]) {
        let got = self.packet();
        assert_eq!(hex(&got), hex(expected));
    }

    /// Nothing was sent: the answer to a ping is the next packet.
    #[track_caller]
    pub fn quiet(&mut self) {
        self.send(PINGREQ);
        self.expect(PINGRESP);
    }

    /// The connection ends, and nothing comes before.
    #[track_caller]
    pub fn closed(&mut self) {
        let got = self.try_packet();
        assert!(got.is_none(), "{:?} in place of the end", got.map(|bytes| hex(&bytes)));
    }

    /// MQTT 5: a DISCONNECT with this reason, and the end.
    #[track_caller]
    pub fn dismissed(&mut self, reason: u8) {
        let got = self.packet();
        assert_eq!((got[0], got.get(2).copied()), (0xE0, Some(reason)), "{}", hex(&got));
        self.closed();
    }

    /// Nothing more is sent. Answers may be read.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The connection is gone, and the server has noticed.
    pub fn lose(mut self) {
        self.finish();
        while self.try_packet().is_some() {}
    }

    fn fill(&mut self, into: &mut [u8]) -> bool {
        match self.stream.read_exact(into) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => false,
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().map(|b| if b.is_ascii_graphic() { *b as char } else { '.' }).collect();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ") + "  " + &shown
}
