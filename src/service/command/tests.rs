use super::*;
use crate::{
    service::testing::{assert_transcript, drain, now},
    session::{Session, Wants},
};

#[test]
fn transcripts() {
    const ID: &str = "ERROR a request id is # and a number, as in #17\n";
    const UNKNOWN: &str = "ERROR unknown command: HELP lists them\n";
    const ARGUMENT: &str = "ERROR this command takes nothing after its name\n";
    let cases: &[(&str, &str)] = &[
        ("", ""),
        ("PING\n", "PONG\n"),
        ("ping\r\nPiNg \n  PING\n", "PONG\nPONG\nPONG\n"),
        ("\n \r\n\t\n\r\nPING\n", "PONG\n"),
        ("ECHO a\necho  b \r\nECHO\nECHO \n", "a\n b \n\n\n"),
        ("TIME\n", "TIME 2026-07-29T12:00:00Z\n"),
        ("HELP\n", HELP),
        ("PINGS\n", UNKNOWN),
        ("PING x\nTIME?\nPING\n", &format!("{ARGUMENT}{UNKNOWN}PONG\n")),
        ("\0\nPING\n", &format!("{UNKNOWN}PONG\n")),
        ("PING\nwhat\n\nSTATS\n", &format!("PONG\n{UNKNOWN}STATS commands=3 errors=1 seconds=0\n")),
        ("PING\nQUIT", "PONG\n"),
        ("HEARTBEAT\nheartbeat \n", "HEARTBEAT_ACK\nHEARTBEAT_ACK\n"),
        ("#1 PING\n#1 ping\n #18446744073709551615  ECHO a  b\n", "#1 PONG\n#1 PONG\n#18446744073709551615 a  b\n"),
        (
            "#3\n#4 \n#5 x\n",
            "#3 ERROR no command after the request id\n#4 ERROR no command after the request id\n#5 ERROR unknown command: HELP lists them\n",
        ),
        ("# PING\n#1x PING\n#-1 PING\n#18446744073709551616 PING\n##1 PING\n", &ID.repeat(5)),
        ("ECHO #1 x\n#2 ECHO #1 x\n", "#1 x\n#2 #1 x\n"),
        ("DELAY 0 now\n#7 delay 0\n", "now\n#7 \n"),
        (
            "DELAY\nDELAY x\nDELAY -1 x\nDELAY 60001 x\n",
            &"ERROR DELAY takes 0 to 60000 milliseconds and a text\n".repeat(4),
        ),
    ];
    for (input, said) in cases {
        assert_transcript(Command::session, input.as_bytes(), said, CloseReason::PeerFinished);
    }
    let pipelined = b"PING\nECHO x\nquit\r\nPING\n";
    assert_transcript(Command::session, pipelined, "PONG\nx\nBYE\n", CloseReason::PeerAsked);
}

/// The output at each moment, in milliseconds, if the clock stops at every deadline.
fn told(input: &str, ended: bool) -> (Vec<(u128, String)>, Wants) {
    let start = now();
    let mut session = Command::session(start);
    session.receive(input.as_bytes(), start);
    if ended {
        session.receive_end(start);
    }
    let (mut at, mut said) = (start, Vec::new());
    for _ in 0..100 {
        let text = String::from_utf8(drain(&mut session)).unwrap();
        if !text.is_empty() {
            said.push((at.instant.saturating_duration_since(start.instant).as_millis(), text));
        }
        let Some(due) = session.protocol().due_at() else { break };
        assert_eq!(session.deadline(), Some(due), "whoever waits for us is not idle");
        session.expire(at.after(due - at.instant - Duration::from_nanos(1)));
        assert!(session.output().is_empty(), "early calls are harmless");
        at = at.after(due - at.instant);
        session.expire(at);
    }
    (said, session.wants())
}

