//! The flags of the program `chat`.

use super::{
    hall::Token,
    limits::Limits,
    name::{RULE, is_name},
    origin::Origin,
    talk::Config,
};
use crate::{
    cli::{Failure, ListenArgs, secret},
    net::DriverKind,
    redis::{Files, Target},
    units::{Flags, MAX_COUNT, MAX_WORKERS, Pointless, at_least_one, nonzero_duration, size},
};
use clap::Args;
use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct ChatArgs {
    #[command(flatten)]
    pub(super) listen: ListenArgs,
    /// How the event loops talk to the kernel: epoll (on macOS: kqueue), io-uring where the system allows it, or auto, which is epoll
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    pub(super) driver: DriverKind,
    /// Event loops, each on a thread [default: one a processor]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_WORKERS))]
    pub(super) workers: Option<NonZeroUsize>,

    /// The directory of accounts and histories. Without it, a temporary one that goes with the process
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The registered name that owns the lobby [default: the first that is registered]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) owner: Option<String>,
    /// Behave as one with all chat servers at this Redis or Valkey (7 or newer), in the form redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with TLS. Without it for a while, each goes on alone
    #[arg(long, value_name = "URL")]
    cluster: Option<Target>,
    /// A file with the password for --cluster in its first line: on a command line, other users of the machine can read it
    #[arg(long, value_name = "FILE", requires = "cluster")]
    cluster_password_file: Option<PathBuf>,
    /// Authorities in PEM, one of which has to have signed the certificate of a cluster with rediss:// [default: those that this system trusts]
    #[arg(long, value_name = "FILE", requires = "cluster")]
    cluster_ca: Option<PathBuf>,
    /// A certificate in PEM, and those that vouch for it, for a cluster with rediss:// that asks for one
    #[arg(long, value_name = "FILE", requires = "cluster_key")]
    cluster_certificate: Option<PathBuf>,
    /// The private key of --cluster-certificate
    #[arg(long, value_name = "FILE", requires = "cluster_certificate")]
    cluster_key: Option<PathBuf>,
    /// A page of another origin that may connect, and a name by which this server is known, in the form https://HOST:PORT; again for more
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<Origin>,

    /// Clients at once; those beyond wait in the backlog
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    pub(super) max_clients: NonZeroUsize,
    /// Rooms at once
    #[arg(long, value_name = "N", default_value = "1000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    max_rooms: NonZeroUsize,
    /// People in one room
    #[arg(long, value_name = "N", default_value = "1000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    max_members: NonZeroUsize,
    /// Bytes of a line, its end not counted
    #[arg(long, value_name = "SIZE", default_value = "4k", value_parser = at_least_64, help_heading = "Limits")]
    max_line: usize,
    /// Bytes that may wait for a client that does not read; one more, and it is told and let go
    #[arg(long, value_name = "SIZE", default_value = "256k", value_parser = at_least_64, help_heading = "Limits")]
    queue: usize,
    /// Lines a second of one client; one that talks faster is read more slowly
    #[arg(long, value_name = "N", default_value = "10", value_parser = at_least_one::<NonZeroU32>(MAX_COUNT), help_heading = "Limits")]
    rate: NonZeroU32,
    /// Lines of one client at once
    #[arg(long, value_name = "N", default_value = "30", value_parser = at_least_one::<NonZeroU32>(MAX_COUNT), help_heading = "Limits")]
    burst: NonZeroU32,
    /// Messages that a room keeps for those who come later
    #[arg(long, value_name = "N", default_value = "200", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    history: NonZeroUsize,
    /// How long the place of a lost connection is kept
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = nonzero_duration, help_heading = "Limits")]
    resume: Duration,
    /// Silence after which a client with lines is sent away
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = nonzero_duration, help_heading = "Limits")]
    idle_timeout: Duration,
}

impl Flags for ChatArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["cluster_ca", "cluster_certificate", "cluster_key"],
        when: |matches| Target::is_plain(matches, "cluster"),
        because: "--cluster begins with redis://, which is without TLS (rediss:// is with it)",
    }];
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(RULE.to_owned()) }
}

/// A line has to hold a command.
fn at_least_64(text: &str) -> Result<usize, String> {
    size(text).and_then(|size: usize| if size >= 64 { Ok(size) } else { Err("must be at least 64".to_owned()) })
}

impl ChatArgs {
    /// The Redis at which servers meet.
    ///
    /// # Errors
    ///
    /// A password or a certificate that cannot be used, or one password too many.
    pub(super) fn cluster(&self) -> Result<Option<Target>, Failure> {
        const FLAG: &str = "--cluster-password-file";
        let Some(target) = self.cluster.clone() else { return Ok(None) };
        let password = match (target.password.clone(), &self.cluster_password_file) {
            (Some(_), Some(_)) => {
                return Err(Failure::Usage(format!("{FLAG}: --cluster has a password already: leave one of them out")));
            }
            (None, Some(file)) => Some(secret(FLAG, file)?),
            (password, None) => password,
        };
        let own = self.cluster_certificate.clone().zip(self.cluster_key.clone());
        let files = Files { flag: "--cluster", ca: self.cluster_ca.clone(), own };
        let target = Target { password, ..target }.with_files(files);
        target.check_files().map_err(Failure::Usage)?.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(Some(target))
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            rooms: self.max_rooms.get(),
            members: self.max_members.get(),
            history: self.history.get(),
            // One place for everyone who is here, and one for everyone who may come back.
            people: self.max_clients.get().saturating_mul(2),
            resume: self.resume,
            ..Limits::default()
        }
    }

    /// Messages of each room that are kept.
    pub(super) fn history(&self) -> usize {
        self.history.get()
    }

    pub(super) fn config(&self) -> Config {
        Config {
            line: self.max_line,
            queue: self.queue,
            rate: self.rate,
            burst: self.burst,
            idle: self.idle_timeout,
            origins: self.origin.clone(),
            token,
        }
    }
}

/// 128 bits of the thread's generator, which the system seeds.
fn token() -> Token {
    Token(format!("{:032x}", rand::random::<u128>()))
}
