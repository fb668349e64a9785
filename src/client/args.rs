//! The flags of the program `client`.

use super::{Config, Fallback, HeartbeatConfig, Names, Policy, config::MAX_IN_FLIGHT};
use crate::{
    net::address::HostPort,
    pool::PoolConfig,
    resilience::{Backoff, BreakerConfig},
    units::{Flags, MAX_COUNT, MAX_THREADS, Pointless, at_least_one, duration, nonzero_duration, number},
};
use clap::Args;
use std::{num::NonZeroUsize, time::Duration};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// The server: its name or address, and port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub connect: HostPort,
    /// Wait for a server that is not there yet, as for one that went away
    #[arg(long)]
    pub wait: bool,

    /// Commands that may be sent before the first is answered, at most 32768; 1: one after the other
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one::<NonZeroUsize>(MAX_IN_FLIGHT as u64), help_heading = "Connections")]
    pub in_flight: NonZeroUsize,
    /// Instead of one connection for all commands: up to N of them, each with one command at a time
    #[arg(long, value_name = "N", conflicts_with = "in_flight", value_parser = at_least_one::<NonZeroUsize>(MAX_THREADS), help_heading = "Connections")]
    pub pool: Option<NonZeroUsize>,
    /// How long a connection of the pool may idle before it is closed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, requires = "pool", help_heading = "Connections")]
    pub pool_idle_timeout: Duration,
    /// How long one try to connect may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = nonzero_duration, help_heading = "Connections")]
    pub connect_timeout: Duration,

    /// Tries to connect before it gives up
    #[arg(long, value_name = "N", default_value = "10", value_parser = number::<u32>(0..=MAX_COUNT), help_heading = "Reconnecting")]
    pub reconnects: u32,
    /// The wait before the first of them; each further one is --backoff-factor times as long
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration, help_heading = "Reconnecting")]
    pub backoff: Duration,
    /// How much longer each wait is than the one before
    #[arg(long, value_name = "X", default_value_t = 2.0, value_parser = factor, help_heading = "Reconnecting")]
    pub backoff_factor: f64,
    /// The longest wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, help_heading = "Reconnecting")]
    pub backoff_cap: Duration,
    /// How much longer or shorter a wait may be by chance, in percent
    #[arg(long, value_name = "PERCENT", default_value = "25", value_parser = number::<u8>(0..=100), help_heading = "Reconnecting")]
    pub jitter: u8,

    /// The time that a command has for all its tries together, waits included
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = nonzero_duration, help_heading = "Trying again")]
    pub deadline: Duration,
    /// How often a command may be sent; one that is not idempotent is sent once
    #[arg(long, value_name = "N", default_value = "3", value_parser = number::<u32>(1..=MAX_COUNT), help_heading = "Trying again")]
    pub tries: u32,
    /// Commands that may be executed twice, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        default_value = "PING,ECHO,TIME,STATS,HELP,HEARTBEAT,DELAY",
        help_heading = "Trying again"
    )]
    pub idempotent: Names,

    /// Silence after which the server is asked whether it is still there; with --pool, when the connection is to be used
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration, help_heading = "Heartbeat")]
    pub heartbeat: Duration,
    /// How long it may take to answer before the connection is given up
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = nonzero_duration, help_heading = "Heartbeat")]
    pub heartbeat_timeout: Duration,
    /// Never ask
    #[arg(long, conflicts_with_all = ["heartbeat", "heartbeat_timeout"], help_heading = "Heartbeat")]
    pub no_heartbeat: bool,

    /// After so many failures in a row, ask nothing for a while: refuse at once [default: never]
    #[arg(long, value_name = "N", value_parser = number::<u32>(1..=MAX_COUNT), help_heading = "When it fails")]
    pub breaker: Option<u32>,
    /// How long the breaker stays open before it lets a command through
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, requires = "breaker", help_heading = "When it fails")]
    pub breaker_open: Duration,
    /// Successes, one after the other, that close the breaker
    #[arg(long, value_name = "N", default_value = "3", value_parser = number::<u32>(1..=MAX_COUNT), requires = "breaker", help_heading = "When it fails")]
    pub breaker_successes: u32,
    /// The answer to show when there is none
    #[arg(long, value_name = "TEXT", help_heading = "When it fails")]
    pub fallback: Option<String>,
    /// When there is no answer, give the last one to the same command, if it may be executed twice
    #[arg(long, conflicts_with = "fallback", help_heading = "When it fails")]
    pub fallback_last: bool,

    /// Print answers as they come, with the number of their input line, instead of in order
    #[arg(long, help_heading = "Output")]
    pub unordered: bool,
    /// At the end, say on stderr what was done
    #[arg(long, help_heading = "Output")]
    pub stats: bool,
}

impl Flags for ClientArgs {
    const POINTLESS: &'static [Pointless] = &[
        Pointless {
            flags: &["wait", "backoff", "backoff_factor", "backoff_cap", "jitter"],
            when: |matches| matches.get_one("reconnects") == Some(&0_u32),
            because: "--reconnects 0 connects once and never again",
        },
        Pointless {
            flags: &["backoff_factor", "backoff_cap", "jitter"],
            when: |matches| matches.get_one("backoff") == Some(&Duration::ZERO),
            because: "--backoff 0s does not wait",
        },
        Pointless {
            flags: &["idempotent"],
            when: |matches| matches.get_one("tries") == Some(&1_u32) && !matches.get_flag("fallback_last"),
            because: "--tries 1 sends no command again",
        },
    ];
}

