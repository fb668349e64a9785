//! The store in which several proxies count together (`store = "redis://…"`), and how they go on without it.
//!
//! ```text
//!   Gate ── take ──▶ Leases: answers at once ──▶ question ──▶ thread of the client ──▶ INCRBY rate:KEY:WINDOW n, PEXPIRE
//!                       ▲                                                                  │
//!                       ╰──────────────── the number so far ◀──────────────────────────────╯
//! ```
//!
//! Windows are those of the store's clock, which is asked for every two seconds: proxies whose clocks differ would count in different windows.
//! At the same time each proxy enters its name in a list, so that all know how many they are. When the store is gone, each lets in its part
//! of every limit, by the buckets that it keeps itself.

use super::{
    leases::{Leases, Question, Window},
    rates::Rate,
};
use crate::{
    cache::Seed,
    net::clock,
    redis::{Event, Next, Redis, Settings, Target},
    resp::Value,
    time::Instant,
};
use aws_lc_rs::digest::{SHA256, digest};
use std::{
    fmt::Write as _,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// How long the store may take for an answer before the proxies go on without it.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often the time is asked for, and this proxy says that it is there, in µs.
const EVERY: i64 = 2_000_000;

/// A proxy that has not said so for so long is not there, in µs.
const GONE: i64 = 10_000_000;

/// Questions without an answer at once.
const MOST: usize = 50_000;

/// The list of proxies: each with the time at which it last said that it is there.
const PROXIES: &str = "rate:proxies";

/// Bytes of a key's digest: no client finds two values with the same.
const DIGEST: usize = 16;

/// The limits that this proxy shares with others.
#[derive(Debug)]
pub(in crate::proxy) struct Sharing {
    known: Arc<Known>,
    redis: Redis<Tag>,
    seed: Seed,
}

/// The words of the store.
#[derive(Debug)]
struct Known {
    leases: Leases,
    /// The name of this proxy among the others.
    me: String,
    /// Instants are counted from here, in µs.
    base: Instant,
    /// The time of the store, less that of this process, in µs; 0: it is not known, or there is no store.
    ahead: AtomicI64,
    /// When the time is asked for again.
    next: AtomicI64,
    /// Proxies that share the limits.
    proxies: AtomicU32,
    /// The store refuses to count.
    refuses: AtomicBool,
    questions: AtomicU64,
}

/// Which question an answer belongs to.
#[derive(Debug, Clone)]
enum Tag {
    Ignored,
    /// With the name of the key in the store.
    Count(Question, String),
    /// The time, which was asked for then.
    Time(i64),
    Proxies,
}

impl Sharing {
    /// Begins to talk to the store that a configuration names.
    pub(in crate::proxy) fn of(target: Option<&Target>, seed: u64) -> Option<Arc<Self>> {
        // Another name than the secrets of the workers, from the same source.
        let started = Self::start(target?, seed.rotate_left(48));
        let told = |error| tracing::error!(%error, "no thread for the store: this proxy counts by itself");
        started.map_err(told).ok()
    }

    fn start(target: &Target, seed: u64) -> io::Result<Arc<Self>> {
        let known = Arc::new(Known {
            leases: Leases::new(),
            me: format!("{seed:016x}"),
            base: clock::now().instant,
            ahead: AtomicI64::new(0),
            next: AtomicI64::new(0),
            proxies: AtomicU32::new(1),
            refuses: AtomicBool::new(false),
            questions: AtomicU64::new(0),
        });
        let heard = Arc::clone(&known);
        let probe = ["SET", "rate:probe", "1", "PX", "1000"].map(str::to_owned).to_vec();
        let settings = Settings {
            target: target.clone(),
            channels: Vec::new(),
            probe: vec![probe],
            patience: PATIENCE,
            most: MOST,
            meanwhile: "this proxy lets in its own part of each limit",
        };
        let redis = Redis::start(settings, move |event| heard.heard(event))?;
        Ok(Arc::new(Self { known, redis, seed: Seed(u128::from(seed)) }))
    }

    /// One request of a key. `None`: there is no store at the moment, and this proxy has to know by itself.
    pub(super) fn take(&self, rate: &Rate, key: &[u8], now: Instant) -> Option<Result<(), Duration>> {
        let now = self.known.micros(now);
        if now >= self.known.next.load(Relaxed) {
            self.keep_time(now);
        }
        let at = self.known.time_of(now)?;
        let window = Window::of(rate, at);
        let (answer, question) = self.known.leases.take(self.seed.hash((&rate.id, key)), window, at);
        if let Some(question) = question {
            self.ask(rate, key, question);
        }
        Some(answer)
    }

    /// Requests of a key that are left, and the time until there are as many again as ever. `None`: as for [`Self::take`].
    pub(super) fn left(&self, rate: &Rate, key: &[u8], now: Instant) -> Option<(u32, Duration)> {
        let at = self.known.time_of(self.known.micros(now))?;
        let (left, time) = self.known.leases.left(self.seed.hash((&rate.id, key)), Window::of(rate, at), at);
        // A short window has room for more than what may come at once.
        Some((u32::try_from(left).unwrap_or(u32::MAX).min(rate.burst.get()), time))
    }

    /// One request of a key that was let in by the store does not happen.
    pub(super) fn give_back(&self, rate: &Rate, key: &[u8]) {
        self.known.leases.give_back(self.seed.hash((&rate.id, key)));
    }

    fn ask(&self, rate: &Rate, key: &[u8], question: Question) {
        self.known.questions.fetch_add(1, Relaxed);
        for (words, tag) in commands(question, name(rate, key, question.window.number)) {
            if self.redis.ask(&words, tag).is_err() {
                return self.known.leases.lose(question);
            }
        }
    }

    /// Asks for the time.
    fn keep_time(&self, now: i64) {
        let next = self.known.next.load(Relaxed);
        if now < next || self.known.next.compare_exchange(next, now + EVERY, Relaxed, Relaxed).is_err() {
            return; // Another worker does.
        }
        if self.known.refuses.swap(false, Relaxed) {
            self.redis.reset("it refuses to count");
        }
        // Without a connection, the first event of the next one makes this due again.
        let _ = self.redis.ask(&["TIME"], Tag::Time(now));
    }

    /// The number of proxies that shared the limits when that was last known.
    pub(super) fn proxies(&self) -> u32 {
        self.known.proxies.load(Relaxed)
    }

    /// Whether there is a store at the moment, and how many questions it was asked.
    pub(super) fn counts(&self) -> (bool, u64) {
        (self.known.ahead.load(Relaxed) != 0, self.known.questions.load(Relaxed))
    }
}

impl Known {
    fn micros(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.base).as_micros()).unwrap_or(i64::MAX)
    }

    /// The time of the store.
    fn time_of(&self, now: i64) -> Option<u64> {
        let ahead = self.ahead.load(Relaxed);
        if ahead == 0 { None } else { u64::try_from(now.saturating_add(ahead)).ok() }
    }

    fn heard(&self, event: Event<Tag>) -> Next<Tag> {
        match event {
            // The time is asked for with the next request.
            Event::Up => self.next.store(0, Relaxed),
            Event::Down(_) => self.ahead.store(0, Relaxed),
            Event::Push(_) => {}
            Event::Answer(Tag::Ignored, _) => {}
            Event::Answer(Tag::Count(question, name), answer) => return self.counted(question, name, answer.ok()),
            Event::Answer(Tag::Time(asked), Ok(Value::List(parts))) => {
                let number = |at: usize| std::str::from_utf8(parts.get(at)?.text()?).ok()?.parse::<i64>().ok();
                let (Some(seconds), Some(micros)) = (number(0), number(1)) else { return Next::new() };
                let at = seconds.saturating_mul(1_000_000).saturating_add(micros);
                // It was that time somewhere between question and answer.
                let then = i64::midpoint(asked, self.micros(clock::now().instant));
                self.ahead.store(at.saturating_sub(then), Relaxed);
                return self.present(at);
            }
            Event::Answer(Tag::Proxies, Ok(Value::Int(number))) => {
                self.proxies.store(u32::try_from(number).unwrap_or(u32::MAX).max(1), Relaxed);
            }
            Event::Answer(Tag::Time(_) | Tag::Proxies, _) => {}
        }
        Next::new()
    }

    /// Says at that time that this proxy is there, and asks how many are.
    fn present(&self, at: i64) -> Next<Tag> {
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        vec![
            (words(&["ZADD", PROXIES, &at.to_string(), &self.me]), Tag::Ignored),
            (words(&["ZREMRANGEBYSCORE", PROXIES, "-inf", &at.saturating_sub(GONE).to_string()]), Tag::Ignored),
            (words(&["PEXPIRE", PROXIES, "60000"]), Tag::Ignored),
            (words(&["ZCARD", PROXIES]), Tag::Proxies),
        ]
    }

    fn counted(&self, question: Question, name: String, answer: Option<Value>) -> Next<Tag> {
        match answer {
            Some(Value::Int(after)) => {
                let before = u64::try_from(after).unwrap_or(0).saturating_sub(question.number);
                let Some(next) = self.leases.count(question, before) else { return Next::new() };
                self.questions.fetch_add(1, Relaxed);
                commands(next, name)
            }
            other => {
                // Its memory is full, or it may only be read.
                if other.is_some() && !self.refuses.swap(true, Relaxed) {
                    self.next.store(0, Relaxed);
                }
                self.leases.lose(question);
                Next::new()
            }
        }
    }
}

/// The commands of a question. The key is of no use after its window; proxies may be a little late.
fn commands(question: Question, name: String) -> Next<Tag> {
    let words = |words: [&str; 3]| words.map(|word| word.as_bytes().to_vec()).to_vec();
    let lasts = (question.window.len / 1000 + 10_000).to_string();
    let count = words(["INCRBY", &name, &question.number.to_string()]);
    let expire = words(["PEXPIRE", &name, &lasts]);
    vec![(count, Tag::Count(question, name)), (expire, Tag::Ignored)]
}

/// The key in the store. Clients choose values, and these may be secrets: so the store has their digests.
fn name(rate: &Rate, key: &[u8], window: u64) -> String {
    let digest = digest(&SHA256, &[rate.id.as_bytes(), b"\n", key].concat());
    let mut name = "rate:".to_owned();
    for byte in &digest.as_ref()[..DIGEST] {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    let _ = write!(name, ":{window}");
    name
}
