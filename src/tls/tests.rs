//! A terminator whose driver is the test: what it asks for is looked at, and nothing has a socket.

use super::{Failure, Pair, Rules, Shared, Store, Terminator, Tickets, provider, session::Session};
use crate::{
    app::{Action, App, ConnId, Cx, Insecure, ListenerId, Origin, TimerKey},
    buf::{FilePart, Readable},
    net::clock,
};
use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    sync::Arc,
    time::Duration,
};

const TLS: ListenerId = ListenerId(1);

/// A certificate for `test`, and a client that trusts it.
fn site() -> (Pair, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["test".to_owned()]).unwrap().self_signed(&key).unwrap().der().clone();
    let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let pair = Pair::of(vec![certificate.clone()], secret, None, &provider()).unwrap();
    (pair, client_config(certificate))
}

fn client_config(trusted: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
    Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth())
}

fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config.clone(), ServerName::try_from("test").unwrap()).unwrap()
}

fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Has the client hear records; its plaintext.
fn heard(client: &mut ClientConnection, mut records: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while !records.is_empty() {
        client.read_tls(&mut records).unwrap();
        client.process_new_packets().unwrap();
        match client.reader().read_to_end(&mut plain) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    plain
}

fn store(pair: Pair) -> Store {
    Store::new(&[pair], None, Rules::default(), &Arc::new(provider())).unwrap()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Accepted,
    Received(Vec<u8>),
    Sent(usize),
    Spliced(u64),
    Ended,
    Failed(ErrorKind),
    Connected,
    Insecure(Insecure),
}

/// Notes everything, and does what it was given to do at the next call.
#[derive(Default)]
struct Note {
    told: Vec<Told>,
    next: Vec<Action>,
}

impl Note {
    fn note(&mut self, cx: &mut Cx, told: Told) {
        self.told.push(told);
        self.next.drain(..).for_each(|action| cx.pass_on(action));
    }
}

impl App for Note {
    fn accepted(&mut self, cx: &mut Cx, _: ConnId, origin: Origin) {
        assert_eq!(origin.secure.is_some(), origin.listener == TLS);
        self.note(cx, Told::Accepted);
    }
    fn connected(&mut self, cx: &mut Cx, _: ConnId) {
        self.note(cx, Told::Connected);
    }
    fn insecure(&mut self, cx: &mut Cx, _: ConnId, why: Insecure) {
        self.note(cx, Told::Insecure(why));
    }
    fn received(&mut self, cx: &mut Cx, _: ConnId, input: &[u8]) {
        self.note(cx, Told::Received(input.to_vec()));
    }
    fn sent(&mut self, cx: &mut Cx, _: ConnId, unsent: usize) {
        self.note(cx, Told::Sent(unsent));
    }
    fn spliced(&mut self, cx: &mut Cx, _: ConnId, moved: u64) {
        self.note(cx, Told::Spliced(moved));
    }
    fn ended(&mut self, cx: &mut Cx, _: ConnId) {
        self.note(cx, Told::Ended);
    }
    fn failed(&mut self, cx: &mut Cx, _: ConnId, error: ErrorKind) {
        self.note(cx, Told::Failed(error));
    }
    fn expired(&mut self, _: &mut Cx, _: TimerKey) {}
    fn drain(&mut self, _: &mut Cx) {}
}

/// The driver.
struct Bench {
    cx: Cx,
    terminator: Terminator<Note>,
    clients: Arc<ClientConfig>,
}

impl Bench {
    fn new() -> Self {
        let (pair, clients) = site();
        let now = clock::now();
        let shared = Shared::new(store(pair), Tickets::new(Duration::from_secs(60)), Duration::from_secs(10), "plain");
        let terminator = Terminator::new(Note::default(), TLS, Arc::new(shared), now.instant);
        Self { cx: Cx::new(now), terminator, clients }
    }

    fn accept(&mut self, listener: ListenerId) -> ConnId {
        let conn = self.cx.allocate();
        let origin = Origin { listener, peer: ([192, 0, 2, 7], 4000).into(), local: None, secure: None };
        self.terminator.accepted(&mut self.cx, conn, origin);
        conn
    }

    fn hear(&mut self, conn: ConnId, input: &[u8]) -> Vec<Action> {
        self.cx.hear(input);
        self.terminator.received(&mut self.cx, conn, input);
        self.cx.hear(&[]);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.cx.take_actions(&mut actions);
        actions
    }

    /// The next turn: its time, and the call that was asked for.
    fn turn(&mut self) -> Vec<Action> {
        self.cx.set_clock(self.cx.clock().after(Duration::from_millis(1)));
        if self.cx.take_call() {
            self.terminator.woken(&mut self.cx);
        }
        self.actions()
    }

    /// An open connection and its client.
    fn open(&mut self) -> (ConnId, ClientConnection) {
        let conn = self.accept(TLS);
        let mut client = client(&self.clients);
        while client.is_handshaking() {
            let hello = said(&mut client);
            self.cx.set_clock(self.cx.clock().after(Duration::from_millis(1)));
            let answer = records(&self.hear(conn, &hello), conn);
            heard(&mut client, &answer);
        }
        let finished = said(&mut client);
        let tickets = records(&self.hear(conn, &finished), conn);
        heard(&mut client, &tickets);
        assert_eq!(self.told(), [Told::Accepted]);
        (conn, client)
    }

    fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.terminator.app_mut().told)
    }

    fn next(&mut self, actions: impl IntoIterator<Item = Action>) {
        self.terminator.app_mut().next.extend(actions);
    }
}

