//! The key of an upstream whose servers are told, which only a configuration file gives.

use super::ProxyProtocol;
use crate::units::{Flags, Pointless};
use clap::Args;

/// Servers that are told whose connection it is.
#[derive(Debug, Clone, Default, Args)]
pub struct AnnounceArgs {
    /// Say to servers with the PROXY protocol whose connection it is: v1 or v2. Each request has a connection of its own then
    #[arg(long, value_name = "v1|v2", hide_possible_values = true)]
    proxy_protocol: Option<ProxyProtocol>,
}

impl Flags for AnnounceArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl AnnounceArgs {
    /// The version, if they are told.
    #[must_use]
    pub fn version(&self) -> Option<ProxyProtocol> {
        self.proxy_protocol
    }
}
