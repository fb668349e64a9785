//! The flags of the second level, which only a configuration file gives.

use crate::{
    redis::{Files, Target},
    units::{Flags, Pointless, duration, size},
};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// The largest body that is put into the store, unless a key says otherwise: a longer one keeps others on the same connection waiting.
const MAX_OBJECT: usize = 1 << 20;

/// The largest value that the key may have: replies have a bound.
const MOST: usize = 8 << 20;

/// How long a request waits for the store, unless a key says otherwise: longer than a store in the same network takes, and shorter than most
/// servers.
const TIMEOUT: Duration = Duration::from_millis(50);

/// The second level of the cache.
#[derive(Debug, Clone, Args)]
pub struct SecondLevelArgs {
    /// Ask this Redis or Valkey for responses that are not stored here, before a server is asked, and put there what is stored, in the form redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with TLS
    #[arg(long, value_name = "URL")]
    pub(in crate::proxy) cache_store: Option<Target>,

    /// Authorities in PEM, one of which has to have signed the certificate of a store with rediss:// [default: those that this system trusts]
    #[arg(long, value_name = "FILE", requires = "cache_store")]
    cache_store_ca: Option<PathBuf>,

    /// A certificate in PEM, and those that vouch for it, for a store with rediss:// that asks for one
    #[arg(long, value_name = "FILE", requires = "cache_store_key")]
    cache_store_certificate: Option<PathBuf>,

    /// The private key of --cache-store-certificate
    #[arg(long, value_name = "FILE", requires = "cache_store_certificate")]
    cache_store_key: Option<PathBuf>,

    /// The largest body that is put there, at most 8m [default: 1m]
    #[arg(long, value_name = "SIZE", requires = "cache_store", value_parser = object)]
    pub(in crate::proxy) cache_store_max_object: Option<usize>,

    /// How long a request waits for an answer from there before it asks a server [default: 50ms]
    #[arg(long, value_name = "TIME", requires = "cache_store", value_parser = duration)]
    pub(in crate::proxy) cache_store_timeout: Option<Duration>,
}

fn object(text: &str) -> Result<usize, String> {
    match size::<usize>(text)? {
        object if object > MOST => Err("at most 8m: a longer value keeps all others waiting".to_owned()),
        object => Ok(object),
    }
}

impl Flags for SecondLevelArgs {
    const POINTLESS: &'static [Pointless] = &[
        Pointless {
            flags: &["cache_store", "cache_store_max_object", "cache_store_timeout"],
            when: |matches| matches.get_one("cache_size") == Some(&0_usize),
            because: "--cache-size 0 turns the cache off",
        },
        Pointless {
            flags: &["cache_store_ca", "cache_store_certificate", "cache_store_key"],
            when: |matches| Target::is_plain(matches, "cache_store"),
            because: "--cache-store begins with redis://, which is without TLS (rediss:// is with it)",
        },
    ];
}

/// A store, and what is put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondLevelConfig {
    /// Where.
    pub target: Target,
    /// Bytes of a body.
    pub max_object: usize,
    /// How long a request waits for it.
    pub timeout: Duration,
}

impl SecondLevelArgs {
    /// The flags as values. `None`: there is none.
    pub(in crate::proxy) fn config(&self) -> Option<SecondLevelConfig> {
        let own = self.cache_store_certificate.clone().zip(self.cache_store_key.clone());
        let files = Files { flag: "--cache-store", ca: self.cache_store_ca.clone(), own };
        let target = self.cache_store.clone()?.with_files(files);
        let max_object = self.cache_store_max_object.unwrap_or(MAX_OBJECT);
        Some(SecondLevelConfig { target, max_object, timeout: self.cache_store_timeout.unwrap_or(TIMEOUT) })
    }
}
