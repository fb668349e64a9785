//! RFC 9111 §4, §4.2.4, §5.2.1, §5.2.2; RFC 5861; RFC 8246.

use super::{now, request, response, seconds};
use crate::{
    cache::{
        Audience, Freshness, RequestDirectives, ResponseDirectives, Reuse, Rules, Situation, Stale, Validate,
        is_server_failure, reuse,
    },
    http::Status,
};

fn decide(said: &str, age: u64, asked: &str, situation: Situation) -> Reuse {
    decide_of(&format!("Cache-Control: {said}"), "", age, asked, situation)
}

/// The same for a response with these lines to an earlier request with these.
fn decide_of(lines: &str, first: &str, age: u64, asked: &str, situation: Situation) -> Reuse {
    let (response, first) = (response(200, lines), request("GET", first));
    let said = ResponseDirectives::of(&response.fields);
    let audience = Audience::of(&first.fields, &response.fields, &said);
    let stored = Freshness::of(&response, &said, audience, now(), now(), &Rules::default());
    let request = request("GET", asked);
    reuse(&stored, &RequestDirectives::of(&request.fields), stored.arrived() + seconds(age), situation)
}

const FRESH: Reuse = Reuse::Fresh;
const CLIENT: Reuse = Reuse::Stale(Stale::ClientAccepts);
const MEANWHILE: Reuse = Reuse::Stale(Stale::WhileRevalidating);
const ERROR: Reuse = Reuse::Stale(Stale::IfError);
const EXPIRED: Reuse = Reuse::Validate(Validate::Expired);
const TOO_OLD: Reuse = Reuse::Validate(Validate::RequestMaxAge);
const TOO_SHORT: Reuse = Reuse::Validate(Validate::RequestMinFresh);
const ASKED: Reuse = Reuse::Validate(Validate::RequestNoCache);
const TOLD: Reuse = Reuse::Validate(Validate::ResponseNoCache);

