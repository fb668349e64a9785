//! The flags of the program `broker`.

use super::{
    app::{Bridge, Config},
    bridge::{Place, Rule, Rules, Target},
    limits::{Limits, WhenFull},
    secured::TlsArgs,
    users::Users,
};
use crate::{
    cli::{Failure, ListenArgs, secret},
    disk::Sync,
    net::DriverKind,
    units::{Flags, MAX_COUNT, Pointless, at_least_one, duration, nonzero_duration, number, size},
};
use clap::Args;
use std::{
    num::{NonZeroU16, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("listen", |arg| arg.default_value("127.0.0.1:1883")))]
pub struct BrokerArgs {
    #[command(flatten)]
    pub(super) listen: ListenArgs,
    /// How the event loop talks to the kernel: epoll (on macOS: kqueue), io-uring where the system allows it, or auto, which is epoll
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    pub(super) driver: DriverKind,

    /// The directory of sessions and messages. Without it, a temporary one that goes with the process
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// When the disk is told to keep what was written: always (before it is acknowledged), 1s (once a second: a machine that crashes loses
    /// the last one) or never (when the system wants to). A broker that crashes loses nothing with any of them
    #[arg(long, value_name = "always|1s|never", default_value = "always", hide_possible_values = true)]
    pub(super) sync: Sync,
    /// The file of users, their passwords and their topics. Without it, everybody may connect, and publish and subscribe to everything
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Read a password from standard input, print its hash for the file of users, and end
    #[arg(long)]
    pub(super) hash_password: bool,
    /// How often the broker's numbers are published under $SYS/broker; 0s: never
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    metrics: Duration,

    #[command(flatten)]
    pub(super) tls: TlsArgs,
    #[command(flatten)]
    pub(super) bridge: BridgeArgs,

    /// Clients at once; those beyond wait in the backlog
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    pub(super) max_clients: NonZeroUsize,
    /// Sessions, those without a connection included
    #[arg(long, value_name = "N", default_value = "100000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    max_sessions: NonZeroUsize,
    /// Bytes of a packet from a client
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = packet_size, help_heading = "Limits")]
    max_packet: usize,
    /// Messages of QoS 1 and 2 that may be on their way to a client or from it
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least_one::<NonZeroU16>(65_535), help_heading = "Limits")]
    max_inflight: NonZeroU16,
    /// Messages that may wait for one session
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    max_queue: NonZeroUsize,
    /// Bytes of messages that may wait for one session
    #[arg(long, value_name = "SIZE", default_value = "16m", value_parser = size::<usize>, help_heading = "Limits")]
    max_queue_size: usize,
    /// Bytes of changes that may wait for the disk. Beyond, no client is heard until it has written some
    #[arg(long, value_name = "SIZE", default_value = "16m", value_parser = size::<usize>, help_heading = "Limits")]
    max_unwritten: usize,
    /// The message that goes when a queue is full: drop-new (the one that comes) or drop-old (the one that has waited the longest)
    #[arg(
        long,
        value_name = "drop-new|drop-old",
        default_value = "drop-new",
        hide_possible_values = true,
        help_heading = "Limits"
    )]
    when_full: WhenFull,
    /// Subscriptions of one session
    #[arg(long, value_name = "N", default_value = "1000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    max_subscriptions: NonZeroUsize,
    /// Retained messages
    #[arg(long, value_name = "N", default_value = "100000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    max_retained: NonZeroUsize,
    /// Bytes of retained messages
    #[arg(long, value_name = "SIZE", default_value = "256m", value_parser = size::<usize>, help_heading = "Limits")]
    max_retained_size: usize,
    /// How long a session outlives its connection at most, in seconds; 4294967295: for ever, if its client wants that
    #[arg(long, value_name = "N", default_value = "4294967295", value_parser = number::<u32>(0..=u64::from(u32::MAX)), help_heading = "Limits")]
    max_session_expiry: u32,
    /// The longest keep-alive, in seconds, to which clients are told to shorten theirs (MQTT 5); 0: as they want
    #[arg(long, value_name = "N", default_value = "0", value_parser = number::<u16>(0..=65_535), help_heading = "Limits")]
    max_keep_alive: u16,
    /// How long a client may take to say who it is
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration, help_heading = "Limits")]
    connect_timeout: Duration,
}

