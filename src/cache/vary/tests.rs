use super::{super::testing::Lines, *};

fn fields(lines: Lines<'_>) -> Fields {
    lines.iter().copied().collect()
}

/// Whether a response with these `Vary` lines, which answered the first request, may answer the second.
fn matches(vary: &[&str], original: Lines<'_>, presented: Lines<'_>) -> bool {
    let response: Fields = vary.iter().map(|line| ("Vary", *line)).collect();
    Selecting::of(&response, &fields(original)).matches(&fields(presented))
}

#[test]
fn which_vary_selects_what() {
    const ONE: Lines<'static> = &[("Foo", "1"), ("Bar", "a")];
    // RFC 9110 §12.5.5, RFC 9111 §4.1. Each case: the lines of Vary, the presented request, and whether it may have the
    // response.
    for (vary, presented, expected) in [
        (&[][..], &[][..], true),
        (&[""], &[], true),
        (&[",, ,"], &[], true),
        (&["Foo"], ONE, true),
        (&["fOO"], &[("foo", "1")], true),
        (&["Foo"], &[("Foo", "2")], false),
        (&["Foo"], &[("Foo", "")], false),
        (&["Foo"], &[], false),
        (&["Foo"], &[("Foo", "1"), ("Other", "x")], true),
        (&["Foo, Bar"], ONE, true),
        (&["Foo, Bar"], &[("Bar", "a"), ("Foo", "1")], true),
        (&["Foo, Bar"], &[("Foo", "1")], false),
        (&["Foo, Bar"], &[("Foo", "1"), ("Bar", "b")], false),
        (&["Foo", "Bar"], &[("Foo", "1"), ("Bar", "b")], false),
        (&["Foo", "Bar"], ONE, true),
        (&["Foo, Baz"], ONE, true),
        (&["Foo, Baz"], &[("Foo", "1"), ("Baz", "")], false),
        (&["*"], ONE, false),
        (&["Foo, *"], ONE, false),
        (&["*, Foo"], ONE, false),
        (&[", *"], ONE, false),
        (&["*, *"], ONE, false),
        (&["", "*"], ONE, false),
        (&["Foo", "*"], ONE, false),
        (&[" * "], ONE, false),
        // Not what the backend saw.
        (&["X-Forwarded-For"], ONE, false),
        (&["Foo, FORWARDED"], ONE, false),
        // Not a name: its meaning is unknown.
        (&["Foo Bar"], ONE, false),
        (&["Foo; Bar"], ONE, false),
        (&["\"Foo\""], ONE, false),
        (&["Foo, B\u{e4}r"], ONE, false),
        // A name, and no request has such a field.
        (&["**"], ONE, true),
    ] {
        assert_eq!(matches(vary, ONE, presented), expected, "{vary:?} {presented:?}");
    }
}

