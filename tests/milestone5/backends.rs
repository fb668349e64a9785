//! Backends that speak TLS: what they get to see, what is kept of them, what passes.

use crate::{
    PROGRAM,
    support::{
        milestones::Milestone,
        process::{PATIENCE, Process, wait_until},
        raw::{Conn, End},
        tls::{Signer, Site, Special, Tls, authority, pair, pem_of},
        tls_backend::{Served, TlsBackend, config, config_asking, config_with, file, showing},
    },
};
use rustls::{ProtocolVersion, version};
use socket_patterns::net::DriverKind;
use std::{sync::mpsc, time::Duration};
use tempfile::NamedTempFile;

/// A proxy before such a backend.
pub(crate) struct Stage {
    pub(crate) proxy: Process,
    _authority: NamedTempFile,
}

impl Stage {
    pub(crate) fn new(specs: &[&str], flags: &[&str]) -> Self {
        Self::on(&PROGRAM, specs, flags)
    }

    pub(crate) fn on(program: &Milestone, specs: &[&str], flags: &[&str]) -> Self {
        let authority = file(&authority());
        let path = authority.path().to_str().unwrap();
        let quiet = ["--no-health", "--backend-ca", path];
        let flags: Vec<&str> = if flags.contains(&"--health-interval") { &quiet[1..] } else { &quiet[..] }
            .iter()
            .chain(flags)
            .copied()
            .collect();
        Self { proxy: program.start_before(specs, &flags), _authority: authority }
    }

    pub(crate) fn client(&self) -> Conn {
        Conn::open(self.proxy.address())
    }

    /// A page of `/stats`.
    pub(crate) fn stats(&self) -> String {
        let stats = Conn::open(self.proxy.admin()).ask("GET /stats HTTP/1.1\r\nHost: test\r\n\r\n");
        String::from_utf8(stats.body).unwrap()
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// The program on each of its drivers that this system has.
fn drivers() -> Vec<Milestone> {
    let drivers =
        ["epoll", "io-uring"].into_iter().filter(|name| *name == "epoll" || DriverKind::IoUring.choose().is_ok());
    drivers.map(|driver| Milestone { driver: Some(driver), ..PROGRAM }).collect()
}

/// Answers each request with its body.
fn echo(mut served: Served) {
    while let Some(request) = served.request() {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        if served.try_send([head.as_bytes(), &request.body].concat()).is_err() {
            return;
        }
    }
}

#[test]
fn a_backend_hears_its_name_and_http_1_and_its_connection_is_kept() {
    for program in drivers() {
        let backend = TlsBackend::saying(config(&["b.test"], Special::default()), "hello");
        let stage = Stage::on(&program, &[&backend.spec("b.test")], &["--admin", "127.0.0.1:0", "--workers", "1"]);
        for _ in 0..3 {
            let answer = stage.client().ask(GET);
            assert_eq!((answer.status(), &answer.body[..]), (200, &b"hello"[..]));
        }
        let [handshake] = &backend.handshakes()[..] else { panic!("{:?}", backend.handshakes()) };
        assert_eq!(handshake.name.as_deref(), Some("b.test"));
        assert_eq!(handshake.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(handshake.version, Some(ProtocolVersion::TLSv1_3));
        assert!(!handshake.resumed && !handshake.certified);
        let request = &backend.requests()[0];
        assert_eq!(request.field("host"), Some("shop.example"), "the client's host, not the name of the certificate");
        assert_eq!(request.field("x-forwarded-proto"), Some("http"), "the client came in plain");
        let stats = stage.stats();
        assert!(stats.contains("\"full\": 1") && stats.contains("\"reused\": 2"), "{stats}");
    }
}

#[test]
fn a_host_that_is_an_address_is_verified_as_one_and_not_named() {
    let backend = TlsBackend::saying(config(&["127.0.0.1"], Special::default()), "hello");
    let stage = Stage::new(&[&format!("https://{}", backend.address)], &[]);
    assert_eq!(stage.client().ask(GET).status(), 200);
    assert_eq!(backend.handshakes()[0].name, None, "an address is no server name (RFC 6066 §3)");
    // HTTP/1.0 without a host: the backend gets its own.
    assert_eq!(stage.client().ask("GET / HTTP/1.0\r\n\r\n").status(), 200);
    assert_eq!(backend.requests()[1].field("host"), Some(backend.address.to_string().as_str()));
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    for (version, number) in [(&version::TLS13, ProtocolVersion::TLSv1_3), (&version::TLS12, ProtocolVersion::TLSv1_2)]
    {
        let backend = TlsBackend::start(config_with(&[version], &["b.test"], Special::default()), |mut served| {
            if served.request().is_some() {
                served.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                served.close();
            }
        });
        let stage = Stage::new(&[&backend.spec("b.test")], &["--admin", "127.0.0.1:0"]);
        for _ in 0..4 {
            assert_eq!(stage.client().ask(GET).body, b"ok");
        }
        let seen: Vec<_> = backend.handshakes().iter().map(|it| (it.version, it.resumed)).collect();
        assert_eq!(seen[0], (Some(number), false));
        assert!(seen.len() == 4 && seen[1..].iter().all(|it| *it == (Some(number), true)), "{seen:?}");
        let stats = stage.stats();
        assert!(stats.contains("\"full\": 1") && stats.contains("\"resumed\": 3"), "{stats}");
    }
}

#[test]
fn an_old_version_is_refused_if_the_flag_says_so() {
    let backend = TlsBackend::saying(config_with(&[&version::TLS12], &["b.test"], Special::default()), "hello");
    assert_eq!(Stage::new(&[&backend.spec("b.test")], &[]).client().ask(GET).status(), 200);
    let stage = Stage::new(&[&backend.spec("b.test")], &["--backend-tls-min", "1.3"]);
    assert_eq!(stage.client().ask(GET).status(), 502);
    backend.wait_for_broken(1);
}

/// The address is the same, and so is the certificate. A connection that was verified for one name is of no use for the other.
#[test]
fn the_pool_does_not_mix_names() {
    let backend = TlsBackend::saying(config(&["b.test"], Special::default()), "hello");
    let specs = [backend.spec("b.test"), backend.spec("other.test")];
    let flags = ["--workers", "1", "--retries", "0", "--breaker-failures", "0"];
    let stage = Stage::new(&[&specs[0], &specs[1]], &flags);
    let mut client = stage.client();
    let mut statuses: Vec<u16> = (0..8).map(|_| client.ask(GET).status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 502, 502, 502, 502]);
    assert_eq!(backend.handshakes().len(), 1, "that of the right name, and its connection is kept");
}

#[test]
fn large_bodies_pass_unchanged_both_ways_and_at_once() {
    let body: Vec<u8> = (0..3_000_000_usize).map(|at| (at / 7 + at % 251) as u8).collect();
    for program in drivers() {
        let backend = TlsBackend::start(config(&["b.test"], Special::default()), echo);
        let stage = Stage::on(&program, &[&backend.spec("b.test")], &[]);
        let mut client = stage.client();
        for _ in 0..2 {
            client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len()));
            client.send(&body);
            assert!(client.response("POST").body == body);
        }
    }
}

