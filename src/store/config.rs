//! The parameters that CONFIG reads and sets.

use super::{glob, random::Random, value::Encodings};
use std::borrow::Cow;

/// Databases: the original's default.
pub(crate) const DATABASES: usize = 16;

/// When what was written has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fsync {
    /// Before the client hears that it was done.
    Always,
    /// Within a second.
    Everysec,
    /// When the system likes.
    No,
}

/// The keys that make room when memory is short, and how they are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    NoEviction,
    AllKeys(Order),
    /// Among keys that expire.
    Volatile(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one that was not used for the longest time.
    Lru,
    /// The one that was used least often.
    Lfu,
    Random,
    /// The one that expires first.
    Ttl,
}

const POLICIES: [(&str, Policy); 8] = [
    ("volatile-lru", Policy::Volatile(Order::Lru)),
    ("volatile-lfu", Policy::Volatile(Order::Lfu)),
    ("volatile-random", Policy::Volatile(Order::Random)),
    ("volatile-ttl", Policy::Volatile(Order::Ttl)),
    ("allkeys-lru", Policy::AllKeys(Order::Lru)),
    ("allkeys-lfu", Policy::AllKeys(Order::Lfu)),
    ("allkeys-random", Policy::AllKeys(Order::Random)),
    ("noeviction", Policy::NoEviction),
];

/// The count of a new key, so that it is not the first to go: the original's.
const FIRST: u32 = 5;

/// A count of 255 stands for about a million uses: the original's `lfu-log-factor`.
const FACTOR: u32 = 10;

/// Milliseconds in which a count loses one: the original's `lfu-decay-time`.
const DECAY: i64 = 60_000;

impl Policy {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        POLICIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, policy)| *policy)
    }

    pub(crate) fn name(self) -> &'static str {
        POLICIES.iter().find(|(_, policy)| *policy == self).map_or("noeviction", |(name, _)| name)
    }

    /// Whether uses are counted. Otherwise the time of the last one is kept.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::AllKeys(Order::Lfu) | Self::Volatile(Order::Lfu))
    }

    /// Whether the uses of each key decide which one goes.
    pub(crate) fn remembers(self) -> bool {
        matches!(self, Self::AllKeys(Order::Lru | Order::Lfu) | Self::Volatile(Order::Lru | Order::Lfu))
    }

    /// The first knowledge of a new key: seconds; or minutes and a count, in 24 and 8 bits.
    pub(crate) fn fresh(self, now: i64) -> u32 {
        if self.counts() { (minutes(now) << 8) | FIRST } else { seconds(now) }
    }

    /// The knowledge of a key that was used.
    pub(crate) fn touched(self, before: u32, now: i64, random: &mut Random) -> u32 {
        if !self.counts() {
            return seconds(now);
        }
        let count = uses(before, now);
        let chance = count.saturating_sub(FIRST) * FACTOR + 1;
        let more = count < 255 && random.below(chance as usize) == 0;
        (minutes(now) << 8) | (count + u32::from(more))
    }
}

/// The count of uses, less what time has taken.
pub(crate) fn uses(access: u32, now: i64) -> u32 {
    let gone = minutes(now).wrapping_sub(access >> 8) & 0x00ff_ffff;
    (access & 0xff).saturating_sub(gone)
}

fn minutes(now: i64) -> u32 {
    // The low bits are what counts.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let minutes = (now / DECAY) as u32;
    minutes & 0x00ff_ffff
}

/// Seconds of calendar time, as far as they fit.
pub(crate) fn seconds(now: i64) -> u32 {
    // The low bits are what counts.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = (now / 1000) as u32;
    seconds
}

/// More keys than this are never looked at for one that goes.
const MOST_SAMPLES: usize = 64;

