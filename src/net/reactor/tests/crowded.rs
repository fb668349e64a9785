//! Tests of the limit of connections, and of the end of a drain.

use super::support::*;
use crate::{
    app::{ConnId, Cx},
    net::DriverConfig,
};
use std::{
    collections::VecDeque,
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

fn answers(mut client: &TcpStream) {
    client.write_all(b"ping").unwrap();
    assert_eq!(read_exactly(client, 4), b"ping");
}

/// Room for two.
const TWO: DriverConfig = DriverConfig {
    tells_local: false,
    max_connections: 2,
    spare: 0,
    read_size: 1024,
    medium_read_size: 1024,
    bulk_read_size: 1024,
    pipes: 0,
    stall: Duration::from_secs(30),
    disk_threads: 1,
    disk_patience: Duration::from_secs(30),
};

/// Sends everything back, and closes the connection that came first for one that waits, after it was asked `patience` times.
/// Counts in `asked` how often.
fn echo(patience: usize, asked: &Arc<AtomicUsize>) -> impl FnMut(&mut Cx, &Heard, &[u8]) + Send + 'static + use<> {
    let asked = Arc::clone(asked);
    let mut open = VecDeque::new();
    move |cx, heard, input| match heard {
        Heard::Accepted(conn) => open.push_back(*conn),
        Heard::Received(conn, _) => cx.forward(*conn, input),
        Heard::Ended(conn) => cx.close(*conn),
        Heard::Crowded if asked.fetch_add(1, Relaxed) >= patience => {
            if let Some(conn) = open.pop_front() {
                cx.hang_up(conn);
            }
        }
        _ => {}
    }
}

#[test]
fn at_the_limit_an_application_closes_one_for_each_that_waits() {
    let asked = Arc::default();
    let (running, heard) = script(TWO, echo(0, &asked));
    let (first, second) = (running.connect(), running.connect());
    [&first, &second].into_iter().for_each(answers);
    running.remote.wake();
    while next(&heard) != Heard::Woken {}
    assert_eq!(asked.load(Relaxed), 0, "nobody waits");
    let third = running.connect();
    answers(&third);
    assert_eq!((read_to_end(&first), asked.load(Relaxed)), (vec![], 1));
    answers(&second);
    let fourth = running.connect();
    answers(&fourth);
    assert_eq!((read_to_end(&second), asked.load(Relaxed)), (vec![], 2));
    answers(&third);
}

#[test]
fn an_application_that_had_nobody_to_close_is_asked_again() {
    let asked = Arc::default();
    let (running, _heard) = script(TWO, echo(3, &asked));
    let (first, second) = (running.connect(), running.connect());
    [&first, &second].into_iter().for_each(answers);
    let third = running.connect();
    // Nothing happens meanwhile but time.
    answers(&third);
    assert_eq!(read_to_end(&first), b"");
    assert!(asked.load(Relaxed) >= 4);
}

#[test]
fn at_the_drain_deadline_there_are_last_words() {
    let mut open: Option<ConnId> = None;
    let (mut running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => open = Some(*conn),
        Heard::CutOff => {
            let conn = open.unwrap();
            cx.send(conn, &b"sorry"[..]);
            cx.close(conn);
        }
        _ => {}
    });
    let client = running.connect();
    next(&heard);
    running.remote.drain(Duration::from_millis(30));
    assert_eq!(read_to_end(&client), b"sorry");
    running.join();
    assert_eq!((next(&heard), next(&heard)), (Heard::Drain, Heard::CutOff));
}

#[test]
fn a_drain_that_ends_in_time_has_nothing_to_say() {
    let (mut running, heard) = script(DriverConfig::default(), |cx, heard, _| {
        if let Heard::Ended(conn) = heard {
            cx.close(*conn);
        }
    });
    let client = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    running.remote.drain(PATIENCE);
    assert_eq!(next(&heard), Heard::Drain);
    drop(client);
    running.join();
    assert_eq!((next(&heard), heard.try_recv().ok()), (Heard::Ended(conn), None));
}
