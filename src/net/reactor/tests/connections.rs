//! Tests of the events of connections that an application hears, and of their order.

use super::{FRESH, support::*};
use crate::{
    app::{ConnId, PeekBy, TimerKey},
    net::DriverConfig,
};
use std::{
    io::{ErrorKind, Write},
    mem,
    net::{Shutdown, TcpStream},
    sync::mpsc::channel,
    time::Duration,
};

#[test]
fn a_connection_of_ours_lives_as_one_that_was_accepted() {
    let (listener, to) = backend();
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, input| match heard {
        Heard::Woken => {
            // Sent before it is connected: waits for it.
            let conn = cx.connect(to);
            cx.send(conn, &b"early"[..]);
        }
        Heard::Received(conn, _) => cx.forward(*conn, input),
        Heard::Ended(conn) => cx.close(*conn),
        _ => {}
    });
    running.remote.wake();
    let mut server = accept(&listener);
    assert_eq!(read_exactly(&server, 5), b"early");
    server.write_all(b"echo this").unwrap();
    assert_eq!(read_exactly(&server, 9), b"echo this");
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&server), b"");

    assert_eq!(next(&heard), Heard::Woken);
    let Heard::Connected(conn) = next(&heard) else { panic!("connected comes first") };
    // Early bytes count as bytes that were not taken at once.
    assert_eq!(next(&heard), Heard::Sent(conn, 0));
    assert_eq!(next(&heard), Heard::Received(conn, b"echo this".to_vec()));
    assert_eq!(next(&heard), Heard::Ended(conn));
}

#[test]
fn a_connection_that_cannot_be_made_fails() {
    let targets = [nobody(), "255.255.255.255:1".parse().unwrap()];
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if *heard == Heard::Woken {
            for to in targets {
                let conn = cx.connect(to);
                // Must reach no connection.
                cx.send(conn, &b"lost"[..]);
                cx.finish(conn);
            }
        }
    });
    running.remote.wake();
    assert_eq!(next(&heard), Heard::Woken);
    let mut failed = [next(&heard), next(&heard)].map(|heard| match heard {
        Heard::Failed(conn, kind) => (conn.index(), kind),
        other => panic!("{other:?}"),
    });
    failed.sort_unstable_by_key(|(index, _)| *index);
    assert_eq!(failed[0], (0, ErrorKind::ConnectionRefused));
    // The system has its own word for an address that it will not even try.
    assert_ne!(failed[1].1, ErrorKind::ConnectionRefused);
    running.remote.drain(PATIENCE);
}

#[test]
fn an_old_name_does_not_reach_the_next_tenant_of_its_slot() {
    let mut old: Option<ConnId> = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, input| match (heard, old) {
        (Heard::Accepted(conn), None) => {
            old = Some(*conn);
            cx.close(*conn);
        }
        (Heard::Received(conn, _), Some(old)) => {
            cx.send(old, &b"stale"[..]);
            cx.set_reading(old, false);
            cx.finish(old);
            cx.abort(old);
            cx.forward(*conn, input);
        }
        _ => {}
    });
    assert_eq!(read_to_end(&running.connect()), b"");
    let Heard::Accepted(first) = next(&heard) else { panic!() };
    let mut client = running.connect();
    for _ in 0..2 {
        client.write_all(b"hello").unwrap();
        assert_eq!(read_exactly(&client, 5), b"hello");
    }
    let Heard::Accepted(second) = next(&heard) else { panic!() };
    assert_eq!(first.index(), second.index());
    assert_ne!(first, second);
}

#[test]
fn a_name_given_away_in_a_call_can_be_used_again_in_the_same_call() {
    let (listener, to) = backend();
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, _| {
        if let Heard::Received(conn, _) = heard {
            cx.send(*conn, &b"bye"[..]);
            cx.close(*conn);
            let next = cx.connect(to);
            assert_eq!(next.index(), conn.index());
            cx.send(next, &b"hello"[..]);
            cx.finish(next);
        }
    });
    let mut client = running.connect();
    client.write_all(b"x").unwrap();
    assert_eq!(read_to_end(&client), b"bye");
    assert_eq!(read_to_end(&accept(&listener)), b"hello");
}

