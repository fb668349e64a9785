//! Helpers for the tests of fetches and of the responses that they bring.

use super::{Flights, Follower, Join, Lead};
use crate::{
    cache::{
        Body, Stored,
        fill::Added,
        mail::Ticket,
        store::{
            Entry,
            testing::{entry, place, store},
        },
        testing::now,
    },
    http::Fields,
};
use bytes::Bytes;
use std::sync::Arc;

pub(in crate::cache) fn flights(bytes: usize, object: usize, shards: usize) -> Arc<Flights> {
    Arc::new(Flights::new(store(bytes, object, shards), shards))
}

pub(in crate::cache) fn join(flights: &Arc<Flights>, path: &str) -> Join {
    let place = place(flights.store(), path);
    let found = flights.store().look_up(place, now().instant);
    flights.join(place, &found, None)
}

pub(in crate::cache) fn leader(flights: &Arc<Flights>, path: &str) -> Lead {
    let Join::Lead(lead) = join(flights, path) else { panic!("somebody leads already") };
    lead
}

pub(in crate::cache) fn follower(flights: &Arc<Flights>, path: &str) -> Follower {
    let Join::Follow(flight) = join(flights, path) else { panic!("nobody leads") };
    flight.follow(flights.store())
}

pub(in crate::cache) fn opened(flights: &Arc<Flights>, path: &str, length: Option<u64>) -> Lead {
    let mut lead = leader(flights, path);
    lead.open(entry(flights.store(), path, "", None), length);
    lead
}

pub(in crate::cache) fn append(lead: &mut Lead, data: &[u8]) -> (Added, Bytes) {
    lead.append(data, Ticket { worker: 0, who: 99 }, now().instant)
}

pub(in crate::cache) fn complete(lead: Lead) -> bool {
    let finish = |opening: &Entry, pieces| {
        let stored = Stored { body: Body::whole(pieces), ..opening.stored.clone() };
        Some(Entry::new(opening.key.clone(), opening.hash, stored))
    };
    lead.complete(now().instant, &Fields::new(), finish, |_, _| true).is_some()
}
