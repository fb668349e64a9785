use super::{
    super::testing::{Lines, head, later, now, partial, pieces, request, response, stored, stored_as},
    *,
};
use crate::cache::Body;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:10:00 GMT";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn lines(fields: &Fields) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &[u8])| (name.to_owned(), String::from_utf8_lossy(value).into_owned());
    fields.iter().map(owned).collect()
}

fn text(lines: &[(String, String)]) -> Vec<(&str, &str)> {
    lines.iter().map(|(name, value)| (&**name, &**value)).collect()
}

#[test]
fn the_request_that_the_backend_gets() {
    const TAGGED: Lines<'static> = &[("ETag", "\"a\"")];
    const BOTH: Lines<'static> = &[("ETag", "W/\"b\""), ("Last-Modified", MODIFIED)];
    const DATED: Lines<'static> = &[("Last-Modified", MODIFIED)];
    const CONDITIONS: Lines<'static> = &[
        ("Host", "h"),
        ("If-None-Match", "\"client\""),
        ("if-modified-since", DATE),
        ("If-Match", "*"),
        ("If-Unmodified-Since", DATE),
    ];
    // RFC 9111 §4.3.1: the request, what is stored, what is asked.
    for (asked, entries, expected) in [
        (&[("Foo", "1")][..], &[TAGGED][..], &[("Foo", "1"), ("If-None-Match", "\"a\"")][..]),
        (&[], &[DATED], &[("If-Modified-Since", MODIFIED)]),
        (&[], &[BOTH], &[("If-None-Match", "W/\"b\""), ("If-Modified-Since", MODIFIED)]),
        // A date is for one response.
        (&[], &[TAGGED, BOTH], &[("If-None-Match", "\"a\", W/\"b\"")]),
        (&[], &[TAGGED, BOTH, TAGGED, BOTH], &[("If-None-Match", "\"a\", W/\"b\"")]),
        (&[], &[DATED, DATED], &[]),
        (&[], &[&[]], &[]),
        (&[], &[&[("ETag", "broken")]], &[]),
        // For a part, the date only where there is no tag.
        (&[("Range", "bytes=0-1")], &[BOTH], &[("Range", "bytes=0-1"), ("If-None-Match", "W/\"b\"")]),
        (&[("Range", "bytes=0-1")], &[DATED], &[("Range", "bytes=0-1"), ("If-Modified-Since", MODIFIED)]),
        // Ours replace the client's; what is for the origin goes there.
        (
            CONDITIONS,
            &[TAGGED],
            &[("Host", "h"), ("If-Match", "*"), ("If-Unmodified-Since", DATE), ("If-None-Match", "\"a\"")],
        ),
        (CONDITIONS, &[&[]], &[("Host", "h"), ("If-Match", "*"), ("If-Unmodified-Since", DATE)]),
    ] {
        let entries: Vec<Stored> = entries.iter().map(|fields| stored(fields, "abc")).collect();
        let sent = conditional(&request(asked), &entries);
        assert_eq!(text(&lines(&sent.fields)), expected, "{asked:?}");
    }
}

#[test]
fn the_validators_of_a_response() {
    for (fields, anything, tag) in [
        (&[][..], false, false),
        (&[("ETag", "\"a\"")], true, true),
        (&[("ETag", "broken")], false, false),
        (&[("Last-Modified", MODIFIED)], true, false),
        (&[("ETag", "\"a\""), ("Last-Modified", MODIFIED)], true, true),
        (&[("ETag", "broken"), ("Last-Modified", MODIFIED)], true, false),
    ] {
        let entry = stored(fields, "");
        assert_eq!((has_validator(&entry.head), has_tag(&entry.head)), (anything, tag), "{fields:?}");
    }
}

