//! Which HTTP a message is written in (RFC 9112 §2.3).

use super::Error;

/// A version of HTTP/1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: one exchange a connection unless both agree, no chunks, no interim responses.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// Reads a version. [`Error::BadVersion`] for what is none, [`Error::UnsupportedVersion`] for another one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            b"HTTP/1.1" => Ok(Self::Http11),
            b"HTTP/1.0" => Ok(Self::Http10),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Error::UnsupportedVersion),
            _ => Err(Error::BadVersion),
        }
    }

    /// As it stands in a start line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}
