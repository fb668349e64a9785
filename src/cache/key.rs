//! Which resource a request is about, as the cache tells resources apart: the target URI exactly as it goes to the backend
//! (RFC 9111 §2).
//!
//! ```text
//! GET /a?b HTTP/1.1        http :// www.example.com /a ?b
//! Host: www.example.com    scheme   authority       path query
//! ```
//!
//! Nothing is normalized here, although RFC 9110 §4.2.3 would allow it for the host's case and the default port. The
//! backend gets the spelling that the client chose and may answer another spelling differently: a cache that took
//! `Host: A.example` for `a.example` would let one client decide what all others see. Two spellings are two entries; what
//! invalidates one of them invalidates the normal form as well ([`Key::normal`]).

use crate::http::{RequestHead, Target, target::Form, target::Scheme};
use std::{
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{Hash, Hasher},
};

/// The secret that a hash starts with. Chosen at random when the cache is built, so that no client can choose URIs that
/// collide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seed(pub u128);

impl Seed {
    /// The hash of anything else that clients choose, under the same secret.
    #[must_use]
    pub fn hash(self, what: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(self.0);
        what.hash(&mut hasher);
        hasher.finish()
    }
}

/// A target URI taken apart, borrowed from a request: looked up without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// How the client reached us, or what an absolute target says.
    pub scheme: Scheme,
    /// Host and port as sent; empty for an HTTP/1.0 request that names none.
    pub authority: &'a str,
    /// As sent; never empty.
    pub path: &'a str,
    /// What follows the `?`. `/a?` and `/a` differ.
    pub query: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// The URI of a request that came over a connection of that scheme (RFC 9110 §7.1). `None` in the forms that name no
    /// resource that could be stored: `CONNECT`'s and `OPTIONS *`.
    #[must_use]
    pub fn of(request: &'a RequestHead, scheme: Scheme) -> Option<Self> {
        let target = request.parsed_target();
        let scheme = match target.form() {
            Form::Origin => scheme,
            Form::Absolute(named) => named,
            Form::Authority | Form::Asterisk => return None,
        };
        let authority = request.authority().unwrap_or_default();
        Some(Self { scheme, authority, path: target.path(), query: target.query() })
    }

    /// The parts of an absolute target: for a URI that was named by an operator or a response. `None` for other forms.
    #[must_use]
    pub fn of_target(target: &'a Target) -> Option<Self> {
        let Form::Absolute(scheme) = target.form() else { return None };
        Some(Self { scheme, authority: target.authority()?, path: target.path(), query: target.query() })
    }

    /// The hash under which it is stored.
    #[must_use]
    pub fn hash(&self, seed: Seed) -> u64 {
        // The keyed hash of the standard library, whose own keys are fixed: the secret is the first thing it is fed.
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(seed.0);
        hasher.write_u8(self.scheme as u8);
        self.authority.hash(&mut hasher);
        self.path.hash(&mut hasher);
        self.query.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether `key` is the same URI.
    #[must_use]
    pub fn is(&self, key: &Key) -> bool {
        *self == key.uri()
    }

    /// Owned, to be stored.
    #[must_use]
    pub fn to_key(&self) -> Key {
        // As much as it takes, so that the box is the same allocation.
        let query = self.query.map_or(0, |query| "?".len() + query.len());
        let length = self.scheme.prefix().len() + self.authority.len() + self.path.len() + query;
        let mut text = String::with_capacity(length);
        text.push_str(self.scheme.prefix());
        text.push_str(self.authority);
        let path = offset(text.len());
        text.push_str(self.path);
        let path_end = offset(text.len());
        if let Some(query) = self.query {
            text.push('?');
            text.push_str(query);
        }
        Key { text: text.into(), scheme: self.scheme, path, path_end }
    }
}

/// A place in a URI. Requests are limited to kilobytes long before they come here.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A URI under which responses are stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    text: Box<str>,
    scheme: Scheme,
    path: u32,
    path_end: u32,
}

