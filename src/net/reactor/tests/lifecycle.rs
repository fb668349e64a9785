//! How a reactor begins and ends, and how other threads reach it.

use super::support::*;
use crate::{
    app::{ConnId, ServerId},
    net::DriverConfig,
};
use bytes::Bytes;
use std::{
    io::{ErrorKind, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::channel,
    time::Duration,
};

#[test]
fn wakes_from_any_thread_count_once_until_they_are_heard() {
    let (busy, begun) = channel::<()>();
    let (go, wait) = channel::<()>();
    let (running, heard) = script(DriverConfig::default(), move |_, heard, _| {
        if *heard == Heard::Woken {
            let _ = busy.send(());
            let _ = wait.recv();
        }
    });
    let remote = running.remote.clone();
    remote.wake();
    begun.recv_timeout(PATIENCE).unwrap();
    // The application hears of the first and is busy with it: all of these are one more.
    for _ in 0..100 {
        let remote = remote.clone();
        #[allow(clippy::disallowed_methods)] // Wakes come from any thread.
        std::thread::spawn(move || remote.wake()).join().unwrap();
    }
    drop(go);
    assert_eq!(next(&heard), Heard::Woken);
    assert_eq!(next(&heard), Heard::Woken);
    let _client = running.connect();
    assert!(matches!(next(&heard), Heard::Accepted(_)), "no third");
    remote.wake();
    assert_eq!(next(&heard), Heard::Woken);
}

#[test]
fn draining_takes_the_backlog_and_ends_with_the_last_connection() {
    let (go, wait) = channel::<()>();
    let mut open: Vec<ConnId> = Vec::new();
    let (mut running, heard) = script(DriverConfig::default(), move |cx, heard, input| match heard {
        Heard::Accepted(conn) => open.push(*conn),
        // Busy while the others arrive: they wait in the backlog.
        Heard::Received(conn, what) if what == b"busy" => {
            wait.recv().unwrap();
            cx.forward(*conn, input);
        }
        Heard::Received(conn, _) => cx.forward(*conn, input),
        Heard::Ended(conn) => cx.close(*conn),
        Heard::Drain => open.drain(..).for_each(|conn| cx.send(conn, &b"draining"[..])),
        _ => {}
    });
    let mut busy = running.connect();
    busy.write_all(b"busy").unwrap();
    assert!(matches!(next(&heard), Heard::Accepted(_)));
    let mut late = running.connect();
    running.remote.drain(PATIENCE);
    go.send(()).unwrap();

    assert_eq!(read_exactly(&busy, 12), b"busydraining");
    assert_eq!(read_exactly(&late, 8), b"draining");
    #[allow(clippy::disallowed_methods)] // A plain client.
    let refused = TcpStream::connect(running.address);
    assert!(refused.is_err(), "the listener is closed");
    late.write_all(b"still served").unwrap();
    assert_eq!(read_exactly(&late, 12), b"still served");
    drop((busy, late));
    running.join();
}

#[test]
fn draining_ends_at_its_deadline() {
    let (mut running, heard) = script(DriverConfig::default(), |_, _, _| {});
    let mut client = running.connect();
    next(&heard);
    running.remote.drain(Duration::from_millis(30));
    running.join();
    // The application had not let go of it: what it would still have sent is missing, and that has to show.
    let error = std::io::Read::read(&mut client, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(next(&heard), Heard::Drain);
    // The event loop has ended; nothing happens.
    running.remote.wake();
}

#[test]
fn draining_without_connections_ends_at_once() {
    let (mut running, heard) = script(DriverConfig::default(), |_, _, _| {});
    running.remote.drain(PATIENCE);
    running.join();
    assert_eq!(next(&heard), Heard::Drain);
}

#[test]
fn a_busy_connection_does_not_keep_the_others_out() {
    // One peer sends as fast as it can; the other asks small questions meanwhile.
    let (running, _heard) = script(DriverConfig::default(), |cx, heard, input| match heard {
        Heard::Received(conn, what) if what.len() < 10 => cx.forward(*conn, input),
        _ => {}
    });
    let mut loud = running.connect();
    let mut quiet = running.connect();
    let (done, stop) = channel::<()>();
    #[allow(clippy::disallowed_methods)] // Both clients at once.
    let shouting = std::thread::spawn(move || {
        let noise = vec![b'x'; 1024 * 1024];
        while stop.try_recv().is_err() {
            loud.write_all(&noise).unwrap();
        }
    });
    for _ in 0..50 {
        quiet.write_all(b"ping").unwrap();
        assert_eq!(read_exactly(&quiet, 4), b"ping");
    }
    done.send(()).unwrap();
    shouting.join().unwrap();
}

/// Nothing that was to be protected leaves in plain.
#[test]
fn a_protected_connection_needs_a_layer_that_protects_it() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    server.set_nonblocking(true).unwrap();
    let to = server.local_addr().unwrap();
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if matches!(heard, Heard::Accepted(_)) {
            cx.connect_secured(to, ServerId(0), Bytes::new());
        }
    });
    let _client = running.connect();
    assert!(matches!(next(&heard), Heard::Accepted(_)));
    assert!(matches!(next(&heard), Heard::Failed(_, ErrorKind::Unsupported)));
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "no connection was opened");
}
