//! Flow control both ways, and whose turn it is.

use super::support::*;
use crate::{
    buf::{Output, Sink},
    http::{Fields, Status},
    http2::{Cause, ErrorCode, Limits, limits},
};
use bytes::Bytes;

const LARGE: usize = 20_000;

fn whole(stream: u32) -> Vec<u8> {
    headers(WHOLE, stream, &block(&GET))
}

/// A request with a priority.
fn get_with(stream: u32, priority: &str) -> Vec<u8> {
    headers(WHOLE, stream, &block(&[&GET[..], &[("priority", priority)]].concat()))
}

/// A peer that takes everything and has asked for these.
fn asked(requests: &[Vec<u8>]) -> Peer {
    let mut peer = Peer::told(&[(4, 10_000_000)]);
    peer.hear(&window(0, 10_000_000));
    peer.hear(&requests.concat());
    peer
}

fn respond(peer: &mut Peer, stream: u32, length: usize) {
    peer.connection.respond(stream, Status::OK).unwrap().finish(false);
    peer.connection.send(stream, Bytes::from(vec![b'x'; length]));
    peer.connection.finish(stream, Fields::new());
}

/// The streams of the DATA frames, in their order, with the length of each.
fn order(said: &[String]) -> Vec<(u32, usize)> {
    let data = said.iter().filter_map(|line| line.strip_prefix("DATA "));
    data.map(|line| {
        let mut words = line.split(' ');
        let (stream, content) = (words.next().unwrap().parse().unwrap(), words.next().unwrap());
        let length =
            content.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(|length| length.parse().unwrap());
        (stream, length.unwrap_or(content.len()))
    })
    .collect()
}

#[test]
fn a_window_is_given_back_when_the_bytes_were_taken() {
    let mut peer = Peer::server();
    peer.hear(&post(1));
    for _ in 0..4 {
        peer.hear(&data(0, 1, &[b'x'; 16_000]));
    }
    assert!(peer.said().is_empty(), "nothing was taken yet");
    peer.connection.took(1, 32_767);
    assert!(peer.said().is_empty(), "less than half of the window");
    peer.connection.took(1, 1);
    assert_eq!(peer.said(), ["WINDOW_UPDATE 1 32768"]);
    peer.connection.took(1, 1_000_000);
    assert!(peer.said().is_empty(), "no more than what came");
    // The window is full: 65,535 less 64,000, and 32,768 more.
    peer.hear(&[data(0, 1, &[b'x'; 16_384]), data(0, 1, &[b'x'; 16_384])].concat());
    peer.hear(&data(0, 1, &[b'x'; 1535]));
    peer.hear(&data(0, 1, b"x"));
    assert_eq!(peer.heard().last().unwrap(), "RESET 1 content beyond the window");
    assert_eq!(peer.said(), ["RST_STREAM 1 FLOW_CONTROL_ERROR"]);
}

/// The window of the connection has room for those of all streams, so a backend that takes nothing holds up no other.
#[test]
fn a_stream_that_is_not_read_holds_up_no_other() {
    let mut peer = Peer::server();
    for stream in (1..200).step_by(2) {
        peer.hear(&post(stream));
        for length in [16_384, 16_384, 16_384, 16_383] {
            peer.hear(&data(0, stream, &vec![b'x'; length]));
        }
    }
    assert!(peer.said().is_empty() && !peer.connection.is_over());
    assert_eq!(peer.connection.open(), 100);
    // A stream that ends gives back what it held.
    (1..110).step_by(2).for_each(|stream| peer.connection.reset(stream, ErrorCode::CANCEL));
    assert!(peer.said().contains(&"WINDOW_UPDATE 0 3276750".to_owned()));
}

#[test]
fn content_beyond_the_window_of_the_connection() {
    for (length, over) in [(35, false), (36, true)] {
        // Two streams of the default window; the connection has no more than the default.
        let mut peer = Peer::with(Limits { max_streams: 2, stream_window: 32_767, ..Limits::default() });
        peer.hear(&[post(1), post(3)].concat());
        for stream in [1, 3, 1, 3] {
            peer.hear(&data(0, stream, &[b'x'; 16_375]));
        }
        peer.hear(&data(0, 1, &[b'x'; 17]));
        peer.hear(&data(0, 3, &vec![b'x'; length - 17]));
        let failed = format!("FAILED {}", Cause::WindowExceeded);
        assert_eq!(peer.heard().contains(&failed), over, "{length}");
    }
}

/// Padding, and content that nobody wants, is given back by itself.
#[test]
fn bytes_that_are_thrown_away_are_given_back() {
    let mut peer = Peer::with(Limits { max_streams: 1, stream_window: 1000, ..Limits::default() });
    peer.hear(&post(1));
    let padded = [&[200][..], &[0; 200]].concat();
    (0..4).for_each(|_| peer.hear(&data(8, 1, &padded)));
    assert_eq!(peer.said(), ["WINDOW_UPDATE 1 603"]);
    // On a stream that is over only the window of the connection counts: 65,535 bytes, of which it gives back half at a time.
    peer.connection.reset(1, ErrorCode::CANCEL);
    peer.said();
    (0..4).for_each(|_| peer.hear(&data(0, 1, &[0; 8000])));
    assert_eq!(peer.said(), ["WINDOW_UPDATE 0 32804"]);
}

