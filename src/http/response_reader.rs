//! The receiving half of a client's connection: bytes in, responses out.
//!
//! ```text
//!        expect()            first byte          empty line              body complete
//! Idle ──────────▶ Expecting ──────────▶ Head ─────────────────▶ Body ──────────────────▶ Idle
//!                      ▲                  │ │                      ╰── peer closed (until-close body)
//!                      ╰── 1xx: Interim ──╯ ╰── 101, 2xx to CONNECT: Switched, the rest is not HTTP
//! ```

use super::{
    BodyLength, Error, Fields, Limits, Method, ReadPhase, ResponseHead,
    body::{Body, Piece},
    framing::{self, Asked},
    parse::{self, Side},
    section::{Collector, Kind},
};

/// Reads responses from one connection. Small, and nothing on the heap while idle.
///
/// For each request, call [`Self::expect`]; then come any number of [`ResponseEvent::Interim`], one
/// [`ResponseEvent::Head`], any number of [`ResponseEvent::Data`], and [`ResponseEvent::End`], which comes for an empty
/// body too. An until-close body has no `End`: [`Self::end`] says that it is complete.
#[derive(Debug)]
pub struct ResponseReader(State);

#[derive(Debug)]
enum State {
    /// No request is outstanding: nothing may arrive.
    Idle,
    Head(Asked, Collector),
    Body(Body),
    /// The bytes are not HTTP any more.
    Switched,
    Failed(Error),
}

/// A part of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseEvent<'i> {
    /// A 1xx response other than 101; another response follows. How many to bear is the caller's to decide.
    Interim(ResponseHead),
    /// The final response begins; its body is delimited so.
    Head(ResponseHead, BodyLength),
    /// Content: a part of the input, without chunk framing. Never empty.
    Data(&'i [u8]),
    /// The response is complete. Trailers only after a chunked body.
    End(Fields),
    /// 101, or 2xx to `CONNECT`: what follows in the input is not HTTP. Whether the request asked for it is the caller's
    /// to check.
    Switched(ResponseHead),
}

impl ResponseReader {
    /// No request outstanding.
    #[must_use]
    pub fn new() -> Self {
        Self(State::Idle)
    }

    /// A request with this method is sent; its response comes next. Call it before the response can arrive. Responses to
    /// `HEAD` and `CONNECT` are framed otherwise (RFC 9112 §6.3).
    pub fn expect(&mut self, method: &Method) {
        self.0 = State::Head(Asked::with(method), Collector::default());
    }

    /// Takes one step; `input` is advanced past what was used. `None`: all of it was used and more is needed, or it
    /// belongs to another protocol now and none was used.
    ///
    /// After an error, every further call fails with the same one, until [`Self::expect`].
    pub fn next<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Result<Option<ResponseEvent<'i>>, Error> {
        self.step(input, limits).inspect_err(|error| self.0 = State::Failed(*error))
    }

    fn step<'i>(&mut self, input: &mut &'i [u8], limits: &Limits) -> Result<Option<ResponseEvent<'i>>, Error> {
        match &mut self.0 {
            State::Idle if input.is_empty() => Ok(None),
            State::Idle => Err(Error::Unsolicited),
            State::Head(asked, collector) => {
                let asked = *asked;
                if !collector.has_begun()
                    && let Some((head, length)) = parse::whole_response(input, limits)
                {
                    *input = &input[length..];
                    return self.begin(head, asked, limits).map(Some);
                }
                let Some(section) = collector.next(Kind::Response, input, limits)? else { return Ok(None) };
                let head = parse::response(&section)?;
                self.begin(head, asked, limits).map(Some)
            }
            State::Body(body) => match body.next(input, limits)? {
                None => Ok(None),
                Some(Piece::Data(data)) => Ok(Some(ResponseEvent::Data(data))),
                Some(Piece::End(trailers)) => {
                    self.0 = State::Idle;
                    Ok(Some(ResponseEvent::End(trailers)))
                }
            },
            State::Switched => Ok(None),
            State::Failed(error) => Err(*error),
        }
    }

    /// After [`ResponseEvent::Data`]: its content, and that of the short chunks behind it in the same input, in `content` if there are
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
            self.0 = State::Failed(error);
        }
        content
    }

    fn begin<'i>(&mut self, head: ResponseHead, asked: Asked, limits: &Limits) -> Result<ResponseEvent<'i>, Error> {
        let length = framing::of_response_to(&head, asked)?;
        if framing::switches(head.status, asked) {
            self.0 = State::Switched;
            return Ok(ResponseEvent::Switched(head));
        }
        if head.status.is_interim() {
            self.0 = State::Head(asked, Collector::default());
            return Ok(ResponseEvent::Interim(head));
        }
        self.0 = State::Body(Body::new(length, Side::Response, limits)?);
        Ok(ResponseEvent::Head(head, length))
    }

    /// Bytes of content that are still to come and are not framed in any way: they may go another way than through
    /// [`Self::next`]. `None`: not in such a body.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match &self.0 {
            State::Body(body) => body.left(),
            State::Idle | State::Head(..) | State::Switched | State::Failed(_) => None,
        }
    }

    /// `length` bytes of those in [`Self::left`] went another way.
    pub fn skip(&mut self, length: u64) {
        if let State::Body(body) = &mut self.0 {
            body.skip(length);
        }
    }

    /// The peer sends no more. `true`: that completes an until-close body. `false`: no response had begun (whether one
    /// was owed, the caller knows). [`Error::UnexpectedEnd`] inside a response.
    pub fn end(&mut self) -> Result<bool, Error> {
        match &self.0 {
            State::Idle | State::Switched => Ok(false),
            State::Head(_, collector) if !collector.has_begun() => Ok(false),
            State::Body(Body::UntilClose(_)) => {
                self.0 = State::Idle;
                Ok(true)
            }
            State::Failed(error) => Err(*error),
            State::Head(..) | State::Body(_) => {
                self.0 = State::Failed(Error::UnexpectedEnd);
                Err(Error::UnexpectedEnd)
            }
        }
    }

    /// The part of a response that it waits for: it decides which deadline applies. Idle until the first byte of a
    /// response.
    #[must_use]
    pub fn phase(&self) -> ReadPhase {
        match &self.0 {
            State::Idle | State::Switched | State::Failed(_) => ReadPhase::Idle,
            State::Head(_, collector) if !collector.has_begun() => ReadPhase::Idle,
            State::Head(..) => ReadPhase::Head,
            State::Body(_) => ReadPhase::Body,
        }
    }
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self::new()
    }
}
