//! Answers of the proxy itself: what a client gets when no backend answers it.

use super::{
    access::{Barred, Rate},
    config::Forwarding,
    edits::Edits,
    failure::Failure,
    routing::Target,
};
use crate::http::{Fields, Method, RequestHead, Status};
use std::{borrow::Cow, time::Duration};

/// The methods that go to a backend.
const ALLOWED: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH";

/// The type of a text for people.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// An answer, still without what is said of the connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) content_type: Cow<'static, str>,
    /// Beside the type and the length of the content, and the date.
    pub(super) fields: Fields,
    content: Vec<u8>,
    /// It answers `HEAD`.
    is_head: bool,
}

impl Answer {
    /// The length that the head announces.
    pub(super) fn length(&self) -> usize {
        self.content.len()
    }

    /// The content that follows the head.
    pub(super) fn content(&self) -> &[u8] {
        if self.is_head { &[] } else { &self.content }
    }

    /// Says the id of the request.
    pub(super) fn mark(&mut self, name: &str, id: &str) {
        self.fields.remove(name);
        self.fields.push(name, id);
    }

    /// Changes its fields. It keeps a type: its content is of one.
    pub(super) fn edit(&mut self, edits: &Edits) {
        const TYPE: &str = "content-type";
        edits.apply_to_response(&mut self.fields);
        if let Some(given) = self.fields.get(TYPE) {
            self.content_type = String::from_utf8_lossy(given).into_owned().into();
            self.fields.remove(TYPE);
        }
    }
}

/// The facts that an answer depends on.
pub(super) struct Context<'a> {
    pub(super) failure: Failure,
    /// Nearly always the failure's own.
    pub(super) status: Status,
    /// The request, if it was understood.
    pub(super) head: Option<&'a RequestHead>,
    /// When a backend may be back.
    pub(super) retry_after: Duration,
    pub(super) forwarding: &'a Forwarding,
    /// Where the resource is, for a redirect.
    pub(super) location: Option<String>,
    /// The target of the route of the request.
    pub(super) target: Option<&'a Target>,
    /// The place that its route asks a password for.
    pub(super) realm: Option<&'a str>,
    /// The limit that the client has reached.
    pub(super) rate: Option<&'a Rate>,
}

impl<'a> Context<'a> {
    /// Of a request that could not be read.
    pub(super) fn unread(failure: Failure, forwarding: &'a Forwarding) -> Self {
        Self {
            failure,
            status: failure.status(),
            head: None,
            retry_after: Duration::ZERO,
            forwarding,
            location: None,
            target: None,
            realm: None,
            rate: None,
        }
    }
}

