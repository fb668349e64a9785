//! Helpers for the tests of the store and of the code that fills it.

use super::{Entry, Limits, Place, Store};
use crate::{
    cache::{
        Body, Selecting,
        key::{Seed, Uri},
        mail::{Mail, Ticket},
        testing::{now, stored},
    },
    http::{Fields, target::Scheme},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

pub(in crate::cache) const TICKET: Ticket = Ticket { worker: 0, who: 1 };

pub(in crate::cache) fn store(bytes: usize, object: usize, shards: usize) -> Arc<Store> {
    let limits = Limits { bytes, object, variants: 3, uncacheable_for: Duration::from_secs(5) };
    Arc::new(Store::new(limits, shards, Seed(7), Mail::new(1, Arc::new(|_| ()))))
}

/// Where the path of the host `h` is kept.
pub(in crate::cache) fn place<'a>(store: &Store, path: &'a str) -> Place<'a> {
    store.place(Uri { scheme: Scheme::Http, authority: "h", path, query: None })
}

/// An entry whose body is `content`; `variant` is what it answers in `X`.
pub(in crate::cache) fn entry(store: &Store, path: &str, content: &str, variant: Option<&str>) -> Entry {
    let at = place(store, path);
    let mut stored = stored(&[("Cache-Control", "max-age=60")], "");
    stored.body = Body::whole(vec![Bytes::copy_from_slice(content.as_bytes())]);
    if let Some(variant) = variant {
        let vary: Fields = [("Vary", "X")].into_iter().collect();
        let asked: Fields = [("X", variant)].into_iter().collect();
        stored.selecting = Selecting::of(&vary, &asked);
    }
    Entry::new(at.uri.to_key(), at.hash, stored)
}

pub(in crate::cache) fn put(store: &Store, path: &str, content: &str) -> bool {
    let entry = entry(store, path, content, None);
    store.insert(entry, now().instant, |_, _| true).is_ok()
}

pub(in crate::cache) fn bodies(store: &Store, path: &str) -> Vec<Vec<u8>> {
    let found = store.look_up(place(store, path), now().instant);
    found.entries.as_slice().iter().map(|entry| entry.stored.body.pieces().concat()).collect()
}
