//! `/purge` of the admin listener: `POST` takes stored responses out, `GET` says which ones would go.
//!
//! It takes its time: a step, and then whatever else the loop has to do. A client that hangs up ends it half-way.

use super::{answer::Answer, desk::Desk, guard::from_another_page};
use crate::{
    app::{ConnId, Cx, TimerKey},
    cache::purge::{Purge, Sweep},
    http::{Method, RequestHead, Status},
    proxy::shared::Shared,
};
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;

/// URLs that an answer names at most. To see more, ask for smaller parts one by one.
const LISTED: usize = 100;

const USAGE: &str = "\
one of:\n  /purge?url=URL       all variants of one URL: http://host/path, or /path for every host\n  \
/purge?prefix=START  all URLs that start so: http://host/path, or /path for every host\n  \
/purge?tag=TAG       all responses with this Surrogate-Key or Cache-Tag\n  \
/purge?all           everything\n\
POST takes them out, GET (or &dry-run) only says which ones would go. Write & as %26 in a URL.\n";

/// A purge for one client.
#[derive(Debug)]
pub(super) struct Purging {
    sweep: Sweep,
    /// Without a body: `HEAD`.
    brief: bool,
}

impl Desk {
    /// A visitor asks for `/purge`.
    pub(super) fn begin_purge(&mut self, conn: ConnId, head: &RequestHead, cx: &mut Cx) {
        let brief = head.method == Method::Head;
        match begin(&self.shared, head) {
            Ok(sweep) => {
                if let Some(visitor) = self.visitors.get_mut(&conn) {
                    visitor.purging = Some(Purging { sweep, brief });
                }
                cx.set_reading(conn, false);
                self.step_purge(conn, cx);
            }
            Err(answer) => self.conclude(conn, &answer, brief, cx),
        }
    }

    /// The next step for a visitor that waits for a purge.
    pub(super) fn step_purge(&mut self, conn: ConnId, cx: &mut Cx) {
        let visitor = self.visitors.get_mut(&conn);
        let Some(Purging { sweep, brief }) = visitor.and_then(|visitor| visitor.purging.as_mut()) else { return };
        match step(&self.shared, sweep) {
            None => cx.set_deadline(TimerKey::Conn(conn), Some(cx.now())),
            Some(answer) => {
                let brief = *brief;
                self.conclude(conn, &answer, brief, cx);
            }
        }
    }
}

/// Begins what a request for `/purge` asks for, or says why not.
fn begin(shared: &Shared, head: &RequestHead) -> Result<Sweep, Answer> {
    let Some(cache) = &shared.cache else {
        return Err(Answer::text(Status::NOT_FOUND, "nothing is cached here: see --cache-size\n"));
    };
    let asks = match head.method {
        Method::Post => false,
        Method::Get | Method::Head => true,
        _ => return Err(Answer::only("Allow: GET, HEAD, POST\r\n", USAGE)),
    };
    if !asks && from_another_page(head) {
        return Err(Answer::text(Status::FORBIDDEN, "not from a page of another origin\n"));
    }
    let (what, dry_run) = parse(head.parsed_target().query().unwrap_or_default())
        .map_err(|why| Answer::text(Status::BAD_REQUEST, format!("{why}\n{USAGE}")))?;
    let dry_run = dry_run || asks;
    let sweep = Sweep::begin(&cache.flights, what.clone(), dry_run, LISTED);
    if let Some(second) = cache.second.as_ref().filter(|_| !dry_run) {
        // Behind the first level, which lets nothing in from now on that is on its way.
        second.purge(&what);
    }
    Ok(sweep)
}

/// One step. The answer, when that was the last.
fn step(shared: &Shared, sweep: &mut Sweep) -> Option<Answer> {
    let cache = shared.cache.as_ref()?;
    let before = sweep.purged().entries;
    let more = sweep.step(&cache.store);
    let purged = sweep.purged();
    if !sweep.is_dry_run() {
        cache.purged.fetch_add(purged.entries - before, Relaxed);
    }
    if more {
        return None;
    }
    if !sweep.is_dry_run() {
        tracing::info!(entries = purged.entries, bytes = purged.bytes, "purged");
    }
    let body = json!({
        "dry_run": sweep.is_dry_run(),
        "entries": purged.entries,
        "bytes": purged.bytes,
        "urls": purged.urls,
        "not_listed": purged.entries.saturating_sub(purged.urls.len() as u64),
    });
    Some(Answer::json(Status::OK, &body))
}

/// The responses to take out, and whether the answer should only say which they are.
fn parse(query: &str) -> Result<(Purge, bool), String> {
    let (mut what, mut dry_run) = (None, false);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(decoded(value)?)),
            None => (parameter, None),
        };
        let purge = match (name, value) {
            ("dry-run", None) => {
                dry_run = true;
                continue;
            }
            ("all", None) => Purge::All,
            ("url", Some(url)) => Purge::url(&url)?,
            ("prefix", Some(prefix)) => Purge::prefix(&prefix)?,
            ("tag", Some(tag)) if !tag.is_empty() => Purge::Tag(tag),
            _ => return Err(format!("'{parameter}' is not understood")),
        };
        if what.replace(purge).is_some() {
            return Err("one thing at a time".to_owned());
        }
    }
    what.map(|what| (what, dry_run)).ok_or_else(|| "purge what?".to_owned())
}

/// `%2F` is `/`. A `+` stays one: it is no space in a path.
pub(super) fn decoded(value: &str) -> Result<String, String> {
    let bad = || format!("'{value}' has a % without two digits behind it, or is not UTF-8");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| bad())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let prefix = |text: &str| Purge::Prefix(text.to_owned());
        for (query, expected) in [
            ("all", Some((Purge::All, false))),
            ("all&dry-run", Some((Purge::All, true))),
            ("dry-run&all", Some((Purge::All, true))),
            ("&all&", Some((Purge::All, false))),
            ("tag=a%20b", Some((Purge::Tag("a b".to_owned()), false))),
            ("tag=a+b", Some((Purge::Tag("a+b".to_owned()), false))),
            ("prefix=/a", Some((prefix("/a"), false))),
            ("prefix=%2Fa%3Fb%3d%26", Some((prefix("/a?b=&"), false))),
            ("url=/a?b=c", Some((Purge::Path("/a?b=c".to_owned()), false))),
            // A `&` that was not escaped must not purge something else.
            ("url=/a?b=c&d=e", None),
            ("", None),
            ("dry-run", None),
            ("all=1", None),
            ("all&all", None),
            ("all&prefix=/a", None),
            ("tag=", None),
            ("tag", None),
            ("url=", None),
            ("url", None),
            ("prefix=", None),
            ("prefix=a", None),
            ("prefix=/%", None),
            ("prefix=/%4", None),
            ("prefix=/%+4", None),
            ("prefix=/%ff", None),
            ("dry-run=no&all", None),
            ("All", None),
        ] {
            assert_eq!(parse(query).ok(), expected, "{query}");
        }
    }
}
