//! How a run begins and ends: help, wrong flags, ports in use, the log.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{start, wait_until},
        raw::{Backend, Conn, refusing_address},
    },
};
use std::process::{Command, Output};

from_milestone1! {
    help_shows_defaults_and_an_example,
    wrong_flags_exit_with_2_and_say_so,
    a_port_in_use_exits_with_1_and_one_line,
    a_name_that_does_not_resolve_exits_with_1_and_one_line,
    without_backends_it_starts_some,
    only_ready_lines_go_to_stdout,
    the_log_tells_of_each_request,
    the_log_cannot_be_forged,
    the_log_can_be_switched_off,
}

fn run(milestone: &Milestone, args: &[&str]) -> Output {
    Command::new(milestone.program).args(args).output().expect("it can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn help_shows_defaults_and_an_example(milestone: &Milestone) {
    let output = run(milestone, &["--help"]);
    let help = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for expected in
        ["--listen", "127.0.0.1:8080", "--backend", "--head-timeout", "[default: 10s]", "Example: milestone"]
    {
        assert!(help.contains(expected), "no {expected:?} in:\n{help}");
    }
    assert_eq!(help.contains("--algorithm"), milestone.number >= 2);
    assert_eq!(help.contains("--pool-max"), milestone.number >= 3);
}

fn wrong_flags_exit_with_2_and_say_so(milestone: &Milestone) {
    let cases: &[(&[&str], &str)] = &[
        (&["--nonsense"], "--nonsense"),
        (&["stray"], "stray"),
        (&["--listen", "8080"], "a port alone needs a colon"),
        (&["--listen", "somewhere:8080"], "give the IP address"),
        (&["--backend", "localhost"], "localhost"),
        (&["--backend", "localhost:0"], "localhost:0"),
        (&["--backend", "https://localhost:1"], "plain HTTP"),
        (&["--backend", "localhost:1,weight=0"], "weight"),
        (&["--workers", "0"], "0"),
        (&["--head-timeout", "10"], "10"),
        (&["--head-timeout", "0s"], "0s"),
        (&["--max-head", "1"], "between 64 and 65535"),
        (&["--max-head", "16q"], "16q"),
        (&["--max-fields", "0"], "0"),
        (&["--trusted-proxy", "10.0.0.0/33"], "is not a network"),
        (&["--log-level", "loud"], "loud"),
        (&["--access-log", "maybe"], "maybe"),
        (&["--admin-public"], "--admin"),
        (&["--admin", "0.0.0.0:0"], "--admin-public"),
        (&["--admin", "somewhere:1"], "give the IP address"),
    ];
    for (args, expected) in cases {
        let output = run(milestone, args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?} should mention {expected:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    if milestone.number == 1 {
        let two = ["--listen", "127.0.0.1:0", "--backend", "127.0.0.1:1", "--backend", "127.0.0.1:2"];
        let output = run(milestone, &two);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("milestone2"), "{}", text(&output.stderr));
        assert_eq!(run(milestone, &["--algorithm", "round-robin"]).status.code(), Some(2));
    }
}

/// One line, and it is an error.
fn assert_one_line(output: &Output, expected: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains(expected), "one line with {expected:?}: {stderr}");
    assert!(output.stdout.is_empty(), "not ready: {}", text(&output.stdout));
}

fn a_port_in_use_exits_with_1_and_one_line(milestone: &Milestone) {
    let backend = Backend::saying("x");
    for workers in ["1", "2"] {
        let flags = ["--log-level", "warn", "--workers", workers];
        let first = milestone.start(&[&backend], &flags);
        let address = first.address().to_string();
        let name = backend.name();
        // Whatever the number of workers: two proxies that share a port by accident would halve the traffic of each.
        for others in ["1", "2"] {
            let args = ["--listen", &address, "--backend", &name, "--log-level", "warn", "--workers", others];
            let mut second = Command::new(milestone.program);
            let child = second.args(args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            let mut child = child.spawn().expect("it can be started");
            let mut ended = false;
            let started = crate::support::process::now();
            wait_until("the second to end or to go on", || {
                ended = child.try_wait().expect("our child").is_some();
                ended || started.elapsed() > std::time::Duration::from_secs(3)
            });
            if !ended {
                child.kill().expect("our child");
            }
            let output = child.wait_with_output().expect("our child");
            assert!(ended, "{others} workers share a port with another proxy's {workers}: {}", text(&output.stdout));
            assert_one_line(&output, "is in use: choose another with --listen");
        }
    }
}

fn a_name_that_does_not_resolve_exits_with_1_and_one_line(milestone: &Milestone) {
    let output = run(milestone, &["--listen", "127.0.0.1:0", "--backend", "no-such-host.invalid:80"]);
    assert_one_line(&output, "no-such-host.invalid");
}

fn without_backends_it_starts_some(milestone: &Milestone) {
    let proxy = start(milestone.program, &[]);
    let mut client = Conn::open(proxy.address());
    let bodies: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let response = client.ask(&get("/"));
            assert_eq!(response.status(), 200);
            response.body
        })
        .collect();
    let distinct: std::collections::BTreeSet<_> = bodies.iter().collect();
    assert_eq!(distinct.len(), if milestone.number == 1 { 1 } else { 3 }, "each request another backend");
    assert!(proxy.stderr().contains("curl"), "{}", proxy.stderr());
    drop(client);
    assert_eq!(proxy.terminate().code(), Some(0));
}

