//! A real `redis-server` for programs of this project to use, where one is installed. It can be killed and started again.

// In tests a failed unwrap is the report, and a client is a socket.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use super::{
    process::{programs_are_required, wait_until},
    tls::{Site, Special, authority, stranger, text},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

/// Whether a program can be started; says that what needs it is skipped.
pub fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || !programs_are_required(), "{program} is not installed, and REQUIRE_PROGRAMS is set");
    #[allow(clippy::print_stdout)] // It is said, so that it is not taken for tested.
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// A server that keeps nothing on the disk, on an address of its own.
pub struct RedisServer {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
    flags: Vec<String>,
}

impl RedisServer {
    /// `None`: it is not installed, and that was said.
    pub fn start(flags: &[&str]) -> Option<Self> {
        Self::start_with(|_| flags.iter().map(|flag| (*flag).to_owned()).collect())
    }

    /// As [`RedisServer::start`], with flags that depend on the address.
    pub fn start_with(flags: impl FnOnce(SocketAddr) -> Vec<String>) -> Option<Self> {
        if !is_installed("redis-server") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let flags = flags(address);
        let child = spawn(address, folder.path(), &flags);
        let mut server = Self { child, folder, address, flags };
        server.wait();
        Some(server)
    }

    /// With TLS on a second address: that, and its certificate, beside which are those of the authority that has signed it (`ours.pem`) and of
    /// another one (`others.pem`). `names`: of the certificate, or its address. `clients`: it asks for theirs.
    pub fn start_secured(names: &[&str], special: Special, clients: &str) -> Option<(Self, SocketAddr, Site)> {
        let (mut secure, mut site) = (None, None);
        let redis = Self::start_with(|address| {
            let (ip, port) = (address.ip(), free_port(address.ip()));
            let own = ip.to_string();
            let own = [own.as_str()];
            let certificate = Site::special(if names.is_empty() { &own } else { names }, special);
            for (name, pem) in [("ours.pem", authority()), ("others.pem", stranger())] {
                fs::write(certificate.path(name), pem).unwrap();
            }
            let flags = [
                ("--tls-port", port.to_string()),
                ("--tls-cert-file", text(&certificate.certificate).to_owned()),
                ("--tls-key-file", text(&certificate.key).to_owned()),
                ("--tls-ca-cert-file", text(&certificate.path("ours.pem")).to_owned()),
                ("--tls-auth-clients", clients.to_owned()),
            ];
            (secure, site) = (Some(SocketAddr::new(ip, port)), Some(certificate));
            flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
        })?;
        Some((redis, secure.unwrap(), site.unwrap()))
    }

    fn wait(&mut self) {
        let (address, folder, flags) = (self.address, self.folder.path(), &self.flags);
        let child = &mut self.child;
        wait_until("redis-server to listen", || {
            if child.try_wait().unwrap().is_some() {
                // Another program had the port for a moment.
                *child = spawn(address, folder, flags);
            }
            answers(address)
        });
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For `--cluster` and the like.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// With `SIGKILL`, as in a crash.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Behind [`RedisServer::kill`]: on the same address, and empty.
    pub fn start_again(&mut self) {
        self.child = spawn(self.address, self.folder.path(), &self.flags);
        self.wait();
    }

    /// Stops or continues its process: connections stay, and nothing is answered.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// The reply to a command, as it is on the wire.
    pub fn ask(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // An end behind it: the server answers, and closes.
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.strip_suffix("+OK\r\n").unwrap_or(&reply).to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(address: SocketAddr, folder: &std::path::Path, flags: &Vec<String>) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--save", "", "--dir"]).arg(folder).args(flags);
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// Where nobody else listens or connects from, so that a server that is started again finds its port free: a number of its own in the
/// network of the loopback, where a system has more than one.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high.clamp(1, 254), low, NEXT.fetch_add(1, Relaxed).clamp(1, 254));
    let listener = TcpListener::bind((own, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback()));
    address
}

/// Another port that is free there.
pub fn free_port(ip: IpAddr) -> u16 {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut reply = [0; 7];
    let asked = stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut reply).is_ok();
    // It may want a password.
    asked && matches!(&reply, b"+PONG\r\n" | b"-NOAUTH")
}
