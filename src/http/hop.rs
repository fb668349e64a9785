//! Tells which fields belong to one hop and which to the whole way (RFC 9110 §7.6.1, §6.5.1).

use super::{
    Error, Fields, Method, RequestHead, Version,
    claims::{Claim, claim, is_of_gateway},
    framing,
    limits::MAX_CONNECTION_OPTIONS,
    list::members,
    name::is_same,
};

/// Whether a field may be forwarded, with what `Connection` lists taken into account.
///
/// ```
/// use socket_patterns::http::{Fields, hop::HopByHop};
/// let fields: Fields = [("Connection", "close, X-Mine"), ("X-Mine", "1"), ("Accept", "*/*")].into_iter().collect();
/// let hop = HopByHop::of(&fields);
/// assert!(hop.contains("x-mine") && hop.contains("Connection") && !hop.contains("accept"));
/// ```
#[derive(Debug, Clone)]
pub struct HopByHop<'a> {
    /// The names that `Connection` lists and that are not removed anyway, in order: seldom any, so that most look-ups
    /// end before it.
    listed: Vec<&'a [u8]>,
}

impl<'a> HopByHop<'a> {
    /// Reads the `Connection` lines once.
    #[must_use]
    pub fn of(fields: &'a Fields) -> Self {
        // Without Host the request would be for another host: a sender must not list it, and we do not obey. Nor is what a gateway
        // says taken out: a client may have written the list, and the gateway before us passed it on.
        let ignored = |option: &[u8]| is_same(option, b"host") || is_of_gateway(option);
        let counts = |option: &&[u8]| !is_hop_by_hop(option) && !ignored(option);
        // Nearly every list is one of these words and nothing else, and they are no names of fields that could be passed on.
        let says_more = |list: &&[u8]| !(is_same(list, b"keep-alive") || is_same(list, b"close"));
        let mut listed = Vec::new();
        for list in fields.get_all("connection").filter(says_more) {
            listed.extend(members(list).filter(counts));
        }
        listed.sort_by(|one, other| without_case(one).cmp(without_case(other)));
        Self { listed }
    }

    /// Whether the field named so has to be removed before forwarding.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        let name = name.as_ref();
        is_hop_by_hop(name) || self.lists(name)
    }

    fn lists(&self, name: &[u8]) -> bool {
        let of = |option: &&[u8]| without_case(option).cmp(without_case(name));
        self.listed.binary_search_by(of).is_ok()
    }
}

fn without_case(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// Refuses more options than a real peer has. Empty ones count: no more than a reasonable number has to be skipped (RFC
/// 9110 §5.6.1.2).
pub(super) fn check_options(fields: &Fields) -> Result<(), Error> {
    let sum = |of: fn(&[u8]) -> usize| fields.get_all("connection").map(|line| 1 + of(line)).sum::<usize>();
    // Lists so short that not even commas alone would be too many need not be looked at.
    let are_few = sum(<[u8]>::len) <= MAX_CONNECTION_OPTIONS
        || sum(|line| memchr::memchr_iter(b',', line).count()) <= MAX_CONNECTION_OPTIONS;
    if are_few { Ok(()) } else { Err(Error::TooManyOptions) }
}

/// Takes out what `Connection` lists besides the usual options, and what it says of them: fields that no hop but this one
/// will see, so that nothing is concluded from them about what the next hop answers. Those that frame the message stay.
pub fn remove_listed(fields: &mut Fields) {
    let hop = HopByHop::of(fields);
    if hop.listed.is_empty() {
        return;
    }
    let goes = |name: &str| hop.lists(name.as_bytes()) && !framing::is_framing(name);
    let mut kept: Fields =
        fields.iter().filter(|(name, _)| !(is_same(name.as_bytes(), b"connection") || goes(name))).collect();
    for option in fields.tokens("connection").filter(|option| is_hop_by_hop(option)) {
        kept.push("Connection", option);
    }
    *fields = kept;
}

/// Fields that every intermediary removes, listed in `Connection` or not.
///
/// | field | why |
/// |---|---|
/// | `Connection`, `Keep-Alive`, `Proxy-Connection` | about this connection (RFC 9110 §7.6.1, RFC 9112 §C.2.2) |
/// | `Close` | no field: the name is reserved for the option (RFC 9112 §9.6) |
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
        5 => &["close"],
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
    candidates.iter().any(|candidate| is_same(name, candidate.as_bytes()))
}

/// Fields that may not be trailers (RFC 9110 §6.5.1): by the time they come, framing, routing, authentication, request
/// modifiers, response control and the content's format have been decided.
#[must_use]
pub fn forbidden_in_trailers(name: impl AsRef<[u8]>) -> bool {
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
    let name = name.as_ref();
    is_hop_by_hop(name)
        || FORBIDDEN.iter().any(|forbidden| is_same(name, forbidden.as_bytes()))
        || matches!(claim(name), Claim::Gateway(_) | Claim::Disguise)
}

