//! Floods (RFC 9113 §10.5): each is ended by its name, and not before its limit.

use super::support::*;
use crate::{
    http::{self, Fields, Status},
    http2::{Cause, Limits, limits},
};
use bytes::Bytes;

const CALM: &str = "ENHANCE_YOUR_CALM";

/// Feeds `most` rounds, which are borne, and one more, which is not.
fn flood(peer: &mut Peer, most: u32, cause: Cause, mut round: impl FnMut(u32) -> Vec<u8>) {
    for number in 0..most {
        peer.hear(&round(number));
        peer.said();
        assert!(!peer.connection.is_over(), "{cause}: round {number} of {most}");
    }
    peer.hear(&round(most));
    assert_eq!(peer.heard().pop(), Some(format!("FAILED {cause}")));
    let said = peer.said();
    assert!(said.last().is_some_and(|line| line.starts_with("GOAWAY") && line.ends_with(CALM)), "{said:?}");
    assert!(cause.is_flood() && peer.connection.is_over());
}

fn number(round: u32) -> u32 {
    2 * round + 1
}

#[test]
fn frames_that_cost_an_answer_or_a_look() {
    let ping = |_| raw(6, 0, 0, b"12345678");
    flood(&mut Peer::server(), limits::PINGS.burst, Cause::PingFlood, ping);
    flood(&mut Peer::server(), limits::PINGS.burst, Cause::PingFlood, |_| raw(6, 1, 0, b"12345678"));
    // The greeting had two of them.
    flood(&mut Peer::server(), limits::SETTINGS.burst - 2, Cause::SettingsFlood, |_| settings(&[]));
    flood(&mut Peer::server(), limits::SETTINGS.burst - 2, Cause::SettingsFlood, |_| raw(4, 1, 0, &[]));
    flood(&mut Peer::server(), limits::PRIORITIES.burst, Cause::PriorityFlood, |round| {
        raw(2, 0, number(round), &[0; 5])
    });
    flood(&mut Peer::server(), limits::PRIORITIES.burst, Cause::PriorityFlood, |round| {
        raw(0x10, 0, 0, &[&number(round).to_be_bytes()[..], b"u=1"].concat())
    });
    flood(&mut Peer::server(), limits::UNKNOWN_FRAMES.burst, Cause::UnknownFlood, |_| raw(0x77, 0, 0, b"x"));
    flood(&mut Peer::server(), limits::WINDOW_UPDATES.burst, Cause::WindowFlood, |_| window(0, 1));
}

/// A frame with many settings counts as several.
#[test]
fn settings_in_one_frame() {
    let many = vec![(0x99, 0); limits::SETTINGS_IN_FRAME * 9];
    flood(&mut Peer::server(), 4, Cause::SettingsFlood, |_| settings(&many));
}

#[test]
fn rapid_reset() {
    let round = |round| [post(number(round)), reset(number(round))].concat();
    flood(&mut Peer::server(), limits::RESETS.burst, Cause::RapidReset, round);
    // A client that gives up half of its requests may do so for ever.
    let mut peer = Peer::server();
    for round in 0..10 * limits::RESETS.burst {
        let (one, other) = (number(2 * round), number(2 * round + 1));
        peer.hear(&[get(one), get(other)].concat());
        peer.respond(one, b"ok");
        peer.hear(&reset(other));
        peer.said();
    }
    assert!(!peer.connection.is_over());
}

/// Time makes up for it, too.
#[test]
fn a_rate_is_not_a_count_of_a_lifetime() {
    let mut peer = Peer::server();
    for round in 0..20 * limits::RESETS.burst {
        peer.hear(&[post(number(round)), reset(number(round))].concat());
        peer.said();
        peer.now += SECOND / limits::RESETS.per_second;
    }
    assert!(!peer.connection.is_over());
}

