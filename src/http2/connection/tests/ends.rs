//! Goodbyes, streams that are given up, and requests that are not read to their end.

use super::support::*;
use crate::{
    http::{Fields, Status},
    http2::{ErrorCode, Limits, NoStream, Role, limits},
};

const MAX: u32 = (1 << 31) - 1;

fn go_away(last: u32) -> Vec<u8> {
    raw(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat())
}

#[test]
fn an_idle_connection_ends_at_once() {
    let mut peer = Peer::server();
    assert!(!peer.connection.is_over());
    peer.connection.drain(peer.now);
    assert!(peer.connection.is_over());
    assert_eq!(peer.said(), ["GOAWAY 0 NO_ERROR"]);
    peer.connection.drain(peer.now);
    assert!(peer.said().is_empty(), "it is said once");
}

#[test]
fn running_streams_end_first() {
    let mut peer = Peer::server();
    peer.hear(&[get(1), get(3)].concat());
    peer.connection.drain(peer.now);
    assert_eq!(peer.said(), [format!("GOAWAY {MAX} NO_ERROR"), "PING".to_owned()]);
    assert_eq!(peer.connection.deadline(), Some(peer.now + limits::GOODBYE));
    peer.respond(1, b"ok");
    // One that was on its way is served.
    peer.hear(&get(5));
    assert_eq!(peer.heard().pop().unwrap(), "REQUEST 5 GET / | host: a END");
    peer.said();
    peer.hear(&[raw(6, 1, 0, b"another!"), raw(6, 1, 0, b"goodbye!")].concat());
    assert_eq!(peer.said(), ["GOAWAY 5 NO_ERROR"]);
    // One that comes after that is not; its fields are decoded all the same.
    let remembered = [&block(&GET)[..], &[0x40, 1, b'x', 1, b'y']].concat();
    peer.hear(&[headers(END_HEADERS, 7, &remembered), data(END_STREAM, 7, b"late")].concat());
    assert!(peer.heard().is_empty() && peer.said().is_empty());
    peer.respond(3, b"ok");
    assert!(!peer.connection.is_over());
    peer.respond(5, b"ok");
    assert_eq!(peer.said()[4..], ["PING"]);
    assert!(
        !peer.connection.is_over(),
        "it may have yet to read the answers, and we would hear nothing of its window updates"
    );
    peer.hear(&[raw(6, 1, 0, b"another!"), window(0, 1), get(9)].concat());
    assert!(!peer.connection.is_over() && peer.heard().is_empty());
    peer.hear(&raw(6, 1, 0, b"farewell"));
    assert!(peer.connection.is_over() && peer.said().is_empty());
}

/// A peer that does not answer the PING gets no more time than a round trip takes.
#[test]
fn the_second_goodbye_does_not_wait_for_ever() {
    let mut peer = Peer::server();
    peer.hear(&get(1));
    peer.connection.drain(peer.now);
    peer.respond(1, b"ok");
    peer.said();
    assert!(!peer.connection.is_over(), "a request may be on its way");
    peer.now += limits::GOODBYE;
    peer.connection.expire(peer.now - SECOND / 10);
    assert!(!peer.connection.is_over());
    peer.connection.expire(peer.now);
    assert_eq!(peer.said(), ["GOAWAY 1 NO_ERROR", "PING"]);
    assert_eq!((peer.connection.deadline(), peer.connection.is_over()), (None, false), "it may be reading");
    // The application has waited long enough.
    assert!(!peer.connection.drain(peer.now));
    assert!(peer.connection.is_over() && peer.said().is_empty());
}

#[test]
fn a_client_that_says_goodbye_is_served_to_the_end() {
    let mut peer = Peer::server();
    peer.hear(&[get(1), get(3), go_away(0), go_away(0)].concat());
    assert_eq!(peer.heard()[2..], ["GOAWAY NO_ERROR"]);
    peer.respond(3, b"ok");
    assert!(!peer.connection.is_over());
    peer.respond(1, b"ok");
    assert_eq!(peer.said().split_off(4), ["GOAWAY 3 NO_ERROR", "PING"]);
    assert!(!peer.connection.is_over());
    peer.hear(&raw(6, 1, 0, b"farewell"));
    assert!(peer.connection.is_over());
    let mut peer = Peer::server();
    peer.hear(&[go_away(0), raw(6, 0, 0, b"12345678")].concat());
    assert_eq!(
        (peer.said(), peer.connection.is_over()),
        (vec!["PING ACK 12345678".to_owned()], false),
        "it closes by itself"
    );
    peer.now += limits::GOODBYE;
    assert_eq!(peer.connection.deadline(), Some(peer.now));
    peer.connection.expire(peer.now);
    assert_eq!((peer.said(), peer.connection.is_over()), (vec!["GOAWAY 0 NO_ERROR".to_owned()], true));
}

