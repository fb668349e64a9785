//! Taking stored responses out because the operator says so: by URL, by prefix, by tag, or all.
//!
//! A URL is one look-up. Everything else is a walk over all entries, in steps that hold a lock for a few places only,
//! so that hits go on meanwhile. A matching response that is on its way from a backend goes to the clients that asked
//! for it, and is not stored: it may have been made before.

use super::{
    flights::Flights,
    key::{Key, Uri},
    store::{Entry, Store, Walk},
};
use crate::http::{Fields, Method, Target, members};
use std::sync::Arc;

/// Tags that one response may have; the rest is not looked at. Each costs memory for as long as the response is stored.
pub(super) const MAX_TAGS: usize = 128;

/// Looks at the store in one step, each at 128 places: half a microsecond a place.
const WALKS: usize = 64;

/// Entries freed in one step, as near as can be told: some ten microseconds each.
const FREED: u64 = 512;

/// The responses to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// All variants of one URI, which is absolute.
    Url(Target),
    /// The same path and query under every host: text that starts with `/`.
    Path(String),
    /// All URIs that start so: `http://a.example/news/`, or `/news/` for every host.
    Prefix(String),
    /// All responses that had this tag in `Surrogate-Key` or `Cache-Tag`.
    Tag(String),
    /// Everything.
    All,
}

impl Purge {
    /// One URL, absolute or from its path on. The error says what is wrong with it.
    pub fn url(text: &str) -> Result<Self, String> {
        let target = Target::parse(&Method::Get, text.as_bytes());
        match target {
            Ok(_) if text.starts_with('/') => Ok(Self::Path(text.to_owned())),
            Ok(target) if Uri::of_target(&target).is_some() => Ok(Self::Url(target)),
            _ => Err(format!("'{text}' is no URL: write http://host/path, or /path for every host")),
        }
    }

    /// The start of URLs, absolute or from the path on.
    pub fn prefix(text: &str) -> Result<Self, String> {
        let absolute = text.starts_with("http://") || text.starts_with("https://");
        if absolute || text.starts_with('/') {
            Ok(Self::Prefix(text.to_owned()))
        } else {
            Err(format!("'{text}' is the start of no URL: write http://host/path, or /path for every host"))
        }
    }

    /// Whether a stored response is meant.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        match self {
            Self::Tag(tag) => entry.stored.tags.iter().any(|other| **other == *tag.as_bytes()),
            _ => self.names(&entry.key),
        }
    }

    /// Whether something is meant that another process has stored for a URI, with these tags. If the URI cannot be read, it is: better too
    /// much than too little.
    #[must_use]
    pub fn covers(&self, uri: &str, tags: &[&[u8]]) -> bool {
        match self {
            Self::All => true,
            Self::Tag(tag) => tags.contains(&tag.as_bytes()),
            Self::Url(_) | Self::Path(_) | Self::Prefix(_) => {
                let target = Target::parse(&Method::Get, uri.as_bytes()).ok();
                target.as_ref().and_then(Uri::of_target).is_none_or(|uri| self.names(&uri.to_key()))
            }
        }
    }

    /// Whether everything stored under the key is meant.
    pub(super) fn names(&self, key: &Key) -> bool {
        match self {
            Self::Url(target) => Uri::of_target(target).is_some_and(|uri| uri.is(key)),
            Self::Path(path) => from_path_on(key) == path,
            Self::Prefix(prefix) if prefix.starts_with('/') => from_path_on(key).starts_with(prefix),
            Self::Prefix(prefix) => key.as_str().starts_with(prefix),
            Self::Tag(_) => false,
            Self::All => true,
        }
    }
}

/// A key without scheme and host.
fn from_path_on(key: &Key) -> &str {
    let uri = key.uri();
    key.as_str().get(uri.scheme.prefix().len() + uri.authority.len()..).unwrap_or_default()
}

/// The responses that went, or would go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// Stored responses. Variants of one URL count each.
    pub entries: u64,
    /// Bytes that they took.
    pub bytes: u64,
    /// Their URLs, as far as there is room. A URL with several variants comes several times.
    pub urls: Vec<String>,
}

/// A purge under way. It is done in steps, as freeing a million responses takes seconds that no event loop has.
#[derive(Debug)]
pub struct Sweep {
    what: Purge,
    dry_run: bool,
    list: usize,
    walk: Walk,
    purged: Purged,
}