impl Key {
    /// The whole URI, as text: for `Cache-Status`, purging and logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its parts.
    #[must_use]
    pub fn uri(&self) -> Uri<'_> {
        let (path, path_end) = (self.path as usize, self.path_end as usize);
        Uri {
            scheme: self.scheme,
            authority: self.text.get(self.scheme.prefix().len()..path).unwrap_or_default(),
            path: self.text.get(path..path_end).unwrap_or_default(),
            query: self.text.get(path_end + 1..),
        }
    }

    /// The spelling that most clients use for the same resource (RFC 9110 §4.2.3): host in lower case, default port left
    /// out. `None` if it is spelled so already.
    #[must_use]
    pub fn normal(&self) -> Option<Self> {
        let uri = self.uri();
        let lower = uri.authority.to_ascii_lowercase();
        let port = match uri.scheme {
            Scheme::Http => ":80",
            Scheme::Https => ":443",
        };
        let authority = lower.strip_suffix(port).or_else(|| lower.strip_suffix(':')).unwrap_or(&lower);
        (authority != uri.authority).then(|| Uri { authority, ..uri }.to_key())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a URI is kept: looked up without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The URI.
    pub uri: Uri<'a>,
    /// Its hash under the store's seed.
    pub hash: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    fn request(method: Method, target: &str, host: Option<&str>) -> RequestHead {
        let mut head = RequestHead::new(method, target).unwrap();
        if let Some(host) = host {
            head.fields.push("Host", host);
        }
        head
    }

    fn key(target: &str, host: Option<&str>) -> Option<Key> {
        let request = request(Method::Get, target, host);
        Uri::of(&request, Scheme::Http).map(|uri| uri.to_key())
    }

    #[test]
    fn the_target_uri_as_it_was_sent() {
        // RFC 9111 §2, RFC 9110 §7.1.
        for (target, host, expected) in [
            ("/", Some("a"), "http://a/"),
            ("/a/../b;c=%7E", Some("A.example:80"), "http://A.example:80/a/../b;c=%7E"),
            ("/a?b=1&c", Some("a"), "http://a/a?b=1&c"),
            ("/a?", Some("a"), "http://a/a?"),
            ("//a", Some("b"), "http://b//a"),
            ("/", None, "http:///"),
            ("http://b", Some("b"), "http://b/"),
            ("https://b?c", Some("b"), "https://b/?c"),
            ("http://[::1]:8080/x", Some("[::1]:8080"), "http://[::1]:8080/x"),
        ] {
            let key = key(target, host).unwrap();
            assert_eq!(key.as_str(), expected);
            assert_eq!(key.uri().to_key(), key, "{expected}");
        }
    }

    #[test]
    fn a_target_without_a_resource_has_no_key() {
        for (method, target) in [(Method::Connect, "a:443"), (Method::Options, "*")] {
            assert_eq!(Uri::of(&request(method, target, Some("a")), Scheme::Http), None);
        }
    }

    #[test]
    fn different_uris_never_share_an_entry() {
        let spellings = [
            ("/a", "a"),
            ("/A", "a"),
            ("/a", "A"),
            ("/a", "a:80"),
            ("/a?", "a"),
            ("/a?b", "a"),
            ("/a?B", "a"),
            ("/a/", "a"),
            ("/%61", "a"),
            ("/", "a/a"),
        ];
        let keys = spellings.map(|(target, host)| (key(target, Some(host)).unwrap(), target, host));
        for (one, target, host) in &keys {
            let request = request(Method::Get, target, Some(host));
            let uri = Uri::of(&request, Scheme::Http).unwrap();
            for (other, ..) in &keys {
                assert_eq!(uri.is(other), one == other, "{one} {other}");
                assert_eq!(uri.hash(Seed(7)) == other.uri().hash(Seed(7)), one == other, "{one} {other}");
            }
            let secure = Uri { scheme: Scheme::Https, ..uri };
            assert!(!secure.is(one) && secure.hash(Seed(7)) != uri.hash(Seed(7)), "{one}");
        }
    }

    /// Moving a byte from one part to the next makes another URI and another hash.
    #[test]
    fn parts_do_not_run_into_each_other() {
        let uri = |authority, path, query| Uri { scheme: Scheme::Http, authority, path, query };
        let all = [uri("a", "/b", None), uri("a/b", "", None), uri("a", "/", Some("b")), uri("a", "/?b", None)];
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(one.hash(Seed(1)) == other.hash(Seed(1)), at == other_at, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_hash_depends_on_the_seed_and_on_nothing_else() {
        let key = key("/a?b", Some("a")).unwrap();
        assert_eq!(key.uri().hash(Seed(1)), key.clone().uri().hash(Seed(1)));
        assert_ne!(key.uri().hash(Seed(1)), key.uri().hash(Seed(2)));
        assert_ne!(key.uri().hash(Seed(1)), key.uri().hash(Seed(1 << 64)));
    }

    #[test]
    fn a_hit_compares_equal_without_being_owned() {
        let head = request(Method::Get, "/a?b", Some("a"));
        let uri = Uri::of(&head, Scheme::Http).unwrap();
        assert!(uri.is(&key("/a?b", Some("a")).unwrap()));
    }

    #[test]
    fn the_normal_spelling() {
        // RFC 9110 §4.2.3: the host ignores case, the default port says nothing; paths are left alone.
        for (target, host, normal) in [
            ("/A", "a", None),
            ("/A", "a:81", None),
            ("/A?B", "A:80", Some("http://a/A?B")),
            ("/A", "A:8080", Some("http://a:8080/A")),
            ("/A", "a:", Some("http://a/A")),
            ("/A", "[::1]:80", Some("http://[::1]/A")),
            ("https://A:443/", "A:443", Some("https://a/")),
            ("https://a:80/", "a:80", None),
        ] {
            let normal_key = key(target, Some(host)).unwrap().normal();
            assert_eq!(normal_key.as_ref().map(Key::as_str), normal, "{target} {host}");
            assert_eq!(normal_key.and_then(|key| key.normal()), None);
        }
    }
}
