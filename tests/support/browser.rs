//! A browser without a window, driven by its DevTools.

// In tests a failed unwrap is the report.
#![allow(clippy::unwrap_used)]

use super::{
    process::{programs_are_required, wait_until_within},
    socket::Socket,
};
use serde_json::{Value, json};
use socket_patterns::units::base64;
use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A browser needs seconds to begin even on a machine with nothing else to do.
const BROWSER_PATIENCE: Duration = Duration::from_secs(60);

/// As `tests/milestone5/peers/chromium.rs`: no window, no sandbox of its own, and nothing but the loopback.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--disable-features=MediaRouter,OptimizationHints,Translate",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
    "about:blank",
];

/// The browser: a group of processes, which ends as one.
pub struct Browser {
    child: Child,
    devtools: SocketAddr,
    _home: TempDir,
}

impl Browser {
    /// `None`, and a line for the tester, where there is none.
    pub fn open() -> Option<Self> {
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
        let profile = format!("--user-data-dir={}", home.path().join("profile").display());
        let mut child =
            command(program).arg(profile).args(FLAGS).process_group(0).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let devtools = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the browser has ended");
            if let Some(rest) = line.trim().strip_prefix("DevTools listening on ws://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        // The pipe must not fill up.
        super::process::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Some(Self { child, devtools, _home: home })
    }
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
