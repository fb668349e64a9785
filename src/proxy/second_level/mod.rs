//! A second level of the cache, in a Redis or Valkey that several proxies share.
//!
//! ```text
//!   request ──▶ first level ── nothing, or stale ──▶ PTTL, GETRANGE ──▶ found ──▶ first level ──▶ answer
//!                    ▲                                    │
//!                    │                                    ╰─ nothing, late, unreadable, no store ──▶ server
//!                    ╰──── response ── SET … PX ──▶ store                                             │
//!                             ▲                                                                      │
//!                             ╰──────────────────────────────────────────────────────────────────────╯
//! ```
//!
//! A response without `Vary` is under a digest of its URI. If there are variants, that name has the fields by which they differ and a random
//! number, and each is under a digest of its URI, the number, and what its request had in those fields. So two questions find one of
//! many, and all of them are out of reach when the first name is gone.
//!
//! Only whole responses go there that are fresh and may answer others than the client that has asked, under the rules of the first level.
//! A response that comes back is put into the first level and judged there, as if it had been there before. No request waits for the store for longer
//! than `store-timeout`, and all that wait for one response wait for one look-up.
//!
//! | file | question |
//! |---|---|
//! | `names.rs` | under which name is a response |
//! | `lookup.rs` | what does an exchange wait for |
//! | `known.rs` | what do the store's answers mean |
//! | `purges.rs` | what was taken out, and is not out yet |
//! | `questions.rs` | what does a purge ask |
//! | `news.rs` | what have other proxies taken out |
//! | `sweeper.rs` | how does that leave the first level |
//! | `args.rs` | which store, and what is too large for it |

mod args;
mod known;
mod lookup;
mod names;
mod news;
mod purges;
mod questions;
mod sweeper;

pub use args::{SecondLevelArgs, SecondLevelConfig};
pub(super) use lookup::{Answer, Lookup};

use crate::{
    cache::{
        Audience, Flights, Mark, Selecting, Stored, Ticket, Uri,
        encoding::{self, Variants},
        key::Key,
        purge::Purge,
        store::Entry,
        validate::has_validator,
    },
    http::Fields,
    redis::{Next, Redis, Refused, Settings},
    time::Now,
};
use known::{Known, Tag};
use news::{News, Told};
use purges::Purges;
use questions::What;
use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use sweeper::Sweeper;

/// How long the store may take for an answer before the proxy goes on without it, in times that a request waits.
const LOST: u32 = 5;

/// Questions without an answer at once.
const MOST: usize = 10_000;

/// How long a stale response is kept there to be asked about, by what it says of itself.
const VALIDATED: Duration = Duration::from_secs(600);

/// How long it is known by which fields the responses of a URI differ, at least.
const VARIANTS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The second level.
#[derive(Debug)]
pub(super) struct SecondLevel {
    known: Arc<Known>,
    redis: Redis<Tag>,
    max_object: usize,
    timeout: Duration,
}

impl SecondLevel {
    /// Begins to talk to the store that a configuration names. `flights` go to the first level.
    pub(super) fn of(config: &SecondLevelConfig, flights: &Arc<Flights>) -> Option<Arc<Self>> {
        let told =
            |error| tracing::error!(%error, "no thread for the store of the cache: this proxy goes on without it");
        Self::start(config, flights).map_err(told).ok()
    }

    fn start(config: &SecondLevelConfig, flights: &Arc<Flights>) -> io::Result<Arc<Self>> {
        let database = config.target.database;
        let (purges, sweeper) = (Purges::new(News::new(database, rand::random())), Sweeper::start(flights.clone())?);
        let known = Arc::new(Known::new(flights.store().clone(), purges, sweeper));
        let heard = Arc::clone(&known);
        let settings = Settings {
            target: config.target.clone(),
            channels: vec![news::channel(database)],
            probe: vec![["GETRANGE", "cache:probe", "0", "0"].map(str::to_owned).to_vec()],
            patience: config.timeout.saturating_mul(LOST),
            most: MOST,
            meanwhile: "servers are asked for what is not stored here",
        };
        let redis = Redis::start(settings, move |event| heard.heard(event))?;
        Ok(Arc::new(Self { known, redis, max_object: config.max_object, timeout: config.timeout }))
    }

    /// Asks for the response to a URI; of several `variants`, for that of a request with these fields. `ticket` is told when the answer is
    /// here. `None`: there is no store at the moment, or no such response.
    pub(super) fn ask(
        &self,
        uri: Uri<'_>,
        variants: Option<(&Variants, &Fields)>,
        ticket: Ticket,
    ) -> Option<Arc<Lookup>> {
        let name = match variants {
            None => names::of_uri(uri),
            Some((variants, fields)) => match Selecting::by_names(&variants.names, fields) {
                Selecting::Nothing => {
                    self.known.counts.misses.fetch_add(1, Relaxed);
                    return None;
                }
                selecting => names::of_variant(uri, variants, &selecting),
            },
        };
        let lookup = Arc::new(Lookup::new(uri.to_key(), ticket));
        // Not more than a value has: what another program has put there may have any length.
        let end = (self.max_object + encoding::MOST_BESIDES_CONTENT).to_string();
        // In this order: a value that is put there in between is taken for older than it is, and never for younger.
        let left = self.redis.ask(&["PTTL", &name], Tag::Left(lookup.clone()));
        let asked = left.and_then(|()| self.redis.ask(&["GETRANGE", &name, "0", &end], Tag::Value(lookup.clone())));
        if asked.is_err() {
            self.known.counts.unavailable.fetch_add(1, Relaxed);
            return None;
        }
        Some(lookup)
    }

