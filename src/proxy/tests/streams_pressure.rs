//! Slow clients and slow backends of streams: the other side of the same stream waits, and nobody else.

use super::{
    SECOND, World,
    streams::{answer, asking},
    streams_peer::Peer,
};
use crate::{
    app::{App as _, Progress},
    http2::{ErrorCode, Reset},
};

#[test]
fn a_stream_that_takes_nothing_holds_up_its_own_backend_alone() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    peer.reads = false;
    let asked = asking(&mut world, &mut peer, &["/1", "/2"]);
    let [(one, first), (two, second)] = asked[..] else { panic!() };
    // A window of 65,535 bytes, and what a backend may be ahead.
    let head = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 200000\r\n\r\n";
    world.bring(first, head);
    for _ in 0..8 {
        world.bring(first, vec![b'x'; 10_000]);
        peer.pump(&mut world);
    }
    assert!(world.paused.contains(&first), "its client takes no more");
    assert_eq!(peer.heard(&mut world, one).content.len(), 65_535);
    world.bring(second, answer("two"));
    assert_eq!(peer.heard(&mut world, two).text(), "two");
    assert!(!world.paused.contains(&second));
    peer.core.took(one, 65_535);
    peer.pump(&mut world);
    assert!(!world.paused.contains(&first), "it goes on");
    assert_eq!(peer.heard(&mut world, one).content.len(), 80_000);
}

/// With many connections that turn may be far off, and nothing of what the backend says leaves until then.
#[test]
fn a_stream_that_waits_for_a_turn_to_write_holds_up_its_backend() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let [(stream, backend)] = asking(&mut world, &mut peer, &["/1"])[..] else { panic!() };
    let head = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 60000\r\n\r\n".to_vec();
    // Both in one turn: what the connection writes at most once leaves with the head.
    for (bytes, is_held_up) in [(head, false), (vec![b'x'; 30_000], true)] {
        world.cx.hear(&bytes);
        world.proxy.received(&mut world.cx, backend, &bytes);
        let mut actions = Vec::new();
        world.cx.take_actions(&mut actions);
        actions.into_iter().for_each(|action| world.perform(action, &bytes));
        world.cx.hear(&[]);
        assert_eq!(world.paused.contains(&backend), is_held_up);
    }
    // The next turn.
    world.settle();
    assert!(!world.paused.contains(&backend), "it goes on");
    assert_eq!(peer.heard(&mut world, stream).content.len(), 30_000);
}

#[test]
fn a_window_that_stays_shut_ends_its_stream_alone() {
    let mut world = World::speaking_http2(&["--write-timeout", "20s"]);
    let mut peer = world.peer();
    peer.reads = false;
    let asked = asking(&mut world, &mut peer, &["/1", "/2"]);
    let [(one, first), (two, second)] = asked[..] else { panic!() };
    world.say(first, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    world.bring(first, vec![b'x'; 80_000]);
    peer.pump(&mut world);
    // It is looked at after an eighth of the time.
    world.pass(SECOND * 22);
    assert_eq!(peer.heard(&mut world, one).reset, None);
    world.pass(SECOND);
    assert_eq!(peer.heard(&mut world, one).reset, Some(Reset::Peer(ErrorCode::ENHANCE_YOUR_CALM)));
    assert_eq!(world.ended(first), "abort");
    world.bring(second, answer("two"));
    assert_eq!(peer.heard(&mut world, two).text(), "two");
    assert_eq!(world.stats()["http2"]["streams_ended"]["zero window held"], 1);
}

#[test]
fn a_backend_that_takes_nothing_stops_the_content_of_its_stream_alone() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let slow = peer.begin("POST", "/slow", &[], false);
    let quick = peer.begin("POST", "/quick", &[], false);
    peer.send(&mut world, slow, b"a", false);
    peer.send(&mut world, quick, b"a", false);
    let (first, second) = (world.opened(), world.opened());
    world.connect(first);
    world.connect(second);
    world.unsent(first, 20_000);
    peer.send(&mut world, slow, &[b'x'; 200_000], true);
    peer.send(&mut world, quick, &[b'y'; 200_000], true);
    // One window waits here, and the rest with the client.
    assert_eq!(peer.core.unsent(slow), 200_001 - 65_535);
    assert_eq!(peer.core.unsent(quick), 0);
    assert!(!world.sent(first).contains('x'));
    assert!(world.sent(second).ends_with("\r\n0\r\n\r\n"));
    world.unsent(first, 0);
    peer.pump(&mut world);
    assert_eq!(peer.core.unsent(slow), 0);
    assert!(world.sent(first).ends_with("\r\n0\r\n\r\n"));
}

/// Bytes that the connection to the backend could not get rid of count as well as those that wait for it.
#[test]
fn one_window_of_a_stream_waits_for_its_backend_and_no_more() {
    const WINDOW: usize = 65_535;
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let stream = peer.begin("POST", "/", &[], false);
    peer.send(&mut world, stream, b"a", false);
    let backend = world.opened();
    world.connect(backend);
    peer.core.send(stream, vec![b'x'; 200_000].into());
    peer.core.finish(stream, crate::http::Fields::new());
    let frames = peer.frames(&world);
    world.cx.hear(&frames);
    world.proxy.received(&mut world.cx, peer.conn, &frames);
    let mut actions = Vec::new();
    world.cx.take_actions(&mut actions);
    actions.into_iter().for_each(|action| world.perform(action, &frames));
    world.cx.hear(&[]);
    // All of the window is with the connection to the backend. The driver tells that it stays there, and then the next turn comes.
    assert!(world.sent(backend).len() > WINDOW);
    for unsent in [WINDOW, 20_000, 5_000] {
        world.unsent(backend, unsent);
        peer.pump(&mut world);
        assert_eq!(peer.core.unsent(stream), 200_001 - WINDOW, "{unsent} bytes have not left");
    }
    world.unsent(backend, 4_000);
    peer.pump(&mut world);
    assert_eq!(peer.core.unsent(stream), 0);
    assert!(world.sent(backend).ends_with("\r\n0\r\n\r\n"));
}

