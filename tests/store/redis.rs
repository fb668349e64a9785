//! A real `redis-server`, where one is installed.

use super::resp::Client;
use crate::support::{process::wait_until, redis::is_installed};
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A server on a Unix socket in a directory of its own: no port is taken.
pub(crate) struct Redis {
    child: Child,
    folder: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Option<Self> {
        if !is_installed("redis-server") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--enable-debug-command", "yes", "--unixsocket"])
            .arg(&path)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self { child, folder };
        wait_until("redis-server to listen", || Client::unix(&redis.path()).is_ok());
        Some(redis)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn client(&self) -> Client {
        Client::unix(&self.path()).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
