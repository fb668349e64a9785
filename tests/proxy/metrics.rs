//! `/metrics`: a page that Prometheus accepts, of a size that no client decides about, with numbers that balance whatever happens.

use crate::{
    PLAIN, Stage,
    support::{
        http2::Client,
        process::{programs_are_required, wait_until},
        raw::{Backend, Conn, Served},
    },
    upstream,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n";

/// The numbers of a page, by their names with labels.
#[derive(Debug)]
struct Page {
    text: String,
    numbers: BTreeMap<String, f64>,
}

impl Page {
    fn of(stage: &Stage) -> Self {
        let answer = Conn::open(stage.proxy.admin()).ask("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(
            (answer.status(), answer.field("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8"))
        );
        let text = String::from_utf8(answer.body).unwrap();
        let mut numbers = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(numbers.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} is there twice");
        }
        Self { text, numbers }
    }

    fn number(&self, name: &str) -> f64 {
        *self.numbers.get(name).unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }

    /// All numbers of a family together.
    fn sum(&self, family: &str) -> f64 {
        let of = |name: &str| name.split('{').next() == Some(family);
        self.numbers.iter().filter(|(name, _)| of(name)).map(|(_, number)| number).sum()
    }

    /// The laws that do not hold.
    fn imbalance(&self) -> Vec<String> {
        let one = |name| self.sum(&format!("proxy_{name}"));
        let over = one("requests_answered_total") + one("requests_aborted_total");
        let laws = [
            (
                "connections",
                one("connections_accepted_total"),
                one("connections_open") + one("connections_closed_total"),
            ),
            ("requests", one("requests_total"), one("requests_running") + over),
            (
                "connections to servers",
                one("backend_connections_opened_total"),
                one("backend_connections") + one("backend_connections_closed_total"),
            ),
            ("requests to servers", one("server_connections"), one("backend_connections")),
            ("durations", one("request_duration_seconds_count"), over),
        ];
        laws.iter().filter(|(_, left, right)| (left - right).abs() > 0.1).map(|law| format!("{law:?}")).collect()
    }
}

/// Waits until the numbers are these, and balance.
fn wait_for(stage: &Stage, expected: &[(&str, f64)]) -> Page {
    let mut seen = Page::of(stage);
    let holds = |page: &Page| {
        page.imbalance().is_empty() && expected.iter().all(|(name, number)| (page.sum(name) - number).abs() < 0.1)
    };
    for _ in 0..2000 {
        if holds(&seen) {
            return seen;
        }
        std::thread::yield_now();
        seen = Page::of(stage);
    }
    panic!("{expected:?}, and no {:?}, in\n{}", seen.imbalance(), seen.text);
}

