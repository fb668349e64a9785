//! Signals: statistics, a stop that lets sessions finish, and a second one that does not.

use crate::{Architecture, Deaf, echo, greeted, under_every_architecture};

under_every_architecture! {
    a_stop_lets_the_session_finish,
    a_stop_does_not_wait_longer_than_it_was_told,
    a_second_signal_ends_at_once,
    statistics_are_printed_when_asked_for,
}

fn a_stop_lets_the_session_finish(architecture: &Architecture) {
    for signal in ["TERM", "INT"] {
        let mut server = architecture.start("echo", &["--drain-timeout", "1h"]);
        let mut conn = greeted(&server);
        echo(&mut conn, 1, "before");
        server.signal(signal);
        conn.expect_end();
        assert_eq!(server.wait().code(), Some(0));
        server.wait_for_stderr("STATS clients=1 active=0 peak=1 refused=0 errors=0 received=7 ");
    }
}

fn a_stop_does_not_wait_longer_than_it_was_told(architecture: &Architecture) {
    let mut server = architecture.start("echo", &["--drain-timeout", "50ms"]);
    let mut deaf = Deaf::connect(&server, b"help\n");
    deaf.fill();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_stderr("STATS clients=1 ");
}

fn a_second_signal_ends_at_once(architecture: &Architecture) {
    let mut server = architecture.start("echo", &["--drain-timeout", "1h"]);
    let mut deaf = Deaf::connect(&server, b"help\n");
    deaf.fill();
    server.signal("TERM");
    server.wait_for_stderr("draining");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(128 + 15));
}

fn statistics_are_printed_when_asked_for(architecture: &Architecture) {
    let server = architecture.start("echo", &["--log-level", "off"]);
    let mut conn = greeted(&server);
    echo(&mut conn, 1, "hello");
    // While it is being served.
    server.signal("USR1");
    server.wait_for_stderr("STATS clients=1 active=1 peak=1 refused=0 errors=0 received=");
    #[cfg(target_os = "linux")]
    for known in [" memory=", " descriptors="] {
        server.wait_for_stderr(known);
    }
    echo(&mut conn, 2, "still here");
}
