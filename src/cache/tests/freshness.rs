//! RFC 9111 §4.2, §5.1, §5.3. It is `Sun, 06 Nov 1994 08:49:37 GMT`.

use super::{now, response, seconds};
use crate::{
    cache::{Audience, Freshness, ResponseDirectives, Rules, Source},
    http::{Fields, ResponseHead},
    time::Now,
};
use std::time::Duration;

const MAX: u64 = 1 << 31;

fn of(status: u16, lines: &str, rules: &Rules) -> Freshness {
    of_head(&response(status, lines), now(), now(), rules)
}

/// That of a response to a client that does not say who it is.
fn of_head(response: &ResponseHead, asked: Now, arrived: Now, rules: &Rules) -> Freshness {
    let said = ResponseDirectives::of(&response.fields);
    let audience = Audience::of(&Fields::new(), &response.fields, &said);
    Freshness::of(response, &said, audience, asked, arrived, rules)
}

const LIFETIMES: &[(&str, u64, Source)] = &[
    ("Cache-Control: s-maxage=7, max-age=5\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 7, Source::SMaxAge),
    ("Cache-Control: max-age=5, s-maxage=7", 7, Source::SMaxAge),
    ("Cache-Control: s-maxage=x, max-age=5", 0, Source::SMaxAge),
    ("Cache-Control: max-age=5\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 5, Source::MaxAge),
    ("Cache-Control: max-age=5\nExpires: 0", 5, Source::MaxAge),
    ("Cache-Control: max-age=0\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 0, Source::MaxAge),
    ("Cache-Control: max-age=x\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 0, Source::MaxAge),
    ("Cache-Control: max-age=99999999999", MAX, Source::MaxAge),
    ("Cache-Control: max-age=x\nLast-Modified: Sat, 05 Nov 1994 08:49:37 GMT", 0, Source::MaxAge),
    // §5.3. Without Date the time of arrival stands in (RFC 9110 §6.6.1).
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT", 60, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT\nDate: Sun, 06 Nov 1994 08:49:37 GMT", 60, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT\nDate: Sun, 06 Nov 1994 08:49:07 GMT", 90, Source::Expires),
    // A clock ahead of ours: only the difference counts.
    ("Expires: Sun, 06 Nov 1994 10:00:10 GMT\nDate: Sun, 06 Nov 1994 10:00:00 GMT", 10, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT\nDate: yesterday", 60, Source::Expires),
    ("Expires: Sunday, 06-Nov-94 08:50:37 GMT", 60, Source::Expires),
    ("Expires: Sun Nov  6 08:50:37 1994", 60, Source::Expires),
    // Fifty years ahead, and what appears to be more: that was a century earlier (RFC 9110 §5.6.7).
    ("Expires: Sunday, 06-Nov-44 08:49:37 GMT", 1_577_923_200, Source::Expires),
    ("Expires: Sunday, 06-Nov-44 08:49:38 GMT", 0, Source::Expires),
    ("Expires: sun, 06 nov 1994 08:50:37 gmt", 60, Source::Expires),
    ("Expires: Fri, 31 Dec 9999 23:59:59 GMT", MAX, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:49:37 GMT", 0, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:49:36 GMT", 0, Source::Expires),
    ("Expires: Thu, 01 Jan 1970 00:00:00 GMT", 0, Source::Expires),
    // §5.3: invalid dates, 0 above all, have passed.
    ("Expires: 0", 0, Source::Expires),
    ("Expires: -1", 0, Source::Expires),
    ("Expires:", 0, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 UTC", 0, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 +0000", 0, Source::Expires),
    ("Expires: 0\nLast-Modified: Sat, 05 Nov 1994 08:49:37 GMT", 0, Source::Expires),
    // §4.2.1: several.
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 60, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT\nExpires: Sun, 06 Nov 1994 08:50:38 GMT", 0, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT\nExpires: 0", 0, Source::Expires),
    ("Expires: Sun, 06 Nov 1994 08:50:37 GMT, Sun, 06 Nov 1994 08:50:37 GMT", 0, Source::Expires),
    // §4.2.2.
    ("Last-Modified: Sun, 06 Nov 1994 08:48:37 GMT", 6, Source::Heuristic),
    ("Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT", 8_640, Source::Heuristic),
    ("Last-Modified: Thu, 27 Oct 1994 08:49:37 GMT", 86_400, Source::Heuristic),
    ("Last-Modified: Thu, 27 Oct 1994 08:49:27 GMT", 86_400, Source::Heuristic),
    ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", 0, Source::Heuristic),
    ("Last-Modified: Sun, 06 Nov 1994 08:59:37 GMT", 0, Source::Heuristic),
    ("Last-Modified: Sun, 06 Nov 1994 08:48:37 GMT\nDate: Sun, 06 Nov 1994 08:49:07 GMT", 3, Source::Heuristic),
    ("Cache-Control: public\nLast-Modified: Sun, 06 Nov 1994 08:48:37 GMT", 6, Source::Heuristic),
    ("Cache-Control: foo=9\nLast-Modified: Sun, 06 Nov 1994 08:48:37 GMT", 6, Source::Heuristic),
    ("Last-Modified: long ago", 0, Source::Nothing),
    ("ETag: \"a\"", 0, Source::Nothing),
    ("", 0, Source::Nothing),
    // RFC 9213 §2.2: where it counts, Cache-Control and Expires do not.
    ("CDN-Cache-Control: max-age=9\nCache-Control: s-maxage=7", 9, Source::MaxAge),
    ("CDN-Cache-Control: max-age=9\nExpires: 0", 9, Source::MaxAge),
    ("CDN-Cache-Control: max-age=9, s-maxage=8\nCache-Control: s-maxage=7", 8, Source::SMaxAge),
    ("CDN-Cache-Control: max-age=-9\nCache-Control: max-age=7", 0, Source::MaxAge),
    ("CDN-Cache-Control: max-age=0\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 0, Source::MaxAge),
    ("CDN-Cache-Control: foo\nCache-Control: max-age=7\nExpires: Sun, 06 Nov 1994 08:50:37 GMT", 0, Source::Nothing),
    ("CDN-Cache-Control: foo\nLast-Modified: Sun, 06 Nov 1994 08:48:37 GMT", 6, Source::Heuristic),
    ("CDN-Cache-Control: Foo\nCache-Control: max-age=7", 7, Source::MaxAge),
];

/// §4.2.1: the first of s-maxage, max-age, Expires − Date; §4.2.2 only without all of them.
#[test]
fn lifetimes() {
    for &(lines, lifetime, source) in LIFETIMES {
        let freshness = of(200, lines, &Rules::default());
        assert_eq!((freshness.lifetime(), freshness.source()), (seconds(lifetime), source), "{lines:?}");
    }
}

/// §4.2.2: only for statuses that allow it, or where `public` does.
#[test]
fn guesses_need_a_status_that_allows_them() {
    const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:48:37 GMT";
    for (status, lines, lifetime) in [
        (200, MODIFIED.to_owned(), 6),
        (404, MODIFIED.to_owned(), 6),
        (501, MODIFIED.to_owned(), 6),
        (201, MODIFIED.to_owned(), 0),
        (302, MODIFIED.to_owned(), 0),
        (500, MODIFIED.to_owned(), 0),
        (599, MODIFIED.to_owned(), 0),
        (302, format!("{MODIFIED}\nCache-Control: public"), 6),
        (599, format!("{MODIFIED}\nCache-Control: public"), 6),
        (302, format!("{MODIFIED}\nCache-Control: max-age=9"), 9),
    ] {
        assert_eq!(of(status, &lines, &Rules::default()).lifetime(), seconds(lifetime), "{status} {lines}");
    }
}

#[test]
fn the_operator_decides_about_guesses() {
    let rules = Rules {
        default_ttl: Some(seconds(30)),
        heuristic_fraction: 0.5,
        heuristic_cap: seconds(100),
        stale_if_error: Some(seconds(7)),
    };
    for (status, lines, lifetime, source) in [
        (200, "", 30, Source::Default),
        (404, "ETag: \"a\"", 30, Source::Default),
        (302, "", 0, Source::Nothing),
        (302, "Cache-Control: public", 30, Source::Default),
        (200, "Cache-Control: max-age=0", 0, Source::MaxAge),
        (200, "Expires: 0", 0, Source::Expires),
        (200, "Last-Modified: Sun, 06 Nov 1994 08:48:37 GMT", 30, Source::Heuristic),
        (200, "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT", 100, Source::Heuristic),
    ] {
        let freshness = of(status, lines, &rules);
        assert_eq!((freshness.lifetime(), freshness.source()), (seconds(lifetime), source), "{lines:?}");
        assert_eq!(freshness.stale_if_error(), seconds(7));
    }
    assert_eq!(of(200, "Cache-Control: stale-if-error=9", &rules).stale_if_error(), seconds(9));
    assert_eq!(of(200, "Cache-Control: stale-if-error=0", &rules).stale_if_error(), seconds(0));
    assert_eq!(of(200, "", &Rules::default()).stale_if_error(), seconds(0));
}

/// The lifetime of a response that looks like one client's is never guessed, whatever the operator says. A lifetime
/// that it states counts (§7.3).
#[test]
fn guesses_stop_where_it_may_be_one_clients() {
    const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:48:37 GMT";
    let rules = Rules { default_ttl: Some(seconds(30)), stale_if_error: Some(seconds(7)), ..Rules::default() };
    for (asked, lines, lifetime, source, stale) in [
        ("", MODIFIED, 6, Source::Heuristic, 7),
        ("", "", 30, Source::Default, 7),
        ("Cookie: a=b", MODIFIED, 0, Source::Nothing, 0),
        ("Authorization: Basic x", "", 0, Source::Nothing, 0),
        ("", "Vary: Cookie", 0, Source::Nothing, 0),
        ("", "Set-Cookie: a=b", 0, Source::Nothing, 0),
        ("Cookie: a=b", "Cache-Control: stale-while-revalidate=9, stale-if-error=9", 0, Source::Nothing, 0),
        ("Cookie: a=b", "Cache-Control: max-age=9\nSet-Cookie: a=b", 9, Source::MaxAge, 7),
        ("Cookie: a=b", "Cache-Control: public\nLast-Modified: Sun, 06 Nov 1994 08:48:37 GMT", 6, Source::Heuristic, 7),
    ] {
        let (request, response) = (super::request("GET", asked), response(200, lines));
        let said = ResponseDirectives::of(&response.fields);
        let audience = Audience::of(&request.fields, &response.fields, &said);
        let found = Freshness::of(&response, &said, audience, now(), now(), &rules);
        assert_eq!((found.lifetime(), found.source()), (seconds(lifetime), source), "{asked:?} {lines:?}");
        let spans = (found.stale_while_revalidate(), found.stale_if_error());
        assert_eq!(spans, (seconds(0), seconds(stale)), "{asked:?} {lines:?}");
    }
}

/// §4.2.3 and §5.1, with a response that took three seconds to come.
#[test]
fn ages() {
    let arrived = now();
    let asked = Now { instant: arrived.instant - seconds(3), wall: arrived.wall - seconds(3) };
    for (lines, initial) in [
        // Only the delay is known: the response may have been made when the request was sent.
        ("", 3),
        ("Date: Sun, 06 Nov 1994 08:49:37 GMT", 3),
        ("Date: Sun, 06 Nov 1994 08:49:34 GMT", 3),
        ("Date: Sun, 06 Nov 1994 08:49:33 GMT", 4),
        ("Date: Sun, 06 Nov 1994 08:39:37 GMT", 600),
        // In the future: max(0, …).
        ("Date: Sun, 06 Nov 1994 09:49:37 GMT", 3),
        ("Date: nonsense", 3),
        ("Age: 10", 13),
        ("Age: 10\nDate: Sun, 06 Nov 1994 08:39:37 GMT", 600),
        ("Age: 600\nDate: Sun, 06 Nov 1994 08:49:27 GMT", 603),
        // §5.1: of a list the first member SHOULD be used; what is no non-negative integer SHOULD be ignored.
        ("Age: 10, 20", 13),
        ("Age: 10\nAge: 20", 13),
        ("Age: , 10", 13),
        ("Age:\nAge: ,\nAge: 10, 20", 13),
        ("Age: x\nAge: 10", 3),
        ("Age: 010", 13),
        ("Age: -10", 3),
        ("Age: x, 10", 3),
        ("Age: 10.0", 3),
        ("Age: 10s", 3),
        ("Age: 10; a=b", 3),
        ("Age: \"10\"", 3),
        ("Age:", 3),
        ("Age: 2147483647", MAX),
        ("Age: 2147483648", MAX),
        ("Age: 18446744073709551616", MAX),
        ("Age: 99999999999999999999", MAX),
        ("Age: 00000000000000000000000000000000010", 13),
        ("Date: Mon, 01 Jan 0001 00:00:00 GMT", MAX),
    ] {
        let response = response(200, &format!("Cache-Control: max-age=100\n{lines}"));
        let freshness = of_head(&response, asked, arrived, &Rules::default());
        assert_eq!(freshness.initial_age(), seconds(initial), "{lines:?}");
        // Later it is older by as much, and `Age` stays a number that others can read.
        let later = arrived.instant + seconds(50);
        assert_eq!(freshness.age(later), seconds(initial + 50), "{lines:?}");
        assert_eq!(u64::from(freshness.age_seconds(later)), (initial + 50).min(MAX), "{lines:?}");
    }
}

/// §4.2: fresh means that the lifetime exceeds the age.
#[test]
fn the_moment_of_expiry() {
    let freshness = of(200, "Cache-Control: max-age=10\nAge: 4", &Rules::default());
    let at = |after: Duration| freshness.arrived() + after;
    let nano = Duration::from_nanos(1);
    for (after, left, ttl) in [
        (seconds(0), Ok(seconds(6)), 6),
        (seconds(5), Ok(seconds(1)), 1),
        (seconds(6) - nano, Ok(nano), 1),
        (seconds(6), Err(seconds(0)), 0),
        (seconds(6) + nano, Err(nano), 0),
        (seconds(36), Err(seconds(30)), -30),
    ] {
        assert_eq!((freshness.left(at(after)), freshness.ttl_seconds(at(after))), (left, ttl), "{after:?}");
    }
    assert_eq!(freshness.left(freshness.arrived() - seconds(5)), Ok(seconds(6)), "time does not run backwards");
}

/// The fraction of a second that a `Date` cuts off is not counted as age.
#[test]
fn fractions_of_a_second_are_not_age() {
    let mut arrived = now();
    arrived.wall += Duration::from_millis(999);
    let response = response(200, "Cache-Control: max-age=1\nDate: Sun, 06 Nov 1994 08:49:37 GMT");
    let freshness = of_head(&response, arrived, arrived, &Rules::default());
    assert_eq!(freshness.initial_age(), seconds(0));
}

/// A wall clock that jumps between request and arrival makes a response older, never younger.
#[test]
fn clocks_that_jump() {
    let asked = now();
    let lines = response(200, "Cache-Control: max-age=100\nDate: Sun, 06 Nov 1994 08:49:37 GMT");
    for (wall, initial) in [(asked.wall + seconds(3600), 3600), (asked.wall - seconds(3600), 2)] {
        let arrived = Now { instant: asked.instant + seconds(2), wall };
        let freshness = of_head(&lines, asked, arrived, &Rules::default());
        assert_eq!(freshness.initial_age(), seconds(initial));
    }
}

#[test]
fn how_long_it_is_of_use() {
    for (lines, expected) in [
        ("Cache-Control: max-age=10", Some(10)),
        ("Cache-Control: max-age=10\nAge: 4", Some(6)),
        ("Cache-Control: max-age=10, stale-while-revalidate=5", Some(15)),
        ("Cache-Control: max-age=10, stale-while-revalidate=5, stale-if-error=50", Some(60)),
        ("Cache-Control: max-age=10, stale-while-revalidate=5, must-revalidate", Some(10)),
        ("Cache-Control: max-age=10\nAge: 11", None),
        ("Cache-Control: max-age=10, stale-if-error=5\nAge: 11", Some(4)),
    ] {
        let freshness = of(200, lines, &Rules::default());
        let until = expected.map(|after| freshness.arrived() + seconds(after));
        assert_eq!(freshness.useful_until(), until, "{lines}");
    }
}

#[test]
fn it_is_small() {
    assert!(size_of::<Freshness>() <= 56, "{}", size_of::<Freshness>());
}
