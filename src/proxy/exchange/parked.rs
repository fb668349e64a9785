//! The exchange of a tunnel in which nothing happens: the facts that its log line and its two sides will need, and nothing of HTTP.

use super::{Attempts, Client, Core, Ending, Exchange, Link, Phase, Request, State, late::Clock, tunnel::Tunnel};
use crate::{
    app::{ConnId, Secure},
    backend::{Backend, BackendId},
    cache::Did,
    http::{BodyLength, RequestLine},
    proxy::{
        client::Http1,
        record::{PoolUse, Record},
        routing::Way,
    },
    time::Now,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The rest of a tunnel's exchange.
#[derive(Debug)]
pub(in crate::proxy) struct Rest {
    /// The client's connection.
    pub(in crate::proxy) conn: ConnId,
    announced_last: bool,
    pub(in crate::proxy) link: Link,
    way: Way,
    /// In a forward proxy, the server whose addresses the client's protocol was switched by.
    origin: Option<Arc<Backend>>,
    line: RequestLine,
    told: Told,
}

/// The rest of the [`Record`] of a tunnel that was opened at the first try.
#[derive(Debug)]
struct Told {
    peer: SocketAddr,
    /// Boxed: few servers are told it.
    local: Option<Box<SocketAddr>>,
    /// The client, where it is not the peer.
    client: Option<Box<IpAddr>>,
    user: Option<Box<str>>,
    secure: Option<Arc<Secure>>,
    started: Now,
    status: u16,
    sent: u64,
    received: u64,
    backend: Option<BackendId>,
    pool: PoolUse,
    cache: Option<Did>,
}

impl Exchange {
    /// Whether it is a tunnel that both sides may use, and that has nothing to tell beyond [`Rest`].
    pub(in crate::proxy) fn may_rest(&self) -> bool {
        let Core { client, request, caching, ending, explanation, record, .. } = &self.core;
        let plain = matches!(client, Client::Connection(_)) && record.stream.is_none() && record.parted.is_none();
        let first_try = record.retries.is_empty() && record.not_retried.is_none();
        let whole = matches!(&self.state, State::Tunnel(tunnel) if tunnel.is_whole());
        let over = request.is_complete() && caching.is_none() && *ending == Ending::Clean;
        whole && plain && first_try && over && explanation.is_none()
    }

    /// The part of it that is kept. `None` if it does not [`Exchange::may_rest`].
    pub(in crate::proxy) fn rest(self) -> Option<Rest> {
        let Self { core: Core { client, request, way, origin, record, .. }, state, .. } = self;
        let (Client::Connection(client), State::Tunnel(tunnel)) = (client, state) else { return None };
        let Record { peer, local, client: named, user, secure, started, status, sent, received, .. } = record;
        let Record { backend, pool, cache, .. } = record;
        let (local, named) = (local.map(Box::new), Some(named).filter(|named| *named != peer.ip()).map(Box::new));
        let told =
            Told { peer, local, client: named, user, secure, started, status, sent, received, backend, pool, cache };
        let (conn, announced_last) = (client.conn(), client.announced_last());
        Some(Rest { conn, announced_last, link: tunnel.link, way, origin, line: request.head.into_line(), told })
    }

    /// It goes on, under the name `key`.
    pub(in crate::proxy) fn resumed(rest: Rest, key: u32, version: u32) -> Self {
        let Rest { conn, announced_last, link, way, origin, line, told } = rest;
        let request = Request::new(line.into_head(), BodyLength::Empty, None);
        let client = Http1::of_tunnel(conn, request.head.version, announced_last);
        let attempts = Attempts { sent: true, ..Attempts::default() };
        let core = Core::new((key, version), Client::Connection(client), request, None, told.into_record());
        let core = Core { way, origin, attempts, clock: Clock::default(), ..core };
        Self { core, state: State::Tunnel(Tunnel::new(link)), phase: Phase::WritingResponse }
    }
}

impl Rest {
    /// The client's connection, as the driver told of it.
    pub(in crate::proxy) fn origin(&self) -> (SocketAddr, Option<SocketAddr>, Option<Arc<Secure>>) {
        (self.told.peer, self.told.local.as_deref().copied(), self.told.secure.clone())
    }

    /// The server that the client has named, where a backend's connection is to know it.
    pub(in crate::proxy) fn server(&self) -> Option<Arc<Backend>> {
        self.origin.clone()
    }
}

impl Told {
    fn into_record(self) -> Record {
        let Self { peer, local, client, user, secure, started, status, sent, received, backend, pool, cache } = self;
        let (local, client) = (local.map(|local| *local), client.map_or(peer.ip(), |client| *client));
        let is_tunnel = true;
        let of = Record::new(peer, client, secure, started);
        Record { local, user, status, is_tunnel, sent, received, backend, pool, cache, ..of }
    }
}
