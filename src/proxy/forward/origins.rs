//! The servers that a forward proxy has to do with: each has a [`BackendId`] for as long as anything refers to it.
//!
//! Pools, load and links are tables with a place for each backend. A reverse proxy's backends are known when it starts; the
//! servers that clients name come and go. So a place is used again:
//!
//! ```text
//!   id          0          1           2           3            most
//!            tunnels   a.example   (free)     b.example   …   ─────▶
//!                          ▲                     ▲
//!            an Arc in each exchange and in each connection, idle or busy
//! ```
//!
//! Everything that holds an id holds the [`Arc`] of its server as well: an exchange until it is over, a connection until the
//! pool has forgotten it. A place whose `Arc` has no other owner is free, and no id of its last server is left anywhere. No
//! count has to be kept, and no number of a generation has to be compared.
//!
//! All tunnels share an id: nothing is pooled or limited there, so their servers need no place.

use super::Denied;
use crate::{
    backend::{Addresses, Backend, BackendId},
    time::Instant,
};
use std::{collections::HashMap, net::SocketAddr, sync::Arc};

/// The id of every tunnel's server.
pub(in crate::proxy) const TUNNELS: BackendId = BackendId(0);

/// The server of one tunnel.
pub(super) fn of_tunnel(name: &str, addresses: &[SocketAddr]) -> Arc<Backend> {
    Arc::new(backend(TUNNELS, name, addresses))
}

fn backend(id: BackendId, name: &str, addresses: &[SocketAddr]) -> Backend {
    let addresses = Addresses::new(addresses);
    Backend { id, name: name.to_owned(), addresses, weight: 1, max: None, secured: None }
}

/// Servers by name (`example.com:80`), and by id.
#[derive(Debug)]
pub(super) struct Origins {
    places: Vec<Place>,
    by_name: HashMap<Box<str>, u16>,
    /// Places that there may be.
    most: u16,
    /// The place that is looked at next for one to be used again.
    hand: usize,
}

#[derive(Debug)]
struct Place {
    backend: Arc<Backend>,
    /// Its addresses hold until then; `None`: for ever, as it was named by its address.
    until: Option<Instant>,
    /// It was asked for since the hand passed it.
    used: bool,
}

