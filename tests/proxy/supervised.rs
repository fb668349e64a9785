//! A service manager: it passes sockets, and hears how the service is.

use crate::{
    file_in,
    support::{
        process::{PATIENCE, collect, lock, wait_until},
        raw::{Backend, Conn},
    },
    upstream,
};
use nix::sys::ptrace;
use std::{
    fs,
    net::TcpListener,
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
    process::{Child, Command, Stdio},
};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// Killed, by its own id, when dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

/// The states that a service tells, one a line.
fn next(states: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = states.recv(&mut buffer).expect("a state");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn a_service_manager_passes_a_socket_and_hears_of_each_state() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let server = Backend::saying("hello");
    let config = |host: &str| {
        let site = format!("[[site]]\nhosts = [\"{host}\"]\nupstream = \"web\"\n");
        format!("[[listen]]\naddress = \"{at}\"\n{site}{}", upstream("web", &server.name()))
    };
    fs::write(file_in(folder.path()), config("a")).unwrap();
    let states = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    states.set_read_timeout(Some(PATIENCE)).unwrap();
    // A shell puts the socket where systemd would, and its own id is the program's after `exec`.
    let copy = inheritable(&listener);
    let number = copy.as_raw_fd();
    let script = format!("exec 3<&{number} {number}<&-; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"");
    let child = Command::new("bash")
        .args(["-c", &script, "bash", PROXY, "--config"])
        .arg(file_in(folder.path()))
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut service = Service(child);
    drop((listener, copy));
    assert_eq!(next(&states), "READY=1");
    let ask = |host: &str| Conn::open(at).ask(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).status();
    assert_eq!((ask("a"), ask("b")), (200, 421));
    fs::write(file_in(folder.path()), config("b")).unwrap();
    service.signal("HUP");
    assert!(next(&states).starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(next(&states), "READY=1");
    assert_eq!((ask("a"), ask("b")), (421, 200));
    service.signal("USR2");
    assert_eq!(next(&states), "READY=1", "the new process says so, too");
    let main = next(&states);
    let successor: u32 = main.strip_prefix("MAINPID=").expect("the old one names it").parse().unwrap();
    assert_eq!(next(&states), "STOPPING=1");
    wait_until("the old process to end", || service.0.try_wait().unwrap().is_some());
    assert_eq!(ask("b"), 200);
    let status = Command::new("kill").arg(successor.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()));
    assert_eq!(next(&states), "STOPPING=1");
}

/// The threads of a process, by their names.
fn threads(process: u32, name: &str) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|task| task.unwrap().path());
    let named = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    named.map(|task| task.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_service_manager_hears_that_it_is_alive_until_one_worker_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let config = "workers = 3\n[[listen]]\naddress = \"127.0.0.1:0\"\n[[site]]\nhosts = [\"a\"]\nrespond = 200\n";
    fs::write(file_in(folder.path()), config).unwrap();
    let states = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    states.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = Command::new(PROXY)
        .arg("--config")
        .arg(file_in(folder.path()))
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .env("WATCHDOG_USEC", "400000")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut service = Service(child);
    let said = collect(service.0.stderr.take().unwrap());
    let mut first: Vec<String> = (0..2).map(|_| next(&states)).collect();
    first.sort();
    assert_eq!(first, ["READY=1", "WATCHDOG=1"], "which of them is said first does not matter");
    (0..3).for_each(|_| assert_eq!(next(&states), "WATCHDOG=1"));
    let [worker] = threads(service.0.id(), "worker-1")[..] else { panic!("one thread of that name") };
    let worker = nix::unistd::Pid::from_raw(worker);
    // One thread stands still; all others go on.
    ptrace::seize(worker, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(worker).unwrap();
    wait_until("the worker to be missed", || lock(&said).contains("hanging: worker [1]"));
    states.set_nonblocking(true).unwrap();
    while states.recv(&mut [0; 64]).is_ok() {}
    // Longer than the service manager waits for a word.
    states.set_nonblocking(false).unwrap();
    states.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    assert!(states.recv(&mut [0; 64]).is_err(), "a word although a worker hangs");
    nix::sys::wait::waitpid(worker, Some(nix::sys::wait::WaitPidFlag::__WALL)).unwrap();
    ptrace::detach(worker, None).unwrap();
    states.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(next(&states), "WATCHDOG=1", "it goes on");
    service.signal("TERM");
    while next(&states) != "STOPPING=1" {}
    wait_until("the end", || service.0.try_wait().unwrap().is_some());
}

/// A copy of a socket that a child gets.
fn inheritable(listener: &TcpListener) -> std::os::fd::OwnedFd {
    nix::unistd::dup(listener).unwrap()
}
