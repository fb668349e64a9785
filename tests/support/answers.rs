//! The answers of origins: a script of steps per request, polite or not.

use super::{
    ledger::{Attempt, body, greeting},
    random::Random,
    weather::Weather,
    websocket,
    wire::chunked,
};
use std::{collections::VecDeque, time::Duration};

/// One thing that an origin does; after the other.
#[derive(Debug, Clone)]
pub enum Step {
    Write(Vec<u8>),
    Pause(Duration),
    /// Bytes that no request asked for.
    Junk(&'static str),
    /// The response is complete with what was written.
    Whole,
    /// Cleanly, after what was written.
    Close,
    Reset,
    /// Nothing more, and no end either.
    Stall,
    /// Sends everything back from here on.
    Tunnel,
}

/// Stands for the method of a request to switch protocols.
pub const UPGRADE: &str = "(upgrade)";

/// The request that an answer is for.
struct Asked<'a> {
    number: usize,
    method: &'a str,
    attempt: &'a mut Attempt,
    largest: usize,
    prompt: bool,
    /// Others ask for the same: it says what caches may do with it.
    shared: bool,
}

/// The answer to one request.
#[derive(Debug, Default)]
pub struct Answer {
    pub steps: VecDeque<Step>,
    /// Begins before the request's body was read.
    pub early: bool,
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    /// With a length, and `Connection: close`.
    LastLength,
    Chunked,
    UntilClose,
    None,
}

impl Framing {
    fn ends_connection(self) -> bool {
        matches!(self, Self::UntilClose | Self::LastLength)
    }
}

impl Answer {
    /// The answer of an origin to attempt `number`; enters the intended answer into `attempt`.
    pub fn new(number: usize, method: &str, attempt: &mut Attempt, weather: &Weather, random: &mut Random) -> Self {
        let shared = weather.shared > 0 && method == "GET";
        let mut asked =
            Asked { number, method, attempt, largest: weather.largest, prompt: weather.is_prompt(), shared };
        let mut answer = Self::default();
        if random.chance(if shared { 500 } else { 150 }) {
            answer.steps.push_back(Step::Pause(random.micros(0..=2_000_000)));
        }
        let breaks = random.chance(weather.rude_origins);
        if method == UPGRADE {
            answer.open_tunnel(&mut asked, breaks, random);
        } else if random.chance(weather.garbage) {
            answer.garbage(&mut asked, random);
        } else if breaks {
            answer.early = random.chance(200);
            answer.rude(&mut asked, random);
        } else {
            answer.polite(&mut asked, random);
        }
        answer
    }

    /// To a cache that asks about attempt `known`: it is as good as new.
    pub fn unchanged(known: usize, weather: &Weather, random: &mut Random) -> Self {
        let mut answer = Self::default();
        if random.chance(150) {
            answer.steps.push_back(Step::Pause(random.micros(0..=2_000_000)));
        }
        if random.chance(weather.rude_origins) {
            answer.steps.push_back(random.pick(&[Step::Close, Step::Reset, Step::Stall]).clone());
            return answer;
        }
        let control = random.pick(SHAREABLE);
        let head = format!("HTTP/1.1 304 Not Modified\r\nETag: \"{known}\"\r\nCache-Control: {control}\r\n\r\n");
        answer.write(head.into_bytes(), random);
        answer
    }

    fn polite(&mut self, asked: &mut Asked<'_>, random: &mut Random) {
        if random.chance(80) {
            asked.attempt.interim = random.within(1..=3);
            let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
            self.write(hint.repeat(asked.attempt.interim).into_bytes(), random);
        }
        let (framing, bytes) = respond(asked, random);
        self.write(bytes, random);
        self.steps.push_back(Step::Whole);
        if framing.ends_connection() {
            self.steps.push_back(Step::Close);
        } else {
            // An answer that does not depend on the body, which is read all the same.
            self.early = random.chance(100);
        }
    }

