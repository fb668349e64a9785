//! RFC 9111 §1.2.2, §4.2.1, §5.2, §5.4; RFC 5861; RFC 8246.

use super::fields;
use crate::cache::{FieldNames, MaxStale, RequestDirectives, ResponseDirectives, Seconds};

fn of_response(lines: &str) -> ResponseDirectives {
    ResponseDirectives::of(&fields(lines))
}

fn of_request(lines: &str) -> RequestDirectives {
    RequestDirectives::of(&fields(lines))
}

fn cache_control(value: &str) -> ResponseDirectives {
    of_response(&format!("Cache-Control: {value}"))
}

fn some(seconds: u64) -> Option<Seconds> {
    Some(Seconds::new(seconds))
}

#[test]
fn delta_seconds() {
    const MAX: u64 = 1 << 31;
    for (text, expected) in [
        ("0", Some(0)),
        ("00010", Some(10)),
        ("2147483647", Some(MAX - 1)),
        // §1.2.2: what is greater than can be represented is 2^31.
        ("2147483648", Some(MAX)),
        ("2147483649", Some(MAX)),
        ("4294967296", Some(MAX)),
        ("99999999999999999999999999999999999999", Some(MAX)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1e3", None),
        ("0x10", None),
        (" 1", None),
        ("1 ", None),
        ("1a", None),
        ("'1'", None),
        ("\u{661}", None),
    ] {
        assert_eq!(Seconds::parse(text.as_bytes()), expected.map(Seconds::new), "{text:?}");
    }
}

/// §5.2.2.1, with §4.2.1 for what cannot be read: stale.
#[test]
fn lifetimes() {
    for (value, expected) in [
        ("max-age=10", some(10)),
        ("MAX-AGE=10", some(10)),
        ("Max-Age=010", some(10)),
        // §5.2: both forms of an argument.
        ("max-age=\"10\"", some(10)),
        ("max-age=\"1\\0\"", some(10)),
        // §5.6.1 of RFC 9110: empty members, white space.
        (", ,max-age=10,,", some(10)),
        ("\tpublic\t,\tmax-age=10\t", some(10)),
        // §4.2.1: duplicates. The same twice is no conflict.
        ("max-age=10, max-age=10", some(10)),
        ("max-age=10, max-age=20", some(0)),
        ("max-age=20, max-age=10", some(0)),
        ("max-age=10, max-age=x", some(0)),
        ("max-age=10, max-age=20, max-age=20", some(0)),
        // §4.2.1: invalid.
        ("max-age", some(0)),
        ("max-age=", some(0)),
        ("max-age=\"\"", some(0)),
        ("max-age=-10", some(0)),
        ("max-age=10.5", some(0)),
        ("max-age=10s", some(0)),
        ("max-age=s10", some(0)),
        ("max-age='10'", some(0)),
        ("max-age=\"10", some(0)),
        ("max-age=10\"", some(0)),
        ("max-age=\"10\"0", some(0)),
        ("max-age=\"1\"0\"", some(0)),
        ("max-age=\" 10\"", some(0)),
        ("max-age =10", some(0)),
        ("max-age= 10", some(0)),
        ("max-age=10; public", some(0)),
        ("max-age=10 public", some(0)),
        ("max-age:10", some(0)),
        ("max-age==10", some(0)),
        // Not the directive.
        ("x-max-age=10", None),
        ("max-age-x=10", None),
        ("maxage=10", None),
        ("=10", None),
        ("\"max-age=10\"", None),
        ("extension=\"max-age=10\"", None),
        ("extension=\"a\\\", max-age=10\"", None),
        ("", None),
    ] {
        assert_eq!(cache_control(value).max_age, expected, "{value}");
        let shared = value.to_ascii_lowercase().replace("max-age", "s-maxage");
        assert_eq!(cache_control(&shared).s_maxage, expected, "{shared}");
    }
}

/// §5.2.3: what is not known MUST be ignored, and so must not disturb the rest.
#[test]
fn unknown_directives() {
    for value in
        ["foo, max-age=5, bar=1", "foo=\"no-store, private\", max-age=5", "max-age=5, @, =, ;", "no-storex,max-age=5"]
    {
        let expected = ResponseDirectives { max_age: some(5), ..ResponseDirectives::default() };
        assert_eq!(cache_control(value), expected, "{value}");
    }
}

/// As many as fit a head: each is read once, and the last counts like the first.
#[test]
fn long_lists() {
    for filler in ["foo=\"bar, baz\", ", ", ", "private=x, ", "no-cache=\"a\", ", "max-age=5, ", "\u{fc}, "] {
        let value = filler.repeat(20_000) + "max-age=5, s-maxage=7";
        let all = cache_control(&value);
        assert_eq!((all.max_age, all.s_maxage, all.no_store), (some(5), some(7), false), "{filler}");
        let asked = of_request(&format!("Cache-Control: {value}, min-fresh=3"));
        assert_eq!((asked.max_age, asked.min_fresh), (some(5), some(3)), "{filler}");
    }
    assert_eq!(cache_control(&("private=x, ".repeat(65) + "max-age=5")).private, FieldNames::Whole);
}

/// Several lines are one list (RFC 9110 §5.3).
#[test]
fn several_lines() {
    let all = of_response("Cache-Control: max-age=5\ncache-control: public,\nX: no-store\nCACHE-CONTROL: s-maxage=7");
    let expected = ResponseDirectives { max_age: some(5), s_maxage: some(7), public: true, ..Default::default() };
    assert_eq!(all, expected);
    assert_eq!(of_response("Cache-Control: max-age=5\nCache-Control: max-age=6").max_age, some(0));
}

#[test]
fn flags() {
    type Flag = fn(&ResponseDirectives) -> bool;
    let flags: [(&str, Flag, bool); 7] = [
        // Name, what it sets, whether it restricts: then it holds however it is written.
        ("no-store", |all| all.no_store, true),
        ("must-revalidate", |all| all.must_revalidate, true),
        ("proxy-revalidate", |all| all.proxy_revalidate, true),
        ("no-transform", |all| all.no_transform, true),
        ("public", |all| all.public, false),
        ("must-understand", |all| all.must_understand, false),
        ("immutable", |all| all.immutable, false),
    ];
    for (name, flag, restricts) in flags {
        assert!(!flag(&ResponseDirectives::default()), "{name}");
        assert!(flag(&cache_control(name)), "{name}");
        assert!(flag(&cache_control(&name.to_ascii_uppercase())), "{name}");
        assert!(flag(&cache_control(&format!("foo, {name} ,max-age=1"))), "{name}");
        // RFC 8246 §2: arguments have no meaning and MUST be ignored.
        assert!(flag(&cache_control(&format!("{name}=1"))), "{name}");
        assert!(flag(&cache_control(&format!("{name}=\"a, b\""))), "{name}");
        for malformed in ["; x", " x", "=", "=\"", " = 1"] {
            let value = format!("{name}{malformed}");
            let unterminated = name == "no-store" && malformed.ends_with('"');
            assert_eq!(flag(&cache_control(&value)), restricts || unterminated, "{value}");
        }
        assert!(!flag(&cache_control(&format!("x{name}, {name}x, foo=\"{name}\""))), "{name}");
    }
}

/// §5.2.2.4, §5.2.2.7: with and without names of fields.
#[test]
fn lists_of_field_names() {
    let only = |names: &[&str]| FieldNames::Only(names.iter().map(|name| Box::from(*name)).collect());
    for (value, expected) in [
        ("max-age=1", FieldNames::None),
        ("D", FieldNames::Whole),
        ("D=\"Set-Cookie\"", only(&["set-cookie"])),
        ("D=\"a, B\"", only(&["a", "b"])),
        ("D=\" a ,, b ,\"", only(&["a", "b"])),
        // A sender SHOULD NOT, a recipient reads both forms (§5.2).
        ("D=Set-Cookie", only(&["set-cookie"])),
        ("D=a, b", only(&["a"])),
        ("D=\"a\", D=\"b\"", only(&["a", "b"])),
        ("D=\"a\\,b\"", only(&["a", "b"])),
        // Conflicts: the most restrictive (§4.2.1).
        ("D=\"a\", D", FieldNames::Whole),
        ("D, D=\"a\"", FieldNames::Whole),
        // A value that is not such a list is read as the wider directive.
        ("D=", FieldNames::Whole),
        ("D=\"\"", FieldNames::Whole),
        ("D=\",\"", FieldNames::Whole),
        ("D=\"a b\"", FieldNames::Whole),
        ("D=\"a: b\"", FieldNames::Whole),
        ("D=\"a, \u{fc}\"", FieldNames::Whole),
        ("D=\"\\\"a\\\"\"", FieldNames::Whole),
        ("D=\"a", FieldNames::Whole),
        ("D; a", FieldNames::Whole),
    ] {
        assert_eq!(cache_control(&value.replace('D', "no-cache")).no_cache, expected, "{value}");
        assert_eq!(cache_control(&value.replace('D', "PRIVATE")).private, expected, "{value}");
    }
    let all = cache_control("no-cache=\"a\", private=\"b\"");
    assert!(all.withholds("A") && all.withholds("b") && !all.withholds("c"));
}

#[test]
fn lists_of_field_names_are_bounded() {
    let names = |n: usize| (0..n).map(|n| format!("x{n}")).collect::<Vec<_>>().join(",");
    assert!(
        matches!(cache_control(&format!("private=\"{}\"", names(64))).private, FieldNames::Only(names) if names.len() == 64)
    );
    assert_eq!(cache_control(&format!("private=\"{}\"", names(65))).private, FieldNames::Whole);
    assert_eq!(cache_control(&format!("private=\"{}\", private=z", names(64))).private, FieldNames::Whole);
}

/// A quote that does not end may have swallowed anything.
#[test]
fn an_unterminated_quote_is_no_store() {
    for value in ["foo=\"bar, no-store", "max-age=10, foo=\"", "foo=\"a\\\"", "max-age=10, \""] {
        assert!(cache_control(value).no_store, "{value}");
    }
    for lines in ["must-understand, foo=\"", "foo=\"\nCache-Control: must-understand"] {
        let all = cache_control(lines);
        assert!(all.no_store && !all.must_understand, "{lines}");
    }
    assert!(!cache_control("foo=\"a\\\\\", max-age=1").no_store);
    let all = of_request("Cache-Control: foo=\"bar");
    assert!(all.no_cache && all.no_store);
}

/// RFC 5861: permissions. A value that cannot be read permits nothing.
#[test]
fn permissions() {
    for (value, expected) in [
        ("D=30", some(30)),
        ("D=\"30\"", some(30)),
        ("D=99999999999", some(1 << 31)),
        ("D=30, D=20", some(20)),
        ("D=20, D=30", some(20)),
        ("D", some(0)),
        ("D=x", some(0)),
        ("D=-1", some(0)),
        ("D=30, D=x", some(0)),
        ("x", None),
    ] {
        let all = cache_control(&value.replace('D', "stale-while-revalidate"));
        assert_eq!((all.stale_while_revalidate, all.stale_if_error), (expected, None), "{value}");
        let all = cache_control(&value.replace('D', "Stale-If-Error"));
        assert_eq!((all.stale_if_error, all.stale_while_revalidate), (expected, None), "{value}");
        let asked = of_request(&format!("Cache-Control: {}", value.replace('D', "stale-if-error")));
        assert_eq!(asked.stale_if_error, expected, "{value}");
    }
}

/// §5.2.1.
#[test]
fn of_requests() {
    type Edit = fn(&mut RequestDirectives);
    let cases: [(&str, Edit); 24] = [
        ("", |_| ()),
        ("foo, bar=1", |_| ()),
        ("max-age=5", |all| all.max_age = some(5)),
        ("MAX-AGE=\"5\"", |all| all.max_age = some(5)),
        ("max-age=5, max-age=3", |all| all.max_age = some(3)),
        ("max-age=x", |all| all.max_age = some(0)),
        ("max-age", |all| all.max_age = some(0)),
        ("min-fresh=5", |all| all.min_fresh = some(5)),
        ("min-fresh=5, min-fresh=7", |all| all.min_fresh = some(7)),
        ("min-fresh=-1", |all| all.min_fresh = some(1 << 31)),
        ("max-stale", |all| all.max_stale = Some(MaxStale::Any)),
        ("max-stale=5", |all| all.max_stale = Some(MaxStale::Within(Seconds::new(5)))),
        ("max-stale, max-stale=5", |all| all.max_stale = Some(MaxStale::Within(Seconds::new(5)))),
        ("max-stale=5, max-stale", |all| all.max_stale = Some(MaxStale::Within(Seconds::new(5)))),
        ("max-stale=5, max-stale=4", |all| all.max_stale = Some(MaxStale::Within(Seconds::new(4)))),
        ("max-stale=x", |all| all.max_stale = Some(MaxStale::Within(Seconds::ZERO))),
        ("max-stale=", |all| all.max_stale = Some(MaxStale::Within(Seconds::ZERO))),
        ("no-cache", |all| all.no_cache = true),
        ("No-Cache=\"a\"", |all| all.no_cache = true),
        ("no-cache; x", |all| all.no_cache = true),
        ("no-store", |all| all.no_store = true),
        ("only-if-cached", |all| all.only_if_cached = true),
        ("only-if-cached, max-stale=1", |all| {
            all.only_if_cached = true;
            all.max_stale = Some(MaxStale::Within(Seconds::new(1)));
        }),
        ("foo=\"no-cache, no-store\"", |_| ()),
    ];
    for (value, edit) in cases {
        let mut expected = RequestDirectives::default();
        edit(&mut expected);
        assert_eq!(of_request(&format!("Cache-Control: {value}")), expected, "{value}");
    }
}

/// §5.4: `Pragma: no-cache` counts as `Cache-Control: no-cache`, where there is no `Cache-Control`.
#[test]
fn pragma() {
    for (lines, no_cache) in [
        ("Pragma: no-cache", true),
        ("PRAGMA: foo, NO-CACHE", true),
        ("Pragma: foo\nPragma: no-cache", true),
        ("Pragma: no-cachex", false),
        ("Pragma: no-store", false),
        ("Pragma: no-cache\nCache-Control: max-age=100", false),
        ("Pragma: no-cache\nCache-Control: foo", false),
        ("X: no-cache", false),
    ] {
        assert_eq!(of_request(lines).no_cache, no_cache, "{lines}");
        assert_eq!(of_response(lines).no_cache, FieldNames::None, "means nothing in a response: {lines}");
    }
}
