//! The reader of requests: the same is heard however the bytes are cut, and what was accepted is accepted again, with the
//! same meaning, when we write it.

use super::{
    heard::{Heard, Message, Wire},
    pieces::{MOST, pieces, tight},
};
use socket_patterns::http::{Limits, RequestEvent, RequestHead, RequestReader};

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let wire = &data[..data.len().min(MOST)];
    for limits in [Limits::default(), tight()] {
        let whole = hear([wire], &limits);
        whole.assert_same(&hear(wire.chunks(1), &limits));
        whole.assert_same(&hear(pieces(wire), &limits));
    }
    written_again(hear([wire], &Limits::default()));
}

/// Reads the pieces, one after another.
pub fn hear<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limits: &Limits) -> Heard<RequestHead> {
    let mut reader = RequestReader::new();
    let mut heard = Heard::default();
    for mut input in pieces {
        loop {
            let before = input.len();
            match reader.next(&mut input, limits) {
                Ok(Some(RequestEvent::Head(head, length))) => heard.head(head, length),
                // By chance, what follows in short chunks comes with it: that must not make a difference.
                Ok(Some(RequestEvent::Data(data))) if input.len() % 2 == 1 => {
                    let mut content = Vec::new();
                    heard.data(reader.gather(data, &mut input, limits, &mut content));
                }
                Ok(Some(RequestEvent::Data(data))) => heard.data(data),
                Ok(Some(RequestEvent::End(trailers))) => heard.end(trailers),
                Ok(None) => {
                    assert!(input.is_empty(), "bytes were left");
                    break;
                }
                Err(error) => {
                    assert_eq!(reader.next(&mut &b"GET"[..], limits), Err(error), "an error stays");
                    heard.outcome = Err(error);
                    return heard;
                }
            }
            assert!(input.len() <= before);
        }
    }
    heard.outcome = reader.end();
    heard
}

fn written_again(heard: Heard<RequestHead>) {
    let complete: Vec<_> = heard.messages.into_iter().filter(|message| message.trailers.is_some()).collect();
    let mut wire = Wire::default();
    for message in &complete {
        message.head.write_to(&mut wire.0);
        message.write_body(&mut wire);
    }
    // Every line may have become longer by a space.
    let limits = Limits { head: 2 * MOST, trailers: 2 * MOST, ..Limits::default() };
    let again = hear([&wire.0[..]], &limits);
    let shown = wire.0.escape_ascii();
    assert_eq!(again.outcome, Ok(()), "{shown}");
    assert_eq!(again.messages, complete.into_iter().map(Message::rewritten).collect::<Vec<_>>(), "{shown}");
}
