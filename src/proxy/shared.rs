//! The things that all workers of a proxy share.

use super::{
    config::Config,
    edits::Edits,
    exchange::Cache,
    failure::Failure,
    forward::{Forward, TUNNELS},
    groups::Groups,
    load::Load,
    record::Chosen,
    routing::{Router, Target, Way},
    stats::Counters,
};
use crate::{
    backend::{Backend, BackendId},
    http::{RequestHead, hop},
    pool::Slots,
    tls,
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

/// Servers of clients that are shown one by one.
const SHOWN: usize = 100;

/// Immutable, atomics, or locked for a moment.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    /// Those that the proxy was started with: of a forward proxy, none.
    pub(super) backends: Vec<Backend>,
    /// The servers that clients name. `None`: it is a reverse proxy.
    pub(super) forward: Option<Arc<Forward>>,
    pub(super) groups: Groups,
    /// `None`: all requests go to the only group.
    pub(super) router: Option<Router>,
    pub(super) load: Load,
    pub(super) slots: Arc<Slots>,
    /// `None`: nothing is cached, and no request looks.
    pub(super) cache: Option<Cache>,
    /// One per worker.
    pub(super) counters: Vec<Counters>,
    /// `None`: no client speaks TLS.
    pub(super) tls: Option<Arc<tls::Shared>>,
    /// Empty: no backend speaks TLS.
    pub(super) servers: Arc<tls::Servers>,
    /// When the proxy started.
    pub(super) started: Instant,
    /// The end has begun.
    pub(super) draining: AtomicBool,
}

impl Shared {
    /// The way of a request, and why it is not forwarded, if it is not. `failure`: that is known already. The head of one that is
    /// forwarded is changed as its route asks for.
    pub(super) fn way(&self, head: &mut RequestHead, failure: Option<Failure>) -> (Way, Option<Failure>) {
        let Some(router) = &self.router else { return (Way::default(), failure) };
        let (way, unrouted) = router.find(head);
        let failure = failure.or(unrouted);
        if failure.is_none()
            && let Some(policy) = router.policy(way).filter(|policy| !policy.request.is_empty())
        {
            // A client could name a field in `Connection` that the file sets, and it would not go on.
            hop::remove_listed(&mut head.fields);
            policy.request.apply(&mut head.fields);
        }
        (way, failure)
    }

    /// The changes to the head of a response to a request that goes that way, if there are any.
    pub(super) fn response_edits(&self, way: Way) -> Option<&Edits> {
        let policy = self.router.as_ref()?.policy(way)?;
        Some(&policy.response).filter(|edits| !edits.is_empty())
    }

    /// The names of what was chosen. `None`: there is nothing to choose from.
    pub(super) fn chosen(&self, way: Way) -> Option<Chosen<'_>> {
        let router = self.router.as_ref()?;
        let (site, route) = router.names(way);
        let goes_on = matches!(router.target(way), Some(Target::Group(_)));
        let upstream = self.groups.get(way.group).name.as_deref().filter(|_| goes_on);
        Some(Chosen { site, route, upstream })
    }

    /// The backend of that id; `origin`: the server that the holder of the id has with it, in a forward proxy.
    pub(super) fn backend<'a>(&'a self, id: BackendId, origin: Option<&'a Arc<Backend>>) -> &'a Backend {
        match origin {
            Some(origin) => origin,
            None => &self.backends[id.index()],
        }
    }

    /// The servers that clients of a forward proxy have named lately for plain HTTP, `null` in a reverse proxy. Some
    /// of them: the answer has to be of a size that is kept for its reader.
    pub(super) fn origin_stats(&self) -> Value {
        let Some(forward) = &self.forward else { return Value::Null };
        let known = forward.list();
        let row = |origin: &Arc<Backend>| {
            json!({
                "name": origin.name,
                "addresses": origin.addresses.list().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "in_flight": self.load.of(origin.id),
                "connections": self.slots.open(origin.id),
            })
        };
        json!({
            "known": known.len(),
            "tunnels_in_flight": self.load.of(TUNNELS),
            "some": known.iter().take(SHOWN).map(row).collect::<Vec<_>>(),
        })
    }
}