#[test]
fn at_the_limit_new_connections_wait_in_the_backlog() {
    let config = DriverConfig { max_connections: 2, ..DriverConfig::default() };
    let (running, heard) = script(config, |cx, heard, input| match heard {
        Heard::Received(conn, _) => cx.forward(*conn, input),
        Heard::Ended(conn) => cx.close(*conn),
        _ => {}
    });
    let mut clients: Vec<_> = (0..3).map(|_| running.connect()).collect();
    for client in &mut clients {
        client.write_all(b"ping").unwrap();
    }
    for client in &clients[..2] {
        assert_eq!(read_exactly(client, 4), b"ping");
    }
    let before: Vec<Heard> = heard.try_iter().collect();
    let accepted = |heard: &[Heard]| heard.iter().filter(|heard| matches!(heard, Heard::Accepted(_))).count();
    assert_eq!(accepted(&before), 2, "{before:?}");
    drop(clients.remove(0));
    assert_eq!(read_exactly(&clients[1], 4), b"ping");
    assert_eq!(accepted(&heard.try_iter().collect::<Vec<_>>()), 1);
}

#[test]
fn a_probe_finds_what_waits_without_hearing_it() {
    // Does not listen to the first client, and peeks at it when the second one asks.
    let mut first = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) if first.is_none() => {
            first = Some(*conn);
            cx.set_reading(*conn, false);
        }
        Heard::Received(conn, _) if Some(*conn) != first => cx.peek(first.unwrap(), PeekBy::Report),
        Heard::Peeked(conn, quiet) => {
            cx.send(*conn, if *quiet { "quiet" } else { "not quiet" });
            cx.set_reading(*conn, !quiet);
        }
        _ => {}
    });
    let mut peeked = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    let mut asking = running.connect();
    next(&heard);
    let mut ask = || {
        asking.write_all(b"?").unwrap();
        next(&heard)
    };

    ask();
    assert_eq!(next(&heard), Heard::Peeked(conn, true));
    assert_eq!(read_exactly(&peeked, 5), b"quiet");
    peeked.write_all(b"unexpected").unwrap();
    ask();
    assert_eq!(next(&heard), Heard::Peeked(conn, false));
    assert_eq!(read_exactly(&peeked, 9), b"not quiet");
    assert_eq!(next(&heard), Heard::Received(conn, b"unexpected".to_vec()));
    ask();
    assert_eq!(next(&heard), Heard::Peeked(conn, true));
    peeked.shutdown(Shutdown::Write).unwrap();
    ask();
    assert_eq!(next(&heard), Heard::Peeked(conn, false));
    assert_eq!(next(&heard), Heard::Ended(conn));
}

#[test]
fn a_probe_late_in_a_turn_asks_the_kernel_again() {
    const CLIENTS: usize = FRESH + 3;
    let (busy, begun) = channel::<()>();
    let (go, wait) = channel::<()>();
    let mut conns: Vec<ConnId> = Vec::new();
    let mut asked = 0;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => conns.push(*conn),
        Heard::Received(..) => {
            asked += 1;
            // In the middle of the first question all others arrive: the next turn has them together. In the middle of the
            // last, the first client ends: too late for the kernel to have reported it in this turn.
            if asked == 1 || asked == CLIENTS {
                busy.send(()).unwrap();
                wait.recv().unwrap();
            }
            if asked == CLIENTS {
                cx.peek(conns[0], PeekBy::Report);
            }
        }
        _ => {}
    });
    let mut peeked = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    let mut asking: Vec<TcpStream> = (0..CLIENTS).map(|_| running.connect()).collect();
    for _ in 0..CLIENTS {
        assert!(matches!(next(&heard), Heard::Accepted(_)));
    }
    asking[0].write_all(b"?").unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    for client in &mut asking[1..] {
        client.write_all(b"?").unwrap();
    }
    go.send(()).unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    peeked.write_all(b"unexpected").unwrap();
    go.send(()).unwrap();
    let mut rest = std::iter::repeat_with(|| next(&heard)).skip_while(|heard| matches!(heard, Heard::Received(..)));
    assert_eq!(rest.next(), Some(Heard::Peeked(conn, false)));
    assert_eq!(rest.next(), Some(Heard::Received(conn, b"unexpected".to_vec())));
}

