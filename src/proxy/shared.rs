//! The things that all workers of a proxy share.

use super::{
    access::{Barred, Gate},
    access_log::{AccessLog, Chosen},
    config::Config,
    edits::Edits,
    exchange::Cache,
    explain::Watcher,
    failure::Failure,
    forward::{Forward, TUNNELS},
    groups::Groups,
    load::Load,
    measures::Measures,
    orders::Orders,
    outcomes::Outcomes,
    policy::Policy,
    pulse::Pulse,
    routing::{Router, Target, Way},
    stats::Counters,
    wishes::Wishes,
};
use crate::{
    backend::{Backend, BackendId},
    http::{RequestHead, hop},
    pool::Slots,
    time::Instant,
    tls,
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
};

/// Servers of clients that are shown one by one.
const SHOWN: usize = 100;

/// Immutable, atomics, or locked for a moment. One for each configuration: the next one shares the atomics.
#[derive(Debug)]
pub(super) struct Shared {
    /// Counts the configurations of this process.
    pub(super) version: u32,
    pub(super) config: Config,
    /// By their ids, with those that reloads have taken out: of a forward proxy, none.
    pub(super) backends: Vec<Backend>,
    /// The servers that clients name. `None`: it is a reverse proxy.
    pub(super) forward: Option<Arc<Forward>>,
    pub(super) groups: Groups,
    /// The words of an operator about servers.
    pub(super) orders: Orders,
    /// `None`: all requests go to the only group.
    pub(super) router: Option<Router>,
    /// `None`: no route counts its clients, or asks them for a password.
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) load: Arc<Load>,
    pub(super) slots: Arc<Slots>,
    /// `None`: nothing is cached, and no request looks.
    pub(super) cache: Option<Cache>,
    /// One per worker.
    pub(super) counters: Arc<[Counters]>,
    /// The signs of life of each worker.
    pub(super) pulses: Arc<[Pulse]>,
    /// `None`: nobody asks how long requests take.
    pub(super) measures: Option<Measures>,
    /// `None`: no request is explained.
    pub(super) explain: Option<Watcher>,
    /// How lines about requests are written, if there are any.
    pub(super) log: AccessLog,
    /// A request is looked at when it is over: for the log, or for its duration.
    pub(super) watches: bool,
    /// `None`: no client speaks TLS.
    pub(super) tls: Option<Arc<tls::Shared>>,
    /// Empty: no backend speaks TLS.
    pub(super) servers: Arc<tls::Servers>,
    /// How reloads ended. `None`: there is no file that could be read again.
    pub(super) outcomes: Option<Arc<Outcomes>>,
    /// When the proxy started.
    pub(super) started: Instant,
    /// The end has begun.
    pub(super) draining: Arc<AtomicBool>,
    /// `None`: no one changes the proxy while it runs.
    pub(super) wishes: Option<Wishes>,
}

impl Shared {
    /// The way of a request of that client, and why it is not forwarded, if it is not. `failure`: that is known already. The head of
    /// one that is forwarded is changed as its route asks for.
    pub(super) fn way(
        &self,
        head: &mut RequestHead,
        client: IpAddr,
        now: Instant,
        failure: Option<Failure>,
    ) -> (Way, Option<Failure>) {
        let Some(router) = &self.router else { return (Way::default(), failure) };
        let (mut way, unrouted) = router.find(head);
        let failure = match (failure, unrouted) {
            // A redirect leads to a site. The host of this request, which none has, is of the client's own choice. And the last hop of a
            // request answers for a site as well.
            (Some(Failure::NeedsTls | Failure::NoForwardsLeft), Some(Failure::NoSite)) => unrouted,
            _ => failure.or(unrouted),
        };
        if !way.ruled {
            return (way, failure);
        }
        // The answers of this proxy in the place of a server are for the same clients.
        let is_answer = matches!(failure, None | Some(Failure::OfRoute(_) | Failure::NoForwardsLeft));
        let Some(policy) = router.policy(way).filter(|_| is_answer) else {
            return (way, failure);
        };
        if !policy.lists.admit(client) {
            return (way, Some(Failure::Barred(Barred::Address)));
        }
        match self.gate.as_ref().map(|gate| gate.enter(policy.limits(), &head.fields, client, now)) {
            Some(Err(barred)) => return (way, Some(Failure::Barred(barred))),
            Some(Ok(standing)) => way.standing = standing,
            None => {}
        }
        way.counted = policy.at_once.is_some();
        if policy.login.is_some() {
            // The rest follows when it is known who asks.
            way.guarded = true;
            return (way, None);
        }
        if failure.is_none() {
            self.edit_request(way, head);
        }
        (way, failure)
    }

    /// A request that was counted among those that its client has at once is over.
    pub(super) fn uncount(&self, way: Way, client: IpAddr) {
        let limit = self.policy(way).and_then(|policy| policy.at_once.as_ref());
        if let (Some(gate), Some(limit)) = (&self.gate, limit) {
            gate.leave(limit, client);
        }
    }

    /// The rules for requests that go that way.
    pub(super) fn policy(&self, way: Way) -> Option<&Policy> {
        self.router.as_ref()?.policy(way)
    }

    /// Changes the head of a request that goes that way as its route asks for.
    pub(super) fn edit_request(&self, way: Way, head: &mut RequestHead) {
        if let Some(policy) = self.policy(way).filter(|policy| !policy.request.is_empty()) {
            // A client could name a field in `Connection` that the file sets, and it would not go on.
            hop::remove_listed(&mut head.fields);
            policy.request.apply_to_request(&mut head.fields);
        }
    }

    /// Health hears of all orders before a request can meet a server that is new.
    pub(super) fn follow_orders(&self, now: Instant) {
        for (group, id) in self.groups.members() {
            let name = group.name.as_deref().unwrap_or_default();
            let ordered = self.orders.of(name, &self.backends[id.index()].name);
            let state = ordered.map(|ordered| ordered.state).unwrap_or_default();
            if let Some(change) = group.health.set_order(id, state, now) {
                tracing::info!("{}", self.groups.told(id, &change));
            }
        }
    }

    /// The changes to the head of a response to a request that goes that way, if there are any.
    pub(super) fn response_edits(&self, way: Way) -> Option<&Edits> {
        let policy = way.ruled.then(|| self.policy(way))??;
        Some(&policy.response).filter(|edits| !edits.is_empty())
    }

    /// The fields that say how much the client has left, if the answer to a request that goes that way says so.
    pub(super) fn standing(&self, way: Way) -> Option<[(&'static str, String); 2]> {
        way.standing?.fields(&self.policy(way)?.rates)
    }

    /// The way of something that began under the configuration `old`, and goes on under this one.
    pub(super) fn moved(&self, way: Way, old: &Self) -> Way {
        let (Some(from), Some(to)) = (&old.router, &self.router) else { return way };
        let group = old.groups.get(way.group).name.as_deref().and_then(|name| self.groups.named(name));
        from.moved(way, to, group)
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
