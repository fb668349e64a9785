//! Another configuration while the proxy runs: all of it or nothing, and requests that run do not notice.

use crate::{
    PLAIN, Stage,
    support::{
        http2::Client,
        process::wait_until,
        raw::{Backend, Conn, refusing_address},
        tls::{Site, Special, Tls},
        websocket,
    },
    upstream,
};
use socket_patterns::net::DriverKind;
use std::net::{SocketAddr, TcpListener};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n";

fn site(host: &str, upstream: &str) -> String {
    format!("[[site]]\nhosts = [\"{host}\"]\nupstream = \"{upstream}\"\n")
}

fn config(parts: &[&str]) -> String {
    [PLAIN, ADMIN, &parts.concat()].concat()
}

fn servers(name: &str, servers: &[&Backend], more: &str) -> String {
    let list: Vec<String> = servers.iter().map(|server| format!("\"{}\"", server.name())).collect();
    format!("[upstream.{name}]\nservers = [{}]\nhealth = {{ probes = false }}\n{more}\n", list.join(", "))
}

/// The row of a server in `/stats`.
fn row(stage: &Stage, server: &Backend) -> serde_json::Value {
    let stats = stage.proxy.stats();
    let rows = stats["backends"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == server.name()).cloned().unwrap_or_default()
}

#[test]
fn sites_routes_and_upstreams_come_and_go() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let mut stage = Stage::new(&config(&[&site("a", "web"), &servers("web", &[&one], "")]), 1);
    let mut client = Conn::open(stage.proxy.address());
    let mut ask = |host: &str| client.ask(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!((ask("a").body, ask("b").status()), (b"one".to_vec(), 421));
    stage.reload(&config(&[&site("b", "api"), &servers("api", &[&two], "")]));
    assert_eq!((ask("a").status(), ask("b").body), (421, b"two".to_vec()), "on the connection that there was");
    for line in ["site a removed", "site b added", "upstream api added", "upstream web removed"] {
        stage.proxy.wait_for_stderr(&format!("reload: {line}"));
    }
    // Back again, with both.
    stage.reload(&config(&[
        &site("a", "web"),
        &site("b", "api"),
        &servers("web", &[&one], ""),
        &servers("api", &[&two], ""),
    ]));
    assert_eq!((ask("a").body, ask("b").body), (b"one".to_vec(), b"two".to_vec()));
}

