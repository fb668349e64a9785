//! Which pages may open a WebSocket here, and by which names this server is known.
//!
//! A browser lets any page connect to any WebSocket, and sends the user's credentials along; only `Origin` tells whose page it is. The
//! host is checked as well: a page of `evil.example` whose name suddenly leads to 127.0.0.1 has the same origin as this server then, but
//! not a name that it was told.

use crate::http::{Authority, Fields};
use std::str::FromStr;

/// An origin that was allowed, as in `https://chat.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    text: String,
    authority: String,
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HINT: &str = "write a scheme, a host and a port if it has one, as in https://chat.example";
        let text = text.to_ascii_lowercase();
        let authority = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(HINT)?;
        if Authority::parse(authority.as_bytes()).is_err() {
            return Err(HINT);
        }
        Ok(Self { authority: authority.to_owned(), text })
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// A host that is neither an address nor `localhost`, and was not told.
    Host,
    /// A page of another origin.
    Origin,
}

impl Foreign {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Host => "this server is not known by that name: start it with --origin",
            Self::Origin => "pages of other origins may not connect: allow one with --origin",
        }
    }
}

/// Checks `Host` and `Origin`. A client without `Origin` is no browser, and may do what it likes anyway.
pub(crate) fn check(fields: &Fields, allowed: &[Origin]) -> Result<(), Foreign> {
    let host = fields.get("host").unwrap_or_default();
    let is_told = |host: &[u8]| allowed.iter().any(|origin| host.eq_ignore_ascii_case(origin.authority.as_bytes()));
    if !is_told(host) && !is_local(host) {
        return Err(Foreign::Host);
    }
    let mut origins = fields.get_all("origin");
    let (first, second) = (origins.next(), origins.next());
    let is_allowed = |origin: &[u8]| {
        let authority = [&b"http://"[..], b"https://"].iter().find_map(|scheme| origin.strip_prefix(*scheme));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
            || allowed.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed.text.as_bytes()))
    };
    match (first, second) {
        (None, _) => Ok(()),
        (Some(origin), None) if is_allowed(origin) => Ok(()),
        _ => Err(Foreign::Origin),
    }
}

/// An address, or the one name that no one else can give away.
fn is_local(host: &[u8]) -> bool {
    let Ok(Authority { host, .. }) = Authority::parse(host) else { return false };
    host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_pages_and_allowed_ones_may_connect() {
        let allowed = ["https://chat.example".parse().unwrap()];
        for (host, origins, expected) in [
            ("127.0.0.1:8080", &[][..], Ok(())),
            ("127.0.0.1:8080", &["http://127.0.0.1:8080"], Ok(())),
            ("[::1]:8080", &["http://[::1]:8080"], Ok(())),
            ("LocalHost:8080", &["http://localhost:8080"], Ok(())),
            ("chat.example", &["https://chat.example"], Ok(())),
            // Before this server, something else speaks TLS and changes the host.
            ("127.0.0.1:8080", &["https://Chat.Example"], Ok(())),
            ("127.0.0.1:8080", &["http://127.0.0.1:8081"], Err(Foreign::Origin)),
            ("127.0.0.1:8080", &["http://evil.example"], Err(Foreign::Origin)),
            ("127.0.0.1:8080", &["http://chat.example"], Err(Foreign::Origin)),
            ("127.0.0.1:8080", &["null"], Err(Foreign::Origin)),
            ("127.0.0.1:8080", &["http://127.0.0.1:8080", "http://evil.example"], Err(Foreign::Origin)),
            ("evil.example:8080", &["http://evil.example:8080"], Err(Foreign::Host)),
            ("evil.example:8080", &[], Err(Foreign::Host)),
            ("127.0.0.1.evil.example", &[], Err(Foreign::Host)),
        ] {
            let mut fields = Fields::new();
            fields.push("Host", host);
            origins.iter().for_each(|origin| fields.push("Origin", origin));
            assert_eq!(check(&fields, &allowed), expected, "{host} {origins:?}");
        }
        for wrong in ["chat.example", "ws://chat.example", "https://", "https://a b", "https://a/"] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
