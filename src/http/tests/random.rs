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

fn request() -> impl Strategy<Value = Message> {
    let chunks = proptest::collection::vec("[ -~\r\n]{1,40}", 0..4);
    (fields(), fields(), chunks, "/[a-z/]{0,10}", 0..3u8).prop_map(|(fields, trailers, chunks, target, framing)| {
        let mut head = RequestHead::new(Method::Post, &target).unwrap();
        head.fields.push("Host", "a.example");
        for (name, value) in fields.iter() {
            head.fields.push(name, value);
        }
        let content = chunks.concat();
        let mut wire = Vec::new();
        match framing {
            0 => {
                head.write_to(&mut wire);
                Message { wire, content: String::new(), trailers: Fields::new() }
            }
            1 => {
                head.fields.push("content-length", content.len().to_string());
                head.write_to(&mut wire);
                wire.extend_from_slice(content.as_bytes());
                Message { wire, content, trailers: Fields::new() }
            }
            _ => {
                head.fields.push("Transfer-Encoding", "chunked");
                head.write_to(&mut wire);
                for chunk in &chunks {
                    wire.extend_from_slice(format!("{:x};x=\"y\"\r\n{chunk}\r\n", chunk.len()).as_bytes());
                }
                wire.extend_from_slice(b"0\r\n");
                trailers.write_to(&mut wire);
                wire.extend_from_slice(b"\r\n");
                Message { wire, content, trailers }
            }
        }
    })
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
        prop_assert_eq!(heard.outcome, "between messages");
        let mut rest = heard.events.iter();
        for message in &messages {
            prop_assert!(rest.next().is_some_and(|head| head.starts_with("POST /")));
            if !message.content.is_empty() {
                prop_assert_eq!(rest.next(), Some(&format!("= {}", message.content)));
            }
            prop_assert_eq!(rest.next(), Some(&end_line(&message.trailers)));
        }
        prop_assert_eq!(rest.next(), None);
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