#[test]
fn a_server_that_stays_keeps_its_connections_and_its_counts_and_a_new_one_begins_with_none() {
    let (one, two, three) = (Backend::saying("1"), Backend::saying("2"), Backend::saying("3"));
    let file = |list: &[&Backend]| format!("workers = 1\n{}", config(&[&site("a", "web"), &servers("web", list, "")]));
    let mut stage = Stage::new(&file(&[&one, &two]), 1);
    for _ in 0..4 {
        assert_eq!(stage.get("a", "/").status(), 200);
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
    stage.reload(&file(&[&two, &three]));
    for _ in 0..4 {
        assert_ne!(stage.body("a", "/"), "1");
    }
    assert_eq!((two.connections(), three.connections()), (1, 1), "the pooled connection was used again");
    assert_eq!((row(&stage, &one), &row(&stage, &two)["requests"]), (serde_json::Value::Null, &4.into()));
    stage.proxy.wait_for_stderr(&format!("reload: upstream web: server {} removed", one.name()));
    // Its id is free, and the next server may get it.
    stage.reload(&file(&[&two, &three, &one]));
    assert_eq!(row(&stage, &one)["requests"], 0);
    for _ in 0..6 {
        assert_eq!(stage.get("a", "/").status(), 200);
    }
    assert_eq!((&row(&stage, &one)["requests"], one.connections()), (&2.into(), 2));
}

#[test]
fn health_stays_with_a_server_over_a_reload() {
    let alive = Backend::saying("alive");
    let dead = refusing_address();
    let file = |more: &str| {
        config(&[
            &site("a", "web"),
            &format!(
                "[upstream.web]\nservers = [\"{}\", \"{dead}\"]\nbreaker = {{ failures = 1, open = \"1h\" }}\nhealth = {{ probes = false }}\n{more}",
                alive.name()
            ),
        ])
    };
    let mut stage = Stage::new(&file(""), 1);
    for _ in 0..8 {
        assert_eq!(stage.body("a", "/"), "alive");
    }
    stage.proxy.wait_for_stderr("breaker open");
    stage.reload(&file("retries = 0\n"));
    for _ in 0..8 {
        assert_eq!(stage.body("a", "/"), "alive", "without retries, a request to the dead one would fail");
    }
}

#[test]
fn a_weight_counts_from_the_reload_on() {
    let (light, heavy) = (Backend::saying("light"), Backend::saying("heavy"));
    let file = |weight: u32| {
        let (light, heavy) = (light.name(), heavy.name());
        let server = format!("{{ address = \"{heavy}\", weight = {weight} }}");
        let web = format!("[upstream.web]\nservers = [\"{light}\", {server}]\nalgorithm = \"weighted-round-robin\"\n");
        format!("workers = 1\n{}", config(&[&site("a", "web"), &web, "health = { probes = false }\n"]))
    };
    let mut stage = Stage::new(&file(1), 1);
    let count = |stage: &Stage| {
        let before = heavy.requests().len();
        (0..8).for_each(|_| assert_eq!(stage.get("a", "/").status(), 200));
        heavy.requests().len() - before
    };
    assert_eq!(count(&stage), 4);
    stage.reload(&file(3));
    assert_eq!(count(&stage), 6);
    stage.proxy.wait_for_stderr("weight 1 → 3");
}

#[test]
fn a_request_that_runs_ends_as_it_began_and_the_next_one_does_not() {
    let (slow, incoming) = Backend::by_hand();
    let other = Backend::saying("other");
    let limit = |bytes: u32| format!("[limits]\nmax-body = {bytes}\n");
    let mut stage = Stage::new(&config(&[&site("a", "web"), &servers("web", &[&slow], ""), &limit(100)]), 1);
    let mut client = Conn::open(stage.proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut server = incoming.accept();
    server.read_until("hello");
    // Its server is gone, its site leads elsewhere, and its body is too long now.
    stage.reload(&config(&[&site("a", "api"), &servers("api", &[&other], ""), &limit(4)]));
    client.send("6\r\n world\r\n0\r\n\r\n");
    server.read_until("0\r\n\r\n");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    assert_eq!(client.response("POST").body, b"slow");
    stage.proxy.wait_for_stderr("upstream=\"web\"");
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"other");
    let long = client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(long.status(), 413);
    server.expect_end();
}

#[test]
fn a_request_that_is_tried_again_looks_for_a_server_of_its_own_configuration() {
    let (slow, incoming) = Backend::by_hand();
    let (second, other) = (Backend::saying("second"), Backend::saying("other"));
    let file = |parts: &[&str]| format!("workers = 1\n{}", config(parts));
    let mut stage = Stage::new(&file(&[&site("a", "web"), &servers("web", &[&slow, &second], "")]), 1);
    let mut client = Conn::open(stage.proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut server = incoming.accept();
    server.request().unwrap();
    stage.reload(&file(&[&site("a", "api"), &servers("api", &[&other], "")]));
    drop(server);
    assert_eq!(client.response("GET").body, b"second");
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"other");
}

#[test]
fn websockets_live_on_whether_their_route_stays_or_not() {
    let (server, incoming) = Backend::by_hand();
    let other = Backend::saying("other");
    let mut stage =
        Stage::new(&config(&["[[site]]\ndefault = true\nupstream = \"web\"\n", &servers("web", &[&server], "")]), 1);
    let (mut near, mut far) = websocket::open(&stage.proxy, &incoming);
    for round in 0..3 {
        let upstream = if round == 1 { servers("web", &[&server, &other], "") } else { servers("web", &[&other], "") };
        stage.reload(&config(&["[[site]]\ndefault = true\nupstream = \"web\"\n", &upstream]));
        near.send(format!("ping{round}"));
        assert_eq!(far.read(5), format!("ping{round}").as_bytes());
        far.send(format!("pong{round}"));
        assert_eq!(near.read(5), format!("pong{round}").as_bytes());
    }
    drop(far);
    near.expect_end();
}

#[test]
fn streams_of_one_connection_each_end_as_they_began() {
    let (slow, incoming) = Backend::by_hand();
    let other = Backend::saying("other");
    let site = |upstream: &str| site("test", upstream);
    let mut stage = Stage::new(&config(&[&site("web"), &servers("web", &[&slow], "")]), 1);
    let mut client = Client::plain(stage.proxy.address());
    let first = client.begin_at("test", "GET", "/", &[], true);
    client.flush();
    let mut server = incoming.accept();
    server.request().unwrap();
    stage.reload(&config(&[&site("api"), &servers("api", &[&other], "")]));
    let second = client.begin_at("test", "GET", "/", &[], true);
    assert_eq!(client.answer(second).text(), "other");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    assert_eq!(client.answer(first).text(), "slow");
}

#[test]
fn a_stored_answer_stays_stored() {
    let server = Backend::answering("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nkept");
    let file = |more: &str| config(&[&site("a", "web"), &servers("web", &[&server], more), "[cache]\nsize = \"1m\"\n"]);
    let mut stage = Stage::new(&file(""), 1);
    assert_eq!(stage.body("a", "/"), "kept");
    stage.reload(&file("retries = 0"));
    assert_eq!(stage.body("a", "/"), "kept");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_its_mistake_has_a_place() {
    let server = Backend::saying("one");
    let good = config(&[&site("a", "web"), &upstream("web", &server.name())]);
    let mut stage = Stage::new(&good, 1);
    let cases = [
        ("[[site\n".to_owned(), "proxy.toml:1:"),
        (format!("{good}\ntypo = 1\n"), "typo"),
        (format!("{good}[tls]\nmin = \"1.2\"\n"), "means nothing without TLS"),
        (good.replace("upstream = \"web\"", "upstream = \"wbe\""), "proxy.toml:"),
        (good.replace(&server.name(), "127.0.0.1"), "the port is missing"),
    ];
    for (number, (file, message)) in (1..).zip(&cases) {
        stage.write(file);
        stage.proxy.signal("HUP");
        stage.wait_for("not reloaded: ", number);
        stage.proxy.wait_for_stderr(message);
        assert_eq!(stage.body("a", "/"), "one");
    }
    stage.reload(&good);
    assert!(stage.proxy.stderr().contains("differences=0"), "{}", stage.proxy.stderr());
}

#[test]
fn a_certificate_that_cannot_be_read_changes_nothing() {
    let sites = [Site::new(&["a.test"]), Site::new(&["b.test"])];
    let server = Backend::saying("hello");
    let file = |certified: &[(&str, &Site)]| {
        let site = |(host, site): &(&str, &Site)| {
            let (certificate, key) = (site.certificate.display(), site.key.display());
            format!(
                "[[site]]\nhosts = [\"{host}\"]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nupstream = \"web\"\n"
            )
        };
        let sites: String = certified.iter().map(site).collect();
        [PLAIN, PLAIN.trim_end(), "\ntls = true\n", &sites, &upstream("web", &server.name())].concat()
    };
    let mut stage = Stage::new(&file(&[("a.test", &sites[0])]), 2);
    let both = file(&[("a.test", &sites[0]), ("b.test", &sites[1])]);
    let chain = std::fs::read_to_string(&sites[1].certificate).unwrap();
    std::fs::write(&sites[1].certificate, "nonsense").unwrap();
    stage.write(&both);
    stage.proxy.signal("HUP");
    stage.wait_for("not reloaded: ", 1);
    assert!(stage.proxy.stderr().contains("proxy.toml:"), "{}", stage.proxy.stderr());
    assert_eq!(stage.get("b.test", "/").status(), 421);
    std::fs::write(&sites[1].certificate, chain).unwrap();
    stage.reload(&both);
    for host in ["a.test", "b.test"] {
        assert_eq!(Tls::open(stage.proxy.tls_address(), host).get("/", host).body, b"hello");
    }
    sites[0].renew(&["a.test", "new.test"], Special::default());
    stage.reload(&both);
    stage.proxy.wait_for_stderr("reload: certificate for a.test new.test added, ends 20");
}

#[test]
fn keys_that_only_a_start_changes_are_named() {
    let server = Backend::saying("one");
    let file = config(&[&site("a", "web"), &upstream("web", &server.name())]);
    let mut stage = Stage::new(&format!("workers = 1\n{file}"), 1);
    stage.reload(&format!("workers = 2\n{file}"));
    stage.proxy.wait_for_stderr("workers stays 1 in this process");
    // It is said until it is true.
    stage.reload(&format!("workers = 2\n{file}"));
    assert_eq!(stage.proxy.stderr().matches("workers stays 1").count(), 2);
    stage.reload(&format!("workers = 1\n{file}"));
    assert_eq!(stage.proxy.stderr().matches("workers stays 1").count(), 2);
}

#[test]
fn a_reload_that_was_asked_for_by_http_is_answered_with_its_outcome() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let stage = Stage::new(&config(&[&site("a", "web"), &servers("web", &[&one], "")]), 1);
    let post = |more: &str| {
        let request = format!("POST /reload HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n{more}\r\n");
        let answer = Conn::open(stage.proxy.admin()).ask(&request);
        (answer.status(), String::from_utf8(answer.body).unwrap())
    };
    stage.write(&config(&[&site("a", "web"), &servers("web", &[&two], "")]));
    let (status, body) = post("Origin: http://evil.example\r\n");
    assert_eq!((status, body.as_str()), (403, "not from a page of another origin\n"));
    assert_eq!(post("Origin: http://test\r\n").0, 403);
    assert_eq!(stage.body("a", "/"), "one");
    let (status, body) = post("Origin: http://test\r\nX-Requested-With: live page\r\n");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(&format!("upstream web: server {} removed", one.name())), "{body}");
    assert_eq!(stage.body("a", "/"), "two");
    stage.write(&format!("workers = \"many\"\n{}", config(&[&site("a", "web"), &servers("web", &[&two], "")])));
    let (status, body) = post("");
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("proxy.toml:1:11"), "{body}");
    let get = Conn::open(stage.proxy.admin()).ask("GET /reload HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((get.status(), get.field("allow")), (405, Some("POST")));
}

