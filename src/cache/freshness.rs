//! How long a stored response is fresh, and how old it is (RFC 9111 §4.2).
//!
//! ```text
//!  lifetime     s-maxage ─▶ max-age ─▶ Expires − Date ─▶ heuristic        the first that is there
//!  age          max(arrival − Date, Age + (arrival − request)) + time since arrival
//!
//!  Date       request sent      arrival                          now
//!   ├──────────────┼───────────────┼──────────────────────────────┤
//!   ╰────────── apparent age ──────╯
//!                  ╰── response ───╯╰──────── resident time ──────╯
//!                       delay
//! ```
//!
//! Dates are only compared with dates, and once, at arrival. From there on time is the monotonic clock's: a wall clock
//! that jumps makes nothing fresh.

use super::{
    audience::Audience,
    date::date_of,
    directives::{ResponseDirectives, Seconds},
    policy::{Rules, is_heuristically_cacheable},
};
use crate::{
    http::{Fields, ResponseHead},
    time::{Instant, Now},
};
use std::time::{Duration, SystemTime};

/// The source of a response's freshness lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `s-maxage`.
    SMaxAge,
    /// `max-age`.
    MaxAge,
    /// `Expires` and `Date`.
    Expires,
    /// `Last-Modified` and a guess (§4.2.2).
    Heuristic,
    /// The operator.
    Default,
    /// No source: it is stale from the start.
    Nothing,
}

impl Source {
    const ALL: [Self; 6] = [Self::SMaxAge, Self::MaxAge, Self::Expires, Self::Heuristic, Self::Default, Self::Nothing];
}

/// How fresh a stored response is, and what it permits when it is not. Small, so that an entry carries it by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    arrived: Instant,
    initial_age: Duration,
    lifetime: Seconds,
    stale_while_revalidate: Seconds,
    stale_if_error: Seconds,
    source: Source,
    audience: Audience,
    no_cache: bool,
    forbids_stale: bool,
    immutable: bool,
}

impl Freshness {
    /// That of a response for `audience` whose request was sent at `asked` and whose head arrived at `arrived`.
    #[must_use]
    pub fn of(
        response: &ResponseHead,
        said: &ResponseDirectives,
        audience: Audience,
        asked: Now,
        arrived: Now,
        rules: &Rules,
    ) -> Self {
        // Dates have whole seconds: the fraction would make every response up to a second older than it is.
        let arrival = whole_seconds(arrived.wall);
        let date = date_of(&response.fields, "date", arrival).unwrap_or(arrival);
        let (lifetime, source) = match audience {
            // No guess is made.
            Audience::Nobody => (Seconds::ZERO, Source::Nothing),
            _ => lifetime(response, said, date, rules),
        };
        let stale_if_error = said.stale_if_error.or(rules.stale_if_error.map(|span| Seconds::new(span.as_secs())));
        let (stale_while_revalidate, stale_if_error) = match audience {
            Audience::Nobody => (None, None),
            _ => (said.stale_while_revalidate, stale_if_error),
        };
        Self {
            arrived: arrived.instant,
            initial_age: initial_age(&response.fields, date, arrival, asked, arrived),
            lifetime,
            stale_while_revalidate: stale_while_revalidate.unwrap_or_default(),
            stale_if_error: stale_if_error.unwrap_or_default(),
            source,
            audience,
            no_cache: said.no_cache.is_whole(),
            forbids_stale: said.forbids_stale(),
            immutable: said.immutable,
        }
    }

    /// The same for a response that is known to be another by now: it has to be validated before it is used again, fails or
    /// not (§4.3.5, §4.4).
    #[must_use]
    pub fn invalidated(self) -> Self {
        Self {
            lifetime: Seconds::ZERO,
            stale_while_revalidate: Seconds::ZERO,
            stale_if_error: Seconds::ZERO,
            no_cache: true,
            ..self
        }
    }

    /// All but the times, as bytes: for another process.
    pub(super) fn terms(&self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let times = [self.lifetime, self.stale_while_revalidate, self.stale_if_error];
        for (bytes, time) in bytes.chunks_exact_mut(4).zip(times) {
            bytes.copy_from_slice(&time.get().to_be_bytes());
        }
        bytes[12..].copy_from_slice(&[
            self.source as u8,
            self.audience as u8,
            u8::from(self.no_cache),
            u8::from(self.forbids_stale),
            u8::from(self.immutable),
        ]);
        bytes
    }

    /// That of a response which another process has stored on these [`Self::terms`], and which is so old now. `None`: they say nothing
    /// that can be.
    pub(super) fn resumed(terms: &[u8], age: Duration, now: Instant) -> Option<Self> {
        let [times @ .., source, audience, no_cache, forbids_stale, immutable] = <[u8; 17]>::try_from(terms).ok()?;
        let seconds = |at: usize| {
            let bytes = [times[at], times[at + 1], times[at + 2], times[at + 3]];
            Seconds::new(u64::from(u32::from_be_bytes(bytes)))
        };
        let bool = |byte: u8| match byte {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        Some(Self {
            arrived: now,
            initial_age: age.min(Seconds::MAX.duration()),
            lifetime: seconds(0),
            stale_while_revalidate: seconds(4),
            stale_if_error: seconds(8),
            source: Source::ALL.into_iter().find(|known| *known as u8 == source)?,
            audience: Audience::ALL.into_iter().find(|known| *known as u8 == audience)?,
            no_cache: bool(no_cache)?,
            forbids_stale: bool(forbids_stale)?,
            immutable: bool(immutable)?,
        })
    }

    /// The same for a response that came with `other`, and is as old.
    #[must_use]
    pub fn aged_as(self, other: &Self) -> Self {
        Self { arrived: other.arrived, initial_age: other.initial_age, ..self }
    }

    /// How old the response is (§4.2.3, `current_age`).
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        self.initial_age + now.saturating_duration_since(self.arrived)
    }

