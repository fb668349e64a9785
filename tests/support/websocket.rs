//! WebSockets as far as a proxy has to do with them: the handshake, and its proof by another way than the proxy's (RFC 6455 §4.2.2).

use super::{
    process::Process,
    raw::{Conn, Incoming},
    tls::base64,
};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// `Sec-WebSocket-Accept` for this `Sec-WebSocket-Key`.
pub fn accept(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    base64(hash.as_ref())
}

/// A tunnel through the proxy, and both ends of it.
pub fn open(proxy: &Process, incoming: &Incoming) -> (Conn, Conn) {
    open_at(proxy, incoming, "/")
}

/// The same at a path.
pub fn open_at(proxy: &Process, incoming: &Incoming, path: &str) -> (Conn, Conn) {
    let mut client = Conn::open(proxy.address());
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    let mut upstream = incoming.accept();
    let head = upstream.read_head();
    upstream.send(switching(&head));
    assert_eq!(client.read_head()[0], "HTTP/1.1 101 Switching Protocols");
    (client, upstream)
}

/// The answer of a backend that has read this head.
pub fn switching(head: &[String]) -> String {
    let key = head.iter().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    switching_for(key)
}

/// The answer to a request with this key.
pub fn switching_for(key: &str) -> String {
    let accept = accept(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}
