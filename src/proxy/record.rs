//! The facts about an exchange that the access log tells.

use super::{failure::Failure, proxy_protocol::Ends};
use crate::{app::Secure, backend::BackendId, cache::Did, time::Now};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Bytes of a refused request that the log shows. Enough to see what it was.
const REFUSED_MAX: usize = 200;

/// Where the backend connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolUse {
    /// There was none.
    None,
    /// Opened for this request.
    Opened,
    /// Taken from the pool.
    Reused,
}

impl PoolUse {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Opened => "new",
            Self::Reused => "reused",
        }
    }
}

/// One line of the access log in the making.
#[derive(Debug)]
pub(super) struct Record {
    /// The other end of the connection.
    pub(super) peer: SocketAddr,
    /// Our own end of it, where a server is told.
    pub(super) local: Option<SocketAddr>,
    /// The client: the peer, or the one that trusted proxies name.
    pub(super) client: IpAddr,
    /// The user, where a password was asked for and was right.
    pub(super) user: Option<Box<str>>,
    /// How the connection is protected, if it is.
    pub(super) secure: Option<Arc<Secure>>,
    pub(super) started: Now,
    /// The number of its stream, if the connection speaks HTTP/2.
    pub(super) stream: Option<u32>,
    /// 0 until a final response head is on its way.
    pub(super) status: u16,
    /// It became a tunnel.
    pub(super) is_tunnel: bool,
    /// Body bytes to the client.
    pub(super) sent: u64,
    /// Body bytes from the client.
    pub(super) received: u64,
    pub(super) backend: Option<BackendId>,
    pub(super) pool: PoolUse,
    /// The cache's part in it. `None`: it had no part in it.
    pub(super) cache: Option<Did>,
    /// Why the client left, or was let go, before its request was over: others wanted the response.
    pub(super) parted: Option<Failure>,
    /// Why it was sent again, each time.
    pub(super) retries: Vec<Failure>,
    /// Why it was not sent again.
    pub(super) not_retried: Option<&'static str>,
}

impl Record {
    /// Both ends of the client's connection. Its own end is not known of a connection that is older than the wish to know it.
    pub(super) fn ends(&self) -> Option<Ends> {
        Some(Ends { client: self.peer, server: self.local? })
    }

    pub(super) fn new(peer: SocketAddr, client: IpAddr, secure: Option<Arc<Secure>>, started: Now) -> Self {
        Self {
            peer,
            local: None,
            client,
            user: None,
            secure,
            started,
            stream: None,
            status: 0,
            is_tunnel: false,
            sent: 0,
            received: 0,
            backend: None,
            pool: PoolUse::None,
            cache: None,
            parted: None,
            retries: Vec::new(),
            not_retried: None,
        }
    }
}

/// The first line of bytes that were refused, as far as it is there: at most [`REFUSED_MAX`] bytes of it, and nothing that
/// could end the log's own line or quotes, or move a terminal's cursor. `-` if there is nothing.
pub(super) fn printable(bytes: &[u8]) -> String {
    // Empty lines before a request are no part of it.
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
    let line = bytes[start..].split(|byte| b"\r\n".contains(byte)).next().unwrap_or_default();
    let cut = line.len() > REFUSED_MAX;
    let shown = line[..line.len().min(REFUSED_MAX)].escape_ascii();
    if line.is_empty() { "-".to_owned() } else { format!("{shown}{}", if cut { "…" } else { "" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_is_shown_on_one_line_and_bounded() {
        let long = "x".repeat(REFUSED_MAX + 1);
        let cut = format!("{}…", &long[1..]);
        for (bytes, shown) in [
            (&b""[..], "-"),
            (b"\r\n\r\n", "-"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1"),
            (b"\r\nGET /", "GET /"),
            (b"\x16\x03\x01\"\x1b[2J\xff", "\\x16\\x03\\x01\\\"\\x1b[2J\\xff"),
            (&long.as_bytes()[1..], &long[1..]),
            (long.as_bytes(), &cut),
        ] {
            assert_eq!(printable(bytes), shown);
        }
    }
}
