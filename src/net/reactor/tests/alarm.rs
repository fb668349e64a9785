//! The alarm: on time, where a wait for events alone would be a millisecond late.

use super::support::{PATIENCE, run};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    net::{DriverConfig, clock},
    time::Instant,
};
use std::{
    io::ErrorKind,
    sync::mpsc::{Sender, channel},
    time::Duration,
};

const SOON: Duration = Duration::from_micros(200);
const TIMES: usize = 500;

/// Sets the alarm again and again; tells how long each took.
struct Ringing {
    set: Option<Instant>,
    took: Vec<Duration>,
    done: Sender<Vec<Duration>>,
}

impl Ringing {
    fn set(&mut self, cx: &mut Cx) {
        let now = clock::now().instant;
        self.set = Some(now);
        cx.set_deadline(TimerKey::ALARM, Some(now + SOON));
    }
}

impl App for Ringing {
    fn started(&mut self, cx: &mut Cx) {
        self.set(cx);
    }
    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        assert_eq!(key, TimerKey::ALARM);
        let set = self.set.take().unwrap();
        self.took.push(clock::now().instant - set);
        if self.took.len() < TIMES {
            self.set(cx);
        } else {
            self.done.send(std::mem::take(&mut self.took)).unwrap();
        }
    }
    fn accepted(&mut self, _: &mut Cx, _: ConnId, _: Origin) {}
    fn connected(&mut self, _: &mut Cx, _: ConnId) {}
    fn received(&mut self, _: &mut Cx, _: ConnId, _: &[u8]) {}
    fn sent(&mut self, _: &mut Cx, _: ConnId, _: usize) {}
    fn ended(&mut self, _: &mut Cx, _: ConnId) {}
    fn failed(&mut self, _: &mut Cx, _: ConnId, _: ErrorKind) {}
    fn drain(&mut self, _: &mut Cx) {}
}

#[test]
fn an_alarm_rings_within_the_millisecond_and_never_early() {
    let (done, took) = channel();
    let running = run(Ringing { set: None, took: Vec::new(), done }, DriverConfig::default());
    let took = took.recv_timeout(PATIENCE).unwrap();
    running.stop();
    assert_eq!(took.len(), TIMES);
    assert!(took.iter().all(|took| *took >= SOON), "{:?}", took.iter().min());
    // A busy machine delays many of them, but not all.
    let soonest = took.iter().min().unwrap();
    assert!(*soonest < Duration::from_micros(900), "{soonest:?}");
}
