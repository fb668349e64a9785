//! The requests of clients: well-formed ones in every framing, and a catalogue of broken ones.

use super::{
    heads::Version,
    ledger::{Flaw, Ledger, body},
    random::Random,
    weather::Weather,
    wire::chunked,
};
use std::time::Duration;

/// One request and how its client sends it.
#[derive(Debug)]
pub struct Ask {
    pub tag: usize,
    pub method: &'static str,
    pub head: Vec<u8>,
    /// Framed as it goes on the wire.
    pub body: Vec<u8>,
    /// Sent without waiting for the response before it.
    pub pipelined: bool,
    /// Waits for `100 Continue`, or a while, before the body.
    pub expects: bool,
    /// Nothing can follow it on its connection.
    pub last: bool,
    /// Before it is sent.
    pub pause: Duration,
    /// A pause after every so many bytes.
    pub drip: Option<(usize, Duration)>,
    /// After so many bytes something other than the rest happens.
    pub breaks_off: Option<(usize, BreakOff)>,
}

/// The way in which a client breaks off a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakOff {
    Close,
    Reset,
    /// Ends its side, and waits.
    Finish,
    /// Sends nothing more, and waits.
    Stall,
}

impl Ask {
    /// The next request of a client.
    pub fn new(ledger: &mut Ledger, weather: &Weather, random: &mut Random, may_wait: bool) -> Self {
        let mut ask = if weather.shared > 0 && random.chance(weather.shared) {
            Self::popular(ledger, random)
        } else if weather.poison > 0 && random.chance(weather.poison) {
            Self::poison(ledger)
        } else if random.chance(weather.broken) {
            Self::broken(ledger, random)
        } else if random.chance(40) {
            Self::upgrade(ledger, weather, random)
        } else {
            Self::well_formed(ledger, weather.largest, random)
        };
        ask.pipelined = may_wait && random.chance(weather.pipelined);
        if random.chance(200) {
            ask.pause = random.micros(0..=3_000_000);
        }
        if random.chance(150) && ledger.requests[ask.tag].tunnel.is_none() {
            // At most a few dozen pauses, so that no client is slow enough to be thrown out for it.
            let len = ask.head.len() + ask.body.len();
            ask.drip = Some((random.within(1..=len).max(len / 30), random.micros(0..=100_000)));
        }
        if ledger.requests[ask.tag].flaw == Flaw::None && random.chance(weather.rude_clients) {
            ask.be_rude(random);
        }
        ask
    }

