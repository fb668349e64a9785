//! The server goes away and comes back.

use crate::{
    SERVER, client,
    support::{
        lines::{LineServer, Reply},
        process::{Process, now, start, start_listening, wait_for},
        raw::refusing_address,
    },
};
use std::{collections::BTreeMap, time::Duration};

/// Commands in a run, every other one of which must not be executed twice.
const COMMANDS: usize = 2000;

/// How often the server dies meanwhile. Far fewer commands get lost than are left after the last time.
const DEATHS: usize = 5;

/// A server that dies again and again, each time with a command executed and not answered: nothing that was answered was
/// not executed, nothing unrepeatable was executed twice, and what the client says about the rest is true.
fn survives_deaths(args: &[&str]) {
    let dies = |nth: usize| nth.is_multiple_of(300) && nth <= 300 * DEATHS;
    let mut server = LineServer::start(move |nth, _| if dies(nth) { Reply::Die } else { Reply::Answer });
    let names: Vec<String> =
        (1..=COMMANDS).map(|n| format!("{} {n}", if n % 2 == 0 { "GET" } else { "PAY" })).collect();
    let mut client = client(&server.name(), &[&["--idempotent", "GET", "--unordered"], args].concat());
    client.feed(names.iter().map(|name| format!("{name}\n")).collect());
    for _ in 0..DEATHS {
        server.wait_for_death();
        server.revive();
    }
    let code = client.wait().code();
    let (stdout, stderr) = (client.stdout(), client.stderr());
    let answers: BTreeMap<usize, &str> = stdout
        .lines()
        .map(|line| line[1..].split_once(' ').unwrap())
        .map(|(n, text)| (n.parse().unwrap(), text))
        .collect();
    assert_eq!(stdout.lines().count(), answers.len(), "an answer came twice");
    let mut unknown = 0;
    for (n, name) in (1..).zip(&names) {
        let executed = server.executed(name);
        let complaint = stderr.lines().find(|line| line.starts_with(&format!("! line {n} ")));
        match (answers.get(&n), complaint) {
            (Some(answer), None) => assert_eq!((*answer, executed >= 1), (&*format!("done {name}"), true)),
            (None, Some(complaint)) if complaint.contains("may have been executed") => unknown += 1,
            (answer, complaint) => panic!("{name}: {answer:?}, {complaint:?}, executed {executed} times"),
        }
        assert!(name.starts_with("GET") || executed <= 1, "{name} was executed {executed} times");
    }
    assert_eq!(code, Some(if unknown > 0 { 3 } else { 0 }));
}

#[test]
fn deaths_while_commands_are_in_flight() {
    survives_deaths(&["--in-flight", "50"]);
}

#[test]
fn deaths_while_a_pool_is_busy() {
    survives_deaths(&["--pool", "4"]);
}

fn command_server(address: &str) -> Process {
    start_listening(SERVER, &["--service", "command", "--listen", address], 1)
}

#[test]
fn a_server_that_is_killed_and_restarted_is_found_again() {
    let address = refusing_address().to_string();
    let server = command_server(&address);
    let mut client = client(&address, &[]);
    client.line("ECHO before");
    client.wait_for_stdout("before\n");
    server.signal("KILL");
    client.wait_for_stderr("; trying again in ");
    // It waits for the server.
    client.line("ECHO between");
    client.wait_for_stderr("(2 of 10000)");
    drop(server);
    let server = command_server(&address);
    client.wait_for_stderr("back again");
    client.line("ECHO after");
    client.close();
    assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(0), "before\nbetween\nafter\n"));
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_stopped_server_is_noticed_and_used_again_when_it_goes_on() {
    let server = start(SERVER, &["--service", "command"]);
    let args = ["--heartbeat", "100ms", "--heartbeat-timeout", "100ms", "--deadline", "1h", "--tries", "1000"];
    let mut client = client(&server.address().to_string(), &args);
    client.line("ECHO before");
    client.wait_for_stdout("before\n");
    server.signal("STOP");
    let stopped = now();
    client.wait_for_stderr("the server is silent, even to heartbeats");
    // Its last word may have come just before it was stopped, so there is a lower bound, too; above, a loaded machine.
    let found = stopped.elapsed();
    assert!((Duration::from_millis(90)..Duration::from_secs(10)).contains(&found), "{found:?}");
    client.line("ECHO after");
    server.signal("CONT");
    client.wait_for_stdout("after\n");
    client.close();
    assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(0), "before\nafter\n"));
}

/// One command at a time, and none that may be repeated: it has to know that the server is there before it sends one.
#[test]
fn a_pool_notices_a_stopped_server_before_it_sends_anything() {
    let server = start(SERVER, &["--service", "command"]);
    let args = ["--pool", "2", "--idempotent", "", "--heartbeat", "10ms", "--heartbeat-timeout", "100ms"];
    let mut client = client(&server.address().to_string(), &[&args[..], &["--deadline", "1h"]].concat());
    client.line("ECHO before");
    client.wait_for_stdout("before\n");
    server.signal("STOP");
    wait_for(Duration::from_millis(10));
    client.line("ECHO after");
    client.wait_for_stderr("the server is silent, even to heartbeats");
    server.signal("CONT");
    client.wait_for_stdout("after\n");
    client.close();
    assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(0), "before\nafter\n"));
}

#[test]
fn a_busy_heart_is_a_living_one() {
    let server = start(SERVER, &["--service", "command"]);
    let args = ["--heartbeat", "20ms", "--heartbeat-timeout", "5s"];
    let mut client = client(&server.address().to_string(), &args);
    // Many heartbeats fit in.
    client.line("DELAY 500 slow");
    client.close();
    assert_eq!((client.wait().code(), client.stdout().as_str(), client.stderr().as_str()), (Some(0), "slow\n", ""));
}

#[test]
fn a_server_that_comes_late_is_waited_for() {
    let address = refusing_address().to_string();
    let mut client = client(&address, &["--wait"]);
    client.line("ECHO early");
    client.wait_for_stderr("(2 of 10000)");
    let _server = command_server(&address);
    client.close();
    assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(0), "early\n"));
}

#[test]
fn after_its_tries_it_gives_up() {
    let address = refusing_address().to_string();
    let args = ["--wait", "--reconnects", "3"];
    for pool in [&[][..], &["--pool", "2"]] {
        let mut client = client(&address, &[&args, pool].concat());
        client.feed("ECHO 1\nECHO 2\nECHO 3\n".repeat(1000));
        assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(1), ""));
        let stderr = client.stderr();
        assert!(stderr.contains("(3 of 3)") && stderr.contains("gave up after 3 tries"), "{stderr}");
        assert!(stderr.lines().last().unwrap().starts_with("error: "), "{stderr}");
    }
}
