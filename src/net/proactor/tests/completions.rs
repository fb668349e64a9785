//! Tests of mistakes that only a driver of completions can make: memory that the kernel still uses, and completions
//! that come late.

use super::support::*;
use crate::net::DriverConfig;
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::channel,
};

/// More than all socket buffers on the way hold.
const MORE: usize = 16 * 1024 * 1024;

#[test]
fn a_connection_that_is_aborted_while_it_sends_leaves_its_memory_to_the_kernel_until_it_has_ended() {
    let mut deaf = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, input| match (heard, deaf) {
        (Heard::Accepted(conn), None) => {
            deaf = Some(*conn);
            // One piece, then many: both forms of sending.
            cx.send(*conn, pattern(MORE));
            (0..100).for_each(|_| cx.send(*conn, pattern(10_000)));
        }
        (Heard::Received(conn, what), Some(deaf)) => {
            if what == b"abort" {
                cx.abort(deaf);
                // New sockets and new memory at once, where the old ones were.
                (0..100).for_each(|_| cx.send(*conn, vec![b'n'; 10_000]));
            } else {
                cx.forward(*conn, input);
            }
        }
        _ => {}
    });
    let mut first = running.connect();
    while !matches!(next(&heard), Heard::Sent(..)) {}
    let mut second = running.connect();
    second.write_all(b"abort").unwrap();
    assert!(read_exactly(&second, 1_000_000).iter().all(|byte| *byte == b'n'));
    // Bytes that were sent are those that were meant, whatever their memory is used for now.
    let mut got = Vec::new();
    let ended = first.read_to_end(&mut got);
    assert!(ended.is_err(), "a reset: the answer is not whole");
    assert!(got == pattern(MORE)[..got.len()]);
}

#[test]
fn bytes_that_arrive_after_the_reading_was_stopped_are_heard_later_and_in_order() {
    const LEN: usize = 600_000;
    // Stops at every input, and goes on when it is woken. Bytes that the kernel has received by then must not be lost.
    let mut conns = Vec::new();
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => conns.push(*conn),
        Heard::Received(conn, _) => cx.set_reading(*conn, false),
        Heard::Woken => conns.iter().for_each(|conn| cx.set_reading(*conn, true)),
        _ => {}
    });
    let mut client = running.connect();
    client.write_all(&pattern(LEN)[..LEN / 2]).unwrap();
    let mut rest = client.try_clone().unwrap();
    #[allow(clippy::disallowed_methods)] // The peer blocks while nobody listens.
    let sending = std::thread::spawn(move || {
        rest.write_all(&pattern(LEN)[LEN / 2..]).unwrap();
        rest.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    loop {
        match next(&heard) {
            Heard::Received(_, bytes) => {
                got.extend_from_slice(&bytes);
                running.remote.wake();
            }
            Heard::Ended(_) => break,
            _ => {}
        }
    }
    sending.join().unwrap();
    assert!(got == pattern(LEN), "{} of {LEN} bytes", got.len());
}

#[test]
fn a_peer_that_nobody_listens_to_cannot_fill_our_memory() {
    let (running, heard) = script(DriverConfig::default(), |cx, heard, _| {
        if let Heard::Received(conn, _) = heard {
            cx.set_reading(*conn, false);
        }
    });
    let mut client = running.connect();
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let mut refused = 0;
    while refused < 50 {
        match client.write(&[b'x'; 64 * 1024]) {
            Ok(len) => (sent, refused) = (sent + len, 0),
            Err(_) => {
                refused += 1;
                std::thread::park_timeout(std::time::Duration::from_millis(2));
            }
        }
        assert!(sent < MORE, "the kernel goes on receiving");
    }
    assert!(matches!(next(&heard), Heard::Accepted(_)));
}

#[test]
fn more_clients_than_buffers_are_all_heard() {
    const CLIENTS: usize = 500;
    let (busy, begun) = channel::<()>();
    let (go, wait) = channel::<()>();
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, input| match heard {
        Heard::Received(_, what) if what == b"wait" => {
            busy.send(()).unwrap();
            wait.recv().unwrap();
        }
        Heard::Received(conn, _) => cx.forward(*conn, input),
        Heard::Ended(conn) => cx.close(*conn),
        _ => {}
    });
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| running.connect()).collect();
    let mut first = running.connect();
    first.write_all(b"wait").unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    // All of them at once, and each with more than one buffer holds.
    let question = pattern(40_000);
    for client in &mut clients {
        client.write_all(&question).unwrap();
    }
    go.send(()).unwrap();
    for client in &clients {
        assert!(read_exactly(client, question.len()) == question);
    }
}

