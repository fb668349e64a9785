//! RFC 9111 §4.4, RFC 3986 §5.

use super::response;
use crate::{
    cache::{invalidate::invalidated, key::Uri},
    http::{Method, target::Scheme},
};

const BASE: Uri<'_> = Uri { scheme: Scheme::Http, authority: "a.example", path: "/b/c/d;p", query: Some("q") };

fn of(method: &str, base: Uri<'_>, status: u16, lines: &str) -> Vec<String> {
    let method = method.parse::<Method>().unwrap();
    invalidated(&method, base, &response(status, lines)).iter().map(|key| key.as_str().to_owned()).collect()
}

/// A MUST for unsafe and unknown methods, and for answers that are no errors.
#[test]
fn which_exchanges() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"] {
        for status in [200, 201, 204, 299, 302, 303, 304, 399] {
            assert_eq!(of(method, BASE, status, ""), ["http://a.example/b/c/d;p?q"], "{method} {status}");
        }
        for status in [100, 199, 400, 404, 412, 500, 503, 600, 999] {
            assert_eq!(of(method, BASE, status, "Location: /x"), [""; 0], "{method} {status}");
        }
    }
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        assert_eq!(of(method, BASE, 200, "Location: /x"), [""; 0], "{method}");
    }
}

const REFERENCES: &[(&str, Option<&str>)] = &[
    ("g", Some("/b/c/g")),
    ("./g", Some("/b/c/g")),
    ("g/", Some("/b/c/g/")),
    ("/g", Some("/g")),
    ("?y", Some("/b/c/d;p?y")),
    ("g?y", Some("/b/c/g?y")),
    ("#s", Some("/b/c/d;p?q")),
    ("g#s", Some("/b/c/g")),
    ("g?y#s", Some("/b/c/g?y")),
    (";x", Some("/b/c/;x")),
    ("g;x?y#s", Some("/b/c/g;x?y")),
    ("", Some("/b/c/d;p?q")),
    (".", Some("/b/c/")),
    ("./", Some("/b/c/")),
    ("..", Some("/b/")),
    ("../", Some("/b/")),
    ("../g", Some("/b/g")),
    ("../..", Some("/")),
    ("../../", Some("/")),
    ("../../g", Some("/g")),
    ("../../../g", Some("/g")),
    ("../../../../g", Some("/g")),
    ("/./g", Some("/g")),
    ("/../g", Some("/g")),
    ("g.", Some("/b/c/g.")),
    (".g", Some("/b/c/.g")),
    ("g..", Some("/b/c/g..")),
    ("..g", Some("/b/c/..g")),
    ("./../g", Some("/b/g")),
    ("./g/.", Some("/b/c/g/")),
    ("g/./h", Some("/b/c/g/h")),
    ("g/../h", Some("/b/c/h")),
    ("g;x=1/./y", Some("/b/c/g;x=1/y")),
    ("g;x=1/../y", Some("/b/c/y")),
    ("g?y/./x", Some("/b/c/g?y/./x")),
    ("g?y/../x", Some("/b/c/g?y/../x")),
    ("g#s/../x", Some("/b/c/g")),
    ("g?", Some("/b/c/g?")),
    ("./x:y", Some("/b/c/x:y")),
    ("1x:y", Some("/b/c/1x:y")),
    ("/x:y", Some("/x:y")),
    ("//a.example/g", Some("/g")),
    ("//a.example", Some("/")),
    ("//a.example?y", Some("/?y")),
    ("http://a.example/g//h", Some("/g//h")),
    ("HTTP://A.Example:80/g", Some("/g")),
    ("http://a.example:/g", Some("/g")),
    ("http://a.example/../g", Some("/g")),
    ("  /g", Some("/g")),
    // A cache MUST NOT invalidate what belongs to another origin.
    ("http://b.example/g", None),
    ("//b.example/g", None),
    ("http://a.example:8080/g", None),
    ("https://a.example/g", None),
    ("http://a.example.b.example/g", None),
    ("http://u@a.example/g", None),
    ("http://a.example@b.example/g", None),
    ("http:///g", None),
    ("http:g", None),
    ("ftp://a.example/g", None),
    ("mailto:a@a.example", None),
    ("x:y", None),
    ("/a b", None),
    ("/\u{fc}", None),
];

/// The examples of RFC 3986 §5.4 that stay within http, and what leaves the origin.
#[test]
fn references() {
    for &(reference, expected) in REFERENCES {
        let mut expected = expected.map(|path| format!("http://a.example{path}"));
        expected = expected.filter(|uri| uri != "http://a.example/b/c/d;p?q");
        for name in ["Location", "content-location"] {
            let all = of("POST", BASE, 201, &format!("{name}: {reference}"));
            assert_eq!(all[0], "http://a.example/b/c/d;p?q");
            assert_eq!(all.get(1), expected.as_ref(), "{reference:?}");
        }
    }
}

#[test]
fn several_and_other_spellings() {
    assert_eq!(of("PUT", BASE, 200, "Location: /x\nContent-Location: /y\nLocation: /z").len(), 4);
    let many: String = (0..100).map(|n| format!("Location: /{n}\n")).collect();
    assert_eq!(of("PUT", BASE, 200, &many).len(), 5);
    let spelled = Uri { authority: "A.example:80", path: "/", query: None, ..BASE };
    assert_eq!(
        of("PUT", spelled, 200, "Location: http://a.EXAMPLE/x"),
        ["http://A.example:80/", "http://a.example/", "http://A.example:80/x", "http://a.example/x"]
    );
    // Over HTTP/1.0 without Host there is only what is relative.
    let nobody = Uri { authority: "", ..BASE };
    assert_eq!(of("PUT", nobody, 200, "Location: http://a.example/x\nContent-Location: /y").len(), 2);
}
