//! The parts that a proxy is put together from. A milestone is a plan with more parts.

use super::{
    Proxy,
    access::{Gate, Sharing, SharingArgs},
    access_log::AccessLog,
    args::BalanceArgs,
    backend_spec::BackendSpec,
    config::Config,
    exchange::Cache,
    explain::{ExplainConfig, Watcher},
    forward::{Forward, ForwardArgs, Resolver, System, TUNNELS, Users},
    groups::Groups,
    load::Load,
    marks::Marks,
    measures::{Known, Measures, NONE},
    network::Network,
    orders::Orders,
    outcomes::Outcomes,
    policy::Policy,
    pulse::Pulse,
    routing::{Router, Site},
    rules::Rules,
    second_level::{SecondLevel, SecondLevelArgs, SecondLevelConfig},
    secured::{TlsArgs, Trusting},
    shared::Shared,
    sites::{Named, Sites, Upstream, built, named, trusting},
    stats::Counters,
    streams::Http2Args,
    versions::Current,
    wishes::Wishes,
    worker::Worker,
};
use crate::{
    backend::Backend,
    cache::{CacheArgs, CacheConfig, Flights, Mail, Seed, Store},
    pool::{PoolArgs, Slots},
    redis::Target,
    time::Now,
    tls,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use slab::Slab;
use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

/// A proxy in the making.
///
/// ```
/// use socket_patterns::proxy::{Config, Plan};
/// let plan = Plan::new(Config::default()); // Milestone 1: parse, forward, relay.
/// assert_eq!(plan.demo_backends(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) config: Config,
    /// Those of the only group, unless there are several.
    rules: Rules,
    /// `None`: all requests go to the only group.
    pub(super) sites: Option<Sites>,
    pub(super) cache: CacheConfig,
    /// `None`: no client speaks TLS.
    tls: Option<TlsArgs>,
    /// TLS as its statistics show it.
    speaks_tls: Option<Arc<tls::Shared>>,
    servers: Arc<tls::Servers>,
    /// How lines about requests are written, if there are any.
    log: AccessLog,
    /// It is a forward proxy.
    forward: Option<Forwards>,
    /// The way to the keeper, if other configurations may follow.
    wishes: Option<Wishes>,
    /// A contradiction between the flags that it was made from.
    contradiction: Option<String>,
}

/// The parts of a forward proxy.
#[derive(Debug, Clone)]
struct Forwards {
    /// Servers that may be in use at once.
    origins: u16,
    /// It may be reached by clients that are not on this machine: all of them, or those that are its users.
    public: bool,
    resolver: Arc<dyn Resolver>,
}

