//! The flags of the program `gateway`.

use crate::{
    cli::ListenArgs,
    client::{self, HeartbeatConfig, Names, Policy},
    net::{DriverKind, address::HostPort},
    resilience::BreakerConfig,
    units::{Flags, MAX_COUNT, MAX_THREADS, Pointless, at_least_one, duration, nonzero_duration, number},
};
use clap::Args;
use std::{num::NonZeroUsize, time::Duration};

/// Tries to connect before all that wait are told that there is no server. A client of HTTP is there now; the next request tries again.
const RECONNECTS: u32 = 2;

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    pub(super) listen: ListenArgs,
    /// The command server. Without it, the gateway starts one of its own
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) backend: Option<HostPort>,
    /// How the event loop talks to the kernel: epoll (on macOS: kqueue), io-uring where the system allows it, or auto, which is epoll
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    pub(super) driver: DriverKind,

    /// Connections to the command server; commands take turns on them
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one::<NonZeroUsize>(MAX_THREADS), help_heading = "Command server")]
    pub(super) connections: NonZeroUsize,
    /// Commands on each of them that wait for their answers. One client has 64 at most: some with slow commands leave room for others
    #[arg(long, value_name = "N", default_value = "1024", value_parser = at_least_one::<NonZeroUsize>(32_768), help_heading = "Command server")]
    in_flight: NonZeroUsize,
    /// Commands for each of them that may wait to be sent; those beyond are answered with 503
    #[arg(long, value_name = "N", default_value = "4096", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Command server")]
    queue: NonZeroUsize,
    /// How long one try to connect may take
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = nonzero_duration, help_heading = "Command server")]
    connect_timeout: Duration,

    /// The time that a command has for all its tries together; then its client is answered with 504
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration, help_heading = "Trying again")]
    deadline: Duration,
    /// How often a command may be sent; one that is not idempotent is sent once
    #[arg(long, value_name = "N", default_value = "3", value_parser = number::<u32>(1..=MAX_COUNT), help_heading = "Trying again")]
    tries: u32,
    /// Commands that may be executed twice, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        default_value = "PING,ECHO,TIME,STATS,HELP,HEARTBEAT,DELAY",
        help_heading = "Trying again"
    )]
    idempotent: Names,
    /// After so many failures in a row, ask nothing for a while: answer with 503 at once [default: never]
    #[arg(long, value_name = "N", value_parser = number::<u32>(1..=MAX_COUNT), help_heading = "Trying again")]
    breaker: Option<u32>,
    /// How long the breaker stays open before it lets a command through
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, requires = "breaker", help_heading = "Trying again")]
    breaker_open: Duration,
}

impl Flags for GatewayArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["idempotent"],
        when: |matches| matches.get_one("tries") == Some(&1_u32),
        because: "--tries 1 sends no command again",
    }];
}

impl GatewayArgs {
    /// For the sessions of HTTP clients.
    pub(super) fn config(&self) -> super::Config {
        super::Config { idempotent: self.idempotent.clone(), ..super::Config::default() }
    }

    /// For each connection to the command server.
    pub(super) fn client_config(&self) -> client::Config {
        let breaker = |failures| BreakerConfig { failures, open_for: self.breaker_open, successes: 1, trials: 1 };
        client::Config {
            reconnects: RECONNECTS,
            connect_timeout: self.connect_timeout,
            policy: Policy { deadline: self.deadline, tries: self.tries },
            heartbeat: Some(HeartbeatConfig::default()),
            breaker: self.breaker.map(breaker),
            in_flight: self.in_flight.get(),
            queue: self.queue.get(),
            ..client::Config::default()
        }
    }
}
