//! What is asked of a pool's owner, and what the owner holds meanwhile.

use super::{CloseReason, queue::Place};
use crate::backend::BackendId;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Whose request it is: connections are shared out among clients, not among their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client(u128);

impl Client {
    /// This process: where all requests are its own.
    pub const OURSELVES: Self = Self(0);
}

#[cfg(test)]
impl Client {
    pub(super) const fn numbered(number: u128) -> Self {
        Self(number)
    }
}

impl From<IpAddr> for Client {
    /// An IPv4 address is a client, and so is an IPv6 network of 64 bits: a single host may use all addresses of one.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u128::from(v4.to_ipv6_mapped())),
            IpAddr::V6(v6) => Self(u128::from(v6) >> 64 << 64),
        }
    }
}

/// The answer to [`Pool::checkout`](super::Pool::checkout).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it holds a slot, or a connection to close"]
pub enum Checkout<C> {
    /// Use this connection. It may have died meanwhile: probe it, and be ready to send the request again.
    Reuse {
        /// The connection used last of those that idled.
        conn: C,
        /// How long it idled: the longer, the likelier that it is dead.
        idle_for: Duration,
        /// To be returned.
        lease: Lease,
    },
    /// Open a connection.
    Open(Lease),
    /// Close this one, it idled or lived too long; then check out again.
    Evict {
        /// Forgotten by the pool.
        conn: C,
        /// What it outlived.
        reason: CloseReason,
    },
    /// The backend is at its cap. If all are: [`Pool::wait`](super::Pool::wait).
    Full,
}

/// The answer to [`Pool::checkin`](super::Pool::checkin).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a connection that is not kept has to be closed"]
pub enum Checkin {
    /// It idles until it is checked out, or until its deadline: then
    /// [`Pool::forget`](super::Pool::forget) it and close it. `None`: it may idle for ever.
    Kept {
        /// When it will have idled or lived too long.
        until: Option<Instant>,
    },
    /// Close it. The pool has forgotten it.
    Close(CloseReason),
}

/// A busy connection's slot and history. Returned exactly once, so it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is not returned by checkin() or ended() leaves its slot taken for ever"]
pub struct Lease {
    pub(super) backend: BackendId,
    pub(super) served: u32,
    pub(super) opened: Instant,
}

impl Lease {
    /// Whom the connection leads to.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// How many requests it has served before this one. 0: it is new.
    #[must_use]
    pub fn served(&self) -> u32 {
        self.served
    }

    /// When it was asked for.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.opened
    }
}

/// A waiting request that should look again. It is no longer in line: check out, or
/// [`Pool::wait_again`](super::Pool::wait_again).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the request has left the line"]
pub struct Granted<T> {
    /// The request.
    pub ticket: T,
    /// When it began to wait.
    pub since: Instant,
    /// Where room was made for it: if it still may go there, look there first, not to take what was meant for the next
    /// in line. `None`: nowhere in particular, the backends have changed.
    pub backend: Option<BackendId>,
    /// The line is at its limit, and the request has lost its place to a client with fewer requests in it: refuse it, as
    /// after [`QueueFull`].
    pub displaced: bool,
    pub(super) place: Place,
}

/// The line is at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl std::fmt::Display for QueueFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many requests wait for a connection")
    }
}

impl std::error::Error for QueueFull {}

#[cfg(test)]
mod tests {
    use super::Client;
    use std::net::IpAddr;

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            let [a, b] = [one, other].map(|text| Client::from(text.parse::<IpAddr>().unwrap()));
            assert_eq!(a == b, same, "{one} {other}");
        }
    }
}