#[test]
fn a_part_is_nominated_only_where_it_would_do() {
    // RFC 9111 §4.3.2.
    let part = partial(&[("ETag", "\"a\""), ("Last-Modified", MODIFIED)], 2, "cdef", Some(8));
    for (asked, nominated) in [
        (&[][..], false),
        (&[("Range", "bytes=2-3")][..], true),
        (&[("Range", "bytes=1-3")][..], false),
        (&[("Range", "lines=1-3")][..], false),
        // With another version the client wants the whole, which is not here.
        (&[("Range", "bytes=2-3"), ("If-Range", "\"a\"")][..], true),
        (&[("Range", "bytes=2-3"), ("If-Range", "\"b\"")][..], false),
    ] {
        let sent = conditional(&request(asked), std::slice::from_ref(&part));
        assert_eq!(sent.fields.contains("if-none-match"), nominated, "{asked:?}");
        assert!(!sent.fields.contains("if-modified-since"), "{asked:?}");
    }
    // A response that is not asked about does not take the date away from one that is.
    let whole = stored(&[("ETag", "\"a\""), ("Last-Modified", MODIFIED)], "abcdefgh");
    assert!(conditional(&request(&[]), &[whole, part]).fields.contains("if-modified-since"));
}

#[test]
fn the_list_of_tags_is_bounded() {
    let tag = |number: usize| format!("\"{number:0100}\"");
    let entries: Vec<Stored> = (0..64).map(|number| stored(&[("ETag", &tag(number))], "")).collect();
    let sent = conditional(&request(&[]), &entries);
    let list = sent.fields.get("if-none-match").unwrap();
    assert!(list.len() <= MAX_TAGS && list.len() > MAX_TAGS - 200, "{}", list.len());
    assert!(list.starts_with(tag(0).as_bytes()) && list.ends_with(b"\""));
    // A single one is sent however long: it came from there.
    let long = format!("\"{}\"", "x".repeat(3000));
    let sent = conditional(&request(&[]), &[stored(&[("ETag", &long)], "")]);
    assert_eq!(sent.fields.get("if-none-match"), Some(long.as_bytes()));
}

