//! The directives of a response: `Cache-Control` (RFC 9111 §5.2.2, RFC 5861, RFC 8246), or `CDN-Cache-Control` in its
//! place (RFC 9213).

use super::{
    Seconds,
    arguments::{Argument, Directive, directives},
    structured,
};
use crate::http::{Fields, is_token, is_unterminated, members};

/// Field names of an argument that are remembered. A longer list is read as naming all fields.
const MAX_FIELD_NAMES: usize = 64;

/// To what a directive with an optional list of field names applies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldNames {
    /// The directive is not there.
    #[default]
    None,
    /// To the response as a whole.
    Whole,
    /// To these fields only: in lower case and in order, at least one.
    Only(Box<[Box<str>]>),
}

impl FieldNames {
    /// Whether it applies to the response as a whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// Whether the field is named.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        let Self::Only(names) = self else { return false };
        let field = || field.bytes().map(|byte| byte.to_ascii_lowercase());
        names.binary_search_by(|name| name.bytes().cmp(field())).is_ok()
    }

    fn add(&mut self, argument: &Argument<'_>) {
        if self.is_whole() {
            return;
        }
        let Argument::Value(list) = argument else {
            *self = Self::Whole;
            return;
        };
        let Some(mut more) = Self::list(list) else {
            *self = Self::Whole;
            return;
        };
        match std::mem::take(self) {
            Self::Whole => *self = Self::Whole,
            Self::None => *self = Self::only(more),
            Self::Only(names) => {
                more.extend(names);
                *self = if more.len() > MAX_FIELD_NAMES { Self::Whole } else { Self::only(more) };
            }
        }
    }

    fn only(mut names: Vec<Box<str>>) -> Self {
        names.sort_unstable();
        Self::Only(names.into())
    }

    fn list(list: &[u8]) -> Option<Vec<Box<str>>> {
        let name = |name: &[u8]| {
            let name = std::str::from_utf8(name).ok().filter(|name| is_token(name.as_bytes()))?;
            Some(name.to_ascii_lowercase().into_boxed_str())
        };
        let names: Option<Vec<_>> = members(list).take(MAX_FIELD_NAMES + 1).map(name).collect();
        names.filter(|names| !names.is_empty() && names.len() <= MAX_FIELD_NAMES)
    }
}

/// The directives of a response. The default is a response that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseDirectives {
    /// §5.2.2.1. A value that is no number is 0.
    pub max_age: Option<Seconds>,
    /// §5.2.2.10. A value that is no number is 0.
    pub s_maxage: Option<Seconds>,
    /// §5.2.2.4: not to be used without validation, or not these fields.
    pub no_cache: FieldNames,
    /// §5.2.2.7: not for a shared cache, or not these fields.
    pub private: FieldNames,
    /// §5.2.2.5.
    pub no_store: bool,
    /// §5.2.2.9.
    pub public: bool,
    /// §5.2.2.2.
    pub must_revalidate: bool,
    /// §5.2.2.8.
    pub proxy_revalidate: bool,
    /// §5.2.2.3.
    pub must_understand: bool,
    /// §5.2.2.6: for those that transform. This cache never does.
    pub no_transform: bool,
    /// RFC 8246.
    pub immutable: bool,
    /// RFC 5861 §3.
    pub stale_while_revalidate: Option<Seconds>,
    /// RFC 5861 §4.
    pub stale_if_error: Option<Seconds>,
    /// They come from a targeted field: `Cache-Control` and `Expires` do not count (RFC 9213 §2.2).
    pub targeted: bool,
}

impl ResponseDirectives {
    /// Reads the fields of a response: `CDN-Cache-Control` if it is valid and not empty, else `Cache-Control`.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let mut targeted = Self { targeted: true, ..Self::default() };
        let is_valid = structured::targeted(fields, |directive| targeted.add(directive)).is_some();
        if is_valid { targeted } else { Self::untargeted(fields) }
    }

    fn untargeted(fields: &Fields) -> Self {
        let mut all = Self::default();
        for line in fields.get_all("cache-control") {
            directives(line).for_each(|directive| all.add(&directive));
        }
        if fields.get_all("cache-control").any(is_unterminated) {
            // Nor does `must-understand` help: such a line cannot be understood.
            (all.no_store, all.must_understand) = (true, false);
        }
        all
    }

    /// Whether a field of that name must not be stored: it is for one user, or only good after validation.
    #[must_use]
    pub fn withholds(&self, field: &str) -> bool {
        self.no_cache.names(field) || self.private.names(field)
    }

    /// Whether a stale response must never be used without validation: `must-revalidate`, `proxy-revalidate`, and
    /// `s-maxage`, which says the same to a shared cache (§5.2.2.10).
    #[must_use]
    pub fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }

    pub(super) fn add(&mut self, directive: &Directive<'_>) {
        let argument = &directive.argument;
        if directive.is("max-age") {
            self.max_age = lifetime(self.max_age, argument);
        } else if directive.is("s-maxage") {
            self.s_maxage = lifetime(self.s_maxage, argument);
        } else if directive.is("no-cache") {
            self.no_cache.add(argument);
        } else if directive.is("private") {
            self.private.add(argument);
        } else if directive.is("stale-while-revalidate") {
            self.stale_while_revalidate = permission(self.stale_while_revalidate, argument);
        } else if directive.is("stale-if-error") {
            self.stale_if_error = permission(self.stale_if_error, argument);
        } else {
            self.add_flag(directive);
        }
    }

    fn add_flag(&mut self, directive: &Directive<'_>) {
        let permits = directive.argument != Argument::Malformed;
        if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("must-revalidate") {
            self.must_revalidate = true;
        } else if directive.is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if directive.is("no-transform") {
            self.no_transform = true;
        } else if directive.is("public") {
            self.public |= permits;
        } else if directive.is("must-understand") {
            self.must_understand |= permits;
        } else if directive.is("immutable") {
            self.immutable |= permits;
        }
    }
}

/// A lifetime, where one may already have been said: 0 if they differ.
fn lifetime(before: Option<Seconds>, argument: &Argument<'_>) -> Option<Seconds> {
    let now = argument.seconds().unwrap_or(Seconds::ZERO);
    Some(if before.is_some_and(|before| before != now) { Seconds::ZERO } else { now })
}

/// How long something is allowed that otherwise is not: the shorter of two, and nothing if it cannot be read.
fn permission(before: Option<Seconds>, argument: &Argument<'_>) -> Option<Seconds> {
    let now = argument.seconds().unwrap_or(Seconds::ZERO);
    Some(before.map_or(now, |before| before.min(now)))
}
