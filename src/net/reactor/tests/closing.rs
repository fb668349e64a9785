//! How connections end.

use super::support::*;
use crate::net::{DriverConfig, descriptors};
use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    sync::mpsc::channel,
    time::Duration,
};

#[test]
fn a_client_that_still_sends_gets_the_whole_answer() {
    // As a server does that refuses a body: answers the first bytes and closes. Were it to close at once, the rest of the
    // body would be answered with a reset, which destroys the answer in the client's kernel.
    const ANSWER: usize = 3 * 1024 * 1024;
    const BODY: usize = 4 * 1024 * 1024;
    let (running, _heard) = script(DriverConfig::default(), |cx, heard, _| {
        if let Heard::Received(conn, _) = heard {
            cx.send(*conn, pattern(ANSWER));
            cx.close(*conn);
        }
    });
    for _ in 0..3 {
        let client = running.connect();
        let mut sender = client.try_clone().unwrap();
        #[allow(clippy::disallowed_methods)] // The client sends and receives at once.
        let sending = std::thread::spawn(move || {
            let sent = sender.write_all(&pattern(BODY));
            sender.shutdown(Shutdown::Write).unwrap();
            sent
        });
        assert!(read_to_end(&client) == pattern(ANSWER));
        sending.join().unwrap().expect("everything that was sent was taken");
    }
}

#[test]
fn a_client_that_sends_everything_before_it_reads_gets_the_answer() {
    let (running, _heard) = script(DriverConfig::default(), |cx, heard, _| {
        if let Heard::Received(conn, _) = heard {
            cx.send(*conn, &b"413"[..]);
            cx.close(*conn);
        }
    });
    let mut client = running.connect();
    // More than all buffers on the way hold: the server has to read it.
    client.write_all(&vec![b'x'; 20 * 1024 * 1024]).unwrap();
    assert_eq!(read_to_end(&client), b"413");
}

#[test]
fn an_abort_is_seen_as_a_reset() {
    let (running, _heard) = script(DriverConfig::default(), |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.abort(*conn);
        }
    });
    assert_eq!(running.connect().read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_end_follows_the_output_and_the_other_direction_goes_on() {
    const LEN: usize = 8 * 1024 * 1024;
    let (running, heard) = script(DriverConfig::default(), |cx, heard, _| match heard {
        Heard::Accepted(conn) => {
            cx.send(*conn, pattern(LEN));
            cx.finish(*conn);
            // After the end nothing can follow.
            cx.send(*conn, &b"lost"[..]);
        }
        Heard::Ended(conn) => cx.close(*conn),
        _ => {}
    });
    let mut client = running.connect();
    assert!(read_to_end(&client) == pattern(LEN));
    client.write_all(b"still here").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    let mut rest = std::iter::repeat_with(|| next(&heard)).filter(|heard| !matches!(heard, Heard::Sent(..)));
    assert_eq!(rest.next(), Some(Heard::Received(conn, b"still here".to_vec())));
    assert_eq!(rest.next(), Some(Heard::Ended(conn)));
}

#[test]
fn a_closing_connection_counts_until_its_peer_has_ended() {
    let config = DriverConfig { max_connections: 1, ..DriverConfig::default() };
    let (running, heard) = script(config, |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.close(*conn);
        }
    });
    let lingering = running.connect();
    assert_eq!(read_to_end(&lingering), b"");
    next(&heard);
    let waiting = running.connect();
    running.remote.wake();
    assert_eq!(next(&heard), Heard::Woken, "the second client is not accepted while the first may still send");
    drop(lingering);
    assert!(matches!(next(&heard), Heard::Accepted(_)));
    assert_eq!(read_to_end(&waiting), b"");
}

#[test]
fn a_peer_that_has_nothing_more_to_say_is_not_waited_for() {
    const LEN: usize = 4 * 1024 * 1024;
    let config = DriverConfig { max_connections: 1, ..DriverConfig::default() };
    let (running, _heard) = script(config, |cx, heard, _| {
        if let Heard::Received(conn, _) = heard {
            cx.send(*conn, pattern(LEN));
            cx.hang_up(*conn);
        }
    });
    let clients: Vec<_> = (0..3).map(|_| running.connect()).collect();
    for mut client in &clients {
        client.write_all(b"?").unwrap();
    }
    // The first still holds its end when the second is served, which had no room before.
    for client in &clients {
        assert!(read_to_end(client) == pattern(LEN));
    }
}