#[test]
fn content_waits_for_the_window_of_its_stream() {
    let mut peer = Peer::told(&[(4, 10)]);
    peer.hear(&[whole(1), whole(3)].concat());
    respond(&mut peer, 1, 25);
    peer.respond(3, b"short");
    assert_eq!(order(&peer.said()), [(3, 5), (1, 10)]);
    assert_eq!((peer.connection.unsent(1), peer.connection.has_output()), (15, false));
    peer.hear(&window(1, 1));
    assert_eq!(peer.said(), ["DATA 1 x"]);
    // The setting changes all windows that there are, also below zero.
    peer.hear(&settings(&[(4, 5)]));
    peer.hear(&window(1, 5));
    assert_eq!(peer.said(), ["SETTINGS ACK"]);
    peer.hear(&window(1, 1));
    assert_eq!(peer.said(), ["DATA 1 x"]);
    peer.hear(&settings(&[(4, 100)]));
    assert_eq!(peer.said(), ["SETTINGS ACK", "DATA 1 xxxxxxxxxxxxx END"]);
    assert_eq!(peer.connection.open(), 0);
}

#[test]
fn content_waits_for_the_window_of_the_connection() {
    let mut peer = Peer::told(&[(4, 1_000_000)]);
    peer.hear(&[whole(1), whole(3)].concat());
    respond(&mut peer, 1, 65_535);
    respond(&mut peer, 3, 10);
    let sent = order(&peer.said());
    assert_eq!(sent.iter().map(|(_, length)| length).sum::<usize>(), 65_535);
    assert_eq!(peer.connection.unsent(1) + peer.connection.unsent(3), 10);
    peer.hear(&window(0, 4));
    assert_eq!(order(&peer.said()).iter().map(|(_, length)| length).sum::<usize>(), 4);
    peer.hear(&window(0, 1000));
    peer.said();
    assert_eq!(peer.connection.open(), 0);
}

/// An end, and an empty one, needs no window (§6.9.1).
#[test]
fn an_end_needs_no_window() {
    let mut peer = Peer::told(&[(4, 0)]);
    peer.hear(&[whole(1), whole(3), whole(5)].concat());
    peer.connection.respond(1, Status::OK).unwrap().finish(true);
    peer.connection.respond(3, Status::OK).unwrap().finish(false);
    assert_eq!(peer.said(), ["HEADERS 1 :status=200 END", "HEADERS 3 :status=200"]);
    peer.connection.finish(3, Fields::new());
    peer.connection.respond(5, Status::OK).unwrap().finish(false);
    peer.connection.finish(5, Fields::new());
    assert_eq!(peer.said(), ["DATA 3  END", "HEADERS 5 :status=200 END"]);
}

/// Trailers wait for the content before them.
#[test]
fn trailers_come_last() {
    let mut peer = Peer::told(&[(4, 2)]);
    peer.hear(&whole(1));
    peer.connection.respond(1, Status::OK).unwrap().finish(false);
    peer.connection.send(1, Bytes::from_static(b"abc"));
    peer.connection.finish(1, [("x", "y")].into_iter().collect());
    assert_eq!(peer.said(), ["HEADERS 1 :status=200", "DATA 1 ab"]);
    peer.hear(&window(1, 1));
    assert_eq!(peer.said(), ["DATA 1 c", "HEADERS 1 x=y END"]);
}

#[test]
fn large_responses_take_turns() {
    let mut peer = asked(&[whole(1), whole(3), whole(5)]);
    respond(&mut peer, 1, 3 * 16_384);
    respond(&mut peer, 3, 2 * 16_384);
    respond(&mut peer, 5, 10);
    let streams: Vec<u32> = order(&peer.said()).iter().map(|(stream, _)| *stream).collect();
    assert_eq!(streams, [1, 3, 5, 1, 3, 1]);
}

#[test]
fn the_urgent_go_first() {
    let mut peer =
        asked(&[get_with(1, "u=5"), get_with(3, "u=1"), whole(5), get_with(7, "u=1, i"), get_with(9, "u=0")]);
    for stream in [1, 3, 5, 7, 9] {
        respond(&mut peer, stream, LARGE);
    }
    let streams: Vec<u32> = order(&peer.said()).iter().map(|(stream, _)| *stream).collect();
    // Of the two with the same urgency, one is of use only as a whole.
    assert_eq!(streams, [9, 9, 3, 3, 7, 7, 5, 5, 1, 1]);
}

