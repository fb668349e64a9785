//! A browser without a window: a page over HTTP/2 with what belongs to it, and a WebSocket on the same connection.

use super::{Peer, Scene, command, site};
use crate::support::{process::wait_until_within, tls::pin_of, wire::Message};
use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A browser is many programs, and needs seconds to begin even on a machine with nothing else to do.
const BROWSER_PATIENCE: Duration = Duration::from_secs(60);

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
    "--no-proxy-server",
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
    // No name means anything but the proxy's, so that nothing outside of the loopback can be found.
    "--host-resolver-rules=MAP test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// The browser and the programs that it has started: a group of processes, which ends as one.
struct Browser(Child);

impl Browser {
    fn open(peer: Peer, scene: &Scene, certificate: &Path, url: &str) -> Self {
        let mut command = command(peer.program, &scene.folder);
        // The authority of the tests is in no store of its own; any other certificate than this one is refused as usual.
        let pin = pin_of(&fs::read_to_string(certificate).unwrap());
        command.args(FLAGS).args([format!("--ignore-certificate-errors-spki-list={pin}")]);
        command.arg(format!("--user-data-dir={}", scene.path("profile").display())).arg(url);
        let log = fs::File::create(scene.path("browser.log")).unwrap();
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its id is the group's as long as nobody has waited for it.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn a_browser_shows_a_page_over_http2_and_its_websocket_works() {
    let Some(peer) = Peer::find(&["chromium", "chromium-browser", "google-chrome"], &["--version"]) else { return };
    let scene = Scene::new(site::start(), &[]);
    let url = format!("https://test:{}/", scene.port());
    let browser = Browser::open(peer, &scene, &scene.stage.site.certificate, &url);
    let asked = |path: &str| -> Option<Message> {
        let requests = scene.stage.backend.requests();
        requests.into_iter().find(|request| request.head.as_ref().is_some_and(|head| head.target() == path))
    };
    wait_until_within(BROWSER_PATIENCE, "the page to report", || asked("/report").is_some());
    drop(browser);
    let report = String::from_utf8(asked("/report").unwrap().body).unwrap();
    assert_eq!(report, site::REPORT, "{}", fs::read_to_string(scene.path("browser.log")).unwrap());
    // All of it came over HTTP/2: the WebSocket, too, as a stream of the connection that there is (RFC 8441).
    for path in ["/", "/style.css", "/picture.svg", "/item/7", "/length", "/events", "/chat"] {
        assert_eq!(asked(path).unwrap().field("via"), Some("2.0 socket-patterns"), "{path}");
    }
    scene.expect_no_complaint();
}
