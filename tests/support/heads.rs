//! The changes that a proxy has to make to the heads of messages, and those that it must not make, by the version of HTTP that its
//! client speaks.

use super::{
    ledger::{Attempt, Flaw, Request},
    wire::{Head, Message},
};

/// The version of HTTP that a request's client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Its response must not be chunked.
    Http10,
    Http11,
    /// Names are in lower case, and nothing is said about a connection.
    Http2,
}

impl Version {
    /// As `Via` says it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2.0",
        }
    }
}

/// Checks the changes that a proxy must make to a head before an origin sees it (RFC 9110 §7.6).
pub(super) fn check_forwarded(head: &Head, version: Option<Version>) {
    assert_eq!(head.start[2], "HTTP/1.1", "a proxy speaks its own version: {head:?}");
    for gone in ["x-hop", "keep-alive", "proxy-connection", "te", "upgrade"] {
        // A protocol, or trailers, that the client wants and the proxy asks for itself.
        let wanted = gone == "upgrade" || gone == "te" && head.field("te") == Some("trailers");
        let kept = wanted && head.has_token("connection", gone);
        assert!(kept || head.field(gone).is_none(), "{gone} is for one hop and was forwarded: {head:?}");
    }
    let Some(via) = head.field("via") else { panic!("no Via: {head:?}") };
    let cookies: Vec<&str> = head.all("cookie").collect();
    assert!(cookies.is_empty() || cookies == ["a=b; c=d"], "a cookie in pieces, or with another's: {head:?}");
    // A revalidation that no client waits for has the fields that it needs, and no others.
    if head.field("if-none-match").is_some() && head.field("x-order").is_none() {
        return;
    }
    let order: Vec<&str> = head.all("x-order").collect();
    assert_eq!(order, ["first", "second"], "repeated fields changed: {head:?}");
    assert!(version.is_none_or(|version| via.starts_with(version.as_str())), "{version:?}: {head:?}");
    let name = if via.starts_with(Version::Http2.as_str()) { "x-order" } else { "X-OrDeR" };
    assert!(head.fields.iter().any(|(other, _)| other == name), "the case of names changed: {head:?}");
}

/// Checks the changes that a proxy must make to a response before a client sees it.
pub(super) fn check_returned(response: &Message, version: Version, attempt: &Attempt, whose: &str) {
    let head = response.head.as_ref().expect("a complete response has a head");
    assert_eq!(head.field("x-hop"), None, "{whose}: a field for one hop was forwarded");
    assert!(head.field("via").is_some(), "{whose}: no Via");
    let cookies: Vec<(&str, &str)> = head
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let first = if version == Version::Http2 { "set-cookie" } else { "Set-Cookie" };
    assert_eq!(cookies, [(first, "a"), ("set-cookie", "b")], "{whose}: repeated fields, or their case, changed");
    let is_chunked = head.field("transfer-encoding").is_some();
    assert!(!is_chunked || version == Version::Http11, "{whose}: a chunked response to a client of {version:?}");
    let of_connection = ["connection", "keep-alive"].iter().any(|name| head.field(name).is_some());
    assert!(!of_connection || version != Version::Http2, "{whose}: it speaks of the connection: {head:?}");
    let sent: &[(String, String)] = &[trailer(version)];
    let all_come = attempt.trailers && (is_chunked || version == Version::Http2);
    // A body of which the length is known has no trailers in HTTP/1.1, and one from the cache may have none.
    let expected = if all_come && !(attempt.shareable && response.trailers.is_empty()) { sent } else { &[] };
    assert_eq!(response.trailers, expected, "{whose}: trailers");
}

/// Checks an answer of the proxy itself: it names no inner address, it says when to come back, and it ends a connection
/// that cannot be trusted.
pub(super) fn check_own_answer(response: &Message, request: &Request) {
    let head = response.head.as_ref().expect("a complete response has a head");
    let said = format!("{head:?} {}", String::from_utf8_lossy(&response.body));
    assert!(!said.contains("10.0.0."), "an answer names an inner address: {said}");
    if response.status() == 503 {
        assert!(head.field("retry-after").is_some(), "503 without Retry-After: {said}");
    }
    if request.flaw != Flaw::None && request.version != Version::Http2 {
        assert!(head.has_token("connection", "close"), "a malformed request, and the connection goes on: {said}");
    }
}

/// The one trailer field that clients and origins send, as it looks in that version.
pub(super) fn trailer(version: Version) -> (String, String) {
    let name = if version == Version::Http2 { "x-sum" } else { "X-Sum" };
    (name.to_owned(), "1".to_owned())
}