#[test]
fn a_validation_that_nobody_asked_for() {
    // RFC 9111 §4.3.1.
    let original = [
        ("Host", "h"),
        ("Foo", "1"),
        ("Bar", "2"),
        ("Cookie", "c"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Range", "bytes=0-1"),
    ];
    let vary = response(200, &[("Vary", "Foo, Baz, Host, X-Forwarded-Proto")]);
    let entry = stored_as(&original, &vary, Body::whole(Vec::new()), now());
    let sent = synthesized(&head(&original), &entry);
    assert_eq!(sent.method, Method::Get);
    assert_eq!(text(&lines(&sent.fields)), [("Host", "h"), ("X-Forwarded-Proto", "https"), ("foo", "1")]);
}

#[test]
fn which_responses_a_304_is_about() {
    const STRONG: Lines<'static> = &[("ETag", "\"a\"")];
    const OTHER: Lines<'static> = &[("ETag", "\"b\"")];
    const WEAK: Lines<'static> = &[("ETag", "W/\"a\"")];
    const DATED: Lines<'static> = &[("Last-Modified", MODIFIED), ("Date", DATE)];
    const UNSETTLED: Lines<'static> = &[("Last-Modified", MODIFIED), ("Date", MODIFIED)];
    const DATED_OTHER: Lines<'static> = &[("ETag", "\"b\""), ("Last-Modified", MODIFIED), ("Date", DATE)];
    const NONE: Lines<'static> = &[];
    let these = |places: &[usize]| Confirmed::These(places.to_vec());
    // RFC 9111 §4.3.4: what the 304 has, what was nominated (of equal age), which of them it is about.
    for (answer, nominated, expected) in [
        (STRONG, &[STRONG][..], these(&[0])),
        (STRONG, &[OTHER, STRONG], these(&[1])),
        (STRONG, &[STRONG, OTHER, STRONG], these(&[0, 2])),
        (STRONG, &[OTHER], Confirmed::Nothing),
        (STRONG, &[WEAK], Confirmed::Nothing),
        (STRONG, &[DATED], Confirmed::Nothing),
        (STRONG, &[NONE], Confirmed::Nothing),
        (WEAK, &[WEAK, WEAK], these(&[0])),
        (WEAK, &[STRONG], these(&[0])),
        (WEAK, &[OTHER], Confirmed::Nothing),
        (DATED, &[DATED, DATED], these(&[0, 1])),
        (DATED, &[DATED_OTHER], these(&[0])),
        // Not strong for what is stored: then it is a weak one (RFC 9110 §8.8.2.2).
        (DATED, &[UNSETTLED], these(&[0])),
        (DATED, &[UNSETTLED, UNSETTLED], these(&[0])),
        (DATED, &[UNSETTLED, DATED], these(&[1])),
        (UNSETTLED, &[UNSETTLED], these(&[0])),
        (UNSETTLED, &[DATED, DATED], these(&[0, 1])),
        (UNSETTLED, &[STRONG], Confirmed::Nothing),
        // A strong tag has to be found; a weak date does not make up for it.
        (DATED_OTHER, &[DATED], these(&[0])),
        (DATED_OTHER, &[UNSETTLED], Confirmed::Nothing),
        // The same second, another tag: another version.
        (DATED_OTHER, &[&[("ETag", "\"a\""), ("Last-Modified", MODIFIED), ("Date", DATE)]], Confirmed::Nothing),
        (NONE, &[NONE], these(&[0])),
        (NONE, &[STRONG], these(&[0])),
        (NONE, &[DATED], these(&[0])),
        (NONE, &[STRONG, STRONG], Confirmed::Nothing),
        (NONE, &[NONE, NONE], Confirmed::Nothing),
        (NONE, &[], Confirmed::Nothing),
        (STRONG, &[], Confirmed::Nothing),
    ] {
        let entries: Vec<Stored> =
            nominated.iter().map(|fields| Stored { date: now().wall, ..stored(fields, "abc") }).collect();
        let found = confirmed(&response(304, answer), &request(&[]), &entries, now().wall);
        assert_eq!(found, expected, "{answer:?} {nominated:?}");
    }
}

#[test]
fn which_responses_a_304_to_the_clients_own_conditions_is_about() {
    const TAGGED: Lines<'static> = &[("ETag", "\"a\""), ("Date", DATE)];
    const BARE: Lines<'static> = &[("Date", DATE)];
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    // RFC 9111 §4.3.4: what the client asks, what the 304 has, what is stored, which of it the 304 is about.
    for (asked, answer, entries, expected) in [
        (&[("If-None-Match", "\"a\"")][..], &[("ETag", "\"a\"")][..], &[TAGGED, BARE, TAGGED][..], &[0, 2][..]),
        (&[("If-None-Match", "\"b\"")], &[("ETag", "\"b\"")], &[TAGGED], &[]),
        // Without a tag it is about the client's version, whichever that is.
        (&[("If-None-Match", "\"b\"")], &[], &[TAGGED], &[]),
        (&[("If-None-Match", "\"b\"")], &[], &[BARE], &[]),
        (&[("If-None-Match", "\"b\""), ("If-Modified-Since", DATE)], &[], &[BARE], &[]),
        (&[("If-Modified-Since", DATE)], &[], &[TAGGED], &[]),
        (&[("If-Modified-Since", DATE)], &[], &[BARE], &[0]),
        (&[("If-Modified-Since", MODIFIED)], &[], &[BARE], &[0]),
        (&[("If-Modified-Since", LATER)], &[], &[BARE], &[]),
        (&[("If-Modified-Since", "x")], &[], &[BARE], &[]),
        (&[("If-Modified-Since", DATE)], &[], &[BARE, BARE], &[]),
        (&[("If-Modified-Since", DATE)], &[], &[], &[]),
    ] {
        let entries: Vec<Stored> = entries.iter().map(|fields| stored(fields, "abc")).collect();
        let found = confirmed_beside(&response(304, answer), &request(asked), &entries, now().wall);
        assert_eq!(found, expected, "{asked:?} {answer:?}");
    }
    // Only what could have been chosen for that request.
    let selected = stored_as(
        &[("Foo", "1")],
        &response(200, &[("Vary", "Foo"), ("ETag", "\"a\"")]),
        Body::whole(Vec::new()),
        now(),
    );
    let answer = response(304, &[("ETag", "\"a\"")]);
    for (foo, expected) in [("1", &[0][..]), ("2", &[])] {
        let asked = request(&[("Foo", foo)]);
        assert_eq!(confirmed_beside(&answer, &asked, &[&selected], now().wall), expected, "{foo}");
    }
}

#[test]
fn the_most_recent_answers() {
    let at = |seconds: u64, fields| Stored { date: later(seconds).wall, ..stored(fields, "abc") };
    let entries = [at(1, &[("ETag", "\"a\"")]), at(3, &[("ETag", "\"a\"")]), at(2, &[("ETag", "W/\"a\"")])];
    for (tag, expected) in [("\"a\"", &[1, 0][..]), ("W/\"a\"", &[1])] {
        let found = confirmed(&response(304, &[("ETag", tag)]), &request(&[]), &entries, now().wall);
        assert_eq!(found, Confirmed::These(expected.to_vec()), "{tag}");
    }
}

#[test]
fn a_variant_that_did_not_match_is_used_if_the_backend_names_it() {
    // RFC 9111 §4.3, §4.3.2. `Foo: 1` and `Foo: 2` are stored, `Foo: 3` is asked for.
    let variant = |foo, tag| {
        let answer = response(200, &[("Vary", "Foo"), ("ETag", tag)]);
        stored_as(&[("Foo", foo)], &answer, Body::whole(Vec::new()), now())
    };
    let entries = [variant("1", "\"a\""), variant("2", "\"b\"")];
    let asked = request(&[("Foo", "3")]);
    for (answer, expected) in [
        (&[("ETag", "\"b\"")][..], Confirmed::Another(1)),
        (&[("ETag", "\"c\"")][..], Confirmed::Nothing),
        (&[][..], Confirmed::Nothing),
    ] {
        assert_eq!(confirmed(&response(304, answer), &asked, &entries, now().wall), expected);
    }
    let answer = response(304, &[("ETag", "\"b\""), ("Vary", "Foo")]);
    let adopted = freshened(&entries[1], &answer, &asked, now(), now(), &Rules::default()).stored;
    assert!(adopted.selecting.matches(&asked.fields) && !adopted.selecting.matches(&request(&[("Foo", "2")]).fields));
    // The same without a word of Vary in the 304.
    let answer = response(304, &[("ETag", "\"b\"")]);
    let adopted = freshened(&entries[1], &answer, &asked, now(), now(), &Rules::default()).stored;
    assert!(adopted.selecting.matches(&asked.fields) && !adopted.selecting.matches(&request(&[]).fields));
}

const NEWER: Lines<'static> = &[
    ("Cache-Control", "max-age=60, no-cache=x-secret"),
    ("content-type", "text/html"),
    ("Content-Encoding", "b"),
    ("SET-COOKIE", "c=1"),
    ("X-New", "1"),
    ("X-New", "2"),
    ("Content-Foo", "1"),
    ("Content-Length", "10"),
    ("Content-Range", "bytes 0-9/10"),
    ("Connection", "X-Hop"),
    ("X-Hop", "1"),
    ("Keep-Alive", "1"),
    ("Transfer-Encoding", "chunked"),
    ("Proxy-Authenticate", "x"),
    ("X-Secret", "1"),
    ("Age", "5"),
    ("Date", DATE),
];

