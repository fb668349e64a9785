//! Why an exchange did not end well, whose fault it was, and what each side is told.
//!
//! | failure | the client gets |
//! |---|---|
//! | malformed, too large or too slow request | 4xx from [`http::Error`], 408; then close |
//! | a request that is not for us to forward | 405, 421, 502 for one that goes in circles |
//! | a host that no site has; a path without a route, or of several readings | 421; 404, 400 |
//! | a client that its route is not for | 401, 403; 503 if too many passwords are being verified |
//! | a server that a client of a forward proxy may not name, or that has no address | 400, 403, 501; 502, 503, 504 |
//! | no usable backend, queue full or timed out | 503 with `Retry-After` |
//! | we have no descriptor, memory or port for a connection | the same, and no backend is blamed |
//! | connect refused or reset, bad or cut-off response head | 502, after the allowed retries |
//! | a backend that does not prove over TLS that it is the one that was meant | the same, and it hears nothing of the request |
//! | nobody reachable to validate a stale `must-revalidate` response | 504 in place of 502 or 503 |
//! | connect, first-byte, whole-exchange or drain timeout | 504 |
//! | anything after the response head | the connection is aborted: never a clean end |
//!
//! The client sees a status and an RFC 9209 error type; addresses and details stay in the log.

use super::{access::Barred, forward::Denied};
use crate::{
    app::Insecure,
    health::FailureKind,
    http::{self, Status},
    http2,
    resilience::is_our_shortage,
};
use std::io;

/// The rule that ended an exchange early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request broke a rule of HTTP or one of our limits.
    Request(http::Error),
    /// The request head took longer than `--head-timeout`.
    HeadTimeout,
    /// The request body stood still for longer than `--body-timeout`.
    BodyTimeout,
    /// The request body came more slowly than `--body-rate`, while others waited for its connection.
    BodyTooSlow,
    /// This forward proxy does not go to the server that the client names.
    Denied(Denied),
    /// The route of the request is not for this client.
    Barred(Barred),
    /// `CONNECT` asks for a forward proxy; this is a reverse proxy.
    ConnectMethod,
    /// `Max-Forwards: 0` on a method other than TRACE and OPTIONS never gets here; on those, this proxy is the last hop.
    NoForwardsLeft,
    /// An `https` resource is asked for over a connection that is not secured.
    Misdirected,
    /// An `http` resource is asked for over a connection that is secured.
    PlainScheme,
    /// It came without TLS, and is sent there (`--redirect-https`).
    NeedsTls,
    /// TLS is spoken to a listener for plain HTTP.
    TlsOnPlainPort,
    /// The certificate of the client's connection is not for the host that is asked for.
    NotCovered,
    /// No site has the host that is asked for, and there is none for all others.
    NoSite,
    /// No route of its site has the path.
    NoRoute,
    /// The path can be read in several ways, which lead to different routes.
    AmbiguousPath,
    /// It is answered by its route, with this status.
    OfRoute(Status),
    /// It was here too often: a backend leads back to us.
    Loop,
    /// No backend is up, or every one that is has been tried.
    NoBackend,
    /// The client wants what is stored or nothing (`only-if-cached`), and nothing that may be used is.
    OnlyIfCached,
    /// Every backend is at its connection limit and the queue is at its own.
    QueueFull,
    /// The queue was full, and the request's place went to a client with fewer requests in it.
    QueueShare,
    /// A connection did not become free within `--pool-queue-timeout`.
    QueueTimeout,
    /// The backend refused the connection or could not be reached.
    ConnectFailed(io::ErrorKind),
    /// This machine has no descriptor, memory or local port left for a connection to the backend.
    Shortage(io::ErrorKind),
    /// The backend did not accept the connection within `--connect-timeout`.
    ConnectTimeout,
    /// The connection to the backend was to be protected by TLS, and is not.
    Insecure(Insecure),
    /// The backend closed or reset the connection before a response head.
    UpstreamClosed,
    /// The response broke a rule of HTTP.
    Response(http::Error),
    /// The backend sends interim responses without end.
    TooManyInterims,
    /// No response head within `--first-byte-timeout`.
    FirstByteTimeout,
    /// The response switched protocols although the request did not ask.
    UnaskedUpgrade,
    /// The request asks for another protocol, and the backend gives a usual answer, which the client would take for that.
    NotSwitched,
    /// The client asks for a protocol on its stream that cannot be carried (RFC 8441).
    UnknownProtocol,
    /// The client broke a rule of HTTP/2, or one of its limits.
    Http2(http2::Cause),
    /// The response ended before its body did.
    Truncated,
    /// The response body stood still for longer than `--response-timeout`.
    ResponseTimeout,
    /// The whole exchange took longer than `--request-timeout`.
    ExchangeTimeout,
    /// The proxy was told to end, and this took longer than `--drain-timeout`.
    DrainTimeout,
    /// Neither side of a tunnel sent anything for `--tunnel-timeout`.
    TunnelIdle,
    /// The client went away.
    ClientGone,
    /// The client ended its side, and that is taken for its going (`--on-client-close cancel`).
    ClientClosed,
    /// The client did not read for `--write-timeout`.
    ClientStalled,
    /// All clients that the response was fetched for have gone, and it is not being stored.
    Unwanted,
    /// The client was so slow with a response that others read with it that they had to wait for `--cache-wait`.
    LeftBehind,
    /// The backend did not read the request for `--write-timeout`.
    UpstreamStalled,
}