    /// How long a request waits for an answer.
    pub(super) fn patience(&self) -> Duration {
        self.timeout
    }

    /// A request goes on without its answer.
    pub(super) fn is_late(&self) {
        self.known.counts.late.fetch_add(1, Relaxed);
    }

    /// Puts a response there that was fetched since `mark` and is stored in the first level, if it is of use to others. `variants`: the
    /// fields by which the responses of the URI are known to differ.
    pub(super) fn put(&self, entry: &Entry, mark: Mark, variants: Option<&Variants>, now: Now) {
        let stored = &entry.stored;
        if !self.takes(stored, now) {
            return;
        }
        let (uri, life) = (entry.key.uri(), life(stored, now));
        let name = if stored.selecting == Selecting::Everything {
            names::of_uri(uri)
        } else {
            let known = variants.filter(|variants| variants.have(&stored.selecting)).cloned();
            let is_known = known.is_some();
            let variants = known.unwrap_or_else(|| Variants::of(&stored.selecting, rand::random()));
            let (base, kept) = (names::of_uri(uri), millis(life.max(VARIANTS_KEPT)));
            // A purge may have taken it out meanwhile: then it is not put there again.
            let told = if is_known {
                self.redis.ask(&["PEXPIRE", &base, &kept], Tag::Ignored)
            } else {
                let value = encoding::variants(&entry.key, &variants);
                self.redis.ask(&[b"SET", base.as_bytes(), &value, b"PX", kept.as_bytes()], Tag::Ignored)
            };
            if told.is_err() {
                return self.lose();
            }
            names::of_variant(uri, &variants, &stored.selecting)
        };
        let value = encoding::response(&entry.key, stored, life, now);
        let life = millis(life);
        match self.redis.ask(&[b"SET", name.as_bytes(), &value, b"PX", life.as_bytes()], Tag::Put) {
            Err(_) => self.lose(),
            // A purge before this has not seen it there; one that comes now does.
            Ok(()) if self.known.store.was_cut(mark, entry) => self.remove(&entry.key),
            Ok(()) => {}
        }
    }

    fn lose(&self) {
        self.known.counts.lost.fetch_add(1, Relaxed);
    }

    /// Whether a response is of use to others, and not too large.
    fn takes(&self, stored: &Stored, now: Now) -> bool {
        let freshness = &stored.freshness;
        stored.body.is_whole()
            && stored.body.len() <= self.max_object as u64
            && stored.selecting != Selecting::Nothing
            && freshness.audience() != Audience::Nobody
            && !freshness.no_cache()
            && freshness.left(now.instant).is_ok()
    }

    /// Takes out the responses of a URI.
    pub(super) fn remove(&self, key: &Key) {
        self.begin(What::Uri(key.clone()), Told::Nobody);
    }

    /// The same, of all proxies: a request has made them untrue.
    pub(super) fn invalidate(&self, key: &Key) {
        self.begin(What::Uri(key.clone()), Told::Listening);
    }

    /// Takes out the responses that match, of all proxies.
    pub(super) fn purge(&self, purge: &Purge) {
        let what = match purge {
            Purge::Url(target) if let Some(uri) = Uri::of_target(target) => What::Uri(uri.to_key()),
            purge => What::Matching(purge.clone()),
        };
        self.begin(what, Told::Everybody);
    }

    fn begin(&self, what: What, told: Told) {
        let next: Next<Tag> = self.known.purge(|purges| purges.begin(what, told));
        for (words, tag) in next {
            match self.redis.ask(&words, tag) {
                Ok(()) => {}
                // It waits for the next connection.
                Err(Refused::Down) => return,
                Err(Refused::Full) => return self.redis.reset("a purge found no room"),
            }
        }
    }

    /// As `/stats` has it.
    pub(super) fn stats(&self) -> serde_json::Value {
        self.known.stats()
    }
}

/// How long the store keeps a response: as long as it may be used, and a while in which it may be asked about.
fn life(stored: &Stored, now: Now) -> Duration {
    let freshness = &stored.freshness;
    let stale = freshness.stale_while_revalidate().max(freshness.stale_if_error());
    let stale = if freshness.forbids_stale() { Duration::ZERO } else { stale };
    let asked = if has_validator(&stored.head) { VALIDATED } else { Duration::ZERO };
    freshness.left(now.instant).unwrap_or_default() + stale.max(asked)
}

/// As the store reads it: at least one.
fn millis(time: Duration) -> String {
    time.as_millis().max(1).to_string()
}
