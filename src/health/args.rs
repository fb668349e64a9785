//! The flags of health.

use super::{HealthConfig, StatusRange};
use crate::{
    http::{Authority, is_token},
    resilience::BreakerConfig,
    units::{Flags, MAX_COUNT, Pointless, duration, nonzero_duration, number},
};
use clap::Args;
use std::time::Duration;

/// For each flag by itself: a heading for the struct would run on into the flags that follow it.
const HEADING: &str = "Health of backends";

/// Flags that mean nothing without probes.
const OF_PROBES: [&str; 9] = [
    "health_path",
    "health_host",
    "health_header",
    "health_interval",
    "health_max_interval",
    "health_timeout",
    "health_status",
    "fail_after",
    "recover_after",
];

/// When a backend gets requests and when not.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Send no probes: only failed requests tell that a backend is down
    #[arg(long, help_heading = HEADING, conflicts_with_all = OF_PROBES)]
    pub no_health: bool,

    /// The path that probes ask for, like /health. Without it, a TCP connection that opens is enough
    #[arg(long, help_heading = HEADING, value_name = "PATH", value_parser = parse_path)]
    pub health_path: Option<String>,

    /// The Host of probes [default: the backend as given with --backend]
    #[arg(long, help_heading = HEADING, value_name = "HOST", requires = "health_path", value_parser = parse_host)]
    pub health_host: Option<String>,

    /// A further field of probes, like "X-Forwarded-Proto: https"; may be given several times
    #[arg(long, help_heading = HEADING, value_name = "FIELD", requires = "health_path", value_parser = parse_field)]
    pub health_header: Vec<(String, String)>,

    /// Time between probes of a living backend
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "2s", value_parser = nonzero_duration)]
    pub health_interval: Duration,

    /// Longest time between probes of a dead one; each failed probe doubles the interval up to here
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    pub health_max_interval: Duration,

    /// How long a probe may take
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "1s", value_parser = nonzero_duration)]
    pub health_timeout: Duration,

    /// Statuses that a healthy backend may answer a probe with
    #[arg(long, help_heading = HEADING, value_name = "RANGE", default_value = "200-399",
        requires = "health_path")]
    pub health_status: StatusRange,

    /// The number of failed probes in a row that takes a backend out
    #[arg(long, help_heading = HEADING, value_name = "N", default_value = "3",
        value_parser = number::<u32>(1..=MAX_COUNT))]
    pub fail_after: u32,

    /// The number of successful probes in a row that brings it back
    #[arg(long, help_heading = HEADING, value_name = "N", default_value = "2",
        value_parser = number::<u32>(1..=MAX_COUNT))]
    pub recover_after: u32,

    /// How long a backend that is back gets a growing share of the requests; 0s: a full one at once [default: 10s]
    ///
    /// With an algorithm that looks at weights: round-robin gives each backend the same share at once.
    #[arg(long, help_heading = HEADING, value_name = "TIME", value_parser = duration)]
    pub slow_start: Option<Duration>,

    /// The number of failed requests in a row that opens the breaker: no requests for a while; 0: never. The same
    /// request of the same client counts once, unless the connection could not be opened
    #[arg(long, help_heading = HEADING, value_name = "N", default_value = "5",
        value_parser = number::<u32>(0..=MAX_COUNT))]
    pub breaker_failures: u32,

    /// How long an open breaker waits before it lets a trial request through
    #[arg(long, help_heading = HEADING, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    pub breaker_open: Duration,

    /// The number of successful trial requests that closes it again
    #[arg(long, help_heading = HEADING, value_name = "N", default_value = "3",
        value_parser = number::<u32>(1..=MAX_COUNT))]
    pub breaker_successes: u32,

    /// If fewer backends than this would get requests, breakers do not hold any back; 0: they may hold back all
    #[arg(long, help_heading = HEADING, value_name = "N", default_value = "1",
        value_parser = number::<u32>(0..=MAX_COUNT))]
    pub breaker_keep: u32,
}

impl Flags for HealthArgs {
    const POINTLESS: &'static [Pointless] = &[
        Pointless {
            flags: &["breaker_open", "breaker_successes", "breaker_keep"],
            when: |matches| matches.get_one("breaker_failures") == Some(&0_u32),
            because: "--breaker-failures 0 turns the breaker off",
        },
        Pointless {
            flags: &["slow_start"],
            when: |matches| matches.get_flag("no_health") && matches.get_one("breaker_failures") == Some(&0_u32),
            because: "--no-health with --breaker-failures 0 takes no backend out, so none comes back",
        },
        Pointless {
            flags: &["health_max_interval"],
            when: |matches| {
                let time = |flag| matches.get_one::<Duration>(flag);
                time("health_max_interval") < time("health_interval")
            },
            because: "it is shorter than --health-interval",
        },
    ];
}

