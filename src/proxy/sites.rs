//! The groups of backends that a plan has: one without a name, or those of the upstreams of a file.

use super::{
    args::BalanceArgs,
    backend_spec::BackendSpec,
    groups::{Group, Groups},
    proxy_protocol::ProxyProtocol,
    routing::Site,
    rules::Rules,
    secured::{ServerArgs, Trusting},
};
use crate::{backend::Backend, health::Health, lb::Algorithm, pool::PoolArgs, time::Instant};
use std::{
    iter,
    ops::Range,
    sync::{Arc, atomic::AtomicU64},
};

/// The sites of a proxy, and the groups of backends behind them.
#[derive(Debug, Clone)]
pub(super) struct Sites {
    pub(super) sites: Vec<Site>,
    pub(super) upstreams: Vec<Upstream>,
}

/// A group of backends with a name, of a proxy that has several.
#[derive(Debug, Clone)]
pub struct Upstream {
    name: String,
    /// How many of the servers are its own: those that follow the ones of the group before.
    servers: usize,
    /// How many of the backends are. A server whose name has two addresses is two backends.
    backends: usize,
    rules: Rules,
    /// Those that speak TLS have to prove who they are by these.
    tls: ServerArgs,
}

impl Upstream {
    /// The group of that name with so many servers, each of which is one backend.
    #[must_use]
    pub fn new(name: &str, servers: usize, balance: BalanceArgs, pool: &PoolArgs) -> Self {
        let mut rules = Rules::single();
        rules.balance(balance);
        rules.pool(pool);
        Self { name: name.to_owned(), servers, backends: servers, rules, tls: ServerArgs::default() }
    }

    /// The same; its backends are told whose connection it is, if there is a version for that.
    #[must_use]
    pub fn announcing(mut self, version: Option<ProxyProtocol>) -> Self {
        self.rules.announce(version);
        self
    }

    /// The same, with rules of its own for those of its backends that speak TLS.
    #[must_use]
    pub fn trusting(self, tls: ServerArgs) -> Self {
        Self { tls, ..self }
    }
}

impl Sites {
    /// Whether servers of some upstream are told whose connections they get.
    pub(super) fn announce(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.rules.announces.is_some())
    }

    /// The upstream that each server belongs to, in their order.
    pub(super) fn owners(&self) -> impl Iterator<Item = &str> {
        self.upstreams.iter().flat_map(|upstream| iter::repeat_n(upstream.name.as_str(), upstream.servers))
    }

    /// Each server, in their order, is so many backends.
    pub(super) fn place(&mut self, counts: &[usize]) {
        let mut rest = counts.iter();
        for upstream in &mut self.upstreams {
            upstream.backends = rest.by_ref().take(upstream.servers).sum();
        }
    }
}

/// A group in the making.
#[derive(Debug, Clone)]
pub(super) struct Named<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) rules: &'a Rules,
    /// Its part of the list of all backends.
    pub(super) backends: Range<usize>,
}

impl Named<'_> {
    /// Its backends.
    pub(super) fn of<'b>(&self, backends: &'b [Backend]) -> &'b [Backend] {
        &backends[self.backends.clone()]
    }

    pub(super) fn algorithm(&self, backends: &[Backend]) -> Algorithm {
        self.rules.algorithm_for(self.of(backends))
    }

    /// Whether rules and backends go together. A server may be in several groups: each has its own connections to it, and its own
    /// opinion of its health.
    pub(super) fn check(&self, backends: &[Backend]) -> Result<(), String> {
        let checked = self.rules.check_weights(self.of(backends));
        checked.map_err(|problem| format!("upstream {}: {problem}", self.name.unwrap_or("-")))
    }
}

/// The groups of so many backends: those of the upstreams, or else all backends as one, with the rules for the `only` one.
pub(super) fn named<'a>(sites: Option<&'a Sites>, only: &'a Rules, backends: usize) -> Vec<Named<'a>> {
    let Some(sites) = sites.filter(|sites| !sites.upstreams.is_empty()) else {
        return vec![Named { name: None, rules: only, backends: 0..backends }];
    };
    let mut end = 0;
    let mut groups = Vec::with_capacity(sites.upstreams.len());
    for Upstream { name, backends, rules, .. } in &sites.upstreams {
        groups.push(Named { name: Some(name), rules, backends: end..end + backends });
        end += backends;
    }
    groups
}

/// The backends by the rules for TLS with them. `only`: those of all, unless there are several groups.
pub(super) fn trusting(sites: Option<&Sites>, only: &ServerArgs, backends: &[BackendSpec]) -> Vec<Trusting> {
    let Some(sites) = sites.filter(|sites| !sites.upstreams.is_empty()) else {
        return vec![Trusting { upstream: None, args: only.clone(), backends: backends.to_vec() }];
    };
    let mut rest = backends.iter().cloned();
    let trusting = |upstream: &Upstream| Trusting {
        upstream: Some(upstream.name.clone()),
        args: upstream.tls.clone(),
        backends: rest.by_ref().take(upstream.servers).collect(),
    };
    sites.upstreams.iter().map(trusting).collect()
}

/// The groups as all workers share them. `before`: those that they take the place of.
pub(super) fn built(named: Vec<Named<'_>>, backends: &[Backend], before: Option<&Groups>, now: Instant) -> Groups {
    let generation = before.map_or_else(Arc::<AtomicU64>::default, |groups| groups.counter().clone());
    let group = |group: Named<'_>| {
        let (members, rules) = (group.of(backends), group.rules.health.clone());
        let same = group.name.zip(before).and_then(|(name, groups)| Some(groups.get(groups.named(name)?)));
        let health = match same {
            Some(same) => same.health.changed(members, rules, now),
            None => Health::counting(generation.clone(), members, rules, now),
        };
        Group {
            name: group.name.map(Box::from),
            algorithm: group.algorithm(backends),
            pool: group.rules.pool,
            announces: group.rules.announces,
            health,
            retries: group.rules.retries,
            backoff: group.rules.backoff,
        }
    };
    Groups::new(named.into_iter().map(group).collect())
}
