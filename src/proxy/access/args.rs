//! The flag of the store that proxies share, which only a configuration file gives.

use crate::{
    redis::Target,
    units::{Flags, Pointless},
};
use clap::Args;

/// The store that proxies share.
#[derive(Debug, Clone, Args)]
pub struct SharingArgs {
    /// Count for rate limits together with other proxies, in this Redis or Valkey, in the form redis://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub(in crate::proxy) store: Option<Target>,
}

impl Flags for SharingArgs {
    const POINTLESS: &'static [Pointless] = &[];
}
