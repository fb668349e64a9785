//! Which numbers of `/stats` are which metrics. Both show the same reading: a number that is there for people is there for programs.
//!
//! Names and units are as Prometheus' conventions have them: seconds, bytes, `_total` for what only grows.

use super::{
    page::Kind::{self, Counter, Gauge},
    servers::{Server, Shown},
};
use crate::{health::State, resilience::BreakerState};

/// Numbers of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) numbers: &'static [Number],
}

/// A number of `/stats`, or several in one object.
pub(super) struct Number {
    /// Where it is (RFC 6901).
    pub(super) at: &'static str,
    pub(super) labels: &'static [(&'static str, &'static str)],
    /// The label that has the names of the object's members. `None`: it is one number.
    pub(super) by: Option<&'static str>,
    /// It is a word, and the number is 1 if it is this one.
    pub(super) word: Option<&'static str>,
}

const fn one(at: &'static str) -> Number {
    Number { at, labels: &[], by: None, word: None }
}

const fn with(at: &'static str, labels: &'static [(&'static str, &'static str)]) -> Number {
    Number { at, labels, by: None, word: None }
}

const fn by(label: &'static str, at: &'static str) -> Number {
    Number { at, labels: &[], by: Some(label), word: None }
}

const fn is(word: &'static str, at: &'static str) -> Number {
    Number { at, labels: &[], by: None, word: Some(word) }
}

const fn family(name: &'static str, kind: Kind, help: &'static str, numbers: &'static [Number]) -> Family {
    Family { name, kind, help, numbers }
}

