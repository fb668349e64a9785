//! `Cache-Control` says the same in one line and in several, in capitals, and when we write it; and no line that
//! follows makes a response live longer. `CDN-Cache-Control` is a dictionary of structured fields, which a second
//! reader reads from its grammar ([`dictionary`](super::dictionary)).

use super::{
    dictionary::{self, Value},
    lines::{is_open, joined, lines, named},
};
use socket_patterns::{
    cache::{FieldNames, MaxStale, RequestDirectives, ResponseDirectives, Seconds},
    http::Fields,
};
use std::fmt::Write as _;

const FIELD: &str = "Cache-Control";
const TARGETED: &str = "CDN-Cache-Control";

/// The number of first lines that are also read without those that follow.
const PREFIXES: usize = 32;

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let lines = lines(data);
    let fields = named(FIELD, &lines);
    let capitals: Fields = fields.iter().map(|(name, value)| (name, value.to_ascii_uppercase())).collect();
    response(&lines, &fields, &capitals);
    request(&lines, &fields, &capitals);
    targeted(&named(TARGETED, &lines));
}

/// One line instead of several, where that says the same.
fn folded(fields: &Fields) -> Option<Fields> {
    let whole = fields.get_all(FIELD).all(|line| !is_open(line));
    let line = joined(fields, FIELD).filter(|_| whole)?;
    Some([(FIELD, line)].into_iter().collect())
}

fn response(lines: &[&[u8]], fields: &Fields, capitals: &Fields) {
    let said = ResponseDirectives::of(fields);
    assert_eq!(ResponseDirectives::of(&[(FIELD, written(&said))].into_iter().collect()), said, "written again");
    assert_eq!(ResponseDirectives::of(capitals), said, "in capitals");
    if let Some(folded) = folded(fields) {
        assert_eq!(ResponseDirectives::of(&folded), said, "in one line");
    }
    for count in 0..lines.len().min(PREFIXES) {
        let less = ResponseDirectives::of(&named(FIELD, &lines[..count]));
        assert!(is_stricter(&said, &less), "{less:?} {said:?}");
    }
}

/// Whether what says `more` allows nothing that what says `less` does not, as far as `less` says anything about it.
fn is_stricter(more: &ResponseDirectives, less: &ResponseDirectives) -> bool {
    let shorter =
        |more: Option<Seconds>, less: Option<Seconds>| less.is_none_or(|less| more.is_some_and(|more| more <= less));
    let wider = |more: &FieldNames, less: &FieldNames| match less {
        FieldNames::None => true,
        FieldNames::Whole => more.is_whole(),
        FieldNames::Only(names) => more.is_whole() || names.iter().all(|name| more.names(name)),
    };
    shorter(more.max_age, less.max_age)
        && shorter(more.s_maxage, less.s_maxage)
        && shorter(more.stale_while_revalidate, less.stale_while_revalidate)
        && shorter(more.stale_if_error, less.stale_if_error)
        && wider(&more.no_cache, &less.no_cache)
        && wider(&more.private, &less.private)
        && more.no_store >= less.no_store
        && more.forbids_stale() >= less.forbids_stale()
        && more.no_transform >= less.no_transform
}

/// The directives that were read, in a line of our own.
fn written(said: &ResponseDirectives) -> String {
    let mut line = String::new();
    for (name, seconds) in [
        ("max-age", said.max_age),
        ("s-maxage", said.s_maxage),
        ("stale-while-revalidate", said.stale_while_revalidate),
        ("stale-if-error", said.stale_if_error),
    ] {
        put_seconds(&mut line, name, seconds);
    }
    for (name, fields) in [("no-cache", &said.no_cache), ("private", &said.private)] {
        match fields {
            FieldNames::None => {}
            FieldNames::Whole => put(&mut line, name),
            FieldNames::Only(names) => put(&mut line, &format!("{name}=\"{}\"", names.join(", "))),
        }
    }
    for (name, is_said) in [
        ("no-store", said.no_store),
        ("public", said.public),
        ("must-revalidate", said.must_revalidate),
        ("proxy-revalidate", said.proxy_revalidate),
        ("must-understand", said.must_understand),
        ("no-transform", said.no_transform),
        ("immutable", said.immutable),
    ] {
        if is_said {
            put(&mut line, name);
        }
    }
    line
}

