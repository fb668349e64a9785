//! One client's session (3.1.2.4 in 3.1.1, 4.1 in 5): what lasts as long as the client wants, connected or not.

use super::{link::Link, message::LastWill, outgoing::Outgoing};
use crate::mqtt::{PacketId, Subscription, Text};
use std::collections::{BTreeMap, HashSet};

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Text,
    /// Seconds that it outlives its connection; `u32::MAX`: for ever.
    pub(crate) expiry: u32,
    /// It is in the log.
    pub(crate) is_recorded: bool,
    /// Its connection. `Err`: there is none since then, in milliseconds since 1970.
    pub(crate) link: Result<Box<Link>, u64>,
    /// By their filters, each with its subscription identifier.
    pub(crate) subscriptions: BTreeMap<Text, (Subscription, Option<u32>)>,
    pub(crate) outgoing: Outgoing,
    /// Messages of QoS 2 from the client that it has not released: if they come again, they are not new.
    pub(crate) incoming: HashSet<PacketId>,
    pub(crate) will: Option<LastWill>,
    /// The connection has ended: the will is published then, in milliseconds since 1970.
    pub(crate) will_due: Option<u64>,
}

impl Session {
    /// Whether it is kept without a connection, and so in the log.
    pub(crate) fn is_kept(&self) -> bool {
        self.expiry > 0
    }

    pub(crate) fn link(&self) -> Option<&Link> {
        self.link.as_deref().ok()
    }

    pub(crate) fn link_mut(&mut self) -> Option<&mut Link> {
        self.link.as_deref_mut().ok()
    }
}
