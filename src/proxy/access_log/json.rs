//! A line for programs: an object of JSON, whose members are named as the fields of the text are, with their units. A member that
//! would tell nothing is left out.

use super::{Chosen, Line, RequestLine};
use crate::{
    app::Secure,
    proxy::record::{PoolUse, Record},
    units::json_text,
};
use std::fmt::{self, Display, Write as _};

/// The longest part of a field of the request that is shown. A longer one has no other reader than this log.
const FIELD_MAX: usize = 1024;

/// The line, with its end.
pub(super) fn line(line: &Line<'_>) -> String {
    let mut out = String::with_capacity(512);
    // Writing to a string does not fail.
    let _ = object(&mut out, line);
    out
}

fn object(out: &mut String, line: &Line<'_>) -> fmt::Result {
    let record = line.record;
    write!(out, "{{\"time\":\"{}\"", humantime::format_rfc3339_micros(line.now.wall))?;
    text(out, "client", Some(record.client))?;
    text(out, "peer", Some(record.peer))?;
    text(out, "user", record.user.as_deref())?;
    request(out, line.asked)?;
    write!(out, ",\"status\":{},\"sent_bytes\":{},\"received_bytes\":{}", record.status, record.sent, record.received)?;
    write!(out, ",\"duration_seconds\":{:.6}", line.seconds())?;
    let Chosen { site, route, upstream } = line.way.unwrap_or_default();
    text(out, "site", site)?;
    text(out, "route", route)?;
    text(out, "upstream", upstream)?;
    outcome(out, line)?;
    if let Some(stream) = record.stream {
        write!(out, ",\"stream\":{stream}")?;
    }
    if let Some(secure) = record.secure.as_deref() {
        tls(out, secure)?;
    }
    text(out, "request_id", line.request_id())?;
    text(out, "trace_id", line.trace().map(|(trace, _)| trace))?;
    text(out, "span_id", line.trace().map(|(_, span)| span))?;
    if let RequestLine::Head(head, _) = line.asked {
        for (name, field) in [("referer", "referer"), ("user_agent", "user-agent")] {
            text(out, name, head.fields.get(field).map(shown))?;
        }
    }
    out.write_str("}\n")
}

/// The way to its answer.
fn outcome(out: &mut String, line: &Line<'_>) -> fmt::Result {
    let Record { pool, cache, retries, not_retried, .. } = line.record;
    let told = |word| Some(word).filter(|word| *word != "-");
    text(out, "backend", told(line.backend))?;
    text(out, "pool", Some(*pool).filter(|pool| *pool != PoolUse::None).map(PoolUse::as_str))?;
    text(out, "cache", cache.map(|cache| cache.as_str()))?;
    if !retries.is_empty() {
        out.write_str(",\"retries\":[")?;
        for (index, failure) in retries.iter().enumerate() {
            out.write_str(if index == 0 { "" } else { "," })?;
            json_text(out, failure.as_str())?;
        }
        out.write_char(']')?;
    }
    text(out, "not_retried", *not_retried)?;
    text(out, "failure", line.outcome.err().map(|failure| failure.as_str()))?;
    text(out, "close", told(line.close))
}

fn request(out: &mut String, asked: RequestLine<'_>) -> fmt::Result {
    match asked {
        RequestLine::Head(head, version) => {
            text(out, "method", Some(head.method.as_str()))?;
            text(out, "target", Some(head.target()))?;
            text(out, "version", Some(version))?;
            text(out, "host", head.authority())
        }
        RequestLine::Bytes(shown) => text(out, "request", Some(shown).filter(|shown| *shown != "-")),
    }
}

fn tls(out: &mut String, secure: &Secure) -> fmt::Result {
    let Secure { version, key_exchange, suite, server_name, alpn, resumed, client, .. } = secure;
    write!(out, ",\"tls\":{{\"resumed\":{resumed}")?;
    text(out, "version", Some(version))?;
    text(out, "key_exchange", Some(*key_exchange).filter(|how| *how != "-"))?;
    text(out, "suite", Some(suite))?;
    text(out, "server_name", server_name.as_deref())?;
    text(out, "protocol", alpn.as_deref())?;
    text(out, "subject", client.as_deref())?;
    out.write_char('}')
}

/// A member, behind others.
fn text(out: &mut String, name: &str, value: Option<impl Display>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    write!(out, ",\"{name}\":")?;
    json_text(out, value)
}

/// Bytes that are no text are shown as the sign for that.
fn shown(value: &[u8]) -> String {
    let cut = &value[..value.len().min(FIELD_MAX)];
    let more = if cut.len() < value.len() { "…" } else { "" };
    format!("{}{more}", String::from_utf8_lossy(cut))
}