/// The client breaks a rule of its own stream, and lets us do the reset.
#[test]
fn made_you_reset() {
    let burst = limits::MADE_RESETS.burst;
    let begun = |round, frame: Vec<u8>| [post(number(round)), frame].concat();
    flood(&mut Peer::server(), burst, Cause::MadeUsReset, |round| begun(round, window(number(round), 0)));
    flood(&mut Peer::server(), burst, Cause::MadeUsReset, |round| {
        [get(number(round)), data(0, number(round), b"a")].concat()
    });
    flood(&mut Peer::server(), burst, Cause::MadeUsReset, |round| begun(round, raw(2, 0, number(round), &[0; 4])));
    // A request that cannot be read is one, too; here each is answered.
    let mut peer = Peer::server();
    for round in 0..burst {
        peer.hear(&headers(WHOLE, number(round), &block(&[("X", "y")])));
        peer.connection.respond(number(round), Status::BAD_REQUEST).unwrap().finish(true);
        peer.said();
    }
    peer.hear(&headers(WHOLE, number(burst), &block(&[("X", "y")])));
    assert_eq!(peer.heard().pop().unwrap(), "FAILED made-you-reset");
}

#[test]
fn more_streams_than_allowed() {
    let mut peer = Peer::server();
    (0..limits::MAX_STREAMS).for_each(|round| peer.hear(&get(number(round))));
    assert!(peer.said().is_empty());
    let after = limits::MAX_STREAMS;
    peer.hear(&get(number(after)));
    assert_eq!(peer.said(), [format!("RST_STREAM {} REFUSED_STREAM", number(after))]);
    assert_eq!(peer.heard().pop().unwrap(), format!("RESET {} too many streams", number(after)));
    // One that ends makes room for one.
    peer.respond(1, b"ok");
    peer.hear(&get(number(after + 1)));
    assert_eq!(peer.said(), ["HEADERS 1 :status=200", "DATA 1 ok END"]);
    flood(&mut peer, limits::REFUSED.burst - 1, Cause::StreamFlood, |round| get(number(after + 2 + round)));
}

#[test]
fn continuations() {
    let begun = |many: u32| {
        let mut wire = headers(END_STREAM, 1, &block(&GET));
        (1..many).for_each(|_| wire.extend(continuation(0, 1, b"")));
        [wire, continuation(END_HEADERS, 1, b"")].concat()
    };
    for (many, fault) in
        [(limits::MAX_CONTINUATIONS, None), (limits::MAX_CONTINUATIONS + 1, Some(Cause::ContinuationFlood))]
    {
        let mut peer = Peer::server();
        peer.hear(&begun(many));
        let event = peer.heard().pop().unwrap();
        assert_eq!(event, fault.map_or("REQUEST 1 GET / | host: a END".to_owned(), |cause| format!("FAILED {cause}")));
    }
}

/// A head that is a little too large is answered; a block that is many times as large is not read to its end.
#[test]
fn field_blocks_that_are_too_large() {
    let limits = Limits { http: http::Limits { head: 1000, ..http::Limits::default() }, ..Limits::default() };
    let most = limits::BLOCK_FACTOR * 1000;
    let large = block(&[&GET[..], &[("x", "y".repeat(3000).as_str())]].concat());
    for (length, event) in [(most, "REFUSED 1 head too large"), (most + 1, "FAILED field block too large")] {
        // Empty fields fill the block up.
        let filled = [&large[..], &b"\0\x01z\0".repeat((length - large.len()) / 4), &b"\x20"[..0]].concat();
        let filled = [&vec![0x20; length - filled.len()][..], &filled].concat();
        let mut peer = Peer::with(limits);
        peer.hear(&[headers(END_STREAM, 1, &filled[..2000]), continuation(END_HEADERS, 1, &filled[2000..])].concat());
        assert_eq!(peer.heard(), [event], "{length}");
    }
}

#[test]
fn an_hpack_bomb() {
    let limits = Limits { http: http::Limits { head: 1000, ..http::Limits::default() }, ..Limits::default() };
    let value = "y".repeat(900);
    let line = [&[0x40, 1, b'x', 0x7f, 0x85, 0x06][..], value.as_bytes()].concat();
    let request = block(&GET);
    let size: usize = GET.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let most = (limits::BOMB_FACTOR * 1000 - size) / 933;
    for (many, event) in [(most, "REFUSED 1 head too large"), (most + 1, "FAILED HPACK bomb")] {
        let mut peer = Peer::with(limits);
        peer.hear(&headers(WHOLE, 1, &[&request[..], &line, &vec![0xbe; many - 1]].concat()));
        assert_eq!(peer.heard(), [event], "{many}");
    }
}

