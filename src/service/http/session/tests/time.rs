//! Tests of the events that a session waits for, and of how long it waits.

use super::*;
use crate::service::testing::{now, take};
use std::time::Duration;

#[test]
fn a_delay_is_waited_for() {
    let start = now();
    let mut session = open(start);
    session.receive(request("GET /delay/250").as_bytes(), start);
    session.receive(request("GET /health").as_bytes(), start);
    let due = start.after(Duration::from_millis(250));
    assert_eq!(session.deadline(), Some(due.instant));
    session.expire(start.after(Duration::from_millis(249)));
    assert_eq!((text(&mut session).as_str(), session.wants()), ("", Wants::Flush));
    session.expire(due);
    let both = with_text("200 OK", "", "waited 250 ms\n") + &with_text("200 OK", "", "ok\n");
    assert_eq!((text(&mut session), session.wants()), (both, Wants::Input));
}

#[test]
fn a_peer_that_has_finished_still_gets_its_delayed_answer() {
    let start = now();
    let mut session = open(start);
    session.receive(request("GET /delay/250").as_bytes(), start);
    assert_eq!(session.wants(), Wants::Input);
    session.receive_end(start);
    assert_eq!((session.wants(), text(&mut session).as_str()), (Wants::Flush, ""));
    session.expire(start.after(Duration::from_millis(250)));
    assert_eq!(text(&mut session), with_text("200 OK", "", "waited 250 ms\n"));
    assert_eq!(session.wants(), Wants::Close(FINISHED));
}

#[test]
fn a_peer_that_takes_slowly_what_it_got_at_once_is_not_stalled() {
    let start = now();
    // One answer leaves the session as a whole, of the other it keeps the rest.
    for (path, patience) in [("/bytes/9", config().idle), ("/bytes/10000000", config().stall)] {
        let mut session = open(start);
        session.receive(request(&format!("GET {path}")).as_bytes(), start);
        take(session.output());
        // The driver has it, and tells that less and less of it is left.
        let mut at = start;
        for _ in 0..10 {
            session.taken();
            at = at.after(patience);
            session.expire(at);
            assert!(!matches!(session.wants(), Wants::Close(_)), "{path}");
        }
        session.expire(at.after(patience));
        assert!(matches!(session.wants(), Wants::Close(_)), "{path}");
    }
}

#[test]
fn work_is_asked_for_once_and_answered_in_order() {
    let start = now();
    let work = Work { time: Duration::from_millis(20) };
    for (worked, answer) in [
        (Worked::Done, with_text("200 OK", "", "computed for 20 ms\n")),
        (
            Worked::Refused,
            with_text(
                "503 Service Unavailable",
                "Retry-After: 1\r\n",
                "503 Service Unavailable: too much to compute, try again later\n",
            ),
        ),
    ] {
        let mut session = open(start);
        session.receive([request("GET /cpu/20"), request("GET /health")].concat().as_bytes(), start);
        session.receive_end(start);
        // Time that passes meanwhile changes nothing: the driver alone knows how long the work takes.
        session.expire(start.after(Duration::from_secs(3600)));
        assert_eq!((session.wants(), session.deadline(), text(&mut session)), (Wants::Work(work), None, String::new()));
        session.worked(worked, start);
        assert_eq!(text(&mut session), answer + &with_text("200 OK", "", "ok\n"));
        assert_eq!((session.wants(), session.answered(), session.answered()), (Wants::Close(FINISHED), 2, 0));
    }
}

#[test]
fn silence_has_its_limits() {
    let HttpConfig { idle, head, stall, .. } = HttpConfig::default();
    let slow =
        with_text("408 Request Timeout", "Connection: close\r\n", "408 Request Timeout: the request took too long\n");
    let upload = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi";
    let cases = [
        ("", idle, "", CloseReason::Idle),
        ("\r\n", idle, "", CloseReason::Idle),
        ("GET", head, &slow, CloseReason::TooSlow),
        (upload, stall, &slow, CloseReason::TooSlow),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", stall, "", CloseReason::TooSlow),
    ];
    for (input, patience, answer, reason) in cases {
        let start = now();
        let mut session = open(start);
        session.receive(input.as_bytes(), start);
        drain(&mut session);
        session.expire(start.after(patience - Duration::from_millis(1)));
        assert_eq!(session.wants(), Wants::Input, "{input:?} just before");
        // The `Date` that the answers above carry.
        session.expire(Now { wall: start.wall, ..start.after(patience) });
        assert_eq!((text(&mut session).as_str(), session.wants()), (answer, Wants::Close(reason)), "{input:?}");
        assert_eq!(session.deadline(), None);
    }
}

#[test]
fn a_head_has_its_time_from_its_first_byte_and_content_from_its_last() {
    let HttpConfig { head, stall, .. } = HttpConfig::default();
    let start = now();
    let mut session = open(start);
    session.receive(b"G", start);
    let later = start.after(head / 2);
    session.receive(b"ET", later);
    assert_eq!(session.deadline(), Some(start.instant + head));

    let mut session = open(start);
    session.receive(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", start);
    session.receive(b"x", later);
    assert_eq!(session.deadline(), Some(later.instant + stall));
}

#[test]
fn a_download_may_take_long_as_long_as_it_goes_on() {
    let stall = HttpConfig::default().stall;
    let start = now();
    let mut session = open(start);
    session.receive(request("GET /bytes/300000").as_bytes(), start);
    let mut at = start;
    for _ in 0..3 {
        take(session.output());
        at = at.after(stall);
        assert!(!session.output().is_empty());
        session.expire(at);
        assert_eq!((session.wants(), session.deadline()), (Wants::Flush, Some(at.instant + stall)));
    }
    // Nothing taken since: what waits would never arrive whole.
    session.expire(at.after(stall));
    assert_eq!(session.wants(), Wants::Close(CloseReason::TooSlow));
    assert!(session.output().is_empty());
}