#[test]
fn both_sides_may_be_protected() {
    let site = Site::new(&["test"]);
    let backend = TlsBackend::saying(config(&["b.test"], Special::default()), "hello");
    let stage = Stage::new(&[&backend.spec("b.test")], &site.flags());
    let mut client = Tls::open(stage.proxy.tls_address(), "test");
    assert_eq!(client.get("/", "test").body, b"hello");
    assert_eq!(backend.requests()[0].field("x-forwarded-proto"), Some("https"));
}

#[test]
fn a_slow_reader_of_a_long_body_gets_all_of_it_and_the_backend_waits() {
    const LEN: usize = 20_000_000;
    for program in drivers() {
        let backend = TlsBackend::start(config(&["b.test"], Special::default()), |mut served| {
            served.request();
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n"));
            let mut left = LEN;
            while left > 0 {
                let part = left.min(100_000);
                if served.try_send(vec![7; part]).is_err() {
                    return;
                }
                left -= part;
            }
        });
        let stage = Stage::on(&program, &[&backend.spec("b.test")], &["--workers", "1"]);
        let before = stage.proxy.peak_memory();
        let mut client = stage.client();
        client.send(GET);
        crate::support::process::wait_for(Duration::from_millis(300));
        let grown = stage.proxy.peak_memory().saturating_sub(before);
        assert!(grown < 8 * 1024, "{grown} KiB while nobody reads");
        let answer = client.response("GET");
        assert!(answer.body.len() == LEN && answer.body.iter().all(|byte| *byte == 7));
    }
}

/// A body without a length is complete with its connection's end. Anybody on the way can make an end, but no `close_notify`.
#[test]
fn a_body_up_to_the_end_is_complete_only_after_close_notify() {
    for program in drivers() {
        for vouched in [true, false] {
            let backend = TlsBackend::start(config(&["b.test"], Special::default()), move |mut served| {
                served.request();
                served.send("HTTP/1.1 200 OK\r\n\r\nall of it");
                if vouched { served.close() } else { served.end_in_plain() }
            });
            let stage = Stage::on(&program, &[&backend.spec("b.test")], &[]);
            let mut client = stage.client();
            client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
            let (bytes, end) = client.read_to_end();
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.ends_with("all of it") || !vouched, "{text}");
            assert_eq!(end, if vouched { End::Clean } else { End::Reset }, "{text}");
            if !vouched {
                stage.proxy.wait_for_stderr("failure=\"response truncated\"");
            }
        }
    }
}