    fn rude(&mut self, asked: &mut Asked<'_>, random: &mut Random) {
        match random.below(6) {
            // Nothing at all.
            0 => self.steps.push_back(random.pick(&[Step::Close, Step::Reset, Step::Stall]).clone()),
            // The middle of the head, or of the body.
            1..=3 => self.break_off(asked, random),
            // A good answer, and the end without having said so.
            _ => {
                let (framing, bytes) = respond(asked, random);
                self.write(bytes, random);
                self.steps.push_back(Step::Whole);
                if !framing.ends_connection() {
                    self.steps.push_back(Step::Pause(moment(random)));
                }
                let reset = random.chance(300) && framing != Framing::UntilClose;
                self.steps.push_back(if reset { Step::Reset } else { Step::Close });
            }
        }
    }

    /// Yes to a switch of protocols, and a word of welcome; or no more than that.
    fn open_tunnel(&mut self, asked: &mut Asked<'_>, breaks: bool, random: &mut Random) {
        asked.attempt.status = 101;
        let (protocol, accept) = match &asked.attempt.key {
            Some(key) => ("websocket", format!("Sec-WebSocket-Accept: {}\r\n", websocket::accept(key))),
            None => ("sim", String::new()),
        };
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nX-Attempt: {}\r\nConnection: upgrade, x-hop\r\nUpgrade: {protocol}\r\n\
             {accept}X-Hop: 1\r\n\r\n",
            asked.number
        );
        let mut bytes = head.into_bytes();
        bytes.extend(greeting(asked.number));
        self.write(bytes, random);
        self.steps.push_back(Step::Whole);
        if breaks {
            self.steps.push_back(Step::Pause(moment(random)));
            self.steps.push_back(random.pick(&[Step::Close, Step::Reset]).clone());
        } else {
            self.steps.push_back(Step::Tunnel);
        }
    }

    /// Bytes that no client may see: a broken response, or one too many.
    fn garbage(&mut self, asked: &mut Asked<'_>, random: &mut Random) {
        if random.chance(700) {
            // A response to HEAD has no body that could be broken.
            let heads_only = asked.method == "HEAD" || random.chance(700);
            let (_, template) = *random.pick(if heads_only { BROKEN } else { BROKEN_BODIES });
            asked.attempt.body = b"abc".to_vec();
            let wire = template.replace("{n}", &asked.number.to_string()).replace("{long}", &"x".repeat(300_000));
            self.write(wire.into_bytes(), random);
        } else {
            let (framing, bytes) = respond(asked, random);
            self.write(bytes, random);
            self.steps.push_back(Step::Whole);
            if framing.ends_connection() {
                return self.steps.push_back(Step::Close);
            }
            if !asked.prompt {
                self.steps.push_back(Step::Pause(moment(random)));
            }
            let junk = ["HTTP/1.1 418 Unasked\r\nContent-Length: 0\r\n\r\n", "\r\n", "junk"];
            self.steps.push_back(Step::Junk(random.pick::<&str>(&junk)));
        }
        self.steps.push_back(random.pick(&[Step::Close, Step::Reset, Step::Stall]).clone());
    }

    fn break_off(&mut self, asked: &mut Asked<'_>, random: &mut Random) {
        let (framing, mut bytes) = respond(asked, random);
        bytes.truncate(random.below(bytes.len()));
        let head = super::wire::find(&bytes, b"\r\n\r\n").map(|at| at + 4);
        self.write(bytes.clone(), random);
        let end = random.pick(&[Step::Close, Step::Reset, Step::Stall]).clone();
        if let (Framing::UntilClose, Step::Close, Some(head)) = (framing, &end, head) {
            // No client can tell this one from a body that is simply shorter.
            asked.attempt.body = bytes.split_off(head);
            self.steps.push_back(Step::Whole);
        }
        self.steps.push_back(end);
    }

    /// In one piece, or in several with pauses.
    fn write(&mut self, mut bytes: Vec<u8>, random: &mut Random) {
        for _ in 0..if random.chance(300) { random.within(1..=6) } else { 0 } {
            let rest = bytes.split_off(random.below(bytes.len().max(1)));
            self.steps.push_back(Step::Write(std::mem::replace(&mut bytes, rest)));
            self.steps.push_back(Step::Pause(random.micros(0..=500_000)));
        }
        self.steps.push_back(Step::Write(bytes));
    }
}

/// Up to a second, often next to nothing: just when the next request comes.
fn moment(random: &mut Random) -> Duration {
    Duration::from_micros(random.magnitude(0..=1_000_000) as u64)
}

