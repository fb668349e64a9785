//! Whole HTTP/2 connections against the `h2` crate, in both roles. The input says which requests are made, with which fields and
//! content; each has to arrive as it was sent, and its answer, too.

use super::{
    pieces::{MOST, pieces},
    wire::{End, Far, Wire},
};
use bytes::Bytes;
use h2::{RecvStream, client, server};
use http::{HeaderMap, Request, Response};
use socket_patterns::{
    buf::Output,
    http::Status,
    http2::{Connection, Event, Limits, Role},
    time::Instant,
};
use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A request, or a response, as it should arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Message {
    fields: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
    trailer: Option<Vec<u8>>,
}

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let messages = messages(&data[..data.len().min(MOST / 4)]);
    let answered = Ours::new(Role::Server).serves(&messages);
    assert_eq!(answered, messages, "a client of h2, and our server");
    let answered = Ours::new(Role::Client).asks(&messages);
    assert_eq!(answered, messages, "our client, and a server of h2");
}

/// Up to eight messages: a byte for the number of fields, a byte for the length of the content, and so on.
fn messages(data: &[u8]) -> Vec<Message> {
    let mut bytes = data.iter().copied();
    let mut messages = Vec::new();
    while let (Some(shape), true) = (bytes.next(), messages.len() < 8) {
        let mut message = Message::default();
        for number in 0..shape % 4 {
            let length = usize::from(bytes.next().unwrap_or_default() % 64);
            let text: Vec<u8> = bytes.by_ref().take(length).map(visible).collect();
            message.fields.push((format!("x-{number}"), text));
        }
        let length = usize::from(bytes.next().unwrap_or_default());
        let start = bytes.next().unwrap_or_default();
        // Beyond the window of a stream, now and then.
        let length = if length == 255 { 70_000 } else { length * 7 };
        message.content = (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(start)).collect();
        message.trailer = (shape & 8 != 0).then(|| vec![visible(start)]);
        messages.push(message);
    }
    messages
}

/// A byte that may stand anywhere in a field.
fn visible(byte: u8) -> u8 {
    b'!' + byte % 94
}

fn map(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    let line = |(name, value): &(String, Vec<u8>)| {
        Some((name.parse::<http::HeaderName>().ok()?, http::HeaderValue::from_bytes(value).ok()?))
    };
    fields.iter().filter_map(line).collect()
}

fn trailer(message: &Message) -> Vec<(String, Vec<u8>)> {
    message.trailer.iter().map(|value| ("x-sum".to_owned(), value.clone())).collect()
}

/// Fields of ours, as far as they are the message's own.
fn own<'f>(fields: impl Iterator<Item = (&'f str, &'f [u8])>) -> Vec<(String, Vec<u8>)> {
    fields.filter(|(name, _)| name.starts_with("x-")).map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

