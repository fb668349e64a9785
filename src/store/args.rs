//! The flags of the program `store`.

use super::config::{Config, Fsync, Policy};
use crate::{
    cli::{Failure, ListenArgs, secret},
    net::DriverKind,
    units::{Flags, MAX_COUNT, Pointless, at_least_one, size},
};
use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    pub(super) listen: ListenArgs,
    /// How the event loop talks to the kernel: epoll (on macOS: kqueue), io-uring where the system allows it, or auto, which is epoll
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    pub(super) driver: DriverKind,

    /// The directory of the append-only file. Without it, a temporary one that goes with the process
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Keep nothing on the disk
    #[arg(long, conflicts_with = "data")]
    pub(super) in_memory: bool,
    /// When a change has to be on the disk: before its reply, within a second, or when the system likes
    #[arg(long, value_name = "always|everysec|no", default_value = "everysec", hide_possible_values = true)]
    pub(super) appendfsync: Fsync,
    /// A file with the password of the user `default` in its first line
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Listen without a password on an address that other machines reach
    #[arg(long)]
    unprotected: bool,

    /// Memory for keys and values; 0: as much as there is
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size::<usize>, help_heading = "Limits")]
    maxmemory: usize,
    /// Keys that go when it is full: noeviction, or allkeys- or volatile- with lru, lfu or random, or volatile-ttl
    #[arg(long, value_name = "POLICY", default_value = "noeviction", value_parser = policy, help_heading = "Limits")]
    maxmemory_policy: Policy,
    /// Clients at once; one more is told so
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT), help_heading = "Limits")]
    pub(super) max_clients: NonZeroUsize,
}

impl Flags for StoreArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::parse(text).ok_or_else(|| {
        "write noeviction, allkeys-lru, allkeys-lfu, allkeys-random, volatile-lru, volatile-lfu, volatile-random or volatile-ttl".to_owned()
    })
}

impl StoreArgs {
    /// # Errors
    ///
    /// A password that cannot be read, or none where one is needed: a line that says what to do.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let password = match &self.password_file {
            None => String::new(),
            Some(path) => secret("--password-file", path)?,
        };
        if !self.listen.listen.ip().is_loopback() && password.is_empty() && !self.unprotected {
            return Err(Failure::Usage(format!(
                "--listen {} can be reached by other machines: add --password-file FILE, or --unprotected if all of them may read and change everything",
                self.listen.listen
            )));
        }
        Ok(Config {
            max_memory: self.maxmemory,
            policy: self.maxmemory_policy,
            fsync: self.appendfsync,
            password,
            max_clients: self.max_clients.get(),
            append_only: !self.in_memory,
            ..Config::default()
        })
    }
}
