//! The reader of responses: as for requests. The first byte says what was asked.

use super::{
    heard::{Heard, Message, Wire},
    pieces::{MOST, pieces, tight},
};
use socket_patterns::http::{BodyLength, Fields, Limits, Method, ResponseEvent, ResponseHead, ResponseReader};

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let Some((asked, wire)) = data[..data.len().min(MOST)].split_first() else { return };
    for limits in [Limits::default(), tight()] {
        let whole = hear(*asked, [wire], &limits);
        whole.assert_same(&hear(*asked, wire.chunks(1), &limits));
        whole.assert_same(&hear(*asked, pieces(wire), &limits));
    }
    written_again(*asked, hear(*asked, [wire], &Limits::default()));
}

/// The method of the request whose final response comes as number `number`: two bits each.
fn method(asked: u8, number: usize) -> Method {
    match asked >> (2 * (number % 4)) & 3 {
        0 => Method::Get,
        1 => Method::Head,
        2 => Method::Connect,
        _ => Method::Post,
    }
}

fn hear<'p>(asked: u8, pieces: impl IntoIterator<Item = &'p [u8]>, limits: &Limits) -> Heard<ResponseHead> {
    let mut reader = ResponseReader::new();
    reader.expect(&method(asked, 0));
    let mut heard = Heard::default();
    let mut finals = 0;
    let mut switched = false;
    for mut input in pieces {
        loop {
            match reader.next(&mut input, limits) {
                Ok(Some(ResponseEvent::Interim(head))) => {
                    heard.head(head, BodyLength::Empty);
                    heard.end(Fields::new());
                }
                Ok(Some(ResponseEvent::Head(head, length))) => heard.head(head, length),
                // By chance, what follows in short chunks comes with it: that must not make a difference.
                Ok(Some(ResponseEvent::Data(data))) if input.len() % 2 == 1 => {
                    let mut content = Vec::new();
                    heard.data(reader.gather(data, &mut input, limits, &mut content));
                }
                Ok(Some(ResponseEvent::Data(data))) => heard.data(data),
                Ok(Some(ResponseEvent::End(trailers))) => {
                    heard.end(trailers);
                    finals += 1;
                    reader.expect(&method(asked, finals));
                }
                Ok(Some(ResponseEvent::Switched(head))) => {
                    heard.head(head, BodyLength::Empty);
                    heard.end(Fields::new());
                    switched = true;
                }
                Ok(None) => {
                    assert!(switched || input.is_empty(), "bytes were left");
                    break;
                }
                Err(error) => {
                    assert_eq!(reader.next(&mut &b"HTTP"[..], limits), Err(error), "an error stays");
                    heard.outcome = Err(error);
                    return heard;
                }
            }
        }
    }
    match reader.end() {
        Ok(true) => heard.end(Fields::new()),
        Ok(false) => {}
        Err(error) => heard.outcome = Err(error),
    }
    heard
}

fn written_again(asked: u8, heard: Heard<ResponseHead>) {
    let complete: Vec<_> = heard.messages.into_iter().filter(|message| message.trailers.is_some()).collect();
    let mut wire = Wire::default();
    for message in &complete {
        message.head.write_to(&mut wire.0);
        message.write_body(&mut wire);
    }
    let limits = Limits { head: 2 * MOST, trailers: 2 * MOST, ..Limits::default() };
    let again = hear(asked, [&wire.0[..]], &limits);
    let shown = wire.0.escape_ascii();
    assert_eq!(again.outcome, Ok(()), "{shown}");
    assert_eq!(again.messages, complete.into_iter().map(Message::rewritten).collect::<Vec<_>>(), "{shown}");
}
