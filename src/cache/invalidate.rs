//! Which stored responses an unsafe exchange makes untrue (RFC 9111 §4.4).
//!
//! `POST /orders` that ends well changes `/orders`, and the URIs that its `Location` and `Content-Location` name. The
//! latter are believed only within the origin that was asked: no origin may clear another one's pages.

use super::key::{Key, Uri};
use crate::http::{Authority, Method, ResponseHead, target::Scheme};

/// Lines of `Location` and `Content-Location` that are looked at. Each is to come once.
const MAX_LINES: usize = 4;

/// The URIs whose stored responses have to go after `method` on `target` was answered with `response`; none for a safe
/// method and for an answer that is an error. An unknown method may change anything.
#[must_use]
pub fn invalidated(method: &Method, target: Uri<'_>, response: &ResponseHead) -> Vec<Key> {
    let mut keys = Vec::new();
    if method.is_safe() || !matches!(response.status.code(), 200..=399) {
        return keys;
    }
    add(&mut keys, target);
    for name in ["location", "content-location"] {
        for line in response.fields.get_all(name).take(MAX_LINES) {
            if let Some((path, query)) = resolve(target, line) {
                add(&mut keys, Uri { path: &path, query: query.as_deref(), ..target });
            }
        }
    }
    keys
}

/// The URI as it is spelled, and as most clients spell it.
fn add(keys: &mut Vec<Key>, uri: Uri<'_>) {
    let key = uri.to_key();
    let normal = key.normal();
    for key in std::iter::once(key).chain(normal) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
}

/// Path and query of a URI reference, resolved against `base` (RFC 3986 §5.2); `None` if it leaves the origin, or if it
/// is none.
fn resolve(base: Uri<'_>, reference: &[u8]) -> Option<(String, Option<String>)> {
    let reference =
        std::str::from_utf8(reference).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))?;
    let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
    let (hierarchy, query) = match reference.split_once('?') {
        Some((hierarchy, query)) => (hierarchy, Some(query.to_owned())),
        None => (reference, None),
    };
    let relative = match hierarchy.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => {
            // Without an authority it names nothing that is stored here.
            if !scheme.eq_ignore_ascii_case(name_of(base.scheme)) || !rest.starts_with("//") {
                return None;
            }
            rest
        }
        _ => hierarchy,
    };
    if let Some(rest) = relative.strip_prefix("//") {
        let end = rest.find('/').unwrap_or(rest.len());
        let path = if end == rest.len() { "/".to_owned() } else { without_dots(&rest[end..]) };
        return same_origin(base, &rest[..end]).then_some((path, query));
    }
    Some(match relative {
        "" => (base.path.to_owned(), query.or_else(|| base.query.map(str::to_owned))),
        path if path.starts_with('/') => (without_dots(path), query),
        path => {
            let folder = base.path.rfind('/').map_or("/", |slash| &base.path[..=slash]);
            (without_dots(&format!("{folder}{path}")), query)
        }
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn name_of(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

/// Scheme, host and port are the same (RFC 6454 §5); the scheme was compared already.
fn same_origin(base: Uri<'_>, authority: &str) -> bool {
    let default = Some(base.scheme.default_port());
    match (Authority::parse(base.authority.as_bytes()), Authority::parse(authority.as_bytes())) {
        (Ok(ours), Ok(theirs)) => {
            ours.host.eq_ignore_ascii_case(theirs.host) && ours.port.or(default) == theirs.port.or(default)
        }
        _ => false,
    }
}

/// RFC 3986 §5.2.4, for a path that starts with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
