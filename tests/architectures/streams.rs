//! A stderr that is not read, or that is closed, delays nothing and ends nothing.

use crate::{
    Architecture, echo, greeted,
    support::{deaf_stderr::DeafStderr, process::start_saying_into},
    under_every_architecture,
};

under_every_architecture! {
    a_stderr_that_nobody_reads_delays_nothing,
}

fn a_stderr_that_nobody_reads_delays_nothing(architecture: &Architecture) {
    for kind in DeafStderr::ALL {
        let (stderr, _reader) = kind.open();
        let server =
            start_saying_into(stderr, architecture.program, &["--drain-timeout", "1h", "--log-level", "debug"]);
        let mut conn = greeted(&server);
        echo(&mut conn, 1, "before");
        // Statistics, which in some of them the serving thread prints.
        server.signal("USR1");
        echo(&mut conn, 2, "after");
        drop(conn);
        assert_eq!(server.terminate().code(), Some(0), "{kind:?}");
    }
}
