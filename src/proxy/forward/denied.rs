//! Why a forward proxy does not do what a client asks of it.

use super::Reserved;
use crate::http::Status;

/// The rule that stands against a request, before any server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The client is none of this proxy's users, or does not say which one.
    Unauthenticated,
    /// The target is not a whole URI, so it does not say which server is meant.
    NoServer,
    /// `https` without `CONNECT`: the proxy would have to read what is for the client's eyes only.
    HttpsInClear,
    /// `CONNECT` with content: it is not defined whether that is for the proxy or for the server.
    ContentInConnect,
    /// The host is no name that DNS could know, or a number that some programs would take for an address.
    BadHost,
    /// The port is not one of those that clients are connected to.
    Port,
    /// The host's name is out of bounds.
    Name,
    /// The host's addresses, all of them, are out of bounds.
    Address(Reserved),
    /// The host has no address, as far as the resolver knows.
    Unresolved,
    /// The resolver said nothing in time.
    ResolveTimeout,
    /// As many names are being asked for as may be.
    ManyNames,
    /// As many servers have connections of this proxy as may have.
    ManyOrigins,
}

impl Denied {
    /// The status that the client gets.
    pub(in crate::proxy) fn status(self) -> Status {
        match self {
            Self::Unauthenticated => Status::PROXY_AUTHENTICATION_REQUIRED,
            Self::NoServer | Self::ContentInConnect | Self::BadHost => Status::BAD_REQUEST,
            Self::HttpsInClear => Status::NOT_IMPLEMENTED,
            Self::Port | Self::Name | Self::Address(_) => Status::FORBIDDEN,
            Self::Unresolved => Status::BAD_GATEWAY,
            Self::ResolveTimeout => Status::GATEWAY_TIMEOUT,
            Self::ManyNames | Self::ManyOrigins => Status::SERVICE_UNAVAILABLE,
        }
    }

    /// The error type of RFC 9209 §2.3.
    pub(in crate::proxy) fn proxy_status(self) -> &'static str {
        match self {
            Self::NoServer | Self::ContentInConnect | Self::BadHost => "http_request_error",
            Self::Unauthenticated | Self::HttpsInClear | Self::Port | Self::Name => "http_request_denied",
            Self::Address(_) => "destination_ip_prohibited",
            Self::Unresolved => "dns_error",
            Self::ResolveTimeout => "dns_timeout",
            Self::ManyNames | Self::ManyOrigins => "connection_limit_reached",
        }
    }

    /// The rule, for logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "no user of this proxy",
            Self::NoServer => "no whole URI for a forward proxy",
            Self::HttpsInClear => "https without CONNECT",
            Self::ContentInConnect => "content in CONNECT",
            Self::BadHost => "no host for a forward proxy",
            Self::Port => "port out of bounds",
            Self::Name => "denied name",
            Self::Address(kind) => kind.as_str(),
            Self::Unresolved => "name not resolved",
            Self::ResolveTimeout => "resolver timeout",
            Self::ManyNames => "too many names at once",
            Self::ManyOrigins => "too many origins at once",
        }
    }

    /// Advice to the client.
    pub(in crate::proxy) fn hint(self) -> &'static str {
        match self {
            Self::Unauthenticated => "this proxy wants to know its users: name and password, please",
            Self::NoServer => "this is a forward proxy: ask for a whole URI, as in GET http://www.example.com/",
            Self::HttpsInClear => "for https, ask for a tunnel with CONNECT",
            Self::ContentInConnect => "CONNECT has no content",
            Self::BadHost => "that is no host: write a name, four decimal numbers, or IPv6 in brackets",
            Self::Port => "this proxy does not connect to that port",
            Self::Name => "this proxy does not connect to that host",
            Self::Address(_) => "this proxy does not connect to that address",
            Self::Unresolved => "there is no such host",
            Self::ResolveTimeout => "the resolver did not say in time where that host is",
            Self::ManyNames | Self::ManyOrigins => "try again later",
        }
    }
}
