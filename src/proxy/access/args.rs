//! The flag of the store that proxies share, which only a configuration file gives.

use crate::{
    redis::{Files, Target},
    units::{Flags, Pointless},
};
use clap::Args;
use std::path::PathBuf;

/// The store that proxies share.
#[derive(Debug, Clone, Args)]
pub struct SharingArgs {
    /// Count for rate limits together with other proxies, in this Redis or Valkey, in the form redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with TLS
    #[arg(long, value_name = "URL")]
    store: Option<Target>,

    /// Authorities in PEM, one of which has to have signed the certificate of a store with rediss:// [default: those that this system trusts]
    #[arg(long, value_name = "FILE", requires = "store")]
    store_ca: Option<PathBuf>,

    /// A certificate in PEM, and those that vouch for it, for a store with rediss:// that asks for one
    #[arg(long, value_name = "FILE", requires = "store_key")]
    store_certificate: Option<PathBuf>,

    /// The private key of --store-certificate
    #[arg(long, value_name = "FILE", requires = "store_certificate")]
    store_key: Option<PathBuf>,
}

impl Flags for SharingArgs {
    const POINTLESS: &'static [Pointless] = &[Pointless {
        flags: &["store_ca", "store_certificate", "store_key"],
        when: |matches| Target::is_plain(matches, "store"),
        because: "--store begins with redis://, which is without TLS (rediss:// is with it)",
    }];
}

impl SharingArgs {
    /// The store. `None`: this proxy counts alone.
    pub(in crate::proxy) fn target(&self) -> Option<Target> {
        let own = self.store_certificate.clone().zip(self.store_key.clone());
        let files = Files { flag: "--store", ca: self.store_ca.clone(), own };
        Some(self.store.clone()?.with_files(files))
    }
}
