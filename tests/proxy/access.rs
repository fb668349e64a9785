//! Clients that are let in, by their addresses and by a password.

use crate::{
    PLAIN,
    support::{
        http2,
        process::{Process, start_listening},
        raw::{Backend, Conn},
        wire::Message,
    },
    upstream,
};
use std::fs;
use tempfile::TempDir;

/// The hash that a system's `crypt` makes of `secret`.
const ANN: &str = "ann:$2y$04$DQUFBQUFBQUFBQUFBQUFBOvloasPCb6U/MniSGxRyDBMIxb1Nc/4O";

/// `ann:secret`, `ann:wrong`, `eve:secret`.
const RIGHT: &str = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
const WRONG: &str = "Authorization: Basic YW5uOndyb25n\r\n";
const UNKNOWN: &str = "Authorization: Basic ZXZlOnNlY3JldA==\r\n";

struct Place {
    proxy: Process,
    _folder: TempDir,
}

impl Place {
    fn new(sites: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        fs::write(&file, format!("{PLAIN}{sites}")).unwrap();
        fs::write(folder.path().join("users"), format!("{ANN}\n")).unwrap();
        let proxy = start_listening(env!("CARGO_BIN_EXE_proxy"), &["--config", file.to_str().unwrap()], 1);
        Self { proxy, _folder: folder }
    }