#[test]
fn which_values_are_the_same() {
    // RFC 9111 §4.1: white space, lines, and what the field's own specification says.
    for (name, original, presented, expected) in [
        ("Foo", &["1,2"][..], &["1, 2"][..], true),
        ("Foo", &["1,2"], &[" 1 ,\t2 "], true),
        ("Foo", &["1, 2"], &["1", "2"], true),
        ("Foo", &["1", "2"], &["1,2"], true),
        ("Foo", &["1", "2"], &["2", "1"], false),
        ("Foo", &["1, 2"], &["2, 1"], false),
        ("Foo", &["1"], &["1", "1"], false),
        ("Foo", &["1, 2"], &["1"], false),
        ("Foo", &["1"], &["1, 2"], false),
        ("Foo", &["12"], &["1"], false),
        ("Foo", &["1"], &["12"], false),
        ("Foo", &["a"], &["A"], false),
        ("Foo", &["a b"], &["a  b"], false),
        ("Foo", &["a b"], &["ab"], false),
        ("Foo", &["\"a, b\""], &["\"a,b\""], false),
        ("Foo", &["\"a\\\", b\", c"], &["\"a\\\", b\",c"], true),
        ("Foo", &["1,,2"], &["1,2"], false),
        ("Foo", &["1,"], &["1"], false),
        ("Foo", &["1"], &["1,"], false),
        ("Foo", &["1", ""], &["1,"], true),
        ("Foo", &[""], &[""], true),
        ("Foo", &[""], &[], false),
        ("Foo", &[], &[""], false),
        ("Foo", &[], &[], true),
        ("Foo", &["\"a"], &["\"a"], true),
        ("Accept", &["a/b, c/d"], &["a/b,,c/d", ""], true),
        ("Accept", &["a/b;q=1"], &["a/b; q=1"], false),
        ("Accept", &["a/b"], &["A/b"], false),
        ("Accept", &[""], &[","], true),
        ("Accept", &[""], &["a/b"], false),
        ("Accept", &["a/b"], &[""], false),
        ("Accept", &[""], &[], false),
        ("Accept-Encoding", &["gzip, br"], &["GZIP,BR"], true),
        ("Accept-Encoding", &["gzip, br"], &["br, gzip"], false),
        ("Accept-Language", &["en, de"], &["eN , De"], true),
        ("Accept-Language", &["en, de"], &["de, en"], false),
        ("Accept-Language", &["en-GB"], &["en"], false),
        ("User-Agent", &["a (b, c)"], &["a (b,c)"], false),
        ("User-Agent", &["a (b, c)"], &["  a (b, c) "], true),
        ("Cookie", &["a=1, 2"], &["a=1,2"], false),
        ("Cookie", &["a=1", "b=2"], &["a=1,b=2"], true),
        ("Authorization", &["Basic QQ=="], &["basic QQ=="], false),
    ] {
        let lines = |values: &[&'static str]| values.iter().map(|value| (name, *value)).collect::<Vec<_>>();
        let (original, presented) = (lines(original), lines(presented));
        assert_eq!(matches(&[name], &original, &presented), expected, "{original:?} {presented:?}");
        // Matching is symmetric: either of the two may come first.
        assert_eq!(matches(&[name], &presented, &original), expected, "{presented:?} {original:?}");
    }
}

/// Together, `"a` and `b", c` are a list of two members, each by itself one of which the last is no string. A server that sees
/// one and a cache that sees the other would let one client choose what another one gets.
#[test]
fn lines_that_can_be_read_in_two_ways_match_nothing() {
    for (name, original, presented, expected) in [
        ("Foo", &["\"a,b\", c"][..], &["\"a", "b\", c"][..], false),
        ("Foo", &["\"a,b\""], &["\"a", "b\""], false),
        ("Foo", &["\"a", "b\""], &["\"a", "b\""], false),
        ("Accept", &["\"a", "b"], &["\"a", "b"], false),
        // Only the last one is open, or nothing is a list.
        ("Foo", &["\"a\"", "\"b"], &["\"a\",\"b"], true),
        ("Cookie", &["\"a", "b\""], &["\"a,b\""], true),
    ] {
        let lines = |values: &[&'static str]| values.iter().map(|value| (name, *value)).collect::<Vec<_>>();
        let (original, presented) = (lines(original), lines(presented));
        assert_eq!(matches(&[name], &original, &presented), expected, "{original:?} {presented:?}");
        assert_eq!(matches(&[name], &presented, &original), expected, "{presented:?} {original:?}");
    }
}

#[test]
fn long_values_that_begin_alike() {
    let long = "x".repeat(200);
    for (one, other, expected) in [
        (format!("{long}a"), format!("{long}b"), false),
        (format!("{long}a"), long.clone(), false),
        (format!("{long},a"), format!("{long} , a"), true),
        (format!("{long},a"), format!("{long}, b"), false),
        (format!("{long},\"a ,b\""), format!("{long}, \"a ,b\""), true),
        (format!("{long},\"a ,b\""), format!("{long}, \"a, b\""), false),
        (format!("{long}, {long}, b"), format!("{long} ,{long},b "), true),
    ] {
        for name in ["Foo", "Accept"] {
            assert_eq!(matches(&[name], &[(name, &one)], &[(name, &other)]), expected, "{one} {other}");
            assert_eq!(matches(&[name], &[(name, &other)], &[(name, &one)]), expected, "{other} {one}");
        }
    }
    let caseless = [("Accept-Language", &*format!("{long}, A"))];
    assert!(matches(&["Accept-Language"], &caseless, &[("Accept-Language", &format!("{},a", long.to_uppercase()))]));
}

#[test]
fn a_name_counts_once_and_order_does_not() {
    let request = fields(&[("Foo", "1"), ("Bar", "2")]);
    let of = |vary: &str| Selecting::of(&fields(&[("Vary", vary)]), &request);
    assert_eq!(of("Foo, Bar"), of("bar,FOO, Bar"));
    assert_eq!(of("Foo, Bar").fields().collect::<Vec<_>>(), [("bar", Some(&b"2"[..])), ("foo", Some(b"1"))]);
    assert_ne!(of("Foo"), of("Foo, Bar"));
    assert!(of("Foo").is_by_fields() && !of("").is_by_fields() && !of("*").is_by_fields());
    assert!(of("Foo").heap() > 4 && of("*").heap() == 0);
}

#[test]
fn a_vary_that_names_too_much_selects_nothing() {
    let names = |count: usize| (0..count).map(|number| format!("F{number}")).collect::<Vec<_>>().join(",");
    assert!(matches(&[&names(MAX_NAMES)], &[], &[]));
    assert!(!matches(&[&names(MAX_NAMES + 1)], &[], &[]));
    // Also if it says the same again and again.
    assert!(matches(&[&vec!["X"; MAX_NAMES].join(",")], &[], &[]));
    assert!(!matches(&[&vec!["X"; MAX_NAMES + 1].join(",")], &[], &[]));
}

#[test]
fn a_look_up_asks_for_a_bounded_number_of_fields() {
    // Each variant names two fields that no other does; the request has none of them, as the first ones had none.
    let selecting = |at: usize| {
        let vary = format!("A{at},B{at}");
        Selecting::of(&fields(&[("Vary", &vary)]), &fields(&[]))
    };
    let variants: Vec<Selecting> = (0..MAX_ASKED).map(selecting).collect();
    let found = matching(&variants, &fields(&[]));
    assert_eq!(found.iter().filter(|matches| **matches).count(), MAX_ASKED / 2);
    assert!(found[..MAX_ASKED / 2].iter().all(|matches| *matches), "those that are asked first");
}

#[test]
fn the_most_recent_of_those_that_match_and_rather_one_with_a_vary() {
    let selecting = |vary: &str, foo: &str| Selecting::of(&fields(&[("Vary", vary)]), &fields(&[("Foo", foo)]));
    let (any, one, two, star) = (selecting("", ""), selecting("Foo", "1"), selecting("Foo", "2"), selecting("*", ""));
    // RFC 9111 §4, §4.1. Each case: the stored responses, each with a date, and which of them a request with `Foo: 1`
    // gets.
    for (candidates, chosen) in [
        (&[][..], None),
        (&[(&two, 9)], None),
        (&[(&star, 9)], None),
        (&[(&any, 1)], Some(0)),
        (&[(&any, 1), (&any, 2)], Some(1)),
        (&[(&one, 2), (&one, 1), (&two, 3)], Some(0)),
        (&[(&one, 1), (&any, 9), (&star, 9)], Some(0)),
        (&[(&two, 1), (&any, 9)], Some(1)),
        (&[(&one, 1), (&one, 1)], Some(0)),
    ] {
        let request = fields(&[("Foo", "1")]);
        let at = choose(0..candidates.len(), &request, |at| (candidates[*at].0, candidates[*at].1));
        assert_eq!(at, chosen, "{candidates:?}");
    }
}