#[test]
fn priorities_may_change_and_come_early() {
    let update = |stream: u32, value: &str| raw(0x10, 0, 0, &[&stream.to_be_bytes(), value.as_bytes()].concat());
    let mut peer = asked(&[whole(1), whole(3), update(5, "u=0, i"), update(3, "u=1"), get_with(5, "u=6")]);
    for stream in [1, 3, 5] {
        respond(&mut peer, stream, LARGE);
    }
    let streams = |peer: &mut Peer, room| -> Vec<u32> {
        order(&peer.said_with(room)).iter().map(|(stream, _)| *stream).collect()
    };
    assert_eq!(streams(&mut peer, 16_384), [5]);
    peer.hear(&update(1, "u=0, i"));
    assert_eq!(streams(&mut peer, usize::MAX), [5, 1, 1, 3, 3]);
    assert_eq!(peer.connection.open(), 0);
}

/// Of priorities that come early, the last ones are kept.
#[test]
fn only_so_many_priorities_come_early() {
    let update = |stream: u32| raw(0x10, 0, 0, &[&stream.to_be_bytes()[..], b"u=0"].concat());
    for (many, first_is_urgent) in
        [(limits::EARLY_PRIORITIES as u32, true), (limits::EARLY_PRIORITIES as u32 + 1, false)]
    {
        let mut peer = asked(&[whole(1)]);
        (1..=many).for_each(|number| peer.hear(&update(2 * number + 1)));
        peer.hear(&whole(3));
        respond(&mut peer, 1, LARGE);
        respond(&mut peer, 3, LARGE);
        assert_eq!(order(&peer.said())[0].0 == 3, first_is_urgent, "{many}");
    }
}

#[test]
fn no_more_goes_than_there_is_room() {
    let mut peer = asked(&[whole(1), whole(3)]);
    respond(&mut peer, 1, 30_000);
    respond(&mut peer, 3, 30_000);
    assert!(peer.said_with(0).is_empty(), "the peer reads nothing");
    assert_eq!(order(&peer.said_with(1)), [(1, 1)]);
    assert_eq!(order(&peer.said_with(20_000)), [(1, 16_384), (3, 3616)]);
    assert_eq!((peer.connection.unsent(1), peer.connection.unsent(3)), (30_000 - 16_385, 30_000 - 3616));
    assert!(peer.connection.has_output());
    peer.said();
    assert!(!peer.connection.has_output());
}

/// An application hears when it may go on, once for each time that there was much.
#[test]
fn an_application_hears_when_there_is_room_again() {
    let mut peer = Peer::with(Limits { low_water: 10_000, ..Limits::default() });
    peer.hear(&whole(1));
    peer.connection.respond(1, Status::OK).unwrap().finish(false);
    peer.connection.send(1, Bytes::from(vec![b'x'; 10_000]));
    peer.said();
    assert_eq!(peer.connection.relieved(), None, "there never was much");
    peer.connection.send(1, Bytes::from(vec![b'x'; 10_001]));
    peer.said_with(0);
    assert_eq!(peer.connection.relieved(), None);
    peer.said_with(1);
    assert_eq!((peer.connection.relieved(), peer.connection.relieved()), (Some(1), None));
    peer.said();
    assert_eq!(peer.connection.relieved(), None);
}

struct Pieces(Vec<Bytes>);

impl Sink for Pieces {
    fn owned(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        self.0.push(Bytes::copy_from_slice(bytes));
    }
}

/// Bodies that are kept elsewhere go out between the heads of frames as they are; small ones share one piece.
#[test]
fn large_content_is_not_copied_and_small_content_goes_together() {
    let mut peer = asked(&[whole(1), whole(3), whole(5)]);
    peer.said();
    let body = Bytes::from(vec![b'x'; 20_000]);
    peer.connection.respond(1, Status::OK).unwrap().finish(false);
    peer.connection.send(1, body.clone());
    peer.connection.finish(1, Fields::new());
    peer.respond(3, b"small");
    peer.respond(5, b"too");
    let mut sink = Pieces(Vec::new());
    peer.connection.write(&mut sink, usize::MAX, peer.now);
    let lengths: Vec<usize> = sink.0.iter().map(Bytes::len).collect();
    assert_eq!((lengths[1], lengths[3], lengths.len()), (16_384, 3616, 4), "{lengths:?}");
    assert_eq!(sink.0[1].as_ptr(), body.as_ptr());
    assert_eq!(sink.0[3].as_ptr(), body[16_384..].as_ptr());
    let mut output = Output::new();
    sink.0.into_iter().for_each(|piece| output.push(piece));
}

/// A peer with wide windows that reads nothing: each small piece would have a frame of its own, and nobody would count them.
#[test]
fn small_pieces_that_cannot_leave_wait_on_their_stream_and_leave_in_large_frames() {
    const PIECES: usize = 100_000;
    let mut peer = asked(&[whole(1), whole(3)]);
    for stream in [1, 3] {
        peer.connection.respond(stream, Status::OK).unwrap().finish(false);
        (0..PIECES).for_each(|_| peer.connection.send_copy(stream, b"x"));
    }
    let waits = peer.connection.unsent(1) + peer.connection.unsent(3);
    assert!(waits > 2 * PIECES - 2000, "{waits}");
    let sent = order(&peer.said());
    assert_eq!(sent.iter().map(|(_, length)| length).sum::<usize>(), 2 * PIECES);
    assert!(sent.len() < 2000, "{} frames", sent.len());
}
