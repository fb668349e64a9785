//! TLS between two ends of our own: any bytes in the place of one of them, and any damage on the way between both.
//!
//! Nothing panics, and no application hears a word before its peer is verified, or another word than the peer's application has said.
//! Bytes that are no handshake end it for one reason, with a bounded answer. Which reason may depend on how they are cut: the library looks
//! at half a record that stands behind a whole one, and here half a record is waited for.

use super::pieces::{MOST, pieces};
use socket_patterns::{
    app::{Action, App, ConnId, Cx, Insecure, ListenerId, Origin, ServerId, TimerKey},
    time::{Instant, Now},
    tls::{MinVersion, Pair, Rules, Server, Servers, Shared, Store, Terminator, Tickets, Trust, provider},
};
use std::{
    io::ErrorKind,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

/// For the name `test`, until 2126. Its key guards nothing.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBhjCCASygAwIBAgIUC66YmhupsqYv0aPA6NajyVozlUgwCgYIKoZIzj0EAwIw\n\
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjkyMjE5MzNaGA8yMTI2MTEwNTIyMTkz\n\
M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABANj\n\
EytuFMwnMVrVDMjOiTJTF2c/1DprLmjwbk1FKpNWIvUMiMZWihVqa/evQAhU9nHd\n\
Dp7qruQy5qOaXd1qVeSjZDBiMB0GA1UdDgQWBBTHvy9sMcjIWnzr7+JN7h8xrF8Z\n\
2TAfBgNVHSMEGDAWgBTHvy9sMcjIWnzr7+JN7h8xrF8Z2TAPBgNVHRMBAf8EBTAD\n\
AQH/MA8GA1UdEQQIMAaCBHRlc3QwCgYIKoZIzj0EAwIDSAAwRQIhAO+4ZK/Tq8ih\n\
FeiV0kwgOuAVVulRg3cO7dKmqeVEnCyFAiBUSyaoEPEGn0Aaie6vF9hGKDumljGF\n\
AROmRPhIiroUYg==\n\
-----END CERTIFICATE-----\n";
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgg1EkmV8nDFyuG8cW\n\
4KshYasSvOUBQvJdOjbuqZI6FmKhRANCAAQDYxMrbhTMJzFa1QzIzokyUxdnP9Q6\n\
ay5o8G5NRSqTViL1DIjGVooVamv3r0AIVPZx3Q6e6q7kMuajml3dalXk\n\
-----END PRIVATE KEY-----\n";

/// When the certificate is good.
const WALL: Duration = Duration::from_secs(2_000_000_000);

const TLS: ListenerId = ListenerId(1);

/// An application's words, in both directions.
const SAID: &[u8] = b"these are the words that an application has said";

/// More than any handshake of one end has.
const FLIGHT: usize = 8 * 1024;

/// The certificate of one end, and the trust of the other.
static ENDS: LazyLock<(Pair, Trust)> = LazyLock::new(|| {
    let provider = Arc::new(provider());
    let pair = Pair::read(CERTIFICATE.as_bytes(), KEY.as_bytes(), None, &provider).expect("the pair is good");
    let trust = Trust::in_file(CERTIFICATE.as_bytes(), MinVersion::default(), &provider).expect("the file is good");
    (pair, trust)
});

/// New ones for each input: no session is resumed, so that what comes of one does not depend on those before.
fn ends() -> (Store, Servers) {
    let (pair, trust) = &*ENDS;
    let store = Store::new(std::slice::from_ref(pair), None, Rules::default(), &Arc::new(provider()));
    let server = Server::new("test", "test", trust).expect("it is a name");
    (store.expect("there is no other file"), Servers::new(vec![Some(Arc::new(server))]))
}

/// Panics if a rule is broken.
pub fn judge(data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    for role in [Role::Accepts, Role::Dials] {
        Bench::new(role).hear_all([data]);
        Bench::new(role).hear_all(pieces(data));
    }
    damage(data);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Accepts,
    Dials,
}

/// Notes what it is told, and says its words as soon as it may. It does not say that this was all: where debug assertions are on, the
/// library does not bear a record that is damaged behind its own `close_notify`.
#[derive(Debug, Default)]
struct Note {
    open: bool,
    heard: Vec<u8>,
    ended: bool,
    over: Option<&'static str>,
}

impl Note {
    fn begin(&mut self, cx: &mut Cx, conn: ConnId) {
        assert!(!self.open && self.over.is_none(), "a connection begins once");
        self.open = true;
        cx.send(conn, SAID);
    }

    fn end(&mut self, why: &'static str) {
        assert!(self.over.replace(why).is_none(), "a connection ends once");
    }
}

impl App for Note {
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        assert!(origin.secure.is_some());
        self.begin(cx, conn);
    }
    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        self.begin(cx, conn);
    }
    fn received(&mut self, _: &mut Cx, _: ConnId, input: &[u8]) {
        assert!(self.open && self.over.is_none(), "before it was open");
        self.heard.extend_from_slice(input);
    }
    fn sent(&mut self, _: &mut Cx, _: ConnId, _: usize) {}
    fn ended(&mut self, _: &mut Cx, _: ConnId) {
        assert!(self.open && !self.ended);
        self.ended = true;
    }
    fn failed(&mut self, _: &mut Cx, _: ConnId, _: ErrorKind) {
        self.end("failed");
    }
    fn insecure(&mut self, _: &mut Cx, _: ConnId, why: Insecure) {
        self.end(why.as_str());
    }
    fn expired(&mut self, _: &mut Cx, _: TimerKey) {}
    fn drain(&mut self, _: &mut Cx) {}
}