/// The answer to a request that failed. It names the rule in general words; details are in the log.
pub(super) fn failure(context: &Context<'_>) -> Answer {
    if context.failure == Failure::NoForwardsLeft {
        return last_hop(context);
    }
    if matches!(context.failure, Failure::OfRoute(_)) {
        return of_route(context);
    }
    let status = context.status;
    let mut content = format!("{} {}\n", status.code(), status.reason());
    if let Some(hint) = hint(context.failure) {
        content.push_str(hint);
        content.push('\n');
    }
    let mut fields = Fields::new();
    let error = format!("{}; error={}", context.forwarding.pseudonym, context.failure.proxy_status());
    fields.push("Proxy-Status", &error);
    if status == Status::SERVICE_UNAVAILABLE {
        let seconds = context.retry_after.as_secs() + u64::from(context.retry_after.subsec_nanos() > 0);
        fields.push("Retry-After", seconds.max(1).to_string());
    }
    if let Some(location) = &context.location {
        fields.push("Location", location);
    }
    if status == Status::PROXY_AUTHENTICATION_REQUIRED {
        // Browsers ask their user only if there is a realm (RFC 7617 §2).
        fields
            .push("Proxy-Authenticate", format!("Basic realm=\"{}\", charset=\"UTF-8\"", context.forwarding.pseudonym));
    }
    match (context.failure, context.rate) {
        (Failure::Barred(Barred::Rate { seconds, .. }), Some(rate)) => {
            fields.push("Retry-After", seconds.to_string());
            let wait = Duration::from_secs(seconds.into());
            rate.fields(wait).iter().for_each(|(name, value)| fields.push(name, value));
        }
        // Soon: some answer may be on its way.
        (Failure::Barred(Barred::AtOnce), _) => fields.push("Retry-After", "1"),
        _ => {}
    }
    if let (Status::UNAUTHORIZED, Some(realm)) = (status, context.realm) {
        fields.push("WWW-Authenticate", format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
    }
    if status == Status::METHOD_NOT_ALLOWED {
        fields.push("Allow", ALLOWED);
    }
    answer(context, status, TEXT, fields, content.into_bytes())
}

/// The answer that the configuration gives in place of a backend.
fn of_route(context: &Context<'_>) -> Answer {
    let fields = context.location.iter().map(|location| ("Location", location)).collect();
    let (content_type, content) = match context.target {
        Some(Target::Respond { body, content_type, .. }) => (Cow::Owned(content_type.to_string()), body.clone()),
        _ => (TEXT.into(), format!("{} {}\n", context.status.code(), context.status.reason())),
    };
    answer(context, context.status, content_type, fields, content.into_bytes())
}

/// Advice to the client, where it can do something.
fn hint(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::Request(error) => Some(error.as_str()),
        Failure::Denied(denied) => Some(denied.hint()),
        Failure::Barred(barred) => barred.hint(),
        Failure::HeadTimeout => Some("the request head took too long"),
        Failure::BodyTimeout => Some("the request body took too long"),
        Failure::ConnectMethod => Some("this is a reverse proxy: it opens no tunnels"),
        Failure::Misdirected => Some("this connection is not secured: ask for https elsewhere"),
        Failure::PlainScheme => Some("this connection is secured: ask for http elsewhere"),
        Failure::UnknownProtocol => Some("of the protocols for a stream, this proxy knows websocket"),
        Failure::Http2(cause) => Some(cause.as_str()),
        Failure::NeedsTls => Some("this is to be had over TLS"),
        Failure::TlsOnPlainPort => Some("this port speaks HTTP without TLS"),
        Failure::NotCovered => {
            Some("the certificate of this connection is for other hosts: ask over another connection")
        }
        Failure::NoSite => Some("this server is not responsible for the host"),
        Failure::AmbiguousPath => Some("write the path without escapes, dots and empty parts"),
        Failure::Loop => Some("a backend of this proxy leads back to it"),
        Failure::NoBackend | Failure::QueueFull | Failure::QueueTimeout => Some("try again later"),
        _ => None,
    }
}

/// OPTIONS and TRACE with `Max-Forwards: 0` end here (RFC 9110 §7.6.2).
fn last_hop(context: &Context<'_>) -> Answer {
    match context.head {
        Some(head) if head.method == Method::Trace => {
            let mut echo = Vec::new();
            echo.extend_from_slice(format!("TRACE {} HTTP/1.1\r\n", head.target()).as_bytes());
            for (name, value) in head.fields.iter() {
                // RFC 9110 §9.3.8: not what is likely to be secret.
                if !["authorization", "proxy-authorization", "cookie"]
                    .iter()
                    .any(|secret| name.eq_ignore_ascii_case(secret))
                {
                    echo.extend_from_slice(name.as_bytes());
                    echo.extend_from_slice(b": ");
                    echo.extend_from_slice(value);
                    echo.extend_from_slice(b"\r\n");
                }
            }
            echo.extend_from_slice(b"\r\n");
            answer(context, Status::OK, "message/http", Fields::new(), echo)
        }
        _ => {
            let fields = [("Allow", ALLOWED)].into_iter().collect();
            answer(context, Status::OK, TEXT, fields, Vec::new())
        }
    }
}

fn answer(
    context: &Context<'_>,
    status: Status,
    content_type: impl Into<Cow<'static, str>>,
    fields: Fields,
    content: Vec<u8>,
) -> Answer {
    let is_head = context.head.is_some_and(|head| head.method == Method::Head);
    Answer { status, content_type: content_type.into(), fields, content, is_head }
}