impl Plan {
    /// Milestone 1: one backend, asked whether it lives or not, one connection per request, one try.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            rules: Rules::single(),
            sites: None,
            cache: CacheConfig::default(),
            tls: None,
            speaks_tls: None,
            servers: Arc::default(),
            log: AccessLog::default(),
            forward: None,
            wishes: None,
            contradiction: None,
        }
    }

    /// Milestone 2: several backends; one that lives is chosen, and another one if it fails.
    #[must_use]
    pub fn balance(mut self, args: BalanceArgs) -> Self {
        self.rules.balance(args);
        self
    }

    /// Milestone 3: connections to backends are kept and shared.
    #[must_use]
    pub fn pool(mut self, args: &PoolArgs) -> Self {
        self.rules.pool(args);
        self.config.deadlines.queue = args.pool_queue_timeout;
        self
    }

    /// Milestone 4: responses are stored, and answer later requests.
    #[must_use]
    pub fn cache(mut self, args: &CacheArgs) -> Self {
        self.cache = args.config();
        self.contradiction = args.check().err();
        self
    }

    /// Milestone 5: clients may speak TLS, on a listener of its own.
    #[must_use]
    pub fn tls(mut self, args: &TlsArgs) -> Self {
        self.tls = Some(args.clone());
        self.config.redirect = args.redirect();
        self.config.hsts = args.hsts();
        self.config.forwarding.client_cert_header = args.client_cert_header.clone();
        self
    }

    /// Milestone 5: clients may speak HTTP/2.
    #[must_use]
    pub fn http2(mut self, args: &Http2Args) -> Self {
        self.config.http2 = args.limits(&self.config);
        self
    }

    /// Requests are marked so.
    #[must_use]
    pub fn marks(mut self, marks: Marks) -> Self {
        self.config.forwarding.marks = marks;
        self
    }

    /// Requests of that kind are explained.
    #[must_use]
    pub fn explain(mut self, config: Option<ExplainConfig>) -> Self {
        self.config.explain = config;
        self
    }

    /// Rate limits are counted together with other proxies, if there is a store for that.
    #[must_use]
    pub fn store(mut self, args: &SharingArgs) -> Self {
        self.config.store = args.target();
        self
    }

    /// The cache has a second level, if there is a store for that.
    #[must_use]
    pub fn second_level(mut self, args: &SecondLevelArgs) -> Self {
        self.config.second_level = args.config();
        self
    }

    /// Lines about requests are written so, if there are any: in this configuration, and in those that follow.
    pub(super) fn logs_to(&mut self, log: AccessLog) {
        self.log = log;
    }

    /// Several groups of backends, and sites whose routes lead to them. The backends of the groups follow each other.
    #[must_use]
    pub fn sites(mut self, sites: Vec<Site>, upstreams: Vec<Upstream>) -> Self {
        self.sites = Some(Sites { sites, upstreams });
        self
    }

    /// Whether servers are told whose connections they get.
    pub(super) fn announces(&self) -> bool {
        self.sites.as_ref().is_some_and(Sites::announce)
    }

    /// The upstream that each server belongs to, in their order.
    pub(super) fn owners(&self) -> impl Iterator<Item = &str> {
        self.sites.iter().flat_map(Sites::owners)
    }

    /// Each server, in their order, is so many backends.
    pub(super) fn place(&mut self, counts: &[usize]) {
        self.sites.iter_mut().for_each(|sites| sites.place(counts));
    }

    /// Other configurations may follow this one while it runs, if there is a way to the keeper: it hears of servers that fail, too.
    pub(super) fn reloads(&mut self, wishes: Option<Wishes>) {
        self.wishes = wishes;
    }

    /// A forward proxy instead: the client names the server, which the system's resolver finds.
    #[must_use]
    pub fn forward_by_name(self, args: &ForwardArgs) -> Self {
        self.forward(args, Arc::new(System))
    }

    /// The same, with a `resolver` of its own.
    #[must_use]
    pub fn forward(mut self, args: &ForwardArgs, resolver: Arc<dyn Resolver>) -> Self {
        self.config.forward = Some(args.rules());
        self.config.forwarding.announces = false;
        // A server that nobody has named is not asked how it is.
        self.rules.health.active = false;
        self.forward = Some(Forwards { origins: args.origins, public: args.public || args.users.is_some(), resolver });
        self
    }

    /// The proxies that are trusted, and how long a connection may take to say something.
    pub(super) fn trust(&self) -> (Vec<Network>, Duration) {
        (self.config.forwarding.trusted.clone(), self.config.deadlines.head)
    }

    /// The users of a forward proxy, if it has some.
    pub(super) fn users(&self) -> Option<Arc<Users>> {
        self.config.forward.as_ref()?.users.clone()
    }

    /// Whether clients name the server.
    pub(super) fn is_forward(&self) -> bool {
        self.forward.is_some()
    }

    /// Whether clients may speak HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.config.http2.is_some()
    }

    /// With a certificate for these hosts, too, if one has to be made on the spot.
    pub(super) fn certified_for(mut self, hosts: Vec<String>) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.demo_hosts = hosts;
        }
        self
    }

    /// How clients speak TLS, if they may.
    pub(super) fn tls_args(&self) -> Option<&TlsArgs> {
        self.tls.as_ref()
    }

    /// These backends by the rules for TLS with them; `args` has those of the only group.
    pub(super) fn trusting(&self, args: &TlsArgs, backends: &[BackendSpec]) -> Vec<Trusting> {
        trusting(self.sites.as_ref(), &args.backends, backends)
    }

    /// The hosts of all sites, each with the name of its site.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&str, &str)> {
        let sites = self.sites.iter().flat_map(|sites| &sites.sites);
        sites.flat_map(|site| site.hosts.iter().map(|host| (site.name.as_str(), host.as_str())))
    }

    /// The names of the sites, if there are any.
    pub(super) fn site_names(&self) -> Vec<String> {
        self.sites.iter().flat_map(|sites| &sites.sites).map(|site| site.name.clone()).collect()
    }

    /// The parts of TLS that all workers share, for statistics, and the port on which it is spoken.
    pub(super) fn speaks_tls(&mut self, shared: Arc<tls::Shared>, servers: Arc<tls::Servers>, port: Option<u16>) {
        self.speaks_tls = Some(shared);
        self.servers = servers;
        if let (Some(redirect), Some(port)) = (&mut self.config.redirect, port)
            && redirect.port == 0
        {
            redirect.port = port;
        }
    }

    /// How many demo backends show what it does.
    #[must_use]
    pub fn demo_backends(&self) -> usize {
        if self.rules.balanced { 3 } else { 1 }
    }

    /// Whether responses are stored.
    pub(super) fn caches(&self) -> bool {
        self.cache.limits.bytes > 0
    }

    /// Most connections there can be to these backends at once, over all workers; `None`: nothing limits them.
    pub(super) fn most_upstreams(&self, backends: &[Backend]) -> Option<usize> {
        if self.is_forward() {
            return None;
        }
        self.groups(backends).iter().map(|group| group.rules.most_connections(group.of(backends))).sum()
    }

    /// Tries the files for stores with TLS, and returns what the operator should know of them.
    ///
    /// # Errors
    ///
    /// Which one cannot be used, and why.
    pub(super) fn check_stores(&self) -> Result<Vec<String>, String> {
        let second = self.config.second_level.as_ref().map(|second| &second.target);
        let warnings = self.config.store.iter().chain(second).map(Target::check_files);
        Ok(warnings.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Checks these backends against the plan.
    ///
    /// # Errors
    ///
    /// A line that says what to do.
    pub fn check(&self, backends: &[Backend]) -> Result<(), String> {
        if let Some(contradiction) = &self.contradiction {
            return Err(contradiction.clone());
        }
        if self.is_forward() {
            return match backends {
                [] => Ok(()),
                [Backend { name, .. }, ..] => {
                    Err(format!("--backend {name} means nothing to a forward proxy: its clients name the server"))
                }
            };
        }
        if self.sites.is_some() {
            if backends.len() > usize::from(u16::MAX) {
                return Err("more than 65535 servers".to_owned());
            }
            return self.groups(backends).iter().try_for_each(|group| group.check(backends));
        }
        let mut known = HashSet::new();
        if let Some(Backend { name, .. }) = backends.iter().find(|it| !known.insert(it.name.to_ascii_lowercase())) {
            return Err(format!("--backend {name} is given twice: for a double share, write {name},weight=2 once"));
        }
        match (backends.len(), self.rules.balanced) {
            (1, false) if backends[0].weight > 1 => {
                Err("a weight means nothing to a single backend: milestone2 balances over several".to_owned())
            }
            (0, _) => Err("no backend: add --backend HOST:PORT".to_owned()),
            (2.., false) => Err("milestone1 forwards to one backend: milestone2 balances over several".to_owned()),
            (65_536.., _) => Err("more than 65535 backends".to_owned()),
            _ => self.rules.check_weights(backends),
        }
    }

    /// Checks where it is to listen.
    ///
    /// # Errors
    ///
    /// As [`Plan::check`]: a proxy that everybody may use is used for what nobody wants to have done.
    pub(super) fn check_listener(&self, listen: SocketAddr) -> Result<(), String> {
        match &self.forward {
            Some(forward) if !forward.public && !listen.ip().is_loopback() => Err(format!(
                "--listen {listen} can be reached by others, who may then use this proxy: use 127.0.0.1:{}, or add --users or --public",
                listen.port()
            )),
            _ => Ok(()),
        }
    }

    /// The groups of these backends.
    pub(super) fn groups(&self, backends: &[Backend]) -> Vec<Named<'_>> {
        named(self.sites.as_ref(), &self.rules, backends.len())
    }

    /// The places of these backends, or of the servers that clients name: there, that of the tunnels has no limit.
    fn slots(&self, backends: &[Backend], workers: usize) -> Slots {
        match &self.forward {
            None if self.sites.is_none() => Slots::new(backends, self.rules.pool, workers),
            None => {
                let limit = |group: &Named<'_>, backend: &Backend| backend.max.or(group.rules.pool.limit());
                let groups = self.groups(backends);
                let limits = groups.iter().flat_map(|group| group.of(backends).iter().map(|it| limit(group, it)));
                let mut limits: Vec<Option<usize>> = limits.collect();
                limits.resize(limits.len() + self.spare_places(limits.len()), None);
                Slots::with_limits(limits, self.rules.pool, workers)
            }
            Some(forward) => Slots::with_places(1 + usize::from(forward.origins), TUNNELS, self.rules.pool, workers),
        }
    }

    /// Places for backends that a reload may add.
    fn spare_places(&self, backends: usize) -> usize {
        if self.wishes.is_some() { backends.max(SPARE).min(MOST_BACKENDS.saturating_sub(backends)) } else { 0 }
    }

    /// The servers that clients name, if they do.
    fn servers_by_name(&self, mail: Mail) -> Option<Arc<Forward>> {
        let Forwards { origins, resolver, .. } = self.forward.as_ref()?;
        let guard = self.config.forward.as_ref()?.guard.clone();
        Some(Arc::new(Forward::new(guard, *origins, resolver.clone(), mail)))
    }

    /// One [`Proxy`] per worker, all of one proxy, and the slots through which they wake each other
    /// ([`Slots::attach`]). `seed` decides what is random.
    #[must_use]
    pub fn build(self, backends: Vec<Backend>, workers: usize, now: Now, seed: u64) -> (Vec<Proxy>, Arc<Slots>) {
        self.build_under(Orders::default(), backends, workers, now, seed)
    }

    /// The same with the words of an operator about the backends.
    pub(super) fn build_under(
        self,
        orders: Orders,
        backends: Vec<Backend>,
        workers: usize,
        now: Now,
        seed: u64,
    ) -> (Vec<Proxy>, Arc<Slots>) {
        let groups = built(self.groups(&backends), &backends, None, now.instant);
        let slots = Arc::new(self.slots(&backends, workers));
        let forward = self.servers_by_name(mail(workers, &slots));
        let cache = self.caches().then(|| cache(self.cache, self.config.second_level.as_ref(), workers, &slots, seed));
        let router = self.sites.map(|sites| Router::new(sites.sites));
        let gate = router.as_ref().and_then(|router| {
            gate(router, mail(workers, &slots), seed, || Sharing::of(self.config.store.as_ref(), seed))
        });
        let measures = self.config.measures.then(|| measures(&Known::default(), router.as_ref(), &groups, workers));
        let shared = Arc::new(Shared {
            version: 0,
            cache,
            groups,
            orders,
            router,
            gate,
            watches: measures.is_some() || self.config.access_log,
            measures,
            explain: self.config.explain.clone().map(|config| Watcher::new(config, Arc::default())),
            log: self.log,
            load: Arc::new(Load::new(workers, slots.backends())),
            forward,
            counters: (0..workers).map(|_| Counters::new(slots.backends())).collect(),
            pulses: (0..workers).map(|_| Pulse::default()).collect(),
            slots: slots.clone(),
            tls: self.speaks_tls,
            servers: self.servers,
            outcomes: self.wishes.as_ref().map(|_| Arc::new(Outcomes::new(now.wall))),
            started: now.instant,
            draining: Arc::default(),
            wishes: self.wishes,
            config: self.config,
            backends,
        });
        shared.follow_orders(now.instant);
        let current = Arc::new(Current::new(shared.clone()));
        let proxy = |worker: usize| {
            let seed = seed.wrapping_add(worker as u64);
            Proxy { exchanges: Slab::new(), cut_off: 0, worker: Worker::new(worker, &current, seed, now.instant) }
        };
        ((0..workers).map(proxy).collect(), slots)
    }
}