impl Place {
    fn holds(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Origins {
    /// With up to `most` places.
    pub(super) fn new(most: u16) -> Self {
        Self { places: Vec::new(), by_name: HashMap::new(), most, hand: 0 }
    }

    /// The server of that name, if its addresses are known.
    pub(super) fn find(&mut self, name: &str, now: Instant) -> Option<Arc<Backend>> {
        let place = &mut self.places[usize::from(*self.by_name.get(name)?)];
        place.used = true;
        place.holds(now).then(|| place.backend.clone())
    }

    /// The server of that name, whose addresses are these. If they are the same as before, it is the same server, and its
    /// connections can be used again.
    ///
    /// # Errors
    ///
    /// [`Denied::ManyOrigins`]: each place is in use.
    pub(super) fn enter(
        &mut self,
        name: &str,
        addresses: &[SocketAddr],
        until: Option<Instant>,
        now: Instant,
    ) -> Result<Arc<Backend>, Denied> {
        if let Some(index) = self.by_name.get(name) {
            let place = &mut self.places[usize::from(*index)];
            if place.backend.addresses == Addresses::new(addresses) {
                (place.until, place.used) = (until, true);
                return Ok(place.backend.clone());
            }
            // Connections to the old place of the server end as they idle; no request finds them any more.
            self.by_name.remove(name);
        }
        let index = self.vacant(now).ok_or(Denied::ManyOrigins)?;
        let backend = Arc::new(backend(BackendId(index + 1), name, addresses));
        let place = Place { backend: backend.clone(), until, used: true };
        match self.places.get_mut(usize::from(index)) {
            Some(old) => *old = place,
            None => self.places.push(place),
        }
        self.by_name.insert(name.into(), index);
        Ok(backend)
    }

    /// A place that no exchange and no connection refers to: a new one, or the one that was not asked for in the longest
    /// time, about. Its name leads nowhere any more.
    fn vacant(&mut self, now: Instant) -> Option<u16> {
        if self.places.len() < usize::from(self.most) {
            return u16::try_from(self.places.len()).ok();
        }
        // The first round takes back what was asked for before; the second one finds whatever is free.
        for _ in 0..2 * self.places.len() {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.places.len();
            let place = &mut self.places[index];
            // Other owners can only become fewer: new ones come from here, under the same lock.
            if Arc::get_mut(&mut place.backend).is_none() {
                continue;
            }
            if std::mem::take(&mut place.used) && place.holds(now) {
                continue;
            }
            let index = u16::try_from(index).ok()?;
            if self.by_name.get(place.backend.name.as_str()) == Some(&index) {
                self.by_name.remove(place.backend.name.as_str());
            }
            return Some(index);
        }
        None
    }

    /// Those that requests find, for statistics.
    pub(super) fn list(&self) -> Vec<Arc<Backend>> {
        let known = |(index, place): (u16, &Place)| {
            let found = self.by_name.get(place.backend.name.as_str()) == Some(&index);
            found.then(|| place.backend.clone())
        };
        (0..).zip(&self.places).filter_map(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn now() -> Instant {
        // Any instant will do.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn at(last: u8) -> [SocketAddr; 1] {
        [([203, 0, 113, last], 80).into()]
    }

    #[test]
    fn a_server_keeps_its_id_for_as_long_as_anything_refers_to_it() {
        let (mut origins, now) = (Origins::new(2), now());
        let a = origins.enter("a", &at(1), None, now).unwrap();
        let b = origins.enter("b", &at(2), None, now).unwrap();
        assert_eq!((a.id, b.id), (BackendId(1), BackendId(2)));
        assert_eq!(origins.enter("c", &at(3), None, now), Err(Denied::ManyOrigins));
        assert_eq!(origins.find("a", now).unwrap().id, a.id);
        drop(b);
        let c = origins.enter("c", &at(3), None, now).unwrap();
        assert_eq!((c.id, c.name.as_str()), (BackendId(2), "c"));
        assert!(origins.find("b", now).is_none() && origins.find("a", now).is_some());
        assert_eq!(origins.list().iter().map(|origin| origin.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn the_place_that_was_not_asked_for_lately_is_used_again() {
        let (mut origins, now) = (Origins::new(3), now());
        for name in ["a", "b", "c"] {
            drop(origins.enter(name, &at(1), None, now).unwrap());
        }
        // The hand passes all three, and takes the first.
        drop(origins.enter("d", &at(1), None, now).unwrap());
        assert!(origins.find("a", now).is_none());
        drop(origins.find("b", now));
        drop(origins.enter("e", &at(1), None, now).unwrap());
        assert!(origins.find("b", now).is_some() && origins.find("c", now).is_none());
    }

    #[test]
    fn addresses_hold_for_a_time_and_the_same_ones_mean_the_same_server() {
        let (mut origins, now) = (Origins::new(9), now());
        let second = Duration::from_secs(1);
        let first = origins.enter("a", &at(1), Some(now + second), now).unwrap();
        assert!(origins.find("a", now + second).is_none());
        let again = origins.enter("a", &at(1), Some(now + 3 * second), now + second).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(origins.find("a", now + 2 * second).is_some());
        // It has moved: its old connections are not those of the new server.
        let moved = origins.enter("a", &at(2), None, now + 3 * second).unwrap();
        assert_ne!(moved.id, first.id);
        assert_eq!(origins.find("a", now + 4 * second).unwrap().id, moved.id);
        assert_eq!(origins.list().len(), 1);
    }

    #[test]
    fn the_old_place_of_a_server_that_has_moved_is_used_again_and_its_name_stays() {
        let (mut origins, now) = (Origins::new(2), now());
        drop(origins.enter("a", &at(1), None, now).unwrap());
        let moved = origins.enter("a", &at(2), None, now).unwrap();
        let other = origins.enter("b", &at(3), None, now).unwrap();
        assert_eq!((moved.id, other.id), (BackendId(2), BackendId(1)));
        assert_eq!(origins.find("a", now).unwrap().id, moved.id);
    }

    #[test]
    fn tunnels_need_no_place() {
        assert_eq!(of_tunnel("a:443", &at(1)).id, TUNNELS);
    }
}
