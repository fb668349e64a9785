//! Clients that other people have written: curl, OpenSSL's, nghttp2's, Python's httpx, and a browser.
//!
//! Each is started where it is installed. Elsewhere its tests say that they are skipped; with `REQUIRE_PROGRAMS=1`, as continuous
//! integration sets it, a missing program is a failure. Programs see nothing of the tester's environment and have an empty home, and
//! everything that they talk to is on the loopback.

mod chromium;
mod curl;
mod httpx;
mod nghttp2;
mod openssl;

use crate::{
    Stage,
    support::{
        page_site as site,
        process::{PATIENCE, programs_are_required},
        raw::Backend,
        tls::{Special, authority, pem},
    },
};
use std::{env, ffi::OsString, fs, io::Write as _, path::PathBuf, process::Command};
use tempfile::TempDir;

/// A program that works here.
#[derive(Debug, Clone, Copy)]
struct Peer {
    program: &'static str,
}

/// How a program ended, and all that it printed.
#[derive(Debug)]
struct Said {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Peer {
    /// The first of these programs that ends well when it is called with `args`; `None`, and a line for the tester, if there is none.
    fn find(programs: &[&'static str], args: &[&str]) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let works = |program: &str| command(program, &home).args(args).output().is_ok_and(|done| done.status.success());
        let found = programs.iter().find(|program| works(program));
        if found.is_none() {
            let missing = format!("no {} that works with {args:?}", programs.join(" or "));
            assert!(!programs_are_required(), "{missing}");
            // `println!` would be shown only after a failure.
            let _ = writeln!(std::io::stderr(), "skipped: {missing}");
        }
        found.map(|program| Self { program })
    }
}

/// A program that finds other programs and nothing else of ours.
fn command(program: &str, home: &TempDir) -> Command {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(OsString::from(":/usr/sbin"));
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path).env("HOME", home.path()).current_dir(home.path());
    command
}

/// A proxy before a site, and the folder in which a program runs. It has `ca.pem`, the authority of all certificates here, and
/// `client.pem` and `client.key` for a client named `customer`.
struct Scene {
    stage: Stage,
    folder: TempDir,
}

impl Scene {
    fn new(backend: Backend, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = pem(&["customer"], Special::default());
        for (name, text) in [("ca.pem", authority()), ("client.pem", certificate), ("client.key", key)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let authority = folder.path().join("ca.pem").display().to_string();
        let flags: Vec<&str> = flags.iter().map(|flag| if *flag == "ca.pem" { &authority } else { *flag }).collect();
        Self { stage: Stage::before(backend, &flags), folder }
    }

    /// A file in the folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the proxy speaks TLS.
    fn port(&self) -> u16 {
        self.stage.proxy.tls_address().port()
    }

    /// `https://127.0.0.1:PORT` with a path.
    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port())
    }

    /// `http://127.0.0.1:PORT` with a path.
    fn plain_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.stage.proxy.address())
    }

    /// Runs a program in the folder, with this input, until it ends.
    fn run(&self, peer: Peer, args: &[&str], input: &str) -> Said {
        let command = command(peer.program, &self.folder);
        let done = assert_cmd::Command::from_std(command).args(args).write_stdin(input).timeout(PATIENCE).output();
        let done = done.unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Said { success: done.status.success(), stdout: text(&done.stdout), stderr: text(&done.stderr) }
    }

    /// The proxy has found no fault with its clients.
    fn expect_no_complaint(&self) {
        const COMPLAINTS: [&str; 4] = ["handshake failed", "HTTP/2 connection ended", " ERROR ", "panicked"];
        // A browser opens connections ahead, and gives up those that it does not need.
        const NOT_NEEDED: &str = "failure=\"client gone in the handshake\"";
        let said = self.stage.proxy.stderr();
        let complains = |line: &&str| COMPLAINTS.iter().any(|words| line.contains(words)) && !line.contains(NOT_NEEDED);
        assert_eq!(said.lines().find(complains), None);
    }
}

impl Said {
    /// It ended well, and printed exactly this.
    fn expect(&self, stdout: &str) {
        assert!(self.success && self.stdout == stdout, "not {stdout:?}: {self:?}");
    }

    /// Somewhere it printed all these words.
    fn has(&self, words: &[&str]) {
        for word in words {
            assert!(self.stdout.contains(word) || self.stderr.contains(word), "no {word:?} in {self:?}");
        }
    }

    /// It ended with an error, and gave this reason.
    fn expect_failure(&self, why: &str) {
        assert!(!self.success, "{self:?}");
        self.has(&[why]);
    }
}