    fn well_formed(ledger: &mut Ledger, largest: usize, random: &mut Random) -> Self {
        let method = *random.pick(&["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
        let with_body = matches!(method, "POST" | "PUT" | "PATCH") || random.chance(30);
        let len = if with_body { random.magnitude(0..=largest) } else { 0 };
        let tag = ledger.requests.len();
        let content = body("client", tag, len);
        let old = random.chance(80);
        let is_chunked = with_body && !old && random.chance(400);
        let expects = with_body && !old && random.chance(150);
        let last = old || random.chance(100);
        let mut head = first_line(method, tag, old, random);
        match (is_chunked, with_body) {
            (true, _) => head += "Transfer-Encoding: chunked\r\n",
            (false, true) => head += &format!("Content-Length: {len}\r\n"),
            (false, false) => {}
        }
        head += if expects { "Expect: 100-continue\r\n" } else { "" };
        head += if last { "Connection: close, x-hop\r\n" } else { "Connection: X-Hop\r\n" };
        head += "X-Hop: 1\r\nX-OrDeR: first\r\nx-order: second\r\n\r\n";
        let trailers = is_chunked && random.chance(200);
        let fields = if trailers { "X-Sum: 1\r\n" } else { "" };
        let wire = if is_chunked { chunked(&content, random.magnitude(1..=20_000), fields) } else { content.clone() };
        assert_eq!(ledger.ask(method, content, Flaw::None), tag);
        let request = &mut ledger.requests[tag];
        (request.version, request.trailers) = (if old { Version::Http10 } else { Version::Http11 }, trailers);
        Self { expects, last, ..Self::plain(tag, method, head.into_bytes(), wire) }
    }

    /// A request that others make, too.
    fn popular(ledger: &mut Ledger, random: &mut Random) -> Self {
        let (tag, target) = ask_for_popular(ledger, random);
        let old = random.chance(80);
        ledger.requests[tag].version = if old { Version::Http10 } else { Version::Http11 };
        let (version, last) = if old { ("1.0", true) } else { ("1.1", random.chance(100)) };
        let connection = if last { "close, x-hop" } else { "X-Hop" };
        let head = format!(
            "GET /t/{target} HTTP/{version}\r\nHost: sim.test\r\nConnection: {connection}\r\nX-Hop: 1\r\n\
             X-OrDeR: first\r\nx-order: second\r\n\r\n"
        );
        Self { last, ..Self::plain(tag, "GET", head.into_bytes(), Vec::new()) }
    }

    /// A request that no origin can bear.
    fn poison(ledger: &mut Ledger) -> Self {
        let tag = ledger.ask("GET", Vec::new(), Flaw::None);
        ledger.requests[tag].poison = true;
        let head = format!(
            "GET /t/{tag} HTTP/1.1\r\nHost: sim.test\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\
             X-OrDeR: first\r\nx-order: second\r\n\r\n"
        );
        Self::plain(tag, "GET", head.into_bytes(), Vec::new())
    }

    /// Asks for a tunnel. In a calm world the answer is yes, and what is for the tunnel may be sent with the request.
    fn upgrade(ledger: &mut Ledger, weather: &Weather, random: &mut Random) -> Self {
        let tag = ledger.ask("GET", Vec::new(), Flaw::None);
        let payload = body("tunnel", tag, random.magnitude(0..=weather.largest / 10));
        let head = format!(
            "GET /t/{tag} HTTP/1.1\r\nHost: sim.test\r\nConnection: X-Hop, Upgrade\r\nUpgrade: sim\r\n\
             X-Hop: 1\r\nX-OrDeR: first\r\nx-order: second\r\n\r\n"
        );
        let early = if weather.is_calm() && random.chance(300) { random.below(payload.len() + 1) } else { 0 };
        let wire = payload[..early].to_vec();
        ledger.requests[tag].tunnel = Some(payload);
        Self { last: true, ..Self::plain(tag, "GET", head.into_bytes(), wire) }
    }

    fn plain(tag: usize, method: &'static str, head: Vec<u8>, body: Vec<u8>) -> Self {
        let (pipelined, expects, last) = (false, false, false);
        Self { tag, method, head, body, pipelined, expects, last, pause: Duration::ZERO, drip: None, breaks_off: None }
    }

    fn broken(ledger: &mut Ledger, random: &mut Random) -> Self {
        if random.chance(200) {
            let (rule, body) = *random.pick(BROKEN_BODIES);
            let tag = ledger.ask("POST", b"abc".to_vec(), Flaw::Body(rule));
            let mut head = first_line("POST", tag, false, random);
            head += "Transfer-Encoding: chunked\r\nX-OrDeR: first\r\nx-order: second\r\n\r\n";
            return Self { last: true, ..Self::plain(tag, "POST", head.into_bytes(), body.into()) };
        }
        let (rule, method, template) = *random.pick(BROKEN);
        let tag = ledger.ask(method, Vec::new(), Flaw::Head(rule));
        let wire = template.replace("{tag}", &tag.to_string()).replace("{long}", &"x".repeat(70_000));
        Self { last: true, ..Self::plain(tag, method, wire.into_bytes(), Vec::new()) }
    }

    fn be_rude(&mut self, random: &mut Random) {
        use BreakOff::{Close, Finish, Reset, Stall};
        let len = self.head.len() + self.body.len();
        self.breaks_off = Some((random.below(len), *random.pick(&[Close, Reset, Finish, Stall])));
    }
}

/// Enters a request for what others ask for, too. Its tag, and that in its target.
pub fn ask_for_popular(ledger: &mut Ledger, random: &mut Random) -> (usize, usize) {
    let tag = ledger.ask("GET", Vec::new(), Flaw::None);
    let known = ledger.popular.len();
    let target = if known < 2 || random.chance(50) {
        ledger.popular.push(tag);
        tag
    } else {
        *random.pick(&ledger.popular)
    };
    ledger.requests[tag].same_as = target;
    (tag, target)
}

fn first_line(method: &str, tag: usize, old: bool, random: &mut Random) -> String {
    let (scheme, query) = (
        if random.chance(100) { "http://sim.test" } else { "" },
        if random.chance(200) { "?q=a%20b&c=/../" } else { "" },
    );
    let version = if old { "1.0" } else { "1.1" };
    let host = if old && random.chance(500) { "" } else { "Host: sim.test\r\n" };
    format!("{method} {scheme}/t/{tag}{query} HTTP/{version}\r\n{host}")
}

/// Requests that a proxy must refuse: the rule, the method, the bytes. Where there is an inner request, it is what an
/// attacker would smuggle; its tag does not exist, so an origin that sees it gives the alarm.
pub const BROKEN: &[(&str, &str, &str)] = &[
    (
        "two lengths",
        "POST",
        "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /t/999999 HTTP/1.1\r\nHost: a\r\nX-Pad: 1\r\n\r\n",
    ),
    (
        "differing lengths",
        "POST",
        "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\nGET /t/999999 HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("a list of lengths", "POST", "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"),
    ("a signed length", "POST", "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
    (
        "an overflowing length",
        "POST",
        "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nabc",
    ),
    (
        "chunked not last",
        "POST",
        "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST",
        "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    ("unknown coding", "POST", "POST /t/{tag} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("coding in HTTP/1.0", "POST", "POST /t/{tag} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("space before colon", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n"),
    ("folded field", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"),
    ("bare LF", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
    ("bare CR", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n"),
    ("NUL", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\r\nX: 1\x002\r\n\r\n"),
    ("no Host", "GET", "GET /t/{tag} HTTP/1.1\r\nX: 1\r\n\r\n"),
    ("two Hosts", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("malformed Host", "GET", "GET http://b/t/{tag} HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ("bad method", "G@T", "G@T /t/{tag} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("control in target", "GET", "GET /t/{tag}\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("fragment in target", "GET", "GET /t/{tag}#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("unknown version", "GET", "GET /t/{tag} HTTP/3.7\r\nHost: a\r\n\r\n"),
    ("long target", "GET", "GET /t/{tag}?{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("long head", "GET", "GET /t/{tag} HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
    ("not HTTP at all", "GET", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
];

/// Requests whose head is fine and whose body is not: the head may have gone to an origin, the end must not.
pub const BROKEN_BODIES: &[(&str, &str)] = &[
    ("bad chunk size", "zz\r\nabc\r\n0\r\n\r\n"),
    ("negative chunk size", "-1\r\nabc\r\n0\r\n\r\n"),
    ("chunk size overflows", "11111111111111111\r\nabc\r\n0\r\n\r\n"),
    ("chunk longer than its size", "3\r\nabcd\r\n0\r\n\r\n"),
    ("bare LF after chunk size", "3\nabc\r\n0\r\n\r\n"),
];
