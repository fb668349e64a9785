//! Peers that do not read: how far they are, and what they cost.

use super::support::*;
use crate::{
    app::{ConnId, Progress},
    net::{
        DriverConfig,
        driver::{MODEST, PLENTY},
    },
};
use std::{io::Write, sync::mpsc::channel};

#[test]
fn how_far_a_peer_is_can_be_asked_for() {
    const LEN: usize = 8 * 1024 * 1024;
    let mut asked: Option<ConnId> = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => {
            asked = Some(*conn);
            cx.send(*conn, pattern(LEN));
        }
        Heard::Woken => asked.into_iter().for_each(|conn| cx.progress(conn)),
        _ => {}
    });
    let client = running.connect();
    let ask = || {
        running.remote.wake();
        loop {
            if let Heard::Progressed(_, progress) = next(&heard) {
                return progress;
            }
        }
    };
    let mut begun = ask();
    while begun.acknowledged == 0 {
        begun = ask();
    }
    assert_eq!(begun.acknowledged + begun.outstanding, LEN as u64);
    assert!(begun.outstanding > LEN as u64 / 2, "nobody has read anything: {begun:?}");
    assert!(read_exactly(&client, LEN) == pattern(LEN));
    let done = Progress { acknowledged: LEN as u64, outstanding: 0 };
    while ask() != done {}
}

/// One that does not read may hold a lot. If that is more than all connections should hold together, the next ones hold
/// less.
#[test]
fn reads_are_small_while_much_waits() {
    const SENT: usize = 40 * 1024;
    let (busy, begun) = channel::<()>();
    let (go, wait) = channel::<()>();
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => cx.set_bulk(*conn, true),
        Heard::Received(conn, what) if what == b"much" => {
            // Bytes that the kernel takes are not in our memory.
            cx.send(*conn, vec![0; PLENTY + 8 * 1024 * 1024]);
        }
        Heard::Woken => {
            busy.send(()).unwrap();
            wait.recv().unwrap();
        }
        _ => {}
    });
    let (mut deaf, mut other) = (running.connect(), running.connect());
    deaf.write_all(b"much").unwrap();
    while !matches!(next(&heard), Heard::Sent(_, unsent) if unsent >= PLENTY) {}
    // More than a small read takes, all of it there before the next read. Once more, as an operation may have begun before.
    for turn in 0..2 {
        running.remote.wake();
        begun.recv_timeout(PATIENCE).unwrap();
        other.write_all(&vec![b'x'; SENT]).unwrap();
        other.write_all(&vec![b'x'; 20 * 1024]).unwrap();
        go.send(()).unwrap();
        let mut left = SENT + 20 * 1024;
        let mut largest = 0;
        while left > 0 {
            if let Heard::Received(_, what) = next(&heard) {
                left -= what.len();
                largest = largest.max(what.len());
            }
        }
        assert!(turn == 0 || largest <= MODEST, "{largest} bytes at once");
    }
}