/// All parameters, as they are now.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) max_memory: usize,
    pub(crate) policy: Policy,
    /// Keys that are looked at for one that goes.
    pub(crate) samples: usize,
    pub(crate) fsync: Fsync,
    pub(crate) password: String,
    /// Bytes of commands that have not come to their end.
    pub(crate) query_limit: usize,
    /// Bytes of one word.
    pub(crate) bulk_limit: i64,
    /// Bytes that may wait for a client.
    pub(crate) output_limit: usize,
    /// The same for one that listens to channels.
    pub(crate) pubsub_limit: usize,
    pub(crate) max_clients: usize,
    /// Silence after which a client is sent away, in seconds; 0: never.
    pub(crate) timeout: u64,
    /// The file is written again when it has grown by so many percent; 0: never by itself.
    pub(crate) rewrite_percentage: u64,
    /// Unless it is smaller.
    pub(crate) rewrite_min_size: u64,
    pub(crate) directory: String,
    pub(crate) port: u16,
    /// The listener's, as clients are told.
    pub(crate) address: String,
    pub(crate) append_only: bool,
    pub(crate) encodings: Encodings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_memory: 0,
            policy: Policy::NoEviction,
            samples: 5,
            fsync: Fsync::Everysec,
            password: String::new(),
            query_limit: 1 << 30,
            bulk_limit: 512 << 20,
            output_limit: 1 << 30,
            pubsub_limit: 32 << 20,
            max_clients: 10_000,
            timeout: 0,
            rewrite_percentage: 100,
            rewrite_min_size: 64 << 20,
            directory: String::new(),
            port: 0,
            address: String::new(),
            append_only: true,
            encodings: Encodings::default(),
        }
    }
}

/// Names of parameters that can be read. Those behind the first ones cannot be set while the server runs.
const NAMES: [&str; 17] = [
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "appendfsync",
    "requirepass",
    "client-query-buffer-limit",
    "proto-max-bulk-len",
    "client-output-buffer-limit",
    "timeout",
    "auto-aof-rewrite-percentage",
    "auto-aof-rewrite-min-size",
    "save",
    "appendonly",
    "maxclients",
    "dir",
    "port",
    "databases",
];
const SETTABLE: usize = 13;

