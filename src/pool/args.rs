//! The flags of a pool, and what they mean as values.

use crate::units::{Flags, MAX_COUNT, Pointless, duration, number};
use clap::Args;
use std::time::Duration;

/// How many connections to keep, how long, and how many requests may wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Most connections open to one backend at once, over all workers. A backend's own `max` wins over it.
    /// 0: pooling is off, each connection serves one request, and only a backend's own `max` limits.
    pub max: usize,
    /// Most idle connections kept per backend, over all workers: each worker keeps its share, rounded up. `None`: all.
    pub idle: Option<usize>,
    /// A connection that idled this long is closed.
    pub idle_timeout: Duration,
    /// A connection opened longer ago than this serves no further request. `None`: it may grow old.
    pub lifetime: Option<Duration>,
    /// A connection that has served this many requests serves no further one. `None`: any number.
    pub requests: Option<u32>,
    /// Most requests waiting at once, over all workers. `None`: each connection that was accepted may wait with a request.
    /// 0: a request that finds every backend full is refused.
    pub queue: Option<usize>,
    /// How long a request waits before it is refused. Kept here for the owner of the timers; the pool has none.
    pub queue_timeout: Duration,
}

impl Default for PoolConfig {
    /// The defaults of the flags.
    fn default() -> Self {
        Self {
            max: 1024,
            idle: None,
            idle_timeout: Duration::from_secs(4),
            lifetime: Some(Duration::from_secs(600)),
            requests: None,
            queue: None,
            queue_timeout: Duration::from_secs(5),
        }
    }
}

/// Flags of every binary that keeps connections to backends.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Connections to backends")]
pub struct PoolArgs {
    /// Most connections open to one backend at once, over all workers; 0 turns pooling off
    ///
    /// Beyond it requests wait in the queue: a backend with a hundred busy threads answers sooner than one with ten
    /// thousand. A backend's own `max` wins over this. With 0, a connection serves one request and is closed.
    #[arg(long, value_name = "N", default_value = "1024", value_parser = number::<usize>(0..=MAX_COUNT))]
    pub pool_max: usize,

    /// Most idle connections kept per backend, over all workers [default: as many as there were]
    ///
    /// Each costs a descriptor here and there. Every worker keeps its share, rounded up. Without this flag the idle timeout
    /// alone trims the pool: a low limit closes after every burst what the next one has to open again.
    #[arg(long, value_name = "N", value_parser = number::<usize>(0..=MAX_COUNT))]
    pub pool_idle: Option<usize>,

    /// How long a connection may idle before it is closed
    ///
    /// Keep it below the keep-alive timeout of the backend: one that closes a connection just when a request is sent on
    /// it loses that request, and one that is not idempotent cannot be sent again. Apache, Node and uvicorn close after
    /// 5 s, so 4 s suits them all; behind nginx (75 s) 60s saves a few handshakes.
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = duration)]
    pub pool_idle_timeout: Duration,

    /// How old a connection may get; 0s means any age
    ///
    /// An old connection keeps its load balancer, its route and a leaking backend process alive. A request that runs is
    /// never cut off: the age counts when it ends.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub pool_lifetime: Duration,

    /// How many requests a connection may serve [default: any number]
    #[arg(long, value_name = "N", value_parser = number::<u32>(1..=MAX_COUNT))]
    pub pool_requests: Option<u32>,

    /// Most requests waiting for a connection at once, over all workers; 0: none waits [default: as many as have come]
    ///
    /// More are answered with 503. Without this flag only time decides (--pool-queue-timeout), and the number of accepted
    /// connections bounds the memory: each waits with one request at most. A burst that the backends can serve in time is
    /// served, however large it is. With it, a full queue is shared out: the newest request of the client with the most makes
    /// room for a client with fewer.
    #[arg(long, value_name = "N", value_parser = number::<usize>(0..=MAX_COUNT))]
    pub pool_queue: Option<usize>,

    /// How long a request waits for a connection before it is answered with 503
    ///
    /// Shorter than the patience of a client, so that it hears of the overload instead of timing out. Clients take turns:
    /// a client with a thousand waiting requests does not keep one with a single request waiting.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub pool_queue_timeout: Duration,
}