/// A request that comes behind other bytes may be younger than the report which named those. All that came before it is found:
/// it is heard before, or the peek says so.
#[test]
fn a_probe_for_bytes_that_came_behind_others_finds_what_came_before_them() {
    let (busy, begun) = channel::<ConnId>();
    let (go, wait) = channel::<()>();
    let (mut conns, mut is_first) = (Vec::new(), true);
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) => conns.push(*conn),
        Heard::Received(_, bytes) if bytes.ends_with(b"?") => {
            conns[..3].iter().for_each(|conn| cx.peek(*conn, PeekBy::Asking));
        }
        Heard::Received(conn, bytes) if bytes == b"1" || mem::take(&mut is_first) => {
            busy.send(*conn).unwrap();
            wait.recv().unwrap();
        }
        _ => {}
    });
    let mut clients: Vec<TcpStream> = (0..6).map(|_| running.connect()).collect();
    let accepted = || match next(&heard) {
        Heard::Accepted(conn) => conn,
        other => panic!("{other:?}"),
    };
    let conns: Vec<ConnId> = (0..6).map(|_| accepted()).collect();
    // Two clients are in one report, and the application is busy with the first of them.
    clients[5].write_all(b"1").unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    clients[3..5].iter_mut().for_each(|client| client.write_all(b"x").unwrap());
    go.send(()).unwrap();
    let second = if begun.recv_timeout(PATIENCE).unwrap() == conns[3] { 4 } else { 3 };
    clients[0].write_all(b"unexpected").unwrap();
    clients[1].shutdown(Shutdown::Write).unwrap();
    clients[second].write_all(b"?").unwrap();
    go.send(()).unwrap();
    let before: Vec<Heard> =
        std::iter::repeat_with(|| next(&heard)).take_while(|it| *it != Heard::Peeked(conns[1], false)).collect();
    let was_heard = before.contains(&Heard::Received(conns[0], b"unexpected".to_vec()));
    assert!(before.contains(&Heard::Peeked(conns[0], was_heard)), "{before:?}");
    assert_eq!(next(&heard), Heard::Peeked(conns[2], true));
}

#[test]
fn deadlines_pass_and_can_be_taken_back() {
    let (running, heard) = script(DriverConfig::default(), |cx, heard, _| {
        if let Heard::Accepted(conn) = heard {
            let soon = cx.now() + Duration::from_millis(15);
            cx.set_deadline(TimerKey::App(3), Some(soon));
            cx.set_deadline(TimerKey::App(4), Some(soon));
            cx.set_deadline(TimerKey::App(4), None);
            cx.set_deadline(TimerKey::Conn(*conn), Some(soon + Duration::from_millis(30)));
        }
    });
    let _client = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    assert_eq!(next(&heard), Heard::Expired(TimerKey::App(3)));
    assert_eq!(next(&heard), Heard::Expired(TimerKey::Conn(conn)));
}

#[test]
fn an_answer_that_came_before_the_reset_is_heard_before_the_failure() {
    // The peer answers and leaves while we still send: the write finds out first, but the answer is there.
    let (busy, begun) = channel::<()>();
    let (go, wait) = channel::<()>();
    let mut early = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) if early.is_none() => early = Some(*conn),
        Heard::Received(conn, _) if Some(*conn) != early => {
            busy.send(()).unwrap();
            wait.recv().unwrap();
            cx.send(early.unwrap(), vec![b'x'; 100_000]);
        }
        _ => {}
    });
    let mut leaving = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    let mut asking = running.connect();
    next(&heard);
    asking.write_all(b"?").unwrap();
    // The application is in the middle of hearing that: what comes now is news to it.
    begun.recv_timeout(PATIENCE).unwrap();
    leaving.write_all(b"too large").unwrap();
    reset_on_drop(&leaving);
    drop(leaving);
    go.send(()).unwrap();
    assert!(matches!(next(&heard), Heard::Received(..)));
    assert_eq!(next(&heard), Heard::Received(conn, b"too large".to_vec()));
    let Heard::Failed(failed, kind) = next(&heard) else { panic!() };
    assert_eq!(failed, conn);
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind}");
}

#[test]
fn a_reset_is_heard_even_by_who_does_not_listen_and_what_came_before_it() {
    // Nothing, one read, several; never more than the first window of a receiver that does not read.
    for len in [0, 10, 40_000] {
        let config = DriverConfig { read_size: 1000, ..DriverConfig::default() };
        let (running, heard) = script(config, |cx, heard, _| {
            if let Heard::Accepted(conn) = heard {
                cx.set_reading(*conn, false);
            }
        });
        let mut client = running.connect();
        let Heard::Accepted(conn) = next(&heard) else { panic!() };
        client.write_all(&pattern(len)).unwrap();
        reset_on_drop(&client);
        drop(client);
        let mut arrived = Vec::new();
        let end = loop {
            match next(&heard) {
                Heard::Received(_, bytes) => arrived.extend(bytes),
                other => break other,
            }
        };
        assert!(arrived == pattern(len), "{} of {len} bytes", arrived.len());
        assert_eq!(end, Heard::Failed(conn, ErrorKind::ConnectionReset), "{len}");
    }
}

