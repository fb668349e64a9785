//! The receiving half of a server's connection: bytes in, requests out.
//!
//! ```text
//!        empty lines          first byte             empty line            body complete
//! Idle ────────────▶ Idle ───────────────▶ Head ───────────────▶ Body ───────────────────▶ Idle
//!                                           │ Head event           │ Data events, End event
//!                                           ╰──────── Failed ◀─────╯ anything malformed
//! ```

use super::{
    BodyLength, Error, Fields, Limits, ReadPhase, RequestHead,
    body::{Body, Piece},
    framing, limits,
    parse::{self, Side},
    section::{Collector, Kind},
};

/// Reads requests from one connection. Small, and nothing on the heap while idle.
///
/// For each request come [`RequestEvent::Head`], any number of [`RequestEvent::Data`], and [`RequestEvent::End`], which
/// comes for an empty body too. So after a head, call [`Self::next`] on even if the input is used up.
#[derive(Debug)]
pub struct RequestReader(State);

#[derive(Debug)]
enum State {
    /// Between requests, after so many empty lines and perhaps the first half of another line break.
    Idle {
        empty_lines: u8,
        after_cr: bool,
    },
    Head(Collector),
    Body(Body),
    /// With what was kept of the head, for [`RequestReader::begun`].
    Failed(Error, Collector),
}

const IDLE: State = State::Idle { empty_lines: 0, after_cr: false };

/// A part of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestEvent<'i> {
    /// A request begins; its body is delimited so.
    Head(RequestHead, BodyLength),
    /// Content: a part of the input, without chunk framing. Never empty.
    Data(&'i [u8]),
    /// The request is complete. Trailers only after a chunked body; what they may say to whom is the caller's to decide
    /// (see [`super::hop::forbidden_in_trailers`]).
    End(Fields),
}

impl RequestReader {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self(IDLE)
    }

    /// Takes one step; `input` is advanced past what was used. `None`: all of it was used and more is needed.
    ///
    /// After an error, every further call fails with the same one: it is not known where the next request would start.
    pub fn next<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Result<Option<RequestEvent<'i>>, Error> {
        self.step(input, limits).inspect_err(|error| self.fail(*error))
    }

    fn step<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Result<Option<RequestEvent<'i>>, Error> {
        if let State::Idle { empty_lines, after_cr } = &mut self.0 {
            skip_empty_lines(input, empty_lines, after_cr)?;
            if input.is_empty() {
                return Ok(None);
            }
            if let Some((head, length)) = parse::whole_request(input, limits) {
                *input = &input[length..];
                return self.begin(head, limits).map(Some);
            }
            self.0 = State::Head(Collector::default());
        }
        match &mut self.0 {
            State::Head(collector) => {
                let Some(section) = collector.next(Kind::Request, input, limits)? else { return Ok(None) };
                self.begin(parse::request(&section)?, limits).map(Some)
            }
            State::Body(body) => match body.next(input, limits)? {
                None => Ok(None),
                Some(Piece::Data(data)) => Ok(Some(RequestEvent::Data(data))),
                Some(Piece::End(trailers)) => {
                    self.0 = IDLE;
                    Ok(Some(RequestEvent::End(trailers)))
                }
            },
            State::Failed(error, _) => Err(*error),
            State::Idle { .. } => Ok(None),
        }
    }

    /// After [`RequestEvent::Data`]: its content, and that of the short chunks behind it in the same input, in `content` if there are
    /// any. So a body in tiny chunks is handed on in a few pieces. An error behind them is that of the next [`Self::next`].
    pub fn gather<'g>(
        &mut self,
        first: &'g [u8],
        input: &mut &[u8],
        limits: &Limits,
        content: &'g mut Vec<u8>,
    ) -> &'g [u8] {
        let State::Body(body) = &mut self.0 else { return first };
        let (content, ended) = body.gather(first, input, limits, content);
        if let Err(error) = ended {
            self.fail(error);
        }
        content
    }

    fn fail(&mut self, error: Error) {
        let kept = match &mut self.0 {
            State::Head(collector) | State::Failed(_, collector) => std::mem::take(collector),
            State::Idle { .. } | State::Body(_) => Collector::default(),
        };
        self.0 = State::Failed(error, kept);
    }

    /// The bytes that are kept of a head that arrived in several pieces and is not complete, or is not a head. They are
    /// unchecked, just as the peer sent them. Empty if all of it lies in one input.
    #[must_use]
    pub fn begun(&self) -> &[u8] {
        match &self.0 {
            State::Head(collector) | State::Failed(_, collector) => collector.begun(),
            State::Idle { .. } | State::Body(_) => &[],
        }
    }

    fn begin<'i>(&mut self, head: RequestHead, limits: &Limits) -> Result<RequestEvent<'i>, Error> {
        let length = framing::of_request(&head)?;
        self.0 = State::Body(Body::new(length, Side::Request, limits)?);
        Ok(RequestEvent::Head(head, length))
    }

    /// The peer sends no more. Fine between requests, [`Error::UnexpectedEnd`] inside one.
    pub fn end(&mut self) -> Result<(), Error> {
        match &self.0 {
            State::Idle { .. } => Ok(()),
            State::Failed(error, _) => Err(*error),
            State::Head(_) | State::Body(_) => {
                self.fail(Error::UnexpectedEnd);
                Err(Error::UnexpectedEnd)
            }
        }
    }

    /// The part of a request that it waits for: it decides which deadline applies.
    #[must_use]
    pub fn phase(&self) -> ReadPhase {
        match &self.0 {
            State::Idle { .. } | State::Failed(..) => ReadPhase::Idle,
            State::Head(_) => ReadPhase::Head,
            State::Body(_) => ReadPhase::Body,
        }
    }
}

impl Default for RequestReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Skips line breaks before a request line (RFC 9112 §2.2), a bounded number of them.
fn skip_empty_lines(input: &mut &[u8], empty_lines: &mut u8, after_cr: &mut bool) -> Result<(), Error> {
    while let [byte, rest @ ..] = *input {
        match (byte, *after_cr) {
            (b'\r', false) => *after_cr = true,
            (b'\n', true) if *empty_lines == limits::MAX_EMPTY_LINES => return Err(Error::TooManyEmptyLines),
            (b'\n', true) => (*empty_lines, *after_cr) = (*empty_lines + 1, false),
            (b'\n', false) => return Err(Error::BareLf),
            (_, true) => return Err(Error::BareCr),
            (_, false) => break,
        }
        *input = rest;
    }
    Ok(())
}
