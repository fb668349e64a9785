//! How a run begins and ends: help, wrong flags, ports in use, the log.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{start, wait_until},
        raw::{Backend, Conn, refusing_address},
    },
};
use assert_cmd::assert::Assert;
use predicates::{prelude::*, str::contains};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

from_milestone1! {
    in_plain "clients have no part in it" {
        the_log_can_be_switched_off,
    }
    in_plain "the bytes that it sends are no HTTP" {
        the_log_cannot_be_forged,
    }
    for_reverse_proxies "they are about --backend and its demonstration; a forward proxy's flags are in tests/forward_proxy" {
        in_plain "clients have no part in it" {
            help_shows_defaults_and_an_example,
            wrong_flags_exit_with_2_and_say_so,
            a_port_in_use_exits_with_1_and_one_line,
            a_busy_admin_port_is_blamed_on_its_own_flag,
            of_two_that_start_at_the_same_moment_one_runs,
            a_name_that_does_not_resolve_exits_with_1_and_one_line,
            without_backends_it_starts_some,
            only_ready_lines_go_to_stdout,
        }
    }
    for_reverse_proxies "the log has the target as it came, with the server's name" {
        in_plain "the log is looked up by the client's port, which is another one behind a tunnel" {
            the_log_tells_of_each_request,
        }
    }
}

fn help_shows_defaults_and_an_example(milestone: &Milestone) {
    let mut help = milestone.run(&["--help"]).code(0);
    for expected in
        ["--listen", "127.0.0.1:8080", "--backend", "--head-timeout", "[default: 10s]", "Example: milestone"]
    {
        help = help.stdout(contains(expected));
    }
    for (flag, since) in [("--algorithm", 2), ("--pool-max", 3)] {
        let known = milestone.number >= since;
        help = if known { help.stdout(contains(flag)) } else { help.stdout(contains(flag).not()) };
    }
}

fn wrong_flags_exit_with_2_and_say_so(milestone: &Milestone) {
    let cases: &[(&[&str], &str)] = &[
        (&["--nonsense"], "--nonsense"),
        (&["stray"], "stray"),
        (&["--listen", "8080"], "a port alone needs a colon"),
        (&["--listen", "somewhere:8080"], "give the IP address"),
        (&["--backend", "localhost"], "localhost"),
        (&["--backend", "localhost:0"], "localhost:0"),
        (&["--backend", "localhost:1,weight=0"], "weight"),
        (&["--workers", "0"], "0"),
        (&["--head-timeout", "10"], "10"),
        (&["--head-timeout", "0s"], "0s"),
        (&["--max-head", "1"], "must be at least 64"),
        (&["--max-head", "16q"], "16q"),
        (&["--max-fields", "0"], "0"),
        (&["--trusted-proxy", "10.0.0.0/33"], "is not a network"),
        (&["--log-level", "loud"], "loud"),
        (&["--access-log", "maybe"], "maybe"),
        (&["--admin-public"], "--admin"),
        (&["--admin-host", "a"], "--admin"),
        (&["--admin", "127.0.0.1:0", "--admin-host", "a:80"], "without a port"),
        (&["--client-from", "forwarded"], "--trusted-proxy"),
        (&["--trusted-proxy", "::1", "--client-from", "via"], "x-forwarded-for"),
        (&["--admin", "0.0.0.0:0"], "--admin-public"),
        (&["--admin", "somewhere:1"], "give the IP address"),
    ];
    for (args, expected) in cases {
        milestone.run(args).code(2).stderr(contains(*expected)).stdout("");
    }
    if milestone.number < 5 {
        milestone.run(&["--backend", "https://localhost:1"]).code(2).stderr(contains("plain HTTP"));
    }
    if milestone.number == 1 {
        let two = ["--listen", "127.0.0.1:0", "--backend", "127.0.0.1:1", "--backend", "127.0.0.1:2"];
        milestone.run(&two).code(2).stderr(contains("milestone2"));
        milestone.run(&["--algorithm", "round-robin"]).code(2);
    }
}

/// It said one line, an error, and was never ready.
fn assert_one_line(ended: Assert, expected: &str) {
    let one_line = predicate::function(|stderr: &str| stderr.lines().count() == 1).fn_name("one line");
    ended.code(1).stderr(one_line.and(contains(expected))).stdout("");
}

