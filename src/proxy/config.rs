//! The settings of a proxy, apart from its backends: limits, deadlines, forwarding.

use super::{
    explain::ExplainConfig, forward::Rules, marks::Marks, network::Network, second_level::SecondLevelConfig,
    secured::Redirect,
};
use crate::{http::Limits, http2, redis::Target};
use clap::ValueEnum;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// How long each phase of an exchange may last. A peer that stands still must not hold memory for ever.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// From the first byte of a request (or from the accept) to the end of its head.
    pub head: Duration,
    /// Between two parts of a request body.
    pub body: Duration,
    /// Between two requests on a client connection.
    pub idle: Duration,
    /// From the connect call to the established connection.
    pub connect: Duration,
    /// From the request to the response head.
    pub first_byte: Duration,
    /// Between two parts of a response body.
    pub response: Duration,
    /// Without the peer taking a byte of what waits for it.
    pub write: Duration,
    /// Without a byte either way in a tunnel.
    pub tunnel: Duration,
    /// For the whole exchange, up to a 101 if there is one; `None`: the other deadlines suffice (downloads may be long).
    pub exchange: Option<Duration>,
    /// For a connection while every backend is at its limit.
    pub queue: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            response: Duration::from_secs(60),
            write: Duration::from_secs(30),
            tunnel: Duration::from_secs(3600),
            exchange: None,
            queue: Duration::from_secs(5),
        }
    }
}

/// The field in which trusted proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ClientField {
    /// X-Forwarded-For: what nearly every proxy sets or extends.
    #[default]
    XForwardedFor,
    /// Forwarded (RFC 7239).
    Forwarded,
}

/// The fields that are added to a forwarded request.
#[derive(Debug, Clone)]
pub struct Forwarding {
    /// Our name in `Via` and `Proxy-Status`: a pseudonym (RFC 9110 §7.6.3), never a host name.
    pub pseudonym: &'static str,
    /// Peers whose `X-Forwarded-*` and other [claims](crate::http::claims) are kept and extended. Those of all other peers
    /// are removed: a client that may name its own address can pass any address filter behind us.
    pub trusted: Vec<Network>,
    /// Where trusted peers name the client. One field only: a proxy that sets one of the two passes the other on as it
    /// came, even from a stranger.
    pub client_from: ClientField,
    /// Also write `Forwarded` (RFC 7239).
    pub forwarded: bool,
    /// Whether backends are told about the client in `X-Forwarded-*`. A forward proxy works for its clients, and tells no server
    /// who they are.
    pub announces: bool,
    /// The field in which backends are told the subject of the client's certificate, if they are.
    pub client_cert_header: Option<Box<str>>,
    /// Marks by which requests are found again in the logs of others.
    pub marks: Marks,
}

impl Forwarding {
    /// Whether that peer is believed about the way of its requests.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            pseudonym: "socket-patterns",
            trusted: Vec::new(),
            client_from: ClientField::default(),
            forwarded: false,
            announces: true,
            client_cert_header: None,
            marks: Marks::default(),
        }
    }
}

/// Less than this is read and written. A pipe saves copies and costs calls. Bodies of 1 MiB cost a third less through it than by
/// copying (`docs/performance.md`).
const UNSEEN: u64 = 256 * 1024;

/// As Apache's mod_reqtimeout has it, in round numbers: slower than any line on which a user uploads something.
pub(super) const BODY_RATE: u64 = 512;

/// The meaning of a client's end of its side of the connection (a FIN), while its request waits or runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnClientClose {
    /// It sends nothing more: it is served, if it still listens.
    Finish,
    /// It has gone: what it asked for is given up, unless it may have changed something already.
    Cancel,
}

/// Everything about one proxy that does not change while it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bounds on what a peer may send.
    pub limits: Limits,
    /// Bounds on how long it may take.
    pub deadlines: Deadlines,
    /// Fields added on the way.
    pub forwarding: Forwarding,
    /// Requests on one client connection before it is closed; 0: no limit.
    pub keep_alive_requests: u32,
    /// Bytes of a request body per second, at least, while another request waits for its connection. 0: any.
    pub body_rate: u64,
    /// The meaning of a client's end of its own side.
    pub on_client_close: OnClientClose,
    /// How much of a response body must be left for the driver to pass it on unseen ([`crate::app::Cx::splice`]).
    pub unseen: u64,
    /// How long a client may be idle, when the proxy ends, before it is let go.
    pub drain_grace: Duration,
    /// Where requests without TLS are sent instead of an answer.
    pub redirect: Option<Redirect>,
    /// It is a forward proxy: clients name the server, within these rules. `None`: it is a reverse proxy, with backends of its own.
    pub forward: Option<Rules>,
    /// `Strict-Transport-Security` in answers over TLS.
    pub hsts: Option<Arc<str>>,
    /// Bounds of HTTP/2 connections; `None`: HTTP/2 is not spoken.
    pub http2: Option<Arc<http2::Limits>>,
    /// One log line per request.
    pub access_log: bool,
    /// Whether the durations of requests are counted, for `/metrics`.
    pub measures: bool,
    /// Which requests are explained. `None`: none, and nothing is noted.
    pub explain: Option<ExplainConfig>,
    /// Host names under which the admin listener answers, beside addresses and `localhost`.
    pub admin_hosts: Vec<String>,
    /// The Redis in which several proxies count together, for their rate limits.
    pub store: Option<Target>,
    /// The second level of the cache, if there is one.
    pub second_level: Option<SecondLevelConfig>,
}

/// Longer than a client that is at work pauses between two requests, and no trouble for a person who pressed Ctrl-C. nginx has a
/// like time since 1.27.4 (`keepalive_min_timeout`).
pub(super) const DRAIN_GRACE: Duration = Duration::from_secs(2);

impl Config {
    /// Bounds on what a backend may send: what the flags allow clients, but not less than usual. A lower limit is meant
    /// for clients only; an answer with one field more than a client may send is no mistake.
    pub(super) fn response_limits(&self) -> Limits {
        Limits {
            head: self.limits.head.max(Limits::HEAD),
            fields: self.limits.fields.max(Limits::FIELDS),
            body: Limits::BODY,
            ..self.limits
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            deadlines: Deadlines::default(),
            forwarding: Forwarding::default(),
            keep_alive_requests: 0,
            body_rate: BODY_RATE,
            on_client_close: OnClientClose::Finish,
            unseen: UNSEEN,
            drain_grace: DRAIN_GRACE,
            redirect: None,
            forward: None,
            hsts: None,
            http2: None,
            access_log: false,
            measures: false,
            explain: None,
            admin_hosts: Vec::new(),
            store: None,
            second_level: None,
        }
    }
}
