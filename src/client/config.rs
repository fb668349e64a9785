//! How a client behaves, as values.

use super::{HeartbeatConfig, MAX_WINDOW, Policy, reconnect};
use crate::resilience::{Backoff, BreakerConfig};
use std::time::Duration;

/// Retries a second that are always allowed, so that a client with little traffic is not left without.
pub(super) const FREE_RETRIES: u32 = 10;

/// How many requests may be sent before the first is answered, whatever was asked for: so a window that is full means that the
/// peer has answered as many later ones, and not that we were quicker than it.
pub(super) const MAX_IN_FLIGHT: usize = MAX_WINDOW / 2;

/// How a [`Client`](super::Client) acts when things go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// The waits between tries to connect.
    pub backoff: Backoff,
    /// How often it tries to connect before it gives up.
    pub reconnects: u32,
    /// How long one try to connect may take.
    pub connect_timeout: Duration,
    /// How long and how often a request is tried.
    pub policy: Policy,
    /// Whether a silent server is asked if it is still there.
    pub heartbeat: Option<HeartbeatConfig>,
    /// Whether a server that fails is left alone for a while.
    pub breaker: Option<BreakerConfig>,
    /// How many requests may be sent before the first is answered. 1: no pipelining. More than half of [`MAX_WINDOW`] count as
    /// that.
    pub in_flight: usize,
    /// How many requests may wait on this side until they can be sent.
    pub queue: usize,
    /// Repeated requests are at most this share of all requests, and ten a second; see
    /// [`RetryBudget`](crate::resilience::RetryBudget).
    pub retry_ratio: f64,
}

impl Default for Config {
    /// Ten tries to connect; half a minute and three tries a request; a heartbeat; no breaker, which would refuse what a
    /// patient client waits for.
    fn default() -> Self {
        Self {
            backoff: reconnect::BACKOFF,
            reconnects: reconnect::TRIES,
            connect_timeout: Duration::from_secs(5),
            policy: Policy::default(),
            heartbeat: Some(HeartbeatConfig::default()),
            breaker: None,
            in_flight: 64,
            queue: 4096,
            retry_ratio: 0.2,
        }
    }
}
