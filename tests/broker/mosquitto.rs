//! A real mosquitto, on a socket in a directory of its own.

// `pub` here means "for the tests".
#![allow(unreachable_pub)]

use super::relay::{Relay, To};
use crate::support::process::{PATIENCE, now, wait_until};
use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// The broker, and the way to it.
pub struct Mosquitto {
    child: Child,
    folder: tempfile::TempDir,
    /// The way for a bridge.
    pub relay: Relay,
    /// The way for others.
    pub clients: Relay,
}

impl Mosquitto {
    /// Whether it is installed; if not, says so.
    pub fn is_installed() -> bool {
        let found = Command::new("mosquitto").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status();
        super::peers::is_there(found.is_ok(), "mosquitto")
    }

    /// Starts it with some more lines of configuration.
    pub fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, socket) = (folder.path().display(), folder.path().join("socket"));
        let text = format!(
            "listener 0 {}\nallow_anonymous true\npersistence true\npersistence_location {path}/\n\
             max_queued_messages 0\nmax_inflight_messages 20\nqueue_qos0_messages false\nuser root\n{more}\n",
            socket.display()
        );
        fs::write(folder.path().join("conf"), text).unwrap();
        let (relay, clients) = (Relay::new(To::Nowhere), Relay::new(To::Nowhere));
        let it = Self { child: spawn(&folder), folder, relay, clients };
        it.wait();
        it.open();
        it
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn wait(&self) {
        #[allow(clippy::disallowed_methods)] // Black-box tests have real sockets.
        wait_until("mosquitto to listen", || std::os::unix::net::UnixStream::connect(self.socket()).is_ok());
        self.clients.lead(To::Socket(self.socket()));
    }

    /// Lets the bridge through, too.
    pub fn open(&self) {
        self.relay.lead(To::Socket(self.socket()));
    }

    /// Ends it with a signal, and starts it again.
    pub fn restart(&mut self, signal: &str) {
        self.stop(signal);
        self.begin();
        self.open();
    }

    pub fn stop(&mut self, signal: &str) {
        let done = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(done.unwrap().success());
        let deadline = now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(now() < deadline, "mosquitto does not end");
            std::thread::yield_now();
        }
        let _ = fs::remove_file(self.socket());
        [&self.relay, &self.clients].into_iter().for_each(|relay| relay.lead(To::Nowhere));
    }

    /// Starts it again, for all but the bridge.
    pub fn begin(&mut self) {
        self.child = spawn(&self.folder);
        self.wait();
    }
}

fn spawn(folder: &tempfile::TempDir) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.path().join("log")).unwrap();
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(folder.path().join("conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let _ = writeln!(std::io::stderr(), "--- mosquitto ---\n{log}");
        }
    }
}