fn only_ready_lines_go_to_stdout(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let name = backend.name();
    let mut command = Command::new(milestone.program);
    command.args(["--listen", "127.0.0.1:0", "--backend", &name, "--log-level", "debug"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    let ready = lines.next().expect("a line").expect("text");
    let address = ready.strip_prefix("READY ").and_then(|at| at.parse().ok()).expect("READY ADDR");
    assert_eq!(Conn::open(address).ask(&get("/")).body, b"x");
    child.kill().expect("our child");
    child.wait().expect("our child");
    assert_eq!(lines.map_while(Result::ok).collect::<Vec<_>>(), Vec::<String>::new());
}

fn the_log_tells_of_each_request(milestone: &Milestone) {
    let backend = Backend::saying("hello");
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    let from = client.address();
    client.ask("POST /logged?q HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc");
    client.ask("GET /second HTTP/1.0\r\n\r\n");
    client.expect_end();
    proxy.wait_for_stderr("/second");
    let log = proxy.stderr();
    let line = log.lines().find(|line| line.contains("/logged")).expect("a line for the first");
    let name = backend.name();
    for expected in [
        &format!("client={from}")[..],
        "request=\"POST /logged?q HTTP/1.1\"",
        "status=200",
        "sent=5",
        "received=3",
        " ms=",
        &format!("backend={name:?}"),
        "pool=\"new\"",
        "retries=-",
        "failure=\"-\"",
        "close=\"-\"",
    ] {
        assert!(line.contains(expected), "no {expected:?} in: {line}");
    }
    let line = log.lines().find(|line| line.contains("/second")).expect("a line for the second");
    assert!(line.contains("HTTP/1.0") && !line.contains("close=\"-\""), "{line}");
    assert_eq!(line.contains("pool=\"reused\""), milestone.number >= 3, "{line}");
    // What was not understood has a line too.
    let mut bad = Conn::open(proxy.address());
    bad.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(bad.response("GET").status(), 400);
    proxy.wait_for_stderr("no host");
    let log = proxy.stderr();
    let line = log.lines().find(|line| line.contains("no host")).expect("it was waited for");
    assert!(line.contains("status=400"), "{line}");
    // And what went wrong behind us says why to the log only.
    let dead = refusing_address().to_string();
    let proxy = milestone.start_before(&[&dead], milestone.forgiving());
    Conn::open(proxy.address()).ask(&get("/lost"));
    proxy.wait_for_stderr("/lost");
    let log = proxy.stderr();
    let line = log.lines().find(|line| line.contains("/lost")).expect("it was waited for");
    assert!(line.contains("status=502") && line.contains("connection refused") && line.contains(&dead), "{line}");
}

fn the_log_cannot_be_forged(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.ask("GET /a?%0aforged HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.ask("GET /b HTTP/1.1\r\nHost: test\r\nX: \x1b[31m\r\n\r\n").status(), 400);
    proxy.wait_for_stderr("control character");
    let log = proxy.stderr();
    assert!(!log.contains('\x1b') && !log.lines().any(|line| line.starts_with("forged")), "{log}");
}

fn the_log_can_be_switched_off(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let mut proxy = milestone.start(&[&backend], &["--access-log", "off"]);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/unseen")).body, b"x");
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(!proxy.stderr().contains("/unseen"), "{}", proxy.stderr());
}
