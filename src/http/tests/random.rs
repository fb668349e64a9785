//! Random messages in random pieces, and random bytes.

use super::{super::*, *};
use proptest::prelude::*;

/// A message as it goes over the wire, and what should be heard.
#[derive(Debug, Clone)]
struct Message {
    wire: Vec<u8>,
    content: String,
    trailers: Fields,
}

fn fields() -> impl Strategy<Value = Fields> {
    let name = "[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}";
    let value = prop_oneof!["[!-~]{0,10}", "[!-~][ -~]{0,20}[!-~]", "[!-~]\u{e9}[!-~]"];
    let usable = |name: &str| {
        !["host", "content-length", "transfer-encoding", "expect"].contains(&name.to_ascii_lowercase().as_str())
    };
    proptest::collection::vec((name, value), 0..6).prop_map(move |lines| {
        lines.iter().filter(|(name, _)| usable(name)).map(|(name, value)| (&**name, &**value)).collect()
    })
}

/// Messages that start with `start`, which says everything but the framing.
fn message(start: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Message> {
    let chunks = proptest::collection::vec("[ -~\r\n]{1,40}", 0..4);
    (start, fields(), chunks, any::<bool>()).prop_map(|(mut wire, trailers, chunks, chunked)| {
        let content = chunks.concat();
        if !chunked {
            wire.extend_from_slice(format!("content-length: {}\r\n\r\n{content}", content.len()).as_bytes());
            return Message { wire, content, trailers: Fields::new() };
        }
        wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x};x=\"y\"\r\n{chunk}\r\n", chunk.len()).as_bytes());
        }
        wire.extend_from_slice(b"0\r\n");
        trailers.write_to(&mut wire);
        wire.extend_from_slice(b"\r\n");
        Message { wire, content, trailers }
    })
}

/// A head without the empty line.
fn started(line: &str, fields: &Fields) -> Vec<u8> {
    let mut wire = line.as_bytes().to_vec();
    fields.write_to(&mut wire);
    wire
}

fn request() -> impl Strategy<Value = Message> {
    message(
        (fields(), "/[a-z/]{0,10}")
            .prop_map(|(fields, target)| started(&format!("POST {target} HTTP/1.1\r\nHost: a.example\r\n"), &fields)),
    )
}

fn response() -> impl Strategy<Value = Message> {
    message(
        (fields(), "|HTTP/1[.]1 1(00|03) x\r\n\r\n", "( [a-z ]{0,9})?")
            .prop_map(|(fields, interim, reason)| started(&format!("{interim}HTTP/1.1 200{reason}\r\n"), &fields)),
    )
}

/// Checks that these messages were heard, with heads that start with `head`.
fn check(heard: Heard, messages: &[Message], head: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(heard.outcome, "between messages");
    let mut rest = heard.events.iter().filter(|event| !event.starts_with("interim"));
    for message in messages {
        prop_assert!(rest.next().is_some_and(|event| event.starts_with(head)));
        if !message.content.is_empty() {
            prop_assert_eq!(rest.next().cloned(), Some(format!("= {}", message.content)));
        }
        prop_assert_eq!(rest.next().cloned(), Some(end_line(&message.trailers)));
    }
    prop_assert_eq!(rest.next(), None);
    Ok(())
}

/// Bytes in the order they were handed over.
struct Wire(Vec<u8>);

impl crate::buf::Sink for Wire {
    fn owned(&mut self, bytes: bytes::Bytes) {
        self.0.extend_from_slice(&bytes);
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Cuts `wire` at the given places, taken modulo its length.
fn pieces<'w>(wire: &'w [u8], cuts: &[usize]) -> Vec<&'w [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
    places.extend([0, wire.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &wire[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_is_heard_however_it_is_cut(
        messages in proptest::collection::vec(request(), 1..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let wire = messages.iter().flat_map(|message| message.wire.clone()).collect::<Vec<_>>();
        let heard = hear(requests(), pieces(&wire, &cuts), &Limits::default());
        prop_assert_eq!(&heard, &hear(requests(), [&wire[..]], &Limits::default()));
        check(heard, &messages, "POST /")?;
    }

    #[test]
    fn the_same_is_heard_of_responses(
        messages in proptest::collection::vec(response(), 1..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let wire = messages.iter().flat_map(|message| message.wire.clone()).collect::<Vec<_>>();
        let methods = vec![Method::Get; messages.len()];
        let heard = hear(responses_to(&methods), pieces(&wire, &cuts), &Limits::default());
        prop_assert_eq!(&heard, &hear(responses_to(&methods), [&wire[..]], &Limits::default()));
        check(heard, &messages, "HTTP/1.1 200 [")?;
    }

    #[test]
    fn a_written_message_is_read_again(
        fields in fields(),
        trailers in fields(),
        content in proptest::collection::vec("[ -~\r\n]{0,40}", 0..6),
        framing in 0..3u8,
    ) {
        let mut head = RequestHead::new(Method::Put, "/").unwrap();
        head.fields.push("Host", "a");
        for (name, value) in fields.iter() {
            head.fields.push(name, value);
        }
        let whole = content.concat();
        let length = match framing {
            0 => BodyLength::Chunked,
            _ if whole.is_empty() => BodyLength::Empty,
            _ => BodyLength::Exact(whole.len() as u64),
        };
        let mut declaration = Vec::new();
        framing::write_field(length, &mut declaration);
        let mut sink = Wire(Vec::new());
        head.write_to(&mut sink.0);
        sink.0.truncate(sink.0.len() - 2);
        sink.0.extend_from_slice(&[&declaration[..], b"\r\n"].concat());
        let mut writer = BodyWriter::of(length);
        for piece in &content {
            writer.data(&mut sink, piece.as_bytes()).unwrap();
        }
        writer.end(&mut sink, &trailers).unwrap();
        let mut kept = trailers.clone();
        kept.retain(|name, _| length == BodyLength::Chunked && !hop::forbidden_in_trailers(name));
        let message = Message { wire: Vec::new(), content: whole, trailers: kept };
        check(hear(requests(), [&sink.0[..]], &Limits::default()), &[message], "PUT / HTTP/1.1")?;
    }

    #[test]
    fn one_wrong_byte_is_heard_the_same_however_it_is_cut(
        message in request(),
        place in any::<usize>(),
        byte in prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b';'), Just(0)],
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut wire = message.wire;
        let place = place % wire.len();
        wire[place] = byte;
        let whole = hear(requests(), [&wire[..]], &Limits::default());
        let cut = hear(requests(), pieces(&wire, &cuts), &Limits::default());
        prop_assert_eq!(&whole.events, &cut.events);
        let fine = |heard: &Heard| heard.outcome == "between messages";
        prop_assert_eq!(fine(&whole), fine(&cut), "{:?} {:?}", whole, cut);
    }

    #[test]
    fn random_bytes_do_no_harm(
        noise in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':')], 0..200),
        cuts in proptest::collection::vec(any::<usize>(), 0..5),
        prefix in prop_oneof![
            Just(""),
            Just("GET / HTTP/1.1\r\n"),
            Just("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Just("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
            Just("HTTP/1.1 200 OK\r\n"),
        ],
    ) {
        let wire = [prefix.as_bytes(), &noise].concat();
        let limits = Limits { head: 100, request_line: 40, fields: 4, body: 50, trailers: 50, ..Limits::default() };
        hear(requests(), pieces(&wire, &cuts), &limits);
        hear(responses_to(&[Method::Get, Method::Head, Method::Connect]), pieces(&wire, &cuts), &limits);
    }
}
