//! No path leaves the directory, in whatever spelling and whoever changes it meanwhile.

use crate::{SECRET, Site, drivers, get, support::raw::Conn};
use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Spellings that attackers send. `400` is for text that is no path at all.
const SPELLINGS: &[(&str, u16)] = &[
    ("/../secret", 404),
    ("/a/../../secret", 404),
    ("/a/b/../../../secret", 404),
    ("/./../secret", 404),
    ("/..", 404),
    ("/../", 404),
    ("/%2e%2e/secret", 404),
    ("/%2E%2E/secret", 404),
    ("/.%2e/secret", 404),
    ("/%2e./secret", 404),
    ("/..%2fsecret", 404),
    ("/%2e%2e%2fsecret", 404),
    ("/a%2f..%2f..%2fsecret", 404),
    ("/a/..%2f..%2fsecret", 404),
    ("/%252e%252e/secret", 404),
    ("/%252e%252e%252fsecret", 404),
    ("/..%5csecret", 404),
    ("/%2e%2e%5csecret", 404),
    ("/..%c0%afsecret", 404),
    ("/%c0%ae%c0%ae/secret", 404),
    ("/%e0%80%ae%e0%80%ae/secret", 404),
    ("/..%ef%bc%8fsecret", 404),
    ("/%uff0e%uff0e/secret", 400),
    ("/..;/secret", 404),
    ("/...//secret", 404),
    ("//secret", 404),
    ("/a//../../secret", 404),
    ("///../secret", 404),
    ("/%2fetc%2fpasswd", 404),
    ("//etc/passwd", 404),
    ("/..\\secret", 400),
    ("/a%00/../secret", 400),
    ("/secret%00.txt", 400),
    ("/%", 400),
    ("/%2", 400),
    ("secret", 400),
    ("../secret", 400),
    ("file:///etc/passwd", 400),
    ("http://a/../secret", 404),
    ("http://a/%2e%2e/secret", 404),
    ("/out", 404),
    ("/out/", 404),
    ("/up/secret", 404),
    ("/absolute", 404),
    ("/slash/etc/passwd", 404),
    ("/magic/etc/passwd", 404),
    ("/within/../../secret", 404),
    ("/.hidden", 404),
    ("/%2ehidden", 404),
    ("/.git/config", 404),
    ("/a/.hidden", 404),
    ("/.well-known/../../secret", 404),
];

fn site() -> Site {
    let files = [("a/b/file", "content"), (".hidden", SECRET), (".git/config", SECRET), ("a/.hidden", SECRET)];
    let site = Site::new(&files);
    symlink("../secret", site.path("out")).unwrap();
    symlink("..", site.path("up")).unwrap();
    symlink(site.above.path().join("secret"), site.path("absolute")).unwrap();
    symlink("/", site.path("slash")).unwrap();
    symlink("/proc/self/root", site.path("magic")).unwrap();
    symlink("a/b", site.path("within")).unwrap();
    site
}

#[test]
fn every_spelling_of_a_way_out_leads_nowhere() {
    let site = site();
    for driver in drivers() {
        let server = site.serve(driver, &[]);
        let nothing = Conn::open(server.address()).ask(&get("/nothing"));
        for (target, status) in SPELLINGS {
            let answer = Conn::open(server.address()).ask(&get(target));
            assert_eq!(answer.status(), *status, "{target}");
            let text = String::from_utf8_lossy(&answer.body);
            assert!(!text.contains("secret") && !text.contains("root:"), "{target}: {text}");
            if *status == 404 {
                assert_eq!(answer.body, nothing.body, "{target}: it tells that something is there");
            }
        }
        assert_eq!(Conn::open(server.address()).ask(&get("/a/b/file")).body, b"content");
        if cfg!(target_os = "linux") {
            assert_eq!(Conn::open(server.address()).ask(&get("/within/file")).body, b"content");
        }
    }
}

