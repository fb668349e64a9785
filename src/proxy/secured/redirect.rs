//! The way of plain clients to TLS: a redirect now, and a word that a browser remembers for the next time.

use crate::{
    cache::Pattern,
    http::{Authority, RequestHead, target::Form},
    proxy::readings,
};
use std::{sync::Arc, time::Duration};

/// Requests over plain connections are sent to TLS (308, RFC 9110 §15.4.9: the method stays).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The port that clients use for TLS. 443 is not written.
    pub port: u16,
    /// Paths that are answered all the same.
    pub except: Vec<Pattern>,
}

impl Redirect {
    /// Whether a plain request with this head is redirected.
    pub(in crate::proxy) fn applies(&self, head: &RequestHead) -> bool {
        let target = head.parsed_target();
        // A backend may read the path as another one.
        let is_excepted = |path: &[u8]| self.except.iter().any(|pattern| pattern.matches(path));
        let stays = !self.except.is_empty() && readings::all(target.path().as_bytes(), is_excepted);
        matches!(target.form(), Form::Origin | Form::Absolute(_)) && !stays
    }

    /// The same resource over TLS. `None`: the request does not say of which host.
    pub(in crate::proxy) fn location(&self, head: &RequestHead) -> Option<String> {
        let authority = Authority::parse(head.authority()?.as_bytes()).ok()?;
        let mut location = format!("https://{}", authority.host).into_bytes();
        if self.port != 443 {
            location.extend_from_slice(format!(":{}", self.port).as_bytes());
        }
        head.parsed_target().write_origin_form(&head.method, &mut location);
        String::from_utf8(location).ok()
    }
}

/// The value of `Strict-Transport-Security` (RFC 6797 §6.1).
pub(super) fn strict_transport_security(lifetime: Duration, subdomains: bool) -> Arc<str> {
    let more = if subdomains { "; includeSubDomains" } else { "" };
    format!("max-age={}{more}", lifetime.as_secs()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn head(method: Method, target: &str, host: Option<&str>) -> RequestHead {
        let mut head = RequestHead::new(method, target).unwrap();
        head.fields = host.iter().map(|host| ("Host", host)).collect();
        head
    }

    #[test]
    fn the_same_resource_over_tls() {
        for (target, host, port, location) in [
            ("/", Some("a.example"), 443, Some("https://a.example/")),
            ("/x?y=%2F&z", Some("a.example:80"), 8443, Some("https://a.example:8443/x?y=%2F&z")),
            ("http://b.example:8080/x", Some("b.example:8080"), 443, Some("https://b.example/x")),
            ("http://b.example", Some("b.example"), 443, Some("https://b.example/")),
            ("/", Some("[::1]:8080"), 8443, Some("https://[::1]:8443/")),
            ("//evil.example/x", Some("a.example"), 443, Some("https://a.example//evil.example/x")),
            ("/", None, 443, None),
        ] {
            let redirect = Redirect { port, except: Vec::new() };
            let head = head(Method::Get, target, host);
            assert!(redirect.applies(&head));
            assert_eq!(redirect.location(&head).as_deref(), location, "{target} {host:?}");
        }
    }

    #[test]
    fn some_paths_stay() {
        let redirect = Redirect { port: 443, except: vec!["/.well-known/acme-challenge/*".parse().unwrap()] };
        for (method, target, applies) in [
            (Method::Get, "/", true),
            (Method::Post, "/.well-known/acme-challenge", true),
            (Method::Get, "/.well-known/acme-challenge/token?x", false),
            (Method::Get, "http://a/.well-known/acme-challenge/token", false),
            (Method::Get, "/.well-known/acme-challenge/a%20b", false),
            (Method::Get, "/.well-known/acme-challenge/../../x", true),
            (Method::Get, "/.well-known/acme-challenge/..%2f..%2fx", true),
            (Method::Options, "*", false),
        ] {
            assert_eq!(redirect.applies(&head(method, target, Some("a"))), applies, "{target}");
        }
    }
}
