//! `rate-limit` and `requests-per-client`: how often clients may ask, and how much at once.
//!
//! ```text
//!   rate-limit = "10/s"
//!   rate-limit = [{ rate = "10/s", burst = 50 }, { rate = "1000/h", key = "header:X-Api-Key", name = "hourly" }]
//! ```

use super::{
    fields::Fields,
    shown::quoted,
    tree::{Mistake, Node, Place, Value},
};
use crate::{
    http::is_token,
    proxy::{self, MOST_BURST, RateKey},
};
use std::num::NonZeroU32;

/// The keys of a limit.
pub(super) const RATE: &[&str] = &["rate", "burst", "key", "name", "advertise"];

/// Limits that one route may have.
const MOST: usize = 16;

/// The limits under `rate-limit`; none: `false`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rates(Vec<Rate>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rate {
    name: String,
    requests: NonZeroU32,
    per: Unit,
    burst: NonZeroU32,
    key: RateKey,
    advertised: bool,
}

/// The unit of time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    name: &'static str,
    seconds: NonZeroU32,
}

const UNITS: &[(&str, u32)] = &[("s", 1), ("m", 60), ("h", 3600)];

impl Rates {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Option<Self>, Mistake> {
        let Some(entry) = fields.get("rate-limit") else { return Ok(None) };
        let nodes = match &entry.node.value {
            Value::Bool(false) => return Ok(Some(Self::default())),
            Value::List(nodes) => &nodes[..],
            _ => std::slice::from_ref(&entry.node),
        };
        if nodes.len() > MOST {
            return Err(entry.node.place.mistake(format!("{} limits are more than {MOST}", nodes.len())));
        }
        let rates: Vec<Rate> = nodes.iter().map(rate).collect::<Result<_, _>>()?;
        for (at, rate) in rates.iter().enumerate() {
            if rates[..at].iter().any(|other| other.name == rate.name) {
                let problem =
                    format!("two limits are called {:?}: give each a name of its own, name = \"…\"", rate.name);
                return Err(nodes[at].place.mistake(problem));
            }
        }
        Ok(Some(Self(rates)))
    }

    /// As the machine has them. `scope`: tells them from those of other sites and routes.
    pub(super) fn made(&self, scope: &str) -> Vec<proxy::Rate> {
        let made = |rate: &Rate| proxy::Rate {
            id: format!("{scope} {}", rate.name).into(),
            name: rate.name.as_str().into(),
            requests: rate.requests,
            seconds: rate.per.seconds,
            burst: rate.burst,
            key: rate.key.clone(),
            advertised: rate.advertised,
        };
        self.0.iter().map(made).collect()
    }

    /// As a file has them.
    pub(super) fn shown(&self) -> String {
        let shown = |rate: &Rate| {
            let key = match &rate.key {
                RateKey::Client => "client".to_owned(),
                RateKey::Site => "site".to_owned(),
                RateKey::Header(name) => format!("header:{name}"),
            };
            let advertise = if rate.advertised { ", advertise = true" } else { "" };
            format!(
                "{{ rate = \"{}/{}\", burst = {}, key = {}, name = {}{advertise} }}",
                rate.requests,
                rate.per.name,
                rate.burst,
                quoted(&key),
                quoted(&rate.name)
            )
        };
        let shown: Vec<String> = self.0.iter().map(shown).collect();
        match &shown[..] {
            [] => "false".to_owned(),
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        }
    }
}

fn rate(node: &Node) -> Result<Rate, Mistake> {
    let (text, place, burst, key, name, advertised) = match &node.value {
        Value::Text { text, .. } => (text.clone(), node.place, None, None, None, false),
        Value::Table(table) => {
            let inner = Fields::new(table, "rate-limit", RATE)?;
            let (text, place) = inner.text("rate")?.ok_or_else(|| inner.missing("rate", "\"10/s\""))?;
            let advertised = inner.bool("advertise")?.unwrap_or(false);
            (text, place, inner.number("burst")?, inner.text("key")?, inner.text("name")?, advertised)
        }
        other => {
            let kind = if matches!(other, Value::Bool(_)) { "true" } else { other.kind() };
            return Err(node.place.mistake(format!(
                "`rate-limit` is {kind}: write \"10/s\", {{ rate = \"10/s\", burst = 50 }}, a list of such, or false"
            )));
        }
    };
    let (requests, per) = frequency(&text).ok_or_else(|| {
        place.mistake(format!("{text:?} is no rate: write \"10/s\", \"600/m\" or \"1000/h\", of at most {MOST_BURST}"))
    })?;
    let burst = match burst {
        // A second's worth, so that a page with its images is no flood.
        None => NonZeroU32::new(requests.get().div_ceil(per.seconds.get())).unwrap_or(NonZeroU32::MIN),
        Some((text, place)) => count(&text)
            .ok_or_else(|| place.mistake(format!("`burst` cannot be {text}: write a number from 1 to {MOST_BURST}")))?,
    };
    let key = key.map_or(Ok(RateKey::Client), |(text, place)| key_of(&text, place))?;
    let name = match name {
        None => "default".to_owned(),
        Some((text, _)) if is_token(text.as_bytes()) => text,
        Some((text, place)) => {
            return Err(place.mistake(format!("{text:?} cannot be a name: write letters, digits, - and _")));
        }
    };
    Ok(Rate { name, requests, per, burst, key, advertised })
}

fn count(text: &str) -> Option<NonZeroU32> {
    text.parse().ok().filter(|number: &NonZeroU32| number.get() <= MOST_BURST)
}

fn frequency(text: &str) -> Option<(NonZeroU32, Unit)> {
    let (requests, unit) = text.split_once('/')?;
    let (name, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((count(requests)?, Unit { name, seconds: NonZeroU32::new(*seconds)? }))
}

fn key_of(text: &str, place: Place) -> Result<RateKey, Mistake> {
    match (text, text.strip_prefix("header:")) {
        ("client", _) => Ok(RateKey::Client),
        ("site", _) => Ok(RateKey::Site),
        (_, Some(name)) if is_token(name.as_bytes()) => Ok(RateKey::Header(name.into())),
        _ => Err(place.mistake(format!(
            "{text:?} is no key of a limit: write \"client\", \"site\", or \"header:NAME\" for the values of a field"
        ))),
    }
}

/// The value of `requests-per-client`; 0: any number.
pub(super) fn at_once(fields: &Fields<'_>) -> Result<Option<u32>, Mistake> {
    let Some((text, place)) = fields.number("requests-per-client")? else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number <= MOST_BURST);
    number.map(Some).ok_or_else(|| {
        place.mistake(format!(
            "`requests-per-client` cannot be {text}: write a number up to {MOST_BURST}; 0: any number"
        ))
    })
}
