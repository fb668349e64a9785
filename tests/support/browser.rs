//! A browser without a window, driven by its DevTools.

// In tests a failed unwrap is the report.
#![allow(clippy::unwrap_used)]

use super::{
    process::{collect, lock, programs_are_required, wait_until_within},
    socket::Socket,
    tls::pin_of,
};
use serde_json::{Value, json};
use socket_patterns::units::base64;
use std::{
    env, fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

/// A browser is many programs, and needs seconds to begin even on a machine with nothing else to do.
pub const BROWSER_PATIENCE: Duration = Duration::from_secs(60);

/// Without a window and, since continuous integration is root in a container, without its own sandbox; and nothing that a browser
/// does for its maker or its user: no updates, no reports, no lists of bad sites, no search for other machines.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--disable-features=MediaRouter,OptimizationHints,AutofillServerCommunication,Translate",
    // No name means anything but that of the tests, so that nothing outside of the loopback can be found.
    "--host-resolver-rules=MAP test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
];

/// The ways in which a test's browser is not like others.
#[derive(Debug, Default, Clone, Copy)]
pub struct Setting<'a> {
    /// It trusts this certificate, whose authority is in no store of its own. Any other is refused as usual.
    pub certificate: Option<&'a Path>,
    /// It goes through this proxy, also to the loopback.
    pub proxy: Option<SocketAddr>,
}

impl Setting<'_> {
    fn flags(&self) -> Vec<String> {
        let mut flags = match self.proxy {
            Some(proxy) => vec![format!("--proxy-server=http://{proxy}"), "--proxy-bypass-list=<-loopback>".to_owned()],
            None => vec!["--no-proxy-server".to_owned()],
        };
        if let Some(certificate) = self.certificate {
            let pin = pin_of(&fs::read_to_string(certificate).unwrap());
            flags.push(format!("--ignore-certificate-errors-spki-list={pin}"));
        }
        flags
    }
}

/// The browser and the programs that it has started: a group of processes, which ends as one.
pub struct Browser {
    child: Child,
    devtools: SocketAddr,
    log: Arc<Mutex<String>>,
    _home: TempDir,
}

impl Browser {
    /// `None`, and a line for the tester, where there is none.
    pub fn open(setting: Setting<'_>) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let command = |program: &str| {
            let mut command = Command::new(program);
            command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", home.path());
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        let programs = ["chromium", "chromium-browser", "google-chrome"];
        let works = |program: &&&str| {
            command(program).arg("--version").stderr(Stdio::null()).status().is_ok_and(|done| done.success())
        };
        let Some(program) = programs.iter().find(works) else {
            assert!(!programs_are_required(), "no {}", programs.join(" or "));
            let _ = writeln!(std::io::stderr(), "skipped: no {}", programs.join(" or "));
            return None;
        };
        let mut command = command(program);
        command.arg(format!("--user-data-dir={}", home.path().join("profile").display()));
        command.args(FLAGS).args(setting.flags()).arg("about:blank").process_group(0).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = collect(child.stderr.take().unwrap());
        let mut devtools = None;
        wait_until_within(BROWSER_PATIENCE, "the browser", || {
            assert_eq!(child.try_wait().unwrap(), None, "the browser has ended: {}", lock(&log));
            devtools = address_in(&lock(&log));
            devtools.is_some()
        });
        Some(Self { child, devtools: devtools.unwrap(), log, _home: home })
    }

    /// The text that it wrote to stderr so far.
    pub fn log(&self) -> String {
        lock(&self.log).clone()
    }
}

/// Where its DevTools are, if it has said so in a whole line.
fn address_in(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("DevTools listening on ws://")?;
    let (address, _) = rest.split_once('/')?;
    address.parse().ok()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its id is the group's as long as nobody has waited for it.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

/// One page of the browser.
pub struct Page {
    socket: Socket,
    calls: u64,
}

impl Page {
    pub fn open(browser: &Browser, url: &str) -> Self {
        let request = format!("PUT /json/new?about:blank HTTP/1.1\r\nHost: {}\r\n\r\n", browser.devtools);
        let answer = super::raw::Conn::open(browser.devtools).ask(&request);
        let target: Value = serde_json::from_slice(&answer.body).unwrap();
        let id = target["id"].as_str().unwrap();
        let mut page = Self { socket: Socket::open(browser.devtools, &format!("/devtools/page/{id}")), calls: 0 };
        page.call("Page.enable", json!({}));
        page.call("Page.navigate", json!({ "url": url }));
        page
    }

    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let call = json!({ "id": self.calls, "method": method, "params": params });
        self.socket.say(&call.to_string());
        loop {
            let answer: Value = serde_json::from_str(&self.socket.text()).unwrap();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{call}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression of the page's script.
    pub fn value(&mut self, expression: &str) -> Value {
        self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }))["result"]["value"]
            .clone()
    }

    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        let mut last = Value::Null;
        wait_until_within(BROWSER_PATIENCE, expression, || {
            last = self.value(expression);
            last == true
        });
    }

    /// Presses a key, with modifiers: 1 Alt, 8 Shift.
    pub fn press(&mut self, name: &str, code: u32, modifiers: u32) {
        let text = if name == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers, "text": text }),
            );
        }
    }

    /// Types into what has the focus, and ends with Enter.
    pub fn type_line(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
        self.press("Enter", 13, 0);
    }

    /// Kept where `SCREENSHOTS` says, to be looked at: the whole page, as wide as that and at least as high.
    pub fn screenshot(&mut self, name: &str, (width, height): (u32, u32), dark: bool) {
        let Some(folder) = env::var_os("SCREENSHOTS") else { return };
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        self.call("Emulation.setScrollbarsHidden", json!({ "hidden": true }));
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        fs::write(Path::new(&folder).join(format!("{name}.png")), decoded(shot["data"].as_str().unwrap())).unwrap();
    }
}

/// Base64 backwards: the text is known to be right.
fn decoded(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(value_of).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    let bytes: Vec<u8> = digits.chunks(4).flat_map(group).collect();
    assert_eq!(base64(&bytes), text);
    bytes
}

fn value_of(byte: u8) -> u32 {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    digit.into()
}