impl Flags for PoolArgs {
    const POINTLESS: &'static [Pointless] = &[
        Pointless {
            flags: &["pool_idle", "pool_idle_timeout", "pool_lifetime", "pool_requests"],
            when: |matches| matches.get_one("pool_max") == Some(&0_usize),
            because: "--pool-max 0 turns the pool off",
        },
        Pointless {
            flags: &["pool_idle", "pool_idle_timeout", "pool_lifetime"],
            when: |matches| matches.get_one("pool_requests") == Some(&1_u32),
            because: "--pool-requests 1 closes each connection after its request",
        },
        Pointless {
            flags: &["pool_idle_timeout"],
            when: |matches| matches.get_one("pool_idle") == Some(&0_usize),
            because: "--pool-idle 0 keeps no idle connection",
        },
        Pointless {
            flags: &["pool_queue_timeout"],
            when: |matches| matches.get_one("pool_queue") == Some(&0_usize),
            because: "--pool-queue 0 lets no request wait",
        },
    ];
}

impl PoolArgs {
    /// The flags as values: a zero that means "no limit" becomes `None`.
    #[must_use]
    pub fn config(&self) -> PoolConfig {
        PoolConfig {
            max: self.pool_max,
            idle: self.pool_idle,
            idle_timeout: self.pool_idle_timeout,
            lifetime: Some(self.pool_lifetime).filter(|lifetime| !lifetime.is_zero()),
            requests: self.pool_requests,
            queue: self.pool_queue,
            queue_timeout: self.pool_queue_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Checked;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        pool: Checked<PoolArgs>,
    }

    fn parse(line: &str) -> Result<PoolConfig, clap::Error> {
        Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).map(|cli| cli.pool.config())
    }

    #[test]
    fn without_flags_the_defaults_apply() {
        assert_eq!(parse("").unwrap(), PoolConfig::default());
    }

    #[test]
    fn each_flag_sets_its_value() {
        let line = "--pool-max 3 --pool-idle 1 --pool-idle-timeout 1m30s --pool-lifetime 0s --pool-requests 4 \
                    --pool-queue 2 --pool-queue-timeout 250ms";
        let expected = PoolConfig {
            max: 3,
            idle: Some(1),
            idle_timeout: Duration::from_secs(90),
            lifetime: None,
            requests: Some(4),
            queue: Some(2),
            queue_timeout: Duration::from_millis(250),
        };
        assert_eq!(parse(line).unwrap(), expected);
    }

    #[test]
    fn flags_that_would_mean_nothing_are_refused() {
        for (line, because) in [
            ("--pool-max 0 --pool-idle 1", "--pool-max 0 turns the pool off"),
            ("--pool-max 0 --pool-idle-timeout 1s", "--pool-max 0 turns the pool off"),
            ("--pool-max 0 --pool-lifetime 1s", "--pool-max 0 turns the pool off"),
            ("--pool-max 0 --pool-requests 1", "--pool-max 0 turns the pool off"),
            ("--pool-requests 1 --pool-lifetime 1s", "--pool-requests 1 closes each connection"),
            ("--pool-idle 0 --pool-idle-timeout 1s", "--pool-idle 0 keeps no idle connection"),
            ("--pool-queue 0 --pool-queue-timeout 1s", "--pool-queue 0 lets no request wait"),
        ] {
            let error = parse(line).expect_err("it means nothing").to_string();
            assert!(error.contains(because), "{line}: {error}");
        }
        // Even without a pool, a backend with a `max` of its own makes requests wait.
        for line in ["--pool-max 0 --pool-queue 5 --pool-queue-timeout 1s", "--pool-idle 0", "--pool-requests 1"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--pool-requests 0", "--pool-idle-timeout 5", "--pool-max -1", "--pool-lifetime soon"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
