use super::*;
use crate::{
    app::{Action, ListenerId},
    buf::Output,
    net::{clock, driver::CONFIRMED},
    service::http::{Http, HttpConfig},
    session::{ANSWERS, Waker, Wants},
    time::Instant,
};
use std::{
    net::Ipv4Addr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// Has a lot to say at once, and counts what it hears of its way.
#[derive(Debug)]
struct Told {
    output: Output,
    times: Arc<AtomicUsize>,
}

impl Session for Told {
    fn receive(&mut self, _: &[u8], _: Now) {}
    fn receive_end(&mut self, _: Now) {}
    fn expire(&mut self, _: Now) {}

    fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    fn wants(&self) -> Wants {
        Wants::Input
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn taken(&mut self) {
        self.times.fetch_add(1, Relaxed);
    }
}

/// Promises what it is told, in milliseconds, and says a word when that time has come.
#[derive(Debug)]
struct Promising {
    output: Output,
    promised: Option<Instant>,
}

impl Session for Promising {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.promised = Some(now.instant + Duration::from_millis(input[0].into()));
    }

    fn receive_end(&mut self, _: Now) {}

    fn expire(&mut self, now: Now) {
        if self.promised.take_if(|at| *at <= now.instant).is_some() {
            self.output.push(b"now".to_vec().into());
        }
    }

    fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    fn wants(&self) -> Wants {
        Wants::Input
    }

    fn deadline(&self) -> Option<Instant> {
        self.promised
    }

    fn promised(&self) -> Option<Instant> {
        self.promised
    }
}

/// Is called from elsewhere, and counts how often it was woken.
#[derive(Debug)]
struct Called {
    output: Output,
    waker: Arc<Mutex<Vec<Waker>>>,
    woken: Arc<AtomicUsize>,
}

impl Session for Called {
    fn attach(&mut self, waker: &dyn Fn() -> Waker) {
        self.waker.lock().unwrap().push(waker());
    }

    fn woken(&mut self, _: Now) {
        self.woken.fetch_add(1, Relaxed);
        self.output.push(b"woken".to_vec().into());
    }

    fn receive(&mut self, _: &[u8], _: Now) {}
    fn receive_end(&mut self, _: Now) {}
    fn expire(&mut self, _: Now) {}

    fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    fn wants(&self) -> Wants {
        Wants::Flush
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn promised(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_session_is_woken_by_its_own_waker_and_no_later_one_by_that() {
    let (wakers, woken) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (waker, count) = (Arc::clone(&wakers), Arc::clone(&woken));
    let mut sessions =
        Sessions::new(move |_, _| Called { output: Output::new(), waker: waker.clone(), woken: count.clone() });
    let mut cx = Cx::new(clock::now());
    let accept = |sessions: &mut Sessions<_, Called>, cx: &mut Cx| {
        let conn = cx.allocate();
        let peer = (Ipv4Addr::LOCALHOST, 1).into();
        sessions.accepted(cx, conn, Origin { listener: ListenerId(0), peer, local: None, secure: None });
        conn
    };
    let conns = [accept(&mut sessions, &mut cx), accept(&mut sessions, &mut cx)];
    let call = |number: usize| wakers.lock().unwrap()[number].wake();
    sessions.woken(&mut cx);
    assert_eq!(woken.load(Relaxed), 0, "nobody was called");
    // From another thread, twice before the driver looks.
    std::thread::scope(|scope| {
        scope.spawn(|| (call(1), call(1)));
    });
    let mut actions = Vec::new();
    cx.take_actions(&mut actions);
    sessions.woken(&mut cx);
    actions.clear();
    cx.take_actions(&mut actions);
    let said = actions.iter().any(|action| matches!(action, Action::Send(conn, _) if *conn == conns[1]));
    assert_eq!((woken.load(Relaxed), said), (1, true));
    // Its connection ends, and another has the slot when the call comes.
    sessions.failed(&mut cx, conns[1], io::ErrorKind::ConnectionReset);
    cx.release(conns[1]);
    let later = accept(&mut sessions, &mut cx);
    assert_eq!(later.index(), conns[1].index());
    call(1);
    sessions.woken(&mut cx);
    assert_eq!(woken.load(Relaxed), 1);
    call(2);
    sessions.woken(&mut cx);
    assert_eq!(woken.load(Relaxed), 2);
}

#[test]
fn promises_are_kept_on_time_each_by_its_own_session() {
    let start = clock::now();
    let mut sessions = Sessions::new(|_, _| Promising { output: Output::new(), promised: None });
    let mut cx = Cx::new(start);
    let conns: Vec<ConnId> = [5, 3, 3, 4]
        .iter()
        .map(|after| {
            let conn = cx.allocate();
            let peer = (Ipv4Addr::LOCALHOST, 1).into();
            sessions.accepted(&mut cx, conn, Origin { listener: ListenerId(0), peer, local: None, secure: None });
            sessions.received(&mut cx, conn, &[*after]);
            conn
        })
        .collect();
    // One breaks, and one is told another time: neither is waited for any more.
    sessions.failed(&mut cx, conns[3], io::ErrorKind::ConnectionReset);
    cx.release(conns[3]);
    sessions.received(&mut cx, conns[0], &[6]);
    for (after, kept) in [(3, &conns[1..3]), (6, &conns[..1])] {
        let at = start.instant + Duration::from_millis(after);
        assert_eq!(cx.alarm(), Some(at));
        cx.set_clock(start.after(Duration::from_millis(after)));
        let mut said = Vec::new();
        while let Some(key) = cx.next_expired() {
            sessions.expired(&mut cx, key);
            cx.take_actions(&mut said);
        }
        let sent = said.iter().filter_map(|action| match action {
            crate::app::Action::Send(conn, _) => Some(*conn),
            _ => None,
        });
        assert_eq!(sent.collect::<Vec<_>>(), kept, "after {after} ms");
    }
    assert_eq!(cx.alarm(), None);
}

/// How many answers are among what was asked of the driver.
fn answers(cx: &mut Cx) -> usize {
    let mut actions = Vec::new();
    cx.take_actions(&mut actions);
    let sent = actions.iter().filter_map(|action| if let Action::Send(_, bytes) = action { Some(bytes) } else { None });
    sent.map(|bytes| bytes.windows(8).filter(|window| window == b"HTTP/1.1").count()).sum()
}

#[test]
fn many_requests_at_once_are_answered_in_many_turns() {
    let config = Arc::new(HttpConfig::default());
    let mut sessions = Sessions::new(move |_, now| Http::new(Arc::clone(&config), now));
    let mut cx = Cx::new(clock::now());
    let peer = (Ipv4Addr::LOCALHOST, 1).into();
    let mut connect = || {
        let conn = cx.allocate();
        sessions.accepted(&mut cx, conn, Origin { listener: ListenerId(0), peer, local: None, secure: None });
        conn
    };
    let (conn, other) = (connect(), connect());
    sessions.received(&mut cx, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(600).as_bytes());
    let mut turns = vec![answers(&mut cx)];
    sessions.received(&mut cx, other, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answers(&mut cx), 1, "another client does not wait for all of them");
    while cx.take_call() {
        sessions.woken(&mut cx);
        turns.push(answers(&mut cx));
    }
    assert_eq!(turns.iter().sum::<usize>(), 600, "{turns:?}");
    assert!(turns.iter().all(|answers| *answers <= 2 * ANSWERS as usize), "{turns:?}");
}

#[test]
fn a_session_hears_that_its_peer_takes_what_the_driver_has() {
    let times = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&times);
    let mut sessions = Sessions::new(move |_, _| {
        let mut output = Output::new();
        output.push(vec![b'x'; 2 * CONFIRMED].into());
        Told { output, times: Arc::clone(&count) }
    });
    let mut cx = Cx::new(clock::now());
    let conn = cx.allocate();
    let peer = (Ipv4Addr::LOCALHOST, 1).into();
    sessions.accepted(&mut cx, conn, Origin { listener: ListenerId(0), peer, local: None, secure: None });
    // All of it is the driver's now. That nothing moves is no news.
    for (unsent, heard) in [(2 * CONFIRMED, 0), (CONFIRMED, 1), (CONFIRMED, 1), (7, 2), (0, 3), (0, 3)] {
        sessions.sent(&mut cx, conn, unsent);
        assert_eq!(times.load(Relaxed), heard, "{unsent} left");
    }
}
