//! An HTTP client's side: one prepared request, and answers read by the readers of [`crate::http`].

use super::Heard;
use crate::{
    http::{Limits, Method, RequestHead, ResponseEvent, ResponseHead, ResponseReader, Status, persistent_after},
    load::{Kind, Target},
};
use bytes::Bytes;

/// Interim responses to bear before an answer. One `100` or `103` is usual.
const MAX_INTERIM: u8 = 16;

/// One request, and what has to be known to read its answer.
#[derive(Debug, Clone)]
pub struct HttpScript {
    pub(super) request: Bytes,
    method: Method,
    limits: Limits,
    /// Each request asks for the end of its connection. A server need not confirm that (RFC 9112 §9.6).
    closes: bool,
}

impl HttpScript {
    /// A request to `target`. Adds `Host`, the body's length and, unless connections are kept, `Connection: close`; what
    /// `fields` has already is left as it is.
    ///
    /// # Errors
    ///
    /// A line that says what cannot be sent.
    pub fn new(
        target: &Target,
        method: Method,
        fields: &[(String, String)],
        body: &[u8],
        keep_alive: bool,
    ) -> Result<Self, String> {
        let mut head = head(target, method, fields, body)?;
        if !keep_alive && !head.fields.contains("connection") {
            head.fields.push("Connection", "close");
        }
        let closes = !keep_alive || head.fields.has_token("connection", "close");
        let mut request = Vec::new();
        head.write_to(&mut request);
        request.extend_from_slice(body);
        Ok(Self { request: request.into(), method: head.method, limits: Limits::default(), closes })
    }
}

/// The head of a request in every version: the fields that the user gave, and those without which it would be no request.
pub(super) fn head(
    target: &Target,
    method: Method,
    fields: &[(String, String)],
    body: &[u8],
) -> Result<RequestHead, String> {
    if method == Method::Connect {
        return Err("CONNECT opens a tunnel: there is no answer to measure".to_owned());
    }
    let wrong = |error| format!("{error}: write what a URL cannot hold in hexadecimal, as %20 for a space");
    let mut head = RequestHead::new(method, &target.path).map_err(wrong)?;
    let given = |name: &str| fields.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if !given("host") {
        head.fields.push("Host", target.authority());
    }
    for (name, value) in fields {
        head.fields.push(name, value);
    }
    // A server may insist on a length where the method leads it to expect content (RFC 9110 §8.6).
    let expected = matches!(head.method, Method::Post | Method::Put | Method::Patch);
    if (expected || !body.is_empty()) && !given("content-length") && !given("transfer-encoding") {
        head.fields.push("Content-Length", body.len().to_string());
    }
    Ok(head)
}

/// The verdict on a complete answer with this status.
pub(super) fn verdict(status: Status) -> Result<(), Kind> {
    match status.code() {
        400..=499 => Err(Kind::Status4xx),
        500..=599 => Err(Kind::Status5xx),
        _ => Ok(()),
    }
}

/// How far the answers on one connection have come.
#[derive(Debug, Default)]
pub(in crate::load) struct HttpTalk {
    reader: ResponseReader,
    /// Requests without a complete answer.
    waiting: u32,
    interim: u8,
    /// Of the answer that has begun.
    status: Option<Status>,
    last: bool,
}

impl HttpTalk {
    pub(super) fn asked(&mut self, script: &HttpScript) {
        self.waiting += 1;
        if self.waiting == 1 {
            self.reader.expect(&script.method);
        }
    }

    pub(super) fn hear(&mut self, script: &HttpScript, input: &mut &[u8]) -> Heard {
        loop {
            if self.waiting == 0 {
                return if input.is_empty() { Heard::More } else { Heard::Unasked };
            }
            match self.reader.next(input, &script.limits) {
                Ok(None) => return Heard::More,
                Ok(Some(ResponseEvent::Head(head, length))) => {
                    self.last = script.closes || persistent_after(&head, length).is_err();
                    self.status = Some(head.status);
                }
                Ok(Some(ResponseEvent::Data(_))) => {}
                Ok(Some(ResponseEvent::End(_))) => return self.complete(script),
                Ok(Some(ResponseEvent::Interim(_))) if self.interim < MAX_INTERIM => self.interim += 1,
                // We never ask to switch.
                Ok(Some(ResponseEvent::Interim(_) | ResponseEvent::Switched(ResponseHead { .. }))) | Err(_) => {
                    return Heard::Broken(Kind::BadResponse);
                }
            }
        }
    }

    fn complete(&mut self, script: &HttpScript) -> Heard {
        self.waiting -= 1;
        self.interim = 0;
        if self.waiting > 0 {
            self.reader.expect(&script.method);
        }
        Heard::Answer { verdict: self.verdict(), last: self.last }
    }

    fn verdict(&self) -> Result<(), Kind> {
        self.status.map_or(Err(Kind::BadResponse), verdict)
    }

    pub(super) fn end(&mut self) -> Option<Result<(), Kind>> {
        if self.waiting == 0 || self.reader.end() != Ok(true) {
            return None;
        }
        self.waiting -= 1;
        Some(self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_brings_content_says_so_even_if_there_is_none() {
        let target: Target = "http://localhost:1/".parse().unwrap();
        for (method, body, length) in [
            (Method::Get, "", None),
            (Method::Delete, "", None),
            (Method::Get, "abc", Some("3")),
            (Method::Post, "", Some("0")),
            (Method::Put, "", Some("0")),
            (Method::Patch, "abc", Some("3")),
        ] {
            let script = HttpScript::new(&target, method.clone(), &[], body.as_bytes(), true).unwrap();
            let request = String::from_utf8(script.request.to_vec()).unwrap();
            let said = request.split_once("Content-Length: ").map(|(_, rest)| rest.split_once('\r').unwrap().0);
            assert_eq!(said, length, "{method:?}");
        }
        let chunked = [("transfer-encoding".to_owned(), "chunked".to_owned())];
        let script = HttpScript::new(&target, Method::Post, &chunked, b"0\r\n\r\n", true).unwrap();
        assert!(!String::from_utf8_lossy(&script.request).contains("Content-Length"));
    }
}
