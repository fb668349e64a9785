//! Which backends may be used: active probes, passive observation, the breaker.
