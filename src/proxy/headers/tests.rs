use super::{request::write_address, *};
use crate::{
    backend::{Backend, BackendId},
    http::{Limits, RequestEvent, RequestReader, ResponseEvent, ResponseReader},
    proxy::{config::Forwarding, identity},
};
use std::net::SocketAddr;

fn backend() -> Backend {
    let addresses = "127.0.0.1:3000".parse::<SocketAddr>().unwrap().into();
    Backend { id: BackendId(0), name: "backend:3000".to_owned(), addresses, weight: 1, max: None, secured: None }
}

fn trusting(networks: &[&str]) -> Forwarding {
    Forwarding { trusted: networks.iter().map(|network| network.parse().unwrap()).collect(), ..Forwarding::default() }
}

/// The lines of the head that a backend gets for `wire`, from a client at 192.0.2.7.
fn inbound(wire: &str, forwarding: &Forwarding, persist: bool) -> Vec<String> {
    let mut input = wire.as_bytes();
    let event = RequestReader::new().next(&mut input, &Limits::default());
    let Ok(Some(RequestEvent::Head(mut head, body))) = event else { panic!("{wire:?}: {event:?}") };
    let mut out = Vec::new();
    let peer = "::ffff:192.0.2.7".parse().unwrap();
    identity::admit(&mut head, peer, forwarding);
    let upgrade = may_upgrade(&head);
    let backend = backend();
    let inbound = Inbound {
        head: &head,
        body,
        upgrade,
        peer,
        chain_is_set: false,
        received_by: None,
        secure: false,
        subject: None,
        backend: &backend,
        persist,
    };
    write_request(&mut out, &inbound, forwarding);
    lines(&out)
}

/// The lines of the head that a client of version `client` gets for `wire`.
fn outbound(wire: &str, framing: BodyLength, client: Version, persist: bool) -> Vec<String> {
    let mut input = wire.as_bytes();
    let mut reader = ResponseReader::new();
    reader.expect(&http::Method::Get);
    let event = reader.next(&mut input, &Limits::default());
    let Ok(Some(ResponseEvent::Head(head, _))) = event else { panic!("{wire:?}: {event:?}") };
    let mut out = Vec::new();
    let outbound = Outbound { head: &head, framing, client, persist, date: "NOW", cache_status: None, hsts: None };
    write_response(&mut out, &outbound, &Forwarding::default());
    lines(&out)
}

