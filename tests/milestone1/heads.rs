//! Tests of the fields of heads: kept, removed, added.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::start_listening,
        raw::{Backend, Conn, refusing_address},
    },
};

from_milestone1! {
    over_both {
        targets_pass_as_they_are,
    }
    over_http2 {
        via_and_date_are_added_to_responses,
    }
    in_plain "they are about connections without TLS" {
        responses_keep_order_and_case_and_lose_hop_by_hop_fields,
    }
    for_reverse_proxies "the server sees the host that the target names, and hears of its client only where that is asked for" {
        over_http2 {
            no_stranger_is_believed_about_where_a_request_comes_from,
            trusted_proxies_are_believed,
            fields_that_only_a_gateway_may_send_are_removed_from_strangers,
            forwarded_is_written_when_asked_for,
        }
        over_tls "they compare bytes of heads: in HTTP/2 the names of fields are in lower case, and there is no reason phrase" {
            field_values_pass_as_they_are,
        }
        in_plain "the log is looked up by the client's port, which is another one behind a tunnel" {
            the_log_names_the_client_and_the_peer,
        }
        in_plain "they are about connections without TLS" {
            requests_keep_order_and_case_and_lose_hop_by_hop_fields,
        }
    }
    for_reverse_proxies "a forward proxy has other answers to other forms of targets: tests/forward_proxy" {
        over_http2 {
            connect_is_refused,
            max_forwards_is_counted,
        }
        in_plain "they are about connections without TLS" {
            absolute_targets_become_origin_form,
            https_is_not_served_over_a_plain_connection,
            a_proxy_that_is_its_own_backend_notices,
        }
    }
}

/// The head that a backend gets for `request`, and the head that a client gets for `response`, line by line.
fn pass(milestone: &Milestone, flags: &[&str], request: &str, response: &str) -> (Vec<String>, Vec<String>) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], flags);
    let mut client = Conn::open(proxy.address());
    client.send(request);
    let mut upstream = incoming.accept();
    let inbound = upstream.read_head();
    upstream.send(response);
    (inbound, client.read_head())
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Lines that the proxy adds, whatever was asked.
fn is_ours(line: &&String) -> bool {
    ["Via: ", "X-Forwarded-", "Connection: ", "Date: ", "Cache-Status: "].iter().any(|name| line.starts_with(name))
}

fn of_others(lines: &[String]) -> Vec<&str> {
    lines.iter().filter(|line| !is_ours(line)).map(String::as_str).collect()
}

/// The lines of that name, which is written as it usually is: in HTTP/2 it is in lower case.
fn fields(lines: &[String], name: &str) -> Vec<String> {
    let is_named = |line: &&String| line.split(':').next().is_some_and(|other| other.eq_ignore_ascii_case(name));
    let usual = |line: &String| format!("{name}{}", &line[name.len()..]);
    lines.iter().filter(is_named).map(usual).collect()
}

fn requests_keep_order_and_case_and_lose_hop_by_hop_fields(milestone: &Milestone) {
    let (inbound, _) = pass(
        milestone,
        &[],
        "POST /p?q=1&r HTTP/1.1\r\naccept: */*\r\nHOST: Test:80\r\nX-Zebra: 1\r\nKeep-Alive: timeout=5\r\nx-alpha: 2\r\n\
         X-Zebra: 3\r\nConnection: close, X-Private\r\nX-Private: secret\r\nProxy-Connection: keep-alive\r\n\
         TE: gzip;q=0.5\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nProxy-Authorization: Basic eA==\r\n\
         Content-Length: 3\r\nAuthorization: Bearer x\r\nExpires:\r\nLast: 9\r\n\r\nabc",
        OK,
    );
    let expected = [
        "POST /p?q=1&r HTTP/1.1",
        "accept: */*",
        "HOST: Test:80",
        "X-Zebra: 1",
        "x-alpha: 2",
        "X-Zebra: 3",
        "Authorization: Bearer x",
        "Expires: ",
        "Last: 9",
    ];
    let kept: Vec<&str> = of_others(&inbound).into_iter().filter(|line| !line.starts_with("Content-Length")).collect();
    assert_eq!(kept, expected);
    assert_eq!(fields(&inbound, "Content-Length"), ["Content-Length: 3"]);
    let connection: &[&str] = if milestone.number < 3 { &["Connection: close"] } else { &[] };
    assert_eq!(fields(&inbound, "Connection"), connection);
}

