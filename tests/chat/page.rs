//! The page in a browser without a window, driven by its DevTools: two people, by keyboard alone.

use super::{chat, socket::Socket};
use crate::support::process::{Process, programs_are_required, wait_until_within};
use serde_json::{Value, json};
use socket_patterns::websocket::base64;
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
struct Browser {
    child: Child,
    devtools: SocketAddr,
    _home: TempDir,
}

impl Browser {
    /// `None`, and a line for the tester, where there is none.
    fn open() -> Option<Self> {
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
        crate::support::process::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
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
struct Page {
    socket: Socket,
    calls: u64,
}

impl Page {
    fn open(browser: &Browser, url: &str) -> Self {
        let request = format!("PUT /json/new?about:blank HTTP/1.1\r\nHost: {}\r\n\r\n", browser.devtools);
        let answer = crate::support::raw::Conn::open(browser.devtools).ask(&request);
        let target: Value = serde_json::from_slice(&answer.body).unwrap();
        let id = target["id"].as_str().unwrap();
        let mut page = Self { socket: Socket::open(browser.devtools, &format!("/devtools/page/{id}")), calls: 0 };
        page.call("Page.enable", json!({}));
        page.call("Page.navigate", json!({ "url": url }));
        page
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
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
    fn value(&mut self, expression: &str) -> Value {
        self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }))["result"]["value"]
            .clone()
    }

    #[track_caller]
    fn wait_for(&mut self, expression: &str) {
        let mut last = Value::Null;
        wait_until_within(BROWSER_PATIENCE, expression, || {
            last = self.value(expression);
            last == true
        });
    }

    /// Presses a key, with modifiers: 1 Alt, 8 Shift.
    fn press(&mut self, name: &str, code: u32, modifiers: u32) {
        let text = if name == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers, "text": text }),
            );
        }
    }

    /// Types into what has the focus, and ends with Enter.
    fn type_line(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
        self.press("Enter", 13, 0);
    }

    fn log(&mut self) -> Vec<String> {
        let log = self.value("[...document.querySelectorAll('#log li')].map(item => item.textContent)");
        log.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    }

    /// Kept where `CHAT_SCREENSHOTS` says, to be looked at.
    fn screenshot(&mut self, name: &str, width: u32, dark: bool) {
        let Some(folder) = env::var_os("CHAT_SCREENSHOTS") else { return };
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 700, "deviceScaleFactor": 1, "mobile": false }),
        );
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
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

fn person(browser: &Browser, chat: &Process, name: &str) -> Page {
    let mut page = Page::open(browser, &format!("http://{}/", chat.address()));
    page.wait_for("typeof me === 'string' && rooms.has('lobby')");
    page.wait_for("document.activeElement.id === 'text'");
    page.type_line(&format!("/nick {name}"));
    page.wait_for(&format!("me === '{name}'"));
    page
}

#[test]
fn two_people_in_a_browser_by_keyboard_alone() {
    let Some(browser) = Browser::open() else { return };
    let chat = chat(&[]);
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| person(&browser, &chat, name));
    // The style has passed the policy, and so has the script.
    assert_eq!(ann.value("getComputedStyle(document.body).display"), "flex");
    ann.wait_for("document.querySelector('#people').textContent.includes('bob')");

    const EVIL: &str = "<script>window.evil=1</script><img src=x onerror='window.evil=2'>";
    ann.type_line(EVIL);
    bob.wait_for("document.querySelector('#log').textContent.includes('window.evil=1')");
    assert!(bob.log().iter().any(|line| line.ends_with(EVIL)), "{:?}", bob.log());
    for page in [&mut ann, &mut bob] {
        assert_eq!(page.value("document.querySelectorAll('#log script, #log img').length + (window.evil ?? 0)"), 0);
    }
    ann.wait_for("waiting.length === 0");
    assert_eq!(
        ann.log().iter().filter(|line| line.ends_with(EVIL)).count(),
        1,
        "one's own message once: {:?}",
        ann.log()
    );

    move_between_rooms(&mut ann, &mut bob);

    // One person to another.
    ann.type_line("/msg bob psst <b>");
    bob.wait_for("rooms.get('@ann')?.lines.length === 1");

    // A connection breaks: all that was said meanwhile is there, once, in order.
    bob.value("socket.close()");
    for n in 1..=5 {
        ann.type_line(&format!("while away {n}"));
    }
    bob.wait_for("document.querySelector('#state').textContent === 'you are bob' && rooms.get('lobby').seen === 7");
    let away: Vec<String> = bob.log().into_iter().filter(|line| line.contains("while away")).collect();
    assert!(away.iter().map(|line| line.chars().last().unwrap()).eq("12345".chars()), "{away:?}");

    // A reload: the same person, with all that the rooms have kept.
    ann.call("Page.reload", json!({}));
    ann.wait_for("typeof me === 'string' && me === 'ann' && rooms.get('lobby')?.seen === 7");
    assert_eq!(ann.log().iter().filter(|line| line.contains("while away")).count(), 5, "{:?}", ann.log());

    for (name, width, dark) in
        [("wide", 1100, false), ("wide-dark", 1100, true), ("narrow", 390, false), ("narrow-dark", 390, true)]
    {
        bob.screenshot(name, width, dark);
    }
    bob.value("document.querySelector('#lists').click()");
    bob.screenshot("narrow-lists", 390, false);
}

/// Another room, and back: by command, by shortcut, by Tab.
fn move_between_rooms(ann: &mut Page, bob: &mut Page) {
    bob.type_line("/join tea");
    bob.wait_for("current === 'tea'");
    ann.type_line("are you there?");
    bob.wait_for("rooms.get('lobby').unread === 1");
    bob.press("ArrowUp", 38, 1);
    bob.wait_for("current === 'lobby' && document.querySelector('#log').textContent.includes('are you there?')");
    let mut steps = 0;
    while bob.value("document.activeElement.textContent") != "#tea" {
        bob.press("Tab", 9, 8);
        steps += 1;
        assert!(steps < 20, "no way to the list of rooms");
    }
    bob.press("Enter", 13, 0);
    bob.wait_for("current === 'tea' && document.activeElement.id === 'text'");
    bob.press("ArrowDown", 40, 1);
}