#[test]
fn a_peer_that_speaks_nevertheless_still_gets_the_answer() {
    let (busy, begun) = channel::<()>();
    let (go, wait) = channel::<()>();
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Received(_, what) if what == b"wait" => {
            busy.send(()).unwrap();
            wait.recv().unwrap();
        }
        Heard::Received(conn, _) => {
            cx.send(*conn, pattern(100_000));
            cx.hang_up(*conn);
        }
        _ => {}
    });
    let mut other = running.connect();
    other.write_all(b"wait").unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    // More than one read takes: the rest waits in the kernel while the application answers the first part.
    let mut client = running.connect();
    client.write_all(&[b'x'; 50_000]).unwrap();
    go.send(()).unwrap();
    assert!(read_to_end(&client) == pattern(100_000));
}

#[test]
fn no_descriptor_is_left_open() {
    // Other tests open and close theirs meanwhile: only a leak by the thousand can be told from that.
    const CONNECTIONS: usize = 2000;
    let before = descriptors::count_open().unwrap();
    let (running, _heard) = script(DriverConfig::default(), |cx, heard, _| match heard {
        Heard::Received(conn, what) if what == b"a" => cx.abort(*conn),
        Heard::Received(conn, _) => cx.close(*conn),
        _ => {}
    });
    for n in 0..CONNECTIONS {
        let mut client = running.connect();
        client.write_all(if n % 2 == 0 { b"a" } else { b"c" }).unwrap();
        let _ = client.read(&mut [0]);
    }
    let after = descriptors::count_open().unwrap();
    assert!(after < before + CONNECTIONS / 2, "{before} became {after}");
}

/// Else a peer that never reads would hold its answer in our memory for as long as it likes.
#[test]
fn a_peer_that_takes_nothing_after_the_close_is_reset() {
    const ANSWER: usize = 32 * 1024 * 1024;
    let config = DriverConfig { stall: Duration::from_millis(100), ..DriverConfig::default() };
    let (mut running, heard) = script(config, |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            cx.send(*conn, pattern(ANSWER));
            cx.close(*conn);
        }
    });
    let mut client = running.connect();
    assert!(matches!(next(&heard), Heard::Accepted(_)));
    // Ends when the last connection has: the client has not read a byte by then.
    running.remote.drain(PATIENCE * 3);
    running.join();
    let mut got = Vec::new();
    let error = client.read_to_end(&mut got).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(got.len() < ANSWER);
}

/// Our kernel has most of the answer soon, and takes the rest a good while later. Only bytes that the peer takes count.
#[test]
fn a_peer_that_reads_slowly_after_the_close_gets_all_of_it() {
    const ANSWER: usize = 8 * 1024 * 1024;
    const PIECE: usize = 64 * 1024;
    let config = DriverConfig { stall: Duration::from_millis(400), ..DriverConfig::default() };
    let (running, _heard) = script(config, |cx, heard, _| {
        if let Heard::Received(conn, _) = heard {
            cx.send(*conn, pattern(ANSWER));
            cx.close(*conn);
        }
    });
    let mut client = running.connect();
    client.write_all(b"?").unwrap();
    let mut got = Vec::new();
    for _ in 0..40 {
        got.extend(read_exactly(&client, PIECE));
        pause(Duration::from_millis(50));
    }
    client.read_to_end(&mut got).unwrap();
    assert!(got == pattern(ANSWER), "{} bytes", got.len());
}

/// A client that closes while it is waited for: its end says that it sends no more, its reset that it does not read.
#[test]
fn a_reset_after_the_end_is_heard() {
    for reading in [true, false] {
        let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| {
            if let Heard::Ended(conn) = heard {
                cx.set_reading(*conn, reading);
            }
        });
        let client = running.connect();
        let Heard::Accepted(conn) = next(&heard) else { panic!() };
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(next(&heard), Heard::Ended(conn));
        reset_on_drop(&client);
        drop(client);
        let Heard::Failed(failed, _) = next(&heard) else { panic!("reading {reading}") };
        assert_eq!(failed, conn, "reading {reading}");
    }
}