/// Everything that is sent to a connection.
fn records(actions: &[Action], to: ConnId) -> Vec<u8> {
    let sent = |action: &Action| match action {
        Action::Send(conn, bytes) if *conn == to => bytes.to_vec(),
        _ => Vec::new(),
    };
    actions.iter().flat_map(sent).collect()
}

#[test]
fn bytes_go_through_both_ways_and_each_end_is_announced() {
    let mut bench = Bench::new();
    let (conn, mut client) = bench.open();
    client.writer().write_all(b"question").unwrap();
    bench.next([Action::Send(conn, "head".into()), Action::Forward(conn, 0..8), Action::Close(conn)]);
    let actions = bench.hear(conn, &said(&mut client));
    assert_eq!(bench.told(), [Told::Received(b"question".to_vec())]);
    assert_eq!(actions.last(), Some(&Action::Close(conn)));
    assert_eq!(heard(&mut client, &records(&actions, conn)), b"headquestion");
    assert_eq!(client.reader().read(&mut [0; 8]).unwrap(), 0, "close_notify has come");
}

#[test]
fn the_driver_itself_forwards_between_plain_connections() {
    let mut bench = Bench::new();
    let (tls, mut client) = bench.open();
    let plain = bench.accept(ListenerId(0));
    bench.told();
    bench.next([Action::Forward(plain, 1..4), Action::Forward(tls, 0..5)]);
    let actions = bench.hear(plain, b"hello");
    assert_eq!(actions[0], Action::Forward(plain, 1..4));
    assert_eq!(heard(&mut client, &records(&actions, tls)), b"hello");
}

#[test]
fn a_splice_is_carried_out_here_and_what_follows_is_heard() {
    let mut bench = Bench::new();
    let (tls, mut client) = bench.open();
    let plain = bench.accept(ListenerId(0));
    bench.told();
    bench.next([Action::Splice { from: plain, to: tls, len: 7 }]);
    assert_eq!(bench.hear(plain, b"before"), []);
    let mut got = Vec::new();
    for part in ["1234", "567next"] {
        got.extend(heard(&mut client, &records(&bench.hear(plain, part.as_bytes()), tls)));
    }
    assert_eq!(got, b"1234567");
    let expected =
        [Told::Received(b"before".to_vec()), Told::Spliced(4), Told::Spliced(3), Told::Received(b"next".to_vec())];
    assert_eq!(bench.told(), expected);
}

/// A file that nothing is read of.
#[derive(Debug)]
struct Unread;

impl Readable for Unread {
    fn read_at(&self, _: &mut [u8], _: u64) -> std::io::Result<usize> {
        Ok(0)
    }
}

