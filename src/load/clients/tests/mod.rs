//! Clients against a server that answers after a millisecond, on a fake clock.

mod streams;

use super::*;
use crate::{
    app::{Action, App},
    load::{Kind, Scheme, Script, record::Times, talk::LineScript},
    time::Now,
};
use std::{
    io::ErrorKind,
    sync::mpsc::{Receiver, channel},
    time::{Duration, SystemTime},
};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A server's behaviour by time, counted from the first request.
type Server = fn(Duration) -> Does;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Answers after so long.
    Answer(Duration),
    /// Takes the request and never answers.
    Nothing,
    /// Resets the connection.
    Reset,
    /// Has no room, and takes a while to end the connection.
    Refuse,
    /// Ends it.
    End,
}

/// A request to the command service, and when it is answered.
struct World {
    clients: Clients,
    cx: Cx,
    control: Arc<Control>,
    begin: Instant,
    answers: Vec<(Instant, ConnId, Does)>,
    server: Server,
    ready: Receiver<()>,
}

impl World {
    fn new(rate: Option<u64>, clients: usize, pipeline: u32, server: Server) -> Self {
        #[allow(clippy::disallowed_methods)] // Any time will do to start from.
        let begin = Instant::now();
        let orders = Orders {
            to: "127.0.0.1:1".parse().unwrap(),
            script: Script::Lines(LineScript::new(Scheme::Command, "PING", true).unwrap()),
            callee: None,
            clients,
            slots: pipeline,
            keep_alive: true,
            timeout: 3 * SECOND,
            rate,
            thread: 0,
            threads: 1,
        };
        let (sender, ready) = channel();
        let control = Arc::new(Control::default());
        let record = Record::new(Duration::from_millis(100));
        let clients = Clients::new(orders, record, Arc::clone(&control), sender, |cx| cx.now(), begin);
        let cx = Cx::new(Now { instant: begin, wall: SystemTime::UNIX_EPOCH });
        Self { clients, cx, control, begin, answers: Vec::new(), server, ready }
    }

