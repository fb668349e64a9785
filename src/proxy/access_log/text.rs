//! A line for people: an event of target `access`.

use super::Line;
use crate::{app::Secure, cache::Did, proxy::failure::Failure};
use std::fmt;

/// Writes the line. A connection over TLS has fields of its own, behind the others.
pub(super) fn write(line: &Line<'_>) {
    let record = line.record;
    let failure = line.outcome.map_or_else(Failure::as_str, |()| "-");
    let retries = Joined(&record.retries);
    /// The fields of every line, and those that are given.
    macro_rules! line {
        ($($more:tt)*) => {
            tracing::info!(
                target: "access",
                client = %record.client,
                peer = %record.peer,
                request = format_args!("\"{}\"", line.asked),
                status = record.status,
                sent = record.sent,
                received = record.received,
                ms = format_args!("{:.3}", line.seconds() * 1e3),
                backend = line.backend,
                pool = record.pool.as_str(),
                cache = record.cache.map_or("-", Did::as_str),
                retries = %retries,
                not_retried = record.not_retried.unwrap_or("-"),
                failure,
                close = line.close,
                stream = record.stream,
                user = record.user.as_deref(),
                site = line.way.map(|way| way.site.unwrap_or("-")),
                route = line.way.map(|way| way.route.unwrap_or("-")),
                upstream = line.way.map(|way| way.upstream.unwrap_or("-")),
                request_id = line.request_id(),
                trace_id = line.trace().map(|(trace, _)| trace),
                $($more)*
            )
        };
    }
    match record.secure.as_deref() {
        None => line!(),
        Some(Secure { version, key_exchange, suite, server_name, alpn, resumed, client, .. }) => line!(
            tls = format_args!("\"{version} {key_exchange} {suite}\""),
            sni = %server_name.as_deref().unwrap_or("-").escape_debug(),
            alpn = %alpn.as_deref().unwrap_or("-").escape_debug(),
            resumed = resumed,
            subject = format_args!("\"{}\"", client.as_deref().unwrap_or("-").escape_debug()),
        ),
    }
}

/// Reasons joined by commas, in quotes; `-` if there are none.
struct Joined<'a>(&'a [Failure]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "\"" } else { ", " }, failure.as_str())?;
        }
        f.write_str(if self.0.is_empty() { "-" } else { "\"" })
    }
}
