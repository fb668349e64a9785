//! Field blocks: put together, decoded in any case, and then a request, a response or trailers.

use super::{Connection, Event, Found, receive::Block};
use crate::{
    http::{BodyLength, Method, ResponseHead, Status, framing},
    http2::{
        cause::{Cause, Fault},
        frame::{END_HEADERS, END_STREAM, Head, Kind},
        limits::{BLOCK_FACTOR, BOMB_FACTOR, MAX_CONTINUATIONS, Meter},
        message::{self, Request, Section},
        settings::Role,
        stream::{Closed, Expect, Move, Stream},
    },
    time::Instant,
};

/// The outcome of a frame, before it is known how far an error reaches.
type Outcome = Result<Option<Event<'static>>, Fault>;

/// The use of a field block.
enum Purpose {
    /// A stream begins.
    Request,
    Response(usize),
    Trailers(usize),
    /// It is decoded only so that the next ones can be.
    Nothing(Result<(), Fault>),
}

impl Connection {
    pub(super) fn headers(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        let fragment = head.fragment(payload)?;
        let ends = head.has(END_STREAM);
        if head.has(END_HEADERS) {
            return self.block(head.stream, ends, fragment, now);
        }
        self.block = Some(Box::new(Block { stream: head.stream, ends, continuations: 0, bytes: fragment.to_vec() }));
        Ok(None)
    }

    pub(super) fn continuation(&mut self, head: Head, payload: &[u8], now: Instant) -> Outcome {
        let flood = |cause| Err(Fault::Connection(cause));
        let Some(mut block) = self.block.take() else { return flood(Cause::NoBlock) };
        block.continuations += 1;
        if block.continuations > MAX_CONTINUATIONS {
            return flood(Cause::ContinuationFlood);
        }
        if block.bytes.len() + payload.len() > BLOCK_FACTOR * self.limits.http.head {
            return flood(Cause::BlockTooLarge);
        }
        block.bytes.extend_from_slice(payload);
        if head.has(END_HEADERS) {
            return self.block(block.stream, block.ends, &block.bytes, now);
        }
        self.block = Some(block);
        Ok(None)
    }

    /// A whole block.
    fn block(&mut self, stream: u32, ends: bool, block: &[u8], now: Instant) -> Outcome {
        let purpose = self.purpose(stream)?;
        let kind = match purpose {
            Purpose::Request => message::Kind::Request,
            Purpose::Response(_) => message::Kind::Response,
            Purpose::Trailers(_) | Purpose::Nothing(_) => message::Kind::Trailers,
        };
        let limits = &self.limits.http;
        let bomb = BOMB_FACTOR * limits.head;
        let mut section = Section::new(kind, limits, block.len());
        let decoded = match purpose {
            Purpose::Nothing(_) => self.decoder.decode(block, bomb, |_, _| {}),
            _ => self.decoder.decode(block, bomb, |name, value| section.line(name, value)),
        };
        decoded.map_err(|error| Fault::Connection(error.into()))?;
        match purpose {
            Purpose::Request => {
                let request = section.request(ends);
                self.begin(stream, request, ends, now)
            }
            Purpose::Response(slot) => {
                let head = section.response().map_err(Fault::Stream)?;
                self.response(slot, head, ends)
            }
            Purpose::Trailers(slot) => {
                let trailers = section.trailers();
                self.trailers_end(slot, ends)?;
                match trailers {
                    Ok(trailers) => Ok(self.receive_end(slot, trailers)),
                    Err(cause) if self.answers(cause) => Ok(self.refuse_rest(stream, cause, true)),
                    Err(cause) => Err(Fault::Stream(cause)),
                }
            }
            Purpose::Nothing(outcome) => outcome.map(|()| None),
        }
    }