/// Directives of answers that are for all clients.
const SHAREABLE: &[&str] = &[
    "max-age=1",
    "max-age=60",
    "max-age=60",
    "max-age=60",
    "max-age=0",
    "max-age=1, stale-while-revalidate=5",
    "max-age=1, stale-if-error=60",
    "no-cache",
    "must-revalidate, s-maxage=2",
];

/// A proper response, and how it is framed.
fn respond(asked: &mut Asked<'_>, random: &mut Random) -> (Framing, Vec<u8>) {
    use Framing::{Chunked, LastLength, Length, None, UntilClose};
    let Asked { number, method, attempt, largest, shared, .. } = asked;
    // A 304 without a condition of the client would be taken for the answer to a cache's question.
    let statuses: &[u16] =
        if *shared { &[200, 200, 200, 200, 204, 404] } else { &[200, 200, 200, 200, 201, 204, 304, 403, 404] };
    attempt.status = *random.pick(statuses);
    let bodiless = matches!(attempt.status, 204 | 304);
    let framings = [Length, Length, Length, LastLength, Chunked, Chunked, UntilClose];
    let framing = if bodiless { None } else { *random.pick(&framings) };
    let len = if framing == None { 0 } else { random.magnitude(0..=*largest) };
    attempt.body = body("origin", *number, len);
    let mut head = format!("HTTP/1.1 {} Some Reason\r\nX-Attempt: {number}\r\nSet-Cookie: a\r\n", attempt.status);
    if *shared {
        attempt.shareable = random.chance(800);
        let control = if attempt.shareable { *random.pick(SHAREABLE) } else { *random.pick(&["private", "no-store"]) };
        head += &format!("ETag: \"{number}\"\r\nCache-Control: {control}\r\n");
    }
    match framing {
        Length | LastLength => head += &format!("Content-Length: {len}\r\n"),
        Chunked => head += "Transfer-Encoding: chunked\r\n",
        UntilClose | None => {}
    }
    head += if framing.ends_connection() { "Connection: close, x-hop\r\n" } else { "Connection: x-hop\r\n" };
    head += "set-cookie: b\r\nX-Hop: 1\r\n\r\n";
    let mut wire = head.into_bytes();
    if *method != "HEAD" && framing == Chunked {
        attempt.trailers = random.chance(200);
        let trailers = if attempt.trailers { "X-Sum: 1\r\n" } else { "" };
        wire.extend(chunked(&attempt.body, random.magnitude(1..=20_000), trailers));
    } else if *method != "HEAD" {
        wire.extend(&attempt.body);
    }
    (framing, wire)
}

/// Responses that a proxy must not pass on: the rule, the bytes.
pub const BROKEN: &[(&str, &str)] = &[
    ("not HTTP", "hello\r\n\r\n"),
    ("bad status", "HTTP/1.1 2x0 OK\r\nX-Attempt: {n}\r\nContent-Length: 0\r\n\r\n"),
    ("bad version", "HTTP/9.1 200 OK\r\nX-Attempt: {n}\r\nContent-Length: 0\r\n\r\n"),
    (
        "two lengths",
        "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("differing lengths", "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\nx"),
    ("bad length", "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nContent-Length: -1\r\n\r\n"),
    // Not before the colon: there a proxy removes it (RFC 9112 §5.1).
    ("space in a field name", "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nContent Length: 0\r\n\r\n"),
    ("NUL", "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nX: \x00\r\nContent-Length: 0\r\n\r\n"),
    ("folded field", "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    ("long head", "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nX: {long}\r\nContent-Length: 0\r\n\r\n"),
    (
        "switches unasked",
        "HTTP/1.1 101 Switching Protocols\r\nX-Attempt: {n}\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
    ),
];

/// The same, with a proper head: a client may see that and the beginning of `abc`, but no end.
pub const BROKEN_BODIES: &[(&str, &str)] = &[
    (
        "bad chunk size",
        "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "chunk longer than its size",
        "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    ),
    (
        "bare LF after a chunk",
        "HTTP/1.1 200 OK\r\nX-Attempt: {n}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
    ),
];
