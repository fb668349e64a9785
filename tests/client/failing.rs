//! The server is there and fails: breaker, deadline, fallback, late answers.

use crate::{
    SERVER, client,
    support::{
        lines::{LineServer, Reply},
        process::{now, start, wait_until},
        raw::refusing_address,
    },
};
use std::time::Duration;

#[test]
fn the_breaker_of_a_connection_opens_refuses_at_once_and_closes_after_three_successes() {
    opens_and_closes(&["--in-flight", "8"]);
}

#[test]
fn the_breaker_of_a_pool_opens_refuses_at_once_and_closes_after_three_successes() {
    opens_and_closes(&["--pool", "2"]);
}

fn opens_and_closes(mode: &[&str]) {
    let mut server = LineServer::start(|_, _| Reply::Answer);
    let args = ["--idempotent", "GET", "--breaker", "3", "--breaker-open", "300ms"];
    let mut client = client(&server.name(), &[&args, mode].concat());
    client.line("GET 0");
    client.wait_for_stdout("done GET 0\n");
    server.kill();
    // A pool notices when it is used.
    client.line("GET lost");
    client.wait_for_stderr("breaker open");
    let began = now();
    client.line("GET refused");
    client.wait_for_stderr("\"GET refused\": not sent: the breaker is open");
    assert!(began.elapsed() < Duration::from_secs(10), "at once, and not after the 30 s that a command has");
    server.revive();
    let mut n = 0;
    wait_until("the breaker to close", || {
        n += 1;
        client.line(&format!("GET {n}"));
        let answered = format!("done GET {n}\n");
        let refused = format!("\"GET {n}\": not sent: the breaker is open");
        wait_until("an answer or a refusal", || {
            client.stdout().contains(&answered) || client.stderr().contains(&refused)
        });
        client.stderr().contains("breaker closed")
    });
    let stderr = client.stderr();
    let half_open = stderr.find("breaker half-open").unwrap();
    assert!(half_open > stderr.find("breaker open").unwrap() && half_open < stderr.find("breaker closed").unwrap());
    // The one before, and three trials.
    assert_eq!((server.total(), server.executed("GET refused"), server.executed("GET lost")), (4, 0, 0));
    client.close();
    assert_eq!(client.wait().code(), Some(3));
}

#[test]
fn a_deadline_is_for_all_tries_together() {
    for (mode, name, tries) in [
        (&["--in-flight", "8"][..], "GET", 3),
        (&["--in-flight", "8"], "PAY", 1),
        (&["--pool", "2"], "GET", 3),
        (&["--pool", "2"], "PAY", 1),
    ] {
        let server = LineServer::start(|_, _| Reply::Silence);
        let args = ["--idempotent", "GET", "--deadline", "300ms", "--tries", "3"];
        let mut client = client(&server.name(), &[&args, mode].concat());
        let began = now();
        client.line(&format!("{name} 1"));
        client.close();
        assert_eq!(client.wait().code(), Some(3));
        let taken = began.elapsed();
        assert!((Duration::from_millis(300)..Duration::from_secs(10)).contains(&taken), "{name} took {taken:?}");
        let stderr = client.stderr();
        assert!(stderr.contains("may have been executed: sent and not answered, then: no answer in time"), "{stderr}");
        // Of three tries, a pool waits before the second and third: its last may find its time over.
        let executed = server.executed(&format!("{name} 1"));
        assert!(executed == tries || (mode[0] == "--pool" && executed == tries - 1), "{name}: {executed} times");
    }
}

#[test]
fn a_late_answer_is_not_given_to_another_command() {
    let server = start(SERVER, &["--service", "command"]);
    let args = ["--deadline", "250ms", "--tries", "1"];
    let mut client = client(&server.address().to_string(), &args);
    client.line("DELAY 500 old");
    client.wait_for_stderr("\"DELAY 500 old\": may have been executed");
    client.line("ECHO new");
    client.wait_for_stdout("new\n");
    client.wait_for_stderr("an answer came too late and was dropped");
    client.line("ECHO newest");
    client.close();
    assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(3), "new\nnewest\n"));
}

#[test]
fn slow_answers_are_overtaken_and_printed_in_their_order() {
    let server = start(SERVER, &["--service", "command"]);
    for (flag, expected) in [
        (&[][..], "slow\nfast\nERROR unknown command: HELP lists them\nBYE\n"),
        (&["--unordered"], "#3 fast\n#4 ERROR unknown command: HELP lists them\n#1 slow\n#5 BYE\n"),
    ] {
        let mut client = client(&server.address().to_string(), flag);
        client.feed("DELAY 200 slow\n\nECHO fast\nwhat\nQUIT\n".to_owned());
        assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(0), expected));
    }
}

#[test]
fn a_fallback_is_given_when_all_fails() {
    let address = refusing_address().to_string();
    let args = ["--wait", "--fallback", "nobody knows", "--deadline", "50ms"];
    for mode in [&[][..], &["--pool", "2"]] {
        let mut client = client(&address, &[&args, mode].concat());
        client.feed("TIME\nPING\n".to_owned());
        assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(0), "nobody knows\nnobody knows\n"));
        assert!(client.stderr().contains("the answer is a fallback"), "{}", client.stderr());
    }
}

#[test]
fn the_last_answer_is_a_fallback_too() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let args = ["--fallback-last", "--idempotent", "GET", "--deadline", "50ms"];
    let mut client = client(&server.name(), &args);
    client.line("GET 1");
    client.wait_for_stdout("done GET 1\n");
    server.kill();
    client.line("GET 1");
    client.wait_for_stdout("done GET 1\ndone GET 1\n");
    client.line("GET 2");
    client.close();
    assert_eq!(client.wait().code(), Some(3));
    assert!(client.stderr().contains("\"GET 2\": not sent"), "{}", client.stderr());
}
