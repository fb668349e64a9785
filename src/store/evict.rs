//! Which keys go when memory is short.
//!
//! As the original: a few keys are looked at by chance, and the one that fits the policy best goes. That is nearly as good as an exact order,
//! and costs no list that each use of a key would have to be put into.

use super::{
    config::{Order, Policy, seconds, uses},
    keyspace::{Entry, Keyspace},
};
use std::rc::Rc;

impl Keyspace {
    /// Removes keys until no more than `limit` bytes are in use. `false`: there is none left that may go.
    pub(crate) fn make_room(&mut self, limit: usize, samples: usize) -> bool {
        while self.used > limit {
            let Some((db, key)) = self.candidate(samples) else { return false };
            self.about_to_go(db, &key);
        }
        true
    }

    fn about_to_go(&mut self, db: usize, key: &[u8]) {
        self.counts.evicted += 1;
        self.log.add(db, [&b"DEL"[..], key].into_iter());
        self.about_to_change(db, key);
        self.remove(db, key);
        self.touched(db, key);
    }

    /// The best of some keys of all databases.
    fn candidate(&mut self, samples: usize) -> Option<(usize, Rc<[u8]>)> {
        let (order, volatile) = match self.policy {
            Policy::NoEviction => return None,
            Policy::AllKeys(order) => (order, false),
            Policy::Volatile(order) => (order, true),
        };
        let len = |db: &super::keyspace::Db| if volatile { db.volatile.len() } else { db.keys.len() };
        let mut best: Option<(u64, usize, Rc<[u8]>)> = None;
        let samples = if order == Order::Random { 1 } else { samples };
        for number in 0..self.dbs.len() {
            let count = len(&self.dbs[number]);
            for _ in 0..if count == 0 { 0 } else { samples } {
                let place = self.random.below(count);
                let db = &self.dbs[number];
                let key =
                    if volatile { db.volatile.get_index(place) } else { db.keys.get_index(place).map(|(key, _)| key) };
                let Some(key) = key else { continue };
                let Some(entry) = db.keys.get(key) else { continue };
                let score = score(order, entry, self.now);
                if best.as_ref().is_none_or(|(most, ..)| score > *most) {
                    best = Some((score, number, Rc::clone(key)));
                }
            }
        }
        best.map(|(_, db, key)| (db, key))
    }
}

/// How well a key fits the policy: the highest goes.
fn score(order: Order, entry: &Entry, now: i64) -> u64 {
    match order {
        Order::Lru => u64::from(seconds(now).wrapping_sub(entry.access)),
        Order::Lfu => 255 - u64::from(uses(entry.access, now)),
        Order::Random => 0,
        Order::Ttl => u64::MAX - u64::try_from(entry.expires).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::value::{Text, Value},
        *,
    };

    fn full(policy: Policy) -> Keyspace {
        let mut keys = Keyspace::new(7);
        (keys.policy, keys.now) = (policy, 1_000_000_000_000);
        for number in 0..1000_i64 {
            let expires = if number % 2 == 0 { 0 } else { keys.now + 1000 * (number + 1) };
            keys.put(0, number.to_string().as_bytes(), Value::Text(Text::new(&[b'x'; 100])), expires);
        }
        keys
    }

    /// How many keys of the first and of the second half are left.
    fn halves(keys: &Keyspace) -> (usize, usize) {
        let number = |key: &Rc<[u8]>| String::from_utf8_lossy(key).parse::<usize>().unwrap();
        let first = keys.dbs[0].keys.keys().filter(|key| number(key) < 500).count();
        (first, keys.dbs[0].keys.len() - first)
    }

    #[test]
    fn memory_is_below_the_limit_afterwards_and_the_right_keys_are_left() {
        for policy in [Policy::AllKeys(Order::Lru), Policy::AllKeys(Order::Lfu)] {
            let mut keys = full(policy);
            for _ in 0..20 {
                keys.now += 1000;
                for number in 500..1000 {
                    assert!(keys.read(0, number.to_string().as_bytes()).is_some());
                }
            }
            let limit = keys.used / 2;
            assert!(keys.make_room(limit, 10) && keys.used <= limit);
            let (first, second) = halves(&keys);
            assert!(first < 60 && second > 400, "{policy:?}: {first} {second}");
        }
        let mut keys = full(Policy::Volatile(Order::Ttl));
        let limit = keys.used * 3 / 4;
        assert!(keys.make_room(limit, 10));
        let (first, second) = halves(&keys);
        assert!(first < 310 && second > 440, "those that expire first have gone: {first} {second}");
        let none = keys.used / 4;
        assert!(!keys.make_room(none, 10), "keys that do not expire stay");
        assert_eq!((keys.dbs[0].volatile.len(), keys.dbs[0].keys.len()), (0, 500));
        assert!(!full(Policy::NoEviction).make_room(1, 5));
    }

    #[test]
    fn an_empty_store_weighs_nothing() {
        let mut keys = full(Policy::AllKeys(Order::Random));
        assert!(keys.make_room(0, 5));
        assert_eq!((keys.used, keys.dbs[0].keys.len(), keys.counts.evicted), (0, 0, 1000));
    }
}
