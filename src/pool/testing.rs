//! Helpers of the pool's tests: a moment in time, backends, and wakers that only note that they were called.

use super::{Client, PoolConfig, Slots};
use crate::{
    backend::{Backend, BackendId},
    time::Instant,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Where the time of a test begins.
pub(super) fn start() -> Instant {
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Four seconds idle, ten old, so that both limits come into play in a short test.
pub(super) const CONFIG: PoolConfig = PoolConfig {
    max: 1024,
    idle: None,
    idle_timeout: Duration::from_secs(4),
    lifetime: Some(Duration::from_secs(10)),
    requests: None,
    queue: None,
    queue_timeout: Duration::from_secs(5),
};

/// The client, in tests where it makes no difference.
pub(super) const ONE: Client = client(1);

/// One of several clients.
pub(super) const fn client(number: u128) -> Client {
    Client::numbered(number)
}

/// A backend for each limit.
pub(super) fn backends(limits: &[Option<usize>]) -> Vec<Backend> {
    let backend = |(id, max): (u16, &Option<usize>)| Backend {
        id: BackendId(id),
        name: format!("backend-{id}"),
        addresses: SocketAddr::from(([127, 0, 0, 1], 9000 + id)).into(),
        weight: 1,
        max: *max,
        secured: None,
    };
    (0..).zip(limits).map(backend).collect()
}

/// Wake-ups that no worker has answered yet, one flag a worker.
pub(super) struct Wakeups(Vec<Arc<AtomicBool>>);

impl Wakeups {
    pub(super) fn attach(slots: &Slots) -> Self {
        let attach = |worker| {
            let flag = Arc::new(AtomicBool::new(false));
            let raised = Arc::clone(&flag);
            slots.attach(worker, Arc::new(move || raised.store(true, Ordering::SeqCst)));
            flag
        };
        Self((0..slots.workers()).map(attach).collect())
    }

    pub(super) fn pending(&self, worker: usize) -> bool {
        self.0[worker].load(Ordering::SeqCst)
    }

    /// Whether one was pending; it no longer is.
    pub(super) fn take(&self, worker: usize) -> bool {
        self.0[worker].swap(false, Ordering::SeqCst)
    }

    /// All answered.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|flag| flag.store(false, Ordering::SeqCst));
    }
}