/// One end.
struct Bench {
    cx: Cx,
    terminator: Terminator<Note>,
    servers: Arc<Servers>,
    conn: ConnId,
    /// The bytes that it has sent, and whether it has sent its last.
    sent: Vec<u8>,
    over: bool,
}

impl Bench {
    fn new(role: Role) -> Self {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        let now = Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH + WALL };
        let (store, servers) = ends();
        let shared = Shared::new(store, Tickets::new(Duration::ZERO), Duration::from_secs(10), "plain");
        let servers = Arc::new(servers);
        let terminator = Terminator::new(Note::default(), TLS, Arc::new(shared), now.instant);
        let mut terminator = terminator.with_servers(servers.clone());
        let mut cx = Cx::new(now);
        let peer = ([192, 0, 2, 7], 4000).into();
        let conn = match role {
            Role::Accepts => {
                let conn = cx.allocate();
                terminator.accepted(&mut cx, conn, Origin { listener: TLS, peer, local: None, secure: None });
                conn
            }
            Role::Dials => {
                let conn = cx.connect_secured(peer, ServerId(0), Default::default());
                // The wish is heard with the next call.
                terminator.woken(&mut cx);
                terminator.connected(&mut cx, conn);
                conn
            }
        };
        let mut bench = Self { cx, terminator, servers, conn, sent: Vec::new(), over: false };
        bench.perform();
        bench
    }

    /// Hears bytes, and has its next turn.
    fn hear(&mut self, input: &[u8]) {
        if !self.is_open() || input.is_empty() {
            return;
        }
        self.cx.hear(input);
        self.terminator.received(&mut self.cx, self.conn, input);
        self.cx.hear(&[]);
        self.perform();
        self.turn();
    }

    fn turn(&mut self) {
        self.cx.set_clock(self.cx.clock().after(Duration::from_millis(1)));
        while self.cx.take_call() {
            self.terminator.woken(&mut self.cx);
            self.perform();
        }
    }

    fn is_open(&self) -> bool {
        self.cx.is_open(self.conn)
    }

    fn perform(&mut self) {
        let mut actions = Vec::new();
        self.cx.take_actions(&mut actions);
        for action in actions {
            match action {
                Action::Send(conn, bytes) if conn == self.conn => {
                    assert!(!self.over, "after the end");
                    self.sent.extend_from_slice(&bytes);
                }
                Action::Finish(_) | Action::Close(_) | Action::HangUp(_) | Action::Abort(_) => self.over = true,
                Action::ConnectSecured(..) => panic!("it is for the layer to carry out"),
                _ => {}
            }
        }
    }

    /// All of it, and the end of the stream.
    fn hear_all<'p>(mut self, pieces: impl IntoIterator<Item = &'p [u8]>) {
        pieces.into_iter().for_each(|piece| self.hear(piece));
        assert!(self.sent.len() < FLIGHT, "{} bytes for {MOST}", self.sent.len());
        if self.is_open() {
            self.terminator.ended(&mut self.cx, self.conn);
            self.perform();
        }
        assert!(!self.is_open(), "nothing is left of it");
        let note = self.terminator.app();
        assert!(!note.open && note.heard.is_empty(), "no input is a whole handshake");
        let mut failures = self.terminator.shared().counters.read().failures;
        failures.extend(self.servers.counters.read().failures);
        assert_eq!(failures.values().sum::<u64>(), 1, "{failures:?}");
    }
}

/// Both ends, and between them bytes that change. The input says which: direction, distance from the last one, change.
fn damage(data: &[u8]) {
    let (mut client, mut server) = (Bench::new(Role::Dials), Bench::new(Role::Accepts));
    let mut harm = [Harm::new(data, 0), Harm::new(data, 1)];
    let mut passed = [0, 0];
    loop {
        let to_server = harm[0].apply(client.sent[passed[0]..].to_vec(), passed[0]);
        let to_client = harm[1].apply(server.sent[passed[1]..].to_vec(), passed[1]);
        if to_server.is_empty() && to_client.is_empty() {
            break;
        }
        passed = [passed[0] + to_server.len(), passed[1] + to_client.len()];
        server.hear(&to_server);
        client.hear(&to_client);
    }
    for end in [&client, &server] {
        let note = end.terminator.app();
        assert!(SAID.starts_with(&note.heard), "{:?}", note.heard.escape_ascii());
        assert!(!note.ended, "an end that was not said");
        assert!(note.open || note.heard.is_empty());
    }
    if harm.iter().all(|harm| !harm.done) {
        let (client, server) = (client.terminator.app(), server.terminator.app());
        assert!(client.heard == SAID && server.heard == SAID, "undamaged");
    }
}

/// The changes in one direction.
struct Harm {
    /// Where, and how.
    places: Vec<(usize, u8)>,
    /// One of them has come to pass.
    done: bool,
}

impl Harm {
    fn new(data: &[u8], direction: u8) -> Self {
        let mut at = 0;
        let mut places = Vec::new();
        for step in data.chunks_exact(4).take(64) {
            at += usize::from(u16::from_be_bytes([step[1], step[2]]) % 2048);
            if step[0] & 1 == direction && step[3] != 0 {
                places.push((at, step[3]));
            }
        }
        Self { places, done: false }
    }

    fn apply(&mut self, mut bytes: Vec<u8>, begin: usize) -> Vec<u8> {
        let mut was_done = self.done;
        for (at, change) in &self.places {
            if let Some(byte) = at.checked_sub(begin).and_then(|at| bytes.get_mut(at)) {
                *byte ^= change;
                was_done = true;
            }
        }
        self.done = was_done;
        bytes
    }
}
