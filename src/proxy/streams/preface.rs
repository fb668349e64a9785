//! Whether a client without TLS speaks HTTP/2: it begins with a request that no client of HTTP/1 makes (RFC 9113 §3.3, §3.4).

use crate::{
    app::{ConnId, Cx, ListenerId, Origin},
    http2::PREFACE,
    proxy::Proxy,
};

/// The first bytes of a connection, as far as they tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preface {
    /// They are those of HTTP/2. The rest of the preface is the protocol's to judge.
    Is,
    /// More bytes decide.
    Perhaps,
    /// They are those of another protocol.
    IsNot,
}

/// `PRI * HTTP/2.0`, the request line of the preface.
const LINE: usize = 14;

impl Proxy {
    /// The first bytes of a client without TLS: those of a request, or of HTTP/2.
    pub(in crate::proxy) fn hear_first(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        let mut held = std::mem::take(&mut client.pending);
        // Nearly always the first bytes are a whole request, which is heard where it lies.
        let first = if held.is_empty() {
            input
        } else {
            held.extend_from_slice(input);
            &held
        };
        match preface(first) {
            Preface::Perhaps if !client.ended => {
                client.keep(cx, first);
                self.note_idle(cx, conn);
            }
            Preface::Perhaps | Preface::IsNot => self.hear_http1(cx, conn, first),
            Preface::Is => {
                let origin = Origin { listener: ListenerId(0), peer: client.peer, local: client.local, secure: None };
                self.worker.idle.leave(conn);
                self.begin_streams(cx, conn, origin);
                self.hear_streams(cx, conn, first);
            }
        }
    }
}

/// Judges the first bytes of a connection.
fn preface(bytes: &[u8]) -> Preface {
    let length = bytes.len().min(LINE);
    match bytes[..length] == PREFACE[..length] {
        true if length == LINE => Preface::Is,
        true => Preface::Perhaps,
        false => Preface::IsNot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_line_of_the_preface_decides() {
        for length in 0..LINE {
            assert_eq!(preface(&PREFACE[..length]), Preface::Perhaps, "{length}");
        }
        for (bytes, expected) in [
            (PREFACE, Preface::Is),
            (&PREFACE[..LINE], Preface::Is),
            (b"PRI * HTTP/2.0 and something else", Preface::Is),
            (b"PRI * HTTP/2.1\r\n\r\n", Preface::IsNot),
            (b"PRIOR / HTTP/1.1\r\n", Preface::IsNot),
            (b"POST / HTTP/1.1\r\n", Preface::IsNot),
            (b"PUT", Preface::IsNot),
            (b"G", Preface::IsNot),
        ] {
            assert_eq!(preface(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
