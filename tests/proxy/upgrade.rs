//! Another process takes over, with the same sockets: no connection is refused, and none is reset.

use crate::{
    PLAIN, Stage, copy_program,
    support::{
        process::wait_until,
        raw::{Backend, Conn},
        websocket,
    },
    upstream,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n";

fn config(server: &Backend) -> String {
    let site = "[[site]]\ndefault = true\nupstream = \"web\"\n";
    ["workers = 2\n", PLAIN, ADMIN, site, &upstream("web", &server.name())].concat()
}

/// The process that has taken over. Ended, by its own id, when dropped.
pub(crate) struct Successor(u32);

impl Successor {
    /// Waits for the `times`-th one of a stage.
    pub(crate) fn of(stage: &Stage, times: usize) -> Self {
        stage.wait_for("upgraded: process ", times);
        let log = stage.proxy.stderr();
        let (_, rest) = log.rsplit_once("upgraded: process ").unwrap();
        Self(rest.split(' ').next().unwrap().parse().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.0);
    }

    pub(crate) fn is_there(&self) -> bool {
        Path::new(&format!("/proc/{}/exe", self.0)).exists()
            && !fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default().contains(") Z ")
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = Command::new("kill").arg("-KILL").arg(self.0.to_string()).status();
        }
    }
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

/// Whether a process has a socket that listens at that port: then it may still accept.
fn listens(process: u32, port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let at = format!(":{port:04X}");
    let sockets: Vec<String> = rows
        .filter(|row| row.len() > 9 && row[1].ends_with(&at) && row[3] == "0A")
        .map(|row| format!("socket:[{}]", row[9]))
        .collect();
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
}

/// A program of the test's own in place of the proxy's file.
fn replace_program(stage: &Stage, script: &str) {
    // A file that runs cannot be written, but it can be replaced.
    let write = "printf %s \"$1\" > \"$2.new\" && chmod 755 \"$2.new\" && mv \"$2.new\" \"$2\"";
    let status = Command::new("sh").args(["-c", write, "sh", script]).arg(program_of(stage)).status();
    assert!(status.is_ok_and(|status| status.success()), "{script}");
}

fn program_of(stage: &Stage) -> PathBuf {
    stage.folder.path().join("proxy")
}

#[test]
fn another_process_takes_over_while_requests_run() {
    let (server, incoming) = Backend::by_hand();
    let mut stage = Stage::new(&config(&server), 1);
    let (at, admin) = (stage.proxy.address(), stage.proxy.admin());
    let mut running = Conn::open(at);
    running.send(REQUEST);
    let mut serving = incoming.accept();
    serving.request().unwrap();
    assert!(listens(stage.proxy.id(), at.port()));
    stage.proxy.signal("USR2");
    let successor = Successor::of(&stage, 1);
    // It has stopped accepting before it says so.
    assert!(!listens(stage.proxy.id(), at.port()));
    assert!(!listens(stage.proxy.id(), admin.port()));
    // Requests from before end there, and those that come now end here.
    let mut next = Conn::open(at);
    next.send(REQUEST);
    let mut other = incoming.accept();
    other.request().unwrap();
    for (client, server) in [(&mut running, &mut serving), (&mut next, &mut other)] {
        server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.response("GET").body, b"ok");
    }
    drop(running);
    assert_eq!(stage.proxy.wait().code(), Some(0));
    assert!(successor.is_there());
    next.send(REQUEST);
    other.request().unwrap();
    other.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain");
    assert_eq!(next.response("GET").body, b"again");
    successor.signal("TERM");
    wait_until("the successor to end", || !successor.is_there());
}

#[test]
fn connections_of_an_upgrade_are_neither_refused_nor_reset() {
    let server = Backend::saying("hello");
    let mut stage = Stage::new(&config(&server), 1);
    let at = stage.proxy.address();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Ended when the clients are.
    let _last = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    assert_eq!(Conn::open(at).ask(REQUEST).body, b"hello");
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        let _ending = Ending(&over);
        stage.proxy.signal("USR2");
        let first = Successor::of(&stage, 1);
        assert_eq!(stage.proxy.wait().code(), Some(0));
        first.signal("USR2");
        let second = Successor::of(&stage, 2);
        wait_until("the first successor to end", || !first.is_there());
        let before = answered.load(SeqCst);
        wait_until("more answers", || answered.load(SeqCst) > before + 20);
        second
    });
}

/// Lets the clients end, also when a test fails in the meantime.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_websocket_lives_on_in_the_old_process() {
    let (server, incoming) = Backend::by_hand();
    let stage = Stage::new(&config(&server), 1);
    let (mut near, mut far) = websocket::open(&stage.proxy, &incoming);
    stage.proxy.signal("USR2");
    let _successor = Successor::of(&stage, 1);
    near.send("ping");
    assert_eq!(far.read(4), b"ping");
    far.send("pong");
    assert_eq!(near.read(4), b"pong");
}

