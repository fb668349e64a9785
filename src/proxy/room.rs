//! How many clients there is room for: each descriptor can be had once.

use crate::net::{DriverConfig, descriptors};
use std::num::NonZeroUsize;

/// Descriptors of the process as such: standard streams, signals, what libraries open for a moment.
const DESCRIPTORS_ASIDE: usize = 32;

/// Descriptors of an event loop: epoll, waker, timer, listener. With io_uring it is one less.
const DESCRIPTORS_PER_LOOP: usize = 4;

/// Connections to the admin listener at once: a supervisor, a collector of statistics, a few people. Each has a descriptor set
/// aside, so that it is answered even if clients and backends have taken all others.
pub(super) const ADMINS: usize = 16;

/// Clients per worker unless told otherwise, where descriptors allow: about 25 MB when all of them idle.
const MAX_CLIENTS: usize = 50_000;

/// Descriptors that must not be clients' or upstream connections'. `more_listeners`: of each worker, beside one.
pub(super) fn descriptors_aside(workers: usize, backends: usize, admin: bool, more_listeners: usize) -> usize {
    let desk = if admin { DESCRIPTORS_PER_LOOP + ADMINS } else { 0 };
    // A health check of each backend may be under way.
    DESCRIPTORS_ASIDE + workers * (DESCRIPTORS_PER_LOOP + more_listeners) + backends + desk
}

/// How many clients a worker takes: as many as asked for, if there are descriptors for them. And how many pipes.
pub(super) fn clients_per_worker(
    asked: Option<NonZeroUsize>,
    workers: usize,
    aside: usize,
    upstreams: Option<usize>,
) -> (usize, usize) {
    let limit = descriptors::raise_limit_or_warn();
    let left = limit.saturating_sub(aside as u64);
    let (clients, pipes) = affordable(asked.map_or(MAX_CLIENTS, NonZeroUsize::get), workers, left, upstreams);
    if asked.is_some_and(|asked| clients < asked.get()) {
        tracing::warn!(
            limit,
            clients,
            "too few descriptors for as many as max-connections says: raise the limit with `ulimit -n`"
        );
    }
    (clients, pipes)
}

/// Each client may need a descriptor here and one towards a backend. Clients must not take the backends' share: then no
/// request could be forwarded, and backends that cannot be reached for want of a descriptor would count as dead.
/// So half of the `left` ones are set aside, or as many as there can be `upstreams` over all workers, if that is less.
/// A pipe has two; where descriptors are few, they have better uses.
fn affordable(asked: usize, workers: usize, left: u64, upstreams: Option<usize>) -> (usize, usize) {
    let workers = workers.max(1);
    let share = left / workers as u64;
    let share = usize::try_from(share).unwrap_or(usize::MAX);
    let pipes = DriverConfig::default().pipes.min(share / 32);
    // Connections that are being closed have left the books and not yet the table of descriptors.
    let closing = share / 64;
    let upstreams = upstreams.map_or(usize::MAX, |most| most.div_ceil(workers).saturating_add(closing));
    let aside = (share / 2 - pipes).min(upstreams);
    (asked.min(share - 2 * pipes - aside).max(1), pipes)
}

#[cfg(test)]
mod tests {
    use super::{affordable, descriptors_aside};

    #[test]
    fn clients_leave_descriptors_for_backends() {
        for (asked, workers, left, upstreams, expected) in [
            (50_000, 1, u64::MAX, None, (50_000, 64)),
            (50_000, 2, 200_256, None, (50_000, 64)),
            (50_000, 2, 200_253, None, (49_999, 64)),
            (50_000, 4, 960, None, (113, 7)),
            (50_000, 1, 0, None, (1, 0)),
            // A pool that cannot grow beyond its limit needs no more than that.
            (50_000, 2, 20_000, Some(1024), (9204, 64)),
            (50_000, 2, 20_000, Some(100_000), (4936, 64)),
            (50_000, 4, 960, Some(1024), (113, 7)),
        ] {
            assert_eq!(affordable(asked, workers, left, upstreams), expected, "{asked} {workers} {left} {upstreams:?}");
        }
    }
    #[test]
    fn the_descriptors_of_the_process_itself_grow_with_it() {
        assert_eq!(descriptors_aside(1, 1, false, 0), 37);
        assert_eq!(descriptors_aside(1, 1, true, 0), 57);
        assert_eq!(descriptors_aside(2, 1, true, 1), 63);
        assert_eq!(descriptors_aside(64, 100, true, 0), 408);
    }
}
