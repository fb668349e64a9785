//! A directory as an object, for programs.
//!
//! ```json
//! {"path":"/docs/","complete":true,"entries":[{"name":"a.txt","href":"a.txt","type":"file","size":3,"modified":"2026-11-30T08:00:00Z"}]}
//! ```
//!
//! `href` is percent-encoded and leads to the file even where `name` cannot show it, because it is not UTF-8.

use super::{super::path::encode, Directory};
use serde::Serialize;

#[derive(Serialize)]
struct Shown<'d> {
    path: String,
    /// No name is missing.
    complete: bool,
    entries: Vec<Line<'d>>,
}

#[derive(Serialize)]
struct Line<'d> {
    name: std::borrow::Cow<'d, str>,
    href: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    modified: String,
}

pub(super) fn write(directory: &Directory) -> Vec<u8> {
    let line = |entry: &'_ super::Entry| {
        let mut href = String::new();
        encode(&entry.name, &mut href);
        if entry.length.is_none() {
            href.push('/');
        }
        (href, if entry.length.is_none() { "directory" } else { "file" })
    };
    let entries = directory.entries.iter().map(|entry| {
        let (href, kind) = line(entry);
        Line {
            name: String::from_utf8_lossy(&entry.name),
            href,
            r#type: kind,
            size: entry.length,
            modified: humantime::format_rfc3339_seconds(entry.modified).to_string(),
        }
    });
    let shown = Shown { path: directory.place.to_url(), complete: !directory.is_cut, entries: entries.collect() };
    let mut json = serde_json::to_vec(&shown).unwrap_or_default();
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::{super::tests::directory, *};

    #[test]
    fn an_object_with_a_reference_for_each_name() {
        let mut directory = directory("/a%20b/", &[(b"x y.txt", Some(3), 0), (b"\xff\"", None, 1)]);
        let text = String::from_utf8(write(&directory)).unwrap();
        let expected = concat!(
            "{\"path\":\"/a%20b/\",\"complete\":true,\"entries\":[",
            "{\"name\":\"x y.txt\",\"href\":\"x%20y.txt\",\"type\":\"file\",\"size\":3,\"modified\":\"2001-09-09T01:46:40Z\"},",
            "{\"name\":\"\u{fffd}\\\"\",\"href\":\"%FF%22/\",\"type\":\"directory\",\"modified\":\"2001-09-09T01:46:41Z\"}]}\n"
        );
        assert_eq!(text, expected);
        directory.is_cut = true;
        assert!(String::from_utf8(write(&directory)).unwrap().contains("\"complete\":false"));
    }
}