const NORMAL: &[(&str, u64, &str, Reuse)] = &[
    // §4: fresh, or allowed to be served stale, or validated.
    ("max-age=10", 9, "", FRESH),
    ("max-age=10", 10, "", EXPIRED),
    ("max-age=10", 11, "", EXPIRED),
    // §5.2.2.4: no-cache; with names of fields the rest may be used.
    ("max-age=10, no-cache", 0, "", TOLD),
    ("max-age=10, no-cache", 0, "Cache-Control: max-stale", TOLD),
    ("max-age=10, no-cache=\"a\"", 0, "", FRESH),
    // §5.2.2.2, §5.2.2.8, §5.2.2.10: they matter when stale.
    ("max-age=10, must-revalidate", 9, "", FRESH),
    ("max-age=10, must-revalidate", 10, "Cache-Control: max-stale", EXPIRED),
    ("max-age=10, proxy-revalidate", 10, "Cache-Control: max-stale=100", EXPIRED),
    ("s-maxage=10", 9, "", FRESH),
    ("s-maxage=10", 10, "Cache-Control: max-stale", EXPIRED),
    ("max-age=5, s-maxage=10, stale-while-revalidate=50", 11, "", EXPIRED),
    ("max-age=10, must-revalidate, stale-while-revalidate=50", 11, "", EXPIRED),
    ("max-age=10, proxy-revalidate, stale-while-revalidate=50", 11, "", EXPIRED),
    ("max-age=10, no-cache, stale-while-revalidate=50", 11, "", TOLD),
    // §5.2.1.1: not older than.
    ("max-age=10", 5, "Cache-Control: max-age=5", FRESH),
    ("max-age=10", 6, "Cache-Control: max-age=5", TOO_OLD),
    ("max-age=10", 0, "Cache-Control: max-age=0", TOO_OLD),
    ("max-age=10", 0, "Cache-Control: max-age=x", TOO_OLD),
    ("max-age=10", 11, "Cache-Control: max-age=20", EXPIRED),
    ("max-age=10", 6, "Cache-Control: max-age=5, max-stale=1", CLIENT),
    ("max-age=10", 7, "Cache-Control: max-age=5, max-stale=1", EXPIRED),
    ("max-age=10", 7, "Cache-Control: max-age=5, max-stale", CLIENT),
    ("max-age=10", 11, "Cache-Control: max-age=20, max-stale=1", CLIENT),
    ("max-age=10", 11, "Cache-Control: max-age=5, max-stale=1", EXPIRED),
    ("max-age=10, must-revalidate", 7, "Cache-Control: max-age=5, max-stale", EXPIRED),
    // §5.2.1.2.
    ("max-age=10", 15, "Cache-Control: max-stale=5", CLIENT),
    ("max-age=10", 16, "Cache-Control: max-stale=5", EXPIRED),
    ("max-age=10", 10_000, "Cache-Control: max-stale", CLIENT),
    ("max-age=10", 11, "Cache-Control: max-stale=x", EXPIRED),
    ("max-age=10", 11, "Cache-Control: max-stale=-1", EXPIRED),
    ("max-age=10", 10_000, "Cache-Control: max-stale=99999999999999999999", CLIENT),
    ("max-age=10", 5, "Cache-Control: max-stale=5", FRESH),
    // §5.2.1.3.
    ("max-age=10", 5, "Cache-Control: min-fresh=5", FRESH),
    ("max-age=10", 6, "Cache-Control: min-fresh=5", TOO_SHORT),
    ("max-age=10", 0, "Cache-Control: min-fresh=x", TOO_SHORT),
    ("max-age=99999999999", 0, "Cache-Control: min-fresh=99999999999", FRESH),
    ("max-age=99999999999", 1, "Cache-Control: min-fresh=99999999999", TOO_SHORT),
    ("max-age=10", 11, "Cache-Control: min-fresh=1, max-stale", EXPIRED),
    ("max-age=10", 9, "Cache-Control: min-fresh=5, max-stale", TOO_SHORT),
    // §5.2.1.4, §5.4.
    ("max-age=10", 0, "Cache-Control: no-cache", ASKED),
    ("max-age=10", 0, "Cache-Control: no-cache, max-stale", ASKED),
    ("max-age=10", 0, "Pragma: no-cache", ASKED),
    ("max-age=10", 0, "Pragma: no-cache\nCache-Control: foo", FRESH),
    // §5.2.1.5: no-store is about storing.
    ("max-age=10", 0, "Cache-Control: no-store", FRESH),
    // §5.2.1.7 is not about which response, but about what happens without one.
    ("max-age=10", 11, "Cache-Control: only-if-cached", EXPIRED),
    // RFC 5861 §3.
    ("max-age=10, stale-while-revalidate=5", 9, "", FRESH),
    ("max-age=10, stale-while-revalidate=5", 10, "", MEANWHILE),
    ("max-age=10, stale-while-revalidate=5", 15, "", MEANWHILE),
    ("max-age=10, stale-while-revalidate=5", 16, "", EXPIRED),
    ("max-age=10, stale-while-revalidate=0", 10, "", EXPIRED),
    ("max-age=10, stale-while-revalidate=99999999999999999999", 10_000, "", MEANWHILE),
    ("stale-while-revalidate=5", 5, "", MEANWHILE),
    ("max-age=10, stale-while-revalidate=x", 10, "", EXPIRED),
    ("max-age=10, stale-while-revalidate=5", 11, "Cache-Control: no-cache", ASKED),
    ("max-age=10, stale-while-revalidate=5", 11, "Cache-Control: max-age=60", EXPIRED),
    ("max-age=10, stale-while-revalidate=5", 11, "Cache-Control: min-fresh=0", EXPIRED),
    ("max-age=10, stale-while-revalidate=50", 20, "Cache-Control: max-stale=5", EXPIRED),
    ("max-age=10, stale-if-error=50", 20, "", EXPIRED),
    // RFC 8246 §2: no validation while fresh, unless it is asked for expressly.
    ("max-age=10, immutable", 5, "Cache-Control: max-age=0", FRESH),
    ("max-age=10, immutable", 5, "Cache-Control: no-cache", ASKED),
    ("max-age=10, immutable", 5, "Cache-Control: min-fresh=9", TOO_SHORT),
    ("max-age=10, immutable", 10, "", EXPIRED),
    ("max-age=10, immutable, no-cache", 5, "", TOLD),
];

#[test]
fn while_the_backend_is_not_asked() {
    for &(said, age, asked, expected) in NORMAL {
        assert_eq!(decide(said, age, asked, Situation::Normal), expected, "{said}; {age} s; {asked}");
    }
}

