//! Answers of the proxy itself: what a client gets when no backend answers it.

use super::{config::Forwarding, failure::Failure};
use crate::http::{Method, RequestHead, Status, Version};
use bytes::{Bytes, BytesMut};
use std::{fmt::Write as _, time::Duration};

/// What an answer depends on.
pub(super) struct Context<'a> {
    pub(super) failure: Failure,
    /// Nearly always the failure's own.
    pub(super) status: Status,
    /// The request, if it was understood.
    pub(super) head: Option<&'a RequestHead>,
    /// Whether the client's connection persists.
    pub(super) persist: bool,
    /// When a backend may be back.
    pub(super) retry_after: Duration,
    pub(super) date: &'a str,
    pub(super) forwarding: &'a Forwarding,
}

/// An answer, and how much of it is body.
pub(super) struct Answer {
    pub(super) message: Bytes,
    pub(super) body: usize,
}

/// The answer to a request that failed. It names the rule in general words; details are in the log.
pub(super) fn failure(context: &Context<'_>, scratch: &mut BytesMut) -> Answer {
    if context.failure == Failure::NoForwardsLeft {
        return last_hop(context, scratch);
    }
    let status = context.status;
    let mut body = format!("{} {}\n", status.code(), status.reason());
    if let Some(hint) = hint(context.failure) {
        body.push_str(hint);
        body.push('\n');
    }
    let mut extra =
        format!("Proxy-Status: {}; error={}\r\n", context.forwarding.pseudonym, context.failure.proxy_status());
    if status == Status::SERVICE_UNAVAILABLE {
        let seconds = context.retry_after.as_secs() + u64::from(context.retry_after.subsec_nanos() > 0);
        let _ = write!(extra, "Retry-After: {}\r\n", seconds.max(1));
    }
    if status == Status::METHOD_NOT_ALLOWED {
        extra.push_str("Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH\r\n");
    }
    write(context, scratch, status, "text/plain; charset=utf-8", &extra, body.as_bytes())
}

/// What the client can do about it, where it can do something.
fn hint(failure: Failure) -> Option<&'static str> {
    match failure {
        Failure::Request(error) => Some(error.as_str()),
        Failure::HeadTimeout => Some("the request head took too long"),
        Failure::BodyTimeout => Some("the request body took too long"),
        Failure::ConnectMethod => Some("this is a reverse proxy: it opens no tunnels"),
        Failure::Misdirected => Some("this connection is not secured: ask for https elsewhere"),
        Failure::Loop => Some("a backend of this proxy leads back to it"),
        Failure::NoBackend | Failure::QueueFull | Failure::QueueTimeout => Some("try again later"),
        _ => None,
    }
}

/// OPTIONS and TRACE with `Max-Forwards: 0` end here (RFC 9110 §7.6.2).
fn last_hop(context: &Context<'_>, scratch: &mut BytesMut) -> Answer {
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
            write(context, scratch, Status::OK, "message/http", "", &echo)
        }
        _ => {
            let allow = "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH\r\n";
            write(context, scratch, Status::OK, "text/plain; charset=utf-8", allow, b"")
        }
    }
}

fn write(
    context: &Context<'_>,
    scratch: &mut BytesMut,
    status: Status,
    content_type: &str,
    extra: &str,
    body: &[u8],
) -> Answer {
    let http10 = context.head.is_some_and(|head| head.version == Version::Http10);
    let connection = match (context.persist, http10) {
        (false, _) => "Connection: close\r\n",
        (true, true) => "Connection: keep-alive\r\n",
        (true, false) => "",
    };
    let head_only = context.head.is_some_and(|head| head.method == Method::Head);
    // Writing to a buffer that grows cannot fail.
    let _ = write!(
        scratch,
        "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{extra}{connection}\r\n",
        status.code(),
        status.reason(),
        context.date,
        body.len(),
    );
    let body = if head_only { &[][..] } else { body };
    scratch.extend_from_slice(body);
    Answer { message: scratch.split().freeze(), body: body.len() }
}
