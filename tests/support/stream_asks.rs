//! The requests of clients that speak HTTP/2: well-formed ones with content or without, and a catalogue of broken ones.

use super::{
    asks::ask_for_popular,
    heads::Version,
    ledger::{Flaw, Ledger, body},
    random::Random,
    weather::Weather,
};
use std::time::Duration;

/// One request and how its client sends it.
#[derive(Debug, Clone)]
pub struct StreamAsk {
    pub tag: usize,
    pub method: &'static str,
    pub scheme: &'static str,
    pub authority: &'static str,
    /// None for a plain `CONNECT`.
    pub path: String,
    pub fields: Vec<(&'static str, String)>,
    /// Sent behind the head; none if that is all of the request. For a tunnel it is sent when that is open.
    pub content: Option<Vec<u8>>,
    pub trailers: bool,
    pub tunnel: bool,
    /// Waits for `100 Continue`, or a while, before the content.
    pub expects: bool,
    /// Waits until no other request runs.
    pub alone: bool,
    /// Before it is sent.
    pub pause: Duration,
    /// A pause after every so many bytes of content.
    pub drip: Option<(usize, Duration)>,
    /// After so many bytes of content something other than the rest happens.
    pub leaves: Option<(usize, Leave)>,
    /// So long after its beginning it is given up, if its answer is not complete. That harms nobody: calm worlds have it, too.
    pub cancels: Option<Duration>,
}

/// The way in which a client leaves a request unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Resets its stream.
    Cancel,
    /// Sends nothing more on the stream, and waits.
    Stall,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Ends its side of the connection, and waits.
    Finish,
}

impl StreamAsk {
    /// The next request of a client.
    pub fn new(ledger: &mut Ledger, weather: &Weather, random: &mut Random) -> Self {
        let mut ask = if weather.shared > 0 && random.chance(weather.shared) {
            let (tag, target) = ask_for_popular(ledger, random);
            Self::plain(tag, "GET", format!("/t/{target}"))
        } else if weather.poison > 0 && random.chance(weather.poison) {
            let tag = ledger.ask("GET", Vec::new(), Flaw::None);
            ledger.requests[tag].poison = true;
            Self::plain(tag, "GET", format!("/t/{tag}"))
        } else if random.chance(weather.broken) {
            Self::broken(ledger, random)
        } else if random.chance(40) {
            Self::tunnel(ledger, weather.largest, random)
        } else {
            Self::well_formed(ledger, weather.largest, random)
        };
        ledger.requests[ask.tag].version = Version::Http2;
        ask.alone = random.chance(weather.hesitant);
        if random.chance(weather.hesitant) {
            ask.pause = random.micros(0..=3_000_000);
        }
        if let Some(content) = &ask.content
            && random.chance(200)
        {
            // At most a few dozen pauses, so that no client is slow enough to be thrown out for it.
            let len = content.len().max(1);
            ask.drip = Some((random.within(1..=len).max(len / 30), random.micros(0..=100_000)));
        }
        let flawed = ledger.requests[ask.tag].flaw != Flaw::None;
        if !flawed && random.chance(60) {
            ask.cancels = Some(Duration::from_micros(random.magnitude(0..=2_000_000) as u64));
        }
        if !flawed && random.chance(weather.rude_clients) {
            ask.be_rude(random);
        }
        ask
    }