/// The judge of clients, if a route asks for one.
pub(super) fn gate(
    router: &Router,
    mail: Mail,
    seed: u64,
    sharing: impl FnOnce() -> Option<Arc<Sharing>>,
) -> Option<Arc<Gate>> {
    let needed = router.policies().any(Policy::needs_gate);
    needed.then(|| Arc::new(Gate::new(router.has_users(), mail, seed, sharing())))
}
/// Backends that there may be.
const MOST_BACKENDS: usize = 65_535;

/// Places for backends that reloads may add, at least; a larger proxy may grow to twice its size.
const SPARE: usize = 256;

/// How long requests take, by the names of sites and groups. Series that are `known` go on.
pub(super) fn measures(known: &Known, router: Option<&Router>, groups: &Groups, workers: usize) -> Measures {
    let sites = router.into_iter().flat_map(Router::site_names);
    let upstreams = groups.iter().map(|group| group.name.as_deref().unwrap_or(NONE));
    Measures::new(known, workers, sites, upstreams)
}

/// Shards of the store. More than a machine has cores, so that two workers seldom meet at one.
const SHARDS: usize = 64;

/// Mail that wakes its worker.
pub(super) fn mail(workers: usize, slots: &Arc<Slots>) -> Mail {
    let slots = slots.clone();
    Mail::new(workers, Arc::new(move |worker| slots.wake(worker)))
}

fn cache(
    config: CacheConfig,
    second: Option<&SecondLevelConfig>,
    workers: usize,
    slots: &Arc<Slots>,
    seed: u64,
) -> Cache {
    let mail = mail(workers, slots);
    // Another secret than the ones of the workers, from the same source.
    let secret = SmallRng::seed_from_u64(seed.rotate_left(32)).random();
    let store = Arc::new(Store::new(config.limits, SHARDS, Seed(secret), mail));
    let flights = Arc::new(Flights::new(store.clone(), SHARDS));
    let second = second.and_then(|config| SecondLevel::of(config, &flights));
    Cache { store, flights, second, config, invalidated: Arc::default(), purged: Arc::default() }
}