fn a_port_in_use_exits_with_1_and_one_line(milestone: &Milestone) {
    let backend = Backend::saying("x");
    for workers in ["1", "2"] {
        let flags = ["--log-level", "warn", "--workers", workers];
        let first = milestone.start(&[&backend], &flags);
        let address = first.address().to_string();
        let name = backend.name();
        // This holds for any number of workers: two proxies that share a port by accident would halve the traffic of
        // each.
        for others in ["1", "2"] {
            let args = ["--listen", &address, "--backend", &name, "--log-level", "warn", "--workers", others];
            let second = milestone
                .run(&[&args, milestone.any_port()].concat())
                .append_context("workers of the proxy that has the port", workers);
            assert_one_line(second, "is in use: choose another with --listen");
        }
    }
}

fn a_busy_admin_port_is_blamed_on_its_own_flag(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let name = backend.name();
    let args = ["--listen", "127.0.0.1:0", "--backend", &name, "--log-level", "warn", "--admin", &name];
    assert_one_line(milestone.run(&[&args, milestone.any_port()].concat()), "is in use: choose another with --admin");
    let address = "192.0.2.1:0";
    let args =
        ["--listen", "127.0.0.1:0", "--backend", &name, "--log-level", "warn", "--admin", address, "--admin-public"];
    assert_one_line(
        milestone.run(&[&args[..], milestone.any_port()].concat()),
        "192.0.2.1 is not an address of this machine: choose one with --admin",
    );
    let same = ["--backend", &name, "--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"];
    milestone.run(&same).code(2).stderr(contains("--listen and --admin are both 127.0.0.1:1"));
}

fn of_two_that_start_at_the_same_moment_one_runs(milestone: &Milestone) {
    for _ in 0..5 {
        // No other program is given that port.
        let address = refusing_address().to_string();
        let args = ["--listen", &address, "--backend", "127.0.0.1:1", "--workers", "2", "--log-level", "warn"];
        let spawn = || {
            let mut command = Command::new(milestone.program);
            command
                .args(args)
                .args(milestone.any_port())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        };
        let mut both = [spawn(), spawn()];
        let mut ended = None;
        wait_until("one of them to give up", || {
            ended = both.iter_mut().position(|child| child.try_wait().expect("our child").is_some());
            ended.is_some()
        });
        let first = ended.expect("it was waited for");
        assert_eq!(both[first].wait().expect("our child").code(), Some(1));
        let other = &mut both[1 - first];
        wait_until("the other to listen", || answers(&address));
        assert!(other.try_wait().expect("our child").is_none(), "both gave up");
        other.kill().expect("our child");
        other.wait().expect("our child");
    }
}

#[allow(clippy::disallowed_methods)] // A plain client.
fn answers(address: &str) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

fn a_name_that_does_not_resolve_exits_with_1_and_one_line(milestone: &Milestone) {
    let args = ["--listen", "127.0.0.1:0", "--backend", "no-such-host.invalid:80"];
    assert_one_line(milestone.run(&[&args[..], milestone.any_port()].concat()), "no-such-host.invalid");
}

fn without_backends_it_starts_some(milestone: &Milestone) {
    let proxy = start(milestone.program, milestone.any_port());
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
    proxy.wait_for_stderr("curl");
    drop(client);
    assert_eq!(proxy.terminate().code(), Some(0));
}

fn only_ready_lines_go_to_stdout(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let name = backend.name();
    let mut command = Command::new(milestone.program);
    command.args(["--listen", "127.0.0.1:0", "--backend", &name, "--log-level", "debug"]).args(milestone.any_port());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines.next().expect("a line").expect("text");
    let address = ready.strip_prefix("READY ").and_then(|at| at.parse().ok()).expect("READY ADDR");
    assert_eq!(Conn::open(address).ask(&get("/")).body, b"x");
    child.kill().expect("our child");
    child.wait().expect("our child");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let of_tls = if milestone.number < 5 { 0 } else { 1 };
    assert!(rest.len() == of_tls && rest.iter().all(|line| line.starts_with("READY-TLS ")), "{rest:?}");
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
        &format!("client={} peer={from}", from.ip())[..],
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
    // A request that was not understood has a line, too.
    let mut bad = Conn::open(proxy.address());
    bad.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(bad.response("GET").status(), 400);
    proxy.wait_for_stderr("no host");
    let log = proxy.stderr();
    let line = log.lines().find(|line| line.contains("no host")).expect("it was waited for");
    assert!(line.contains("status=400") && line.contains("request=\"GET / HTTP/1.1\""), "{line}");
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
    let mut client = Conn::open(proxy.address());
    client.send("\x1b[2J\" forged\r\n\r\n");
    client.read_to_end();
    proxy.wait_for_stderr("\\x1b[2J\\\" forged");
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