#[test]
fn a_process_that_does_not_come_up_changes_nothing() {
    let server = Backend::saying("hello");
    let stage = Stage::with_program_of_its_own(&config(&server), 1);
    let at = stage.proxy.address();
    for (number, (script, why)) in (1..).zip([
        ("#!/bin/sh\nexit 3\n", "it ended with exit status: 3 before it was ready"),
        ("not a program", "it cannot be started"),
    ]) {
        replace_program(&stage, script);
        stage.proxy.signal("USR2");
        stage.wait_for("not upgraded: ", number);
        stage.proxy.wait_for_stderr(why);
        assert_eq!(Conn::open(at).ask(REQUEST).body, b"hello");
    }
    // A configuration that is wrong is a program that ends.
    fs::remove_file(program_of(&stage)).unwrap();
    copy_program(&program_of(&stage));
    stage.write("typo = 1\n");
    stage.proxy.signal("USR2");
    stage.wait_for("not upgraded: it ended with exit status: 2", 1);
    assert_eq!(Conn::open(at).ask(REQUEST).body, b"hello");
    stage.write(&config(&server));
    stage.proxy.signal("USR2");
    let _successor = Successor::of(&stage, 1);
    assert_eq!(Conn::open(at).ask(REQUEST).body, b"hello");
}

#[test]
fn a_process_that_hangs_is_ended() {
    let server = Backend::saying("hello");
    let stage = Stage::with_program_of_its_own(&format!("upgrade-timeout = \"200ms\"\n{}", config(&server)), 1);
    replace_program(&stage, "#!/bin/sh\nexec sleep 1000\n");
    stage.proxy.signal("USR2");
    stage.proxy.wait_for_stderr("not upgraded: it was not ready after 200ms, and was ended");
    assert_eq!(Conn::open(stage.proxy.address()).ask(REQUEST).body, b"hello");
}

/// The words of an operator are in no file: the process that runs tells them to the next one.
#[test]
fn orders_about_servers_count_in_the_next_process() {
    let [drained, other, weighty] = ["drained", "other", "weighty"].map(Backend::saying);
    let config = |weight: &str| {
        let servers = [&drained, &other].map(|server| format!("\"{}\"", server.name())).join(", ");
        let last = format!("{{ address = \"{}\"{weight} }}", weighty.name());
        format!(
            "workers = 1\n{PLAIN}{ADMIN}[[site]]\ndefault = true\nupstream = \"web\"\n[upstream.web]\n\
             servers = [{servers}, {last}]\nalgorithm = \"weighted-round-robin\"\nhealth = {{ probes = false }}\n\
             slow-start = \"0s\"\n"
        )
    };
    let mut stage = Stage::new(&config(""), 1);
    let (at, admin) = (stage.proxy.address(), stage.proxy.admin());
    let order = |server: &Backend, order: &str| {
        let path = format!("/upstreams/web/servers/{}", server.name());
        let length = order.len();
        let request = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{order}");
        assert_eq!(Conn::open(admin).ask(&request).status(), 200);
    };
    order(&drained, "{\"state\": \"drain\", \"by\": \"alice\"}");
    order(&weighty, "{\"weight\": 3}");
    let shares = || {
        let all = [&drained, &other, &weighty];
        let before = all.map(|server| server.requests().len());
        (0..12).for_each(|_| assert_eq!(Conn::open(at).ask(REQUEST).status(), 200));
        let after = all.map(|server| server.requests().len());
        [0, 1, 2].map(|at| after[at] - before[at])
    };
    assert_eq!(shares(), [0, 3, 9]);
    stage.proxy.signal("USR2");
    let first = Successor::of(&stage, 1);
    stage.wait_for(
        &format!("upgrade: upstream web: server {}: drain (ordered by alice from 127.0.0.1", drained.name()),
        1,
    );
    assert_eq!(stage.proxy.wait().code(), Some(0));
    assert_eq!(shares(), [0, 3, 9]);
    let told = Conn::open(admin).ask("GET /upstreams/web HTTP/1.1\r\nHost: test\r\n\r\n");
    let told = String::from_utf8(told.body).unwrap();
    assert!(told.contains("\"by\":\"alice\"") || told.contains("\"by\": \"alice\""), "{told}");
    // And in the one after that, where the file has another weight.
    stage.write(&config(", weight = 1"));
    first.signal("USR2");
    let second = Successor::of(&stage, 2);
    wait_until("the first one to end", || !first.is_there());
    assert_eq!(shares(), [0, 3, 9], "a weight of 1 is the one that it had");
    stage.write(&config(", weight = 2"));
    second.signal("USR2");
    let _third = Successor::of(&stage, 3);
    wait_until("the second one to end", || !second.is_there());
    stage.wait_for("the weight 2 of the file overrides 3", 1);
    assert_eq!(shares(), [0, 4, 8]);
}
