//! The flags of the program `file-server`.

use super::{Config, DiskConfig, Rule};
use crate::{
    cli::ListenArgs,
    http::Limits,
    net::DriverKind,
    units::{
        Flags, MAX_COUNT, MAX_THREADS, MAX_WORKERS, Pointless, at_least_one, duration, nonzero_duration, number, size,
    },
};
use clap::{ArgAction, Args};
use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct FileArgs {
    /// The directory whose files are served
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) directory: PathBuf,

    #[command(flatten)]
    pub(super) listen: ListenArgs,
    /// Threads, each with its own event loop [default: one per core]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_WORKERS))]
    pub(super) workers: Option<NonZeroUsize>,
    /// How the event loops talk to the kernel: epoll (on macOS: kqueue), io-uring where the system allows it, or auto, which is epoll
    #[arg(long, value_name = "auto|epoll|io-uring", default_value = "auto", hide_possible_values = true)]
    pub(super) driver: DriverKind,
    /// Connections at once, per worker; more wait until one is closed [default: as many as there are descriptors for]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_COUNT))]
    pub(super) max_connections: Option<NonZeroUsize>,
    /// One log line per request on stderr
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = on_or_off, action = ArgAction::Set)]
    access_log: bool,

    /// Show no directory: without an index.html, it is answered with 404
    #[arg(long, help_heading = "Files")]
    no_listing: bool,
    /// Cache-Control for paths like PATTERN, in which * stands for any characters; may be given several times, and the first that matches
    /// counts
    #[arg(long, value_name = "PATTERN=VALUE", help_heading = "Files")]
    cache_control: Vec<Rule>,
    /// Text of at most this length is compressed (gzip) for clients that accept it; 0: none is
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = size::<u32>, help_heading = "Files")]
    compress_max: u32,
    /// How long a file that was found is sent without asking the file system again; 0s: it is asked for each request
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration, help_heading = "Files")]
    pub(super) keep: Duration,
    /// Threads that ask the file system
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_least_one::<NonZeroUsize>(MAX_THREADS), help_heading = "Files")]
    pub(super) disk_threads: NonZeroUsize,

    /// A longer request head is answered with 431
    #[arg(long, value_name = "SIZE", default_value = "16k", value_parser = head_size, help_heading = "Limits")]
    max_head: usize,
    /// A longer request line is answered with 414
    #[arg(long, value_name = "SIZE", default_value = "8k", value_parser = head_size, help_heading = "Limits")]
    max_request_line: usize,
    /// More header fields are answered with 431
    #[arg(long, value_name = "N", default_value = "100", value_parser = number::<u16>(1..=1000), help_heading = "Limits")]
    max_fields: u16,

    /// For a request head, from its first byte (408)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration, help_heading = "Deadlines")]
    head_timeout: Duration,
    /// Between two requests, and for a client to take something of what waits for it
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = nonzero_duration, help_heading = "Deadlines")]
    idle_timeout: Duration,
    /// For the file system to answer (503)
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = nonzero_duration, help_heading = "Deadlines")]
    disk_timeout: Duration,
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".to_owned()),
    }
}

/// A head is kept in memory and its parts are numbered with 16 bits.
fn head_size(text: &str) -> Result<usize, String> {
    match size(text)? {
        ..64 => Err("must be at least 64".to_owned()),
        bytes @ 64..=65_535 => Ok(bytes),
        _ => Err("must be at most 65535".to_owned()),
    }
}

impl Flags for FileArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl FileArgs {
    /// For the sessions.
    pub(super) fn config(&self) -> Config {
        let plain = Config::default();
        Config {
            limits: Limits {
                head: self.max_head,
                request_line: self.max_request_line,
                fields: self.max_fields.into(),
                ..plain.limits
            },
            idle: self.idle_timeout,
            head: self.head_timeout,
            disk: self.disk_timeout,
            listing: !self.no_listing,
            access_log: self.access_log,
            boundary: rand::random,
        }
    }

    /// For the threads that ask the file system.
    pub(super) fn disk(&self) -> DiskConfig {
        DiskConfig {
            threads: self.disk_threads.get(),
            rules: self.cache_control.clone(),
            pack: self.compress_max.into(),
            keep: self.keep,
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
        files: Checked<FileArgs>,
    }

    fn parse(line: &str) -> Result<FileArgs, clap::Error> {
        Cli::try_parse_from(["test"].into_iter().chain(line.split_whitespace())).map(|cli| cli.files.0)
    }

    #[test]
    fn each_flag_sets_its_value() {
        let plain = parse("").unwrap();
        assert_eq!((plain.directory.to_str(), plain.keep), (Some("."), Duration::from_secs(1)));
        let (config, disk) = (plain.config(), plain.disk());
        assert!(config.listing && config.access_log && disk.rules.is_empty());
        assert_eq!(
            (config.idle, config.disk, disk.threads, disk.pack),
            (Duration::from_secs(60), Duration::from_secs(30), 8, 1 << 20)
        );
        let line = "docs --no-listing --access-log off --keep 0s --compress-max 0 --disk-threads 3 --disk-timeout 2s --max-head 64 \
                    --max-request-line 65535 --max-fields 9 --head-timeout 1s --idle-timeout 3s --cache-control *.css=no-store";
        let given = parse(line).unwrap();
        let (config, disk) = (given.config(), given.disk());
        assert_eq!(
            (given.directory.to_str(), given.keep, config.listing, config.access_log),
            (Some("docs"), Duration::ZERO, false, false)
        );
        assert_eq!((config.limits.head, config.limits.request_line, config.limits.fields), (64, 65_535, 9));
        assert_eq!((config.head.as_secs(), config.idle.as_secs(), config.disk.as_secs()), (1, 3, 2));
        assert_eq!((disk.threads, disk.pack, disk.rules.len()), (3, 0, 1));
        for wrong in [
            "a b",
            "--max-head 63",
            "--max-head 65536",
            "--access-log yes",
            "--disk-threads 0",
            "--cache-control css=x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