fn put(line: &mut String, directive: &str) {
    let comma = if line.is_empty() { "" } else { ", " };
    write!(line, "{comma}{directive}").expect("a string has room");
}

fn put_seconds(line: &mut String, name: &str, seconds: Option<Seconds>) {
    if let Some(seconds) = seconds {
        put(line, &format!("{name}={}", seconds.get()));
    }
}

fn request(lines: &[&[u8]], fields: &Fields, capitals: &Fields) {
    let said = RequestDirectives::of(fields);
    let again: Fields = [(FIELD, written_request(&said))].into_iter().collect();
    assert_eq!(RequestDirectives::of(&again), said, "written again");
    assert_eq!(RequestDirectives::of(capitals), said, "in capitals");
    if let Some(folded) = folded(fields) {
        assert_eq!(RequestDirectives::of(&folded), said, "in one line");
    }
    for count in 0..lines.len().min(PREFIXES) {
        let less = RequestDirectives::of(&named(FIELD, &lines[..count]));
        assert!(said.no_cache >= less.no_cache && said.no_store >= less.no_store, "{less:?} {said:?}");
        assert!(less.max_age.is_none_or(|less| said.max_age.is_some_and(|more| more <= less)), "{less:?} {said:?}");
        assert!(said.min_fresh >= less.min_fresh, "{less:?} {said:?}");
    }
}

fn written_request(said: &RequestDirectives) -> String {
    let mut line = String::new();
    put_seconds(&mut line, "max-age", said.max_age);
    put_seconds(&mut line, "min-fresh", said.min_fresh);
    put_seconds(&mut line, "stale-if-error", said.stale_if_error);
    match said.max_stale {
        None => {}
        Some(MaxStale::Any) => put(&mut line, "max-stale"),
        Some(MaxStale::Within(limit)) => put_seconds(&mut line, "max-stale", Some(limit)),
    }
    for (name, is_said) in
        [("no-cache", said.no_cache), ("no-store", said.no_store), ("only-if-cached", said.only_if_cached)]
    {
        if is_said {
            put(&mut line, name);
        }
    }
    line
}

/// RFC 9213 §2.1, §2.2: the directive's value has to be of its type, else the field is not there.
fn targeted(fields: &Fields) {
    let read = ResponseDirectives::of(fields);
    let line = joined(fields, TARGETED).unwrap_or_default();
    let members = dictionary::read(&line).filter(|members| !members.is_empty());
    let expected = members.and_then(|members| as_cache_control(&members));
    assert_eq!(read.targeted, expected.is_some(), "{read:?} {expected:?}");
    if let Some(expected) = expected {
        let untargeted = ResponseDirectives { targeted: false, ..read };
        assert_eq!(untargeted, ResponseDirectives::of(&[(FIELD, expected)].into_iter().collect()));
    }
}

/// The same in the other field's syntax.
fn as_cache_control(members: &[(String, Value)]) -> Option<String> {
    let mut line = String::new();
    for name in ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"] {
        match dictionary::last(members, name) {
            None | Some(Value::Boolean(false)) => {}
            Some(Value::Integer(number)) => put(&mut line, &format!("{name}={number}")),
            Some(_) => return None,
        }
    }
    for name in ["no-cache", "private"] {
        match dictionary::last(members, name) {
            None | Some(Value::Boolean(false)) => {}
            Some(Value::Boolean(true)) => put(&mut line, name),
            Some(Value::Text(text)) => {
                let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
                put(&mut line, &format!("{name}=\"{quoted}\""));
            }
            Some(Value::Integer(_) | Value::Other) => return None,
        }
    }
    for name in ["no-store", "public", "must-revalidate", "proxy-revalidate", "must-understand", "no-transform"] {
        match dictionary::last(members, name) {
            None | Some(Value::Boolean(false)) => {}
            Some(Value::Boolean(true)) => put(&mut line, name),
            Some(_) => return None,
        }
    }
    // Its value has no meaning (RFC 8246 §2).
    if !matches!(dictionary::last(members, "immutable"), None | Some(Value::Boolean(false))) {
        put(&mut line, "immutable");
    }
    Some(line)
}
