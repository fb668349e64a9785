//! Fields that only a gateway can know the truth of: where a request came from, under which URL, which user was let in.
//!
//! ```text
//!  client ── X-Real-IP: 6.6.6.6 ──▶ gateway ── X-Real-IP: 203.0.113.9 ──▶ server
//!            a claim: anybody can write it      a statement: the gateway saw the address
//! ```
//!
//! A server behind a gateway believes these fields. So a gateway removes them from all requests of peers that it does
//! not trust. The standards name only some of them, and every product has invented more; the rest are here by their
//! families:
//!
//! | family | says |
//! |---|---|
//! | `Forwarded` (RFC 7239), `X-Forwarded-*`, `X-Real-IP`, `True-Client-IP`, … | the client's address, host, port, scheme |
//! | `X-Original-*`, `X-Rewrite-URL`, `X-Host`, `Script-Name`, … | another URL than the request's own |
//! | `Client-Cert` (RFC 9440), `X-SSL-*`, `Front-End-Https`, … | what TLS has proved |
//! | `Remote-User`, `X-Remote-User` | who was let in |
//! | `X-Sendfile-Type`, `X-Accel-Mapping`, `Surrogate-Capability` | what the gateway can do with the response |
//! | `Proxy` | nothing; CGI makes the variable `HTTP_PROXY` of it, and programs ask that proxy |

use super::{framing, grammar, hop, name::is_same};

/// The meaning of a field for a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// An ordinary field.
    None,
    /// One of the table above.
    Gateway(Says),
    /// Asks for another method than the request's own. A client may do so; a cache that answers by the method may not
    /// answer it.
    Method,
    /// A name that CGI, WSGI and their kin turn into another field's: they read `X_Real_IP` and `X.Real.IP` as
    /// `X-Real-IP`. With it a client says what it must not, and programs that look for the real name do not see it.
    Disguise,
}

/// The statement of a gateway in such a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Where the client is, or the gateway itself: nothing about the resource.
    Client,
    /// `http` or `https`.
    Scheme,
    /// `on` or `off`: whether the client came by `https`.
    Secure,
    /// The host that the client named.
    Host,
    /// The port that it came to.
    Port,
    /// The part that was taken off the path.
    Prefix,
    /// Path and query that it asked for.
    Target,
    /// The method that it asked with.
    Method,
    /// All of the above that the gateway cares to say: `Forwarded`.
    Way,
    /// Something else: the user that was let in, or a statement that is unknown here.
    Other,
}

/// Beginnings of names, in lower case, for the names that are not in [`NAMES`].
const PREFIXES: &[&str] =
    &["x-forwarded-", "x-original-", "x-ssl-", "ssl-client-", "client-cert", "x-client-cert", "x-arr-", "x-envoy-"];

/// Whole names, in lower case, the short ones first: only those as long as the one that is looked for are compared.
const NAMES: &[(&str, Says)] = &[
    ("proxy", Says::Other),
    ("x-host", Says::Host),
    ("x-scheme", Says::Scheme),
    ("forwarded", Says::Way),
    ("x-real-ip", Says::Client),
    ("client-ip", Says::Client),
    ("path-info", Says::Other),
    ("x-forwarded", Says::Other),
    ("x-real-port", Says::Client),
    ("x-client-ip", Says::Client),
    ("x-remote-ip", Says::Client),
    ("script-name", Says::Prefix),
    ("remote-user", Says::Other),
    ("x-url-scheme", Says::Scheme),
    ("forwarded-for", Says::Client),
    ("x-remote-addr", Says::Client),
    ("fly-client-ip", Says::Client),
    ("x-script-name", Says::Prefix),
    ("x-rewrite-url", Says::Target),
    ("x-remote-user", Says::Other),
    ("x-forwarded-by", Says::Client),
    ("true-client-ip", Says::Client),
    ("x-proxyuser-ip", Says::Client),
    ("cf-pseudo-ipv4", Says::Client),
    ("x-original-uri", Says::Target),
    ("x-original-url", Says::Target),
    ("x-forwarded-for", Says::Client),
    ("proxy-client-ip", Says::Client),
    ("x-forwarded-ssl", Says::Secure),
    ("front-end-https", Says::Secure),
    ("x-original-host", Says::Host),
    ("x-forwarded-uri", Says::Target),
    ("x-sendfile-type", Says::Other),
    ("x-accel-mapping", Says::Other),
    ("x-originating-ip", Says::Client),
    ("cf-connecting-ip", Says::Client),
    ("fastly-client-ip", Says::Client),
    ("do-connecting-ip", Says::Client),
    ("x-azure-clientip", Says::Client),
    ("x-azure-socketip", Says::Client),
    ("x-original-proto", Says::Scheme),
    ("x-forwarded-host", Says::Host),
    ("x-forwarded-port", Says::Port),
    ("x-forwarded-proto", Says::Scheme),
    ("x-original-method", Says::Method),
    ("x-forwarded-server", Says::Client),
    ("wl-proxy-client-ip", Says::Client),
    ("cf-connecting-ipv6", Says::Client),
    ("x-forwarded-scheme", Says::Scheme),
    ("x-forwarded-prefix", Says::Prefix),
    ("x-forwarded-method", Says::Method),
    ("x-cluster-client-ip", Says::Client),
    ("x-appengine-user-ip", Says::Client),
    ("x-http-host-override", Says::Host),
    ("surrogate-capability", Says::Other),
    ("x-original-forwarded-for", Says::Client),
];

