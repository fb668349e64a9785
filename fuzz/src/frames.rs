//! A server's end of an HTTP/2 connection, fed with any bytes: it hears the same however they are cut, says frames that the other
//! end could read, says nothing after its last word, and gives back every window in the end.

use super::pieces::{MOST, pieces};
use socket_patterns::{
    buf::Output,
    http::{Fields, Status},
    http2::{Connection, Event, Limits, PREFACE, Role},
    time::Instant,
};
use std::sync::Arc;

/// Panics if a rule is broken. The input is what a client sends behind its preface.
pub fn judge(data: &[u8]) {
    let wire = [PREFACE, &data[..data.len().min(MOST)]].concat();
    let whole = hear([&wire[..]]);
    assert_eq!(hear(wire.chunks(1)), whole, "byte by byte");
    assert_eq!(hear(pieces(&wire)), whole, "in pieces");
}

/// The events, as text: content is put together.
fn hear<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    // There is no other way to make an `Instant`, and time stands still here.
    #[allow(clippy::disallowed_methods)]
    let now = Instant::now();
    let mut connection = Connection::new(Role::Server, Arc::new(Limits::default()), now);
    let (mut events, mut wire) = (Vec::<String>::new(), Vec::new());
    for mut input in pieces {
        while let Some(event) = connection.next(&mut input, now) {
            answer(&mut connection, &event);
            note(&mut events, &event);
        }
        assert!(input.is_empty(), "bytes were left");
    }
    let mut output = Output::new();
    connection.write(&mut output, usize::MAX, now);
    wire.extend(std::iter::from_fn(|| output.pop()).flatten());
    check_frames(&wire, connection.is_over());
    assert!(connection.open() <= 100, "{} streams", connection.open());
    events
}

/// As an application that answers at once, with a little; it takes no content before the end.
fn answer(connection: &mut Connection, event: &Event<'_>) {
    let (stream, status) = match event {
        Event::Request { stream, ends: true, .. } | Event::End { stream, .. } => (*stream, Status::OK),
        Event::Refused { stream, cause } => (*stream, cause.status()),
        _ => return,
    };
    if let Some(head) = connection.respond(stream, status) {
        head.finish(false);
        connection.send_copy(stream, b"ok");
        connection.finish(stream, Fields::new());
    }
}

fn note(events: &mut Vec<String>, event: &Event<'_>) {
    match (event, events.last_mut()) {
        (Event::Data { stream, data }, Some(last)) if last.starts_with(&format!("Data {stream} ")) => {
            last.push_str(&data.escape_ascii().to_string());
        }
        (Event::Data { stream, data }, _) => events.push(format!("Data {stream} {}", data.escape_ascii())),
        (event, _) => events.push(format!("{event:?}")),
    }
}

/// Whole frames of types that a server sends; `GOAWAY` is the last one of a connection that has failed.
fn check_frames(wire: &[u8], is_over: bool) {
    let mut rest = wire;
    let mut last = 0;
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        assert!(length <= 16_384 && length <= after.len(), "a frame of {length} bytes");
        assert!(matches!(kind, 0 | 1 | 3 | 4 | 6 | 7 | 8), "a frame of type {kind}");
        (rest, last) = (&after[length..], *kind);
    }
    assert!(rest.is_empty(), "half a frame");
    assert!(!is_over || last == 7, "the last word is of type {last}");
}
