//! Kinds of addresses that clients are not connected to.

/// Why an address is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// "This host", which systems take for the loopback: `0.0.0.0/8`, `::`.
    ThisHost,
    /// The machine itself: `127.0.0.0/8`, `::1`.
    Loopback,
    /// The local network, and a cloud's metadata: `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// A network of its own: `10.0.0.0/8`, `fc00::/7` and such.
    Private,
    /// Many machines at once: `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// No address of a server on the Internet.
    Special,
    /// `--deny`.
    Denied,
}

impl Reserved {
    /// For logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThisHost => "address of this host",
            Self::Loopback => "loopback address",
            Self::LinkLocal => "link-local address",
            Self::Private => "private address",
            Self::Multicast => "multicast address",
            Self::Special => "special address",
            Self::Denied => "denied address",
        }
    }
}
