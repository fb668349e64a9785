//! The flags that all milestones share, and those of balancing.

use super::{
    backend_spec::{BackendSpec, host_name},
    config::{BODY_RATE, ClientField, Config, Deadlines, Forwarding, OnClientClose},
    network::Network,
};
use crate::{
    cli::{ListenArgs, address},
    health::HealthArgs,
    http::Limits,
    lb::Algorithm,
    net::DriverKind,
    units::{
        Checked, Flags, MAX_COUNT, MAX_WORKERS, Pointless, at_least_one, duration, nonzero_duration, number, size,
    },
};
use clap::{Args, ValueEnum};
use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

/// A switch that is written out, so that a default of "on" can be turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// Flags of every milestone.
#[derive(Debug, Clone, Args)]
pub struct ProxyArgs {
    #[command(flatten)]
    pub(super) listen: ListenArgs,

    /// A server to forward to; may be given several times from milestone2 on. Without any, the proxy starts demo backends
    ///
    /// With https:// before it (from milestone5 on), it is spoken to over TLS, on port 443 if none is given. Its certificate has to be
    /// for HOST, or for another host that is given with name=.
    #[arg(long, value_name = "HOST:PORT[,weight=N,max=N]")]
    pub(super) backend: Vec<BackendSpec>,

    /// Threads, each with its own event loop [default: one per core]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_WORKERS))]
    pub(super) workers: Option<NonZeroUsize>,

    /// How the event loops talk to the kernel
    ///
    /// "epoll": the kernel says which connections are ready, and the program reads and writes (on macOS: kqueue). "io-uring":
    /// the kernel reads and writes, and says when it has done so; Linux from 6.0 on, where no container forbids it. "auto":
    /// epoll, until io_uring is known to be better under every load. A line of the log says which one runs, and why.
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    pub(super) driver: DriverKind,

    /// Where to answer /healthz and /stats, for example 127.0.0.1:9090 [default: nowhere]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(super) admin: Option<SocketAddr>,

    /// Allow --admin on an address that others can reach
    #[arg(long, requires = "admin")]
    pub(super) admin_public: bool,

    /// A name under which --admin is asked, beside its addresses and localhost; may be given several times
    #[arg(long, value_name = "NAME", requires = "admin", value_parser = host_name)]
    pub(super) admin_host: Vec<String>,

    /// One log line per request on stderr
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(super) access_log: Switch,

    /// Client connections at once, per worker; for more, the longest idle ones are closed [default: as many as there are
    /// descriptors for]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT))]
    pub(super) max_connections: Option<NonZeroUsize>,

    /// The meaning of a client's end of its side of the connection, while its request waits or runs
    ///
    /// "finish": the client sends nothing more, and is served. While its request waits, it is asked whether it still listens (by
    /// an interim response 100); if it does not, its request is given up. "cancel": the client has gone. Its request is
    /// given up, and so is a running one if its method is safe.
    #[arg(long, value_name = "finish|cancel", default_value = "finish", hide_possible_values = true)]
    on_client_close: OnClientClose,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    deadlines: DeadlineArgs,

    #[command(flatten)]
    forwarding: ForwardingArgs,
}

/// Limits on what a client may send. Sizes are written 512, 16k, 10m.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// A longer request head is answered with 431
    #[arg(long, value_name = "SIZE", default_value = "16k", value_parser = head_size)]
    max_head: usize,
    /// A longer request line is answered with 414
    #[arg(long, value_name = "SIZE", default_value = "8k", value_parser = head_size)]
    max_request_line: usize,
    /// More header fields are answered with 431
    #[arg(long, value_name = "N", default_value = "100", value_parser = number::<u16>(1..=1000))]
    max_fields: u16,
    /// A longer request body is answered with 413 [default: any length, streamed]
    #[arg(long, value_name = "SIZE", value_parser = size::<u64>)]
    max_body: Option<u64>,
    /// Bytes of a request body per second, at least, while others wait for the connection that it goes to; 0: any (408)
    ///
    /// A body that stands still keeps a connection to a backend from all other clients. While no request waits for one,
    /// only --body-timeout counts.
    #[arg(long, value_name = "SIZE", default_value_t = BODY_RATE, value_parser = size::<u64>)]
    body_rate: u64,
    /// Requests on one client connection before it is closed; 0: any number
    #[arg(long, value_name = "N", default_value = "0", value_parser = number::<u32>(0..=MAX_COUNT))]
    keep_alive_requests: u32,
}

/// How long things may take. Durations are written 250ms, 30s, 5m.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Deadlines")]
struct DeadlineArgs {
    /// For a request head, from its first byte (408)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    head_timeout: Duration,
    /// Between two parts of a request body (408)
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = nonzero_duration)]
    body_timeout: Duration,
    /// Between two requests on a client connection
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = nonzero_duration)]
    idle_timeout: Duration,
    /// For a connection to a backend (504)
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = nonzero_duration)]
    connect_timeout: Duration,
    /// From the request to the response head (504)
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = nonzero_duration)]
    first_byte_timeout: Duration,
    /// Between two parts of a response body
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = nonzero_duration)]
    response_timeout: Duration,
    /// For a peer to read something of what waits for it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = nonzero_duration)]
    write_timeout: Duration,
    /// For a silent WebSocket or other tunnel
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = nonzero_duration)]
    tunnel_timeout: Duration,
    /// For a whole exchange (504), or up to its 101 if it becomes a tunnel; 0s: no limit
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    request_timeout: Duration,
    /// After SIGTERM, for one more request on an idle client connection; at most half of --drain-timeout
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    drain_grace: Duration,
}

