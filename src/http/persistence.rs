//! Whether a connection may be used again after a message (RFC 9112 §9.3).

use super::{BodyLength, Fields, Method, RequestHead, ResponseHead, Version};

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotPersistent {
    /// `Connection: close`.
    Close,
    /// `CONNECT`: the bytes behind it may be for the tunnel that is not opened.
    Connect,
    /// HTTP/1.0 without `Connection: keep-alive`.
    Http10,
    /// The body ends with the connection.
    UntilClose,
    /// The status says that there is no body and the fields say that there is: what follows may be anything.
    Contradiction,
}

impl NotPersistent {
    /// A few words for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "connection: close",
            Self::Connect => "CONNECT",
            Self::Http10 => "HTTP/1.0",
            Self::UntilClose => "body until close",
            Self::Contradiction => "length of a body that cannot be",
        }
    }
}

/// Judges by the head of one message, sent or received.
pub fn persistent(version: Version, fields: &Fields) -> Result<(), NotPersistent> {
    if fields.has_token("connection", "close") {
        Err(NotPersistent::Close)
    } else if version == Version::Http10 && !fields.has_token("connection", "keep-alive") {
        Err(NotPersistent::Http10)
    } else {
        Ok(())
    }
}

/// Judges by the head of a request, for a server that opens no tunnels. A client may send bytes behind its `CONNECT` before it has the answer: they
/// are for the other end of the tunnel, and were perhaps written by somebody who speaks through that client (RFC 9110 §9.3.6).
pub fn persistent_without_tunnels(head: &RequestHead) -> Result<(), NotPersistent> {
    if head.method == Method::Connect { Err(NotPersistent::Connect) } else { persistent(head.version, &head.fields) }
}

/// Writes what a server tells a client of `version`: whether another request may follow.
pub fn write_connection(version: Version, persists: bool, out: &mut Vec<u8>) {
    match (persists, version) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        // A client of that version takes silence for a close.
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
}

/// Judges by the head of a response and the length that [`super::framing::of_response`] gave it: what a pool asks.
pub fn persistent_after(head: &ResponseHead, length: BodyLength) -> Result<(), NotPersistent> {
    persistent(head.version, &head.fields)?;
    if length == BodyLength::UntilClose {
        return Err(NotPersistent::UntilClose);
    }
    let declares =
        || head.fields.contains("transfer-encoding") || head.fields.get("content-length").is_some_and(|n| n != b"0");
    if !head.status.may_declare_length() && declares() { Err(NotPersistent::Contradiction) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Status;

    #[test]
    fn nothing_is_read_behind_a_tunnel_that_is_not_opened() {
        let connect = RequestHead::new(Method::Connect, "a:443").unwrap();
        assert_eq!(persistent_without_tunnels(&connect), Err(NotPersistent::Connect));
        let mut get = RequestHead::new(Method::Get, "/").unwrap();
        assert_eq!(persistent_without_tunnels(&get), Ok(()));
        get.fields.push("Connection", "close");
        assert_eq!(persistent_without_tunnels(&get), Err(NotPersistent::Close));
    }

    #[test]
    fn by_version_and_connection() {
        for (version, connection, expected) in [
            (Version::Http11, "", Ok(())),
            (Version::Http11, "keep-alive", Ok(())),
            (Version::Http11, "upgrade", Ok(())),
            (Version::Http11, "close", Err(NotPersistent::Close)),
            (Version::Http11, "keep-alive, Close", Err(NotPersistent::Close)),
            (Version::Http11, "closed", Ok(())),
            (Version::Http10, "", Err(NotPersistent::Http10)),
            (Version::Http10, "Keep-Alive", Ok(())),
            (Version::Http10, "keep-alive, close", Err(NotPersistent::Close)),
        ] {
            let fields = [("Connection", connection)].into_iter().collect();
            assert_eq!(persistent(version, &fields), expected, "{version:?} {connection}");
        }
    }

    #[test]
    fn after_a_response() {
        use BodyLength::{Chunked, Empty, UntilClose};
        for (status, field, length, expected) in [
            (Status::OK, ("Content-Length", "0"), Empty, Ok(())),
            (Status::OK, ("Transfer-Encoding", "chunked"), Chunked, Ok(())),
            (Status::OK, ("A", "b"), UntilClose, Err(NotPersistent::UntilClose)),
            (Status::OK, ("Connection", "close"), Empty, Err(NotPersistent::Close)),
            (Status::NO_CONTENT, ("Content-Length", "0"), Empty, Ok(())),
            (Status::NO_CONTENT, ("Content-Length", "5"), Empty, Err(NotPersistent::Contradiction)),
            (Status::NO_CONTENT, ("Transfer-Encoding", "chunked"), Empty, Err(NotPersistent::Contradiction)),
            (Status::NOT_MODIFIED, ("Content-Length", "5"), Empty, Ok(())),
        ] {
            let mut head = ResponseHead::new(status);
            head.fields.push(field.0, field.1);
            assert_eq!(persistent_after(&head, length), expected, "{status} {field:?}");
        }
    }
}
