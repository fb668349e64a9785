//! Why a client is not let in.

use crate::http::Status;

/// The rule of a route that stands against a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// The client's address is not one of those that are let in.
    Address,
    /// The client is none of the route's users, or does not say which one.
    Unauthenticated,
    /// As many passwords are being verified as may be, or it has taken too long.
    Busy,
    /// The client, or the site, has had so many requests that another one has to wait.
    Rate {
        /// The limit's place in the list of its route.
        limit: u8,
        /// The time to wait.
        seconds: u16,
    },
    /// The client has as many requests at once as it may have.
    AtOnce,
}

impl Barred {
    /// The status that the client gets.
    pub(in crate::proxy) fn status(self) -> Status {
        match self {
            Self::Address => Status::FORBIDDEN,
            Self::Unauthenticated => Status::UNAUTHORIZED,
            Self::Busy => Status::SERVICE_UNAVAILABLE,
            Self::Rate { .. } | Self::AtOnce => Status::TOO_MANY_REQUESTS,
        }
    }

    /// The error type of RFC 9209 §2.3.
    pub(in crate::proxy) fn proxy_status(self) -> &'static str {
        match self {
            Self::Address | Self::Unauthenticated | Self::Rate { .. } | Self::AtOnce => "http_request_denied",
            Self::Busy => "proxy_internal_error",
        }
    }

    /// The rule, for logs and counters.
    pub(in crate::proxy) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address not let in",
            Self::Unauthenticated => "not a user of the route",
            Self::Busy => "too many passwords at once",
            Self::Rate { .. } => "rate limit",
            Self::AtOnce => "too many requests at once",
        }
    }

    /// Advice to the client, where it can do something.
    pub(in crate::proxy) fn hint(self) -> Option<&'static str> {
        match self {
            Self::Address => None,
            Self::Unauthenticated => Some("say who you are"),
            Self::Busy | Self::Rate { .. } => Some("try again later"),
            Self::AtOnce => Some("wait for the answers to other requests"),
        }
    }
}
