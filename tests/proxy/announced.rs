//! The PROXY protocol towards servers: they hear whose connection it is.

use crate::{
    PLAIN, Stage,
    support::{
        http2,
        process::{programs_are_required, spawn, wait_until},
        raw::{Backend, Conn},
        tls::{Special, authority},
        tls_backend::{TlsBackend, config_with, file},
        wire::Message,
    },
};
use std::{
    io::{self, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{Sender, channel},
};

/// A server that hears a header first, and answers with it.
fn hearing() -> Backend {
    Backend::start(|mut served| {
        let header = header(&mut served.conn);
        served.conn.read_until("\r\n\r\n");
        served.conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{header}", header.len()));
    })
}

/// The header of a connection, as text: version 1 as it is, version 2 in hexadecimal behind the signature.
fn header(conn: &mut Conn) -> String {
    let first = conn.read(6);
    if first == b"PROXY " {
        return format!("PROXY {}", conn.read_until("\r\n").trim_end());
    }
    let rest = conn.read(10);
    let length = usize::from(u16::from_be_bytes([rest[8], rest[9]]));
    let addresses = conn.read(length);
    let bytes = rest[6..].iter().chain(&addresses);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn config(server: &str, version: &str, more: &str) -> String {
    format!(
        "{PLAIN}[[site]]\nhosts = [\"a\"]\nupstream = \"web\"\n[upstream.web]\nservers = [{server}]\n\
         proxy-protocol = \"{version}\"\nretries = 0\n{more}\n"
    )
}

fn quoted(server: &Backend) -> String {
    format!("\"{}\"", server.name())
}

const UNPROBED: &str = "health = { probes = false }";

fn ends(client: SocketAddr, server: SocketAddr) -> String {
    format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}", client.port(), server.port())
}

#[test]
fn a_server_hears_whose_connection_it_is_and_no_other_client_gets_that() {
    let server = hearing();
    let stage = Stage::new(&config(&quoted(&server), "v1", UNPROBED), 1);
    let at = stage.proxy.address();
    let (mut one, mut two) = (Conn::open(at), Conn::open(at));
    let ask = |client: &mut Conn| String::from_utf8(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&mut one), ends(one.address(), at));
        assert_eq!(ask(&mut two), ends(two.address(), at));
    }
    assert_eq!(server.connections(), 4, "each request has a connection of its own");
    let mut client = http2::Client::plain(at);
    let stream = client.begin_at("a", "GET", "/", &[], true);
    let body = String::from_utf8(client.answer(stream).body).unwrap();
    assert!(body.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{body}");
}

#[test]
fn version_2_is_spoken_too_and_probes_speak_for_the_proxy() {
    let server = hearing();
    let stage = Stage::new(&config(&quoted(&server), "v2", UNPROBED), 1);
    let mut client = Conn::open(stage.proxy.address());
    let said = String::from_utf8(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body).unwrap();
    let (from, to) = (client.address().port(), stage.proxy.address().port());
    assert_eq!(said, format!("2111000c7f0000017f000001{from:04x}{to:04x}"));
    for (version, expected) in [("v1", "PROXY UNKNOWN"), ("v2", "20000000")] {
        for health in ["{ path = \"/\" }", "{ interval = \"10ms\" }"] {
            let (sender, heard) = channel();
            let server = Backend::start(move |mut served| {
                let _ = sender.send(header(&mut served.conn));
            });
            let _stage = Stage::new(&config(&quoted(&server), version, &format!("health = {health}")), 1);
            assert_eq!(heard.recv().unwrap(), expected, "{version} {health}");
        }
    }
}

/// Takes the header off each connection, and passes on what follows.
#[allow(clippy::disallowed_methods)] // A gateway of the test, not of the library.
fn gateway(to: String, heard: Sender<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let (mut line, mut byte) = (Vec::new(), [0]);
            while !line.ends_with(b"\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                line.push(byte[0]);
            }
            let _ = heard.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            let mut server = TcpStream::connect(&*to).unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            spawn(move || drop(io::copy(&mut from, &mut into)));
            spawn(move || drop(io::copy(&mut server, &mut client)));
        }
    });
    at
}