/// Its bytes would leave in plain. The driver resets the connection, as for every file that cannot be read.
#[test]
fn a_file_is_sent_on_plain_connections_only() {
    let mut bench = Bench::new();
    let (tls, mut client) = bench.open();
    let plain = bench.accept(ListenerId(0));
    let part = FilePart { file: std::sync::Arc::new(Unread), at: 3, length: 5 };
    bench.next([
        Action::SendFile(plain, part.clone()),
        Action::Send(tls, "head".into()),
        Action::SendFile(tls, part.clone()),
    ]);
    let actions = bench.hear(plain, b"?");
    assert_eq!(heard(&mut client, &records(&actions, tls)), b"head");
    let files: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::SendFile(conn, part) => Some((*conn, part.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(files[0], (plain, part));
    let (conn, sent) = &files[1];
    let read = sent.file.read_at(&mut [0], 0).map_err(|error| error.kind());
    assert_eq!((*conn, sent.length, read), (tls, 5, Err(std::io::ErrorKind::Unsupported)));
}

/// A driver that takes nothing: at most so much is sealed, and the application hears what waits.
#[test]
fn no_more_is_sealed_than_a_peer_takes() {
    const LEN: usize = 3 << 20;
    let mut bench = Bench::new();
    let (conn, mut client) = bench.open();
    client.writer().write_all(b"?").unwrap();
    bench.next([Action::Send(conn, vec![7; LEN].into())]);
    let question = said(&mut client);
    let mut sealed = records(&bench.hear(conn, &question), conn);
    assert!((512 * 1024..600 * 1024).contains(&sealed.len()), "{}", sealed.len());
    bench.terminator.sent(&mut bench.cx, conn, sealed.len());
    assert!(bench.actions().is_empty() && bench.turn().is_empty(), "nothing was taken");
    let told = bench.told();
    assert!(matches!(told[1], Told::Sent(unsent) if unsent >= LEN), "{:?}", &told[1..]);
    let mut got = heard(&mut client, &sealed).len();
    while got < LEN {
        bench.cx.set_clock(bench.cx.clock().after(Duration::from_millis(1)));
        bench.terminator.sent(&mut bench.cx, conn, 0);
        sealed = records(&bench.actions(), conn);
        assert!(sealed.len() < 600 * 1024);
        got += heard(&mut client, &sealed).len();
    }
    assert_eq!((got, bench.told().last()), (LEN, Some(&Told::Sent(0))));
}

#[test]
fn a_turn_answers_one_handshake_and_the_others_follow_in_order() {
    let mut bench = Bench::new();
    let waiting: Vec<(ConnId, ClientConnection)> =
        (0..3).map(|_| (bench.accept(TLS), client(&bench.clients))).collect();
    let mut answered = Vec::new();
    let whom = |actions: &[Action]| match actions {
        [Action::Send(conn, _)] => Some(*conn),
        [] => None,
        other => panic!("{other:?}"),
    };
    let conns: Vec<ConnId> = waiting.iter().map(|(conn, _)| *conn).collect();
    for (conn, mut client) in waiting {
        let hello = said(&mut client);
        answered.push(whom(&bench.hear(conn, &hello)));
    }
    assert_eq!(answered, [Some(conns[0]), None, None]);
    assert_eq!([whom(&bench.turn()), whom(&bench.turn())], [Some(conns[1]), Some(conns[2])]);
    assert!(!bench.cx.is_called_again());
}

#[test]
fn a_handshake_has_so_many_bytes_and_no_more() {
    const MAX: usize = 64 * 1024;
    let mut bench = Bench::new();
    for (len, ends) in [(MAX, false), (MAX + 1, true)] {
        let conn = bench.accept(TLS);
        // Records of handshake messages, none of which is complete.
        let mut input = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
        input.resize(5 + 0x4000, 0);
        let input: Vec<u8> = input.iter().copied().cycle().take(len).collect();
        let mut ended = false;
        for part in input.chunks(1000) {
            ended |= bench.hear(conn, part).iter().any(|action| matches!(action, Action::Abort(_) | Action::Close(_)));
            bench.turn();
        }
        assert_eq!(ended || !bench.cx.is_open(conn), ends, "{len}");
    }
    let failures = bench.terminator.shared().counters.read().failures;
    assert_eq!(failures.get(Failure::TooLarge.as_str()), Some(&1), "{failures:?}");
}

#[test]
fn an_end_without_close_notify_is_a_failure_and_with_it_an_end() {
    let mut bench = Bench::new();
    let (conn, _client) = bench.open();
    bench.terminator.ended(&mut bench.cx, conn);
    assert_eq!(bench.told(), [Told::Failed(ErrorKind::UnexpectedEof)]);
    assert!(!bench.cx.is_open(conn));
    bench.actions();
    let (conn, mut client) = bench.open();
    client.send_close_notify();
    bench.hear(conn, &said(&mut client));
    bench.terminator.ended(&mut bench.cx, conn);
    assert_eq!(bench.told(), [Told::Ended]);
}

#[test]
fn silent_connections_do_not_hold_up_the_end() {
    let mut bench = Bench::new();
    let silent = bench.accept(TLS);
    let (open, _client) = bench.open();
    bench.terminator.drain(&mut bench.cx);
    assert!(bench.cx.is_open(silent), "its first words may be on their way");
    let by = bench.cx.next_deadline().expect("they have to come soon");
    assert!(by <= bench.cx.now() + std::time::Duration::from_secs(1));
    bench.terminator.expired(&mut bench.cx, TimerKey::Conn(silent));
    assert!(!bench.cx.is_open(silent) && bench.cx.is_open(open));
}

#[test]
fn the_oldest_handshake_gives_way_to_another_connection() {
    let mut bench = Bench::new();
    let (open, _client) = bench.open();
    let (first, second) = (bench.accept(TLS), bench.accept(TLS));
    bench.terminator.crowded(&mut bench.cx);
    assert_eq!(bench.actions(), [Action::Abort(first)]);
    assert!(bench.cx.is_open(open) && bench.cx.is_open(second));
}

/// The type of the last record.
fn last_record(mut records: &[u8]) -> u8 {
    let mut last = 0;
    while let [kind, _, _, high, low, rest @ ..] = records {
        last = *kind;
        records = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    last
}

/// Each byte of a hello is damaged in several ways: it fails with a reason, or waits for more.
#[test]
fn damaged_hellos_end_with_a_reason() {
    let (pair, clients) = site();
    let shared = (Arc::new(store(pair)), Arc::new(Tickets::new(Duration::from_secs(60))));
    let hello = said(&mut client(&clients));
    for at in 0..hello.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = hello.clone();
            damaged[at] ^= change;
            let mut session = Session::new(shared.0.clone(), shared.1.clone()).unwrap();
            let (mut plain, mut out) = (Vec::new(), Vec::new());
            let heard = session.receive(&damaged, clock::now().wall, &mut Vec::new(), &mut plain, &mut out);
            assert!(plain.is_empty() && session.is_handshaking(), "byte {at}");
            if heard.failure.is_some() {
                // Behind a ServerHello it is encrypted, and looks like content.
                assert!(matches!(last_record(&out), 21 | 23), "byte {at}: an alert");
            }
        }
    }
}

mod servers {
    //! Connections that the application opens, against a server that the test plays.

    use super::*;
    use crate::{
        app::ServerId,
        tls::{MinVersion, Server, Servers, Trust},
    };
    use rustls::{ServerConfig, ServerConnection};

    const THERE: std::net::SocketAddr =
        std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 443);

    /// A terminator whose application knows a server by this name; the server has a certificate for `test`.
    fn bench(name: &str) -> (Bench, Arc<ServerConfig>) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["test".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        let provider = Arc::new(provider());
        let config =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], secret).unwrap();
        let trust = Trust::in_authorities(vec![certificate], MinVersion::default(), &provider).unwrap();
        let server = Server::new(name, "https://test", &trust).unwrap();
        let mut bench = Bench::new();
        bench.terminator = bench.terminator.with_servers(Arc::new(Servers::new(vec![Some(Arc::new(server))])));
        (bench, Arc::new(config))
    }

    impl Bench {
        /// The application asks for a connection; the driver is asked for one to the same address.
        fn dial(&mut self) -> ConnId {
            let conn = self.cx.allocate();
            self.next([Action::ConnectSecured(conn, THERE, ServerId(0), Bytes::new())]);
            // Any call will do.
            let plain = self.accept(ListenerId(0));
            assert_eq!(self.actions(), [Action::Connect(conn, THERE)]);
            self.cx.release(plain);
            self.told();
            conn
        }

        fn reach(&mut self, conn: ConnId) -> Vec<u8> {
            self.cx.set_clock(self.cx.clock().after(Duration::from_millis(1)));
            self.terminator.connected(&mut self.cx, conn);
            records(&self.actions(), conn)
        }
    }

    fn say(server: &mut ServerConnection) -> Vec<u8> {
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn hear(server: &mut ServerConnection, mut records: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !records.is_empty() {
            server.read_tls(&mut records).unwrap();
            server.process_new_packets().unwrap();
            let _ = server.reader().read_to_end(&mut plain);
        }
        plain
    }

    /// However the server's bytes are cut, the application hears of the connection once the server is verified and not before, and what
    /// it has sent meanwhile leaves then, sealed.
    #[test]
    fn a_server_is_verified_before_a_byte_of_the_application_leaves() {
        for cut in [1, 7, 100, usize::MAX] {
            let (mut bench, config) = bench("test");
            let conn = bench.dial();
            let mut server = ServerConnection::new(config).unwrap();
            hear(&mut server, &bench.reach(conn));
            bench.next([Action::Send(conn, "secret question".into())]);
            let plain = bench.accept(ListenerId(0));
            assert!(bench.actions().is_empty(), "nothing leaves before that");
            bench.cx.release(plain);
            bench.told();
            let flight = say(&mut server);
            let mut answered = Vec::new();
            for part in flight.chunks(cut.min(flight.len())) {
                assert_eq!(bench.told(), [], "it is not verified");
                let actions = bench.hear(conn, part);
                answered.extend(records(&actions, conn));
                answered.extend(records(&bench.turn(), conn));
            }
            assert!(matches!(bench.told()[..], [Told::Connected, ..]));
            answered.extend(records(&bench.turn(), conn));
            assert!(!answered.windows(6).any(|window| window == b"secret"));
            assert_eq!(hear(&mut server, &answered), b"secret question", "in pieces of {cut}");
            server.writer().write_all(b"answer").unwrap();
            bench.next([Action::HangUp(conn)]);
            let actions = bench.hear(conn, &say(&mut server));
            assert!(bench.told().contains(&Told::Received(b"answer".to_vec())));
            hear(&mut server, &records(&actions, conn));
            assert_eq!(server.reader().read(&mut [0; 8]).unwrap(), 0, "close_notify has come");
        }
    }

    #[test]
    fn a_server_of_another_name_hears_an_alert_and_the_application_why() {
        let (mut bench, config) = bench("other.test");
        let conn = bench.dial();
        let mut server = ServerConnection::new(config).unwrap();
        hear(&mut server, &bench.reach(conn));
        let actions = bench.hear(conn, &say(&mut server));
        let word = "backend certificate for other names";
        assert_eq!(bench.told(), [Told::Insecure(Insecure::Certificate(word))]);
        assert!(matches!(actions[..], [Action::Send(..), Action::HangUp(last)] if last == conn), "{actions:?}");
        assert!(!bench.cx.is_open(conn));
        server.read_tls(&mut &records(&actions, conn)[..]).unwrap();
        assert!(
            server.process_new_packets().is_err_and(|error| error.to_string().contains("CertificateUnknown")
                || error.to_string().contains("BadCertificate"))
        );
    }

    #[test]
    fn each_end_in_the_handshake_has_its_reason() {
        type End = fn(&mut Bench, ConnId);
        fn reset(bench: &mut Bench, conn: ConnId) {
            bench.cx.release(conn);
            bench.terminator.failed(&mut bench.cx, conn, ErrorKind::ConnectionReset);
        }
        fn give_up(bench: &mut Bench, conn: ConnId) {
            bench.cx.release(conn);
            bench.next([Action::Abort(conn)]);
            bench.accept(ListenerId(0));
            bench.told();
        }
        let closed = "backend closed in the handshake";
        let insecure = |why| Some(Told::Insecure(why));
        let ends: [(End, Option<Told>, &str); 5] = [
            (|bench, conn| bench.terminator.ended(&mut bench.cx, conn), insecure(Insecure::Protocol(closed)), closed),
            (reset, insecure(Insecure::Protocol(closed)), closed),
            (
                |bench, conn| drop(bench.hear(conn, b"HTTP/1.1 400 Bad Request\r\n")),
                insecure(Insecure::Protocol("backend speaks no TLS")),
                "backend speaks no TLS",
            ),
            (
                |bench, conn| drop(bench.hear(conn, &[21, 3, 3, 0, 2, 2, 40])),
                insecure(Insecure::Alert("alert handshake_failure")),
                "alert handshake_failure",
            ),
            (give_up, None, "given up in the handshake"),
        ];
        for (end, told, word) in ends {
            let (mut bench, _config) = bench("test");
            let conn = bench.dial();
            bench.reach(conn);
            end(&mut bench, conn);
            assert_eq!(bench.told(), told.into_iter().collect::<Vec<_>>(), "{word}");
            assert!(!bench.cx.is_open(conn), "{word}");
            let failures = bench.terminator.servers().counters.read().failures;
            assert_eq!(failures.iter().collect::<Vec<_>>(), [(&word, &1)]);
        }
    }

    /// Before the handshake, a failure is the driver's to tell.
    #[test]
    fn a_server_that_is_not_reached_is_none_of_our_business() {
        let (mut bench, _config) = bench("test");
        let conn = bench.dial();
        bench.cx.release(conn);
        bench.terminator.failed(&mut bench.cx, conn, ErrorKind::ConnectionRefused);
        assert_eq!(bench.told(), [Told::Failed(ErrorKind::ConnectionRefused)]);
        assert!(bench.terminator.servers().counters.read().failures.is_empty());
    }
}