    fn ask(&self, target: &str, more: &str) -> Message {
        Conn::open(self.proxy.address()).ask(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{more}\r\n"))
    }
}

#[test]
fn addresses_are_let_in_or_kept_out_by_site_and_route() {
    let backend = Backend::saying("page");
    let place = Place::new(&format!(
        "[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\nallow = [\"10.0.0.0/8\", \"127.0.0.1\"]\ndeny = [\"10.9.0.0/16\"]\n\
         [[site.route]]\npath = \"/open\"\nupstream = \"web\"\ndeny = []\n\
         [[site.route]]\npath = \"/away\"\nredirect = \"https://b.test\"\nallow = [\"192.0.2.0/24\"]\n\
         [forwarding]\ntrusted-proxies = [\"127.0.0.0/8\"]\n{}",
        upstream("web", &backend.name())
    ));
    for (target, client, status) in [
        ("/", "", 200),
        ("/", "10.1.1.1", 200),
        ("/", "10.9.1.1", 403),
        ("/", "192.0.2.1", 403),
        ("/open", "192.0.2.1", 200),
        ("/away", "10.1.1.1", 403),
        ("/away", "192.0.2.1", 308),
    ] {
        let from = if client.is_empty() { String::new() } else { format!("X-Forwarded-For: {client}\r\n") };
        assert_eq!(place.ask(target, &from).status(), status, "{target} {client}");
    }
    place.proxy.wait_for_stderr("failure=\"address not let in\"");
}

#[test]
fn an_address_that_nobody_vouches_for_counts_for_nothing() {
    let place = Place::new(
        "[[site]]\nhosts = [\"a.test\"]\nrespond = { status = 200, body = \"x\" }\nallow = \"10.0.0.0/8\"\n",
    );
    assert_eq!(place.ask("/", "X-Forwarded-For: 10.1.1.1\r\n").status(), 403);
}

fn guarded(backend: &Backend) -> Place {
    Place::new(&format!(
        "[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\nauth = {{ users = \"users\", realm = \"the shop\" }}\n\
         [[site.route]]\npath = \"/open\"\nupstream = \"web\"\nauth = false\n\
         [[site.route]]\npath = \"/told\"\nupstream = \"web\"\nauth = {{ users = \"users\", pass-on = true }}\n\
         [[site.route]]\npath = \"/own\"\nupstream = \"web\"\nrequest-headers = {{ set = {{ Authorization = \"Bearer x\" }} }}\n\
         [[site.route]]\npath = \"/fixed\"\nrespond = {{ status = 200, body = \"fixed\" }}\n{}",
        upstream("web", &backend.name())
    ))
}

#[test]
fn a_user_says_who_it_is_and_others_are_asked() {
    let backend = Backend::saying("page");
    let place = guarded(&backend);
    for (more, status) in
        [(RIGHT, 200), (RIGHT, 200), (WRONG, 401), (UNKNOWN, 401), ("", 401), ("Authorization: Bearer x\r\n", 401)]
    {
        for target in ["/", "/fixed"] {
            let answer = place.ask(target, more);
            assert_eq!(answer.status(), status, "{target} {more}");
            let asked = answer.field("www-authenticate");
            assert_eq!(
                asked,
                (status == 401).then_some("Basic realm=\"the shop\", charset=\"UTF-8\""),
                "{target} {more}"
            );
        }
    }
    // One that sends its content at once is answered, too.
    let answer = Conn::open(place.proxy.address())
        .ask(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{RIGHT}Content-Length: 5\r\n\r\nhello"));
    assert_eq!(answer.status(), 200);
    let answer = Conn::open(place.proxy.address())
        .ask(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{WRONG}Content-Length: 5\r\n\r\nhello"));
    assert_eq!(answer.status(), 401);
    assert_eq!(place.ask("/open", "").status(), 200);
    place.proxy.wait_for_stderr("failure=\"not a user of the route\"");
    // The log tells the user, and no name that was only claimed.
    place.proxy.wait_for_stderr("user=\"ann\"");
    let refused = place.proxy.stderr().lines().any(|line| line.contains("status=401") && line.contains("user="));
    assert!(!refused, "{}", place.proxy.stderr());
    assert!(!place.proxy.stderr().contains("secret"));
}

#[test]
fn many_at_once_are_verified_once_and_all_answered() {
    let backend = Backend::saying("page");
    let place = guarded(&backend);
    let mut conns: Vec<Conn> = (0..20).map(|_| Conn::open(place.proxy.address())).collect();
    for conn in &mut conns {
        conn.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{RIGHT}\r\n"));
    }
    for conn in &mut conns {
        assert_eq!(conn.response("GET").status(), 200);
    }
    let mut client = http2::Client::plain(place.proxy.address());
    let of = |value: &'static str| [("authorization", value)];
    let streams = [of("Basic YW5uOnNlY3JldA=="), of("Basic YW5uOndyb25n")]
        .map(|fields| client.begin_at("a.test", "GET", "/", &fields, true));
    assert_eq!(streams.map(|stream| client.answer(stream).status), [200, 401]);
}

#[test]
fn a_backend_sees_no_password_unless_it_is_to() {
    let backend = Backend::saying("page");
    let place = guarded(&backend);
    for (target, more) in [("/", RIGHT), ("/told", RIGHT), ("/own", RIGHT), ("/open", WRONG)] {
        assert_eq!(place.ask(target, more).status(), 200);
    }
    let told: Vec<Option<String>> =
        backend.requests().iter().map(|request| request.field("authorization").map(str::to_owned)).collect();
    let basic = |text: &str| Some(text.trim_start_matches("Authorization: ").trim_end().to_owned());
    assert_eq!(told, [None, basic(RIGHT), Some("Bearer x".to_owned()), basic(WRONG)]);
}

#[test]
fn the_cache_gives_one_users_page_to_no_other() {
    let page =
        |more: &str| format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60{more}\r\nContent-Length: 4\r\n\r\npage");
    let (private, public) = (Backend::answering(page("")), Backend::answering(page(", public")));
    let place = Place::new(&format!(
        "[[site]]\nhosts = [\"a.test\"]\nupstream = \"private\"\nauth = \"users\"\n\
         [[site.route]]\npath = \"/public\"\nupstream = \"public\"\n{}{}",
        upstream("private", &private.name()),
        upstream("public", &public.name()),
    ));
    for _ in 0..3 {
        assert_eq!((place.ask("/", RIGHT).status(), place.ask("/public", RIGHT).status()), (200, 200));
    }
    // A stored response goes to users only.
    assert_eq!((place.ask("/", "").status(), place.ask("/public", "").status()), (401, 401));
    assert_eq!((private.requests().len(), public.requests().len()), (3, 1));
}

/// With `Max-Forwards: 0`, the proxy answers in the place of the server, to the same clients.
#[test]
fn the_last_hop_answers_only_clients_that_are_let_in() {
    let place = Place::new(
        "[[site]]\nhosts = [\"a.test\"]\nrespond = 200\n\
         [[site.route]]\npath = \"/barred\"\nrespond = 200\nallow = [\"10.0.0.0/8\"]\n\
         [[site.route]]\npath = \"/limited\"\nrespond = 200\nrate-limit = { rate = \"1/h\", burst = 2, key = \"site\" }\n\
         [[site.route]]\npath = \"/users\"\nrespond = 200\nauth = { users = \"users\" }\n",
    );
    for (host, target, more, status) in [
        ("a.test", "/", "", 200),
        ("a.test", "/barred", "", 403),
        ("a.test", "/limited", "", 200),
        ("a.test", "/limited", "", 200),
        ("a.test", "/limited", "", 429),
        ("a.test", "/users", "", 401),
        ("a.test", "/users", WRONG, 401),
        ("a.test", "/users", RIGHT, 200),
        ("b.test", "/", "", 421),
    ] {
        let request =
            |method: &str| format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nMax-Forwards: 0\r\n{more}\r\n");
        let answer = Conn::open(place.proxy.address()).ask(&request("TRACE"));
        assert_eq!(answer.status(), status, "{host} {target} {more}");
        assert_eq!(answer.body.starts_with(b"TRACE /"), status == 200, "{host} {target} {more}");
    }
}
