//! An HTTP/2 client's side: one prepared request, sent on as many streams as the server allows; frames and their rules are those of
//! [`crate::http2`].

use super::{End, Heard, Sent, http};
use crate::{
    buf::Output,
    http::{Fields, Method, Status},
    http2::{Connection, ErrorCode, Event, Limits, NoStream, Reset, Role},
    load::{Kind, Scheme, Target},
    time::Instant,
};
use bytes::Bytes;
use std::sync::Arc;

/// Content that a stream may have on its way to us. Most of what a browser leaves (6 MiB): a window is not what is to be measured.
const WINDOW: u32 = 4 << 20;
/// Fields of a connection, which a request in HTTP/2 cannot have (RFC 9113 §8.2.2).
const NOT_HERE: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// One request, and what has to be known to read its answer.
#[derive(Debug, Clone)]
pub struct Http2Script {
    method: Method,
    scheme: &'static str,
    authority: String,
    path: String,
    /// With their names in lower case.
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Bytes,
    limits: Arc<Limits>,
    /// Requests on one connection at once.
    streams: u32,
    /// Each connection is for one request.
    closes: bool,
}

impl Http2Script {
    /// A request to `target`, of which each connection has up to `streams` at once. Adds the body's length; what `fields` has
    /// already is left as it is, and `Host` among them is the authority.
    ///
    /// # Errors
    ///
    /// A line that says what cannot be sent.
    pub fn new(
        target: &Target,
        method: Method,
        fields: &[(String, String)],
        body: &[u8],
        streams: u32,
        keep_alive: bool,
    ) -> Result<Self, String> {
        if let Some((name, _)) =
            fields.iter().find(|(name, _)| NOT_HERE.iter().any(|not| name.eq_ignore_ascii_case(not)))
        {
            return Err(format!("{name} is a field of HTTP/1.1 connections: HTTP/2 has no place for it"));
        }
        if fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("te") && !value.eq_ignore_ascii_case("trailers"))
        {
            return Err("in HTTP/2, the only value of TE is trailers".to_owned());
        }
        let head = http::head(target, method, fields, body)?;
        let authority = head.authority().unwrap_or_default().to_owned();
        let others = head.fields.lines().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
        let limits = Limits { max_streams: streams, stream_window: WINDOW, floods: false, ..Limits::default() };
        Ok(Self {
            scheme: if target.scheme == Scheme::Https { "https" } else { "http" },
            authority,
            path: head.target().to_owned(),
            fields: others.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect(),
            body: Bytes::copy_from_slice(body),
            limits: Arc::new(limits),
            streams,
            closes: !keep_alive,
            method: head.method,
        })
    }
}

/// How far the answers on one connection have come.
#[derive(Debug)]
pub(in crate::load) struct Http2Talk {
    connection: Box<Connection>,
    /// Streams whose answers have begun, and their statuses.
    begun: Vec<(u32, Status)>,
    /// The server's settings are waited for before anything is asked.
    greeting: bool,
}

impl Http2Talk {
    pub(super) fn new(script: &Http2Script, now: Instant) -> Self {
        let connection = Box::new(Connection::new(Role::Client, script.limits.clone(), now));
        // One request is within every limit, so it need not wait.
        Self { connection, begun: Vec::new(), greeting: script.streams > 1 }
    }

    pub(super) fn awaits_greeting(&self) -> bool {
        self.greeting
    }

    /// Streams that the server allows, as far as it has said.
    pub(in crate::load) fn allowed(&self) -> Option<u32> {
        self.connection.allowed()
    }

    pub(super) fn ask(&mut self, script: &Http2Script) -> Sent {
        let method = script.method.as_str();
        match self.connection.request(method, script.scheme, &script.authority, &script.path) {
            Ok((stream, mut head)) => {
                script.fields.iter().for_each(|(name, value)| head.field(name, value));
                head.finish(script.body.is_empty());
                if !script.body.is_empty() {
                    self.connection.send(stream, script.body.clone());
                    self.connection.finish(stream, Fields::new());
                }
                Sent::Stream(stream)
            }
            Err(NoStream::TooMany | NoStream::GoingAway) => Sent::NoRoom,
            Err(NoStream::Exhausted) => Sent::Spent,
        }
    }

