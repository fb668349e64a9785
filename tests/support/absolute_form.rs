//! Clients of a forward proxy beneath tests that know nothing of it: requests to its address name the server in their targets
//! (RFC 9112 §3.2.2).
//!
//! ```text
//!   the test says            the proxy hears
//!   GET /x HTTP/1.1          GET http://127.0.0.1:41234/x HTTP/1.1
//!   OPTIONS * HTTP/1.1       OPTIONS http://127.0.0.1:41234 HTTP/1.1
//! ```
//!
//! All other bytes pass as they are and when they come, so that the time between two pieces of a head is still that of the test. Behind
//! bytes that are not HTTP, no further request can be found, and none is looked for.

use super::{
    process::lock,
    wire::{Piece, Reader},
};
use std::{collections::HashMap, mem, net::SocketAddr, sync::Mutex};

/// The forward proxies that run, and the server that is named to each.
static PROXIES: Mutex<Option<HashMap<SocketAddr, String>>> = Mutex::new(None);

/// Until it is dropped, clients of that address name the server.
#[derive(Debug)]
pub struct Named {
    proxy: SocketAddr,
    /// The bytes that a target gets, beside those that the test says.
    pub added: usize,
}

impl Named {
    /// Clients of `proxy` name `server`, `HOST:PORT`.
    pub fn new(proxy: SocketAddr, server: &str) -> Self {
        lock(&PROXIES).get_or_insert_default().insert(proxy, server.to_owned());
        Self { proxy, added: scheme_and(server).len() }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        lock(&PROXIES).get_or_insert_default().remove(&self.proxy);
    }
}

/// The words of one client on one connection.
#[derive(Debug)]
pub struct AbsoluteForm {
    server: String,
    at: At,
}

#[derive(Debug)]
enum At {
    /// In a head: what there is of it.
    Head(Vec<u8>),
    /// In the content of a request.
    Content(Reader),
    /// No request can be found.
    Lost,
}

impl AbsoluteForm {
    /// For a client that has connected to `proxy`; `None` if that is no forward proxy of ours.
    pub fn of(proxy: SocketAddr) -> Option<Self> {
        let server = lock(&PROXIES).get_or_insert_default().get(&proxy).cloned()?;
        Some(Self { server, at: At::Head(Vec::new()) })
    }

    /// The next bytes, as the proxy hears them.
    pub fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut said, mut rest) = (Vec::new(), bytes);
        while let [byte, others @ ..] = rest {
            rest = match mem::replace(&mut self.at, At::Lost) {
                At::Head(head) => {
                    self.at = self.in_head(head, *byte, &mut said);
                    others
                }
                At::Content(reader) => {
                    let (content, others, at) = in_content(reader, rest);
                    said.extend(content);
                    self.at = at;
                    others
                }
                At::Lost => {
                    said.extend(rest);
                    &[]
                }
            };
        }
        said
    }

    /// The next byte of a head of which there is so much.
    fn in_head(&self, mut head: Vec<u8>, byte: u8, said: &mut Vec<u8>) -> At {
        let begins_target = head.split_last().is_some_and(|(last, method)| *last == b' ' && !method.contains(last));
        let asterisk = byte == b'*' && head == b"OPTIONS ";
        if asterisk || begins_target && byte == b'/' {
            said.extend(scheme_and(&self.server).bytes());
        }
        if !asterisk {
            said.push(byte);
        }
        // Empty lines may come before a request.
        if !head.is_empty() || !matches!(byte, b'\r' | b'\n') {
            head.push(byte);
        }
        if !head.ends_with(b"\r\n\r\n") {
            return At::Head(head);
        }
        let mut reader = Reader::of_requests();
        reader.push(&head);
        At::Content(reader)
    }
}

fn scheme_and(server: &str) -> String {
    format!("http://{server}")
}

/// The bytes up to the end of a request of whose content so much was read; what follows, and where that is.
fn in_content(mut reader: Reader, bytes: &[u8]) -> (&[u8], &[u8], At) {
    reader.push(bytes);
    loop {
        match reader.next() {
            Ok(Some(Piece::End(_))) => {
                let (content, next) = bytes.split_at(bytes.len() - reader.rest().len());
                return (content, next, At::Head(Vec::new()));
            }
            Ok(Some(_)) => {}
            Ok(None) => return (bytes, &[], At::Content(reader)),
            Err(_) => return (bytes, &[], At::Lost),
        }
    }
}
