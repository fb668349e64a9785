//! The handshake: versions, groups, how it may arrive, what it may cost.

use crate::{
    Stage,
    support::{
        process::{PATIENCE, now},
        raw::{Conn, End},
        tls::{Tls, config, config_with},
    },
};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, version};
use std::{io::Write as _, sync::Arc};

#[test]
fn both_versions_are_spoken_and_the_log_tells_which() {
    let stage = Stage::new(&[]);
    let mut client = stage.client();
    assert_eq!(client.get("/", "test").body, b"hello");
    assert_eq!(client.tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = client.tls.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768), "the one that withstands quantum computers goes first");
    stage.proxy.wait_for_stderr("tls=\"1.3 X25519MLKEM768 TLS_AES_256_GCM_SHA384\" sni=test alpn=- resumed=false");

    let mut client = Tls::open_with(stage.proxy.tls_address(), "test", config_with(&[&version::TLS12]));
    assert_eq!(client.get("/", "test").body, b"hello");
    assert_eq!(client.tls.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    stage.proxy.wait_for_stderr("tls=\"1.2 X25519 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\"");
}

#[test]
fn an_old_version_is_refused_if_the_flag_says_so() {
    let stage = Stage::new(&["--tls-min", "1.3"]);
    assert_eq!(stage.client().get("/", "test").status(), 200);
    let old = Arc::new(config_with(&[&version::TLS12]));
    let error = Tls::try_open(stage.proxy.tls_address(), "test", &old).unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    stage.proxy.wait_for_stderr("failure=\"no version in common\"");
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let stage = Stage::new(&[]);
    for version in [&version::TLS13, &version::TLS12] {
        let mut client = Tls::begin(stage.proxy.tls_address(), "test", &Arc::new(config_with(&[version])));
        client.tls.writer().write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        while client.tls.is_handshaking() {
            for byte in client.records() {
                client.stream.write_all(&[byte]).unwrap();
            }
            client.tls.read_tls(&mut client.stream).unwrap();
            client.tls.process_new_packets().unwrap();
        }
        for byte in client.records() {
            client.stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(client.response("GET").body, b"hello", "{version:?}");
    }
}

#[test]
fn a_client_without_a_protocol_in_common_is_refused() {
    let stage = Stage::new(&[]);
    let with = |protocols: &[&[u8]]| {
        let mut config = config();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Tls::try_open(stage.proxy.tls_address(), "test", &Arc::new(config))
    };
    let mut client = with(&[b"spdy/3", b"http/1.1"]).unwrap();
    assert_eq!(client.get("/", "test").status(), 200);
    assert_eq!(client.tls.alpn_protocol(), Some(&b"http/1.1"[..]));
    stage.proxy.wait_for_stderr("alpn=http/1.1");
    let error = with(&[b"spdy/3"]).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    stage.proxy.wait_for_stderr("failure=\"no application protocol in common\"");
}

#[test]
fn a_session_is_resumed_with_its_ticket_on_any_worker() {
    for version in [&version::TLS13, &version::TLS12] {
        let stage = Stage::new(&["--workers", "3"]);
        let config = Arc::new(config_with(&[version]));
        for round in 0..8 {
            let mut client = Tls::try_open(stage.proxy.tls_address(), "test", &config).unwrap();
            assert_eq!(client.get("/", "test").body, b"hello");
            let expected = if round == 0 { HandshakeKind::Full } else { HandshakeKind::Resumed };
            assert_eq!(client.tls.handshake_kind(), Some(expected), "{version:?}, round {round}");
        }
        stage.proxy.wait_for_stderr("resumed=true");
    }
}

#[test]
fn a_ticket_does_not_resume_under_another_name_or_without_tickets() {
    let stage = Stage::new(&[]);
    let config = Arc::new(config());
    for name in ["test", "a.test", "b.test"] {
        let mut client = Tls::try_open(stage.proxy.tls_address(), name, &config).unwrap();
        assert_eq!(client.get("/", name).status(), 200);
        assert_eq!(client.tls.handshake_kind(), Some(HandshakeKind::Full), "{name}");
    }
    let stage = Stage::new(&["--ticket-lifetime", "0s"]);
    for _ in 0..2 {
        let mut client = Tls::try_open(stage.proxy.tls_address(), "test", &config).unwrap();
        assert_eq!(client.get("/", "test").status(), 200);
        assert_eq!(client.tls.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn a_burst_of_handshakes_is_answered_in_full() {
    let stage = Stage::new(&["--workers", "1"]);
    let config = Arc::new(config());
    let mut clients: Vec<Tls> = (0..50).map(|_| Tls::begin(stage.proxy.tls_address(), "test", &config)).collect();
    // All of them at once, then all answers.
    clients.iter_mut().for_each(Tls::flush);
    for client in &mut clients {
        client.handshake().unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.get("/", "test").body, b"hello");
    }
}

#[test]
fn a_client_that_does_not_go_on_is_let_go() {
    let stage = Stage::new(&["--tls-handshake-timeout", "300ms"]);
    let begun = now();
    let mut silent = Conn::open(stage.proxy.tls_address());
    let mut slow = Tls::begin(stage.proxy.tls_address(), "test", &Arc::new(config()));
    let hello = slow.records();
    slow.stream.write_all(&hello[..hello.len() - 1]).unwrap();
    assert_eq!(silent.read_to_end(), (Vec::new(), End::Reset));
    assert_eq!(slow.read_to_end().1, End::Reset);
    assert!(now() - begun < PATIENCE);
    stage.proxy.wait_for_stderr("failure=\"handshake timeout\"");
    // The others are not concerned.
    assert_eq!(stage.client().get("/", "test").status(), 200);
}
