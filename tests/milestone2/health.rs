//! Tests of the health of backends: the evidence of probes and requests, and its effects.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone2},
        mortal::Mortal,
        process::{Process, wait_until},
        raw::{Backend, Conn, in_parallel, refusing_address},
    },
};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::SeqCst},
    },
};

from_milestone2! {
    over_http2 {
        a_killed_backend_is_seen_by_no_client_and_rejoins,
        nothing_is_sent_to_an_unhealthy_backend,
        the_health_status_decides,
        a_probe_that_hangs_takes_a_backend_out,
        running_requests_of_an_unhealthy_backend_are_finished,
        without_backends_that_live_the_answer_is_503,
        the_breaker_opens_and_closes_again,
        a_failed_trial_opens_the_breaker_again,
        a_request_that_is_sent_again_counts_once_against_its_backend,
        poison_takes_the_only_backend_from_nobody,
        a_backend_that_was_away_for_a_moment_is_back_at_once,
        a_passed_probe_lets_a_backend_in_at_once,
        probes_are_told_which_host_to_ask_for,
        our_own_shortage_takes_out_no_backend,
    }
}

const QUICK: &[&str] = &[
    "--health-interval",
    "30ms",
    "--health-max-interval",
    "60ms",
    "--health-timeout",
    "300ms",
    "--fail-after",
    "1",
    "--recover-after",
    "1",
    "--slow-start",
    "0s",
    "--log-level",
    "warn,socket_patterns::proxy::worker=info",
];

fn a_killed_backend_is_seen_by_no_client_and_rejoins(milestone: &Milestone) {
    let mut backends = ["a", "b", "c"].map(Mortal::saying);
    let names = [backends[0].name(), backends[1].name(), backends[2].name()];
    let proxy = milestone.start_before(&[&names[0], &names[1], &names[2]], QUICK);
    let stop = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Conn::open(proxy.address());
                while !stop.load(SeqCst) {
                    assert_eq!(client.ask(&get("/")).status(), 200, "a client saw the death of a backend");
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        let more = |n: usize| {
            let until = answered.load(SeqCst) + n;
            wait_until("answers", || answered.load(SeqCst) >= until);
        };
        for _ in 0..3 {
            more(100);
            backends[1].kill();
            more(300);
            let before = backends[1].requests();
            backends[1].revive();
            wait_until("it to get requests again", || backends[1].requests() > before);
        }
        stop.store(true, SeqCst);
    });
}

/// A backend whose health check answers with a status that can be changed.
fn patient(status: u16) -> (Backend, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(status));
    let shared = status.clone();
    let backend = Backend::start(move |mut served| {
        while let Ok(request) = served.conn.request() {
            let head = request.head.as_ref().unwrap();
            let answer = if head.target() == "/health" {
                format!("HTTP/1.1 {} Whatever\r\nContent-Length: 0\r\n\r\n", shared.load(SeqCst))
            } else {
                served.note(request);
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
            };
            if served.conn.try_send(answer).is_err() {
                return;
            }
        }
    });
    (backend, status)
}

/// How often the log says this.
fn times(proxy: &Process, text: &str) -> usize {
    proxy.stderr().matches(text).count()
}

fn nothing_is_sent_to_an_unhealthy_backend(milestone: &Milestone) {
    let (sick, status) = patient(200);
    let (well, _) = patient(200);
    let proxy = milestone.start_probing(&[&sick, &well], &[QUICK, &["--health-path", "/health"]].concat());
    let mut client = Conn::open(proxy.address());
    (0..10).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 200));
    assert_eq!((sick.requests().len(), well.requests().len()), (5, 5));
    for round in 0..3 {
        status.store(500, SeqCst);
        // The change is announced once, when it has happened.
        wait_until("it to be noticed", || times(&proxy, &format!("({}) down: ", sick.name())) > round);
        let before = sick.requests().len();
        (0..20).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 200));
        assert_eq!(sick.requests().len(), before, "an unhealthy backend was asked");
        status.store(200, SeqCst);
        wait_until("it to be noticed", || times(&proxy, &format!("({}) up: ", sick.name())) > round);
        (0..20).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 200));
        assert_eq!(sick.requests().len(), before + 10, "a healthy backend was not asked");
    }
}

