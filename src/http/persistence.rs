//! Whether a connection may be used again after a message (RFC 9112 §9.3).

use super::{BodyLength, Fields, ResponseHead, Version};

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotPersistent {
    /// `Connection: close`.
    Close,
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

/// Judges by the head of a response and the length that [`super::framing::of_response`] gave it: what a pool asks.
pub fn persistent_after(head: &ResponseHead, length: BodyLength) -> Result<(), NotPersistent> {
    persistent(head.version, &head.fields)?;
    if length == BodyLength::UntilClose {
        return Err(NotPersistent::UntilClose);
    }
    let declares =
        head.fields.contains("transfer-encoding") || head.fields.get("content-length").is_some_and(|n| n != b"0");
    if !head.status.may_declare_length() && declares { Err(NotPersistent::Contradiction) } else { Ok(()) }
}
