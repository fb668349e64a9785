//! The rules for the backends of a group: which is chosen, when it is alive, how often it is tried, which connections are kept.

use super::{args::BalanceArgs, proxy_protocol::ProxyProtocol};
use crate::{
    backend::Backend,
    health::HealthConfig,
    lb::Algorithm,
    pool::{PoolArgs, PoolConfig},
    resilience::{Backoff, BreakerConfig},
};
use std::time::Duration;

/// The pause before a second try, and how it grows.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(25), factor: 2.0, cap: Duration::from_secs(1), jitter: 0.25 };

/// The rules for the backends of one group.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// There may be several backends.
    pub(super) balanced: bool,
    /// `None`: what suits the backends.
    algorithm: Option<Algorithm>,
    pub(super) health: HealthConfig,
    /// Whether a flag asks for a growing share.
    slow_start: bool,
    pub(super) pool: PoolConfig,
    /// Backends are told whose connection it is.
    pub(super) announces: Option<ProxyProtocol>,
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
}

impl Rules {
    /// Those of milestone 1: one backend, asked whether it lives or not, one connection per request, one try.
    pub(super) fn single() -> Self {
        let breaker = BreakerConfig { failures: 0, ..BreakerConfig::default() };
        Self {
            balanced: false,
            algorithm: None,
            health: HealthConfig { active: false, breaker, ..HealthConfig::default() },
            slow_start: false,
            pool: PoolConfig { max: 0, ..PoolConfig::default() },
            announces: None,
            retries: 0,
            backoff: BACKOFF,
        }
    }

    /// Milestone 2: several backends; one that lives is chosen, and another one if it fails.
    pub(super) fn balance(&mut self, args: BalanceArgs) {
        self.retries = args.retries;
        self.backoff.base = args.retry_backoff;
        self.balanced = true;
        self.algorithm = args.algorithm;
        self.slow_start = args.health.slow_start.is_some_and(|time| !time.is_zero());
        self.health = args.health.0.into();
    }

    /// Milestone 3: connections to backends are kept and shared.
    pub(super) fn pool(&mut self, args: &PoolArgs) {
        self.pool = args.config();
    }

    /// Backends are told whose connection it is, if that is wanted: then none carries requests of several clients.
    pub(super) fn announce(&mut self, version: Option<ProxyProtocol>) {
        self.announces = version;
        if version.is_some() {
            self.pool.max = 0;
        }
    }

    /// How these backends are chosen from. Weights are for an algorithm that looks at them.
    pub(super) fn algorithm_for(&self, backends: &[Backend]) -> Algorithm {
        let weighted = backends.iter().any(|backend| backend.weight != 1);
        let suited = if weighted { Algorithm::WeightedRoundRobin } else { Algorithm::RoundRobin };
        self.algorithm.unwrap_or(suited)
    }

    /// Round robin gives each backend as much as any other.
    pub(super) fn check_weights(&self, backends: &[Backend]) -> Result<(), String> {
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

    /// Most connections there can be to these backends at once; `None`: nothing limits them.
    pub(super) fn most_connections(&self, backends: &[Backend]) -> Option<usize> {
        let default = Some(self.pool.max).filter(|max| *max > 0);
        backends.iter().map(|backend| backend.max.or(default)).sum()
    }
}
