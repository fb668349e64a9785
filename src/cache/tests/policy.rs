//! RFC 9111 §3, §3.5, §5.2.1.5, §5.2.2; RFC 9110 §15.1.

use super::{request, response};
use crate::{
    cache::{
        NotStored, RequestDirectives, ResponseDirectives, may_store,
        policy::{is_about_one_request, is_heuristically_cacheable, may_look_up, understands},
    },
    http::Status,
};

fn stored(method: &str, asked: &str, status: u16, said: &str) -> Result<(), NotStored> {
    let (request, response) = (request(method, asked), response(status, said));
    let directives = (RequestDirectives::of(&request.fields), ResponseDirectives::of(&response.fields));
    may_store(&request, &directives.0, &response, &directives.1)
}

/// Method, request fields, status, response fields.
type Row = (&'static str, &'static str, u16, &'static str, Result<(), NotStored>);

const STORED: &[Row] = &[
    // §3: the method is understood. Only GET's responses are kept.
    ("GET", "", 200, "Cache-Control: max-age=1", Ok(())),
    ("HEAD", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("POST", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("PUT", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("DELETE", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("OPTIONS", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("TRACE", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("PROPFIND", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    ("get", "", 200, "Cache-Control: max-age=1", Err(NotStored::Method)),
    // Content of a GET has no meaning that the key could hold (RFC 9110 §9.3.1).
    ("GET", "Content-Length: 1", 200, "Cache-Control: max-age=1", Err(NotStored::RequestContent)),
    ("GET", "Content-Length: 00", 200, "Cache-Control: max-age=1", Ok(())),
    ("GET", "Transfer-Encoding: chunked", 200, "Cache-Control: max-age=1", Err(NotStored::RequestContent)),
    // §5.2.1.5: no-store of the request; no-cache does not forbid to store.
    ("GET", "Cache-Control: no-store", 200, "Cache-Control: max-age=1", Err(NotStored::RequestNoStore)),
    ("GET", "Cache-Control: no-cache", 200, "Cache-Control: max-age=1", Ok(())),
    ("GET", "Pragma: no-cache", 200, "Cache-Control: max-age=1", Ok(())),
    ("GET", "Pragma: no-store", 200, "Cache-Control: max-age=1", Ok(())),
    // §3: the status is final; 304 freshens another response.
    ("GET", "", 100, "Cache-Control: max-age=1", Err(NotStored::Interim)),
    ("GET", "", 103, "Cache-Control: max-age=1", Err(NotStored::Interim)),
    ("GET", "", 304, "Cache-Control: max-age=1", Err(NotStored::NotModified)),
    ("GET", "", 206, "Cache-Control: max-age=1", Ok(())),
    // An answer to a mistake of one request is not the resource's answer to others, whatever it allows.
    ("GET", "Range: bytes=9-", 416, "Cache-Control: max-age=1, public", Err(NotStored::OneRequest)),
    ("GET", "If-Match: \"a\"", 412, "Cache-Control: max-age=1, public", Err(NotStored::OneRequest)),
    ("GET", "", 429, "Cache-Control: max-age=1, must-understand", Err(NotStored::OneRequest)),
    ("GET", "", 431, "Cache-Control: no-store", Err(NotStored::OneRequest)),
    ("GET", "", 414, "Cache-Control: max-age=1", Ok(())),
    // §5.2.2.5.
    ("GET", "", 200, "Cache-Control: no-store", Err(NotStored::NoStore)),
    ("GET", "", 200, "Cache-Control: no-store, max-age=1, public", Err(NotStored::NoStore)),
    ("GET", "", 200, "Cache-Control: max-age=1\nCache-Control: No-Store=1", Err(NotStored::NoStore)),
    // §5.2.2.3: must-understand replaces no-store for those that do.
    ("GET", "", 200, "Cache-Control: must-understand, no-store, max-age=1", Ok(())),
    ("GET", "", 299, "Cache-Control: must-understand, no-store, max-age=1", Err(NotStored::NotUnderstood)),
    ("GET", "", 299, "Cache-Control: must-understand, max-age=1", Err(NotStored::NotUnderstood)),
    ("GET", "", 200, "Cache-Control: must-understand", Ok(())),
    ("GET", "", 302, "Cache-Control: must-understand", Err(NotStored::NothingAllows)),
    // An unknown status is no obstacle by itself.
    ("GET", "", 299, "Cache-Control: max-age=1", Ok(())),
    ("GET", "", 599, "Cache-Control: max-age=1", Ok(())),
    ("GET", "", 999, "Expires: Sun, 06 Nov 1994 08:49:37 GMT", Ok(())),
    ("GET", "", 299, "", Err(NotStored::NothingAllows)),
    // §5.2.2.7: private as a whole; with names it is about those fields.
    ("GET", "", 200, "Cache-Control: private, max-age=1", Err(NotStored::Private)),
    ("GET", "", 200, "Cache-Control: PRIVATE=\"\", max-age=1", Err(NotStored::Private)),
    ("GET", "", 200, "Cache-Control: private; max-age=1", Err(NotStored::Private)),
    ("GET", "", 200, "Cache-Control: private=\"Set-Cookie\", max-age=1", Ok(())),
    ("GET", "", 200, "Cache-Control: private, public, s-maxage=1", Err(NotStored::Private)),
    // §5.2.2.4: no-cache may be stored.
    ("GET", "", 200, "Cache-Control: no-cache", Ok(())),
    // §3.5: Authorization needs one of three.
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: max-age=1", Err(NotStored::Authorization)),
    ("GET", "Authorization: Basic YTpi", 200, "Expires: Sun, 06 Nov 1994 08:49:37 GMT", Err(NotStored::Authorization)),
    (
        "GET",
        "Authorization: Basic YTpi",
        200,
        "Cache-Control: max-age=1, proxy-revalidate",
        Err(NotStored::Authorization),
    ),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: max-age=1, public", Ok(())),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: max-age=1, must-revalidate", Ok(())),
    ("GET", "authorization: Basic YTpi", 200, "Cache-Control: s-maxage=1", Ok(())),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: max-age=1, no-cache", Err(NotStored::Authorization)),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: max-age=1, immutable", Err(NotStored::Authorization)),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: public, private=\"x\"", Ok(())),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: public, private", Err(NotStored::Private)),
    ("GET", "Authorization: Basic YTpi", 200, "Cache-Control: public; max-age=1", Err(NotStored::Authorization)),
    ("GET", "Authorization:", 200, "Cache-Control: max-age=1", Err(NotStored::Authorization)),
    ("GET", "Authorization: Basic YTpi", 200, "CDN-Cache-Control: public\nCache-Control: max-age=1", Ok(())),
    (
        "GET",
        "Authorization: Basic YTpi",
        200,
        "CDN-Cache-Control: max-age=1\nCache-Control: public",
        Err(NotStored::Authorization),
    ),
    // §3: something has to allow it.
    ("GET", "", 200, "", Ok(())),
    ("GET", "", 200, "ETag: \"a\"", Ok(())),
    ("GET", "", 201, "ETag: \"a\"", Err(NotStored::NothingAllows)),
    ("GET", "", 302, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", Err(NotStored::NothingAllows)),
    ("GET", "", 302, "Cache-Control: foo", Err(NotStored::NothingAllows)),
    ("GET", "", 302, "Cache-Control: public", Ok(())),
    ("GET", "", 302, "Cache-Control: max-age=0", Ok(())),
    ("GET", "", 302, "Cache-Control: s-maxage=1", Ok(())),
    ("GET", "", 302, "Expires: 0", Ok(())),
    ("GET", "", 500, "", Err(NotStored::NothingAllows)),
    ("GET", "", 500, "Cache-Control: max-age=1", Ok(())),
    ("GET", "", 302, "Expires: Sun, 06 Nov 1994 08:49:37 GMT\nCDN-Cache-Control: foo", Err(NotStored::NothingAllows)),
    // RFC 9213 §2.2: the targeted field wins in both directions.
    ("GET", "", 200, "Cache-Control: no-store\nCDN-Cache-Control: max-age=1", Ok(())),
    ("GET", "", 200, "Cache-Control: private\nCDN-Cache-Control: max-age=1", Ok(())),
    ("GET", "", 200, "Cache-Control: max-age=1\nCDN-Cache-Control: no-store", Err(NotStored::NoStore)),
    ("GET", "", 200, "Cache-Control: no-store\nCDN-Cache-Control: max-age=1,", Err(NotStored::NoStore)),
    ("GET", "", 200, "Cache-Control: no-store\nCDN-Cache-Control:", Err(NotStored::NoStore)),
    // §4.1: no request matches it.
    ("GET", "", 200, "Cache-Control: max-age=1\nVary: *", Err(NotStored::VaryEverything)),
    ("GET", "", 200, "Cache-Control: max-age=1\nVary: Accept\nVary: x, *", Err(NotStored::VaryEverything)),
    ("GET", "", 200, "Cache-Control: max-age=1\nVary: Accept", Ok(())),
    // §7.3: Set-Cookie does not forbid to store. Origins say so with the directives above.
    ("GET", "Cookie: a=b", 200, "Cache-Control: max-age=1\nSet-Cookie: a=b", Ok(())),
    // §5.4: Pragma in a response means nothing.
    ("GET", "", 200, "Cache-Control: max-age=1\nPragma: no-cache", Ok(())),
];

#[test]
fn the_responses_that_are_stored() {
    for &(method, asked, status, said, expected) in STORED {
        assert_eq!(stored(method, asked, status, said), expected, "{method} {asked:?} {status} {said:?}");
    }
}

#[test]
fn the_requests_that_are_looked_up() {
    for (method, lines, expected) in [
        ("GET", "", Ok(())),
        ("HEAD", "", Ok(())),
        ("GET", "Content-Length: 0", Ok(())),
        ("GET", "Content-Length: 10", Err(NotStored::RequestContent)),
        ("HEAD", "Transfer-Encoding: chunked", Err(NotStored::RequestContent)),
        ("POST", "", Err(NotStored::Method)),
        ("OPTIONS", "", Err(NotStored::Method)),
        ("QUERY", "", Err(NotStored::Method)),
    ] {
        assert_eq!(may_look_up(&request(method, lines)), expected, "{method} {lines}");
    }
}

/// RFC 9110 §15.1.
#[test]
fn statuses() {
    let of = |test: fn(Status) -> bool| -> Vec<u16> {
        (200..=999).filter(|code| test(Status::new(*code).unwrap())).collect()
    };
    assert_eq!(of(is_heuristically_cacheable), [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);
    // RFC 6585 §3 to §6, RFC 8470 §5.2; RFC 9110 §15.5.8, §15.5.9, §15.5.13, §15.5.17, §15.5.18, §15.5.22.
    assert_eq!(of(is_about_one_request), [407, 408, 412, 416, 417, 425, 426, 428, 429, 431, 511]);
    assert!(!of(is_heuristically_cacheable).into_iter().any(|code| is_about_one_request(Status::new(code).unwrap())));
    let understood = of(understands);
    assert!(of(is_heuristically_cacheable).iter().all(|code| understood.contains(code)));
    for (code, known) in [
        (200, true),
        (207, false),
        (299, false),
        (302, true),
        (306, false),
        (418, false),
        (429, false),
        (505, true),
        (599, false),
    ] {
        assert_eq!(understood.contains(&code), known, "{code}");
    }
}

/// Each reason has a name of its own: they are counted by it.
#[test]
fn reasons_have_names() {
    use NotStored::*;
    let all = [
        Method,
        RequestContent,
        RequestNoStore,
        Interim,
        NotModified,
        OneRequest,
        NotUnderstood,
        NoStore,
        Private,
        Authorization,
        NothingAllows,
        VaryEverything,
    ];
    let mut names: Vec<_> = all.iter().map(|reason| reason.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}