/// An application that was busy when the bytes and the reset came hears of both.
#[test]
fn a_reset_right_behind_bytes_is_heard_without_a_write() {
    for len in [10, 40_000] {
        let (busy, begun) = channel::<()>();
        let (go, wait) = channel::<()>();
        let config = DriverConfig { read_size: 1000, ..DriverConfig::default() };
        let (running, heard) = script(config, move |_, heard, _| {
            if matches!(heard, Heard::Woken) {
                busy.send(()).unwrap();
                wait.recv().unwrap();
            }
        });
        let mut client = running.connect();
        let Heard::Accepted(conn) = next(&heard) else { panic!() };
        running.remote.wake();
        begun.recv_timeout(PATIENCE).unwrap();
        client.write_all(&pattern(len)).unwrap();
        reset_on_drop(&client);
        drop(client);
        go.send(()).unwrap();
        assert_eq!(next(&heard), Heard::Woken);
        let end = std::iter::repeat_with(|| next(&heard)).find(|heard| !matches!(heard, Heard::Received(..)));
        assert_eq!(end, Some(Heard::Failed(conn, ErrorKind::ConnectionReset)), "{len}");
    }
}

/// A write that fails is the first to notice, and what the peer said before it left is heard all the same.
#[test]
fn a_paused_application_that_writes_in_vain_hears_the_last_bytes() {
    let mut first = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) if first.is_none() => {
            first = Some(*conn);
            cx.set_reading(*conn, false);
        }
        Heard::Woken => cx.send(first.unwrap(), vec![b'x'; 1000]),
        _ => {}
    });
    let mut client = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    client.write_all(b"last words").unwrap();
    // Both ways: what comes now is answered with a reset.
    drop(client);
    let end = loop {
        running.remote.wake();
        match next(&heard) {
            Heard::Woken | Heard::Sent(..) => {}
            other => break other,
        }
    };
    assert_eq!(end, Heard::Received(conn, b"last words".to_vec()));
    let end = std::iter::repeat_with(|| next(&heard)).find(|heard| *heard != Heard::Woken);
    match end.unwrap() {
        // The end came before the reset.
        Heard::Ended(_) => assert!(matches!(next(&heard), Heard::Failed(..))),
        other => assert!(matches!(other, Heard::Failed(..)), "{other:?}"),
    }
}

#[test]
fn an_application_that_listens_again_hears_the_bytes_that_waited() {
    let mut first = None;
    let (running, heard) = script(DriverConfig::default(), move |cx, heard, _| match heard {
        Heard::Accepted(conn) if first.is_none() => {
            first = Some(*conn);
            cx.set_reading(*conn, false);
        }
        Heard::Woken => cx.set_reading(first.unwrap(), true),
        _ => {}
    });
    let mut client = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    client.write_all(b"patience").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // By the time another connection is heard of, the kernel has told about this one. It will not do so again.
    let _other = running.connect();
    assert!(matches!(next(&heard), Heard::Accepted(_)));
    running.remote.wake();
    assert_eq!(next(&heard), Heard::Woken);
    assert_eq!(next(&heard), Heard::Received(conn, b"patience".to_vec()));
    assert_eq!(next(&heard), Heard::Ended(conn));
}

#[test]
fn a_large_answer_is_reported_until_the_peer_took_all_of_it() {
    const LEN: usize = 16 * 1024 * 1024;
    let (running, heard) = script(DriverConfig::default(), |cx, heard, _| match heard {
        Heard::Accepted(conn) => cx.send(*conn, pattern(LEN)),
        Heard::Sent(conn, 0) => cx.finish(*conn),
        _ => {}
    });
    let client = running.connect();
    let Heard::Accepted(conn) = next(&heard) else { panic!() };
    let Heard::Sent(_, mut before) = next(&heard) else { panic!() };
    assert!(before > 0 && before < LEN, "{before}");
    assert!(read_to_end(&client) == pattern(LEN));
    while before > 0 {
        let Heard::Sent(told, unsent) = next(&heard) else { panic!() };
        assert!(told == conn && unsent < before);
        before = unsent;
    }
}

#[test]
fn everything_one_call_sends_arrives_in_its_order() {
    // More pieces than one system call takes, of sizes that are copied and that are not, input between our own bytes.
    let pieces = |input: &[u8]| -> Vec<u8> {
        (0..200u8).flat_map(|n| [vec![n; usize::from(n) * 7], input.to_vec()].concat()).collect()
    };
    let (running, _heard) = script(DriverConfig::default(), move |cx, heard, input| {
        if let Heard::Received(conn, _) = heard {
            for n in 0..200u8 {
                cx.send(*conn, vec![n; usize::from(n) * 7]);
                cx.forward(*conn, input);
            }
            cx.close(*conn);
        }
    });
    let mut client = running.connect();
    client.write_all(b"input").unwrap();
    assert!(read_to_end(&client) == pieces(b"input"));
}
