//! How many clients a program takes: as many as asked for, if there are descriptors for them.

use crate::net::descriptors;

/// Descriptors of the process as such: standard streams, signals, event loops, listeners, files.
const DESCRIPTORS_ASIDE: u64 = 64;

/// The clients of each of `workers`: fewer than `--max-clients` asks for if there are no descriptors for them, which is said.
pub fn clients_per_worker(asked: usize, workers: usize) -> usize {
    let limit = descriptors::raise_limit_or_warn();
    let most = usize::try_from(limit.saturating_sub(DESCRIPTORS_ASIDE)).unwrap_or(usize::MAX).max(workers);
    if most < asked {
        tracing::warn!(
            limit,
            clients = most,
            "too few descriptors for --max-clients: raise the limit with `ulimit -n`"
        );
    }
    asked.min(most).div_ceil(workers)
}