/// Where the names of each length begin in [`NAMES`], and after the last of them where they end.
const BY_LENGTH: [u8; 27] = {
    let mut starts = [0; 27];
    let (mut length, mut at) = (0, 0);
    while length < starts.len() {
        while at < NAMES.len() && NAMES[at].0.len() < length {
            at += 1;
        }
        starts[length] = at as u8;
        length += 1;
    }
    starts
};

/// Names by which servers let a client ask for another method.
const METHODS: &[&str] = &["x-http-method-override", "x-http-method", "x-method-override"];

/// The meaning of the field `name` for a gateway.
///
/// ```
/// use socket_patterns::http::claims::{Claim, Says, claim};
/// assert_eq!(claim(b"X-Forwarded-Prefix"), Claim::Gateway(Says::Prefix));
/// assert_eq!(claim(b"X_Real.IP"), Claim::Disguise);
/// assert_eq!(claim(b"X-Mine"), Claim::None);
/// ```
#[must_use]
pub fn claim(name: &[u8]) -> Claim {
    if !grammar::is_letters_digits_hyphens(name) {
        return disguise(name);
    }
    // Nearly every field ends here: of common fields, few begin with one of these letters.
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b'x' | b'f' | b'c' | b't' | b'p' | b'w' | b's' | b'r' | b'd') => plain(name),
        _ => Claim::None,
    }
}

/// Whether only a gateway that is trusted may say it.
#[must_use]
pub fn is_of_gateway(name: &[u8]) -> bool {
    matches!(claim(name), Claim::Gateway(_))
}

/// The names under which gateways say this, in lower case.
pub fn saying(what: Says) -> impl Iterator<Item = &'static str> {
    NAMES.iter().filter(move |(_, says)| *says == what).map(|(name, _)| *name)
}

fn plain(name: &[u8]) -> Claim {
    let begins_as = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| is(start, prefix));
    let same_length = match BY_LENGTH.get(name.len()..) {
        Some([from, to, ..]) => &NAMES[usize::from(*from)..usize::from(*to)],
        _ => &[],
    };
    if let Some((_, says)) = same_length.iter().find(|(known, _)| is(name, known)) {
        Claim::Gateway(*says)
    } else if PREFIXES.iter().any(begins_as) {
        Claim::Gateway(Says::Other)
    } else if METHODS.iter().any(|method| is(name, method)) {
        Claim::Method
    } else {
        Claim::None
    }
}

fn is(name: &[u8], known: &str) -> bool {
    is_same(name, known.as_bytes())
}

/// The meaning of a name for a server that takes every other byte for a hyphen: none, if the name with hyphens is
/// ordinary.
#[cold]
fn disguise(name: &[u8]) -> Claim {
    /// Names that matter to this hop or to the next, though any client may use them.
    const OTHERS: &[&str] = &["via", "host", "date", "expect", "max-forwards"];
    let hyphens = |byte: &u8| if byte.is_ascii_alphanumeric() { *byte } else { b'-' };
    let meant: Vec<u8> = name.iter().map(hyphens).collect();
    match plain(&meant) {
        Claim::None => {}
        Claim::Method => return Claim::Method,
        Claim::Gateway(_) | Claim::Disguise => return Claim::Disguise,
    }
    let matters =
        hop::is_hop_by_hop(&meant) || framing::is_framing(&meant) || OTHERS.iter().any(|name| is(&meant, name));
    if matters { Claim::Disguise } else { Claim::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_only_a_gateway_may_send() {
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-anything",
            "X-FORWARDED-",
            "X-Forwarded",
            "X-Real-IP",
            "X-Original-URL",
            "X-Original-Host",
            "X-Rewrite-URL",
            "True-Client-IP",
            "CF-Connecting-IP",
            "Client-Cert",
            "Client-Cert-Chain",
            "X-SSL-Client-S-DN",
            "Proxy",
            "Remote-User",
        ] {
            assert!(is_of_gateway(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "x",
            "X-Forward",
            "X-Forwardedness",
            "X-Requested-With",
            "X-Real",
            "Cookie",
            "Content-Length",
            "Client",
            "Referer",
            "Range",
            "Priority",
            "Traceparent",
            "DNT",
            "Forward",
            "My_Own",
            "_",
            "a.b",
        ] {
            assert_eq!(claim(name.as_bytes()), Claim::None, "{name}");
        }
    }

    #[test]
    fn names_that_pass_for_others() {
        for name in [
            "X_Forwarded_For",
            "X-Forwarded_Port",
            "X.Real.IP",
            "x_real-ip",
            "Content_Length",
            "Transfer~Encoding",
            "Proxy_Authorization",
            "Keep_Alive",
            "SCRIPT_NAME",
            "Max_Forwards",
        ] {
            assert_eq!(claim(name.as_bytes()), Claim::Disguise, "{name}");
        }
    }

    #[test]
    fn names_that_ask_for_another_method() {
        for name in ["X-HTTP-Method-Override", "x-http-method", "X_METHOD_OVERRIDE"] {
            assert_eq!(claim(name.as_bytes()), Claim::Method, "{name}");
        }
    }

    /// A list with a capital letter or a letter that [`claim`] does not look for would never be met.
    #[test]
    fn every_entry_of_the_lists_is_found() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name.len()) && NAMES.iter().all(|(name, _)| name.len() < 26));
        for (name, says) in NAMES {
            assert_eq!(claim(name.to_ascii_uppercase().as_bytes()), Claim::Gateway(*says), "{name}");
        }
        for name in PREFIXES.iter().map(|prefix| format!("{prefix}any")) {
            assert_eq!(claim(name.to_ascii_uppercase().as_bytes()), Claim::Gateway(Says::Other), "{name}");
        }
    }
}