impl From<HealthArgs> for HealthConfig {
    fn from(args: HealthArgs) -> Self {
        let default = Self::default();
        Self {
            active: !args.no_health,
            path: args.health_path,
            host: args.health_host,
            fields: args.health_header,
            interval: args.health_interval,
            // A longer --health-interval than the default of the other is no contradiction.
            max_interval: args.health_max_interval.max(args.health_interval),
            jitter: default.jitter,
            timeout: args.health_timeout,
            expected: args.health_status,
            fail_after: args.fail_after,
            recover_after: args.recover_after,
            slow_start: args.slow_start.unwrap_or(default.slow_start),
            breaker: BreakerConfig {
                failures: args.breaker_failures,
                open_for: args.breaker_open,
                successes: args.breaker_successes,
                ..default.breaker
            },
            keep: args.breaker_keep,
        }
    }
}

/// The path goes into a request line as it is: what could end that line early is refused here.
fn parse_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("must start with a slash: /health".into());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err("must be visible ASCII without '#': write other characters as %20".into());
    }
    Ok(text.into())
}

fn parse_host(text: &str) -> Result<String, String> {
    Authority::parse(text.as_bytes())
        .map_err(|_| "must be a host, with a port or without: www.example, 10.0.0.7:80")?;
    Ok(text.into())
}

/// Fields that say where a message goes or ends are ours to write: a probe is one request without a body, on a connection of
/// its own.
const OURS: &[&str] =
    &["host", "connection", "content-length", "transfer-encoding", "upgrade", "expect", "te", "trailer"];

