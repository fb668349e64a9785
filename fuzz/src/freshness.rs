//! How long a response is fresh: never for less than nothing, never longer than 2³¹ seconds; it only ever ages; what is
//! fresh is used without a question, what is beyond all that it permits is never; and `no-store` is obeyed.

use super::lines::{fields, lines};
use socket_patterns::{
    cache::{
        Audience, Freshness, MaxStale, RequestDirectives, ResponseDirectives, Reuse, Rules, Seconds, Situation,
        may_store, reuse,
        status::{CacheStatus, Origin},
    },
    http::{Method, RequestHead, ResponseHead, Status},
    time::{Instant, Now},
};
use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

/// Sun, 06 Nov 1994 08:49:37 GMT, and any moment to go with it.
#[allow(clippy::disallowed_methods)]
static START: LazyLock<Now> =
    LazyLock::new(|| Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) });

/// Panics if a rule is broken. The first byte says how long the backend took, and the status; what follows is the response's
/// lines, and behind an empty line the request's.
pub fn judge(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let lines = lines(rest);
    let mut parts = lines.split(|line| line.is_empty()).map(fields);
    let mut response = ResponseHead::new(if first & 1 == 0 { Status::OK } else { Status::NOT_FOUND });
    response.fields = parts.next().unwrap_or_default();
    let mut request = RequestHead::new(Method::Get, "/").expect("a path is a target");
    request.fields = parts.next().unwrap_or_default();
    let (said, asked) = (ResponseDirectives::of(&response.fields), RequestDirectives::of(&request.fields));
    let arrived = START.after(Duration::from_millis(u64::from(first >> 1) * 500));
    let audience = Audience::of(&request.fields, &response.fields, &said);
    let freshness = Freshness::of(&response, &said, audience, *START, arrived, &Rules::default());
    span(&freshness, arrived, Duration::from_millis(u64::from(first >> 1) * 500));
    use_over_time(&freshness, &asked, arrived.instant);
    if may_store(&request, &asked, &response, &said).is_ok() {
        assert!(!said.no_store || said.must_understand, "no-store");
        assert!(!asked.no_store && !said.private.is_whole(), "not for us to keep");
        assert!(audience != Audience::Nobody || !response.fields.contains("set-cookie"), "nobody said so");
    }
}

fn span(freshness: &Freshness, arrived: Now, delay: Duration) {
    assert!(freshness.lifetime() <= Seconds::MAX.duration());
    assert!(freshness.initial_age() >= delay, "it was on its way for so long");
    assert!(freshness.initial_age() <= Seconds::MAX.duration());
    assert_eq!(freshness.age(arrived.instant), freshness.initial_age());
    // The clocks of other machines may be wrong; the one that counts from here on is ours, and does not go back.
    assert_eq!(freshness.age(START.instant), freshness.initial_age());
}

/// From the moment of its arrival to long after its end.
fn use_over_time(freshness: &Freshness, asked: &RequestDirectives, arrived: Instant) {
    let ends = freshness.lifetime().saturating_sub(freshness.initial_age()).as_secs();
    let mut moments = [0, 1, 60, ends, ends + 1, 1 << 30, 1 << 32];
    moments.sort_unstable();
    let (mut age, mut was_fresh) = (Duration::ZERO, true);
    for after in moments {
        let now = arrived + Duration::from_secs(after);
        let is_fresh = freshness.left(now).is_ok();
        assert!(freshness.age(now) >= age, "it grows younger");
        assert!(was_fresh || !is_fresh, "fresh again");
        assert_eq!(is_fresh, freshness.age(now) < freshness.lifetime());
        (age, was_fresh) = (freshness.age(now), is_fresh);
        said_of_it(freshness, now);
        used(freshness, asked, now, is_fresh);
    }
}

/// Checks the numbers that clients are told.
fn said_of_it(freshness: &Freshness, now: Instant) {
    let (age, ttl) = (freshness.age_seconds(now), freshness.ttl_seconds(now));
    assert!(age <= Seconds::MAX.get());
    assert_eq!(ttl > 0, freshness.left(now).is_ok());
    let mut text = Vec::new();
    CacheStatus { origin: Origin::Hit, ttl: Some(ttl), key: None }.write_to("a", &mut text);
    assert_eq!(text, format!("a; hit; ttl={ttl}").as_bytes());
}

fn used(freshness: &Freshness, asked: &RequestDirectives, now: Instant, is_fresh: bool) {
    let silent = RequestDirectives::default();
    for situation in [Situation::Normal, Situation::Failed] {
        match reuse(freshness, asked, now, situation) {
            Reuse::Fresh => {
                assert!(is_fresh && !freshness.no_cache() && !asked.no_cache);
                assert!(freshness.audience().includes(asked.names_client), "nobody said so");
            }
            Reuse::Stale(_) => {
                assert!(!freshness.no_cache() && !asked.no_cache);
                assert!(freshness.audience().includes(asked.names_client), "nobody said so");
                assert!(is_fresh || !freshness.forbids_stale(), "must-revalidate");
            }
            Reuse::Validate(_) => {
                let willing =
                    asked.max_stale == Some(MaxStale::Any) && asked.max_age.is_none() && asked.min_fresh.is_none();
                let unsaid = !freshness.audience().includes(asked.names_client);
                let refuses = freshness.no_cache() || asked.no_cache || freshness.forbids_stale() || unsaid;
                assert!(!willing || refuses, "the client takes anything");
            }
        }
        let useful = freshness.useful_until().is_some_and(|until| now <= until);
        let unasked = reuse(freshness, &silent, now, situation);
        assert!(useful || matches!(unasked, Reuse::Validate(_)), "{unasked:?} after its last use");
        let fresh = is_fresh && !freshness.no_cache();
        assert_eq!(fresh, unasked == Reuse::Fresh, "{unasked:?}");
    }
}