#[test]
fn an_idle_connection_that_the_backend_ends_without_a_word_costs_no_request() {
    let (ends, may_end) = mpsc::channel::<()>();
    let may_end = std::sync::Mutex::new(may_end);
    let backend = TlsBackend::start(config(&["b.test"], Special::default()), move |mut served| {
        served.request();
        served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if served.number == 0 {
            let _ = may_end.lock().unwrap().recv_timeout(PATIENCE);
        }
        served.end_in_plain();
    });
    let stage = Stage::new(&[&backend.spec("b.test")], &["--admin", "127.0.0.1:0", "--workers", "1"]);
    assert_eq!(stage.client().ask(GET).body, b"ok");
    ends.send(()).unwrap();
    wait_until("the end to be heard", || stage.stats().contains("ended without close_notify"));
    let answer = stage.client().ask("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.body, b"ok");
    assert_eq!(backend.handshakes().len(), 2);
}

#[test]
fn a_client_that_has_ended_its_side_is_served() {
    let backend = TlsBackend::start(config(&["b.test"], Special::default()), echo);
    let stage = Stage::new(&[&backend.spec("b.test")], &[]);
    let mut client = stage.client();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    client.finish();
    assert_eq!(client.response("POST").body, b"hello");
}

#[test]
fn a_tunnel_passes_both_ways_and_its_end_is_vouched_for() {
    for vouched in [true, false] {
        let backend = TlsBackend::start(config(&["b.test"], Special::default()), move |mut served| {
            served.request();
            served.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
            let heard = served.read().unwrap_or_default();
            served.send(&heard);
            if vouched { served.close() } else { served.end_in_plain() }
        });
        let stage = Stage::new(&[&backend.spec("b.test")], &[]);
        let mut client = stage.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nping");
        let (bytes, end) = client.read_to_end();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 101 ") && (text.ends_with("ping") || !vouched), "{text}");
        assert_eq!(end, if vouched { End::Clean } else { End::Reset });
    }
}

#[test]
fn a_backend_that_asks_gets_the_certificate_of_the_proxy() {
    let (certificate, key) = pair(&[], Special::default());
    let pem = (file(&pem_of("CERTIFICATE", &certificate)), file(&pem_of("PRIVATE KEY", key.secret_der())));
    let paths = (pem.0.path().to_str().unwrap(), pem.1.path().to_str().unwrap());
    for version in [&version::TLS13, &version::TLS12] {
        let backend = TlsBackend::saying(config_asking(&[version], &["b.test"]), "hello");
        let flags = ["--backend-certificate", paths.0, "--backend-key", paths.1];
        let stage = Stage::new(&[&backend.spec("b.test")], &flags);
        assert_eq!(stage.client().ask(GET).status(), 200);
        assert!(backend.handshakes()[0].certified);
        // Without one, the backend ends it: with TLS 1.3 only after our side of the handshake is over.
        let stage = Stage::new(&[&backend.spec("b.test")], &["--retries", "0"]);
        assert_eq!(stage.client().ask(GET).status(), 502);
        backend.wait_for_broken(1);
        stage.proxy.wait_for_stderr("failure=\"alert ");
    }
}

#[test]
fn a_certificate_that_vouches_for_itself_is_trusted_by_its_own_file() {
    for signer in [Signer::Itself, Signer::ItselfAsAuthority] {
        let special = Special { signer, ..Special::default() };
        let (certificate, key) = pair(&["b.test"], special);
        let own = file(&pem_of("CERTIFICATE", &certificate));
        let backend = TlsBackend::saying(showing(rustls::ALL_VERSIONS, None, (certificate, key)), "hello");
        let trusting = |name: &str| {
            let flags = ["--no-health", "--backend-ca", own.path().to_str().unwrap()];
            PROGRAM.start_before(&[&backend.spec(name)], &flags)
        };
        let proxy = trusting("b.test");
        assert_eq!(Conn::open(proxy.address()).ask(GET).status(), 200, "{signer:?}");
        let proxy = trusting("other.test");
        assert_eq!(Conn::open(proxy.address()).ask(GET).status(), 502, "{signer:?}");
        proxy.wait_for_stderr("failure=\"backend certificate for other names\"");
    }
}