/// Those of the whole proxy.
pub(super) const PROXY: &[Family] = &[
    family("proxy_uptime_seconds", Gauge, "Time since the start.", &[one("/uptime_seconds")]),
    family("proxy_workers", Gauge, "Threads with an event loop.", &[one("/workers")]),
    family("proxy_draining", Gauge, "1 if the proxy was told to end.", &[one("/draining")]),
    family(
        "proxy_config_reloads_total",
        Counter,
        "How often another configuration was to be put in place.",
        &[by("result", "/configuration/reloads")],
    ),
    family(
        "proxy_config_last_reload_successful",
        Gauge,
        "0 if the last one was not put in place, and the one before counts.",
        &[one("/configuration/last_reload_successful")],
    ),
    family(
        "proxy_config_loaded_timestamp_seconds",
        Gauge,
        "Since when the configuration counts, in seconds since 1970.",
        &[one("/configuration/loaded_timestamp_seconds")],
    ),
    family("proxy_connections_accepted_total", Counter, "Connections of clients.", &[one("/connections/accepted")]),
    family("proxy_connections_closed_total", Counter, "Of these, closed.", &[one("/connections/closed")]),
    family("proxy_connections_open", Gauge, "Of these, open: accepted less closed.", &[one("/connections/open")]),
    family(
        "proxy_connections_let_go_total",
        Counter,
        "Idle connections of clients that were closed, by reason.",
        &[by("reason", "/connections/idle_closed")],
    ),
    family("proxy_requests_total", Counter, "Requests whose head was understood.", &[one("/requests/total")]),
    family("proxy_requests_answered_total", Counter, "Of these, answered to the end.", &[one("/requests/responses")]),
    family("proxy_requests_aborted_total", Counter, "Of these, broken off.", &[one("/requests/aborted")]),
    family(
        "proxy_requests_running",
        Gauge,
        "Of these, neither: total less answered and aborted.",
        &[one("/requests/running")],
    ),
    family(
        "proxy_requests_refused_total",
        Counter,
        "Bytes that were no request, answered with an error.",
        &[one("/requests/refused")],
    ),
    family("proxy_retries_total", Counter, "Requests that were sent again.", &[one("/requests/retries")]),
    family("proxy_tunnels_total", Counter, "Requests that became a tunnel.", &[one("/requests/tunnels")]),
    family(
        "proxy_clients_asked_total",
        Counter,
        "Clients that had ended their side, and were asked whether they listen.",
        &[one("/requests/asked_whether_client_listens")],
    ),
    family("proxy_responses_total", Counter, "Final responses, by class.", &[by("class", "/requests/status")]),
    family("proxy_received_bytes_total", Counter, "Content from clients.", &[one("/body_bytes/received")]),
    family("proxy_sent_bytes_total", Counter, "Content to clients.", &[one("/body_bytes/sent")]),
    family("proxy_errors_total", Counter, "Requests that did not end well, by reason.", &[by("reason", "/errors")]),
    family("proxy_log_lines_lost_total", Counter, "Log lines that could not be written.", &[one("/log/lines_lost")]),
    family("proxy_backend_connections_opened_total", Counter, "Connections to servers.", &[one("/pool/opened")]),
    family("proxy_backend_connections_reused_total", Counter, "How often one was used again.", &[one("/pool/reused")]),
    family(
        "proxy_backend_connections",
        Gauge,
        "Connections to servers that are open: opened less closed.",
        &[with("/pool/idle", &[("state", "idle")]), with("/pool/busy", &[("state", "busy")])],
    ),
    family(
        "proxy_backend_connections_closed_total",
        Counter,
        "Connections to servers that ended or were given up, by reason.",
        &[by("reason", "/pool_closed")],
    ),
    family("proxy_queue_waiting", Gauge, "Requests that wait for a connection.", &[one("/pool/waiting")]),
    family("proxy_queue_waited_total", Counter, "Requests that waited for one.", &[one("/pool/waited")]),
    family("proxy_queue_full_total", Counter, "Requests that found no place.", &[one("/pool/queue_full")]),
    family(
        "proxy_tls_handshakes_total",
        Counter,
        "Handshakes that succeeded.",
        &[
            with("/tls/handshakes/full", &[("with", "client"), ("kind", "full")]),
            with("/tls/handshakes/resumed", &[("with", "client"), ("kind", "resumed")]),
            with("/tls_to_backends/handshakes/full", &[("with", "server"), ("kind", "full")]),
            with("/tls_to_backends/handshakes/resumed", &[("with", "server"), ("kind", "resumed")]),
        ],
    ),
    family(
        "proxy_tls_failures_total",
        Counter,
        "Failures in handshakes and after, by reason.",
        &[
            Number { at: "/tls/failures", labels: &[("with", "client")], by: Some("reason"), word: None },
            Number { at: "/tls_to_backends/failures", labels: &[("with", "server")], by: Some("reason"), word: None },
        ],
    ),
    family(
        "proxy_tls_certificate_reloads_total",
        Counter,
        "How often certificates were read again.",
        &[by("result", "/tls/reloads")],
    ),
    family("proxy_http2_connections_total", Counter, "Connections of HTTP/2.", &[one("/http2/connections")]),
    family("proxy_http2_streams_total", Counter, "Requests over HTTP/2.", &[one("/http2/streams")]),
    family(
        "proxy_http2_streams_given_up_total",
        Counter,
        "Streams that clients gave up.",
        &[one("/http2/given_up_by_client")],
    ),
    family("proxy_http2_streams_broken_off_total", Counter, "Answers that broke off.", &[one("/http2/broken_off")]),
    family("proxy_http2_streams_refused_total", Counter, "Streams that found no room.", &[one("/http2/refused")]),
    family(
        "proxy_http2_streams_ended_total",
        Counter,
        "Streams that ended because a client broke a rule or a limit.",
        &[by("reason", "/http2/streams_ended")],
    ),
    family(
        "proxy_http2_connections_ended_total",
        Counter,
        "Connections that ended because a client broke a rule or a limit.",
        &[by("reason", "/http2/connections_ended")],
    ),
    family(
        "proxy_http2_goaway_received_total",
        Counter,
        "Connections to which clients said goodbye.",
        &[one("/http2/goaway_from_client")],
    ),
    family(
        "proxy_http2_goaway_sent_total",
        Counter,
        "Connections to which the proxy said goodbye, by reason.",
        &[by("reason", "/http2/goaway_to_client")],
    ),
    family(
        "proxy_rate_limit_refused_total",
        Counter,
        "Requests that were refused because of a rate limit.",
        &[one("/limits/rate_refused")],
    ),
    family(
        "proxy_rate_limit_forgotten_total",
        Counter,
        "Counts of clients that were forgotten before their time.",
        &[one("/limits/buckets_forgotten")],
    ),
    family(
        "proxy_limited_clients",
        Gauge,
        "Clients with requests that are counted for a limit of requests at once.",
        &[one("/limits/clients_with_requests")],
    ),
    family(
        "proxy_limits_store_up",
        Gauge,
        "1 if several proxies count together in a store, 0 if it is away.",
        &[is("up", "/limits/store")],
    ),
    family(
        "proxy_limits_store_questions_total",
        Counter,
        "Questions to that store.",
        &[one("/limits/store_questions")],
    ),
    family("proxy_limits_proxies", Gauge, "Proxies that count together.", &[one("/limits/proxies")]),
    family("proxy_cache_hits_total", Counter, "Requests answered from the cache.", &[one("/cache/hits")]),
    family(
        "proxy_cache_forwarded_total",
        Counter,
        "Requests for which a server was asked, by the reason why the cache did not answer.",
        &[by("reason", "/cache/forwarded")],
    ),
    family(
        "proxy_cache_collapsed_total",
        Counter,
        "Requests answered by the answer to another one.",
        &[one("/cache/collapsed")],
    ),
    family("proxy_cache_revalidated_total", Counter, "Stored responses confirmed.", &[one("/cache/revalidated")]),
    family(
        "proxy_cache_background_total",
        Counter,
        "Requests of the cache's own.",
        &[one("/cache/revalidations_in_background")],
    ),
    family("proxy_cache_stale_total", Counter, "Requests answered by a stale response.", &[one("/cache/stale_served")]),
    family(
        "proxy_cache_stood_in_total",
        Counter,
        "Requests answered from the cache because no server answered.",
        &[one("/cache/stood_in")],
    ),
    family("proxy_cache_stored_total", Counter, "Responses stored.", &[one("/cache/stored")]),
    family(
        "proxy_cache_removed_total",
        Counter,
        "Stored responses taken out, by reason.",
        &[
            with("/cache/evicted", &[("reason", "evicted")]),
            with("/cache/expired", &[("reason", "expired")]),
            with("/cache/invalidated", &[("reason", "invalidated")]),
            with("/cache/purged", &[("reason", "purged")]),
        ],
    ),
    family("proxy_cache_entries", Gauge, "Responses that are stored.", &[one("/cache/entries")]),
    family("proxy_cache_bytes", Gauge, "Memory of the cache in use.", &[one("/cache/bytes")]),
    family(
        "proxy_cache_unstored_bytes",
        Gauge,
        "Of this, for responses that are on their way.",
        &[one("/cache/bytes_not_stored")],
    ),
    family("proxy_cache_limit_bytes", Gauge, "Memory that the cache may use.", &[one("/cache/limit_bytes")]),
    family(
        "proxy_cache_store_up",
        Gauge,
        "1 if the second level of the cache can be asked.",
        &[one("/cache/second_level/up")],
    ),
    family(
        "proxy_cache_store_lookups_total",
        Counter,
        "Requests for which the second level was asked, by result.",
        &[by("result", "/cache/second_level/lookups")],
    ),
    family(
        "proxy_cache_store_writes_total",
        Counter,
        "Responses for the second level, by result.",
        &[by("result", "/cache/second_level/writes")],
    ),
    family(
        "proxy_cache_store_purges_waiting",
        Gauge,
        "Purges that the second level has not carried out.",
        &[one("/cache/second_level/purges_waiting")],
    ),
    family(
        "proxy_cache_store_purges_heard_total",
        Counter,
        "Purges of other proxies that this one has carried out, too.",
        &[one("/cache/second_level/purges_heard")],
    ),
    family("proxy_origins_known", Gauge, "Servers that clients have named.", &[one("/origins/known")]),
    family("proxy_origin_tunnels_running", Gauge, "Tunnels to them.", &[one("/origins/tunnels_in_flight")]),
];