/// The flags of a bridge.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bridge")]
pub(super) struct BridgeArgs {
    /// Another broker (MQTT 5) to which topics are passed on, or from which they come: mqtt://[USER:PASSWORD@]HOST[:PORT]
    #[arg(long = "bridge", value_name = "URL", requires = "topics")]
    place: Option<Place>,
    /// A file with the password for --bridge in its first line: on a command line, other users of the machine can read it
    #[arg(long = "bridge-password-file", value_name = "FILE", requires = "place")]
    password_file: Option<PathBuf>,
    /// Topics that cross the bridge, as in mosquitto.conf: PATTERN [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]; "" is an empty prefix.
    /// May be given several times
    #[arg(long = "bridge-topic", value_name = "TOPIC", requires = "place")]
    topics: Vec<Rule>,
    /// The name of this broker at the other one, different from all others there. Without it, the machine's name and the port
    #[arg(long = "bridge-id", value_name = "NAME", requires = "place")]
    id: Option<String>,
}

impl BridgeArgs {
    /// The bridge, if there is to be one. Looks up the other broker's name, which blocks.
    pub(super) fn bridge(&self, port: u16) -> Result<Option<Bridge>, Failure> {
        let Some(place) = &self.place else { return Ok(None) };
        let host = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let id = self.id.clone().unwrap_or_else(|| format!("{}-{port}", host()));
        let rules = Arc::new(Rules::new(&id, self.topics.clone()));
        let mut target = place.resolve()?;
        if let Some(file) = &self.password_file {
            target.password = Some(password(&target, file)?.into_bytes());
        }
        Ok(Some(Bridge::new(target, rules, rand::random::<f64>)))
    }
}

/// The password in a file, for a bridge whose address has a user and no password.
fn password(target: &Target, file: &Path) -> Result<String, Failure> {
    const FLAG: &str = "--bridge-password-file";
    match (&target.user_name, &target.password) {
        (None, _) => Err(Failure::Usage(format!("{FLAG}: whose password is it? Write --bridge mqtt://USER@HOST"))),
        (_, Some(_)) => Err(Failure::Usage(format!("{FLAG}: --bridge has a password already: leave one of them out"))),
        _ => secret(FLAG, file),
    }
}

impl Flags for BrokerArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

/// A CONNECT and a PUBLISH have to have room.
fn packet_size(text: &str) -> Result<usize, String> {
    const LEAST: usize = 128;
    const MOST: usize = 256 * 1024 * 1024;
    match size(text)? {
        size if size < LEAST => Err(format!("must be at least {LEAST}")),
        size if size > MOST => Err("must be at most 256m, the longest packet that there is".to_owned()),
        size => Ok(size),
    }
}

impl BrokerArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            packet: self.max_packet,
            inflight: self.max_inflight.get(),
            queue: self.max_queue.get(),
            queue_bytes: self.max_queue_size,
            unwritten: self.max_unwritten,
            when_full: self.when_full,
            subscriptions: self.max_subscriptions.get(),
            sessions: self.max_sessions.get(),
            retained: self.max_retained.get(),
            retained_bytes: self.max_retained_size,
            session_expiry: self.max_session_expiry,
            keep_alive: self.max_keep_alive,
        }
    }

    pub(super) fn config(&self) -> Result<Config, Failure> {
        let users = match &self.users {
            None => Users::All,
            Some(path) => Users::read(path).map_err(Failure::Usage)?,
        };
        Ok(Config { connect: self.connect_timeout, metrics: self.metrics, users: Arc::new(users), identifier })
    }
}

/// 128 bits of the thread's generator, which the system seeds.
fn identifier() -> String {
    format!("auto-{:032x}", rand::random::<u128>())
}