fn the_health_status_decides(milestone: &Milestone) {
    for (range, status, healthy) in [
        ("200-399", 302, true),
        ("200-399", 404, false),
        ("200-399", 199, false),
        ("204", 204, true),
        ("204", 200, false),
    ] {
        let (backend, _) = patient(status);
        let flags = [QUICK, &["--health-path", "/health", "--health-status", range]].concat();
        let proxy = milestone.start_probing(&[&backend], &flags);
        let mut client = Conn::open(proxy.address());
        if healthy {
            // Probed twice at least, and still in.
            let before = backend.connections();
            wait_until("probes", || backend.connections() > before + 2);
            assert_eq!(client.ask(&get("/")).status(), 200, "{status} within {range}");
        } else {
            wait_until("it to be out", || client.ask(&get("/")).status() == 503);
        }
    }
}

fn a_probe_that_hangs_takes_a_backend_out(milestone: &Milestone) {
    let hangs = Backend::start(|mut served| {
        while let Ok(request) = served.conn.request() {
            if request.head.unwrap().target() == "/health" {
                let _ = served.conn.read_to_end();
                return;
            }
            let _ = served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let proxy = milestone.start_probing(&[&hangs], &[QUICK, &["--health-path", "/health"]].concat());
    let mut client = Conn::open(proxy.address());
    wait_until("it to be out", || client.ask(&get("/")).status() == 503);
}

fn running_requests_of_an_unhealthy_backend_are_finished(milestone: &Milestone) {
    let release = Arc::new(AtomicBool::new(false));
    let shared = release.clone();
    let backend = Backend::start(move |mut served| {
        while let Ok(request) = served.conn.request() {
            match request.head.as_ref().unwrap().target() {
                "/health" => served.conn.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
                "/slow" => {
                    served.note(request);
                    wait_until("the release", || shared.load(SeqCst));
                    served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
                }
                _ => served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            }
        }
    });
    // Five failures have to come together: time for the request to arrive before.
    let flags = [QUICK, &["--health-path", "/health"]].concat();
    let flags: Vec<&str> = flags.iter().map(|flag| if *flag == "1" { "5" } else { *flag }).collect();
    let proxy = milestone.start_probing(&[&backend], &flags);
    let mut slow = Conn::open(proxy.address());
    slow.send(get("/slow"));
    backend.wait_for_request(1);
    let mut client = Conn::open(proxy.address());
    wait_until("it to be out", || client.ask(&get("/")).status() == 503);
    release.store(true, SeqCst);
    assert_eq!(slow.response("GET").body, b"slow");
}

fn without_backends_that_live_the_answer_is_503(milestone: &Milestone) {
    let dead = [refusing_address().to_string(), refusing_address().to_string()];
    let proxy = milestone.start_before(&[&dead[0], &dead[1]], QUICK);
    let mut client = Conn::open(proxy.address());
    wait_until("both to be out", || client.ask(&get("/")).status() == 503);
    for request in [get("/"), "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".to_owned()] {
        let response = client.ask(&request);
        assert_eq!(response.status(), 503);
        assert!(response.field("retry-after").and_then(|after| after.parse().ok()).is_some_and(|s: u32| s >= 1));
        assert_eq!(response.field("proxy-status"), Some("socket-patterns; error=destination_unavailable"));
    }
}

/// A backend that breaks off until it is told to work.
fn broken() -> (Backend, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let shared = works.clone();
    let backend = Backend::start(move |mut served| {
        while served.request().is_some() {
            if !shared.load(SeqCst) || served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    });
    (backend, works)
}

const BREAKER: &[&str] = &[
    "--retries",
    "0",
    "--breaker-failures",
    "3",
    "--breaker-open",
    "400ms",
    "--breaker-successes",
    "2",
    "--breaker-keep",
    "0",
];

/// A request for the `n`th page: one that fails counts once, so that several are needed.
fn page(n: usize) -> String {
    get(&format!("/{n}"))
}

fn the_breaker_opens_and_closes_again(milestone: &Milestone) {
    let (backend, works) = broken();
    let proxy = milestone.start(&[&backend], BREAKER);
    let mut client = Conn::open(proxy.address());
    for n in 0..3 {
        assert_eq!(client.ask(&page(0)).status(), 502, "the same request, for the {n}th time");
    }
    for n in 1..3 {
        assert_eq!(client.ask(&page(n)).status(), 502, "another request, {n}");
    }
    let response = client.ask(&get("/"));
    assert_eq!(response.status(), 503);
    assert!(response.field("retry-after").is_some());
    assert_eq!(backend.requests().len(), 5, "an open breaker lets nothing through");
    works.store(true, SeqCst);
    wait_until("a trial", || client.ask(&get("/")).status() == 200);
    assert_eq!(backend.requests().len(), 6);
    in_parallel(4, |_| {
        let mut client = Conn::open(proxy.address());
        wait_until("it to be closed", || client.ask(&get("/")).status() == 200);
    });
    (0..20).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 200));
}

fn a_failed_trial_opens_the_breaker_again(milestone: &Milestone) {
    let (backend, _) = broken();
    let proxy = milestone.start(&[&backend], BREAKER);
    let mut client = Conn::open(proxy.address());
    (0..3).for_each(|n| assert_eq!(client.ask(&page(n)).status(), 502));
    for trial in 1..=2 {
        wait_until("a trial", || client.ask(&page(10 + trial)).status() == 502);
        assert_eq!(backend.requests().len(), 3 + trial, "one trial, not more");
        assert_eq!(client.ask(&get("/")).status(), 503);
    }
}

/// Else three requests that make it fail would count as nine.
fn a_request_that_is_sent_again_counts_once_against_its_backend(milestone: &Milestone) {
    let (backend, _) = broken();
    let flags = &["--workers", "1", "--retries", "2", "--retry-backoff", "1ms", "--breaker-failures", "3"];
    let proxy = milestone.start(&[&backend], &[flags, &["--breaker-keep", "0"][..]].concat());
    let mut client = Conn::open(proxy.address());
    for n in 1..=2 {
        assert_eq!(client.ask(&page(n)).status(), 502, "failure {n}");
        assert_eq!(backend.requests().len(), 3 * n, "it was sent again, twice");
    }
    // The third failure: no backend is left to send it to again.
    assert_eq!(client.ask(&page(3)).status(), 503);
    assert_eq!(backend.requests().len(), 7);
}

/// Some clients ask for a page at which the only backend breaks off; all others are served all the same, from the first
/// request on.
fn poison_takes_the_only_backend_from_nobody(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let poison = request.head.as_ref().unwrap().target().starts_with("/poison");
            if poison || served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    });
    for flags in [&["--retries", "0"][..], &["--retries", "0", "--breaker-failures", "1"], &[]] {
        let proxy = milestone.start(&[&backend], flags);
        let (mut bad, mut good) = (Conn::open(proxy.address()), Conn::open(proxy.address()));
        for n in 0..20 {
            // Whether it is always the same request or always another one.
            let target = if n % 2 == 0 { "/poison".to_owned() } else { format!("/poison/{n}") };
            assert_eq!(bad.ask(&get(&target)).status(), 502, "{flags:?}: {target}");
            assert_eq!(good.ask(&get("/")).status(), 200, "{flags:?}: after {target}");
        }
        (0..20).for_each(|n| assert_eq!(bad.ask(&get(&format!("/poison/{n}"))).status(), 502));
        assert_eq!(good.ask(&get("/")).status(), 200, "{flags:?}: after many in a row");
    }
}