/// Where the last reload has begun to listen.
fn new_address(stage: &Stage) -> SocketAddr {
    let log = stage.proxy.stderr();
    let (_, rest) =
        log.rsplit_once("reload: listening on http").expect("it says so before it says that it has reloaded");
    let address = rest.trim_start_matches("s://").trim_start_matches("://").split_whitespace().next();
    address.and_then(|address| address.parse().ok()).expect("an address")
}

#[test]
fn listeners_come_and_go_and_connections_stay() {
    let server = Backend::saying("hello");
    let file = |listeners: &str| [listeners, ADMIN, &site("a", "web"), &upstream("web", &server.name())].concat();
    for driver in ["epoll", "io-uring"] {
        if driver == "io-uring" && DriverKind::IoUring.choose().is_err() {
            continue;
        }
        let file = |listeners: &str| format!("driver = \"{driver}\"\n{}", file(listeners));
        let mut stage = Stage::new(&file(PLAIN), 1);
        let first = stage.proxy.address();
        let mut old = Conn::open(first);
        let mut ask = || old.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body;
        assert_eq!(ask(), b"hello");
        stage.reload(&file(&[PLAIN, "[[listen]]\naddress = \"[::1]:0\"\n"].concat()));
        let second = new_address(&stage);
        for at in [first, second, first, second] {
            assert_eq!(Conn::open(at).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"hello");
        }
        stage.reload(&file("[[listen]]\naddress = \"[::1]:0\"\n"));
        wait_until("the first address to be free", || TcpListener::bind(first).is_ok());
        assert_eq!(ask(), b"hello", "a connection outlives its listener");
        assert_eq!(Conn::open(second).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"hello");
        stage.proxy.signal("TERM");
        assert_eq!(stage.proxy.wait().code(), Some(0));
    }
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    let server = Backend::saying("hello");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let file = |listeners: &str, host: &str| {
        [PLAIN, listeners, ADMIN, &site(host, "web"), &upstream("web", &server.name())].concat()
    };
    let mut stage = Stage::new(&file("", "a"), 1);
    // One that could be had, and one that cannot.
    let listeners = format!("{PLAIN}[[listen]]\naddress = \"{at}\"\n");
    stage.write(&file(&listeners, "b"));
    let before = stage.proxy.settled_descriptors();
    stage.proxy.signal("HUP");
    stage.wait_for("not reloaded: ", 1);
    let place = format!("proxy.toml:6:11: port {} is in use", at.port());
    assert!(stage.proxy.stderr().contains(&place), "{}", stage.proxy.stderr());
    assert_eq!((stage.body("a", "/").as_str(), stage.get("b", "/").status()), ("hello", 421));
    stage.proxy.wait_for_descriptors(before + 1);
    drop(taken);
    stage.reload(&file(&listeners, "b"));
    assert_eq!(Conn::open(at).ask("GET / HTTP/1.1\r\nHost: b\r\n\r\n").body, b"hello");
}

