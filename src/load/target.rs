//! Targets as users write them: `http://localhost:8080/bytes/100`, `https://localhost/`, `echo://127.0.0.1:9000`, `command://[::1]:9000`.

use crate::net::address::{Host, HostPort};
use std::{fmt, str::FromStr};

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP without TLS.
    Http,
    /// HTTP with TLS.
    Https,
    /// The echo service: a greeting, then every line comes back.
    Echo,
    /// The command service: a line asks, a line answers.
    Command,
}

impl Scheme {
    /// Whether it speaks HTTP.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// The port of a server that is named without one.
    fn port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Echo | Self::Command => None,
        }
    }
}

/// A server, and what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How to speak.
    pub scheme: Scheme,
    /// The server to speak with.
    pub at: HostPort,
    /// HTTP: path and query. Else empty.
    pub path: String,
}

impl Target {
    /// For the `Host` field: without the port that is the protocol's default.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.at.host {
            _ if Some(self.at.port) != self.scheme.port() => self.at.to_string(),
            Host::Name(name) => name.clone(),
            Host::Ip(ip) if ip.is_ipv4() => ip.to_string(),
            Host::Ip(ip) => format!("[{ip}]"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "write http://HOST:PORT/PATH, https://…, echo://HOST:PORT or command://HOST:PORT";
        let Some((scheme, rest)) = text.split_once("://") else {
            let error = if is_word(text) {
                format!("neither a URL nor a command: {HINT}, or load compare")
            } else {
                HINT.to_owned()
            };
            return Err(error);
        };
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ if scheme.eq_ignore_ascii_case("echo") => Scheme::Echo,
            _ if scheme.eq_ignore_ascii_case("command") => Scheme::Command,
            _ => return Err(HINT.to_owned()),
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        // Text after `#` is for the client alone (RFC 9110 §4.1).
        let path = path.split('#').next().unwrap_or_default();
        let path = match scheme {
            Scheme::Http | Scheme::Https if path.starts_with('/') => path.to_owned(),
            Scheme::Http | Scheme::Https => format!("/{path}"),
            _ if matches!(path, "" | "/") => String::new(),
            _ => return Err("a line protocol has no path: give what to say with --line".to_owned()),
        };
        let at = with_port(authority, scheme)?.parse::<HostPort>().map_err(|error| error.to_string())?;
        Ok(Self { scheme, at, path })
    }
}

/// Whether a text could be a command, but for its spelling.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The authority with a port: HTTP has a default one.
fn with_port(authority: &str, scheme: Scheme) -> Result<String, String> {
    let host = authority.rsplit(']').next().unwrap_or_default();
    match scheme.port() {
        _ if authority.contains('@') => Err("a user name is not sent: give a --header instead".to_owned()),
        Some(port) if !host.contains(':') => Ok(format!("{authority}:{port}")),
        _ => Ok(authority.to_owned()),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Echo => "echo",
            Scheme::Command => "command",
        };
        write!(f, "{scheme}://{}{}", self.at, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        const RIGHT: &[(&str, &str, &str)] = &[
            ("http://localhost:8080/a?b=c", "http://localhost:8080/a?b=c", "localhost:8080"),
            ("http://localhost", "http://localhost:80/", "localhost"),
            ("HTTP://127.0.0.1/x#top", "http://127.0.0.1:80/x", "127.0.0.1"),
            ("http://[::1]", "http://[::1]:80/", "[::1]"),
            ("https://[::1]", "https://[::1]:443/", "[::1]"),
            ("https://localhost:80", "https://localhost:80/", "localhost:80"),
            ("http://localhost:443", "http://localhost:443/", "localhost:443"),
            ("http://[::1]:81?q", "http://[::1]:81/?q", "[::1]:81"),
            ("echo://127.0.0.1:9000", "echo://127.0.0.1:9000", "127.0.0.1:9000"),
            ("command://localhost:9000/", "command://localhost:9000", "localhost:9000"),
        ];
        for (text, shown, authority) in RIGHT {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.to_string().as_str(), target.authority().as_str()), (*shown, *authority));
        }
        const WRONG: &[(&str, &str)] = &[
            ("localhost:8080", "write http://HOST:PORT/PATH"),
            ("compar", "neither a URL nor a command: write http://HOST:PORT/PATH"),
            ("Compare", "or load compare"),
            ("ftp://localhost/", "write http://HOST:PORT/PATH"),
            ("http://", "the host is missing"),
            ("http://user@localhost/", "a user name is not sent"),
            ("http://localhost:0/", "port 0"),
            ("http://localhost:99999/", "the port is a number"),
            ("echo://localhost", "the port is missing"),
            ("echo://localhost:1/path", "a line protocol has no path"),
        ];
        for (text, problem) in WRONG {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }
}