/// A directory becomes a link to the secret and back, again and again, while its file is asked for.
#[test]
fn a_directory_that_is_swapped_for_a_link_during_requests_leads_nowhere() {
    let site = Site::new(&[("real/secret", "content")]);
    symlink("..", site.path("link")).unwrap();
    fs::rename(site.path("real"), site.path("turns")).unwrap();
    for driver in drivers() {
        let server = site.serve(driver, &["--keep", "0s", "--access-log", "off"]);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    for (from, to) in [("turns", "real"), ("link", "turns"), ("turns", "link"), ("real", "turns")] {
                        fs::rename(site.path(from), site.path(to)).unwrap();
                    }
                }
            });
            let mut client = Conn::open(server.address());
            let (mut found, mut missed) = (0, 0);
            while found < 200 || missed < 200 {
                let answer = client.ask(&get("/turns/secret"));
                match answer.status() {
                    200 => {
                        assert_eq!(answer.body, b"content");
                        found += 1;
                    }
                    404 | 503 => missed += 1,
                    other => panic!("{other}"),
                }
            }
            over.store(true, Relaxed);
        });
    }
}

/// Each is answered at once: nothing waits for a writer, a listener or a device.
#[test]
fn pipes_sockets_and_devices_are_not_there() {
    let site = Site::new(&[("file", "content")]);
    assert!(Command::new("mkfifo").arg(site.path("fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(site.path("socket")).unwrap();
    // Devices are root's to make; elsewhere the link leads out.
    let _ = Command::new("mknod").arg(site.path("device")).args(["c", "1", "5"]).status();
    symlink("/dev/zero", site.path("zero")).unwrap();
    for driver in drivers() {
        let server = site.serve(driver, &["--disk-threads", "1"]);
        let mut client = Conn::open(server.address());
        for name in ["fifo", "socket", "device", "zero"] {
            assert_eq!(client.ask(&get(&format!("/{name}"))).status(), 404, "{name}");
        }
        assert_eq!(client.ask(&get("/file")).body, b"content");
    }
}

#[test]
fn a_redirect_stays_on_this_server() {
    let site = Site::new(&[("docs/a/file", "")]);
    let server = site.serve("auto", &[]);
    let mut client = Conn::open(server.address());
    for (target, location) in [
        ("/docs", Some("/docs/")),
        ("/docs?a=b&c=//host", Some("/docs/?a=b&c=//host")),
        ("/%64ocs/a", Some("/docs/a/")),
        ("http://elsewhere/docs", Some("/docs/")),
        ("//docs", None),
        ("//host/docs", None),
        ("/\\host/docs", None),
        ("/%5chost/docs", None),
        ("/docs/file", None),
    ] {
        let answer = Conn::open(server.address()).ask(&get(target));
        assert_eq!((answer.field("location"), answer.status() == 301), (location, location.is_some()), "{target}");
    }
    assert_eq!(client.ask(&get("/docs/")).status(), 200);
}

/// Linux takes any bytes for a name.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_served_and_listed() {
    use std::ffi::OsStr;
    let site = Site::new(&[]);
    for name in [&b"\xff\xfe.txt"[..], b"a%b", b"a b", b"a\\b", b"a\nb", "caf\u{e9}".as_bytes(), b"<b>"] {
        fs::write(site.path(OsStr::from_bytes(name)), name).unwrap();
    }
    let server = site.serve("auto", &[]);
    let mut client = Conn::open(server.address());
    let listing = client.ask(&crate::get_with("/", "Accept: application/json"));
    let listing: serde_json::Value = serde_json::from_slice(&listing.body).unwrap();
    let entries = listing["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 7);
    for entry in entries {
        let href = entry["href"].as_str().unwrap();
        let content = client.ask(&get(&format!("/{href}"))).body;
        assert!(fs::metadata(site.path(OsStr::from_bytes(&content))).is_ok(), "{href}");
    }
    let page = client.ask(&get("/"));
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("<a href=\"%3Cb%3E\">&lt;b&gt;</a>") && !page.contains("<b>"), "{page}");
}
