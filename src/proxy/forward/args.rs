//! The flags of a forward proxy.

use super::{Guard, Ports, Rules};
use crate::{
    proxy::network::Network,
    units::{Flags, Pointless, number},
};
use clap::Args;

/// Where clients may go, and which clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Servers that clients may name")]
pub struct ForwardArgs {
    /// Addresses to which clients are connected although they are this machine's own or private: 127.0.0.1, 10.0.0.0/8; may be
    /// given several times
    ///
    /// Without it, none of these is in bounds: loopback, link-local, private, multicast and other special-purpose addresses,
    /// however they are written, and whichever name leads there. Of all networks that an address is in, the smallest decides.
    #[arg(long, value_name = "NETWORK")]
    pub allow: Vec<Network>,

    /// Addresses to which clients are not connected; may be given several times
    #[arg(long, value_name = "NETWORK")]
    pub deny: Vec<Network>,

    /// A port to which tunnels (CONNECT) may lead; may be given several times
    #[arg(long, value_name = "PORT", default_value = "443", value_parser = number::<u16>(1..=65_535))]
    pub connect_port: Vec<u16>,

    /// A port below 1024, beside 80, on which plain HTTP may be spoken; may be given several times
    #[arg(long, value_name = "PORT", value_parser = number::<u16>(1..=1023))]
    pub http_port: Vec<u16>,

    /// Servers with which connections for plain HTTP may be open at once (503)
    #[arg(long, value_name = "N", default_value = "1024", value_parser = number::<u16>(1..=65_534))]
    pub origins: u16,

    /// Serve all clients that reach it: for a --listen that is not on loopback
    ///
    /// There are no accounts. Let only machines that you trust reach it, by a firewall or by the address it listens on.
    #[arg(long)]
    pub public: bool,
}

impl Flags for ForwardArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl ForwardArgs {
    /// The flags as rules.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            guard: Guard { allow: self.allow.clone(), deny: self.deny.clone() },
            ports: Ports { connect: self.connect_port.clone(), http: self.http_port.clone() },
        }
    }
}