#[test]
fn a_listener_begins_with_tls_and_leaves_it() {
    let (certified, server) = (Site::new(&["a.test"]), Backend::saying("hello"));
    let (certificate, key) = (certified.certificate.display(), certified.key.display());
    let file = |tls: &str| {
        let sites = format!(
            "[[site]]\nhosts = [\"a.test\"]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nupstream = \"web\"\n"
        );
        [
            PLAIN,
            PLAIN.trim_end(),
            "\ntls = true\n",
            "[[listen]]\naddress = \"[::1]:0\"\n",
            tls,
            &sites,
            &upstream("web", &server.name()),
        ]
        .concat()
    };
    let mut stage = Stage::new(&file(""), 3);
    // READY lines: first those without TLS.
    let (plain, other, secure) = (stage.proxy.ready[0], stage.proxy.ready[1], stage.proxy.ready[2]);
    let mut kept = Conn::open(other);
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(kept.ask(request).body, b"hello");
    stage.reload(&file("tls = true\n"));
    assert_eq!(Tls::open(other, "a.test").get("/", "a.test").body, b"hello");
    assert_eq!(kept.ask(request).body, b"hello");
    stage.reload(&file(""));
    assert_eq!(Conn::open(other).ask(request).body, b"hello");
    assert_eq!(Conn::open(plain).ask(request).body, b"hello");
    assert_eq!(Tls::open(secure, "a.test").get("/", "a.test").body, b"hello");
}
