//! The normative statements of MQTT 3.1.1 and MQTT 5 (OASIS standards) that concern a server, one row each: what is sent, and what has to
//! come back. The numbers are the standards' own.
//!
//! Statements that only a client can break or keep have no row, and neither have those about features that a server may leave out and says
//! it has not (extended authentication beyond its refusal, MQTT over WebSockets).

mod v3;
mod v5;
mod v5_messages;
mod v5_sessions;

use super::{broker, drivers, wire};
use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// A statement: its numbers, what it says of a server in a few words, and what shows it.
type Row = (&'static str, &'static str, fn(&Site));

/// Where a row finds the broker, and names that no other row has.
struct Site {
    to: SocketAddr,
    name: String,
}

impl Site {
    /// A client identifier, or a topic.
    fn of(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}

/// Rows at once: most wait for the broker, some for seconds.
const THREADS: usize = 16;

fn try_all(version: &str, rows: &[Row], flags: &[&str]) {
    let broker = broker(flags);
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((numbers, says, run)) = rows.get(next.fetch_add(1, Relaxed)) {
                    let site = Site { to: broker.address(), name: numbers.replace([' ', ','], "") };
                    if catch_unwind(AssertUnwindSafe(|| run(&site))).is_err() {
                        failed.lock().unwrap().push(format!("{version} [{numbers}] {says}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{flags:?}: not so:\n{}\n{}", failed.join("\n"), broker.stderr());
}

#[test]
fn a_server_keeps_the_statements_of_mqtt_3_1_1() {
    for driver in drivers() {
        try_all("3.1.1", v3::ROWS, &driver);
    }
}

#[test]
fn a_server_keeps_the_statements_of_mqtt_5() {
    let rows = [v5::ROWS, v5_messages::ROWS, v5_sessions::ROWS].concat();
    for driver in drivers() {
        try_all("5", &rows, &driver);
    }
}

/// A number in a row is one of the standard's, and no row stands twice.
#[test]
fn rows_have_numbers() {
    let rows = [v3::ROWS, v5::ROWS, v5_messages::ROWS, v5_sessions::ROWS];
    for version in [&rows[..1], &rows[1..]] {
        let mut seen = Vec::new();
        for (numbers, says, _) in version.iter().copied().flatten() {
            for number in numbers.split(", ") {
                let parts: Vec<_> = number.split(['.', '-']).map(str::parse::<u32>).collect();
                assert!(parts.len() == 4 && parts.iter().all(Result::is_ok), "{number}");
            }
            assert!(!seen.contains(&(numbers, says)), "{numbers} {says}");
            seen.push((numbers, says));
        }
    }
}
