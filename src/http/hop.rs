//! What belongs to one hop and what to the whole way (RFC 9110 §7.6.1, §6.5.1).

use super::{Error, Fields, RequestHead, Version};

/// Whether a field may be forwarded, with what `Connection` lists taken into account.
///
/// ```
/// use socket_patterns::http::{Fields, hop::HopByHop};
/// let fields: Fields = [("Connection", "close, X-Mine"), ("X-Mine", "1"), ("Accept", "*/*")].into_iter().collect();
/// let hop = HopByHop::of(&fields);
/// assert!(hop.contains("x-mine") && hop.contains("Connection") && !hop.contains("accept"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct HopByHop<'a> {
    fields: &'a Fields,
    /// Whether `Connection` lists anything that is not removed anyway: seldom, so that most look-ups end before the list.
    listed: bool,
}

impl<'a> HopByHop<'a> {
    /// Reads the `Connection` lines once.
    #[must_use]
    pub fn of(fields: &'a Fields) -> Self {
        let usual = |option: &[u8]| option.eq_ignore_ascii_case(b"close") || is_hop_by_hop(option);
        Self { fields, listed: !fields.tokens("connection").all(usual) }
    }

    /// Whether the field named so has to be removed before forwarding.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        is_hop_by_hop(name.as_bytes())
            // Without Host the request would be for somebody else: a sender must not list it, and we do not obey.
            || self.listed && !name.eq_ignore_ascii_case("host") && self.fields.has_token("connection", name)
    }
}

/// Fields that every intermediary removes, listed in `Connection` or not.
///
/// | field | why |
/// |---|---|
/// | `Connection`, `Keep-Alive`, `Proxy-Connection` | about this connection (RFC 9110 §7.6.1, RFC 9112 §C.2.2) |
/// | `TE` | what this recipient decodes (§10.1.4): forward `TE: trailers` as our own word if trailers are forwarded |
/// | `Transfer-Encoding` | how this message is framed: the next is framed anew |
/// | `Upgrade` | an offer to us (§7.8): whoever tunnels writes its own |
/// | `Proxy-Authenticate`, `Proxy-Authorization`, `Proxy-Authentication-Info` | between a client and the proxy it chose (§11.7): a server behind a reverse proxy must not see such credentials, nor ask for them |
/// | `HTTP2-Settings` | of an upgrade to HTTP/2 that we do not make (RFC 9113 §3.1) |
///
/// `Trailer` is not among them: it announces fields that are forwarded too.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    let candidates: &[&str] = match name.len() {
        2 => &["te"],
        7 => &["upgrade"],
        10 => &["connection", "keep-alive"],
        14 => &["http2-settings"],
        16 => &["proxy-connection"],
        17 => &["transfer-encoding"],
        18 => &["proxy-authenticate"],
        19 => &["proxy-authorization"],
        25 => &["proxy-authentication-info"],
        _ => return false,
    };
    candidates.iter().any(|candidate| name.eq_ignore_ascii_case(candidate.as_bytes()))
}

/// Fields that may not be trailers (RFC 9110 §6.5.1): by the time they come, framing, routing, authentication, request
/// modifiers, response control and the content's format have been decided.
#[must_use]
pub fn forbidden_in_trailers(name: &str) -> bool {
    const FORBIDDEN: &[&str] = &[
        // Routing and request modifiers.
        "host",
        "max-forwards",
        "expect",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "forwarded",
        "via",
        // Authentication and state.
        "authorization",
        "www-authenticate",
        "authentication-info",
        "set-cookie",
        "cookie",
        // Response control.
        "age",
        "cache-control",
        "expires",
        "date",
        "location",
        "retry-after",
        "vary",
        "warning",
        "pragma",
        // How the content is to be processed.
        "content-encoding",
        "content-type",
        "content-range",
        "content-length",
        "trailer",
    ];
    is_hop_by_hop(name.as_bytes())
        || FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
        || name.get(..12).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-forwarded-"))
}

/// Whether the client waits for 100 (Continue) before it sends its content (RFC 9110 §10.1.1). HTTP/1.0 knows no interim
/// responses: there the field is ignored. Nor is there anything to wait for without content: ask about that first.
#[must_use]
pub fn expects_continue(head: &RequestHead) -> bool {
    head.version == Version::Http11 && head.fields.has_token("expect", "100-continue")
}

/// [`Error::UnknownExpectation`] if the request expects anything else, which a server may refuse with 417.
pub fn check_expectations(head: &RequestHead) -> Result<(), Error> {
    let known = |expectation: &[u8]| expectation.eq_ignore_ascii_case(b"100-continue");
    if head.fields.tokens("expect").all(known) { Ok(()) } else { Err(Error::UnknownExpectation) }
}

/// The protocols that the client offers to switch to (RFC 9110 §7.8), if it listed `upgrade` in `Connection`. HTTP/1.0
/// offers are ignored.
pub fn upgrade_offers(head: &RequestHead) -> impl Iterator<Item = &[u8]> {
    let offered = head.version == Version::Http11 && head.fields.has_token("connection", "upgrade");
    head.fields.tokens("upgrade").filter(move |_| offered)
}