/// Reads `Name: value`.
fn parse_field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be a field: \"Name: value\"")?;
    if !is_token(name.as_bytes()) {
        return Err(format!("{name:?} is not the name of a field: write \"Name: value\""));
    }
    let value = value.trim_matches([' ', '\t']);
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err("the value must be visible ASCII and spaces".into());
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        let hint = if name.eq_ignore_ascii_case("host") { "use --health-host" } else { "leave it out" };
        return Err(format!("{name} is written by the proxy: {hint}"));
    }
    Ok((name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Checked;
    use clap::{CommandFactory, Parser};

    /// A program with these flags.
    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        health: Checked<HealthArgs>,
        /// Something else
        #[arg(long)]
        other: bool,
    }

    fn parse(flags: &[&str]) -> Result<HealthConfig, clap::Error> {
        Cli::try_parse_from([&["proxy"], flags].concat()).map(|cli| cli.health.0.into())
    }

    #[test]
    fn without_flags_the_defaults_are_those_of_the_configuration() {
        Cli::command().debug_assert();
        assert_eq!(parse(&[]).unwrap(), HealthConfig::default());
    }

    #[test]
    fn the_program_keeps_its_own_words_in_its_help() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.starts_with("A program with these flags"), "{help}");
        let (own, health) = help.split_once("\nHealth of backends:\n").expect("they have a heading of their own");
        assert!(own.contains("--other") && !own.contains("--health") && health.contains("--breaker-open"), "{help}");
    }

    #[test]
    fn every_flag_reaches_the_configuration() {
        assert!(!parse(&["--no-health"]).unwrap().active);
        let flags = "--health-path /ready?x=1 --health-interval 250ms --health-max-interval 5m \
            --health-host www.example:8080 --health-header X-Probe:1 --health-header X-Forwarded-Proto:https \
            --health-timeout 30s --health-status 204 --fail-after 1 --recover-after 7 --slow-start 0s \
            --breaker-failures 1 --breaker-open 1m30s --breaker-successes 2 --breaker-keep 3";
        let default = HealthConfig::default();
        assert_eq!(
            parse(&flags.split_whitespace().collect::<Vec<_>>()).unwrap(),
            HealthConfig {
                active: true,
                path: Some("/ready?x=1".into()),
                host: Some("www.example:8080".into()),
                fields: vec![("X-Probe".into(), "1".into()), ("X-Forwarded-Proto".into(), "https".into())],
                interval: Duration::from_millis(250),
                max_interval: Duration::from_secs(300),
                jitter: default.jitter,
                timeout: Duration::from_secs(30),
                expected: StatusRange::new(204, 204).unwrap(),
                fail_after: 1,
                recover_after: 7,
                slow_start: Duration::ZERO,
                breaker: BreakerConfig {
                    failures: 1,
                    open_for: Duration::from_secs(90),
                    successes: 2,
                    ..default.breaker
                },
                keep: 3,
            }
        );
    }

    #[test]
    fn the_longest_interval_is_never_shorter_than_the_interval() {
        let config = parse(&["--health-interval", "1m"]).unwrap();
        assert_eq!((config.interval, config.max_interval), (Duration::from_secs(60), Duration::from_secs(60)));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        const CASES: &[(&[&str], &str)] = &[
            (&["--health-interval", "0s"], "must be longer than zero"),
            (&["--health-interval", "0"], "write 30s or 250ms"),
            (&["--health-interval", "5"], "write 30s or 250ms"),
            (&["--health-interval", ""], "write 30s or 250ms"),
            (&["--health-interval", "fast"], "write 30s or 250ms"),
            (&["--health-interval", "-1s"], "must not be negative: write 30s or 250ms"),
            (&["--health-timeout", "0ms"], "must be longer than zero"),
            (&["--breaker-open", "0s"], "must be longer than zero"),
            (&["--slow-start", "366d"], "more than a year"),
            (&["--slow-start", "99999999999999999999y"], "write 30s or 250ms"),
            (&["--health-path", "health"], "must start with a slash: /health"),
            (&["--health-path", "/a b"], "must be visible ASCII without '#'"),
            (&["--health-path", "/a\r\nX: y"], "must be visible ASCII without '#'"),
            (&["--health-path", "/a#b"], "must be visible ASCII without '#'"),
            (&["--health-status", "ok"], "write one status or a range, from 100 to 599"),
            (&["--fail-after", "0"], "must be at least 1"),
            (&["--fail-after", "1000000000000"], "must be at most 1000000000"),
            (&["--breaker-failures", "many"], "not a whole number"),
            (&["--recover-after", "0"], "must be at least 1"),
            (&["--breaker-successes", "0"], "must be at least 1"),
            (&["--health-host", "a b"], "must be a host, with a port or without"),
            (&["--health-host", ""], "must be a host, with a port or without"),
            (&["--health-host", "a\r\nX: y"], "must be a host, with a port or without"),
            (&["--health-header", "X-Probe"], "must be a field: \"Name: value\""),
            (&["--health-header", ": 1"], "is not the name of a field"),
            (&["--health-header", "X Y: 1"], "is not the name of a field"),
            (&["--health-header", "X: 1\r\nY: 2"], "must be visible ASCII and spaces"),
            (&["--health-header", "HOST: a"], "HOST is written by the proxy: use --health-host"),
            (&["--health-header", "Content-Length: 3"], "Content-Length is written by the proxy: leave it out"),
            (&["--health-host", "www.example"], "--health-path <PATH>"),
            (&["--health-header", "X: 1"], "--health-path <PATH>"),
        ];
        for (flags, expected) in CASES {
            // `--flag=value`, for values that start with a dash.
            let error = parse(&[&flags.join("=")]).expect_err("must be refused").to_string();
            assert!(error.contains(expected), "{flags:?}: {error}");
        }
    }

    #[test]
    fn flags_that_would_mean_nothing_are_refused() {
        for flag in OF_PROBES.map(|flag| format!("--{}", flag.replace('_', "-"))) {
            let value = match flag.as_str() {
                "--health-path" => "/",
                "--health-status" => "200",
                "--health-host" => "www.example",
                "--health-header" => "X: 1",
                "--fail-after" | "--recover-after" => "1",
                _ => "5s",
            };
            let of_answers = ["--health-status", "--health-host", "--health-header"].contains(&&*flag);
            let with_path: &[&str] = if of_answers { &["--health-path", "/"] } else { &[] };
            let error = parse(&[&["--no-health", &flag, value], with_path].concat()).expect_err("it contradicts");
            assert!(error.to_string().contains("cannot be used with"), "{flag}: {error}");
            assert!(parse(&[&[&*flag, value], with_path].concat()).is_ok(), "{flag}");
        }
        for (flags, because) in [
            ("--breaker-failures 0 --breaker-open 1s", "--breaker-failures 0 turns the breaker off"),
            ("--breaker-failures 0 --breaker-successes 2", "--breaker-failures 0 turns the breaker off"),
            ("--breaker-failures 0 --breaker-keep 0", "--breaker-failures 0 turns the breaker off"),
            ("--no-health --breaker-failures 0 --slow-start 1s", "takes no backend out, so none comes back"),
            ("--health-max-interval 1s", "it is shorter than --health-interval"),
            ("--health-interval 2m --health-max-interval 1m", "it is shorter than --health-interval"),
        ] {
            let error = parse(&flags.split(' ').collect::<Vec<_>>()).expect_err("it means nothing").to_string();
            assert!(error.contains(because), "{flags}: {error}");
        }
        for flags in ["--breaker-failures 0", "--no-health --slow-start 1s", "--health-max-interval 2s"] {
            assert!(parse(&flags.split(' ').collect::<Vec<_>>()).is_ok(), "{flags}");
        }
        let error = parse(&["--health-status", "200"]).expect_err("a connection has no status").to_string();
        assert!(error.contains("--health-path"), "{error}");
    }
}