#[test]
fn the_header_goes_before_tls() {
    let behind = TlsBackend::saying(config_with(&[&rustls::version::TLS13], &["b.test"], Special::default()), "secret");
    let to = behind.spec("b.test").trim_start_matches("https://").split(',').next().unwrap().to_owned();
    let (sender, heard) = channel();
    let gateway = gateway(to, sender);
    let trusted = file(&authority());
    let server = format!("{{ address = \"https://{gateway}\", name = \"b.test\" }}");
    let tls = format!("backend-tls = {{ ca = \"{}\" }}", trusted.path().display());
    let stage = Stage::new(&config(&server, "v1", &format!("{UNPROBED}\n{tls}")), 1);
    let mut client = Conn::open(stage.proxy.address());
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, b"secret");
    assert_eq!(heard.recv().unwrap(), ends(client.address(), stage.proxy.address()));
}

/// Killed, by its own id, when dropped.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[allow(clippy::print_stderr)] // It is to be seen that something was left out.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || !programs_are_required(), "{program} is not installed, and REQUIRE_PROGRAMS is set");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until the peer listens.
fn answer(stage: &Stage, client: &mut Conn) -> Message {
    let mut answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the peer to listen", || {
        if answer.status() == 502 || answer.status() == 503 {
            *client = Conn::open(stage.proxy.address());
            answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        answer.status() == 200
    });
    answer
}

#[test]
fn nginx_and_haproxy_understand_it() {
    for version in ["v1", "v2"] {
        for program in ["nginx", "haproxy"] {
            if !is_installed(program) {
                continue;
            }
            let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
            let file = folder.path().join("peer.conf");
            let place = folder.path().display();
            let text = match program {
                "nginx" => format!(
                    "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\nhttp {{\n\
                     access_log off;\nclient_body_temp_path {place}/a;\nproxy_temp_path {place}/b;\nfastcgi_temp_path {place}/c;\n\
                     uwsgi_temp_path {place}/d;\nscgi_temp_path {place}/e;\nserver {{ listen 127.0.0.1:{port} proxy_protocol;\n\
                     location / {{ return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\"; }} }} }}\n"
                ),
                _ => format!(
                    "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nfrontend f\n \
                     bind 127.0.0.1:{port} accept-proxy\n \
                     http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port] %[dst_port]\"\n"
                ),
            };
            std::fs::write(&file, text).unwrap();
            let flag = if program == "nginx" { "-c" } else { "-f" };
            let mut command = Command::new(program);
            command.arg(flag).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
            let _peer = Peer(command.spawn().unwrap());
            let stage = Stage::new(&config(&format!("\"127.0.0.1:{port}\""), version, UNPROBED), 1);
            let mut client = Conn::open(stage.proxy.address());
            let body = String::from_utf8(answer(&stage, &mut client).body).unwrap();
            let expected = format!("127.0.0.1 {} {}", client.address().port(), stage.proxy.address().port());
            assert_eq!(body.trim(), expected, "{program} {version}");
        }
    }
}

#[test]
fn a_pool_means_nothing_beside_it_and_it_cannot_begin_by_a_reload() {
    let server = hearing();
    let stage = Stage::new(&config(&quoted(&server), "v1", UNPROBED).replace("proxy-protocol = \"v1\"\n", ""), 1);
    for (more, problem) in [
        ("pool = { idle = 3 }\n", "upstream web: `pool.idle` means nothing beside `proxy-protocol`"),
        ("", "proxy-protocol is new here for servers"),
    ] {
        stage.write(&config(&quoted(&server), "v1", &format!("{UNPROBED}\n{more}")));
        stage.proxy.signal("HUP");
        stage.proxy.wait_for_stderr(problem);
    }
}