/// A server that does as the path says.
fn moody(mut served: Served) {
    while let Some(request) = served.request() {
        let target = request.head.unwrap().target().to_owned();
        let answer: &[u8] = match target.as_str() {
            "/cached" => b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx",
            _ if target.starts_with("/hang") => continue,
            "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
            "/last" => b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
            "/close" => return,
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        };
        if served.conn.try_send(answer).is_err() || ["/cut", "/last"].contains(&target.as_str()) {
            return;
        }
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

fn moody_stage(keys: &str) -> (Stage, Backend) {
    let backend = Backend::start(moody);
    let server = upstream("web", &backend.name());
    let config = format!(
        "{PLAIN}{ADMIN}{keys}[[site]]\nname = \"a\"\nhosts = [\"a.test\"]\nupstream = \"web\"\n{server}\
         breaker = {{ failures = 0 }}\n"
    );
    (Stage::new(&config, 1), backend)
}

/// Two streams wait, and two clients are there.
fn the_statistics_say_the_same(stats: &Value) {
    let of = |at: &str| stats.pointer(at).and_then(Value::as_u64).unwrap();
    assert_eq!(of("/connections/accepted"), of("/connections/open") + of("/connections/closed"));
    assert_eq!(of("/requests/total"), of("/requests/running") + of("/requests/responses") + of("/requests/aborted"));
    assert_eq!(of("/pool/opened"), of("/pool/idle") + of("/pool/busy") + of("/pool/closed"));
    assert_eq!((of("/requests/running"), of("/connections/open")), (2, 2));
}

#[test]
fn the_numbers_balance_whatever_becomes_of_requests() {
    let (stage, _backend) = moody_stage("");
    let open = || Conn::open(stage.proxy.address());
    wait_for(&stage, &[("proxy_connections_accepted_total", 0.0)]);
    let mut kept = open();
    for target in ["/ok", "/cached", "/cached", "/last", "/ok", "/close"] {
        kept.ask(&get(target));
    }
    // One connection is idle, and each answer was counted.
    let page = wait_for(&stage, &[("proxy_connections_open", 1.0), ("proxy_requests_running", 0.0)]);
    assert!((page.number("proxy_requests_answered_total") - 6.0).abs() < 0.1, "{}", page.text);
    assert!((page.number("proxy_cache_hits_total") - 1.0).abs() < 0.1);
    assert!((page.number("proxy_responses_total{class=\"5xx\"}") - 1.0).abs() < 0.1);
    assert!((page.number("proxy_upstream_request_duration_seconds_count{upstream=\"web\"}") - 5.0).abs() < 0.1);
    // An answer that breaks off, bytes that are no request, a host that nobody has.
    let mut cut = open();
    cut.send(get("/cut"));
    cut.read_to_end();
    open().ask("nonsense\r\n\r\n");
    open().ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    // Clients that go: while they wait, and in the middle of what they send.
    for request in [get("/hang"), "POST /hang HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nabc".to_owned()] {
        let mut gone = open();
        gone.send(request);
        wait_for(&stage, &[("proxy_requests_running", 1.0)]);
        gone.reset();
        wait_for(&stage, &[("proxy_requests_running", 0.0)]);
    }
    let page = wait_for(&stage, &[("proxy_connections_open", 1.0)]);
    for (name, number) in [("aborted", 3.0), ("refused", 1.0)] {
        assert!((page.number(&format!("proxy_requests_{name}_total")) - number).abs() < 0.1, "{name}\n{}", page.text);
    }
    // Streams: one is answered, one is given up, two wait.
    let mut client = Client::plain(stage.proxy.address());
    let [first, given_up, second, third] =
        ["/ok", "/hang/1", "/hang/2", "/hang/3"].map(|path| client.begin_at("a.test", "GET", path, &[], true));
    assert_eq!(client.answer(first).status, 200);
    wait_for(&stage, &[("proxy_requests_running", 3.0)]);
    client.reset(given_up);
    client.flush();
    let page = wait_for(&stage, &[("proxy_requests_running", 2.0), ("proxy_connections_open", 2.0)]);
    assert!((page.number("proxy_http2_streams_given_up_total") - 1.0).abs() < 0.1);
    assert!((page.sum("proxy_server_requests_running") - 2.0).abs() < 0.1, "{}", page.text);
    the_statistics_say_the_same(&stage.proxy.stats());
    // A client that only closes would still be waited for: it may listen.
    [second, third].into_iter().for_each(|stream| client.reset(stream));
    client.flush();
    drop(client);
    drop(kept);
    wait_for(
        &stage,
        &[("proxy_connections_open", 0.0), ("proxy_requests_running", 0.0), ("proxy_server_requests_running", 0.0)],
    );
}

#[test]
fn the_numbers_balance_when_time_runs_out() {
    let (stage, _backend) =
        moody_stage("[deadlines]\nhead = \"300ms\"\nidle = \"300ms\"\nfirst-byte = \"300ms\"\nbody = \"300ms\"\n");
    let open = || Conn::open(stage.proxy.address());
    assert_eq!(open().ask(&get("/hang")).status(), 504);
    let mut slow = open();
    slow.send("GET / HTTP");
    assert_eq!(slow.response("GET").status(), 408);
    let mut slow = open();
    slow.send("POST /ok HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nabc");
    slow.read_to_end();
    let mut idle = open();
    assert_eq!(idle.ask(&get("/ok")).status(), 200);
    idle.expect_end();
    let page = wait_for(
        &stage,
        &[("proxy_connections_open", 0.0), ("proxy_requests_running", 0.0), ("proxy_server_requests_running", 0.0)],
    );
    assert!((page.number("proxy_errors_total{reason=\"first byte timeout\"}") - 1.0).abs() < 0.1, "{}", page.text);
    assert!(
        (page.number("proxy_connections_let_go_total{reason=\"idle timeout\"}") - 1.0).abs() < 0.1,
        "{}",
        page.text
    );
    assert!(page.number("proxy_request_duration_seconds_sum{site=\"a\"}") >= 0.3);
}

#[test]
fn prometheus_accepts_the_page() {
    let (stage, _backend) = moody_stage("[cache]\nsize = \"1m\"\n");
    let mut conn = Conn::open(stage.proxy.address());
    ["/ok", "/close"].into_iter().for_each(|target| drop(conn.ask(&get(target))));
    conn.ask("GET / HTTP/1.1\r\nHost: \"\r\n\r\n");
    let page = Page::of(&stage);
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        assert!(!programs_are_required(), "promtool is not installed");
        return eprintln!("skipped: whether Prometheus accepts the page, since promtool is not installed");
    };
    promtool.stdin.take().unwrap().write_all(page.text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{}", String::from_utf8_lossy(&said), page.text);
}

#[test]
fn open_metrics_is_spoken_to_those_that_ask_for_it() {
    let (stage, _backend) = moody_stage("");
    let mut conn = Conn::open(stage.proxy.admin());
    let answer = conn.ask("GET /metrics HTTP/1.1\r\nHost: test\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n");
    assert_eq!(answer.field("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.ends_with("\n# EOF\n") && text.contains("# TYPE proxy_requests counter\nproxy_requests_total 0\n"),
        "{text}"
    );
    assert_eq!(conn.ask("HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n").status(), 200);
    let refused = conn.ask("POST /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((refused.status(), refused.field("allow")), (405, Some("GET, HEAD")));
    // A name that a web page in the operator's browser could have.
    assert_eq!(Conn::open(stage.proxy.admin()).ask("GET /metrics HTTP/1.1\r\nHost: evil.test\r\n\r\n").status(), 421);
}

/// A server that comes gets the id of one that has gone, and must not inherit its counts.
#[test]
fn counters_go_on_after_a_reload_and_those_of_a_removed_server_or_site_go() {
    let [stays, goes, comes] = ["stays", "goes", "comes"].map(Backend::saying);
    let config = |sites: &str, servers: &[&Backend]| {
        let names: Vec<String> = servers.iter().map(|server| format!("\"{}\"", server.name())).collect();
        format!(
            "{PLAIN}{ADMIN}{sites}[[site]]\nhosts = [\"a.test\"]\nupstream = \"web\"\n[upstream.web]\nservers = [{}]\n\
             health = {{ probes = false }}\n",
            names.join(", ")
        )
    };
    let site = "[[site]]\nhosts = [\"gone.test\"]\nrespond = 404\n";
    let mut stage = Stage::new(&config(site, &[&stays, &goes]), 1);
    let requests =
        |server: &Backend| format!("proxy_server_requests_total{{upstream=\"web\",server=\"{}\"}}", server.name());
    let ask = |stage: &Stage| (0..10).for_each(|_| drop(stage.get("a.test", "/")));
    ask(&stage);
    let before = wait_for(&stage, &[("proxy_requests_answered_total", 10.0), ("proxy_connections_open", 0.0)]);
    assert!((before.number(&requests(&goes)) - 5.0).abs() < 0.1, "{}", before.text);
    stage.reload(&config("", &[&stays]));
    stage.reload(&config("", &[&stays, &comes]));
    let after = Page::of(&stage);
    assert!((after.number("proxy_config_reloads_total{result=\"done\"}") - 2.0).abs() < 0.1, "{}", after.text);
    for (name, number) in &before.numbers {
        let is_gone = name.contains(&goes.name()) || name.contains("gone.test");
        assert_eq!(after.numbers.contains_key(name), !is_gone, "{name}");
        let is_counter =
            ["_total", "_count", "_bucket"].iter().any(|end| name.split('{').next().unwrap().ends_with(end));
        assert!(is_gone || !is_counter || after.number(name) >= *number, "{name}\n{}\n{}", before.text, after.text);
    }
    assert!(after.number(&requests(&comes)).abs() < 0.1, "{}", after.text);
    ask(&stage);
    wait_for(&stage, &[("proxy_requests_answered_total", 20.0)]);
    assert!((Page::of(&stage).number(&requests(&comes)) - 5.0).abs() < 0.1, "{}", Page::of(&stage).text);
}

#[test]
fn a_reload_that_failed_is_counted_and_the_process_tells_of_itself() {
    let (mut stage, _backend) = moody_stage("");
    let good = fs::read_to_string(stage.folder.path().join("proxy.toml")).unwrap();
    let before = Page::of(&stage);
    assert!((before.number("proxy_config_last_reload_successful") - 1.0).abs() < 0.1);
    stage.write("nonsense = 1\n");
    stage.proxy.signal("HUP");
    wait_for(&stage, &[("proxy_config_reloads_total", 1.0)]);
    assert!(Page::of(&stage).number("proxy_config_last_reload_successful").abs() < 0.1);
    stage.reload(&good);
    let after = wait_for(&stage, &[("proxy_config_last_reload_successful", 1.0)]);
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_max_fds"] {
        assert!(after.number(name) > 0.0, "{}", after.text);
    }
    if cfg!(target_os = "linux") {
        assert!(after.number("process_resident_memory_bytes") > 1e6, "{}", after.text);
        // In whole seconds, and by the clock of another place in the kernel.
        let began = after.number("process_start_time_seconds");
        assert!((began - after.number("proxy_config_loaded_timestamp_seconds")).abs() < 3600.0, "{}", after.text);
    }
}

#[test]
fn no_client_makes_the_page_longer() {
    const REQUESTS: usize = 10_000;
    let config = format!(
        "access-log = false\n{PLAIN}{ADMIN}[[site]]\nhosts = [\"*.a.test\"]\nrespond = 404\n[[site]]\nhosts = [\"b.test\"]\n\
         [[site.route]]\npath = \"/x\"\nrespond = 200\n"
    );
    let stage = Stage::new(&config, 1);
    let mut conn = Conn::open(stage.proxy.address());
    let request = |n: usize| {
        let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15_usize) >> 20;
        let host = [format!("h{random}.a.test"), format!("h{random}.test"), "b.test".to_owned()][n % 3].clone();
        format!(
            "M{random} /p{random}/%4{}?q={random} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: u{random}\r\nX-{random}: 1\r\n\r\n",
            n % 10
        )
    };
    let mut ask = |range: std::ops::Range<usize>| {
        conn.send(range.clone().map(request).collect::<String>());
        range.for_each(|_| drop(conn.response("GET")));
    };
    ask(0..30);
    let names = |page: Page| page.numbers.into_keys().collect::<Vec<_>>();
    let before = names(Page::of(&stage));
    (30..REQUESTS).step_by(100).for_each(|from| ask(from..from + 100));
    let page = Page::of(&stage);
    assert!(page.number("proxy_requests_total") >= REQUESTS as f64, "{}", page.text);
    assert_eq!(names(page), before);
}

#[test]
fn a_thousand_sites_are_all_on_the_page() {
    let sites: String = (0..1000).map(|n| format!("[[site]]\nhosts = [\"s{n}.test\"]\nrespond = 404\n")).collect();
    let stage = Stage::new(&format!("{PLAIN}{ADMIN}{sites}"), 1);
    stage.get("s999.test", "/");
    wait_until("the request to be counted", || {
        Page::of(&stage).number("proxy_request_duration_seconds_count{site=\"s999.test\"}") > 0.0
    });
    assert!(Page::of(&stage).text.len() > 1_000_000);
}