/// An error while the connection drains is said, too (§5.4).
#[test]
fn an_error_after_a_goodbye() {
    let mut peer = Peer::server();
    peer.hear(&get(1));
    peer.connection.drain(peer.now);
    peer.said();
    peer.hear(&window(0, 0));
    assert_eq!((peer.said(), peer.connection.is_over()), (vec!["GOAWAY 1 PROTOCOL_ERROR".to_owned()], true));
    // Nothing is read or written any more.
    peer.hear(&[get(3), raw(6, 0, 0, b"12345678")].concat());
    peer.connection.reset(1, ErrorCode::CANCEL);
    assert!(peer.said().is_empty() && peer.connection.respond(1, Status::OK).is_none());
}

/// §8.1: an early response, and then the request is not needed.
#[test]
fn the_rest_of_a_request_may_be_unwanted() {
    for answer_first in [true, false] {
        let mut peer = Peer::server();
        peer.hear(&[post(1), data(0, 1, &[b'x'; 10_000])].concat());
        if answer_first {
            peer.respond(1, b"no");
            assert_eq!(peer.said(), ["HEADERS 1 :status=200", "DATA 1 no END"]);
            peer.connection.ignore(1);
            assert_eq!(peer.said(), ["RST_STREAM 1 NO_ERROR"]);
        } else {
            peer.connection.ignore(1);
            peer.hear(&data(0, 1, &[b'x'; 10_000]));
            peer.respond(1, b"no");
            assert_eq!(peer.said(), ["HEADERS 1 :status=200", "DATA 1 no END", "RST_STREAM 1 NO_ERROR"]);
        }
        assert_eq!((peer.connection.open(), peer.heard().len()), (0, 2));
        // The rest was on its way.
        peer.hear(&[data(0, 1, b"rest"), headers(WHOLE, 1, &block(&[("a", "b")]))].concat());
        assert!(peer.said().is_empty() && peer.heard().is_empty());
    }
}

/// A request that ends while it is not wanted: there is nobody to stop.
#[test]
fn an_unwanted_request_may_end_by_itself() {
    let mut peer = Peer::server();
    peer.hear(&post(1));
    peer.connection.ignore(1);
    peer.hear(&data(END_STREAM, 1, b"all"));
    peer.respond(1, b"ok");
    assert_eq!(peer.said(), ["HEADERS 1 :status=200", "DATA 1 ok END"]);
    assert_eq!((peer.connection.open(), peer.heard().len()), (0, 1));
}

#[test]
fn a_stream_that_is_given_up() {
    let mut peer = Peer::server();
    peer.hear(&[get(1), get(3), get(5)].concat());
    peer.connection.respond(1, Status::OK).unwrap().finish(false);
    peer.connection.send_copy(1, &[b'x'; 2000]);
    peer.connection.reset(1, ErrorCode::CANCEL);
    peer.connection.reset(1, ErrorCode::CANCEL);
    peer.hear(&reset(3));
    assert_eq!(peer.heard().pop().unwrap(), "RESET 3 by the peer: CANCEL");
    assert!(peer.connection.respond(3, Status::OK).is_none());
    peer.respond(5, b"ok");
    assert_eq!(peer.said(), ["HEADERS 1 :status=200", "RST_STREAM 1 CANCEL", "HEADERS 5 :status=200", "DATA 5 ok END"]);
    assert_eq!((peer.connection.open(), peer.connection.unsent(1)), (0, 0));
}

/// A piece of content may be used before its frame is complete; the stream may be gone before the rest comes.
#[test]
fn a_stream_is_given_up_in_the_middle_of_a_frame() {
    let frame = data(0, 1, &[b'x'; 1000]);
    for cut in [0, 5, 9, 10, 500, 1008] {
        let mut peer = Peer::server();
        peer.hear(&post(1));
        peer.hear(&frame[..cut]);
        peer.connection.reset(1, ErrorCode::CANCEL);
        peer.hear(&frame[cut..]);
        peer.hear(&get(3));
        assert_eq!(peer.heard().pop().unwrap(), "REQUEST 3 GET / | host: a END", "{cut}");
        assert_eq!(peer.said(), ["RST_STREAM 1 CANCEL"]);
    }
}

#[test]
fn a_client_makes_requests_while_it_may() {
    let mut peer = Peer::fresh(Role::Client, Limits::default());
    peer.hear(&settings(&[(3, 2)]));
    for expected in [1, 3] {
        let (stream, head) = peer.connection.request("POST", "http", "a", "/").unwrap();
        head.finish(false);
        assert_eq!(stream, expected);
    }
    assert_eq!(peer.connection.request("GET", "http", "a", "/").map(|_| ()).unwrap_err(), NoStream::TooMany);
    // The server has not looked at the second one.
    peer.hear(&go_away(1));
    assert_eq!(peer.heard(), ["GOAWAY NO_ERROR", "RESET 3 unprocessed"]);
    assert_eq!(peer.connection.request("GET", "http", "a", "/").map(|_| ()).unwrap_err(), NoStream::GoingAway);
    peer.connection.finish(1, Fields::new());
    peer.hear(&headers(WHOLE, 1, &[0x88]));
    assert!(peer.connection.is_over());
}