    /// Carries out what the clients want, until they want nothing.
    fn settle(&mut self) {
        loop {
            let mut actions = Vec::new();
            self.cx.take_actions(&mut actions);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Connect(conn, _) => self.clients.connected(&mut self.cx, conn),
                    Action::Send(conn, bytes) => {
                        assert_eq!(bytes, &b"PING\n"[..]);
                        let now = self.cx.now();
                        match (self.server)(now - self.begin) {
                            Does::Answer(after) => self.answers.push((now + after, conn, Does::Answer(after))),
                            does @ (Does::Reset | Does::Refuse | Does::End) => self.answers.push((now, conn, does)),
                            Does::Nothing => {}
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Lets everything happen that happens before `until`, in order.
    fn run(&mut self, until: Instant) {
        loop {
            let answer = self.answers.iter().enumerate().min_by_key(|(_, answer)| answer.0);
            let next = answer.map(|(_, answer)| answer.0).into_iter().chain(self.cx.next_deadline()).min();
            let Some(next) = next.filter(|next| *next < until) else { break };
            let now = next.max(self.cx.now());
            self.set_clock(now);
            while let Some(at) = self.answers.iter().position(|answer| answer.0 <= now) {
                let (_, conn, does) = self.answers.remove(at);
                match does {
                    Does::Reset => {
                        self.clients.failed(&mut self.cx, conn, ErrorKind::ConnectionReset);
                        self.cx.release(conn);
                    }
                    Does::Refuse => {
                        self.clients.received(&mut self.cx, conn, b"ERROR busy: try again later\n");
                        self.answers.push((now + 100 * MILLI, conn, Does::End));
                    }
                    Does::End => self.clients.ended(&mut self.cx, conn),
                    Does::Answer(_) | Does::Nothing if self.cx.is_open(conn) => {
                        self.clients.received(&mut self.cx, conn, b"PONG\n");
                    }
                    Does::Answer(_) | Does::Nothing => {}
                }
                self.settle();
            }
            while let Some(key) = self.cx.next_expired() {
                self.clients.expired(&mut self.cx, key);
                self.settle();
            }
        }
        self.set_clock(until);
    }

    fn set_clock(&mut self, now: Instant) {
        self.cx.set_clock(Now { instant: now, wall: SystemTime::UNIX_EPOCH });
    }

    /// A whole run of so many seconds.
    fn finish(mut self, seconds: u32) -> Record {
        self.clients.started(&mut self.cx);
        self.settle();
        assert_eq!(self.ready.try_recv(), Ok(()), "all are connected");
        let end = self.begin + seconds * SECOND;
        self.control.line.set(Timeline { begin: self.begin, measure: self.begin, end }).unwrap();
        self.clients.woken(&mut self.cx);
        self.settle();
        self.run(end);
        self.clients.drain(&mut self.cx);
        self.settle();
        self.run(end + 10 * SECOND);
        assert_eq!(self.cx.open(), 0, "nothing is left");
        let record = self.clients.into_record();
        assert_eq!(record.started, record.answered + record.failures.total() + record.unfinished);
        record
    }
}

fn steady(_: Duration) -> Does {
    Does::Answer(MILLI)
}

/// Answers nothing from the first to the second second.
fn stalls(at: Duration) -> Does {
    if (SECOND..2 * SECOND).contains(&at) { Does::Answer(2 * SECOND - at + MILLI) } else { Does::Answer(MILLI) }
}

fn millis(times: &Times, percentile: f64) -> u64 {
    times.value_at_quantile(percentile / 100.0).div_ceil(1_000_000)
}

#[test]
fn a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one() {
    // Ten seconds of 100 requests a second, one of which the server sleeps through.
    let open = World::new(Some(100), 2, 1, stalls).finish(10);
    assert_eq!((open.started, open.never_sent), (1000, 0));
    assert!(millis(&open.latency, 99.0) >= 850, "p99 {} ms", millis(&open.latency, 99.0));
    assert!(millis(&open.latency, 95.0) >= 450, "p95 {} ms", millis(&open.latency, 95.0));
    assert!(millis(&open.latency, 50.0) <= 2);
    // Two requests were on their way; all others waited here, which service time does not see.
    assert!(millis(&open.service, 99.0) <= 2 && millis(&open.service, 100.0) >= 990);
    let closed = World::new(None, 2, 1, stalls).finish(10);
    assert!(millis(&closed.latency, 99.9) <= 2 && millis(&closed.latency, 100.0) >= 990);
}

#[test]
fn a_fixed_rate_is_kept_whatever_the_server_does() {
    for (server, clients) in [(steady as Server, 1), (stalls, 50)] {
        let record = World::new(Some(500), clients, 1, server).finish(3);
        assert_eq!((record.started, record.answered, record.never_sent), (1500, 1500, 0));
        assert_eq!(record.served, clients as u64, "all clients take part");
    }
}

#[test]
fn a_request_that_cannot_be_sent_is_counted() {
    // One client and 20 ms an answer: 50 a second of the 100 that are due.
    let record = World::new(Some(100), 1, 1, |_| Does::Answer(20 * MILLI)).finish(2);
    assert_eq!(record.started + record.never_sent, 200);
    assert!((99..=101).contains(&record.started), "{}", record.started);
    // In flight as many as a pipeline takes.
    let record = World::new(Some(100), 1, 4, |_| Does::Answer(20 * MILLI)).finish(2);
    assert_eq!((record.started, record.never_sent), (200, 0));
}

#[test]
fn a_closed_loop_asks_as_soon_as_it_was_answered() {
    let record = World::new(None, 3, 1, steady).finish(1);
    assert_eq!((record.started, record.completed, record.served), (3000, 2997, 3));
    // The last of each would have been answered at the very end.
    assert_eq!((record.answered, record.unfinished), (2997, 3));
    let record = World::new(None, 3, 2, steady).finish(1);
    assert_eq!(record.started, 6000);
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    for rate in [None, Some(10)] {
        let record = World::new(rate, 2, 1, |_| Does::Nothing).finish(8);
        assert_eq!((record.answered, record.served), (0, 0));
        // Given up after three and after six seconds; asked for the third time, they are not answered by the end, either.
        assert_eq!((record.failures.of(Kind::Timeout), record.unfinished, record.started), (4, 2, 6));
    }
}

/// Little's law: answers a second, times the time that each takes, are the clients that are being served at a time. With answers that
/// come after the end, these would be more than there are.
#[test]
fn an_answer_after_the_end_is_in_no_number() {
    // The last answers would come half a second late.
    for (rate, clients) in [(None, 4), (Some(20), 4)] {
        let record = World::new(rate, clients, 1, |_| Does::Answer(700 * MILLI)).finish(3);
        assert_eq!(record.latency.len(), record.answered);
        let (seconds, each) = (3.0, record.service.mean() / 1e9);
        let served = record.completed as f64 / seconds * each;
        assert!(served <= clients as f64 * 1.01, "{served} of {clients} clients");
        assert_eq!((record.answered, record.unfinished), (16, 4), "{rate:?}");
    }
    // The report tells how many were never answered, and the longest wait among them.
    let first = |at: Duration| if at.is_zero() { Does::Nothing } else { Does::Answer(MILLI) };
    let record = World::new(Some(100), 2, 1, first).finish(2);
    assert_eq!((record.unfinished, record.longest_wait), (1, 2 * SECOND));
    assert!(millis(&record.latency, 100.0) <= 2);
}

#[test]
fn after_a_connection_without_a_good_answer_a_client_pauses() {
    // Ten attempts a second each, not as many as can be refused.
    let record = World::new(None, 2, 1, |_| Does::Reset).finish(2);
    assert!((38..=42).contains(&record.started), "{}", record.started);
    assert_eq!(record.failures.of(Kind::Reset), record.started);
    // At a fixed rate, the rate decides.
    let record = World::new(Some(100), 2, 1, |_| Does::Reset).finish(2);
    assert_eq!((record.started, record.failures.of(Kind::Reset)), (200, 200));
}

#[test]
fn nothing_is_asked_on_a_connection_that_the_server_is_leaving() {
    let refuses_first = |at: Duration| if at.is_zero() { Does::Refuse } else { Does::Answer(MILLI) };
    for (clients, pipeline) in [(1, 1), (1, 3), (2, 2)] {
        let record = World::new(Some(100), clients, pipeline, refuses_first).finish(2);
        assert_eq!((record.failures.of(Kind::Busy), record.failures.total()), (1, 1), "{clients} {pipeline}");
        assert_eq!((record.answered, record.never_sent), (199, 0), "{clients} {pipeline}");
    }
}