/// Whether the client takes trailers (RFC 9110 §10.1.4). Other clients may drop them unseen (§6.5.2).
#[must_use]
pub fn accepts_trailers(head: &RequestHead) -> bool {
    head.fields.has_token("te", "trailers")
}

/// The most hops that can be counted everywhere: a larger number, which the next hop may read as negative, is taken for
/// this one (RFC 9110 §7.6.2 lets a recipient have a maximum).
const MAX_FORWARDS: u64 = i32::MAX as u64;

/// How often a `TRACE` or `OPTIONS` may still be forwarded (RFC 9110 §7.6.2). 0: it has to be answered here; else it is
/// forwarded with one less. `None`: no limit, or a method to which the field does not apply.
#[must_use]
pub fn max_forwards(head: &RequestHead) -> Option<u64> {
    if !matches!(head.method, Method::Trace | Method::Options) {
        return None;
    }
    let mut least: Option<u64> = None;
    // Of several the least: whichever the next hop believes, none may have become more.
    for digits in head.fields.get_all("max-forwards") {
        let number = number(digits)?.min(MAX_FORWARDS);
        least = Some(least.map_or(number, |least| least.min(number)));
    }
    least
}

/// The number that plain digits stand for. A number that is too large becomes the largest that we can count.
fn number(digits: &[u8]) -> Option<u64> {
    let add = |number: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// Whether the client waits for 100 (Continue) before it sends its content (RFC 9110 §10.1.1). HTTP/1.0 knows no interim
/// responses: there the field is ignored. Nor is there anything to wait for without content: ask about that first.
///
/// A server that cannot meet another expectation may refuse it with 417. Only the backend knows whether it can: a proxy
/// forwards the field.
#[must_use]
pub fn expects_continue(head: &RequestHead) -> bool {
    head.version == Version::Http11 && head.fields.has_token("expect", "100-continue")
}

/// The protocols that the client offers to switch to (RFC 9110 §7.8), if it listed `upgrade` in `Connection`. HTTP/1.0
/// offers are ignored.
pub fn upgrade_offers(head: &RequestHead) -> impl Iterator<Item = &[u8]> {
    let offered = head.version == Version::Http11 && head.fields.has_token("connection", "upgrade");
    head.fields.tokens("upgrade").filter(move |_| offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        lines.iter().copied().collect()
    }

    fn request(method: Method, version: Version, lines: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::new(method, "/").unwrap();
        head.version = version;
        head.fields = fields(lines);
        head
    }

    #[test]
    fn hop_by_hop_with_and_without_being_listed() {
        let none = fields(&[]);
        let usual = fields(&[("Connection", "keep-alive, Upgrade"), ("connection", "TE")]);
        let listed = fields(&[("Connection", "close, X-A"), ("X-B", "1"), ("CONNECTION", ",x-c,, host")]);
        for (name, alone, by_list) in [
            ("Connection", true, true),
            ("keep-alive", true, true),
            ("Proxy-Connection", true, true),
            ("TE", true, true),
            ("Transfer-Encoding", true, true),
            ("UPGRADE", true, true),
            ("Proxy-Authorization", true, true),
            ("Proxy-Authenticate", true, true),
            ("Proxy-Authentication-Info", true, true),
            ("HTTP2-Settings", true, true),
            ("x-a", false, true),
            ("X-C", false, true),
            ("x-b", false, false),
            ("x-", false, false),
            // Listed or not, a request needs it.
            ("Host", false, false),
            ("Trailer", false, false),
            ("Content-Length", false, false),
            ("close", true, true),
        ] {
            assert_eq!(HopByHop::of(&none).contains(name), alone, "{name}");
            assert_eq!(HopByHop::of(&usual).contains(name), alone, "{name}");
            assert_eq!(HopByHop::of(&listed).contains(name), by_list, "{name}");
        }
    }

    #[test]
    fn options_are_few() {
        let many = |count: usize, between: &str| vec!["x"; count].join(between);
        for (lines, allowed) in [
            (&[many(MAX_CONNECTION_OPTIONS, ",")][..], true),
            (&[many(MAX_CONNECTION_OPTIONS + 1, ",")], false),
            // Empty ones count.
            (&[many(MAX_CONNECTION_OPTIONS / 2, " ,\t,")], true),
            (&[many(MAX_CONNECTION_OPTIONS / 2, ",,"), "y, z".to_owned()], false),
            (&[",".repeat(2000)], false),
            (&[many(MAX_CONNECTION_OPTIONS, ","), "y".to_owned()], false),
            (&[many(3, ","), many(MAX_CONNECTION_OPTIONS - 3, ",")], true),
            (&vec![many(3, ","); MAX_CONNECTION_OPTIONS / 3 + 1], false),
            (&vec!["x".to_owned(); MAX_CONNECTION_OPTIONS], true),
            (&vec!["x".to_owned(); MAX_CONNECTION_OPTIONS + 1], false),
            (&["x".repeat(8000)], true),
        ] {
            let fields = lines.iter().map(|line| ("Connection", line)).collect();
            assert_eq!(check_options(&fields), if allowed { Ok(()) } else { Err(Error::TooManyOptions) }, "{lines:?}");
        }
    }

    #[test]
    fn a_listed_field_is_taken_out_with_its_name() {
        for (before, after) in [
            (
                &[("Connection", "close, TE"), ("TE", "trailers")][..],
                &[("Connection", "close, TE"), ("TE", "trailers")][..],
            ),
            (
                &[("Host", "a"), ("connection", "X-A, Upgrade, x-b"), ("x-a", "1"), ("X-C", "1"), ("Upgrade", "x")],
                &[("Host", "a"), ("X-C", "1"), ("Upgrade", "x"), ("Connection", "Upgrade")],
            ),
            (
                &[
                    ("Connection", "Host, Content-Length, Cookie"),
                    ("Host", "a"),
                    ("Content-Length", "0"),
                    ("Cookie", "b"),
                ],
                &[("Host", "a"), ("Content-Length", "0")],
            ),
        ] {
            let mut found = fields(before);
            remove_listed(&mut found);
            assert_eq!(found, fields(after), "{before:?}");
        }
    }

    #[test]
    fn fields_that_would_come_too_late_in_a_trailer() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "HOST",
            "Authorization",
            "Set-Cookie",
            "X-Forwarded-For",
            "X_Real_IP",
        ] {
            assert!(forbidden_in_trailers(name), "{name}");
        }
        for name in ["Digest", "Server-Timing", "Grpc-Status", "ETag", "X-Forward", ""] {
            assert!(!forbidden_in_trailers(name), "{name}");
        }
    }

    #[test]
    fn expectations() {
        for (version, value, waits) in [
            (Version::Http11, "100-continue", true),
            (Version::Http11, "100-Continue", true),
            (Version::Http10, "100-continue", false),
            (Version::Http11, "200-ok", false),
            (Version::Http11, "100-continue, more", true),
            (Version::Http11, "", false),
        ] {
            let head = request(Method::Post, version, &[("expect", value)]);
            assert_eq!(expects_continue(&head), waits, "{value}");
        }
    }

    #[test]
    fn upgrades_need_both_fields_and_http_1_1() {
        let offers = |version, lines: &[(&str, &str)]| {
            let head = request(Method::Get, version, lines);
            upgrade_offers(&head).map(|offer| String::from_utf8_lossy(offer).into_owned()).collect::<Vec<_>>()
        };
        let both = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket, h2c")];
        assert_eq!(offers(Version::Http11, &both), ["websocket", "h2c"]);
        assert!(offers(Version::Http10, &both).is_empty());
        assert!(offers(Version::Http11, &both[1..]).is_empty());
        assert!(offers(Version::Http11, &both[..1]).is_empty());
    }

    #[test]
    fn trailers_and_forwards() {
        let head = |method, lines: &[(&str, &str)]| request(method, Version::Http11, lines);
        assert!(accepts_trailers(&head(Method::Get, &[("TE", "gzip, Trailers")])));
        assert!(!accepts_trailers(&head(Method::Get, &[("TE", "gzip")])));
        for (method, value, left) in [
            (Method::Options, "0", Some(0)),
            (Method::Trace, "10", Some(10)),
            (Method::Trace, "2147483646", Some(MAX_FORWARDS - 1)),
            (Method::Trace, "18446744073709551615", Some(MAX_FORWARDS)),
            (Method::Options, "99999999999999999999999999", Some(MAX_FORWARDS)),
            (Method::Get, "0", None),
            (Method::Trace, "-1", None),
            (Method::Trace, "+1", None),
            (Method::Trace, "", None),
        ] {
            assert_eq!(max_forwards(&head(method, &[("Max-Forwards", value)])), left, "{value}");
        }
        for (one, two, left) in [("5", "0", Some(0)), ("3", "5", Some(3)), ("3", "x", None)] {
            let fields = [("Max-Forwards", one), ("max-forwards", two)];
            assert_eq!(max_forwards(&head(Method::Trace, &fields)), left, "{one} and {two}");
        }
    }
}