/// There are few large buffers. Connections that may need one, and do not, must not wait for one another.
#[test]
fn more_connections_with_short_messages_than_large_buffers_have_their_turns() {
    const CLIENTS: usize = 400;
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, input| match heard {
        Heard::Accepted(conn) => cx.set_bulk(*conn, true),
        Heard::Received(conn, _) => {
            cx.forward(*conn, input);
            // An application that is slower than its clients: most of them have spoken again before it has heard all.
            std::hint::black_box(pattern(50_000));
        }
        _ => {}
    });
    let mut clients: Vec<(TcpStream, usize)> = (0..CLIENTS).map(|_| (running.connect(), 0)).collect();
    for (client, _) in &mut clients {
        client.set_nonblocking(true).unwrap();
        client.write_all(b"again").unwrap();
    }
    let mut answers = 0;
    while answers < 20 * CLIENTS {
        for (client, heard) in &mut clients {
            if client.read(&mut [0; 5]).is_ok_and(|len| len == 5) {
                (answers, *heard) = (answers + 1, *heard + 1);
                client.write_all(b"again").unwrap();
            }
        }
    }
    let turns = clients.iter().map(|(_, heard)| *heard);
    let (least, most) = (turns.clone().min().unwrap(), turns.max().unwrap());
    assert!(most <= 2 * least, "one was answered {least} times, another {most} times");
}

#[test]
fn large_pieces_are_received_when_they_are_asked_for_and_small_ones_again_afterwards() {
    const LEN: usize = 8 * 1024 * 1024;
    let mut left = LEN;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => cx.set_bulk(*conn, true),
        Heard::Received(conn, bytes) => {
            left -= bytes.len().min(left);
            cx.set_bulk(*conn, left > 0);
            if left == 0 {
                cx.send(*conn, &b"thanks"[..]);
            }
        }
        _ => {}
    });
    let mut client = running.connect();
    let body = pattern(LEN);
    client.write_all(&body).unwrap();
    assert_eq!(read_exactly(&client, 6), b"thanks");
    for _ in 0..3 {
        client.write_all(b"small").unwrap();
        assert_eq!(read_exactly(&client, 6), b"thanks");
    }
    let inputs: Vec<Vec<u8>> = heard
        .try_iter()
        .filter_map(|heard| match heard {
            Heard::Received(_, bytes) => Some(bytes),
            _ => None,
        })
        .collect();
    assert!(inputs.iter().any(|bytes| bytes.len() > DriverConfig::default().read_size), "no large piece");
    assert!(inputs.concat().starts_with(&body));
}

#[test]
fn an_application_that_panics_takes_nothing_of_the_kernels_with_it() {
    let (mut running, _heard) = script(DriverConfig::default(), |cx, heard, _| match heard {
        Heard::Accepted(conn) => cx.send(*conn, pattern(MORE)),
        Heard::Sent(..) => panic!("as planned"),
        _ => {}
    });
    let mut client = running.connect();
    assert!(running.panicked());
    // The bytes that left were the right ones, though their memory was freed while they were being sent.
    let mut got = Vec::new();
    let _ = client.read_to_end(&mut got);
    assert!(got == pattern(MORE)[..got.len()]);
}

#[test]
fn a_proactor_that_never_runs_leaves_nothing_behind() {
    let driver = super::Driver::new(crate::net::Sessions::new(|_, _| Nobody), DriverConfig::default()).unwrap();
    let remote = driver.remote();
    drop(driver);
    remote.wake();
}

/// No session: it is never opened.
struct Nobody;

impl crate::session::Session for Nobody {
    fn receive(&mut self, _: &[u8], _: crate::time::Now) {}
    fn receive_end(&mut self, _: crate::time::Now) {}
    fn output(&mut self) -> &mut crate::buf::Output {
        unreachable!("nobody was accepted")
    }
    fn wants(&self) -> crate::session::Wants {
        crate::session::Wants::Input
    }
    fn deadline(&self) -> Option<crate::time::Instant> {
        None
    }
    fn promised(&self) -> Option<crate::time::Instant> {
        None
    }
    fn expire(&mut self, _: crate::time::Now) {}
}