/// Reads a factor: below 1 the waits would shrink.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor < 1.0 => Err("must be at least 1".to_owned()),
        Ok(factor) if factor > 1000.0 => Err("must be at most 1000".to_owned()),
        Ok(factor) if !factor.is_nan() => Ok(factor),
        _ => Err("not a number".to_owned()),
    }
}

impl ClientArgs {
    /// The flags as values.
    #[must_use]
    pub fn config(&self) -> Config {
        let heartbeat = HeartbeatConfig { interval: self.heartbeat, timeout: self.heartbeat_timeout };
        let breaker = |failures| BreakerConfig {
            failures,
            open_for: self.breaker_open,
            successes: self.breaker_successes,
            trials: 1,
        };
        Config {
            backoff: Backoff {
                base: self.backoff,
                factor: self.backoff_factor,
                cap: self.backoff_cap,
                jitter: f64::from(self.jitter) / 100.0,
            },
            reconnects: self.reconnects,
            connect_timeout: self.connect_timeout,
            policy: Policy { deadline: self.deadline, tries: self.tries },
            heartbeat: (!self.no_heartbeat).then_some(heartbeat),
            breaker: self.breaker.map(breaker),
            in_flight: self.in_flight.get(),
            queue: self.window(),
            ..Config::default()
        }
    }

    /// How to use several connections; `None`: one for all.
    #[must_use]
    pub fn pool_config(&self) -> Option<PoolConfig> {
        let max = self.pool?.get();
        let idle_timeout = self.pool_idle_timeout;
        Some(PoolConfig { max, idle_timeout, lifetime: None, queue: Some(max), ..PoolConfig::default() })
    }

    /// The replacement for answers that do not come.
    #[must_use]
    pub fn fallback(&self) -> Option<Fallback> {
        match &self.fallback {
            Some(text) => Some(Fallback::fixed(text)),
            None => self.fallback_last.then(Fallback::last_answer),
        }
    }

    /// How many commands are read ahead of their answers: enough to keep all connections busy.
    pub(super) fn window(&self) -> usize {
        self.pool.unwrap_or(self.in_flight).get().saturating_mul(2)
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
        client: Checked<ClientArgs>,
    }

    fn parse(line: &str) -> Result<ClientArgs, clap::Error> {
        Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).map(|cli| cli.client.0)
    }

    #[test]
    fn without_flags_the_defaults_of_the_library_apply() {
        let args = parse("").unwrap();
        assert_eq!(args.config(), Config { queue: 128, ..Config::default() });
        assert_eq!((args.pool_config(), args.idempotent.clone()), (None, Names::default()));
        assert!(args.fallback().is_none());
    }

    #[test]
    fn each_flag_sets_its_value() {
        let args = parse(
            "--connect localhost:1 --in-flight 7 --reconnects 2 --backoff 1ms --backoff-factor 3 --backoff-cap 2ms \
             --jitter 0 --deadline 3ms --tries 4 --idempotent GET --heartbeat 5ms --heartbeat-timeout 6ms --breaker 8 \
             --breaker-open 9ms --breaker-successes 1 --fallback none --connect-timeout 10ms",
        );
        let ms = Duration::from_millis;
        let args = args.unwrap();
        let expected = Config {
            backoff: Backoff { base: ms(1), factor: 3.0, cap: ms(2), jitter: 0.0 },
            reconnects: 2,
            connect_timeout: ms(10),
            policy: Policy { deadline: ms(3), tries: 4 },
            heartbeat: Some(HeartbeatConfig { interval: ms(5), timeout: ms(6) }),
            breaker: Some(BreakerConfig { failures: 8, open_for: ms(9), successes: 1, trials: 1 }),
            in_flight: 7,
            queue: 14,
            ..Config::default()
        };
        assert_eq!(args.config(), expected);
        assert!(args.idempotent.contains("get") && !args.idempotent.contains("PING"));
        assert!(parse("--no-heartbeat").unwrap().config().heartbeat.is_none());
        let pool = parse("--pool 3 --pool-idle-timeout 2ms").unwrap().pool_config().unwrap();
        assert_eq!((pool.max, pool.queue, pool.idle_timeout), (3, Some(3), ms(2)));
    }

    #[test]
    fn flags_that_would_mean_nothing_are_refused() {
        for (line, because) in [
            ("--reconnects 0 --wait", "--reconnects 0 connects once and never again"),
            ("--reconnects 0 --backoff 1s", "--reconnects 0 connects once and never again"),
            ("--reconnects 0 --jitter 5", "--reconnects 0 connects once and never again"),
            ("--backoff 0s --backoff-factor 3", "--backoff 0s does not wait"),
            ("--backoff 0s --backoff-cap 1s", "--backoff 0s does not wait"),
            ("--tries 1 --idempotent PING", "--tries 1 sends no command again"),
        ] {
            let error = parse(line).expect_err("it means nothing").to_string();
            assert!(error.contains(because), "{line}: {error}");
        }
        // The last answer stands in for one to a command that may be executed twice.
        for line in ["--reconnects 0", "--backoff 0s", "--tries 1 --idempotent PING --fallback-last"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--connect 127.0.0.1",
            "--connect :80",
            "--in-flight 0",
            "--in-flight 32769",
            "--pool 0",
            "--pool-idle-timeout 5s",
            "--heartbeat 1s --no-heartbeat",
            "--no-heartbeat --heartbeat-timeout 1s",
            "--breaker-open 1s",
            "--breaker-successes 2",
            "--pool 2 --in-flight 2",
            "--jitter 101",
            "--backoff-factor 0.5",
            "--backoff-factor NaN",
            "--deadline 0s",
            "--deadline 5",
            "--tries 0",
            "--breaker 0",
            "--fallback x --fallback-last",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