/// Whether a failure is one of those that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transience {
    /// There was no connection, or no answer on it: another one may have better luck.
    Transient,
    /// The backend is slow, not dead: asking a second one doubles the load of what is slow.
    Slow,
    /// The backend broke off or answered nonsense after it had acted, or the failure is not the backend's.
    Lasting,
}

/// The status in the log when no client was there to answer.
const CLIENT_GONE: Status = Status::new(499).expect("three digits");

impl Failure {
    /// A connection to a backend was not established.
    pub(crate) fn of_connect(error: io::ErrorKind) -> Self {
        match error {
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            error if is_our_shortage(error) => Self::Shortage(error),
            error => Self::ConnectFailed(error),
        }
    }

    /// The status that the client gets if the response has not begun.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Request(error) => error.status(),
            Self::Denied(denied) => denied.status(),
            Self::Barred(barred) => barred.status(),
            Self::HeadTimeout | Self::BodyTimeout | Self::BodyTooSlow => Status::REQUEST_TIMEOUT,
            Self::TlsOnPlainPort | Self::AmbiguousPath => Status::BAD_REQUEST,
            Self::NeedsTls => Status::PERMANENT_REDIRECT,
            Self::ConnectMethod => Status::METHOD_NOT_ALLOWED,
            Self::NoForwardsLeft => Status::OK,
            Self::Misdirected | Self::PlainScheme | Self::NotCovered | Self::NoSite => Status::MISDIRECTED_REQUEST,
            Self::NoRoute => Status::NOT_FOUND,
            Self::OfRoute(status) => status,
            Self::UnknownProtocol => Status::NOT_IMPLEMENTED,
            Self::NoBackend | Self::QueueFull | Self::QueueShare | Self::QueueTimeout | Self::Shortage(_) => {
                Status::SERVICE_UNAVAILABLE
            }
            Self::ConnectFailed(_)
            | Self::Insecure(_)
            | Self::UpstreamClosed
            | Self::Response(_)
            | Self::TooManyInterims
            | Self::UnaskedUpgrade
            | Self::NotSwitched
            | Self::Loop
            | Self::Truncated => Status::BAD_GATEWAY,
            Self::ConnectTimeout
            | Self::FirstByteTimeout
            | Self::ResponseTimeout
            | Self::ExchangeTimeout
            // Not 503: some clients repeat a request then, and this one may have been executed.
            | Self::DrainTimeout
            | Self::UpstreamStalled
            | Self::OnlyIfCached
            | Self::TunnelIdle => Status::GATEWAY_TIMEOUT,
            // No client is left to read it; the log needs a number. 499 is what nginx made customary.
            Self::ClientGone
            | Self::ClientClosed
            | Self::ClientStalled
            | Self::LeftBehind
            | Self::Unwanted
            | Self::Http2(_) => CLIENT_GONE,
        }
    }

    /// The error type of RFC 9209 §2.3 for the `Proxy-Status` field.
    pub(crate) fn proxy_status(self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.proxy_status(),
            Self::Barred(barred) => barred.proxy_status(),
            Self::Request(_)
            | Self::HeadTimeout
            | Self::BodyTimeout
            | Self::BodyTooSlow
            | Self::TlsOnPlainPort
            | Self::Http2(_)
            | Self::AmbiguousPath
            | Self::ConnectMethod => "http_request_error",
            Self::NoForwardsLeft
            | Self::OnlyIfCached
            | Self::Misdirected
            | Self::PlainScheme
            | Self::UnknownProtocol
            | Self::NotCovered
            | Self::NoSite
            | Self::NoRoute
            | Self::OfRoute(_)
            | Self::NeedsTls => "http_request_denied",
            Self::Loop => "proxy_loop_detected",
            Self::NoBackend => "destination_unavailable",
            Self::QueueFull | Self::QueueShare | Self::QueueTimeout => "connection_limit_reached",
            Self::Shortage(_) => "proxy_internal_error",
            Self::ConnectFailed(io::ErrorKind::ConnectionRefused) => "connection_refused",
            Self::ConnectFailed(_) => "destination_ip_unroutable",
            Self::ConnectTimeout => "connection_timeout",
            Self::Insecure(Insecure::Certificate(_)) => "tls_certificate_error",
            Self::Insecure(Insecure::Alert(_)) => "tls_alert_received",
            Self::Insecure(Insecure::Protocol(_)) => "tls_protocol_error",
            Self::UpstreamClosed => "connection_terminated",
            Self::Response(_) | Self::TooManyInterims => "http_protocol_error",
            Self::FirstByteTimeout | Self::ExchangeTimeout | Self::DrainTimeout => "http_response_timeout",
            Self::UnaskedUpgrade | Self::NotSwitched => "http_upgrade_failed",
            Self::Truncated => "http_response_incomplete",
            Self::ResponseTimeout | Self::TunnelIdle => "connection_read_timeout",
            Self::UpstreamStalled => "connection_write_timeout",
            Self::ClientGone | Self::ClientClosed | Self::ClientStalled | Self::LeftBehind | Self::Unwanted => {
                "http_request_error"
            }
        }
    }

    /// The rule, for logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request(error) | Self::Response(error) => error.as_str(),
            Self::Denied(denied) => denied.as_str(),
            Self::Barred(barred) => barred.as_str(),
            Self::HeadTimeout => "request head timeout",
            Self::BodyTimeout => "request body timeout",
            Self::BodyTooSlow => "request body too slow while others wait",
            Self::ConnectMethod => "CONNECT to a reverse proxy",
            Self::NoForwardsLeft => "max-forwards reached zero",
            Self::Misdirected => "https over a plain connection",
            Self::PlainScheme => "http over a secured connection",
            Self::NeedsTls => "redirected to TLS",
            Self::TlsOnPlainPort => "TLS on the plain port",
            Self::NotCovered => "host not covered by the certificate",
            Self::NoSite => "no site for the host",
            Self::NoRoute => "no route for the path",
            Self::AmbiguousPath => "path of several readings",
            Self::OfRoute(_) => "answered by its route",
            Self::Loop => "request in a loop",
            Self::NoBackend => "no backend available",
            Self::OnlyIfCached => "not stored, and only-if-cached",
            Self::QueueFull => "queue full",
            Self::QueueShare => "queue full, share used up",
            Self::QueueTimeout => "queue timeout",
            Self::ConnectFailed(io::ErrorKind::ConnectionRefused) => "connection refused",
            Self::ConnectFailed(_) => "connect failed",
            Self::Shortage(io::ErrorKind::QuotaExceeded) => "no descriptor left",
            Self::Shortage(io::ErrorKind::OutOfMemory) => "no memory left",
            Self::Shortage(_) => "no local port left",
            Self::TooManyInterims => "too many interim responses",
            Self::ConnectTimeout => "connect timeout",
            Self::Insecure(why) => why.as_str(),
            Self::UpstreamClosed => "backend closed before a response",
            Self::FirstByteTimeout => "first byte timeout",
            Self::UnaskedUpgrade => "upgrade not asked for",
            Self::NotSwitched => "no upgrade, but a usual answer",
            Self::UnknownProtocol => "unknown protocol for a stream",
            Self::Http2(cause) => cause.as_str(),
            Self::Truncated => "response truncated",
            Self::ResponseTimeout => "response body timeout",
            Self::ExchangeTimeout => "exchange timeout",
            Self::DrainTimeout => "drain timeout",
            Self::TunnelIdle => "tunnel idle",
            Self::ClientGone => "client gone",
            Self::ClientClosed => "client closed its side",
            Self::ClientStalled => "client does not read",
            Self::Unwanted => "no client wants the response",
            Self::LeftBehind => "client too slow for those it shares a response with",
            Self::UpstreamStalled => "backend does not read",
        }
    }

    /// Whether there is no answer for want of a backend that gives one, so that a stale one may stand in (RFC 5861 §4).
    pub(crate) fn is_of_backend(self) -> bool {
        matches!(
            self,
            Self::NoBackend
                | Self::Denied(Denied::Unresolved | Denied::ResolveTimeout | Denied::ManyNames | Denied::ManyOrigins)
                | Self::QueueFull
                | Self::QueueShare
                | Self::QueueTimeout
                | Self::ConnectFailed(_)
                | Self::Shortage(_)
                | Self::ConnectTimeout
                | Self::Insecure(_)
                | Self::UpstreamClosed
                | Self::Response(_)
                | Self::TooManyInterims
                | Self::FirstByteTimeout
                | Self::UpstreamStalled
        )
    }

    /// Whether no backend could be reached at all: nothing was heard of one, not even nonsense.
    pub(crate) fn is_disconnected(self) -> bool {
        matches!(
            self,
            Self::NoBackend
                | Self::Denied(Denied::Unresolved | Denied::ResolveTimeout)
                | Self::ConnectFailed(_)
                | Self::ConnectTimeout
                | Self::Insecure(_)
                | Self::Shortage(_)
        )
    }

    /// Whether another try may go better, as far as the failure alone tells.
    pub(crate) fn transience(self) -> Transience {
        match self {
            Self::ConnectFailed(_)
            | Self::Shortage(_)
            | Self::ConnectTimeout
            | Self::Insecure(_)
            | Self::UpstreamClosed => Transience::Transient,
            Self::FirstByteTimeout | Self::UpstreamStalled => Transience::Slow,
            _ => Transience::Lasting,
        }
    }

    /// Whether something went wrong. Being the last hop of a `TRACE` is an answer like any other, and so is a redirect or what a
    /// route says.
    pub(crate) fn is_error(self) -> bool {
        !matches!(self, Self::NoForwardsLeft | Self::NeedsTls | Self::OfRoute(_))
    }

    /// The failure that a backend is to be blamed for; `None` if it was not its fault.
    pub(crate) fn blame(self) -> Option<FailureKind> {
        match self {
            Self::ConnectFailed(error) => Some(FailureKind::Connect(error)),
            Self::ConnectTimeout => Some(FailureKind::ConnectTimeout),
            Self::Insecure(why) => Some(FailureKind::Handshake(why.as_str())),
            Self::FirstByteTimeout | Self::ResponseTimeout | Self::UpstreamStalled => {
                Some(FailureKind::ResponseTimeout)
            }
            Self::UpstreamClosed | Self::Truncated => Some(FailureKind::CutOff),
            Self::Response(_) | Self::UnaskedUpgrade | Self::TooManyInterims => Some(FailureKind::Malformed),
            _ => None,
        }
    }
}
