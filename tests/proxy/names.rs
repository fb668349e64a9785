//! Names of servers while the proxy runs: the system's own resolver, whose hosts file is the test's.
//!
//! The proxy has a mount namespace of its own (`unshare`), in which that file takes the place of `/etc/hosts`. Where the system does not
//! allow that, the tests say that they are skipped.

use crate::{
    PLAIN, Stage, file_in,
    support::{
        process::{start_listening, wait_until},
        raw::{Backend, Conn},
    },
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// Two files take the places of `/etc/hosts` and `/etc/resolv.conf` for the proxy, whose arguments follow.
const SCRIPT: &str = "mount --bind \"$1\" /etc/hosts && mount --bind \"$2\" /etc/resolv.conf && shift 2 && exec \"$@\"";

/// A proxy whose server `api.test` is where the test says.
struct World {
    stage: Stage,
    hosts: PathBuf,
    port: u16,
}

#[allow(clippy::print_stderr)] // It is to be seen that something was left out.
fn is_allowed() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-rm", "mount", "--bind", "/etc/hosts", "/etc/hosts"]).stdout(Stdio::null()).stderr(Stdio::null());
    let allowed = command.status().is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("skipped: this system allows no mount namespace");
    }
    allowed
}

impl World {
    /// `more` belongs to the upstream.
    fn new(port: u16, hosts: &[u8], global: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [hosts_file, resolver] = ["hosts", "resolv.conf"].map(|name| folder.path().join(name));
        // Names that are not in the file are asked for here, where no one answers.
        fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
        fs::write(&hosts_file, lines(hosts)).unwrap();
        let config = format!(
            "workers = 1\n{global}\n{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n[[site]]\nhosts = [\"a\"]\nupstream = \"api\"\n\
             [upstream.api]\nservers = [\"api.test:{port}\"]\n{more}\n"
        );
        fs::write(file_in(folder.path()), config).unwrap();
        let file = file_in(folder.path());
        let [hosts_path, resolver, file] = [&hosts_file, &resolver, &file].map(|path| path.to_str().unwrap());
        let args = ["-rm", "sh", "-c", SCRIPT, "sh", hosts_path, resolver, PROXY, "--config", file];
        let proxy = start_listening("unshare", &args, 1);
        Self { stage: Stage { proxy, folder, reloads: 0 }, hosts: hosts_file, port }
    }

    /// The name stands for these addresses from now on: 2 is 127.0.0.2.
    fn moves_to(&self, hosts: &[u8]) {
        fs::write(&self.hosts, lines(hosts)).unwrap();
    }

    /// The addresses of the server, as `/stats` shows them.
    fn addresses(&self) -> Vec<String> {
        let stats = self.stage.proxy.stats();
        let rows = stats["backends"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn wait_for_addresses(&self, last: &[u8]) {
        let expected: Vec<String> = last.iter().map(|last| format!("api.test:{}@127.0.0.{last}", self.port)).collect();
        wait_until("the addresses to be in place", || self.addresses() == expected);
    }

    fn status(&self) -> u16 {
        self.stage.get("a", "/").status()
    }
}

fn lines(hosts: &[u8]) -> String {
    hosts.iter().map(|last| format!("127.0.0.{last} api.test\n")).collect()
}

fn listen(last: u8, port: u16) -> Option<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port))).ok()
}

/// Listeners at 127.0.0.2 and 127.0.0.3, at the same port.
fn two_listeners() -> (TcpListener, TcpListener, u16) {
    let pair = || {
        let one = listen(2, 0)?;
        let port = one.local_addr().ok()?.port();
        Some((one, listen(3, port)?, port))
    };
    (0..100).find_map(|_| pair()).expect("a port that is free at both addresses")
}

fn saying(listener: TcpListener, text: &'static str) -> Backend {
    Backend::start_on(listener, move |mut served| {
        while served.request().is_some() {
            served.conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        }
    })
}

const UNPROBED: &str = "health = { probes = false }";

#[test]
fn an_address_that_comes_gets_requests_and_one_that_goes_finishes_what_it_has() {
    if !is_allowed() {
        return;
    }
    let (two, three, port) = two_listeners();
    let three = saying(three, "three");
    let (sender, incoming) = std::sync::mpsc::channel();
    let two = Backend::start_on(two, move |served| drop(sender.send(served.conn)));
    let world = World::new(port, &[2], "resolve-interval = \"20ms\"", UNPROBED);
    world.wait_for_addresses(&[2]);
    // A request that runs on the first address, and takes its time.
    let mut client = Conn::open(world.stage.proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut server = incoming.recv().unwrap();
    let head = server.read_until("\r\n\r\n");
    assert!(head.contains("Host: a\r\n"), "{head}");
    world.moves_to(&[3, 2]);
    world.wait_for_addresses(&[2, 3]);
    world.moves_to(&[3]);
    world.wait_for_addresses(&[3]);
    for _ in 0..4 {
        assert_eq!(world.stage.body("a", "/"), "three");
    }
    assert_eq!(three.connections(), 1, "its connection is kept");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    assert_eq!(client.response("GET").body, b"two");
    // The connection to an address that is gone is not kept.
    server.expect_end();
    assert_eq!(two.connections(), 1);
    world.stage.proxy.wait_for_stderr("api.test has the address 127.0.0.3");
    world.stage.proxy.wait_for_stderr("api.test has no longer the address 127.0.0.2");
}

#[test]
fn a_name_that_does_not_resolve_is_a_warning_and_a_known_one_keeps_its_last_address() {
    if !is_allowed() {
        return;
    }
    let (two, _three, port) = two_listeners();
    let _two = saying(two, "two");
    let world = World::new(port, &[], "resolve-interval = \"20ms\"", UNPROBED);
    world.stage.proxy.wait_for_stderr("api.test does not resolve: no request goes there until it does");
    assert_eq!(world.status(), 503);
    world.moves_to(&[2]);
    world.wait_for_addresses(&[2]);
    assert_eq!(world.status(), 200);
    world.moves_to(&[]);
    world.stage.proxy.wait_for_stderr("api.test does not resolve any more: its last addresses stay");
    assert_eq!((world.status(), world.addresses().len()), (200, 1));
    world.moves_to(&[2]);
    world.stage.proxy.wait_for_stderr("api.test resolves again, to the addresses from before");
}

#[test]
fn when_the_only_address_fails_the_name_is_asked_for_at_once() {
    if !is_allowed() {
        return;
    }
    let (two, three, port) = two_listeners();
    let _three = saying(three, "three");
    let breaker = "breaker = { failures = 1, open = \"1h\" }\nretries = 0\n";
    let world = World::new(port, &[2], "resolve-interval = \"1h\"", &format!("{breaker}{UNPROBED}"));
    world.wait_for_addresses(&[2]);
    drop(two);
    world.moves_to(&[3]);
    // Not within a second after the last question, and then soon.
    wait_until("a request to reach the new address", || world.status() == 200);
    world.wait_for_addresses(&[3]);
}
