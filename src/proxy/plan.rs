//! The parts that a proxy is put together from. A milestone is a plan with more parts.

use super::{
    Proxy,
    args::BalanceArgs,
    candidates::Candidates,
    config::Config,
    exchange::Cache,
    forward::{Forward, ForwardArgs, Resolver, System, TUNNELS},
    idle::Idle,
    leaving::Crowd,
    load::Load,
    secured::TlsArgs,
    shared::Shared,
    stats::Counters,
    streams::Http2Args,
    table::Table,
    turns::Turns,
    worker::Worker,
    writing::Writing,
};
use crate::{
    backend::Backend,
    cache::{CacheArgs, CacheConfig, Flights, Mail, Seed, Store},
    health::{Health, HealthConfig},
    lb::{Algorithm, Balancer},
    pool::{Pool, PoolArgs, PoolConfig, Slots},
    resilience::{BreakerConfig, RetryBudget},
    time::Now,
    tls,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use slab::Slab;
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

/// At most one retry for five requests, as Finagle and Envoy have it: a backend that fails must not get thrice the load.
const RETRY_RATIO: f64 = 0.2;
/// And so many per second and worker in any case: with little traffic a fifth of it is no retry at all.
const RETRIES_PER_SECOND: u32 = 10;

/// A proxy in the making.
///
/// ```
/// use socket_patterns::proxy::{Config, Plan};
/// let plan = Plan::new(Config::default()); // Milestone 1: parse, forward, relay.
/// assert_eq!(plan.demo_backends(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    config: Config,
    balanced: bool,
    /// `None`: what suits the backends.
    algorithm: Option<Algorithm>,
    health: HealthConfig,
    /// Whether a flag asks for a growing share.
    slow_start: bool,
    pool: PoolConfig,
    cache: CacheConfig,
    /// `None`: no client speaks TLS.
    tls: Option<TlsArgs>,
    /// TLS as its statistics show it.
    speaks_tls: Option<Arc<tls::Shared>>,
    servers: Arc<tls::Servers>,
    /// It is a forward proxy.
    forward: Option<Forwards>,
    /// A contradiction between the flags that it was made from.
    contradiction: Option<String>,
}

/// The parts of a forward proxy.
#[derive(Debug, Clone)]
struct Forwards {
    /// Servers that may be in use at once.
    origins: u16,
    /// It may be reached by clients that are not on this machine.
    public: bool,
    resolver: Arc<dyn Resolver>,
}

