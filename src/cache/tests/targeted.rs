//! RFC 9213: `CDN-Cache-Control`, a dictionary of RFC 9651.

use super::fields;
use crate::cache::{FieldNames, ResponseDirectives, Seconds};

/// With a `Cache-Control` that shows when it is used.
fn of(lines: &str) -> ResponseDirectives {
    ResponseDirectives::of(&fields(&format!("Cache-Control: max-age=1, public\n{lines}")))
}

fn with(edit: impl FnOnce(&mut ResponseDirectives)) -> ResponseDirectives {
    let mut all = ResponseDirectives { targeted: true, ..ResponseDirectives::default() };
    edit(&mut all);
    all
}

/// §2.2: valid and not empty, it is the only one that counts.
#[test]
fn a_valid_field_wins() {
    let max_age = |seconds| with(|all| all.max_age = Some(Seconds::new(seconds)));
    for (value, expected) in [
        ("max-age=600", max_age(600)),
        ("max-age=0", max_age(0)),
        ("max-age=-5", max_age(0)),
        ("max-age=999999999999999", max_age(1 << 31)),
        // §2.1: parameters mean nothing.
        ("max-age=600;a;b=1;c=\"x\";d=?0;*e=(", max_age(1)),
        ("max-age=600;a;b=1;c=\"x\";d=?0;*e=:YQ==:; f=tok/en:*", max_age(600)),
        // RFC 9651 §4.2.2: the last of equal keys.
        ("max-age=1, max-age=600", max_age(600)),
        ("no-store, max-age=600, no-store=?0", max_age(600)),
        ("max-age=600, foo=\"no-store, private\"", max_age(600)),
        ("max-age=600,foo", max_age(600)),
        ("max-age=600\t , \tfoo", max_age(600)),
        ("foo=(a \"b\" 1;x  ( ) , max-age=600", max_age(1)),
        ("foo=( a \"b\" 1;x  ?1 ), max-age=600", max_age(600)),
        ("foo=(), max-age=600", max_age(600)),
        ("foo=@1659578233, bar=%\"f%c3%bc\", baz=::, max-age=600", max_age(600)),
        // RFC 9651 §4.2.7: padding SHOULD NOT be missed, nor bits after the end.
        ("a=:YQ==:, b=:YQ:, c=:YWI:, d=:YWJj:, e=:YR==:, max-age=600", max_age(600)),
        ("foo=-0.5, bar=123456789012.125, *, max-age=600", max_age(600)),
        ("foo", with(|_| ())),
        ("private", with(|all| all.private = FieldNames::Whole)),
        ("private=\"a, b\"", with(|all| all.private = FieldNames::Only([Box::from("a"), Box::from("b")].into()))),
        ("no-cache=\"a\"", with(|all| all.no_cache = FieldNames::Only([Box::from("a")].into()))),
        ("private=\"\"", with(|all| all.private = FieldNames::Whole)),
        // RFC 8246 §2: what it has for a value has no meaning.
        ("immutable=1, must-understand", with(|all| (all.immutable, all.must_understand) = (true, true))),
        ("immutable=(a b)", with(|all| all.immutable = true)),
        ("no-store", with(|all| all.no_store = true)),
        ("no-store=?1", with(|all| all.no_store = true)),
        ("no-store=?0", with(|_| ())),
        ("must-revalidate;x", with(|all| all.must_revalidate = true)),
    ] {
        let mut expected = expected;
        // Written as one second: the row expects the field to be ignored.
        if expected.max_age == Some(Seconds::new(1)) {
            (expected.targeted, expected.public) = (false, true);
        }
        assert_eq!(of(&format!("CDN-Cache-Control: {value}")), expected, "{value}");
    }
}

const INVALID: &[&str] = &[
    "",
    "Max-Age=600",
    "max-age = 600",
    "max-age =600",
    "max-age= 600",
    "max-age=",
    "max-age=600,",
    "max-age=600, ,no-store",
    ",max-age=600",
    "max-age=600 no-store",
    "max-age=600; ",
    "max-age=600;A",
    "max-age=600;a=",
    "max-age=600, &&&",
    "max-age=600, foo=\"bar",
    "max-age=600, foo=\"b\\ar\"",
    "max-age=600, foo=\"b\tr\"",
    "max-age=600, foo=\"\u{fc}\"",
    "max-age=600, foo=?2",
    "max-age=600, foo=?",
    "max-age=600, foo=:a-b:",
    "max-age=600, foo=:aa",
    "max-age=600, foo=:a:",
    "max-age=600, foo=:=:",
    "max-age=600, foo=:YQ=:",
    "max-age=600, foo=:YQ===:",
    "max-age=600, foo=:Y=Q=:",
    "max-age=600, foo=:YQ==YQ==:",
    "max-age=600, foo=@1.5",
    "max-age=600, foo=@x",
    "max-age=600, foo=%\"%C3%BC\"",
    "max-age=600, foo=%\"%c3\"",
    "max-age=600, foo=%x",
    "max-age=600, foo=1.",
    "max-age=600, foo=1.1234",
    "max-age=600, foo=1234567890123.1",
    "max-age=1000000000000000",
    "max-age=--1",
    "max-age=-",
    "max-age=600, foo=(a",
    "max-age=600, foo=(a,b)",
    "max-age=600, foo=(a\"b\")",
    "max-age=600, foo=1a",
    "max-age=600s",
    // Right as a dictionary, but not of the directive's type.
    "max-age=\"600\"",
    "max-age=600.0",
    "max-age=a",
    "max-age",
    "max-age=(600)",
    "no-store=1",
    "max-age=600, no-store=\"x\"",
    "max-age=600, must-revalidate=x",
    "private=(a b)",
    "private=a",
    "no-cache=1",
    "public=\"\"",
    "stale-if-error=\"60\", max-age=600",
];

/// §2.1: empty or not to be parsed, it is as if it were not there.
#[test]
fn an_invalid_field_is_ignored_as_a_whole() {
    for value in INVALID {
        let all = of(&format!("CDN-Cache-Control: {value}"));
        assert_eq!((all.targeted, all.public, all.max_age), (false, true, Some(Seconds::new(1))), "{value:?}");
    }
}

/// As many members as fit a head.
#[test]
fn long_dictionaries() {
    let of = |filler: &str, last: &str| of(&format!("CDN-Cache-Control: {}{last}", filler.repeat(20_000)));
    for filler in ["foo, ", "max-age=5, ", "no-store, no-store=?0, ", "a;b;c=(, "] {
        let all = of(filler, "max-age=600");
        let valid = !filler.contains('(');
        let expected = if valid { (Some(Seconds::new(600)), false) } else { (Some(Seconds::new(1)), true) };
        assert_eq!((all.max_age, all.public, all.no_store), (expected.0, expected.1, false), "{filler}");
    }
}

/// RFC 9651 §4.2: all lines are one dictionary.
#[test]
fn several_lines() {
    let all = of("CDN-Cache-Control: max-age=1\ncdn-cache-control: max-age=600, no-cache");
    assert_eq!(all, with(|all| (all.max_age, all.no_cache) = (Some(Seconds::new(600)), FieldNames::Whole)));
    assert!(!of("CDN-Cache-Control: max-age=600\nCDN-Cache-Control: %%%").targeted);
    assert!(!of("CDN-Cache-Control: max-age=600\nCDN-Cache-Control: ").targeted);
}
