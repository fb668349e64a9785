//! Each upstream has rules of its own: who is alive, how often is tried, how many connections there may be.

use crate::{
    PLAIN, Stage,
    support::{
        process::wait_until,
        raw::{Backend, Conn, refusing_address},
    },
    upstream,
};

fn two(web: &str, api: &str, more: &str) -> String {
    format!(
        "{PLAIN}[[site]]\nhosts = [\"t\"]\n[[site.route]]\npath = \"/web\"\nupstream = \"web\"\n\
         [[site.route]]\npath = \"/api\"\nupstream = \"api\"\n[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n{web}{api}{more}"
    )
}

#[test]
fn a_dead_upstream_is_not_the_others_concern() {
    let alive = Backend::saying("alive");
    let dead = format!(
        "[upstream.web]\nservers = [\"{}\"]\nretries = 0\nhealth = {{ interval = \"50ms\", fail-after = 1 }}\n",
        refusing_address()
    );
    let stage = Stage::new(&two(&dead, &upstream("api", &alive.name()), ""), 1);
    wait_until("the probe to fail", || stage.get("t", "/web").status() == 503);
    for _ in 0..10 {
        assert_eq!(stage.body("t", "/api"), "alive");
    }
    let stats = stage.proxy.stats();
    let of = |upstream: &str| {
        let rows = stats["backends"].as_array().unwrap();
        rows.iter().find(|row| row["upstream"] == upstream).unwrap().clone()
    };
    assert_eq!(
        (of("api")["requests"].as_u64(), of("web")["requests"].as_u64()),
        (Some(10), of("web")["requests"].as_u64())
    );
    assert!(of("web")["health"].to_string().contains("down"), "{}", of("web"));
}

#[test]
fn the_share_of_a_server_follows_its_weight() {
    let (light, heavy) = (Backend::saying("light"), Backend::saying("heavy"));
    let web = format!(
        "workers = 1\n{}",
        two(
            &format!(
                "[upstream.web]\nservers = [\"{}\", {{ address = \"{}\", weight = 3 }}]\nhealth = {{ probes = false }}\n",
                light.name(),
                heavy.name()
            ),
            &upstream("api", &light.name()),
            ""
        )
    );
    let stage = Stage::new(&web, 1);
    for _ in 0..40 {
        assert_eq!(stage.get("t", "/web").status(), 200);
    }
    assert_eq!((light.requests().len(), heavy.requests().len()), (10, 30));
}

#[test]
fn a_limit_of_one_upstream_makes_no_other_wait() {
    let (slow, incoming) = Backend::by_hand();
    let quick = Backend::saying("quick");
    let web = format!(
        "[upstream.web]\nservers = [{{ address = \"{}\", max = 1 }}]\nhealth = {{ probes = false }}\n",
        slow.name()
    );
    let stage = Stage::new(&two(&web, &upstream("api", &quick.name()), "[queue]\nlimit = 0\n"), 1);
    let mut first = Conn::open(stage.proxy.address());
    first.send("GET /web HTTP/1.1\r\nHost: t\r\n\r\n");
    let mut server = incoming.accept();
    server.request().unwrap();
    assert_eq!(stage.get("t", "/web").status(), 503, "its only connection is taken, and nobody may wait");
    assert_eq!(stage.body("t", "/api"), "quick");
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    assert_eq!(first.response("GET").body, b"slow");
}

#[test]
fn one_server_may_be_in_several_upstreams() {
    let server = Backend::saying("hello");
    let stage = Stage::new(&two(&upstream("web", &server.name()), &upstream("api", &server.name()), ""), 1);
    assert_eq!((stage.body("t", "/web").as_str(), stage.body("t", "/api").as_str()), ("hello", "hello"));
    assert_eq!(server.connections(), 2, "each upstream has connections of its own");
}

#[test]
fn the_end_lets_requests_of_all_sites_finish() {
    let (slow, incoming) = Backend::by_hand();
    let mut stage = Stage::new(&two(&upstream("web", &slow.name()), &upstream("api", &slow.name()), ""), 1);
    let clients = ["/web", "/api"].map(|target| {
        let mut client = Conn::open(stage.proxy.address());
        client.send(format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"));
        let mut server = incoming.accept();
        server.request().unwrap();
        (client, server)
    });
    stage.proxy.signal("TERM");
    stage.proxy.wait_for_stderr("draining");
    for (mut client, mut server) in clients {
        server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        assert_eq!(client.response("GET").body, b"done");
    }
    assert_eq!(stage.proxy.wait().code(), Some(0));
}

/// A server may be in several upstreams, and each has its own opinion of it.
#[test]
fn the_log_names_the_upstream_of_a_server() {
    let of =
        |name: &str| format!("[upstream.{name}]\nservers = [\"127.0.0.1:1\"]\nhealth = {{ interval = \"100ms\" }}\n");
    let site = |name: &str| format!("[[site]]\nhosts = [\"{name}.test\"]\nupstream = \"{name}\"\n");
    let config = format!("{PLAIN}{}{}{}{}", site("one"), site("two"), of("one"), of("two"));
    let stage = Stage::new(&config, 1);
    for name in ["one", "two"] {
        stage.proxy.wait_for_stderr(&format!("WARN upstream {name}: probe of backend "));
        stage.proxy.wait_for_stderr(&format!("WARN upstream {name}: backend "));
    }
}

/// Fixed answers and redirects need no server.
#[test]
fn a_proxy_without_servers_is_ready() {
    let config = format!(
        "{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n[[site]]\nhosts = [\"a.test\"]\nrespond = 200\n"
    );
    let stage = Stage::new(&config, 1);
    let answer = Conn::open(stage.proxy.admin()).ask("GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"ready\n"[..]));
}