fn own_of_map(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    own(map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// Our end of a connection, with what came on each stream.
struct Ours {
    connection: Connection,
    now: Instant,
    heard: BTreeMap<u32, Message>,
    ended: Vec<u32>,
}

impl Ours {
    fn new(role: Role) -> Self {
        // There is no other way to make an `Instant`, and time stands still here.
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let connection = Connection::new(role, Arc::new(Limits::default()), now);
        Self { connection, now, heard: BTreeMap::new(), ended: Vec::new() }
    }

    /// One turn: bytes of the other end come, and ours go. Whether there were any.
    fn turn(&mut self, wire: &Wire) -> bool {
        let input = wire.take(End::Far);
        for mut piece in pieces(&input) {
            while let Some(event) = self.connection.next(&mut piece, self.now) {
                let note = self.hear(event);
                if let Some((stream, length)) = note {
                    self.connection.took(stream, length);
                }
            }
        }
        let mut output = Output::new();
        self.connection.write(&mut output, 20_000, self.now);
        let written: Vec<u8> = std::iter::from_fn(|| output.pop()).flatten().collect();
        let moved = !input.is_empty() || !written.is_empty();
        wire.give(End::Near, &written);
        moved
    }

    fn hear(&mut self, event: Event<'_>) -> Option<(u32, usize)> {
        let (stream, fields, ends) = match event {
            Event::Request { stream, request, ends } => (stream, request.head.fields, ends),
            Event::Response { stream, head, ends } => (stream, head.fields, ends),
            Event::Data { stream, data } => {
                self.heard.entry(stream).or_default().content.extend_from_slice(data);
                return Some((stream, data.len()));
            }
            Event::End { stream, trailers } => {
                let message = self.heard.entry(stream).or_default();
                message.trailer = trailers.get("x-sum").map(<[u8]>::to_vec);
                self.ended.push(stream);
                return None;
            }
            // A server may say that it wants no more of a request that it has read.
            Event::Reset { .. } | Event::GoAway(_) => return None,
            other => panic!("{other:?}"),
        };
        self.heard.insert(stream, Message { fields: own(fields.iter()), ..Message::default() });
        self.ended.extend(ends.then_some(stream));
        None
    }

    fn say(&mut self, stream: u32, message: &Message) {
        self.connection.send(stream, Bytes::from(message.content.clone()));
        self.connection.finish(stream, trailer(message).iter().map(|(name, value)| (name.as_str(), value)).collect());
    }

    /// A server that answers each request with its own content and fields. The answers, as a client of `h2` got them.
    fn serves(mut self, messages: &[Message]) -> Vec<Message> {
        let wire = Wire::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut handshake = pin!(client::handshake(Far(wire.clone())));
        let (mut ask, mut far) = loop {
            self.turn(&wire);
            if let Poll::Ready(done) = handshake.as_mut().poll(&mut cx) {
                break done.expect("a handshake");
            }
        };
        let mut answers: Vec<_> = messages.iter().map(|message| ask_far(&mut ask, message)).collect();
        let mut quiet = 0;
        while quiet < 4 {
            let _ = Pin::new(&mut far).poll(&mut cx);
            let moved = self.turn(&wire);
            for stream in std::mem::take(&mut self.ended) {
                let message = self.heard.remove(&stream).expect("it was heard");
                let mut head = self.connection.respond(stream, Status::OK).expect("it is open");
                message.fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value));
                head.finish(false);
                self.say(stream, &message);
            }
            answers.iter_mut().for_each(|answer| answer.poll(&mut cx));
            quiet = if moved { 0 } else { quiet + 1 };
        }
        assert_eq!(self.connection.open(), 0);
        answers.into_iter().map(|answer| answer.message).collect()
    }

    /// A client, and a server of `h2` that answers likewise. The answers, as ours got them.
    fn asks(mut self, messages: &[Message]) -> Vec<Message> {
        let wire = Wire::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut handshake = pin!(server::handshake(Far(wire.clone())));
        let mut far = loop {
            self.turn(&wire);
            if let Poll::Ready(done) = handshake.as_mut().poll(&mut cx) {
                break done.expect("a handshake");
            }
        };
        let mut streams = Vec::new();
        for message in messages {
            let (stream, mut head) = self.connection.request("POST", "http", "a", "/").expect("there is room");
            message.fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value));
            head.finish(false);
            self.say(stream, message);
            streams.push(stream);
        }
        let mut asked = Vec::new();
        let mut quiet = 0;
        while quiet < 4 {
            while let Poll::Ready(Some(accepted)) = far.poll_accept(&mut cx) {
                let (request, respond) = accepted.expect("a request");
                let (parts, body) = request.into_parts();
                asked.push(Asked { answer: Answer::of(&parts.headers, Some(body)), respond });
            }
            asked.iter_mut().for_each(|asked| asked.poll(&mut cx));
            quiet = if self.turn(&wire) { 0 } else { quiet + 1 };
        }
        assert_eq!(self.connection.open(), 0);
        streams.iter().filter_map(|stream| self.heard.remove(stream)).collect()
    }
}

/// A message that `h2` reads.
#[derive(Default)]
struct Answer {
    head: Option<client::ResponseFuture>,
    body: Option<RecvStream>,
    message: Message,
    ended: bool,
}

fn ask_far(ask: &mut client::SendRequest<Bytes>, message: &Message) -> Answer {
    let mut request = Request::post("http://a/").body(()).expect("a request");
    *request.headers_mut() = map(&message.fields);
    let (head, mut content) = ask.send_request(request, false).expect("there is room");
    speak(&mut content, message);
    Answer { head: Some(head), ..Answer::default() }
}

fn speak(content: &mut h2::SendStream<Bytes>, message: &Message) {
    let trailers = map(&trailer(message));
    content.send_data(message.content.clone().into(), trailers.is_empty()).expect("the stream is open");
    if !trailers.is_empty() {
        content.send_trailers(trailers).expect("the stream is open");
    }
}

impl Answer {
    fn of(headers: &HeaderMap, body: Option<RecvStream>) -> Self {
        Self { message: Message { fields: own_of_map(headers), ..Message::default() }, body, ..Self::default() }
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(head) = &mut self.head
            && let Poll::Ready(response) = Pin::new(head).poll(cx)
        {
            let (parts, body) = response.expect("an answer").into_parts();
            *self = Self::of(&parts.headers, Some(body));
        }
        let Some(body) = &mut self.body else { return };
        while let Poll::Ready(Some(data)) = body.poll_data(cx) {
            let data = data.expect("content");
            body.flow_control().release_capacity(data.len()).expect("no more than came");
            self.message.content.extend_from_slice(&data);
        }
        if let Poll::Ready(trailers) = body.poll_trailers(cx) {
            let trailers = trailers.expect("trailers, or none");
            self.message.trailer = trailers.and_then(|map| Some(map.get("x-sum")?.as_bytes().to_vec()));
            self.ended = true;
            self.body = None;
        }
    }
}

/// A request that a server of `h2` reads, and its way back.
struct Asked {
    answer: Answer,
    respond: server::SendResponse<Bytes>,
}

impl Asked {
    fn poll(&mut self, cx: &mut Context<'_>) {
        let before = self.answer.ended;
        self.answer.poll(cx);
        if self.answer.ended && !before {
            let mut response = Response::new(());
            *response.headers_mut() = map(&self.answer.message.fields);
            let mut content = self.respond.send_response(response, false).expect("the stream is open");
            speak(&mut content, &self.answer.message);
        }
    }
}