    fn well_formed(ledger: &mut Ledger, largest: usize, random: &mut Random) -> Self {
        let method = *random.pick(&["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
        let with_content = matches!(method, "POST" | "PUT" | "PATCH") || random.chance(30);
        let content = if with_content { random.magnitude(0..=largest) } else { 0 };
        let tag = ledger.requests.len();
        let content = body("client", tag, content);
        let query = if random.chance(200) { "?q=a%20b&c=/../" } else { "" };
        let mut ask = Self::plain(tag, method, format!("/t/{tag}{query}"));
        let says_length = with_content && random.chance(500);
        if says_length {
            ask.fields.push(("content-length", content.len().to_string()));
        }
        ask.expects = with_content && random.chance(150);
        if ask.expects {
            ask.fields.push(("expect", "100-continue".into()));
        }
        // With a length there is no place for them on the way of HTTP/1.1.
        ask.trailers = with_content && !says_length && random.chance(200);
        if random.chance(200) {
            ask.fields.extend([("te", "trailers".into()), ("cookie", "a=b".into()), ("cookie", "c=d".into())]);
        }
        if random.chance(200) {
            ask.fields.push(("priority", format!("u={}{}", random.below(8), random.pick(&["", ", i"]))));
        }
        assert_eq!(ledger.ask(method, content.clone(), Flaw::None), tag);
        ledger.requests[tag].trailers = ask.trailers;
        ask.content = with_content.then_some(content);
        ask
    }

    /// Asks for a tunnel, as WebSockets do (RFC 8441).
    fn tunnel(ledger: &mut Ledger, largest: usize, random: &mut Random) -> Self {
        // To a backend, it is an upgrade.
        let tag = ledger.ask("GET", Vec::new(), Flaw::None);
        let content = body("tunnel", tag, random.magnitude(0..=largest / 10));
        ledger.requests[tag].tunnel = Some(content.clone());
        let mut ask = Self::plain(tag, "CONNECT", format!("/t/{tag}"));
        ask.fields.splice(0..0, [(":protocol", "websocket".into()), ("sec-websocket-version", "13".into())]);
        (ask.tunnel, ask.content) = (true, Some(content));
        ask
    }

    fn plain(tag: usize, method: &'static str, path: String) -> Self {
        let fields = vec![("x-order", "first".into()), ("x-order", "second".into())];
        Self {
            tag,
            method,
            scheme: "http",
            authority: "sim.test",
            path,
            fields,
            content: None,
            trailers: false,
            tunnel: false,
            expects: false,
            alone: false,
            pause: Duration::ZERO,
            drip: None,
            leaves: None,
            cancels: None,
        }
    }

    fn broken(ledger: &mut Ledger, random: &mut Random) -> Self {
        if random.chance(200) {
            let tag = ledger.ask("POST", b"abc".to_vec(), Flaw::Body("shorter than it says"));
            let mut ask = Self::plain(tag, "POST", format!("/t/{tag}"));
            ask.fields.push(("content-length", "4".into()));
            ask.content = Some(b"abc".to_vec());
            return ask;
        }
        let (rule, spoil) = random.pick(BROKEN);
        let tag = ledger.ask("GET", Vec::new(), Flaw::Head(rule));
        let mut ask = Self::plain(tag, "GET", format!("/t/{tag}"));
        spoil(&mut ask);
        ask
    }

    fn be_rude(&mut self, random: &mut Random) {
        use Leave::{Cancel, Close, Finish, Reset, Stall};
        // A tunnel may be silent for an hour.
        let ways =
            if self.tunnel { &[Cancel, Close, Reset][..] } else { &[Cancel, Stall, Stall, Close, Reset, Finish] };
        match &self.content {
            // With all of its content, a request that says how much that is is complete.
            Some(content) if !content.is_empty() => {
                self.leaves = Some((random.below(content.len()), *random.pick(ways)));
            }
            _ => self.cancels = Some(random.micros(0..=100_000)),
        }
    }
}

/// How to break a rule.
type Spoil = fn(&mut StreamAsk);

/// Requests that a proxy must refuse. An origin that sees one gives the alarm.
const BROKEN: &[(&str, Spoil)] = &[
    ("unknown scheme", |ask| ask.scheme = "ftp"),
    ("the other scheme", |ask| ask.scheme = "https"),
    ("a path without a slash", |ask| ask.path.replace_range(..1, "")),
    ("a whole URI", |ask| ask.path.insert_str(0, "http://sim.test")),
    ("fragment in path", |ask| ask.path.push_str("#x")),
    ("control in path", |ask| ask.path.push('\u{1}')),
    ("space in path", |ask| ask.path.push_str(" HTTP/1.1")),
    ("line break in path", |ask| ask.path.push_str("\r\nX: 1")),
    ("long path", |ask| ask.path.push_str(&"x".repeat(20_000))),
    ("bad method", |ask| ask.method = "G@T"),
    ("method with a line break", |ask| ask.method = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    ("malformed authority", |ask| ask.authority = "a b"),
    ("two authorities", |ask| ask.fields.push(("host", "other.test".into()))),
    ("TE", |ask| ask.fields.push(("te", "gzip".into()))),
    ("space before a value", |ask| ask.fields.push(("x", " 1".into()))),
    ("line break in a value", |ask| ask.fields.push(("x", "1\r\nX-Smuggled: 1".into()))),
    ("NUL in a value", |ask| ask.fields.push(("x", "1\u{0}2".into()))),
    ("content that does not come", |ask| ask.fields.push(("content-length", "3".into()))),
    ("differing lengths", |ask| {
        ask.fields.extend([("content-length", "0".into()), ("content-length", "3".into())]);
    }),
    ("a signed length", |ask| ask.fields.push(("content-length", "+0".into()))),
    ("long head", |ask| ask.fields.push(("x", "x".repeat(30_000)))),
    ("CONNECT", |ask| {
        (ask.method, ask.authority) = ("CONNECT", "sim.test:80");
        ask.path.clear();
    }),
    ("unknown protocol", |ask| {
        ask.method = "CONNECT";
        ask.fields.insert(0, (":protocol", "chat".into()));
    }),
];