fn responses_keep_order_and_case_and_lose_hop_by_hop_fields(milestone: &Milestone) {
    let (_, outbound) = pass(
        milestone,
        &[],
        &get("/"),
        "HTTP/1.1 299 Very  odd!\r\nserver: x\r\nSet-Cookie: a=1\r\nX-B: 1\r\nset-cookie: b=2\r\nKeep-Alive: timeout=5\r\n\
         Connection: keep-alive, x-private\r\nX-Private: secret\r\nUpgrade: foo\r\nProxy-Authenticate: Basic\r\n\
         Content-Length: 0\r\nx-b: 2\r\n\r\n",
    );
    let kept: Vec<&str> = of_others(&outbound).into_iter().filter(|line| !line.starts_with("Content-Length")).collect();
    let expected = ["HTTP/1.1 299 Very  odd!", "server: x", "Set-Cookie: a=1", "X-B: 1", "set-cookie: b=2", "x-b: 2"];
    assert_eq!(kept, expected);
    assert_eq!(fields(&outbound, "Content-Length"), ["Content-Length: 0"]);
    assert!(fields(&outbound, "Connection").is_empty(), "{outbound:?}");
}

pub(super) fn field_values_pass_as_they_are(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    // Tabs and spaces inside, obs-text, quotes; white space around a value is not part of it (RFC 9110 §5.5).
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\nX-Value: \t a\tb  \"c\\\"\xe9\xff \t\r\n\r\n");
    let mut upstream = incoming.accept();
    let head = upstream.read(b"GET / HTTP/1.1\r\nHost: test\r\nX-Value: a\tb  \"c\\\"\xe9\xff\r\n".len());
    assert_eq!(head, b"GET / HTTP/1.1\r\nHost: test\r\nX-Value: a\tb  \"c\\\"\xe9\xff\r\n");
    upstream.read_until("\r\n\r\n");
    upstream.send(b"HTTP/1.1 200 \xe9\r\nX-Value:\xff\t1\r\nContent-Length: 0\r\n\r\n");
    let expected = b"HTTP/1.1 200 \xe9\r\nX-Value: \xff\t1\r\n";
    assert_eq!(client.read(expected.len()), expected);
}

pub(super) fn targets_pass_as_they_are(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    // Never decoded, never normalized: two hops that normalize differently disagree on what was asked for.
    let targets = ["/", "//", "/a/../b/./c", "/%2e%2E/%41", "/a;b=c/@:!$&'()*+,=~", "/?", "/?a=/?&b=%zz", "/a?b=[1]|^"];
    for (n, target) in targets.iter().enumerate() {
        assert_eq!(client.ask(&get(target)).status(), 200, "{target}");
        assert_eq!(backend.wait_for_request(n + 1).head.unwrap().target(), *target);
    }
    assert_eq!(client.ask("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n").status(), 200);
    assert_eq!(backend.wait_for_request(targets.len() + 1).head.unwrap().target(), "*");
}

fn absolute_targets_become_origin_form(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let cases = [
        ("GET http://test/p?q HTTP/1.1\r\nHost: test\r\n\r\n", "/p?q", "test"),
        ("GET http://test?q HTTP/1.1\r\nHost: test\r\n\r\n", "/?q", "test"),
        ("GET HTTP://Test:80 HTTP/1.1\r\nHost: test\r\n\r\n", "/", "Test:80"),
        ("OPTIONS http://test HTTP/1.1\r\nHost: test\r\n\r\n", "*", "test"),
        ("GET http://test/old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/old", "test"),
        // RFC 9112 §3.2.2: the target wins, whatever Host says.
        ("GET http://test/other HTTP/1.1\r\nHost: elsewhere\r\n\r\n", "/other", "test"),
        ("GET http://test:81/port HTTP/1.1\r\nHost: test:82\r\n\r\n", "/port", "test:81"),
    ];
    for (n, (request, target, host)) in cases.iter().enumerate() {
        assert_eq!(client.ask(request).status(), 200, "{request:?}");
        let head = backend.wait_for_request(n + 1).head.unwrap();
        assert_eq!((head.target(), head.all("host").collect::<Vec<_>>()), (*target, vec![*host]), "{request:?}");
    }
}

/// The claims of a client about the way of its request.
const CLAIMS: &str = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: claimed\r\nForwarded: for=203.0.113.1\r\nVia: 1.0 fred\r\n\r\n";

fn no_stranger_is_believed_about_where_a_request_comes_from(milestone: &Milestone) {
    for flags in [&[][..], &["--trusted-proxy", "10.0.0.0/8"], &["--trusted-proxy", "127.0.0.2"]] {
        let (inbound, _) = pass(milestone, flags, CLAIMS, OK);
        assert_eq!(fields(&inbound, "X-Forwarded-For"), ["X-Forwarded-For: 127.0.0.1"], "{flags:?}");
        assert_eq!(
            fields(&inbound, "X-Forwarded-Proto"),
            [format!("X-Forwarded-Proto: {}", milestone.scheme())],
            "{flags:?}"
        );
        assert_eq!(fields(&inbound, "X-Forwarded-Host"), ["X-Forwarded-Host: test"], "{flags:?}");
        assert!(fields(&inbound, "Forwarded").is_empty(), "{flags:?}: {inbound:?}");
        // Via is about the path, not about the client: it is extended all the same.
        assert_eq!(
            fields(&inbound, "Via"),
            [format!("Via: 1.0 fred, {} socket-patterns", milestone.version())],
            "{flags:?}"
        );
    }
}