/// A client that reads cannot open a window for what is still on its way to it.
#[test]
fn a_window_is_shut_since_all_that_was_sent_has_arrived() {
    let mut world = World::speaking_http2(&["--write-timeout", "20s"]);
    let mut peer = world.peer();
    peer.reads = false;
    let [(stream, backend)] = asking(&mut world, &mut peer, &["/1"])[..] else { panic!() };
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    world.bring(backend, vec![b'x'; 80_000]);
    peer.pump(&mut world);
    for arrived in [1, 2, 3, 60_000] {
        let progress = Progress { acknowledged: arrived, outstanding: 70_000 - arrived };
        world.progress.insert(peer.conn, progress);
        world.pass(SECOND * 20);
        assert_eq!(peer.heard(&mut world, stream).reset, None, "{arrived} bytes have arrived");
    }
    world.progress.insert(peer.conn, Progress { acknowledged: 70_000, outstanding: 0 });
    world.pass(SECOND * 20);
    assert_eq!(peer.heard(&mut world, stream).reset, None, "the last have just arrived");
    world.pass(SECOND * 20);
    assert_eq!(peer.heard(&mut world, stream).reset, Some(Reset::Peer(ErrorCode::ENHANCE_YOUR_CALM)));
}

/// Small pieces go past the queues of their streams, as long as they can leave.
#[test]
fn a_backend_that_says_little_at_a_time_is_held_up_as_well() {
    let mut world = World::speaking_http2(&[]);
    let mut peer = world.peer();
    let [(_, backend)] = asking(&mut world, &mut peer, &["/1"])[..] else { panic!() };
    world.say(backend, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
    let before = world.sent_bytes(peer.conn).len();
    assert!(before > 0);
    // Our kernel takes nothing more for the client, whose windows are open.
    world.unsent(peer.conn, 100_000);
    let said = (0..60_000).take_while(|_| {
        world.bring(backend, b"x");
        !world.paused.contains(&backend)
    });
    let said = said.count();
    assert!(said < 60_000, "its client takes nothing");
    world.unsent(peer.conn, 0);
    assert!(!world.paused.contains(&backend), "it goes on");
}

/// A stream whose client has used its window, while our kernel takes nothing for that client.
fn upload_without_window(world: &mut World) -> (Peer, u32) {
    let mut peer = world.peer();
    let stream = peer.begin("POST", "/", &[], false);
    peer.send(world, stream, b"a", false);
    let backend = world.opened();
    world.connect(backend);
    world.unsent(peer.conn, 100_000);
    peer.send(world, stream, &[b'x'; 100_000], false);
    assert_eq!(peer.core.unsent(stream), 100_001 - 65_535, "it may send no more");
    (peer, stream)
}

/// An upload whose window waits for its client, and how often its deadline passes before it is late.
fn passed_deadlines(progress: &[(u64, u64)], leaves: bool) -> usize {
    let mut world = World::speaking_http2(&["--body-timeout", "20s", "--write-timeout", "10m"]);
    let (mut peer, stream) = upload_without_window(&mut world);
    if leaves {
        world.unsent(peer.conn, 0);
    }
    let mut passed = 0;
    for (acknowledged, outstanding) in progress {
        assert_eq!(world.proxy.census().exchanges, 1, "late after {passed}");
        world.progress.insert(peer.conn, Progress { acknowledged: *acknowledged, outstanding: *outstanding });
        world.pass(SECOND * 20);
        passed += 1;
        if world.proxy.census().exchanges == 0 {
            world.unsent(peer.conn, 0);
            assert_eq!(peer.heard(&mut world, stream).code(), 408);
            break;
        }
    }
    passed
}

#[test]
fn a_client_is_not_late_with_content_for_which_its_window_has_not_come() {
    // It waits with us, behind answers that the client does not take. Whether it takes any has a deadline of its own.
    assert_eq!(passed_deadlines(&[(1, 99); 6], false), 6);
    // It waits in our kernel, or is on its way: until all has arrived that was sent by then, and once more.
    assert_eq!(passed_deadlines(&[(1, 199), (2, 300), (199, 300), (200, 300), (201, 300), (202, 300)], true), 5);
    // The client has it.
    assert_eq!(passed_deadlines(&[(200, 0), (200, 0), (200, 0)], true), 2);
    // It takes nothing.
    assert_eq!(passed_deadlines(&[(1, 199), (1, 300), (1, 300)], true), 2);
}

#[test]
fn a_client_that_has_a_window_and_sends_nothing_is_late_at_once() {
    let mut world = World::speaking_http2(&["--body-timeout", "20s", "--write-timeout", "10m"]);
    let (mut peer, stream) = upload_without_window(&mut world);
    world.unsent(peer.conn, 0);
    peer.pump(&mut world);
    assert_eq!(peer.core.unsent(stream), 0, "it goes on, and stops in the middle of a window");
    world.unsent(peer.conn, 100_000);
    world.progress.insert(peer.conn, Progress { acknowledged: 1, outstanding: 100_000 });
    world.pass(SECOND * 20);
    assert_eq!(world.proxy.census().exchanges, 0);
}