impl Plan {
    /// Milestone 1: one backend, asked whether it lives or not, one connection per request, one try.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let breaker = BreakerConfig { failures: 0, ..BreakerConfig::default() };
        Self {
            config: Config { retries: 0, ..config },
            balanced: false,
            algorithm: None,
            health: HealthConfig { active: false, breaker, ..HealthConfig::default() },
            slow_start: false,
            pool: PoolConfig { max: 0, ..PoolConfig::default() },
            cache: CacheConfig::default(),
            tls: None,
            speaks_tls: None,
            servers: Arc::default(),
            forward: None,
            contradiction: None,
        }
    }

    /// Milestone 2: several backends; one that lives is chosen, and another one if it fails.
    #[must_use]
    pub fn balance(mut self, args: BalanceArgs) -> Self {
        self.config.retries = args.retries;
        self.config.backoff.base = args.retry_backoff;
        self.balanced = true;
        self.algorithm = args.algorithm;
        self.slow_start = args.health.slow_start.is_some_and(|time| !time.is_zero());
        self.health = args.health.0.into();
        self
    }

    /// Milestone 3: connections to backends are kept and shared.
    #[must_use]
    pub fn pool(mut self, args: &PoolArgs) -> Self {
        self.pool = args.config();
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
        self.health.active = false;
        self.forward = Some(Forwards { origins: args.origins, public: args.public, resolver });
        self
    }

    /// Whether clients name the server.
    pub(super) fn is_forward(&self) -> bool {
        self.forward.is_some()
    }

    /// Whether clients may speak HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.config.http2.is_some()
    }

    /// How clients speak TLS, if they may.
    pub(super) fn take_tls(&mut self) -> Option<TlsArgs> {
        self.tls.take()
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
        if self.balanced { 3 } else { 1 }
    }

    /// Whether responses are stored.
    pub(super) fn caches(&self) -> bool {
        self.cache.limits.bytes > 0
    }

    /// Most connections there can be to these backends at once, over all workers; `None`: nothing limits them.
    pub(super) fn most_upstreams(&self, backends: &[Backend]) -> Option<usize> {
        let default = Some(self.pool.max).filter(|max| *max > 0);
        if self.is_forward() {
            return None;
        }
        backends.iter().map(|backend| backend.max.or(default)).sum()
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
        let mut known = HashSet::new();
        if let Some(Backend { name, .. }) = backends.iter().find(|it| !known.insert(it.name.to_ascii_lowercase())) {
            return Err(format!("--backend {name} is given twice: for a double share, write {name},weight=2 once"));
        }
        match (backends.len(), self.balanced) {
            (1, false) if backends[0].weight > 1 => {
                Err("a weight means nothing to a single backend: milestone2 balances over several".to_owned())
            }
            (0, _) => Err("no backend: add --backend HOST:PORT".to_owned()),
            (2.., false) => Err("milestone1 forwards to one backend: milestone2 balances over several".to_owned()),
            (65_536.., _) => Err("more than 65535 backends".to_owned()),
            _ => self.check_weights(backends),
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
                "--listen {listen} can be reached by others, who may then use this proxy: use 127.0.0.1:{}, or add --public",
                listen.port()
            )),
            _ => Ok(()),
        }
    }

    /// Round robin gives each backend as much as any other.
    fn check_weights(&self, backends: &[Backend]) -> Result<(), String> {
        if !self.balanced || self.algorithm_for(backends) != Algorithm::RoundRobin {
            return Ok(());
        }
        if let Some(Backend { name, weight, .. }) = backends.iter().find(|backend| backend.weight != 1) {
            return Err(format!(
                "{name},weight={weight} means nothing to round-robin: use --algorithm weighted-round-robin, or leave out one of them"
            ));
        }
        if self.slow_start {
            return Err("--slow-start means nothing to round-robin, which looks at no weights: add --algorithm \
                        weighted-round-robin, or leave out --slow-start"
                .to_owned());
        }
        Ok(())
    }

    /// How these backends are chosen from. Weights are for an algorithm that looks at them.
    fn algorithm_for(&self, backends: &[Backend]) -> Algorithm {
        let weighted = backends.iter().any(|backend| backend.weight != 1);
        let suited = if weighted { Algorithm::WeightedRoundRobin } else { Algorithm::RoundRobin };
        self.algorithm.unwrap_or(suited)
    }

    /// The places of these backends, or of the servers that clients name: there, that of the tunnels has no limit.
    fn slots(&self, backends: &[Backend], workers: usize) -> Slots {
        match &self.forward {
            None => Slots::new(backends, self.pool, workers),
            Some(forward) => Slots::with_places(1 + usize::from(forward.origins), TUNNELS, self.pool, workers),
        }
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
        let algorithm = self.algorithm_for(&backends);
        let slots = Arc::new(self.slots(&backends, workers));
        let forward = self.servers_by_name(mail(workers, &slots));
        let cache = self.caches().then(|| cache(self.cache, workers, &slots, seed));
        let shared = Arc::new(Shared {
            cache,
            health: Arc::new(Health::new(&backends, self.health, now.instant)),
            load: Load::new(workers, slots.backends()),
            forward,
            counters: (0..workers).map(|_| Counters::new(backends.len())).collect(),
            slots: slots.clone(),
            tls: self.speaks_tls,
            servers: self.servers,
            started: now.instant,
            draining: AtomicBool::new(false),
            config: self.config,
            backends,
        });
        let proxy = |worker: usize| {
            let seed = seed.wrapping_add(worker as u64);
            let first = if algorithm == Algorithm::RoundRobin { worker as u64 } else { seed };
            Proxy {
                exchanges: Slab::new(),
                cut_off: 0,
                worker: Worker {
                    number: worker,
                    table: Table::default(),
                    pool: Pool::new(slots.clone(), worker),
                    balancer: Balancer::new(algorithm, first),
                    retry_budget: RetryBudget::new(RETRY_RATIO, RETRIES_PER_SECOND, now.instant),
                    rng: SmallRng::seed_from_u64(seed),
                    ready: Vec::new(),
                    unwritten: Vec::new(),
                    turns: Turns::default(),
                    writing: Writing::default(),
                    gathered: Vec::new(),
                    candidates: Candidates::default(),
                    fetches: Vec::new(),
                    closing: Vec::new(),
                    draining: false,
                    idle: Idle::new(now.instant),
                    leaving: Vec::new(),
                    crowd: Crowd::default(),
                    generation: 0,
                    shared: shared.clone(),
                },
            }
        };
        ((0..workers).map(proxy).collect(), slots)
    }
}

/// Shards of the store. More than a machine has cores, so that two workers seldom meet at one.
const SHARDS: usize = 64;

/// Mail that wakes its worker.
fn mail(workers: usize, slots: &Arc<Slots>) -> Mail {
    let slots = slots.clone();
    Mail::new(workers, Arc::new(move |worker| slots.wake(worker)))
}

fn cache(config: CacheConfig, workers: usize, slots: &Arc<Slots>, seed: u64) -> Cache {
    let mail = mail(workers, slots);
    // Another secret than the ones of the workers, from the same source.
    let secret = SmallRng::seed_from_u64(seed.rotate_left(32)).random();
    let store = Arc::new(Store::new(config.limits, SHARDS, Seed(secret), mail));
    let flights = Arc::new(Flights::new(store.clone(), SHARDS));
    Cache { store, flights, config, invalidated: AtomicU64::new(0), purged: AtomicU64::new(0) }
}