/// Numbers of each server.
pub(super) struct OfServer {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Its place in the server's row of `/stats`, or that of the word that it is made of.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds both pages against each other"))]
    pub(super) at: &'static str,
    pub(super) read: fn(&Server<'_>) -> Shown,
}

const fn of_server(
    name: &'static str,
    kind: Kind,
    at: &'static str,
    help: &'static str,
    read: fn(&Server<'_>) -> Shown,
) -> OfServer {
    OfServer { name, kind, help, at, read }
}

/// Those of each server.
pub(super) const SERVER: &[OfServer] = &[
    of_server("proxy_server_requests_total", Counter, "/requests", "Requests to the server.", |it| {
        Shown::Whole(it.requests)
    }),
    of_server("proxy_server_requests_running", Gauge, "/in_flight", "Of these, not over yet.", |it| {
        Shown::Whole(it.in_flight)
    }),
    of_server("proxy_server_connections", Gauge, "/connections", "Connections to the server.", |it| {
        it.connections.map_or(Shown::Nothing, Shown::Whole)
    }),
    of_server("proxy_server_weight", Gauge, "/weight", "Its share, as it is configured.", |it| {
        Shown::Whole(u64::from(it.backend.weight))
    }),
    of_server("proxy_server_probes_up", Gauge, "/health/probes_up", "1 if probes speak for it.", |it| {
        Shown::Whole(u64::from(it.health.probes_up))
    }),
    of_server(
        "proxy_server_failed_probes",
        Gauge,
        "/health/failed_probes",
        "Failed probes since the last successful one.",
        |it| Shown::Whole(u64::from(it.health.failed_probes)),
    ),
    of_server(
        "proxy_server_failed_requests",
        Gauge,
        "/health/failed_requests",
        "Failed requests since the last successful one.",
        |it| Shown::Whole(u64::from(it.health.failed_requests)),
    ),
    of_server(
        "proxy_server_state_seconds",
        Gauge,
        "/health/since_seconds",
        "Time since it last came up or went down.",
        |it| Shown::Part(it.health.since_seconds),
    ),
    of_server(
        "proxy_server_weight_ratio",
        Gauge,
        "/health/weight_percent",
        "The part of its share that counts; 0 if it gets no requests.",
        |it| Shown::Part(f64::from(it.health.weight_percent) / 100.0),
    ),
    of_server("proxy_server_up", Gauge, "/health/state", "1 if the server gets requests, all or some.", |it| {
        Shown::Whole(u64::from(!matches!(it.health.state, State::Down | State::Draining)))
    }),
    of_server(
        "proxy_server_breaker_open",
        Gauge,
        "/health/breaker",
        "1 if its breaker holds requests back, all or some.",
        |it| Shown::Whole(u64::from(it.health.breaker != BreakerState::Closed)),
    ),
];
