//! Every rule of RFC 9113 about frames and streams that a peer can break, with the code and the reach of the error.

use super::support::*;
use crate::http2::{Cause, Limits, PREFACE, Role, hpack};

/// Runs a case in three ways, on a server after the greeting: whole, byte by byte, and with something behind it. The frames of
/// `before` set the stage and are not judged.
fn judge(name: &str, before: &[Vec<u8>], case: &[u8], expected: Ends) {
    let ping = raw(6, 0, 0, b"12345678");
    let with_more = [case, &ping].concat();
    let bytes: Vec<&[u8]> = case.chunks(1).collect();
    for (way, pieces) in [("whole", &[case][..]), ("byte by byte", &bytes), ("with more behind", &[&with_more])] {
        let mut peer = Peer::server();
        peer.hear(&before.concat());
        peer.said();
        peer.heard();
        pieces.iter().for_each(|piece| peer.hear(piece));
        let (said, heard) = (peer.said(), peer.heard());
        let has = |list: &[String], start: &str| list.iter().any(|line| line.starts_with(start));
        let context = format!("{name}, {way}: heard {heard:?}, said {said:?}");
        let goes_on = way != "with more behind" || has(&said, "PING ACK 12345678");
        match expected {
            Ends::Nothing => {
                assert!(!has(&said, "RST_STREAM") && !has(&said, "GOAWAY") && goes_on, "{context}");
                assert!(!peer.connection.is_over(), "{context}");
            }
            Ends::Stream(cause) => {
                let code = cause.code().as_str();
                let reset = said.iter().filter(|line| line.starts_with("RST_STREAM")).collect::<Vec<_>>();
                assert!(reset.len() == 1 && reset[0].ends_with(code), "{context}");
                assert!(
                    heard.iter().any(|line| line.starts_with("RESET") && line.ends_with(cause.as_str())),
                    "{context}"
                );
                assert!(!has(&said, "GOAWAY") && goes_on, "{context}");
            }
            Ends::Connection(cause) => {
                let code = cause.code().as_str();
                assert!(
                    said.last().is_some_and(|line| line.starts_with("GOAWAY") && line.ends_with(code)),
                    "{context}"
                );
                assert_eq!(heard.last(), Some(&format!("FAILED {cause}")), "{context}");
                assert!(peer.connection.is_over(), "{context}");
            }
        }
    }
}

use Ends::{Connection, Nothing, Stream};

