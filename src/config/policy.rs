//! The rules of a site or a route, besides the place that it leads to.

use super::{
    access::{Auth, Context, Networks},
    edits::Edits,
    fields::Fields,
    rates::{Rates, at_once},
    tree::Mistake,
};
use crate::proxy::{self, Side};
use std::num::NonZeroU32;

/// Its keys.
pub(super) const KEYS: &[&str] =
    &["allow", "deny", "rate-limit", "requests-per-client", "auth", "request-headers", "response-headers"];

/// The rules for the requests of a site or a route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policy {
    networks: Option<Networks>,
    rates: Option<Scoped<Rates>>,
    at_once: Option<Scoped<u32>>,
    auth: Option<Auth>,
    request: Edits,
    response: Edits,
}

/// A limit, and the site or route that has it: routes that take it from their site share it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scoped<L> {
    limit: L,
    scope: String,
}

impl Policy {
    /// Reads those of one table; `scope` tells it from others.
    pub(super) fn read(fields: &Fields<'_>, scope: &str, context: &Context<'_>) -> Result<Self, Mistake> {
        let scope = scope.to_owned();
        Ok(Self {
            networks: Networks::read(fields)?,
            rates: Rates::read(fields)?.map(|limit| Scoped { limit, scope: scope.clone() }),
            at_once: at_once(fields)?.map(|limit| Scoped { limit, scope }),
            auth: Auth::read(fields, context)?,
            request: Edits::read(fields, "request-headers", Side::Request)?,
            response: Edits::read(fields, "response-headers", Side::Response)?,
        })
    }

    /// These, with those of a part of it: changes of heads follow each other, and other rules take the place of these.
    pub(super) fn then(&self, inner: &Self) -> Self {
        Self {
            networks: inner.networks.as_ref().or(self.networks.as_ref()).cloned(),
            rates: inner.rates.as_ref().or(self.rates.as_ref()).cloned(),
            at_once: inner.at_once.as_ref().or(self.at_once.as_ref()).cloned(),
            auth: inner.auth.as_ref().or(self.auth.as_ref()).cloned(),
            request: self.request.then(&inner.request),
            response: self.response.then(&inner.response),
        }
    }

    /// As the machine has them.
    pub(super) fn made(&self) -> proxy::Policy {
        proxy::Policy {
            lists: self.networks.as_ref().map(Networks::made).unwrap_or_default(),
            rates: self.rates.as_ref().map(|rates| rates.limit.made(&rates.scope)).unwrap_or_default(),
            at_once: self.at_once.as_ref().and_then(|at_once| {
                let most = NonZeroU32::new(at_once.limit)?;
                Some(proxy::AtOnce { id: at_once.scope.as_str().into(), most })
            }),
            login: self.auth.as_ref().and_then(Auth::made),
            request: self.request.made(),
            response: self.response.made(),
        }
    }

    /// Whether clients have to say who they are.
    pub(super) fn asks_for_passwords(&self) -> bool {
        matches!(self.auth, Some(Auth::On { .. }))
    }

    /// Its keys, with their values as a file has them.
    fn keys(&self) -> Vec<(&'static str, Option<String>)> {
        let [allow, deny] = self.networks.as_ref().map(Networks::shown).unwrap_or_default();
        let values = [
            allow,
            deny,
            self.rates.as_ref().map(|rates| rates.limit.shown()),
            self.at_once.as_ref().map(|at_once| at_once.limit.to_string()),
            self.auth.as_ref().map(Auth::shown),
            self.request.shown(),
            self.response.shown(),
        ];
        KEYS.iter().copied().zip(values).collect()
    }

    /// The keys that are there.
    pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
        self.keys().into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// The differences in `new`, a line for each key. Two values that look the same may differ in what is not shown.
    pub(super) fn differences(&self, new: &Self) -> Vec<String> {
        let same =
            [true, true, true, true, self.auth == new.auth, self.request == new.request, self.response == new.response];
        let words = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
        let line = |(((key, old), (_, now)), same): (((&str, _), (_, _)), bool)| {
            (old != now || !same).then(|| match old == now {
                true => format!("{key}: {}, with other content", words(old)),
                false => format!("{key}: {} → {}", words(old), words(now)),
            })
        };
        self.keys().into_iter().zip(new.keys()).zip(same).filter_map(line).collect()
    }
}
