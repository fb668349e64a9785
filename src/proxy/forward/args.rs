//! The flags of a forward proxy.

use super::{
    Guard, Ports, Rules, Users,
    places::{NameRules, Pattern, Place},
};
use crate::{
    proxy::network::Network,
    units::{Flags, Pointless, number},
};
use clap::Args;
use std::sync::Arc;

/// Where clients may go, and which clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Servers that clients may name")]
pub struct ForwardArgs {
    /// Servers to which clients are connected although their addresses are this machine's own or private: 127.0.0.1, 10.0.0.0/8,
    /// www.example.com, *.example.com; may be given several times
    ///
    /// Without it, none of these is in bounds: loopback, link-local, private, multicast and other special-purpose addresses,
    /// however they are written, and whichever name leads there. Of all networks that an address is in, the smallest decides, and of
    /// all patterns that fit a name, the longest. A name that is allowed may lead to any address that no --deny has.
    #[arg(long, value_name = "NETWORK|NAME")]
    pub allow: Vec<Place>,

    /// Servers to which clients are not connected; may be given several times. With "*", only to those that --allow names
    #[arg(long, value_name = "NETWORK|NAME")]
    pub deny: Vec<Place>,

    /// Serve only users that this file names (Proxy-Authorization: Basic; 407 for others)
    ///
    /// A line for each: NAME:DIGEST, where DIGEST is what `printf %s NAME:PASSWORD | sha256sum` prints. Passwords have to be random:
    /// `openssl rand -base64 18`. Without TLS, those on the way can read them. SIGHUP has the file read again.
    #[arg(long, value_name = "FILE", value_parser = |path: &str| Users::load(path).map(Arc::new))]
    pub users: Option<Arc<Users>>,

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
    /// Let only machines that you trust reach it, by a firewall or by the address it listens on; or give it --users.
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
        let (allow, allow_names) = parted(&self.allow);
        let (deny, deny_names) = parted(&self.deny);
        Rules {
            guard: Guard { allow, deny, names: NameRules { allow: allow_names, deny: deny_names } },
            ports: Ports { connect: self.connect_port.clone(), http: self.http_port.clone() },
            users: self.users.clone(),
        }
    }
}

/// The networks among these places, and the names.
fn parted(places: &[Place]) -> (Vec<Network>, Vec<Pattern>) {
    let (mut networks, mut names) = (Vec::new(), Vec::new());
    for place in places {
        match place {
            Place::Network(network) => networks.push(*network),
            Place::Name(pattern) => names.push(pattern.clone()),
        }
    }
    (networks, names)
}
