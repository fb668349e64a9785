//! The settings that all sessions of one HTTP server share.

use super::route;
use crate::http::Limits;
use bytes::Bytes;
use std::{fmt, str::FromStr, time::Duration};

/// The server's name, its limits and its patience.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Said in `X-Backend`, so that a client behind a proxy sees which backend answered.
    pub name: Name,
    /// How much of anything a request may hold.
    pub limits: Limits,
    /// Silence between two requests after which the connection is closed.
    pub idle: Duration,
    /// How long a request's head may take, from its first byte. Longer: 408.
    pub head: Duration,
    /// How long a peer may neither send the content we wait for nor take what we send.
    pub stall: Duration,
}

impl Default for HttpConfig {
    /// Idle longer than a proxy in front (usually 60 s): the one that closes should be the one that sends requests, else
    /// a request may meet a close on its way. A head comes in one packet; ten seconds are for a person with `nc`.
    fn default() -> Self {
        Self {
            name: Name::new("origin"),
            limits: Limits::default(),
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            stall: Duration::from_secs(30),
        }
    }
}

/// The name of a backend: 1 to 64 visible ASCII characters, so that a field can carry it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    text: String,
    /// The page that introduces it: it never changes, and is asked for more than any other.
    welcome: Bytes,
}

impl Name {
    fn new(text: &str) -> Self {
        let (get, post) = (route::TRY_GET.join(" "), route::TRY_POST.join(" and "));
        let welcome = format!("Hello from {text}.\nTry {get}, or POST to {post}.\n");
        Self { text: text.to_owned(), welcome: welcome.into() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub(super) fn welcome(&self) -> Bytes {
        self.welcome.clone()
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self::new(text)) } else { Err("write 1 to 64 letters, digits or signs, no space") }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_a_field() {
        for right in ["a", "backend-1", "127.0.0.1:3000", &"x".repeat(64)] {
            assert_eq!(right.parse::<Name>().unwrap().to_string(), right);
        }
        for wrong in ["", "a b", "a\r\nSet-Cookie:", "ä", "a\0", &"x".repeat(65)] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
        }
    }
}