impl Config {
    /// The parameters whose names fit one of the patterns, with their values.
    pub(crate) fn find<'p>(&self, patterns: impl Iterator<Item = &'p [u8]> + Clone) -> Vec<(&'static str, String)> {
        let fits =
            |name: &&str| patterns.clone().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()));
        let names = NAMES.into_iter().chain(Encodings::names());
        names.filter(fits).map(|name| (name, self.value(name))).collect()
    }

    fn value(&self, name: &str) -> String {
        match name {
            "maxmemory" => self.max_memory.to_string(),
            "maxmemory-policy" => self.policy.name().to_owned(),
            "maxmemory-samples" => self.samples.to_string(),
            "appendfsync" => match self.fsync {
                Fsync::Always => "always",
                Fsync::Everysec => "everysec",
                Fsync::No => "no",
            }
            .to_owned(),
            "requirepass" => self.password.clone(),
            "client-query-buffer-limit" => self.query_limit.to_string(),
            "proto-max-bulk-len" => self.bulk_limit.to_string(),
            "client-output-buffer-limit" => {
                format!("normal {} 0 0 slave 0 0 0 pubsub {} 0 0", self.output_limit, self.pubsub_limit)
            }
            "timeout" => self.timeout.to_string(),
            "auto-aof-rewrite-percentage" => self.rewrite_percentage.to_string(),
            "auto-aof-rewrite-min-size" => self.rewrite_min_size.to_string(),
            "maxclients" => self.max_clients.to_string(),
            "dir" => self.directory.clone(),
            "port" => self.port.to_string(),
            "appendonly" => if self.append_only { "yes" } else { "no" }.to_owned(),
            "databases" => DATABASES.to_string(),
            _ => self.encodings.value(name).map_or(String::new(), |value| value.to_string()),
        }
    }

    /// Whether there is such a parameter, and whether it can be set.
    pub(crate) fn known(name: &str) -> Option<bool> {
        let place = NAMES.iter().position(|known| *known == name);
        place.map(|place| place < SETTABLE).or_else(|| Encodings::names().any(|other| other == name).then_some(true))
    }

    /// Sets one.
    ///
    /// # Errors
    ///
    /// The rule that the value breaks.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Cow<'static, str>> {
        match self.encodings.set(name, value, memory) {
            Some(result) => result.map_err(Cow::Owned),
            None => self.set_own(name, value).map_err(Cow::Borrowed),
        }
    }

    fn set_own(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        const MEMORY: &str = "argument must be a memory value";
        const NUMBER: &str = "argument couldn't be parsed into an integer";
        match name {
            "maxmemory" => self.max_memory = memory(value).ok_or(MEMORY)?,
            "maxmemory-policy" => {
                self.policy = Policy::parse(value).ok_or("argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction")?;
            }
            "maxmemory-samples" => {
                let samples: i64 = value.parse().map_err(|_| NUMBER)?;
                if !(1..=i64::from(i32::MAX)).contains(&samples) {
                    return Err("argument must be between 1 and 2147483647 inclusive");
                }
                self.samples = usize::try_from(samples).map_or(MOST_SAMPLES, |samples| samples.min(MOST_SAMPLES));
            }
            "appendfsync" => {
                let named = <Fsync as clap::ValueEnum>::from_str(value, true);
                self.fsync = named.map_err(|_| "argument(s) must be one of the following: everysec, always, no")?;
            }
            "requirepass" => value.clone_into(&mut self.password),
            "client-query-buffer-limit" => {
                let limit = memory(value).ok_or(MEMORY)?;
                if limit < 1 << 20 {
                    return Err("argument must be between 1048576 and 9223372036854775807 inclusive");
                }
                self.query_limit = limit;
            }
            "proto-max-bulk-len" => {
                let limit = memory(value).and_then(|limit| i64::try_from(limit).ok()).ok_or(MEMORY)?;
                if limit < 1 << 20 {
                    return Err("argument must be between 1048576 and 9223372036854775807 inclusive");
                }
                self.bulk_limit = limit;
            }
            "client-output-buffer-limit" => self.set_output(value)?,
            "timeout" => self.timeout = number(value)?,
            "auto-aof-rewrite-percentage" => self.rewrite_percentage = number(value)?,
            "auto-aof-rewrite-min-size" => self.rewrite_min_size = memory(value).ok_or(MEMORY)? as u64,
            // No snapshot is ever saved.
            "save" if value.trim().is_empty() => {}
            "save" => return Err("snapshots are left out: changes are in the append-only file"),
            "appendonly" => match value.to_ascii_lowercase().as_str() {
                "yes" if self.append_only => {}
                "no" if !self.append_only => {}
                "yes" | "no" => return Err("it is decided when the server starts: --data, or --in-memory"),
                _ => return Err("argument must be 'yes' or 'no'"),
            },
            _ => return Err("can't set immutable config"),
        }
        Ok(())
    }

    /// Groups of a class, a hard limit, a soft limit and a time; the last two are left out here: a hard limit is one that is kept.
    fn set_output(&mut self, value: &str) -> Result<(), &'static str> {
        let words: Vec<&str> = value.split_whitespace().collect();
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.");
        }
        for group in words.chunks(4) {
            let limit =
                memory(group[1]).ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
            let limit = if limit == 0 { usize::MAX } else { limit };
            match group[0].to_ascii_lowercase().as_str() {
                "normal" => self.output_limit = limit,
                "pubsub" => self.pubsub_limit = limit,
                "slave" | "replica" => {}
                _ => return Err("Invalid client class specified in buffer limit configuration."),
            }
        }
        Ok(())
    }
}

/// A number that is not below zero, as the original holds it.
fn number(text: &str) -> Result<u64, &'static str> {
    let value: i64 = text.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
    let value = u64::try_from(value).ok().filter(|value| *value <= i32::MAX as u64);
    value.ok_or("argument must be between 0 and 2147483647 inclusive")
}

/// A size as the original reads it: bytes, or with kb, mb, gb (of 1024) or k, m, g (of 1000).
fn memory(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let factor = match unit {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    // All digits: one that does not fit is as large as can be.
    let number = if digits.is_empty() { return None } else { digits.parse().unwrap_or(usize::MAX) };
    number.checked_mul(factor)
}
