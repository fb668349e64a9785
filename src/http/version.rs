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
    /// Reads a version. [`Error::BadVersion`] for what is none, [`Error::UnsupportedVersion`] for another major one.
    /// A later minor version is to be read as the latest one known (RFC 9110 §2.5); we answer and forward in our own.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match bytes {
            b"HTTP/1.0" => Ok(Self::Http10),
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Ok(Self::Http11),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, version) in [
            ("HTTP/1.1", Ok(Version::Http11)),
            ("HTTP/1.0", Ok(Version::Http10)),
            ("HTTP/1.2", Ok(Version::Http11)),
            ("HTTP/1.9", Ok(Version::Http11)),
            ("HTTP/2.0", Err(Error::UnsupportedVersion)),
            ("HTTP/0.9", Err(Error::UnsupportedVersion)),
            ("HTTP/1", Err(Error::BadVersion)),
            ("HTTP/1.", Err(Error::BadVersion)),
            ("HTTP/1.10", Err(Error::BadVersion)),
            ("HTTP/01.1", Err(Error::BadVersion)),
            ("HTTP/1,1", Err(Error::BadVersion)),
            ("http/1.1", Err(Error::BadVersion)),
            ("HTTP/1.x", Err(Error::BadVersion)),
            ("HTTP-1.1", Err(Error::BadVersion)),
            ("ICY", Err(Error::BadVersion)),
            ("", Err(Error::BadVersion)),
        ] {
            assert_eq!(Version::from_bytes(text.as_bytes()), version, "{text}");
        }
    }
}