type Case = (&'static str, Vec<Vec<u8>>, Vec<u8>, Ends);

fn judge_all(cases: Vec<Case>) {
    for (name, before, case, expected) in cases {
        judge(name, &before, &case, expected);
    }
}

/// RFC 9113 §4.1, §4.2, §5.5.
#[test]
fn frames() {
    let long = vec![0; 16_385];
    judge_all(vec![
        ("an unknown type", vec![], raw(0x77, 0xff, 0, b"anything"), Nothing),
        ("an unknown type on a stream", vec![], raw(0x77, 0, 5, b""), Nothing),
        ("unused flags", vec![], raw(6, 0xfe, 0, b"87654321"), Nothing),
        ("a reserved bit", vec![], raw(8, 0, 0x8000_0000, &1u32.to_be_bytes()), Nothing),
        ("DATA of the longest size", vec![post(1)], data(0, 1, &long[1..]), Nothing),
        ("DATA too long", vec![post(1)], data(0, 1, &long), Stream(Cause::FrameTooLarge)),
        ("DATA too long, on an idle stream", vec![], data(0, 1, &long), Connection(Cause::FrameTooLarge)),
        ("HEADERS too long", vec![], headers(WHOLE, 1, &long), Connection(Cause::FrameTooLarge)),
        ("an unknown type too long", vec![], raw(0x77, 0, 0, &long), Connection(Cause::FrameTooLarge)),
        ("PING on a stream", vec![], raw(6, 0, 1, b"12345678"), Connection(Cause::OnStream)),
        ("SETTINGS on a stream", vec![], raw(4, 0, 1, b""), Connection(Cause::OnStream)),
        ("GOAWAY on a stream", vec![], raw(7, 0, 1, &[0; 8]), Connection(Cause::OnStream)),
        ("DATA on stream 0", vec![], data(0, 0, b""), Connection(Cause::OnConnection)),
        ("HEADERS on stream 0", vec![], headers(WHOLE, 0, &block(&GET)), Connection(Cause::OnConnection)),
        ("PRIORITY on stream 0", vec![], raw(2, 0, 0, &[0; 5]), Connection(Cause::OnConnection)),
        ("RST_STREAM on stream 0", vec![], raw(3, 0, 0, &[0; 4]), Connection(Cause::OnConnection)),
        ("CONTINUATION on stream 0", vec![], continuation(END_HEADERS, 0, b""), Connection(Cause::OnConnection)),
        ("PRIORITY too short", vec![post(1)], raw(2, 0, 1, &[0; 4]), Stream(Cause::FrameLength)),
        ("PRIORITY too short, on an idle stream", vec![], raw(2, 0, 1, &[0; 4]), Connection(Cause::FrameLength)),
        ("RST_STREAM too short", vec![post(1)], raw(3, 0, 1, &[0; 3]), Connection(Cause::FrameLength)),
        ("SETTINGS and a half", vec![], raw(4, 0, 0, &[0; 9]), Connection(Cause::FrameLength)),
        ("SETTINGS ACK with settings", vec![], raw(4, 1, 0, &[0; 6]), Connection(Cause::FrameLength)),
        ("PING too short", vec![], raw(6, 0, 0, b"1234567"), Connection(Cause::FrameLength)),
        ("PING ACK that nobody asked for", vec![], raw(6, 1, 0, b"12345678"), Nothing),
        ("GOAWAY too short", vec![], raw(7, 0, 0, &[0; 7]), Connection(Cause::FrameLength)),
        ("WINDOW_UPDATE too short", vec![], raw(8, 0, 0, &[0; 3]), Connection(Cause::FrameLength)),
        ("WINDOW_UPDATE too long", vec![post(1)], raw(8, 0, 1, &[0; 5]), Connection(Cause::FrameLength)),
    ]);
}

/// §6.1, §6.2: padding, which counts as content for the windows.
#[test]
fn padding() {
    let padded = block(&GET);
    let with = |length: u8, zeros: usize| [&[length], &padded[..], &vec![0; zeros]].concat();
    judge_all(vec![
        ("HEADERS with padding", vec![], headers(WHOLE | 8, 1, &with(3, 3)), Nothing),
        ("HEADERS with padding of no length", vec![], headers(WHOLE | 8, 1, &with(0, 0)), Nothing),
        ("HEADERS with nothing but padding", vec![], headers(WHOLE | 8, 1, &[2, 0]), Connection(Cause::Padding)),
        ("HEADERS without room for it", vec![], headers(WHOLE | 8, 1, &[]), Connection(Cause::FrameLength)),
        ("DATA with padding", vec![post(1)], data(8, 1, b"\x03abc\0\0\0"), Nothing),
        ("DATA with nothing but padding", vec![post(1)], data(8, 1, b"\x03\0\0\0"), Nothing),
        ("DATA with as much padding as payload", vec![post(1)], data(8, 1, b"\x04\0\0\0"), Connection(Cause::Padding)),
        ("DATA with more padding than payload", vec![post(1)], data(8, 1, b"\xff\0\0\0"), Connection(Cause::Padding)),
        ("DATA without room for its length", vec![post(1)], data(8, 1, b""), Stream(Cause::FrameLength)),
    ]);
    let old = [&[0x80, 0, 0, 1, 255], &padded[..]].concat();
    judge("the old priority, of itself", &[], &headers(WHOLE | 0x20, 1, &old), Nothing);
}

/// §5.1: what may come in which state.
#[test]
fn states() {
    let trailers = || headers(WHOLE, 1, &block(&[("a", "b")]));
    let ended = || vec![get(1)];
    judge_all(vec![
        ("idle: DATA", vec![], data(0, 1, b"a"), Connection(Cause::Idle)),
        ("idle: RST_STREAM", vec![], reset(1), Connection(Cause::Idle)),
        ("idle: WINDOW_UPDATE", vec![], window(1, 1), Connection(Cause::Idle)),
        ("idle: PRIORITY", vec![], raw(2, 0, 1, &[0; 5]), Nothing),
        ("idle: CONTINUATION", vec![], continuation(END_HEADERS, 1, b""), Connection(Cause::NoBlock)),
        (
            "idle: HEADERS on a server's stream",
            vec![],
            headers(WHOLE, 2, &block(&GET)),
            Connection(Cause::StreamNumber),
        ),
        ("idle: DATA on a server's stream", vec![], data(0, 2, b""), Connection(Cause::Idle)),
        ("a promise", vec![post(1)], raw(5, 4, 1, &[0, 0, 0, 2]), Connection(Cause::Push)),
        ("open: DATA", vec![post(1)], data(0, 1, b"a"), Nothing),
        ("open: trailers", vec![post(1)], trailers(), Nothing),
        ("open: PRIORITY", vec![post(1)], raw(2, 0, 1, &[0; 5]), Nothing),
        ("half-closed: DATA", ended(), data(0, 1, b"a"), Stream(Cause::StreamClosed)),
        ("half-closed: HEADERS", ended(), trailers(), Stream(Cause::StreamClosed)),
        ("half-closed: WINDOW_UPDATE", ended(), window(1, 1), Nothing),
        ("half-closed: PRIORITY", ended(), raw(2, 0, 1, &[0; 5]), Nothing),
        ("half-closed: CONTINUATION", ended(), continuation(END_HEADERS, 1, b""), Connection(Cause::NoBlock)),
        ("reset by the peer: DATA", vec![post(1), reset(1)], data(0, 1, b"a"), Stream(Cause::StreamClosed)),
        ("reset by the peer: HEADERS", vec![post(1), reset(1)], trailers(), Connection(Cause::StreamClosed)),
        ("reset by the peer: WINDOW_UPDATE", vec![post(1), reset(1)], window(1, 1), Nothing),
        ("reset by the peer: RST_STREAM", vec![post(1), reset(1)], reset(1), Nothing),
        ("reset by the peer: PRIORITY", vec![post(1), reset(1)], raw(2, 0, 1, &[0; 5]), Nothing),
        ("reset by us: DATA", vec![post(1), window(1, 0)], data(0, 1, b"a"), Nothing),
        ("reset by us: HEADERS", vec![post(1), window(1, 0)], trailers(), Nothing),
        ("reset by us: WINDOW_UPDATE", vec![post(1), window(1, 0)], window(1, 0), Nothing),
        ("passed over: HEADERS", vec![get(3)], headers(WHOLE, 1, &block(&GET)), Connection(Cause::StreamNumber)),
        ("passed over: DATA", vec![get(3)], data(0, 1, b"a"), Stream(Cause::StreamClosed)),
        ("passed over: WINDOW_UPDATE", vec![get(3)], window(1, 1), Nothing),
    ]);
}

/// A stream that has ended on both sides.
#[test]
fn after_both_ends() {
    for (frame, said) in [
        (data(0, 1, b"a"), "RST_STREAM 1 STREAM_CLOSED"),
        (headers(WHOLE, 1, &block(&GET)), "GOAWAY 1 STREAM_CLOSED"),
        (window(1, 1), "PING ACK 12345678"),
        (reset(1), "PING ACK 12345678"),
        (raw(2, 0, 1, &[0; 5]), "PING ACK 12345678"),
    ] {
        let mut peer = Peer::server();
        peer.hear(&get(1));
        peer.respond(1, b"ok");
        assert_eq!(peer.said(), ["HEADERS 1 :status=200", "DATA 1 ok END"]);
        peer.hear(&[&frame[..], &raw(6, 0, 0, b"12345678")].concat());
        assert_eq!(peer.said().first().map(String::as_str), Some(said));
    }
}

/// §4.3, §6.10.
#[test]
fn field_blocks() {
    let whole = block(&GET);
    let (one, two) = whole.split_at(7);
    let begun = || headers(END_STREAM, 1, one);
    let rest = || continuation(END_HEADERS, 1, two);
    judge_all(vec![
        ("in two", vec![], [begun(), rest()].concat(), Nothing),
        (
            "in many, some of them empty",
            vec![],
            [begun(), continuation(0, 1, b""), continuation(0, 1, &two[..1]), continuation(END_HEADERS, 1, &two[1..])]
                .concat(),
            Nothing,
        ),
        (
            "of no bytes, and then all",
            vec![],
            [headers(END_STREAM, 1, b""), continuation(END_HEADERS, 1, &whole)].concat(),
            Nothing,
        ),
        (
            "that cannot be decoded",
            vec![],
            headers(WHOLE, 1, &[0x80]),
            Connection(Cause::Compression(hpack::Error::BadIndex)),
        ),
        (
            "cut off",
            vec![],
            headers(WHOLE, 1, &whole[..whole.len() - 1]),
            Connection(Cause::Compression(hpack::Error::Truncated)),
        ),
        (
            "that cannot be decoded, on a stream that was reset",
            vec![post(1), window(1, 0)],
            headers(WHOLE, 1, &[0x80]),
            Connection(Cause::Compression(hpack::Error::BadIndex)),
        ),
    ]);
}

#[test]
fn field_blocks_that_are_interrupted() {
    let whole = block(&GET);
    let (one, two) = whole.split_at(7);
    let begun = || headers(END_STREAM, 1, one);
    judge_all(vec![
        (
            "interrupted by DATA",
            vec![post(1)],
            [headers(END_STREAM, 3, one), data(0, 1, b"a")].concat(),
            Connection(Cause::BlockInterrupted),
        ),
        (
            "interrupted by an unknown type",
            vec![],
            [begun(), raw(0x77, 0, 1, b"")].concat(),
            Connection(Cause::BlockInterrupted),
        ),
        (
            "interrupted by PRIORITY",
            vec![],
            [begun(), raw(2, 0, 1, &[0; 5])].concat(),
            Connection(Cause::BlockInterrupted),
        ),
        ("interrupted by HEADERS", vec![], [begun(), get(3)].concat(), Connection(Cause::BlockInterrupted)),
        (
            "continued on another stream",
            vec![],
            [begun(), continuation(END_HEADERS, 3, two)].concat(),
            Connection(Cause::BlockInterrupted),
        ),
        ("continued after its end", vec![get(1)], continuation(END_HEADERS, 1, b""), Connection(Cause::NoBlock)),
    ]);
}

/// A block on a stream that is over changes the table all the same.
#[test]
fn a_block_that_nobody_wants_is_decoded() {
    let mut peer = Peer::server();
    let remembered = [&[0x40, 3][..], b"abc", &[1], b"d"].concat();
    peer.hear(&[post(1), window(1, 0), headers(WHOLE, 1, &remembered)].concat());
    peer.hear(&headers(WHOLE, 3, &[&block(&GET)[..], &[0xbe]].concat()));
    assert_eq!(peer.heard().last().map(String::as_str), Some("REQUEST 3 GET / | host: a | abc: d END"));
}

/// §6.5, §6.9.
#[test]
fn settings_and_windows() {
    const MAX: u32 = (1 << 31) - 1;
    let most = || window(1, MAX - 65_535);
    judge_all(vec![
        ("ENABLE_PUSH 2", vec![], settings(&[(2, 2)]), Connection(Cause::BadSetting)),
        ("MAX_FRAME_SIZE too small", vec![], settings(&[(5, 16_383)]), Connection(Cause::BadSetting)),
        ("INITIAL_WINDOW_SIZE too large", vec![], settings(&[(4, 1 << 31)]), Connection(Cause::SettingOverflow)),
        ("an unknown setting", vec![], settings(&[(0x99, 1)]), Nothing),
        ("no streams for us", vec![], settings(&[(3, 0)]), Nothing),
        ("a stream's window grows by nothing", vec![post(1)], window(1, 0), Stream(Cause::ZeroIncrement)),
        ("the connection's window grows by nothing", vec![], window(0, 0), Connection(Cause::ZeroIncrement)),
        ("a stream's window at its largest", vec![post(1)], most(), Nothing),
        ("a stream's window beyond", vec![post(1), most()], window(1, 1), Stream(Cause::WindowOverflow)),
        ("the connection's window at its largest", vec![], window(0, MAX - 65_535), Nothing),
        ("the connection's window beyond", vec![], window(0, MAX - 65_534), Connection(Cause::WindowOverflow)),
        (
            "a setting that overflows a stream's window",
            vec![post(1), most()],
            settings(&[(4, 65_536)]),
            Connection(Cause::SettingOverflow),
        ),
    ]);
}

/// RFC 9218 §7.1.
#[test]
fn priority_updates() {
    let update = |stream: u32, value: &[u8]| raw(0x10, 0, 0, &[&stream.to_be_bytes(), value].concat());
    judge_all(vec![
        ("of an open stream", vec![post(1)], update(1, b"u=1"), Nothing),
        ("of an idle stream", vec![], update(1, b"u=1, i"), Nothing),
        ("of a closed stream", vec![get(3)], update(1, b"u=1"), Nothing),
        ("that says nothing", vec![], update(1, b""), Nothing),
        ("that is no priority", vec![], update(1, b"\xff\0"), Nothing),
        ("of stream 0", vec![], update(0, b"u=1"), Connection(Cause::PriorityOfNothing)),
        ("of a promised stream", vec![], update(2, b"u=1"), Connection(Cause::PriorityOfNothing)),
        ("on a stream", vec![], raw(0x10, 0, 1, &[0; 5]), Connection(Cause::OnStream)),
        ("too short", vec![], raw(0x10, 0, 0, &[0; 3]), Connection(Cause::FrameLength)),
    ]);
}

/// §3.4: what comes first.
#[test]
fn prefaces() {
    let hello = [PREFACE, &settings(&[])].concat();
    for (name, wire, outcome) in [
        ("as it should be", hello.clone(), None),
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Some(Cause::BadPreface)),
        ("nearly right", b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n".to_vec(), Some(Cause::BadPreface)),
        ("a ping first", [PREFACE, &raw(6, 0, 0, b"12345678")].concat(), Some(Cause::NoSettings)),
        ("an acknowledgement first", [PREFACE, &raw(4, 1, 0, b"")].concat(), Some(Cause::NoSettings)),
        ("a request first", [PREFACE, &get(1)].concat(), Some(Cause::NoSettings)),
    ] {
        for piece in [1, 3, usize::MAX] {
            let mut peer = Peer::fresh(Role::Server, Limits::default());
            wire.chunks(piece.min(wire.len())).for_each(|piece| peer.hear(piece));
            let failed = outcome.map(|cause| format!("FAILED {cause}"));
            assert_eq!(peer.heard().pop(), failed, "{name}");
            assert_eq!(peer.connection.is_over(), outcome.is_some(), "{name}");
        }
    }
    // A client hears settings first, and no preface.
    let mut peer = Peer::fresh(Role::Client, Limits::default());
    peer.hear(&raw(6, 0, 0, b"12345678"));
    assert_eq!(peer.heard(), ["FAILED no SETTINGS first"]);
}

/// §6.6, §8.4: we have said that we want none, before anything was asked.
#[test]
fn a_client_takes_no_promise() {
    let mut peer = Peer::fresh(Role::Client, Limits::default());
    peer.hear(&settings(&[]));
    let (stream, head) = peer.connection.request("GET", "http", "a", "/").unwrap();
    head.finish(true);
    peer.hear(&raw(5, 4, stream, &[0, 0, 0, 2, 0x82]));
    assert_eq!(peer.heard(), ["FAILED push promise"]);
    let mut peer = Peer::fresh(Role::Client, Limits::default());
    peer.hear(&[settings(&[]), headers(WHOLE, 2, &[0x88])].concat());
    assert_eq!(peer.heard(), ["FAILED bad stream number"]);
}

/// Errors of one stream leave the others alone, and only the first one is said (§5.4).
#[test]
fn one_stream_does_not_end_another() {
    let mut peer = Peer::server();
    peer.hear(
        &[post(1), post(3), window(1, 0), window(1, 0), data(0, 1, b"late"), data(END_STREAM, 3, b"good")].concat(),
    );
    assert_eq!(
        peer.heard(),
        [
            "REQUEST 1 POST / | host: a",
            "REQUEST 3 POST / | host: a",
            "RESET 1 window grows by nothing",
            "DATA 3 good",
            "END 3"
        ]
    );
    peer.respond(3, b"ok");
    assert_eq!(peer.said(), ["RST_STREAM 1 PROTOCOL_ERROR", "HEADERS 3 :status=200", "DATA 3 ok END"]);
    assert_eq!(peer.connection.open(), 0);
}