#[test]
fn which_fields_an_update_replaces() {
    // RFC 9111 §3.2, §3.1.
    let before = stored(
        &[
            ("Cache-Control", "max-age=1"),
            ("Content-Type", "text/plain"),
            ("Content-Encoding", "a"),
            ("Set-Cookie", "a=1"),
            ("set-cookie", "b=1"),
            ("X-Kept", "1"),
            ("Date", "Sun, 06 Nov 1994 08:00:00 GMT"),
            ("Content-Length", "3"),
        ],
        "abc",
    );
    let newer = response(304, NEWER);
    let after = freshened(&before, &newer, &request(&[]), later(10), later(10), &Rules::default());
    let expected = [
        ("X-Kept", "1"),
        ("Cache-Control", "max-age=60, no-cache=x-secret"),
        ("content-type", "text/html"),
        ("Content-Encoding", "b"),
        ("SET-COOKIE", "c=1"),
        ("X-New", "1"),
        ("X-New", "2"),
        ("Content-Foo", "1"),
        ("Date", DATE),
    ];
    assert_eq!(text(&lines(&after.stored.head.fields)), expected);
    assert_eq!(after.old, Old::Replaced);
    assert_eq!((after.stored.body.len(), after.stored.date), (3, now().wall));
    assert_eq!(after.stored.body.pieces()[0].as_ptr(), before.body.pieces()[0].as_ptr(), "the body is shared");
    assert_eq!(after.stored.head.status, before.head.status);
}

