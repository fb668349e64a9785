//! How many requests of one client run at once, on all workers.
//!
//! A client is counted as long as it has a request: so the table is never larger than there are requests.

use super::rates::client_key;
use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A limit of requests that one client may have at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtOnce {
    /// Tells it from other limits.
    pub id: Box<str>,
    /// The number.
    pub most: NonZeroU32,
}

/// The requests that run, by limit and client.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Running(Mutex<HashMap<(Box<str>, u128), u32>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Box<str>, u128), u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more request of that client. `false`: it has as many as it may.
    pub(in crate::proxy) fn enter(&self, limit: &AtOnce, client: IpAddr) -> bool {
        let mut running = self.lock();
        let count = running.entry((limit.id.clone(), client_key(client))).or_default();
        let enters = *count < limit.most.get();
        *count += u32::from(enters);
        enters
    }

    /// One of them is over.
    pub(in crate::proxy) fn leave(&self, limit: &AtOnce, client: IpAddr) {
        let mut running = self.lock();
        let key = (limit.id.clone(), client_key(client));
        match running.get_mut(&key) {
            Some(count @ 2..) => *count -= 1,
            Some(_) => drop(running.remove(&key)),
            None => {}
        }
    }

    /// Clients that have requests.
    pub(in crate::proxy) fn clients(&self) -> usize {
        self.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_at_once_and_leaves_nothing_behind() {
        let (running, limit) = (Running::default(), AtOnce { id: "a".into(), most: NonZeroU32::new(2).unwrap() });
        let other = AtOnce { id: "b".into(), ..limit.clone() };
        let client = |text: &str| text.parse().unwrap();
        let (one, two) = (client("192.0.2.1"), client("192.0.2.2"));
        assert!(running.enter(&limit, one) && running.enter(&limit, one) && !running.enter(&limit, one));
        assert!(running.enter(&limit, two) && running.enter(&other, one));
        running.leave(&limit, one);
        assert!(running.enter(&limit, one) && !running.enter(&limit, one));
        for (limit, client) in [(&limit, one), (&limit, one), (&limit, two), (&other, one), (&other, two)] {
            running.leave(limit, client);
        }
        assert_eq!(running.clients(), 0);
        // Addresses of one customer are one client.
        assert!(running.enter(&limit, client("2001:db8::1")) && running.enter(&limit, client("2001:db8::2")));
        assert!(!running.enter(&limit, client("2001:db8::3")));
    }
}