    /// The value of `Age`: whole seconds, at most 2³¹ (§5.1).
    #[must_use]
    pub fn age_seconds(&self, now: Instant) -> u32 {
        Seconds::new(self.age(now).as_secs()).get()
    }

    /// How long it is fresh still, or how long it has not been: fresh means that its lifetime exceeds its age (§4.2).
    pub fn left(&self, now: Instant) -> Result<Duration, Duration> {
        let (age, lifetime) = (self.age(now), self.lifetime.duration());
        if age < lifetime { Ok(lifetime - age) } else { Err(age - lifetime) }
    }

    /// The same in whole seconds, negative when stale: `ttl` of RFC 9211.
    #[must_use]
    pub fn ttl_seconds(&self, now: Instant) -> i64 {
        i64::from(self.lifetime.get()) - i64::from(self.age_seconds(now))
    }

    /// From when on it can be used in no situation without asking the backend first: stale, and beyond what it permits.
    #[must_use]
    pub fn useful_until(&self) -> Option<Instant> {
        let spare =
            if self.forbids_stale { Seconds::ZERO } else { self.stale_while_revalidate.max(self.stale_if_error) };
        let lives = (self.lifetime.duration() + spare.duration()).checked_sub(self.initial_age)?;
        self.arrived.checked_add(lives)
    }

    /// When the response arrived.
    #[must_use]
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Its age at that time (§4.2.3, `corrected_initial_age`).
    #[must_use]
    pub fn initial_age(&self) -> Duration {
        self.initial_age
    }

    /// From its making to its expiry (§4.2.1).
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime.duration()
    }

    /// The source of its lifetime.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Which requests may get it without validation.
    #[must_use]
    pub fn audience(&self) -> Audience {
        self.audience
    }

    /// It is to be validated at each use (`no-cache` without field names).
    #[must_use]
    pub fn no_cache(&self) -> bool {
        self.no_cache
    }

    /// It is never to be used stale without validation, not even if the backend cannot be reached.
    #[must_use]
    pub fn forbids_stale(&self) -> bool {
        self.forbids_stale
    }

    /// It is stale now, and was never to be used like that.
    #[must_use]
    pub fn must_not_be_used(&self, now: Instant) -> bool {
        self.forbids_stale && self.left(now).is_err()
    }

    /// It does not change while it is fresh (RFC 8246).
    #[must_use]
    pub fn immutable(&self) -> bool {
        self.immutable
    }

    /// How long after its expiry it may be used while a newer one is fetched (RFC 5861 §3). Zero: not at all.
    #[must_use]
    pub fn stale_while_revalidate(&self) -> Duration {
        self.stale_while_revalidate.duration()
    }

    /// How long after its expiry it may be used if the backend fails (RFC 5861 §4). Zero: not at all.
    #[must_use]
    pub fn stale_if_error(&self) -> Duration {
        self.stale_if_error.duration()
    }
}

/// §4.2.1 and §4.2.2.
fn lifetime(response: &ResponseHead, said: &ResponseDirectives, date: SystemTime, rules: &Rules) -> (Seconds, Source) {
    if let Some(seconds) = said.s_maxage {
        return (seconds, Source::SMaxAge);
    }
    if let Some(seconds) = said.max_age {
        return (seconds, Source::MaxAge);
    }
    if !said.targeted && response.fields.contains("expires") {
        return (expires(&response.fields, date), Source::Expires);
    }
    if !said.public && !is_heuristically_cacheable(response.status) {
        return (Seconds::ZERO, Source::Nothing);
    }
    if let Some(modified) = date_of(&response.fields, "last-modified", date) {
        let guess = date.duration_since(modified).unwrap_or_default().mul_f64(rules.heuristic_fraction);
        return (Seconds::new(guess.min(rules.heuristic_cap).as_secs()), Source::Heuristic);
    }
    match rules.default_ttl {
        Some(ttl) => (Seconds::new(ttl.as_secs()), Source::Default),
        None => (Seconds::ZERO, Source::Nothing),
    }
}

/// `Expires − Date`. A value that is no date, `0` above all, has passed (§5.3); and so have several that differ
/// (§4.2.1).
fn expires(fields: &Fields, date: SystemTime) -> Seconds {
    let mut lines = fields.get_all("expires");
    let first = lines.next().unwrap_or_default();
    if lines.any(|line| line != first) {
        return Seconds::ZERO;
    }
    let lives = super::date::parse_date(first, date).and_then(|expires| expires.duration_since(date).ok());
    lives.map_or(Seconds::ZERO, |lives| Seconds::new(lives.as_secs()))
}

/// §4.2.3: `corrected_initial_age`, from the worse of two estimates.
fn initial_age(fields: &Fields, date: SystemTime, arrival: SystemTime, asked: Now, arrived: Now) -> Duration {
    let apparent_age = arrival.duration_since(date).unwrap_or_default();
    let response_delay = arrived.instant.saturating_duration_since(asked.instant);
    apparent_age.max(age_value(fields).duration() + response_delay).min(Seconds::MAX.duration())
}

/// `Age` as received: its first member, whichever line that is in, ignored if it is no number (§5.1).
fn age_value(fields: &Fields) -> Seconds {
    fields.tokens("age").next().and_then(Seconds::parse).unwrap_or_default()
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let fraction = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    time - Duration::from_nanos(u64::from(fraction))
}