impl Sweep {
    /// Begins. From here on nothing is stored that was on its way and matches. With `dry_run` everything stays; up to
    /// `list` URLs are named.
    #[must_use]
    pub fn begin(flights: &Flights, what: Purge, dry_run: bool, list: usize) -> Self {
        match &what {
            _ if dry_run => {}
            Purge::Url(target) => {
                if let Some(uri) = Uri::of_target(target) {
                    flights.cut(flights.store().place(uri));
                }
            }
            what => {
                let pattern = what.clone();
                flights.cut_all(move |entry| pattern.matches(entry), |key| what.names(key));
            }
        }
        Self { what, dry_run, list, walk: Walk::default(), purged: Purged::default() }
    }

    /// Does the next few milliseconds' worth. `false`: that was all.
    pub fn step(&mut self, store: &Store) -> bool {
        let Self { what, dry_run, list, walk, purged } = self;
        let what = &*what;
        let before = purged.entries;
        let meet = |entry: &Arc<Entry>, purged: &mut Purged| {
            if !what.matches(entry) || !*dry_run && !store.remove_entry(entry) {
                return;
            }
            purged.entries += 1;
            purged.bytes += entry.cost() as u64;
            if purged.urls.len() < *list {
                purged.urls.push(entry.key.as_str().to_owned());
            }
        };
        if let Purge::Url(target) = what {
            let place = Uri::of_target(target).map(|uri| store.place(uri));
            place.iter().flat_map(|place| store.peek(*place)).for_each(|entry| meet(&entry, purged));
            return false;
        }
        for _ in 0..WALKS {
            if !store.walk(walk, |entry| meet(entry, purged)) {
                return false;
            }
            if !*dry_run && purged.entries - before >= FREED {
                break;
            }
        }
        true
    }

    /// The responses that went so far.
    #[must_use]
    pub fn purged(&self) -> &Purged {
        &self.purged
    }

    /// Whether nothing goes.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

/// The tags that a response gives itself: `Surrogate-Key` has them between spaces, `Cache-Tag` between commas. They are
/// compared as they are spelled.
#[must_use]
pub fn tags_of(fields: &Fields) -> Box<[Box<[u8]>]> {
    let keys = fields.get_all("surrogate-key").flat_map(|line| line.split(|byte| matches!(byte, b' ' | b'\t')));
    let tags = fields.get_all("cache-tag").flat_map(members);
    keys.chain(tags).filter(|tag| !tag.is_empty()).take(MAX_TAGS).map(Box::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for (fields, expected) in [
            (vec![], vec![]),
            (vec![("Surrogate-Key", "a  b\tc ")], vec!["a", "b", "c"]),
            (vec![("Cache-Tag", "a, b,,c d")], vec!["a", "b", "c d"]),
            (vec![("cache-tag", "x"), ("surrogate-key", "y"), ("Cache-Tag", "z")], vec!["y", "x", "z"]),
            (vec![("Tag", "x")], vec![]),
        ] {
            let tags = tags_of(&fields.into_iter().collect());
            assert_eq!(
                tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
                expected.iter().map(|tag| tag.as_bytes()).collect::<Vec<_>>()
            );
        }
        let many = "x ".repeat(MAX_TAGS + 1);
        assert_eq!(tags_of(&[("Surrogate-Key", many.as_str())].into_iter().collect()).len(), MAX_TAGS);
    }

    #[test]
    fn the_purges_that_an_operator_writes() {
        assert!(matches!(Purge::url("http://a.example/x?y"), Ok(Purge::Url(_))));
        assert!(matches!(Purge::url("/x?y"), Ok(Purge::Path(path)) if path == "/x?y"));
        for bad in ["", "a.example/x", "ftp://a/", "http://", "*", "http://a/ b"] {
            assert!(Purge::url(bad).is_err_and(|why| why.contains("http://host/path")), "{bad:?}");
        }
        for good in ["/", "/x", "http://a", "https://a.example/x?y="] {
            assert!(Purge::prefix(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a", "*", "http", "ftp://a"] {
            assert!(Purge::prefix(bad).is_err(), "{bad:?}");
        }
    }
}
