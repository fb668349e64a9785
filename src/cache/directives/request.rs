//! The directives of a request: `Cache-Control` (RFC 9111 §5.2.1, RFC 5861 §4) and `Pragma` (§5.4).

use super::{
    Seconds,
    arguments::{Directive, directives},
};
use crate::http::{Fields, is_unterminated};

/// Request fields that say who asks: what the backend answers may be for that client alone. Sessions and HTTP's own
/// authentication; an application that uses a field of its own has to say `private`, or `Vary`.
pub(in crate::cache) const WHO_ASKS: [&str; 2] = ["authorization", "cookie"];

/// How stale a response may be for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxStale {
    /// Of any age: `max-stale` without an argument.
    Any,
    /// At most so long after it stopped being fresh.
    Within(Seconds),
}

/// The directives of a request. The default is a request that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestDirectives {
    /// §5.2.1.1: the response is not to be older. An argument that is no number is 0.
    pub max_age: Option<Seconds>,
    /// §5.2.1.2: it may be stale. An argument that is no number permits nothing.
    pub max_stale: Option<MaxStale>,
    /// §5.2.1.3: it is to be fresh for so long still. An argument that is no number asks for more than there is.
    pub min_fresh: Option<Seconds>,
    /// §5.2.1.4: it is to be validated. Also from `Pragma: no-cache`, if there is no `Cache-Control`.
    pub no_cache: bool,
    /// §5.2.1.5: nothing of this exchange is to be stored.
    pub no_store: bool,
    /// §5.2.1.7: a stored response or none.
    pub only_if_cached: bool,
    /// RFC 5861 §4: so stale it may be if the origin server fails.
    pub stale_if_error: Option<Seconds>,
    /// The request says who asks, with `Cookie` or `Authorization`: the answer may be for this client alone.
    pub names_client: bool,
}

impl RequestDirectives {
    /// Reads the fields of a request.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let mut all = Self { names_client: names_client(fields), ..Self::default() };
        let mut lines = fields.get_all("cache-control").peekable();
        if lines.peek().is_none() {
            // §5.4: only for a cache that sees no Cache-Control.
            all.no_cache = fields.has_token("pragma", "no-cache");
            return all;
        }
        for line in lines {
            directives(line).for_each(|directive| all.add(&directive));
            // The client said something more, and it cannot be told what.
            if is_unterminated(line) {
                (all.no_cache, all.no_store) = (true, true);
            }
        }
        all
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let seconds = directive.argument.seconds();
        // Of two that differ the stricter one holds: a client that gets a younger response loses nothing.
        if directive.is("max-age") {
            let asked = seconds.unwrap_or(Seconds::ZERO);
            self.max_age = Some(self.max_age.map_or(asked, |other| other.min(asked)));
        } else if directive.is("min-fresh") {
            self.min_fresh = self.min_fresh.max(Some(seconds.unwrap_or(Seconds::MAX)));
        } else if directive.is("max-stale") {
            self.max_stale = MaxStale::stricter(self.max_stale, MaxStale::of(directive));
        } else if directive.is("stale-if-error") {
            let asked = seconds.unwrap_or(Seconds::ZERO);
            self.stale_if_error = Some(self.stale_if_error.map_or(asked, |other| other.min(asked)));
        } else if directive.is("no-cache") {
            self.no_cache = true;
        } else if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("only-if-cached") {
            self.only_if_cached = true;
        }
    }
}

impl MaxStale {
    fn of(directive: &Directive<'_>) -> Self {
        use super::arguments::Argument;
        match (&directive.argument, directive.argument.seconds()) {
            (Argument::None, _) => Self::Any,
            (_, seconds) => Self::Within(seconds.unwrap_or(Seconds::ZERO)),
        }
    }

    fn stricter(first: Option<Self>, second: Self) -> Option<Self> {
        Some(match (first, second) {
            (None | Some(Self::Any), second) => second,
            (Some(first), Self::Any) => first,
            (Some(Self::Within(first)), Self::Within(second)) => Self::Within(first.min(second)),
        })
    }
}

/// Whether a request says who asks.
#[must_use]
pub fn names_client(request: &Fields) -> bool {
    WHO_ASKS.iter().any(|name| request.contains(name))
}
