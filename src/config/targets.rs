//! `redirect` and `respond`: the answers that a route gives itself.

use super::{
    fields::Fields,
    tree::{Mistake, Value},
};
use crate::{
    http::{Status, is_token},
    proxy::{Location, TEXT, Target},
};

/// The keys of a redirect, and of an answer.
pub(super) const REDIRECT: &[&str] = &["to", "status", "keep-path"];
pub(super) const RESPOND: &[&str] = &["status", "body", "type"];

/// `"https://www.test"`, or a table with more.
pub(super) fn redirect(fields: &Fields<'_>) -> Result<Target, Mistake> {
    let Some(entry) = fields.get("redirect") else { return Err(fields.missing("redirect", "\"https://HOST\"")) };
    let (text, place, status, keeps_path) = match &entry.node.value {
        Value::Table(table) => {
            let inner = Fields::new(table, "redirect", REDIRECT)?;
            let (to, place) = inner.text("to")?.ok_or_else(|| inner.missing("to", "\"https://HOST\""))?;
            let keeps_path = inner.bool("keep-path")?.map(|yes| (yes, inner.place("keep-path")));
            (to, place, inner.number("status")?, keeps_path)
        }
        _ => {
            let (to, place) = fields.text("redirect")?.ok_or_else(|| fields.missing("redirect", "\"https://HOST\""))?;
            (to, place, None, None)
        }
    };
    let to = Location::parse(&text)
        .map_err(|problem| place.mistake(format!("{text:?} is no place to send a client to: {problem}")))?;
    let to = match (to.is_fixed(), keeps_path) {
        (true, None | Some((true, _))) => to.with_path(),
        (true, Some((false, _))) | (false, None) => to,
        (false, Some((_, at))) => {
            return Err(at.mistake("`keep-path` means nothing beside {path} and its like, which say where it stands"));
        }
    };
    let status = match status {
        None => Status::PERMANENT_REDIRECT,
        Some((text, place)) => {
            let known = [301, 302, 303, 307, 308].into_iter().find(|code| code.to_string() == text);
            known.and_then(Status::new).ok_or_else(|| {
                place.mistake(format!("{text} is no status of a redirect: write 301, 302, 303, 307 or 308"))
            })?
        }
    };
    Ok(Target::Redirect { status, to })
}

/// A status, or a table with a text.
pub(super) fn respond(fields: &Fields<'_>) -> Result<Target, Mistake> {
    let Some(entry) = fields.get("respond") else { return Err(fields.missing("respond", "404")) };
    let (status, body, content_type) = match &entry.node.value {
        Value::Table(table) => {
            let inner = Fields::new(table, "respond", RESPOND)?;
            let status = inner.number("status")?.ok_or_else(|| inner.missing("status", "200"))?;
            (Some(status), inner.text("body")?.map(|(body, _)| body), inner.text("type")?)
        }
        _ => (fields.number("respond")?, None, None),
    };
    let (text, place) = status.ok_or_else(|| fields.missing("respond", "404"))?;
    let status = text.parse::<u16>().ok().filter(|code| (200..=599).contains(code)).and_then(Status::new);
    let status = status.filter(|status| !status.is_bodiless() && status.code() != 205).ok_or_else(|| {
        place.mistake(format!(
            "{text} is no status of an answer with a text: write a number from 200 to 599, but not 204, 205 or 304"
        ))
    })?;
    let body = body.unwrap_or_else(|| format!("{} {}\n", status.code(), status.reason()));
    let content_type = match content_type {
        None => TEXT.into(),
        Some((text, _)) if is_media_type(&text) => text.into(),
        Some((text, place)) => {
            return Err(place.mistake(format!(
                "{text:?} is no type of a text: write \"text/html; charset=utf-8\" or \"application/json\""
            )));
        }
    };
    Ok(Target::Respond { status, content_type, body })
}

/// `type/subtype`, and perhaps parameters (RFC 9110 §8.3.1).
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let parts = essence.trim_end().split_once('/');
    parts.is_some_and(|(kind, subtype)| is_token(kind.as_bytes()) && is_token(subtype.as_bytes()))
        && parameters.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
