//! Readers against wire bytes: whole, byte by byte, cut everywhere, and with another message behind.

mod random;
mod refusals;
mod requests;
mod responses;

use super::{Error, Limits, Method, RequestEvent, RequestReader, ResponseEvent, ResponseReader};
use std::collections::VecDeque;

/// The events of a reader, in a form that is easy to write down and does not depend on how the bytes were cut.
#[derive(Debug, Clone, PartialEq, Default)]
struct Heard {
    /// Heads with their framing, `= content` (pieces joined), `.` or `. {trailers}` for an end.
    events: Vec<String>,
    /// The result of `end`, or the error that came before.
    outcome: String,
}

/// A reader under test.
trait Half {
    fn step(&mut self, input: &mut &[u8], limits: &Limits) -> Result<Option<Said>, Error>;
    fn end(&mut self) -> String;
}

enum Said {
    Line(String),
    Data(Vec<u8>),
}

struct Requests(RequestReader);

impl Half for Requests {
    fn step(&mut self, input: &mut &[u8], limits: &Limits) -> Result<Option<Said>, Error> {
        let event = self.0.next(input, limits)?;
        Ok(event.map(|event| match event {
            RequestEvent::Head(head, length) => {
                let version = head.version.as_str();
                Said::Line(format!("{} {} {version} {:?} {length:?}", head.method, head.target(), head.fields))
            }
            RequestEvent::Data(data) => Said::Data(data.to_vec()),
            RequestEvent::End(trailers) => Said::Line(end_line(&trailers)),
        }))
    }

    fn end(&mut self) -> String {
        self.0.end().map_or_else(|error| error.to_string(), |()| "between messages".into())
    }
}

/// Reads responses to these requests.
struct Responses(ResponseReader, VecDeque<Method>);

impl Responses {
    fn expect(&mut self) {
        if let Some(method) = self.1.pop_front() {
            self.0.expect(&method);
        }
    }
}

impl Half for Responses {
    fn step(&mut self, input: &mut &[u8], limits: &Limits) -> Result<Option<Said>, Error> {
        let head = |head: &super::ResponseHead| {
            let reason = String::from_utf8_lossy(head.reason()).into_owned();
            format!("{} {} [{reason}] {:?}", head.version.as_str(), head.status, head.fields)
        };
        let event = self.0.next(input, limits)?;
        Ok(event.map(|event| match event {
            ResponseEvent::Interim(interim) => Said::Line(format!("interim {}", head(&interim))),
            ResponseEvent::Head(response, length) => Said::Line(format!("{} {length:?}", head(&response))),
            ResponseEvent::Data(data) => Said::Data(data.to_vec()),
            ResponseEvent::End(trailers) => {
                self.expect();
                Said::Line(end_line(&trailers))
            }
            ResponseEvent::Switched(response) => Said::Line(format!("switched {}", head(&response))),
        }))
    }

    fn end(&mut self) -> String {
        self.0.end().map_or_else(
            |error| error.to_string(),
            |complete| if complete { "complete by close" } else { "between messages" }.into(),
        )
    }
}

fn end_line(trailers: &super::Fields) -> String {
    if trailers.is_empty() { ".".into() } else { format!(". {trailers:?}") }
}

fn requests() -> Requests {
    Requests(RequestReader::new())
}

fn responses_to(methods: &[Method]) -> Responses {
    let mut responses = Responses(ResponseReader::new(), methods.iter().cloned().collect());
    responses.expect();
    responses
}

/// Feeds the pieces one after another.
fn hear<'p>(mut half: impl Half, pieces: impl IntoIterator<Item = &'p [u8]>, limits: &Limits) -> Heard {
    let mut heard = Heard::default();
    let mut content: Vec<u8> = Vec::new();
    let flush = |content: &mut Vec<u8>, events: &mut Vec<String>| {
        if !content.is_empty() {
            events.push(format!("= {}", String::from_utf8_lossy(content)));
            content.clear();
        }
    };
    for piece in pieces {
        let mut input = piece;
        loop {
            match half.step(&mut input, limits) {
                Ok(Some(Said::Data(data))) => {
                    assert!(!data.is_empty(), "an empty piece of content");
                    content.extend(data);
                }
                Ok(Some(Said::Line(line))) => {
                    flush(&mut content, &mut heard.events);
                    heard.events.push(line);
                }
                Ok(None) => break,
                Err(error) => {
                    flush(&mut content, &mut heard.events);
                    assert_eq!(half.step(&mut &b"GET"[..], limits).err(), Some(error), "an error stays");
                    assert_eq!(half.end(), error.to_string(), "an error stays at the end");
                    heard.outcome = error.to_string();
                    return heard;
                }
            }
        }
    }
    flush(&mut content, &mut heard.events);
    heard.outcome = half.end();
    heard
}

/// Feeds `wire` whole, byte by byte, and in two pieces cut everywhere: all must say the same.
fn hear_all_ways<H: Half>(half: impl Fn() -> H, wire: &[u8], limits: &Limits) -> Heard {
    let whole = hear(half(), [wire], limits);
    let shown = String::from_utf8_lossy(wire);
    let bytes = hear(half(), wire.chunks(1), limits);
    assert_eq!(bytes, whole, "byte by byte: {shown:?}");
    for cut in 0..=wire.len() {
        let (one, two) = wire.split_at(cut);
        assert_eq!(hear(half(), [one, two], limits), whole, "cut at {cut}: {shown:?}");
    }
    whole
}
