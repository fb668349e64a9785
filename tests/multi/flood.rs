//! One protocol is flooded: how long do answers of the other take?

use crate::support::{
    process::{Process, now, wait_until},
    raw::Conn,
};
use crate::{BOTH, GET, multi};
use std::{
    io::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// Exchanges of one measurement, one after the other.
const EXCHANGES: usize = 3_000;

/// Measurements of each kind, in turn, so that what else the machine does is in all of them.
const ROUNDS: usize = 7;

/// Connections of the flood, each with a pipeline that is never empty.
const FLOOD: usize = 4;

/// A protocol, as a client of it.
#[derive(Clone, Copy)]
struct Protocol {
    name: &'static str,
    /// Its listener's place among the `READY` lines.
    place: usize,
    request: &'static str,
    /// The last bytes of each answer.
    end: &'static str,
}

const HTTP: Protocol = Protocol { name: "HTTP", place: 0, request: GET, end: "ok\n" };
const COMMANDS: Protocol = Protocol { name: "commands", place: 1, request: "PING\n", end: "PONG\n" };

/// The time within which 99 of 100 exchanges are over.
fn p99(server: &Process, protocol: Protocol) -> Duration {
    let mut conn = Conn::open(server.ready[protocol.place]);
    let mut times: Vec<Duration> = (0..EXCHANGES)
        .map(|_| {
            let began = now();
            conn.send(protocol.request);
            conn.read_until(protocol.end);
            now() - began
        })
        .collect();
    times.sort_unstable();
    times[EXCHANGES * 99 / 100]
}

/// The same while clients flood a listener.
fn p99_in_flood(server: &Process, protocol: Protocol, flooded: SocketAddr, with: Protocol) -> Duration {
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..FLOOD {
            scope.spawn(|| {
                let mut conn = Conn::open(flooded);
                let pipeline = with.request.repeat(16);
                while !over.load(Relaxed) {
                    conn.send(&pipeline);
                    (0..16).for_each(|_| drop(conn.read_until(with.end)));
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        wait_until("the flood", || answered.load(Relaxed) >= 10 * FLOOD);
        let measured = p99(server, protocol);
        over.store(true, Relaxed);
        measured
    })
}

fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_by(|one, other| one.partial_cmp(other).unwrap());
    values[values.len() / 2]
}

/// A flood needs the machine, whoever answers it. So the measure is the same flood at another process: beside that, the neighbour of the
/// flooded protocol must not be slow.
#[test]
fn answers_of_one_protocol_are_as_quick_while_the_other_is_flooded() {
    if std::env::var_os("FLOOD").is_none() {
        // It measures, and needs a machine with nothing else to do.
        let _ = writeln!(std::io::stderr(), "skipped: `make flood` measures it");
        return;
    }
    let ((server, _file), (other, _others_file)) = (multi(BOTH, 2), multi(BOTH, 2));
    for (measured, flooded) in [(COMMANDS, HTTP), (HTTP, COMMANDS)] {
        let (mut idle, mut elsewhere, mut here) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            idle.push(p99(&server, measured));
            elsewhere.push(p99_in_flood(&server, measured, other.ready[flooded.place], flooded));
            here.push(p99_in_flood(&server, measured, server.ready[flooded.place], flooded));
        }
        // Round by round: the three of a round had the same machine, about.
        let slower = |(here, without): (&Duration, &Duration)| here.as_secs_f64() / without.as_secs_f64();
        let without: Vec<Duration> = idle.iter().zip(&elsewhere).map(|(idle, other)| *idle.max(other)).collect();
        let ratio = median(&here.iter().zip(&without).map(slower).collect::<Vec<_>>());
        let told = format!(
            "p99 of {}: idle {:?}, {} flooded in another process {:?}, flooded here {:?}: {ratio:.2} times; rounds {idle:?} {elsewhere:?} {here:?}",
            measured.name,
            median(&idle),
            flooded.name,
            median(&elsewhere),
            median(&here)
        );
        let _ = writeln!(std::io::stderr(), "{told}");
        assert!(ratio <= 2.0, "{told}");
    }
}