/// Probes have not noticed, or have not had the time to: the first request after it is back is answered.
fn a_backend_that_was_away_for_a_moment_is_back_at_once(milestone: &Milestone) {
    let mut backend = Mortal::saying("hello");
    let name = backend.name();
    let flags = ["--health-interval", "1h", "--retries", "0"];
    let proxy = milestone.start_before(&[&name], &flags);
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask(&get("/")).status(), 200);
    for _ in 0..3 {
        backend.kill();
        for n in 0..20 {
            assert_eq!(client.ask(&page(n)).status(), 502, "nobody is there, and it is tried all the same");
        }
        backend.revive();
        assert_eq!(client.ask(&get("/")).body, b"hello");
    }
    proxy.wait_for_stderr("suspected: breaker open after 5 failed requests in a row, last: connection refused");
}

/// It would be held back for an hour; but it answers what it is asked for.
fn a_passed_probe_lets_a_backend_in_at_once(milestone: &Milestone) {
    let backend = Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let poison = request.head.as_ref().unwrap().target().starts_with("/poison");
            if poison || served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    });
    let flags = ["--breaker-failures", "3", "--breaker-open", "1h", "--breaker-keep", "0", "--retries", "0"];
    let flags = [QUICK, &flags, &["--health-path", "/health"]].concat();
    let proxy = milestone.start_probing(&[&backend], &flags);
    let mut client = Conn::open(proxy.address());
    for round in 0..3 {
        let mut n = 0;
        wait_until("the breaker to open", || {
            n += 1;
            client.ask(&get(&format!("/poison/{round}/{n}"))).status() == 503 || times(&proxy, "breaker open") > round
        });
        wait_until("it to be back", || client.ask(&get("/")).status() == 200);
        proxy.wait_for_stderr("up: breaker closed by a successful probe");
    }
}

