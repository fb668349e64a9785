//! Which requests a web page may have sent: they are not answered, or change nothing.
//!
//! The listener is for the operator, and not for the pages that the operator's browser shows. A page from `evil.example` whose name is
//! made to mean 127.0.0.1 after it was loaded (DNS rebinding) is of the same origin as this listener for its browser, and could
//! read everything. But its requests still name `evil.example` in `Host`. So only requests are answered that name an
//! address, `localhost`, or what the operator has named with `--admin-host`.
//!
//! Any page can send a `POST` to any address. But a browser says in `Origin` where a page came from.

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

/// Whether a web page may have sent this. A page in the operator's browser can send a POST here, but not without this field.
pub(super) fn from_a_page(head: &RequestHead) -> bool {
    head.fields.contains("origin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

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