/// RFC 5861 §4, RFC 9111 §4.2.4.
#[test]
fn after_the_backend_failed() {
    for (said, age, asked, expected) in [
        ("max-age=10, stale-if-error=5", 15, "", ERROR),
        ("max-age=10, stale-if-error=5", 16, "", EXPIRED),
        ("max-age=10, stale-if-error=0", 10, "", EXPIRED),
        ("max-age=10", 11, "", EXPIRED),
        ("max-age=10", 9, "", FRESH),
        // As a directive of the request.
        ("max-age=10", 15, "Cache-Control: stale-if-error=5", ERROR),
        ("max-age=10", 16, "Cache-Control: stale-if-error=5", EXPIRED),
        ("max-age=10, stale-if-error=5", 16, "Cache-Control: stale-if-error=50", ERROR),
        ("max-age=10", 15, "Cache-Control: max-stale=5", CLIENT),
        // "Regardless of other freshness information".
        ("max-age=10, stale-if-error=50", 5, "Cache-Control: max-age=0", ERROR),
        ("max-age=10, stale-if-error=50", 5, "Cache-Control: min-fresh=20", ERROR),
        ("max-age=10, stale-if-error=50", 20, "Cache-Control: max-age=1", ERROR),
        ("max-age=10", 5, "Cache-Control: max-age=0", TOO_OLD),
        // Not without validation: the client's wish, and §5.2.2.4.
        ("max-age=10, stale-if-error=50", 5, "Cache-Control: no-cache", ASKED),
        ("max-age=10, no-cache, stale-if-error=50", 5, "", TOLD),
        ("max-age=10, no-cache", 5, "Cache-Control: stale-if-error=50", TOLD),
        // §5.2.2.2: an error, and under no circumstances the stale response.
        ("max-age=10, must-revalidate, stale-if-error=50", 11, "", EXPIRED),
        ("max-age=10, proxy-revalidate, stale-if-error=50", 11, "", EXPIRED),
        ("s-maxage=10, stale-if-error=50", 11, "", EXPIRED),
        ("max-age=10, must-revalidate", 11, "Cache-Control: stale-if-error=50", EXPIRED),
        // While it is fresh, must-revalidate says nothing.
        ("max-age=10, must-revalidate, stale-if-error=50", 5, "Cache-Control: max-age=0", ERROR),
    ] {
        assert_eq!(decide(said, age, asked, Situation::Failed), expected, "{said}; {age} s; {asked}");
    }
}

/// RFC 5861 §4.
#[test]
fn which_answers_are_failures() {
    let failures: Vec<u16> = (100..=999).filter(|code| is_server_failure(Status::new(*code).unwrap())).collect();
    assert_eq!(failures, [500, 502, 503, 504]);
}

/// Nothing but a statement lets one client's answer go to another without a question, not even the other's wish.
#[test]
fn a_guessed_lifetime_is_for_shared_responses_only() {
    const GUESSED: &str = "Last-Modified: Sun, 06 Nov 1994 08:39:37 GMT";
    const SAID: &str = "Cache-Control: max-age=60\nVary: Cookie";
    const UNSAID: Reuse = Reuse::Validate(Validate::Unsaid);
    for (lines, first, asked, age, expected) in [
        (GUESSED, "", "", 1, FRESH),
        (GUESSED, "", "Cookie: a=b", 1, UNSAID),
        (GUESSED, "", "Authorization: Basic x", 1, UNSAID),
        (GUESSED, "", "Cookie: a=b\nCache-Control: max-stale", 100, UNSAID),
        (GUESSED, "", "Cache-Control: max-stale", 100, CLIENT),
        (GUESSED, "Cookie: a=b", "", 1, UNSAID),
        (GUESSED, "Cookie: a=b", "Cookie: a=b", 1, UNSAID),
        (GUESSED, "Cookie: a=b", "Cache-Control: max-stale", 1, UNSAID),
        (SAID, "Cookie: a=b", "Cookie: a=b", 1, FRESH),
        (SAID, "", "Cookie: a=b\nCache-Control: max-stale", 100, CLIENT),
    ] {
        let found = decide_of(lines, first, age, asked, Situation::Normal);
        assert_eq!(found, expected, "{lines:?} to {first:?}, then {asked:?} after {age}");
        // Nor when the backend fails.
        if expected == UNSAID {
            let asked = format!("Cache-Control: stale-if-error=1000\n{asked}");
            assert_eq!(decide_of(lines, first, age, &asked, Situation::Failed), UNSAID, "{asked:?}");
        }
    }
}