/// The fields that tell backends about clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Forwarding")]
struct ForwardingArgs {
    /// Proxies in front of this one, whose X-Forwarded-* and similar fields are believed and extended; those of all others
    /// are removed
    #[arg(long, value_name = "NETWORK")]
    trusted_proxy: Vec<Network>,
    /// Where these proxies name the client: for the log, for ip-hash, for limits
    #[arg(long, value_name = "FIELD", default_value = "x-forwarded-for", requires = "trusted_proxy")]
    client_from: ClientField,
    /// Also send Forwarded (RFC 7239)
    #[arg(long)]
    forwarded: bool,
}

/// Flags of milestone 2: which backend, whether it lives, whether to try another.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Balancing")]
pub struct BalanceArgs {
    /// How a backend is chosen [default: round-robin, or weighted-round-robin if a backend has a weight]
    #[arg(long, value_name = "NAME")]
    pub(super) algorithm: Option<Algorithm>,
    /// How often a request that reached no backend, or is idempotent, is sent again
    #[arg(long, value_name = "N", default_value = "2", value_parser = number::<u32>(0..=10))]
    pub(super) retries: u32,
    /// How long to wait before the second try; doubled for each further one, with jitter
    #[arg(long, value_name = "TIME", default_value = "25ms", value_parser = duration)]
    pub(super) retry_backoff: Duration,
    #[command(flatten)]
    pub(super) health: Checked<HealthArgs>,
}

impl Flags for BalanceArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["retry_backoff"],
        when: |matches| matches.get_one("retries") == Some(&0_u32),
        because: "--retries 0 sends nothing again",
    }];
}

impl Flags for ProxyArgs {
    const POINTLESS: &'static [Pointless] = &[
        Pointless {
            flags: &["body_timeout", "body_rate"],
            when: |matches| matches.get_one("max_body") == Some(&0_u64),
            because: "--max-body 0 refuses every request body",
        },
        Pointless {
            flags: &["drain_grace"],
            when: |matches| matches.get_one("drain_timeout") == Some(&Duration::ZERO),
            because: "--drain-timeout 0s ends everything at once",
        },
    ];
}

impl ProxyArgs {
    /// The flags as values.
    pub(crate) fn config(&self) -> Config {
        let DeadlineArgs { head_timeout, body_timeout, idle_timeout, connect_timeout, .. } = self.deadlines;
        let DeadlineArgs { first_byte_timeout, response_timeout, write_timeout, tunnel_timeout, .. } = self.deadlines;
        let default = Config::default();
        Config {
            limits: Limits {
                head: self.limits.max_head,
                request_line: self.limits.max_request_line,
                fields: usize::from(self.limits.max_fields),
                body: self.limits.max_body.unwrap_or(Limits::BODY).min(Limits::BODY),
                ..Limits::default()
            },
            deadlines: Deadlines {
                head: head_timeout,
                body: body_timeout,
                idle: idle_timeout,
                connect: connect_timeout,
                first_byte: first_byte_timeout,
                response: response_timeout,
                write: write_timeout,
                tunnel: tunnel_timeout,
                exchange: Some(self.deadlines.request_timeout).filter(|limit| !limit.is_zero()),
                queue: default.deadlines.queue,
            },
            forwarding: Forwarding {
                trusted: self.forwarding.trusted_proxy.clone(),
                client_from: self.forwarding.client_from,
                forwarded: self.forwarding.forwarded,
                ..default.forwarding
            },
            keep_alive_requests: self.limits.keep_alive_requests,
            // The other half is for the answer.
            drain_grace: self.deadlines.drain_grace.min(self.listen.drain_timeout / 2),
            body_rate: self.limits.body_rate,
            on_client_close: self.on_client_close,
            access_log: self.access_log == Switch::On,
            measures: self.admin.is_some(),
            admin_hosts: self.admin_host.clone(),
            store: None,
            second_level: None,
            ..default
        }
    }
}

/// A head is kept in memory and its parts are numbered with 16 bits.
fn head_size(text: &str) -> Result<usize, String> {
    let bytes: usize = size(text)?;
    match bytes {
        ..64 => Err("must be at least 64".to_owned()),
        64..=65_535 => Ok(bytes),
        _ => Err("must be at most 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        _proxy: Checked<ProxyArgs>,
        #[command(flatten)]
        _balance: Checked<BalanceArgs>,
    }

    #[test]
    fn flags_that_would_mean_nothing_are_refused() {
        let parse = |line: &str| Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace()));
        for (line, because) in [
            ("--retries 0 --retry-backoff 1s", "--retries 0 sends nothing again"),
            ("--max-body 0 --body-timeout 1s", "--max-body 0 refuses every request body"),
            ("--max-body 0k --body-rate 1k", "--max-body 0 refuses every request body"),
            ("--drain-timeout 0s --drain-grace 1s", "--drain-timeout 0s ends everything at once"),
            // Of the flags inside, too.
            ("--breaker-failures 0 --breaker-keep 2", "--breaker-failures 0 turns the breaker off"),
        ] {
            let error = parse(line).expect_err("it means nothing").to_string();
            assert!(error.contains(because), "{line}: {error}");
        }
        for line in ["--retries 0", "--max-body 0", "--drain-timeout 0s", "--retries 1 --retry-backoff 0s"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }
}
