//! Which requests a web page may have sent: they are not answered, or change nothing.
//!
//! The listener is for the operator, and not for the pages that the operator's browser shows. A page from `evil.example` whose name is
//! made to mean 127.0.0.1 after it was loaded (DNS rebinding) is of the same origin as this listener for its browser, and could
//! read everything. But its requests still name `evil.example` in `Host`. So only requests are answered that name an
//! address, `localhost`, or what the operator has named with `--admin-host`.
//!
//! Any page can send a `POST` to any address. But a browser says in `Origin` where a page came from, and does not let pages of other
//! origins set fields such as `X-Requested-With` before the server has agreed, which this one never does. So a request that changes
//! something comes from a program, without `Origin`, or from the page of this listener, with both.

use crate::http::{Authority, RequestHead};
use std::net::Ipv4Addr;

/// Whether a request names this listener by one of its own names: a page in an operator's browser must not reach it
/// under a name of its own. No browser leaves `Host` out.
pub(super) fn names_us(head: &RequestHead, hosts: &[String]) -> bool {
    let Some(authority) = head.authority() else { return true };
    let Ok(Authority { host, .. }) = Authority::parse(authority.as_bytes()) else { return false };
    let is = |name: &String| host.eq_ignore_ascii_case(name);
    host.starts_with('[')
        || host.parse::<Ipv4Addr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(is)
}

/// Whether a page of another origin may have sent this.
pub(super) fn from_another_page(head: &RequestHead) -> bool {
    let mut origins = head.fields.get_all("origin");
    match (origins.next(), origins.next()) {
        // Browsers of the last years say so much in any case.
        (None, _) => head.fields.get("sec-fetch-site").is_some_and(|site| !matches!(site, b"same-origin" | b"none")),
        (Some(origin), None) => !(is_ours(origin, head) && head.fields.contains("x-requested-with")),
        (Some(_), Some(_)) => true,
    }
}

/// Whether a page of this origin came from where the request goes to. The scheme may be that of something in front that speaks TLS.
fn is_ours(origin: &[u8], head: &RequestHead) -> bool {
    let host = [&b"http://"[..], b"https://"].iter().find_map(|scheme| origin.strip_prefix(*scheme));
    host.zip(head.authority()).is_some_and(|(host, authority)| host.eq_ignore_ascii_case(authority.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    #[test]
    fn only_the_own_page_and_programs_change_something() {
        const OWN: (&str, &str) = ("Origin", "http://127.0.0.1:9090");
        const ASKED: (&str, &str) = ("X-Requested-With", "live page");
        for (fields, another) in [
            (&[][..], false),
            (&[OWN, ASKED], false),
            (&[("Origin", "https://127.0.0.1:9090"), ASKED], false),
            (&[("Origin", "http://127.0.0.1"), ASKED], true),
            (&[("Origin", "http://127.0.0.1:9091"), ASKED], true),
            (&[("Origin", "http://127.0.0.1:9090.evil.example"), ASKED], true),
            (&[("Origin", "http://evil.example"), ASKED], true),
            (&[("Origin", "127.0.0.1:9090"), ASKED], true),
            (&[("Origin", "null"), ASKED], true),
            (&[("Origin", ""), ASKED], true),
            (&[OWN], true),
            (&[OWN, OWN, ASKED], true),
            (&[ASKED], false),
            (&[("Sec-Fetch-Site", "cross-site"), ASKED], true),
            (&[("Sec-Fetch-Site", "same-site")], true),
            (&[("Sec-Fetch-Site", "none")], false),
        ] {
            let mut head = RequestHead::new(Method::Post, "/reload").unwrap();
            head.fields = [("Host", "127.0.0.1:9090")].iter().chain(fields).copied().collect();
            assert_eq!(from_another_page(&head), another, "{fields:?}");
        }
    }

    #[test]
    fn under_which_names_it_answers() {
        let hosts = ["proxy-1.internal".to_owned()];
        for (host, answers) in [
            (None, true),
            (Some("127.0.0.1:9090"), true),
            (Some("192.0.2.7"), true),
            (Some("[::1]:9090"), true),
            (Some("localhost"), true),
            (Some("LocalHost:9090"), true),
            (Some("Proxy-1.internal:9090"), true),
            (Some("proxy-2.internal"), false),
            (Some("evil.example:9090"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some("evil.localhost"), false),
            (Some("127.1"), false),
        ] {
            let mut head = RequestHead::new(Method::Get, "/stats").unwrap();
            head.fields = host.iter().map(|host| ("Host", host)).collect();
            assert_eq!(names_us(&head, &hosts), answers, "{host:?}");
        }
        // The target wins over Host.
        for (target, answers) in [("http://localhost/stats", true), ("http://evil.example/stats", false)] {
            let mut head = RequestHead::new(Method::Get, target).unwrap();
            head.fields.push("Host", if answers { "evil.example" } else { "localhost" });
            assert_eq!(names_us(&head, &hosts), answers, "{target}");
        }
    }
}