#[test]
fn content_in_useless_pieces() {
    let with = |frame: Vec<u8>| {
        let mut peer = Peer::server();
        peer.hear(&post(1));
        (peer, frame)
    };
    let (mut peer, frame) = with(data(0, 1, b""));
    flood(&mut peer, limits::EMPTY_DATA.burst, Cause::EmptyData, |_| frame.clone());
    let (mut peer, frame) = with(data(8, 1, b"\x01\0"));
    flood(&mut peer, limits::EMPTY_DATA.burst, Cause::EmptyData, |_| frame.clone());
    let (mut peer, frame) = with(data(0, 1, b"x"));
    flood(&mut peer, limits::TINY_DATA.burst, Cause::TinyData, |_| frame.clone());
    // On a stream that is over they count as well.
    let mut peer = Peer::server();
    let tiny = vec![b'x'; limits::TINY as usize];
    peer.hear(&post(1));
    for _ in 0..2 * limits::TINY_DATA.burst {
        peer.hear(&data(0, 1, &tiny));
        peer.connection.took(1, tiny.len());
        peer.said();
    }
    assert!(!peer.connection.is_over(), "pieces of {} bytes are no flood", limits::TINY);
}

/// A client that makes us answer, and does not read the answers.
#[test]
fn answers_that_are_not_read() {
    let mut peer = Peer::server();
    let size = 17;
    let mut rounds = 0;
    while !peer.connection.is_over() {
        peer.hear(&raw(6, 0, 0, b"12345678"));
        peer.now += SECOND;
        rounds += 1;
        assert!(rounds < 10_000);
    }
    assert_eq!(peer.heard().pop().unwrap(), "FAILED answers not read");
    assert_eq!(rounds, limits::MAX_UNREAD / size + 1);
    // One that reads may go on for ever.
    let mut peer = Peer::server();
    for _ in 0..2 * rounds {
        peer.hear(&raw(6, 0, 0, b"12345678"));
        peer.now += SECOND;
        peer.said();
    }
    assert!(!peer.connection.is_over());
}

/// A stream, or a connection, that has asked for content and gives no room for it.
#[test]
fn a_window_that_stays_shut() {
    let respond = |peer: &mut Peer, stream| {
        peer.connection.respond(stream, Status::OK).unwrap().finish(false);
        peer.connection.send(stream, Bytes::from(vec![b'x'; 100_000]));
        peer.connection.finish(stream, Fields::new());
        peer.said();
    };
    let mut peer = Peer::server();
    peer.hear(&[get(1), window(0, 1_000_000)].concat());
    assert_eq!(peer.connection.shut_since(), None);
    respond(&mut peer, 1);
    let first = peer.now;
    assert_eq!(peer.connection.shut_since(), Some(first));
    // It is opened, and shut again.
    peer.now += SECOND;
    peer.hear(&window(1, 1));
    peer.said();
    peer.connection.end_shut(first, peer.now);
    peer.hear(&[]);
    assert_eq!(peer.heard(), ["REQUEST 1 GET / | host: a END"]);
    assert_eq!(peer.connection.shut_since(), Some(peer.now));
    peer.connection.end_shut(peer.now, peer.now);
    peer.hear(&[]);
    assert_eq!(peer.heard(), ["RESET 1 zero window held"]);
    assert_eq!(peer.said(), [format!("RST_STREAM 1 {CALM}")]);
    assert_eq!((peer.connection.shut_since(), peer.connection.open()), (None, 0));
    // The window of the connection.
    let mut peer = Peer::told(&[(4, 1_000_000)]);
    peer.hear(&get(1));
    respond(&mut peer, 1);
    let since = peer.connection.shut_since().unwrap();
    peer.connection.end_shut(since - SECOND, peer.now);
    assert!(!peer.connection.is_over());
    peer.connection.end_shut(since, peer.now);
    peer.hear(&[]);
    assert_eq!(peer.heard().pop().unwrap(), "FAILED zero window held");
    assert_eq!(peer.said().pop().unwrap(), format!("GOAWAY 1 {CALM}"));
}