fn lines(out: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(out).unwrap();
    let head = text.strip_suffix("\r\n\r\n").expect("ends with an empty line");
    head.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn an_address_is_written_as_it_is_read() {
    let written = |text: &str| {
        let mut out = Vec::new();
        write_address(&mut out, text.parse().unwrap());
        String::from_utf8(out).unwrap()
    };
    for text in ["0.0.0.0", "192.0.2.7", "255.255.255.255", "::1", "2001:db8:1111:2222:3333:4444:5555:6666"] {
        assert_eq!(written(text), text);
    }
    assert_eq!(written("10.20.99.100"), "10.20.99.100");
    assert_eq!(written("::ffff:192.0.2.7"), "192.0.2.7");
}

const OURS: [&str; 4] =
    ["Via: 1.1 socket-patterns", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: a"];

fn assert_inbound(wire: &str, expected: &[&str]) {
    let expected: Vec<&str> = expected.iter().copied().chain(OURS).collect();
    assert_eq!(inbound(wire, &Forwarding::default(), true), expected, "{wire:?}");
}

#[test]
fn order_and_case_are_kept() {
    assert_inbound(
        "GET /x?y HTTP/1.1\r\nACCEPT: */*\r\nhost: a\r\nX-b: 1\r\nx-B: 2\r\n\r\n",
        &["GET /x?y HTTP/1.1", "ACCEPT: */*", "host: a", "X-b: 1", "x-B: 2"],
    );
}

#[test]
fn hop_by_hop_fields_stay_here() {
    assert_inbound(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine, Host\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: close\r\nTE: gzip\r\nUpgrade: h2c\r\nKept: 1\r\n\r\n",
        &["GET / HTTP/1.1", "Host: a", "Kept: 1"],
    );
}

#[test]
fn a_clients_claim_of_its_own_address_is_not_passed_on() {
    let wire = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\
                X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /p\r\nX-Real-IP: 6.6.6.6\r\n\r\n";
    assert_inbound(wire, &["GET / HTTP/1.1", "Host: a"]);
    let trusted = inbound(wire, &trusting(&["192.0.2.0/24"]), true);
    assert_eq!(
        trusted,
        [
            "GET / HTTP/1.1",
            "Host: a",
            "Forwarded: for=6.6.6.6",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil",
            "X-Forwarded-Prefix: /p",
            "X-Real-IP: 6.6.6.6",
            "Via: 1.1 socket-patterns",
            "X-Forwarded-For: 6.6.6.6, 192.0.2.7",
        ]
    );
}

#[test]
fn the_standard_field_names_the_address_in_its_own_form() {
    let forwarding = Forwarding { forwarded: true, ..Forwarding::default() };
    let lines = inbound("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &forwarding, true);
    // RFC 7239 §6: brackets and quotes are for IPv6.
    assert_eq!(lines.last().map(String::as_str), Some("Forwarded: for=192.0.2.7;proto=http;host=\"a\""));
}

#[test]
fn names_in_disguise_are_not_passed_on() {
    assert_inbound(
        "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nX_FORWARDED_HOST: b\r\n\
         Content_Length: 7\r\nTransfer_Encoding: chunked\r\nX_Real_IP: 6.6.6.6\r\nX.Forwarded.For: 6.6.6.6\r\nmy_own_field_of_mine: 1\r\n_: 1\r\n\r\n",
        &["GET / HTTP/1.1", "Host: a", "my_own_field_of_mine: 1", "_: 1"],
    );
}

#[test]
fn a_request_of_a_client_that_cannot_hear_100_does_not_expect_it() {
    let wire = "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert!(!inbound(wire, &Forwarding::default(), true).iter().any(|line| line.starts_with("Expect")));
    let wire = wire.replace("HTTP/1.0", "HTTP/1.1");
    assert!(inbound(&wire, &Forwarding::default(), true).iter().any(|line| line.starts_with("Expect")));
}

#[test]
fn framing_is_written_anew() {
    assert_inbound(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n",
        &["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"],
    );
    assert_inbound(
        "POST / HTTP/1.1\r\ncontent-length:  7 \r\nHost: a\r\n\r\n",
        &["POST / HTTP/1.1", "Host: a", "Content-Length: 7"],
    );
    // A length of zero is not no length: a POST without content says so.
    assert_inbound(
        "POST / HTTP/1.1\r\nContent-Length: 000\r\nHost: a\r\n\r\n",
        &["POST / HTTP/1.1", "Host: a", "Content-Length: 0"],
    );
}

#[test]
fn an_absolute_target_becomes_origin_form_and_names_the_host() {
    assert_inbound("GET http://a/p HTTP/1.1\r\nHost: a\r\n\r\n", &["GET /p HTTP/1.1", "Host: a"]);
    assert_inbound("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", &["OPTIONS * HTTP/1.1", "Host: a"]);
    // RFC 9112 §3.2.2: whatever Host says.
    assert_inbound("GET http://a/p HTTP/1.1\r\nHost: b\r\nX: 1\r\n\r\n", &["GET /p HTTP/1.1", "Host: a", "X: 1"]);
}

#[test]
fn http10_becomes_http11_with_a_host() {
    assert_eq!(
        inbound("GET / HTTP/1.0\r\n\r\n", &Forwarding::default(), false),
        [
            "GET / HTTP/1.1",
            "Host: backend:3000",
            "Connection: close",
            "Via: 1.0 socket-patterns",
            "X-Forwarded-For: 192.0.2.7",
            "X-Forwarded-Proto: http",
        ]
    );
}

#[test]
fn upgrades_and_trailers_are_announced_to_the_next_hop() {
    assert_inbound(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n",
        &["GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "TE: trailers", "Connection: upgrade, TE"],
    );
}

#[test]
fn hops_are_counted_down_where_they_count() {
    assert_inbound(
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n",
        &["OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 9"],
    );
    assert_inbound(
        "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n",
        &["GET / HTTP/1.1", "Host: a", "Max-Forwards: 10"],
    );
    // Of several, the least counts, and a list does not stop the count.
    assert_inbound(
        "OPTIONS / HTTP/1.1\r\nMax-Forwards: 7\r\nHost: a\r\nMax-Forwards: 3\r\nConnection: Max-Forwards\r\n\r\n",
        &["OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: 2"],
    );
    assert_inbound(
        "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\nConnection: Max-Forwards\r\n\r\n",
        &["GET / HTTP/1.1", "Host: a"],
    );
}

#[test]
fn a_list_does_not_take_out_what_a_gateway_says() {
    let said = ["X-Forwarded-Proto: https", "X-Forwarded-Host: b", "X-Real-IP: 203.0.113.9"];
    let names = "x-forwarded-proto, X-Forwarded-Host, x-real-ip, X-Mine";
    let wire =
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {names}\r\nX-Mine: 1\r\n{}\r\n\r\n", said.join("\r\n"));
    let lines = inbound(&wire, &trusting(&["192.0.2.0/24"]), true);
    assert_eq!(lines[2..5], said, "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("X-Mine") || line.ends_with(": http")), "{lines:?}");
}

#[test]
fn via_is_one_list_in_order() {
    let wire = "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 fred\r\nVia: 1.1 p.example\r\n\r\n";
    let lines = inbound(wire, &Forwarding::default(), true);
    assert_eq!(lines[2], "Via: 1.0 fred, 1.1 p.example, 1.1 socket-patterns");
}

#[test]
fn responses() {
    use BodyLength::{Chunked, Empty, Exact, UntilClose};
    let (new, old) = (Version::Http11, Version::Http10);
    let plain = "HTTP/1.1 200 Fine\r\nDate: D\r\nServer: s\r\nConnection: x-h\r\nX-H: 1\r\n\r\n";
    let via = "Via: 1.1 socket-patterns";
    assert_eq!(
        outbound(plain, Chunked, new, true),
        ["HTTP/1.1 200 Fine", "Date: D", "Server: s", "Transfer-Encoding: chunked", via]
    );
    assert_eq!(
        outbound(plain, UntilClose, old, false),
        ["HTTP/1.1 200 Fine", "Date: D", "Server: s", via, "Connection: close"]
    );
    let sized = "HTTP/1.0 404 \r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        outbound(sized, Exact(3), old, true),
        ["HTTP/1.1 404 ", "Content-Length: 3", "Date: NOW", "Via: 1.0 socket-patterns", "Connection: keep-alive"]
    );
    let upgrade = "HTTP/1.1 426 Upgrade Required\r\nDate: D\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(
        outbound(upgrade, Chunked, new, true),
        [
            "HTTP/1.1 426 Upgrade Required",
            "Date: D",
            "Upgrade: websocket",
            "Transfer-Encoding: chunked",
            via,
            "Connection: upgrade"
        ]
    );
    let unchanged = "HTTP/1.1 304 Not Modified\r\nContent-Length: 003\r\nDate: D\r\n\r\n";
    assert_eq!(
        outbound(unchanged, Empty, new, true),
        ["HTTP/1.1 304 Not Modified", "Date: D", "Content-Length: 3", via]
    );
}