    fn purpose(&mut self, stream: u32) -> Result<Purpose, Fault> {
        let slot = match self.find(stream) {
            Found::Open(slot) => slot,
            Found::Closed(closed) => {
                return match closed.receives(Kind::Headers) {
                    Err(Fault::Connection(cause)) => Err(Fault::Connection(cause)),
                    other => Ok(Purpose::Nothing(other.map(drop))),
                };
            }
            Found::Idle if self.role == Role::Client || stream.is_multiple_of(2) => {
                return Err(Fault::Connection(Cause::StreamNumber));
            }
            Found::Idle => {
                self.last_peer = stream;
                return Ok(if self.going.ignores(stream) {
                    self.remembered.note(stream, Closed::ByUs);
                    Purpose::Nothing(Ok(()))
                } else if self.streams.len() >= self.limits.max_streams as usize {
                    Purpose::Nothing(Err(Fault::Stream(Cause::TooManyStreams)))
                } else {
                    Purpose::Request
                });
            }
        };
        let known = &self.streams[slot];
        Ok(match (known.state.receives(Kind::Headers), known.expect) {
            (Err(fault), _) => Purpose::Nothing(Err(fault)),
            (Ok(()), Expect::Response { .. }) => Purpose::Response(slot),
            (Ok(()), Expect::Trailers) => Purpose::Trailers(slot),
            (Ok(()), Expect::Nothing) => Purpose::Nothing(Err(Fault::Stream(Cause::WrongEnd))),
        })
    }

    /// A client's stream begins.
    fn begin(&mut self, number: u32, request: Result<Request, Cause>, ends: bool, now: Instant) -> Outcome {
        let expect = match &request {
            Ok(request) if request.protocol.is_some() || request.head.method == Method::Connect => Expect::Nothing,
            _ => Expect::Trailers,
        };
        let mut stream = Stream::new(number, expect, self.peer.initial_window, self.limits.stream_window);
        if ends {
            stream.state = stream.state.after(Move::ReceiveEnd);
        }
        let event = match request {
            Ok(mut request) => {
                request.priority = self.take_early(number).unwrap_or(request.priority);
                stream.priority = request.priority;
                stream.expected = match request.body {
                    BodyLength::Exact(length) => Some(length),
                    BodyLength::Empty => Some(0),
                    BodyLength::Chunked | BodyLength::UntilClose => None,
                };
                Event::Request { stream: number, request, ends }
            }
            Err(cause) => {
                self.meters.count(Meter::MadeResets, 1, now).map_err(Fault::Connection)?;
                stream.ignores = true;
                // One that is too large is well-formed.
                stream.malformed = Some(cause).filter(|cause| cause.status() == Status::BAD_REQUEST);
                Event::Refused { stream: number, cause }
            }
        };
        self.insert(stream);
        Ok(Some(event))
    }

    fn response(&mut self, slot: usize, head: ResponseHead, ends: bool) -> Outcome {
        let known = &mut self.streams[slot];
        let stream = known.id;
        if head.status.is_interim() {
            return if ends {
                Err(Fault::Stream(Cause::WrongEnd))
            } else {
                Ok(Some(Event::Response { stream, head, ends }))
            };
        }
        let bodiless = matches!(known.expect, Expect::Response { bodiless: true });
        let asked = if bodiless { Method::Head } else { Method::Get };
        let length = framing::of_response(&head, &asked).map_err(|error| Fault::Stream(error.into()))?;
        known.expected = match length {
            BodyLength::Empty => Some(0),
            BodyLength::Exact(length) => Some(length),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        known.expect = Expect::Trailers;
        if ends {
            self.length_fits(slot)?;
            self.close_remote(slot);
        }
        Ok(Some(Event::Response { stream, head, ends }))
    }

    /// Whether the cause is one that the application answers: what is too large is well-formed.
    fn answers(&self, cause: Cause) -> bool {
        self.role == Role::Server && cause.status() != Status::BAD_REQUEST
    }

    /// The rest of a request is too large: it is thrown away, and the application answers. `ended`: there was no more of it.
    pub(super) fn refuse_rest(&mut self, stream: u32, cause: Cause, ended: bool) -> Option<Event<'static>> {
        let is_news = self.slot(stream).is_some_and(|slot| !self.streams[slot].ignores);
        self.ignore(stream);
        if let Some(slot) = self.slot(stream).filter(|_| ended) {
            self.close_remote(slot);
        }
        is_news.then_some(Event::Refused { stream, cause })
    }

    /// Trailers end their message.
    fn trailers_end(&self, slot: usize, ends: bool) -> Result<(), Fault> {
        if !ends {
            return Err(Fault::Stream(Cause::WrongEnd));
        }
        self.length_fits(slot)
    }

    /// There was as much content as was announced.
    pub(super) fn length_fits(&self, slot: usize) -> Result<(), Fault> {
        match self.streams[slot].expected {
            None | Some(0) => Ok(()),
            Some(_) => Err(Fault::Stream(Cause::LengthMismatch)),
        }
    }
}