    pub(super) fn hear(&mut self, script: &Http2Script, input: &mut &[u8], now: Instant) -> Heard {
        loop {
            let Some(event) = self.connection.next(input, now) else {
                let greeted = self.greeting && self.connection.allowed().is_some();
                self.greeting &= !greeted;
                return if greeted { Heard::Greeted } else { Heard::More };
            };
            match event {
                Event::Response { head, .. } if head.status.is_interim() => {}
                Event::Response { stream, head, ends: true } => return self.answered(script, stream, head.status),
                Event::Response { stream, head, ends: false } => self.begun.push((stream, head.status)),
                Event::Data { stream, data } => self.connection.took(stream, data.len()),
                Event::End { stream, .. } => {
                    if let Some(status) = self.forget(stream) {
                        return self.answered(script, stream, status);
                    }
                }
                Event::Reset { stream, why } => {
                    self.forget(stream);
                    let end = match why {
                        Reset::Peer(code) | Reset::Answered(code) => End::Failed(Kind::StreamReset(code)),
                        Reset::Fault(cause) => End::Failed(Kind::Http2(cause)),
                        Reset::Unprocessed => End::Unprocessed,
                    };
                    return Heard::Stream(stream, end);
                }
                Event::GoAway(code) => return Heard::GoingAway(code),
                Event::Failed(cause) => return Heard::Broken(Kind::Http2(cause)),
                // These are for servers.
                Event::Request { .. } | Event::Refused { .. } => return Heard::Broken(Kind::BadResponse),
            }
        }
    }

    fn forget(&mut self, stream: u32) -> Option<Status> {
        let at = self.begun.iter().position(|(begun, _)| *begun == stream)?;
        Some(self.begun.swap_remove(at).1)
    }

    fn answered(&mut self, script: &Http2Script, stream: u32, status: Status) -> Heard {
        // The server did not need all of the content: the rest of it would only take room from the next request.
        self.connection.reset(stream, ErrorCode::CANCEL);
        Heard::Stream(stream, End::Answered { verdict: http::verdict(status), last: script.closes })
    }

    /// Gives a request up.
    pub(in crate::load) fn reset(&mut self, stream: u32) {
        self.forget(stream);
        self.connection.reset(stream, ErrorCode::CANCEL);
    }

    /// The connection is about to be closed by us.
    pub(in crate::load) fn leave(&mut self, now: Instant) {
        self.connection.drain(now);
    }

    /// Moves frames into `output`: content only as much as `room`.
    pub(in crate::load) fn write(&mut self, output: &mut Output, room: usize, now: Instant) {
        self.connection.write(output, room, now);
        // Content is given to a stream as a whole, so there is nothing to go on with.
        while self.connection.relieved().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_http_2_has_and_nothing_else() {
        let target: Target = "http://localhost:1/a?b".parse().unwrap();
        let fields = [("Host", "other"), ("X-Test", "a b"), ("TE", "trailers")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let script = Http2Script::new(&target, Method::Post, &fields, b"123", 1, true).unwrap();
        assert_eq!((script.scheme, script.authority.as_str(), script.path.as_str()), ("http", "other", "/a?b"));
        let fields: Vec<(&[u8], &[u8])> = script.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(fields, [(&b"x-test"[..], &b"a b"[..]), (b"te", b"trailers"), (b"content-length", b"3")]);
        for (name, value, why) in [
            ("Connection", "close", "Connection is a field of HTTP/1.1 connections"),
            ("transfer-encoding", "chunked", "no place for it"),
            ("TE", "gzip", "the only value of TE is trailers"),
        ] {
            let refused = Http2Script::new(&target, Method::Get, &[(name.into(), value.into())], &[], 1, true);
            assert!(refused.as_ref().is_err_and(|error| error.contains(why)), "{name}: {refused:?}");
        }
    }
}