fn probes_are_told_which_host_to_ask_for(milestone: &Milestone) {
    // As servers with several sites do: a name that they do not know is refused.
    let backend = Backend::start(|mut served| {
        while let Ok(request) = served.conn.request() {
            let known = request.head.as_ref().unwrap().field("host") == Some("www.example");
            let answer = if known {
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\nunknown host"
            };
            if served.conn.try_send(answer).is_err() {
                return;
            }
        }
    });
    let asking = [QUICK, &["--health-path", "/"]].concat();
    let proxy = milestone.start_probing(&[&backend], &asking);
    let mut client = Conn::open(proxy.address());
    let request = "GET / HTTP/1.1\r\nHost: www.example\r\n\r\n";
    wait_until("it to be out", || client.ask(request).status() == 503);
    // The log says what was wrong, once: the status, and what the backend said.
    let why = "failed: unexpected status 400, it answered \"HTTP/1.1 400 Bad Request\\r\\nContent-Length: 12\\r\\n\\r\\nunknown host\"";
    proxy.wait_for_stderr(why);
    let before = backend.connections();
    wait_until("more probes", || backend.connections() > before + 2);
    assert_eq!(times(&proxy, why), 1, "{}", proxy.stderr());

    let proxy = milestone.start_probing(&[&backend], &[&asking[..], &["--health-host", "www.example"]].concat());
    let before = backend.connections();
    wait_until("probes", || backend.connections() > before + 3);
    assert_eq!(Conn::open(proxy.address()).ask(request).status(), 200);
}

/// Descriptors run out, and come back.
fn our_own_shortage_takes_out_no_backend(milestone: &Milestone) {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let flags = ["--workers", "1", "--breaker-failures", "1", "--breaker-keep", "0", "--retries", "0"];
    let proxy = milestone.start_probing(&[&backend], &[QUICK, &flags].concat());
    let limit = |soft: String| {
        let limits = format!("--nofile={soft}:");
        let set = Command::new("prlimit").args(["--pid", &proxy.id().to_string(), &limits]).status();
        assert!(set.is_ok_and(|set| set.success()), "prlimit {limits}");
    };
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask(&get("/")).status(), 200);
    let refused = |client: &mut Conn| {
        let response = client.ask(&get("/"));
        let why = response.field("proxy-status").map(str::to_owned);
        response.status() == 503 && why.as_deref() == Some("socket-patterns; error=proxy_internal_error")
    };
    let taken = |number: &usize| std::path::Path::new(&format!("/proc/{}/fd/{number}", proxy.id())).exists();
    wait_until("descriptors to be lacking", || {
        // No number below the limit is free, so that nothing more can be opened; unless it was a probe's.
        limit((0..).take_while(taken).count().to_string());
        (0..10).all(|_| refused(&mut client))
    });
    proxy.wait_for_stderr("a probe could not be sent");
    limit("1024".to_owned());
    assert_eq!(client.ask(&get("/")).status(), 200);
    assert!(!proxy.stderr().contains(" down: "), "{}", proxy.stderr());
}
