//! The role of each connection, found by its name in one step.

use super::{downstream::Downstream, parked::Parked, probe::Probe, streams::Streams, upstream::Upstream};
use crate::{app::ConnId, backend::BackendId};

/// The part a connection plays. Two words: a connection pays for its own part, not for the largest.
#[derive(Debug, Default)]
pub(super) enum Role {
    /// No connection has this slot.
    #[default]
    Vacant,
    /// A client of the proxy.
    Downstream(Box<Downstream>),
    /// A client with many exchanges at once.
    Streams(Box<Streams>),
    /// A connection to a backend, idle in the pool or carrying an exchange.
    Upstream(Box<Upstream>),
    /// A client whose tunnel is silent.
    Parked(Box<Parked>),
    /// The backend's side of the tunnel of that client.
    ParkedWith(ConnId),
    /// A health check under way.
    Probe(Box<Probe>),
}

/// All connections of one worker, indexed as the driver numbers them.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<(u32, Role)>,
}

impl Table {
    /// Gives a new connection its role.
    pub(super) fn insert(&mut self, conn: ConnId, role: Role) {
        if self.entries.len() <= conn.index() {
            self.entries.resize_with(conn.index() + 1, Default::default);
        }
        self.entries[conn.index()] = (conn.generation(), role);
    }

    /// The role of `conn`; `None` if the name is stale.
    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Role> {
        let (generation, role) = self.entries.get_mut(conn.index())?;
        (*generation == conn.generation()).then_some(role)
    }

    /// Takes the role away: the connection ended.
    pub(super) fn remove(&mut self, conn: ConnId) -> Role {
        self.get(conn).map(std::mem::take).unwrap_or_default()
    }

    /// As [`Table::remove`], if it is a backend connection.
    pub(super) fn remove_if_upstream(&mut self, conn: ConnId) -> Role {
        if self.upstream(conn).is_some() { self.remove(conn) } else { Role::Vacant }
    }

    /// The client connection `conn`, if it is one.
    pub(super) fn downstream(&mut self, conn: ConnId) -> Option<&mut Downstream> {
        match self.get(conn)? {
            Role::Downstream(downstream) => Some(downstream),
            _ => None,
        }
    }

    /// The client connection `conn` with its streams, if it has some.
    pub(super) fn streams(&mut self, conn: ConnId) -> Option<&mut Streams> {
        match self.get(conn)? {
            Role::Streams(streams) => Some(streams),
            _ => None,
        }
    }

    /// The backend connection `conn`, if it is one.
    pub(super) fn upstream(&mut self, conn: ConnId) -> Option<&mut Upstream> {
        match self.get(conn)? {
            Role::Upstream(upstream) => Some(upstream),
            _ => None,
        }
    }

    /// The client connections.
    pub(super) fn downstreams(&self) -> Vec<ConnId> {
        self.roles()
            .filter_map(|role| if let Role::Downstream(client) = role { Some(client.conn()) } else { None })
            .collect()
    }

    /// The clients whose tunnels are silent.
    pub(super) fn parked(&self) -> Vec<ConnId> {
        let of = |role: &Role| if let Role::Parked(parked) = role { Some(parked.conn()) } else { None };
        self.roles().filter_map(of).collect()
    }

    /// The client connections with streams.
    pub(super) fn multiplexed(&self) -> Vec<ConnId> {
        self.roles()
            .filter_map(|role| if let Role::Streams(client) = role { Some(client.conn()) } else { None })
            .collect()
    }

    /// The health checks of one backend that are under way.
    pub(super) fn probes_of(&self, backend: BackendId) -> Vec<ConnId> {
        let of = |role: &Role| match role {
            Role::Probe(probe) if probe.backend() == backend => probe.conn(),
            _ => None,
        };
        self.roles().filter_map(of).collect()
    }

    /// The health checks under way.
    pub(super) fn probes(&self) -> Vec<ConnId> {
        self.roles().filter_map(|role| if let Role::Probe(probe) = role { probe.conn() } else { None }).collect()
    }

    /// Every role in use.
    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.entries.iter().map(|(_, role)| role)
    }
}