#[test]
fn numbered_answers_overtake_and_plain_ones_do_not() {
    let end = Wants::Close(CloseReason::PeerFinished);
    let bye = Wants::Close(CloseReason::PeerAsked);
    type Told<'s> = &'s [(u128, &'s str)];
    let cases: &[(&str, bool, Told<'_>, Wants)] = &[
        ("#1 DELAY 20 a\n#2 PING\n", false, &[(0, "#2 PONG\n"), (20, "#1 a\n")], Wants::Input),
        ("#1 DELAY 20 a\n#2 PING\n", true, &[(0, "#2 PONG\n"), (20, "#1 a\n")], end),
        ("#1 DELAY 30 a\n#2 DELAY 10 b\n#3 DELAY 30 c\n", true, &[(10, "#2 b\n"), (30, "#1 a\n#3 c\n")], end),
        ("DELAY 20 a\nPING\n#1 PING\n", true, &[(20, "a\nPONG\n#1 PONG\n")], end),
        ("DELAY 20 a\nDELAY 20 b\nPING\n", false, &[(20, "a\n"), (40, "b\nPONG\n")], Wants::Input),
        ("#1 DELAY 20 a\nPING\n", false, &[(0, "PONG\n"), (20, "#1 a\n")], Wants::Input),
        ("#1 DELAY 50 a\nQUIT\nPING\n", false, &[(50, "#1 a\nBYE\n")], bye),
        ("#1 DELAY 50 a\n#9 QUIT\n", true, &[(50, "#1 a\n#9 BYE\n")], bye),
    ];
    for (input, ended, said, wants) in cases {
        let said = said.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(told(input, *ended), (said, *wants), "{input:?}");
    }
}

#[test]
fn a_late_answer_counts_when_it_is_given() {
    let start = now();
    let mut session = Command::session(start);
    session.receive(b"\n#1 DELAY 20 a\n#2 DELAY 0 b\n#3 DELAY 20 c\nPING\n?\nQUIT\n", start);
    assert_eq!((session.answered(), session.answered()), (3, 0));
    drain(&mut session);
    session.expire(start.after(Duration::from_millis(20)));
    assert_eq!(drain(&mut session), b"#1 a\n#3 c\nBYE\n");
    assert_eq!(session.answered(), 3);

    // An answer that comes due while another line is looked at is sent with it.
    let mut session = Command::session(start);
    session.receive(b"#1 DELAY 20 a\n", start);
    session.receive(b"DELAY 0 b\n", start.after(Duration::from_millis(20)));
    assert_eq!((drain(&mut session), session.answered()), (b"#1 a\nb\n".to_vec(), 2));
}

#[test]
fn a_peer_may_have_so_many_answers_delayed_and_no_more() {
    let start = now();
    let mut session = Command::session(start);
    let delay = |id: usize| format!("#{id} DELAY 60000 x\n");
    session.receive((1..=MAX_DELAYED).map(delay).collect::<String>().as_bytes(), start);
    assert!(session.output().is_empty());
    session.receive(delay(65).as_bytes(), start);
    assert_eq!(drain(&mut session), b"#65 ERROR too many delayed answers: wait for some of the 64\n");
    session.expire(start.after(MAX_DELAY));
    assert_eq!(drain(&mut session).iter().filter(|byte| **byte == b'\n').count(), MAX_DELAYED);
    // Idle begins when the last of them was answered.
    let idle = LineLimits::default().idle;
    assert_eq!(session.deadline(), Some(start.instant + MAX_DELAY + idle));
}

#[test]
fn the_input_held_behind_a_slow_answer_is_bounded() {
    let start = now();
    let mut session = Command::session(start);
    session.receive(b"DELAY 1000 x\n", start);
    let mut heard = 0;
    while session.wants() != Wants::Close(CloseReason::Protocol("too many requests at once")) {
        session.receive(&[b'\n'; 64 * 1024], start);
        heard += 64 * 1024;
        assert!(heard < 2 << 20, "it grows with what the peer sends");
    }
}

#[test]
fn a_line_that_is_too_long_is_answered_once_and_the_session_goes_on() {
    let limit = LineLimits::default().line;
    let text = "x".repeat(limit - "ECHO ".len());
    let now = now();
    let mut session = Command::session(now);
    session.receive(format!("ECHO {text}\nECHO {text}x").as_bytes(), now);
    assert_eq!(String::from_utf8(drain(&mut session)).unwrap(), format!("{text}\nERROR line too long\n"));
    session.receive(b"and so on\nPING\n", now);
    assert_eq!(drain(&mut session), b"PONG\n");
}

#[test]
fn time_and_stats_follow_the_clock() {
    let start = now();
    let mut session = Command::session(start);
    session.receive(b"TIME\nSTATS\n", start.after(Duration::from_secs(61)));
    assert_eq!(drain(&mut session), b"TIME 2026-07-29T12:01:01Z\nSTATS commands=2 errors=0 seconds=61\n");
    let before_1970 = Now { wall: SystemTime::UNIX_EPOCH - Duration::from_secs(1), ..start };
    session.receive(b"TIME\n", before_1970);
    assert_eq!(drain(&mut session), b"TIME 1970-01-01T00:00:00Z\n");
}