#[test]
fn an_update_brings_no_field_of_one_user() {
    // RFC 9111 §5.2.2.4, §5.2.2.7: what was said with the stored response, and what is said now.
    for (before, answer) in [
        (&[("Cache-Control", "private=\"x-mine\"")][..], &[("X-Mine", "1")][..]),
        (&[("Cache-Control", "no-cache=\"X-Mine\"")], &[("x-mine", "1"), ("X-Other", "1")]),
        (&[("X-Mine", "1")], &[("Cache-Control", "private=x-mine")]),
        (&[("CDN-Cache-Control", "private=\"x-mine\"")], &[("X-Mine", "1"), ("Cache-Control", "max-age=9")]),
        (&[("Cache-Control", "private=\"x-mine, date\"")], &[("X-Mine", "1"), ("Date", MODIFIED)]),
    ] {
        let stored = stored(before, "abc");
        let after = freshened(&stored, &response(304, answer), &request(&[]), now(), now(), &Rules::default());
        assert!(!after.stored.head.fields.contains("x-mine"), "{before:?} {answer:?}");
        assert_eq!(after.stored.head.fields.get_all("date").collect::<Vec<_>>(), [DATE.as_bytes()], "{before:?}");
    }
    // A directive that is not repeated does not hold any more.
    let before = stored(&[("Cache-Control", "private=x-mine")], "abc");
    let answer = response(304, &[("Cache-Control", "max-age=9"), ("X-Mine", "1")]);
    let after = freshened(&before, &answer, &request(&[]), now(), now(), &Rules::default());
    assert!(after.stored.head.fields.contains("x-mine"));
}

#[test]
fn an_update_gives_a_new_life() {
    // RFC 9111 §4.3.4, §4.2.3: counted from the newer response.
    let before = stored(&[("Cache-Control", "max-age=10"), ("ETag", "\"a\""), ("Date", DATE), ("Age", "9")], "abc");
    let later = later(100);
    let wall = String::from_utf8(http_date(later.wall).to_vec()).unwrap();
    // Each case: the fields of the 304; the age that results, and how long the response is fresh from then.
    for (answer, age, left) in [
        (&[("Date", wall.as_str())][..], 0, Some(10)),
        (&[][..], 0, Some(10)),
        (&[("Age", "4")][..], 4, Some(6)),
        (&[("Cache-Control", "max-age=50")][..], 0, Some(50)),
        (&[("Cache-Control", "max-age=0")][..], 0, None),
        (&[("Date", DATE)][..], 100, None),
    ] {
        let after = freshened(&before, &response(304, answer), &request(&[]), later, later, &Rules::default()).stored;
        assert_eq!(after.freshness.age(later.instant).as_secs(), age, "{answer:?}");
        assert_eq!(after.freshness.left(later.instant).ok().map(|left| left.as_secs()), left, "{answer:?}");
        assert_eq!(after.head.fields.get_all("date").count(), 1);
        assert!(!after.head.fields.contains("age"));
    }
    assert!(before.freshness.left(later.instant).is_err());
}

