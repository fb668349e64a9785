//! All that workers share to judge clients: who was right lately, how often they have asked, what they have running.

use super::{
    AtOnce, Barred, Login, Rate, RateKey,
    at_once::Running,
    login::{Logins, Verdict},
    rates::{Buckets, Standing, client_key, whole_seconds},
    sharing::Sharing,
};
use crate::{
    cache::{Mail, Seed, Ticket},
    http::Fields,
    time::Instant,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Where a request was taken out of.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Its own bucket, as one of so many proxies.
    own: Option<u32>,
    shared: bool,
}

/// The judge of clients.
#[derive(Debug)]
pub(in crate::proxy) struct Gate {
    /// `None`: no route is for users only, or there were no threads for them.
    logins: Option<Logins>,
    buckets: Buckets,
    /// The store in which other proxies count, too.
    sharing: Option<Arc<Sharing>>,
    refused: AtomicU64,
    running: Running,
}

impl Gate {
    /// With threads for passwords, if there are users.
    pub(in crate::proxy) fn new(has_users: bool, mail: Mail, seed: u64, sharing: Option<Arc<Sharing>>) -> Self {
        // Other secrets than those of the workers and of the cache, from the same source.
        let mut random = SmallRng::seed_from_u64(seed.rotate_left(16));
        let (secret, seed): ([u8; 32], u128) = (random.random(), random.random());
        let logins = has_users.then(|| Logins::start(mail, &secret));
        let logins = logins.and_then(|started| {
            let told = |error| tracing::error!(%error, "no threads for passwords: routes with `auth` answer with 503");
            started.map_err(told).ok()
        });
        let (buckets, refused) = (Buckets::new(Seed(seed)), AtomicU64::new(0));
        Self { logins, buckets, sharing, refused, running: Running::default() }
    }

    /// The store that it shares with other proxies.
    pub(in crate::proxy) fn sharing(&self) -> Option<Arc<Sharing>> {
        self.sharing.clone()
    }

    /// One request of a key. Its own buckets are kept in any case: the store may be gone with the next request.
    fn take(&self, rate: &Rate, key: &[u8], now: Instant) -> Result<Taken, Duration> {
        let shared = self.sharing.as_ref().map(|sharing| (sharing.take(rate, key, now), sharing.proxies()));
        let (shared, proxies) = shared.unwrap_or((None, 1));
        let own = self.buckets.take(rate, key, proxies, now);
        let taken = Taken { own: own.is_ok().then_some(proxies), shared: shared.is_some_and(|shared| shared.is_ok()) };
        match shared.unwrap_or(own) {
            Ok(()) => Ok(taken),
            Err(wait) => {
                self.refused.fetch_add(1, Relaxed);
                self.give_back(Taken { shared: false, ..taken }, rate, key, now);
                Err(wait)
            }
        }
    }

    /// The request does not happen.
    fn give_back(&self, taken: Taken, rate: &Rate, key: &[u8], now: Instant) {
        if let Some(proxies) = taken.own {
            self.buckets.give_back(rate, key, proxies, now);
        }
        if let Some(sharing) = self.sharing.as_ref().filter(|_| taken.shared) {
            sharing.give_back(rate, key);
        }
    }

    /// Whether it knows users.
    pub(in crate::proxy) fn has_users(&self) -> bool {
        self.logins.is_some()
    }

    /// Whether that client, whose request has these fields, has asked too often, or has too many requests at once. If not, this one is
    /// counted, by all limits; a request that one of them refuses is counted by none. Else a client that is refused by its own limit would
    /// use up one that it shares with others. Returns how much is left, if that is advertised.
    pub(in crate::proxy) fn enter(
        &self,
        (rates, at_once): (&[Rate], Option<&AtOnce>),
        fields: &Fields,
        client: IpAddr,
        now: Instant,
    ) -> Result<Option<Standing>, Barred> {
        self.enter_by((0, rates), at_once, (fields, client), now)?;
        let advertised = (0..).zip(rates).filter(|(_, rate)| rate.advertised);
        let standings = advertised.map(|(limit, rate)| {
            let (left, time) = with_key(rate, fields, client, |key| self.left(rate, key, now));
            (left, Standing::new(limit, left, time))
        });
        Ok(standings.min_by_key(|(left, _)| *left).map(|(_, standing)| standing))
    }

    /// Requests of a key that are left, and the time for which that is so.
    fn left(&self, rate: &Rate, key: &[u8], now: Instant) -> (u32, Duration) {
        let shared = self.sharing.as_ref();
        shared.and_then(|sharing| sharing.left(rate, key, now)).unwrap_or_else(|| {
            let proxies = shared.map_or(1, |sharing| sharing.proxies());
            self.buckets.left(rate, key, proxies, now)
        })
    }

    /// The same with the limits from that number on: one is taken, then the rest, and given back if one of these refuses.
    fn enter_by(
        &self,
        (limit, rates): (u8, &[Rate]),
        at_once: Option<&AtOnce>,
        (fields, client): (&Fields, IpAddr),
        now: Instant,
    ) -> Result<(), Barred> {
        let Some((rate, rest)) = rates.split_first() else {
            let is_let_in = at_once.is_none_or(|limit| self.running.enter(limit, client));
            return if is_let_in { Ok(()) } else { Err(Barred::AtOnce) };
        };
        with_key(rate, fields, client, |key| {
            let taken = self.take(rate, key, now).map_err(|wait| {
                let seconds = u16::try_from(whole_seconds(wait)).unwrap_or(u16::MAX);
                Barred::Rate { limit, seconds }
            })?;
            let entered = self.enter_by((limit.saturating_add(1), rest), at_once, (fields, client), now);
            if entered.is_err() {
                self.give_back(taken, rate, key, now);
            }
            entered
        })
    }

    /// A request that was counted among those that its client has at once is over.
    pub(in crate::proxy) fn leave(&self, limit: &AtOnce, client: IpAddr) {
        self.running.leave(limit, client);
    }

    /// Whether a request of `client` with these fields is that of a user ([`Logins::judge`]).
    pub(in crate::proxy) fn judge(
        &self,
        login: &Login,
        fields: &Fields,
        client: IpAddr,
        who: Ticket,
        now: Instant,
    ) -> Verdict {
        self.logins.as_ref().map_or(Verdict::Busy, |logins| logins.judge(login, fields, client, who, now))
    }

    /// The exchanges of a worker for which there is news.
    pub(in crate::proxy) fn take_mail(&self, worker: usize) -> Vec<u32> {
        self.logins.as_ref().map(|logins| logins.take_mail(worker)).unwrap_or_default()
    }

    /// For `/stats`.
    pub(in crate::proxy) fn stats(&self) -> Value {
        let mut stats = json!({
            "rate_refused": self.refused.load(Relaxed),
            "buckets_forgotten": self.buckets.forgotten(),
            "clients_with_requests": self.running.clients(),
        });
        if let Some(sharing) = &self.sharing {
            let (is_up, questions) = sharing.counts();
            stats["store"] = json!(if is_up { "up" } else { "down" });
            stats["store_questions"] = json!(questions);
            stats["proxies"] = json!(sharing.proxies());
        }
        stats
    }
}

/// Calls with what the requests have in common that share a bucket with this one.
fn with_key<T>(rate: &Rate, fields: &Fields, client: IpAddr, call: impl FnOnce(&[u8]) -> T) -> T {
    let address = client_key(client).to_be_bytes();
    call(match &rate.key {
        RateKey::Client => &address[..],
        RateKey::Site => &[],
        RateKey::Header(name) => fields.get(name).unwrap_or(&address),
    })
}