fn trusted_proxies_are_believed(milestone: &Milestone) {
    let flags = ["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "127.0.0.0/8"];
    let (inbound, _) = pass(milestone, &flags, CLAIMS, OK);
    assert_eq!(fields(&inbound, "X-Forwarded-For"), ["X-Forwarded-For: 203.0.113.1, 127.0.0.1"]);
    assert_eq!(fields(&inbound, "X-Forwarded-Proto"), ["X-Forwarded-Proto: https"]);
    assert_eq!(fields(&inbound, "X-Forwarded-Host"), ["X-Forwarded-Host: claimed"]);
    assert_eq!(fields(&inbound, "Forwarded"), ["Forwarded: for=203.0.113.1"]);
    // A trusted proxy that says nothing: then it is the client.
    let (inbound, _) = pass(milestone, &flags, &get("/"), OK);
    assert_eq!(fields(&inbound, "X-Forwarded-For"), ["X-Forwarded-For: 127.0.0.1"]);
    assert_eq!(fields(&inbound, "X-Forwarded-Proto"), [format!("X-Forwarded-Proto: {}", milestone.scheme())]);
    assert_eq!(fields(&inbound, "X-Forwarded-Host"), ["X-Forwarded-Host: test"]);
}

/// Fields that servers take for the word of the gateway before them; the last three are names that CGI reads as such.
const GATEWAYS: &[&str] = &[
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-Server: evil",
    "x-forwarded-what-nobody-knows: evil",
    "X-Real-IP: 6.6.6.6",
    "X-Original-URL: /evil",
    "X-Rewrite-URL: /evil",
    "X-Original-Host: evil",
    "True-Client-IP: 6.6.6.6",
    "CF-Connecting-IP: 6.6.6.6",
    "Client-Cert: :evil:",
    "Proxy: http://evil/",
    "X_Real_IP: 6.6.6.6",
    "X_Forwarded-Prefix: /evil",
    "SCRIPT_NAME: /evil",
];

fn fields_that_only_a_gateway_may_send_are_removed_from_strangers(milestone: &Milestone) {
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\n{}\r\nX-Mine: 1\r\n\r\n", GATEWAYS.join("\r\n"));
    let (inbound, _) = pass(milestone, &[], &request, OK);
    let others: Vec<String> = of_others(&inbound)[1..].iter().map(|line| line.to_ascii_lowercase()).collect();
    assert_eq!(others, ["host: test", "x-mine: 1"], "{inbound:?}");
    assert!(!inbound.iter().any(|line| line.contains("evil") || line.contains("6.6.6.6")), "{inbound:?}");
    // Those of a proxy that is trusted stay, but for the names that pass for others.
    let (inbound, _) = pass(milestone, &["--trusted-proxy", "127.0.0.0/8"], &request, OK);
    for line in GATEWAYS {
        assert_eq!(
            inbound.iter().any(|kept| kept.eq_ignore_ascii_case(line)),
            !line.contains('_'),
            "{line}: {inbound:?}"
        );
    }
    // Nor may they come behind the body.
    let trailers = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Real-IP: 6.6.6.6\r\nX-Sum: 1\r\n\r\n";
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--trusted-proxy", "127.0.0.0/8"]);
    assert_eq!(Conn::open(proxy.address()).ask(trailers).status(), 200);
    let [(name, value)] = &backend.wait_for_request(1).trailers[..] else { panic!("not one trailer field") };
    assert!(name.eq_ignore_ascii_case("x-sum") && value == "1", "{name}: {value}");
}

fn the_log_names_the_client_and_the_peer(milestone: &Milestone) {
    const NAMED: &str = "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.9\r\n\
        Forwarded: for=198.51.100.7\r\n\r\n";
    let trust = ["--trusted-proxy", "127.0.0.0/8"];
    for (flags, client) in [
        (&[][..], "127.0.0.1"),
        (&trust, "203.0.113.9"),
        (&[trust[0], trust[1], "--client-from", "forwarded"], "198.51.100.7"),
    ] {
        let backend = Backend::saying("x");
        let proxy = milestone.start(&[&backend], flags);
        let mut conn = Conn::open(proxy.address());
        assert_eq!(conn.ask(NAMED).status(), 200);
        let expected = format!("client={client} peer={} request=", conn.address());
        proxy.wait_for_stderr(" peer=");
        assert!(proxy.stderr().contains(&expected), "no {expected:?} in {}", proxy.stderr());
        // The chain goes on with the peer. One that was not read, because the other field was, says no more than that other one.
        let chain = backend.wait_for_request(1).field("x-forwarded-for").map(str::to_owned);
        let before = match flags.len() {
            0 => "",
            2 => "6.6.6.6, 203.0.113.9, 127.0.0.9, ",
            _ => "198.51.100.7, ",
        };
        assert_eq!(chain, Some(format!("{before}127.0.0.1")), "{flags:?}");
    }
}

fn forwarded_is_written_when_asked_for(milestone: &Milestone) {
    let (inbound, _) = pass(milestone, &["--forwarded"], CLAIMS, OK);
    assert_eq!(
        fields(&inbound, "Forwarded"),
        [format!("Forwarded: for=127.0.0.1;proto={};host=\"test\"", milestone.scheme())]
    );
}

fn via_and_date_are_added_to_responses(milestone: &Milestone) {
    let (_, outbound) = pass(milestone, &[], &get("/"), OK);
    assert_eq!(fields(&outbound, "Via"), ["Via: 1.1 socket-patterns"]);
    let [date] = &fields(&outbound, "Date")[..] else { panic!("not one date: {outbound:?}") };
    assert!(date.ends_with(" GMT") && date.len() == "Date: Sun, 06 Nov 1994 08:49:37 GMT".len(), "{date}");
    let response = "HTTP/1.1 200 OK\r\ndate: then\r\nVia: 1.1 origin\r\nContent-Length: 0\r\n\r\n";
    let (_, outbound) = pass(milestone, &[], &get("/"), response);
    assert_eq!(fields(&outbound, "Via"), ["Via: 1.1 origin, 1.1 socket-patterns"]);
    assert_eq!(fields(&outbound, "Date"), ["Date: then"]);
}

fn connect_is_refused(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send("CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n");
    let response = client.response("CONNECT");
    assert_eq!(response.status(), 405);
    assert!(!response.head.unwrap().has_token("allow", "CONNECT"));
    assert!(backend.requests().is_empty() && backend.connections() == 0);
}

fn max_forwards_is_counted(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.ask("OPTIONS / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 3\r\n\r\n");
    assert_eq!(backend.wait_for_request(1).field("max-forwards"), Some("2"));
    // On other methods the field is none of our business.
    client.ask("GET / HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(backend.wait_for_request(2).field("max-forwards"), Some("0"));
    let echo = Conn::open(proxy.address())
        .ask("TRACE /t HTTP/1.1\r\nHost: test\r\nMax-Forwards: 0\r\nCookie: a\r\nX-A: 1\r\n\r\n");
    assert_eq!((echo.status(), echo.field("content-type")), (200, Some("message/http")));
    let echoed = String::from_utf8_lossy(&echo.body);
    let echoed = echoed.to_ascii_lowercase();
    assert!(echoed.starts_with("trace /t http/1.1\r\n") && echoed.contains("x-a: 1") && !echoed.contains("cookie"));
    assert_eq!(
        Conn::open(proxy.address()).ask("OPTIONS * HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\n\r\n").status(),
        200
    );
    assert_eq!(backend.requests().len(), 2);
}

fn https_is_not_served_over_a_plain_connection(milestone: &Milestone) {
    const HTTPS: &str = "GET https://test/ HTTP/1.1\r\nHost: test\r\n\r\n";
    let backend = Backend::saying("secret");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let response = client.ask(HTTPS);
    assert_eq!((response.status(), response.field("connection")), (421, None));
    assert_eq!(client.ask(&get("/")).body, b"secret", "its connection goes on");
    // A proxy before us may have had a secured connection.
    let trusting = milestone.start(&[&backend], &["--trusted-proxy", "127.0.0.0/8"]);
    assert_eq!(Conn::open(trusting.address()).ask(HTTPS).body, b"secret");
    assert_eq!(backend.requests().len(), 2);
}

fn a_proxy_that_is_its_own_backend_notices(milestone: &Milestone) {
    let itself = refusing_address().to_string();
    let flags = ["--listen", &itself, "--backend", &itself, "--workers", "1"];
    let flags = [&flags, milestone.since(2, &["--no-health"]), milestone.any_port()].concat();
    let proxy = start_listening(milestone.program, &flags, 1);
    let mut client = Conn::open(proxy.address());
    for _ in 0..2 {
        // Else a cache would wait for itself, in each round for a while.
        let response = client.ask("GET / HTTP/1.1\r\nHost: test\r\nCache-Control: no-store\r\n\r\n");
        assert_eq!(response.status(), 502);
        assert_eq!(response.field("proxy-status"), Some("socket-patterns; error=proxy_loop_detected"));
    }
    let rounds = proxy.stderr().matches("\"GET / HTTP/1.1\"").count();
    assert!(rounds <= 20, "{rounds} rounds");
}