#[test]
fn the_fate_of_the_old_entry() {
    let before = stored(&[("Cache-Control", "max-age=10"), ("ETag", "\"a\"")], "abc");
    for (asked, answer, expected) in [
        (&[][..], &[][..], Old::Replaced),
        (&[], &[("Cache-Control", "no-store")], Old::Goes(NotStored::NoStore)),
        (&[], &[("Cache-Control", "private")], Old::Goes(NotStored::Private)),
        (&[], &[("Vary", "*")], Old::Goes(NotStored::VaryEverything)),
        (&[("Cache-Control", "no-store")], &[], Old::Stays(NotStored::RequestNoStore)),
        (&[("Authorization", "Basic QQ==")], &[], Old::Stays(NotStored::Authorization)),
        (&[("Authorization", "Basic QQ==")], &[("Cache-Control", "public, max-age=9")], Old::Replaced),
    ] {
        let (asked, answer) = (request(asked), response(304, answer));
        assert_eq!(freshened(&before, &answer, &asked, now(), now(), &Rules::default()).old, expected);
    }
    // A HEAD freshens what answered a GET (§4.3.5).
    let after = freshened(&before, &response(200, &[]), &head(&[]), now(), now(), &Rules::default());
    assert_eq!(after.old, Old::Replaced);
}

#[test]
fn the_verdict_of_a_head_on_the_stored_response() {
    const FULL: Lines<'static> = &[("ETag", "\"a\""), ("Last-Modified", MODIFIED)];
    // RFC 9111 §4.3.5.
    for (ours, answer, same) in [
        (FULL, &[][..], true),
        (FULL, &[("Content-Length", "3")], true),
        (FULL, &[("Content-Length", "4")], false),
        (FULL, &[("Content-Length", "x")], false),
        (FULL, &[("ETag", "\"a\"")], true),
        (FULL, &[("ETag", "\"b\"")], false),
        (FULL, &[("ETag", "W/\"a\"")], false),
        (FULL, &[("Last-Modified", MODIFIED)], true),
        (FULL, &[("Last-Modified", DATE)], false),
        (FULL, &[("ETag", "\"a\""), ("Last-Modified", DATE)], false),
        (FULL, &[("ETag", "\"a\""), ("Content-Length", "4")], false),
        (&[], &[("ETag", "\"a\"")], false),
        (&[], &[], true),
    ] {
        let expected = if same { HeadSays::Same } else { HeadSays::Changed };
        assert_eq!(head_says(&response(200, answer), &stored(ours, "abc")), expected, "{answer:?}");
    }
    let part = partial(FULL, 0, "abc", Some(9));
    assert_eq!(head_says(&response(200, &[("Content-Length", "9")]), &part), HeadSays::Same);
    assert_eq!(head_says(&response(200, &[("Content-Length", "3")]), &part), HeadSays::Changed);
    for status in [203, 301, 404] {
        let other = stored_as(&[], &response(status, &[]), Body::whole(pieces("abc")), now());
        assert_eq!(head_says(&response(200, &[("Content-Length", "3")]), &other), HeadSays::Changed, "{status}");
    }
    let unknown = partial(FULL, 0, "abc", None);
    assert_eq!(head_says(&response(200, &[("Content-Length", "9")]), &unknown), HeadSays::Changed);
}

#[test]
fn a_response_that_has_changed_is_validated_before_it_is_used() {
    let fresh = stored(&[("Cache-Control", "max-age=10, stale-if-error=9, stale-while-revalidate=9")], "").freshness;
    let invalidated = fresh.invalidated();
    assert!(fresh.left(now().instant).is_ok() && invalidated.left(now().instant).is_err());
    for situation in [crate::cache::Situation::Normal, crate::cache::Situation::Failed] {
        let found = crate::cache::reuse(&invalidated, &RequestDirectives::default(), now().instant, situation);
        assert!(matches!(found, crate::cache::Reuse::Validate(_)), "{found:?}");
    }
}
