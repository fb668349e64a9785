//! Methods of requests (RFC 9110 §9).

use super::{Error, grammar};
use std::fmt;

/// A method. Case matters (RFC 9110 §9.1): `get` is not [`Method::Get`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Method {
    /// Transfer a representation of the target.
    Get,
    /// As `GET`, without the content.
    Head,
    /// Process the content.
    Post,
    /// Replace the target with the content.
    Put,
    /// Remove the target.
    Delete,
    /// Open a tunnel to the target.
    Connect,
    /// Describe how to talk to the target.
    Options,
    /// Loop the request back.
    Trace,
    /// Change the target in part (RFC 5789).
    Patch,
    /// Any other token.
    Other(Box<str>),
}

impl Method {
    /// Reads a method; [`Error::BadMethod`] unless it is a token. Allocates only for a method that has no variant.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(match bytes {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            other if grammar::is_token(other) => Self::Other(String::from_utf8_lossy(other).into()),
            _ => return Err(Error::BadMethod),
        })
    }

    /// As it stands in a request line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(name) => name,
        }
    }

    /// Whether it is read-only by definition (RFC 9110 §9.2.1). A method we do not know is not.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether sending it twice means the same as once (RFC 9110 §9.2.2): what may be retried after a lost connection.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

impl std::str::FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_methods_and_their_properties() {
        for (name, safe, idempotent) in [
            ("GET", true, true),
            ("HEAD", true, true),
            ("OPTIONS", true, true),
            ("TRACE", true, true),
            ("PUT", false, true),
            ("DELETE", false, true),
            ("POST", false, false),
            ("PATCH", false, false),
            ("CONNECT", false, false),
            ("PROPFIND", false, false),
            ("get", false, false),
        ] {
            let method: Method = name.parse().unwrap();
            assert_eq!((method.as_str(), method.is_safe(), method.is_idempotent()), (name, safe, idempotent));
            assert_eq!(matches!(method, Method::Other(_)), name == "PROPFIND" || name == "get", "{name}");
        }
    }

    #[test]
    fn a_method_is_a_token() {
        for bad in ["", "GE T", "GET\t", "G\0T", "GET:", "G(T", "GÉT", "[GET]"] {
            assert_eq!(bad.parse::<Method>(), Err(Error::BadMethod), "{bad:?}");
        }
        assert_eq!("!#$%&'*+-.^_`|~aZ09".parse::<Method>().unwrap().as_str(), "!#$%&'*+-.^_`|~aZ09");
    }
}
