//! A directory as a page, or as JSON: which of the two, and in which order.
//!
//! ```text
//! /docs/?sort=size&order=desc        directories first, then the largest file
//! Accept: application/json           the same for programs
//! ```
//!
//! Both are written on a thread, whole, and sent as they are: a directory of ten thousand names is two megabytes.

mod html;
mod json;

use super::{encoding::weighted, path::Place};
use crate::http::Fields;
use std::{cmp::Ordering, time::SystemTime};

/// Names of one directory that are shown. A page with more is of use to nobody, and every name costs a question to the file system.
pub(super) const MAX_ENTRIES: usize = 20_000;

/// The view of a directory that a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listing {
    /// The property that files are sorted by.
    pub order: Order,
    /// The last one first.
    pub descending: bool,
    /// For people or for programs.
    pub form: Form,
}

/// The property that files are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Their names, byte by byte.
    Name,
    /// Their lengths.
    Size,
    /// The time of their last change.
    Date,
}

/// For whom a listing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A page.
    Html,
    /// An object.
    Json,
}

impl Form {
    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

impl Order {
    fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Date => "date",
        }
    }
}

/// A name of a directory, and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it is on the disk: not always UTF-8.
    pub name: Vec<u8>,
    /// How long it is; `None` for a directory.
    pub length: Option<u64>,
    /// When its content changed last.
    pub modified: SystemTime,
}

/// The names of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Which one.
    pub place: Place,
    /// In any order.
    pub entries: Vec<Entry>,
    /// There are more: [`MAX_ENTRIES`] are here.
    pub is_cut: bool,
}

impl Listing {
    /// The view that a request wants: by the query `sort=name|size|date&order=asc|desc`, and by `Accept`. Anything else there is ignored.
    #[must_use]
    pub fn of(query: Option<&str>, fields: &Fields) -> Self {
        let form = if prefers_json(fields) { Form::Json } else { Form::Html };
        let mut listing = Self { order: Order::Name, descending: false, form };
        for pair in query.unwrap_or_default().split('&') {
            match pair {
                "sort=name" => listing.order = Order::Name,
                "sort=size" => listing.order = Order::Size,
                "sort=date" => listing.order = Order::Date,
                "order=asc" => listing.descending = false,
                "order=desc" => listing.descending = true,
                _ => {}
            }
        }
        listing
    }

    /// Writes it.
    #[must_use]
    pub fn write(self, mut directory: Directory) -> Vec<u8> {
        directory.entries.sort_unstable_by(|one, other| self.compare(one, other));
        match self.form {
            Form::Html => html::write(&directory, self).into_bytes(),
            Form::Json => json::write(&directory),
        }
    }

    /// Directories come first in every order: they are the way to go on.
    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let by_kind = one.length.is_some().cmp(&other.length.is_some());
        let by_name = || one.name.cmp(&other.name);
        let wanted = match self.order {
            Order::Name => by_name(),
            Order::Size => one.length.cmp(&other.length).then_with(by_name),
            Order::Date => one.modified.cmp(&other.modified).then_with(by_name),
        };
        by_kind.then(if self.descending { wanted.reverse() } else { wanted })
    }
}

/// Whether `Accept` has a higher weight for JSON than for HTML (RFC 9110 §12.5.1).
fn prefers_json(fields: &Fields) -> bool {
    let weight_of = |essence: &str| {
        let (kind, _) = essence.split_once('/').unwrap_or_default();
        let mut best = (0, 0);
        for (range, weight) in fields.tokens("accept").filter_map(weighted) {
            let range = range.to_ascii_lowercase();
            // The most specific range counts, whatever its weight.
            let specific = match range.as_slice() {
                range if range == essence.as_bytes() => 3,
                range if range.strip_suffix(b"/*") == Some(kind.as_bytes()) => 2,
                b"*/*" => 1,
                _ => continue,
            };
            if specific > best.0 {
                best = (specific, weight);
            }
        }
        best.1
    };
    fields.contains("accept") && weight_of("application/json") > weight_of("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    pub(super) fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
    }

    pub(super) fn directory(path: &str, entries: &[(&[u8], Option<u64>, u64)]) -> Directory {
        let entry = |(name, length, modified): &(&[u8], _, _)| Entry {
            name: name.to_vec(),
            length: *length,
            modified: at(*modified),
        };
        Directory { place: Place::of(path).unwrap(), entries: entries.iter().map(entry).collect(), is_cut: false }
    }

    #[test]
    fn json_is_for_those_that_prefer_it() {
        for (accept, json) in [
            (None, false),
            (Some(""), false),
            (Some("application/json"), true),
            (Some("APPLICATION/json;charset=utf-8"), true),
            (Some("*/*"), false),
            (Some("application/*"), true),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), false),
            (Some("application/json, text/html"), false),
            (Some("application/json, text/html;q=0.9"), true),
            (Some("text/*;q=0.1, */*;q=0.2"), true),
            (Some("application/json;q=0, */*"), false),
            (Some("text/html;q=0.5, application/json;q=oops"), false),
        ] {
            let fields: Fields = accept.map(|accept| ("Accept", accept)).into_iter().collect();
            assert_eq!(Listing::of(None, &fields).form == Form::Json, json, "{accept:?}");
        }
    }

    #[test]
    fn names_are_sorted_as_the_query_says() {
        let directory = directory(
            "/",
            &[(b"b", Some(9), 2), (b"a", Some(10), 1), (b"z", None, 3), (b"c", Some(9), 0), (b"y", None, 9)],
        );
        for (query, expected) in [
            (None, "yzabc"),
            (Some("sort=name"), "yzabc"),
            (Some("order=desc"), "zycba"),
            (Some("sort=size"), "yzbca"),
            (Some("sort=size&order=desc"), "zyacb"),
            (Some("order=desc&sort=date"), "yzbac"),
            (Some("sort=date"), "zycab"),
            (Some("sort=colour&x&=&sort="), "yzabc"),
        ] {
            let listing = Listing::of(query, &[("Accept", "application/json")].into_iter().collect());
            let written: serde_json::Value = serde_json::from_slice(&listing.write(directory.clone())).unwrap();
            let names: String =
                written["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{query:?}");
        }
    }
}
