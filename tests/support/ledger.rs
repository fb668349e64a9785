//! The end-to-end oracle: the requests of clients, the answers of origins, and whether they fit together.
//!
//! Every request carries a tag in its target (`/t/17`), every answer of an origin the number of the attempt it belongs
//! to (`X-Attempt: 23`). With both, a response that reached the wrong client, a body cut short, a POST sent twice or a
//! request that no client made is seen as such, whatever the proxy believes. A violation panics: the harness prints it
//! with the seed.

use super::{
    heads::{Version, check_forwarded, check_own_answer, check_returned, trailer},
    wire::{Head, Message},
};
use std::{cell::RefCell, rc::Rc};

/// The book that clients and origins of one world keep together.
pub type Shared = Rc<RefCell<Ledger>>;

/// The requests and their answers.
#[derive(Debug, Default)]
pub struct Ledger {
    pub rules: Rules,
    pub requests: Vec<Request>,
    pub attempts: Vec<Attempt>,
    /// Requests for what many ask for, the first of each.
    pub popular: Vec<usize>,
    /// Clients that are still at it.
    pub busy: usize,
    pub tally: Tally,
}

/// The rules for the subject that stands between clients and origins.
#[derive(Debug, Default, Clone, Copy)]
pub struct Rules {
    /// It speaks HTTP: takes hop-by-hop fields off, refuses what is malformed, answers errors itself.
    pub http: bool,
    /// Nothing fails: every well-formed request must be answered by an origin.
    pub calm: bool,
    /// Bytes of origins arrive at once: a response that was not asked for can be told from one to the next request.
    /// Elsewhere the two may cross on their way, and then no HTTP/1.1 client can tell.
    pub prompt: bool,
    /// Clients send what they began and wait for the answer.
    pub polite: bool,
    /// There are fewer places than clients: one may wait for all the others before it is even accepted.
    pub crowded: bool,
}

/// Something a client asks for; its tag is its number.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub body: Vec<u8>,
    pub flaw: Flaw,
    /// No origin can bear it: each breaks off.
    pub poison: bool,
    pub version: Version,
    pub trailers: bool,
    /// The bytes that it wants to send through a tunnel; none if it does not ask for one.
    pub tunnel: Option<Vec<u8>>,
    /// The client wrote the last byte of it.
    pub written: bool,
    pub outcome: Outcome,
    /// The request that first asked for the same URL: itself, unless it is one that many ask for.
    pub same_as: usize,
    attempts: Vec<usize>,
}

/// The flaw of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// The rule that its head breaks: it must not reach an origin.
    Head(&'static str),
    /// The rule that its body breaks: no origin may take it for complete.
    Body(&'static str),
}

/// How a request ended, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its turn never came.
    Unsent,
    /// At least its first byte was sent.
    Waiting,
    /// A complete response: from an origin, or made by the proxy.
    Answered(u16),
    /// The connection ended before the response was complete.
    Cut,
    /// Its client broke off, or had been told that the connection would close before.
    GivenUp,
}

/// One time that an origin saw the head of a request.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub tag: usize,
    pub origin: u8,
    pub status: u16,
    /// The body that the origin means to send.
    pub body: Vec<u8>,
    /// Heads of 1xx before the answer.
    pub interim: usize,
    /// A trailer field follows it.
    pub trailers: bool,
    /// The origin sent all of `body`, framed properly.
    pub whole: bool,
    /// The origin saw all of the request.
    pub heard: bool,
    /// It may answer others who ask for the same, too.
    pub shareable: bool,
    /// The key of a WebSocket that was asked for.
    pub key: Option<String>,
    /// How many it has answered.
    pub answers: usize,
}

/// How often what happened: a simulation in which nothing happens proves nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub answered: usize,
    pub refused: usize,
    pub cut: usize,
    pub retried: usize,
    pub given_up: usize,
    pub reused: usize,
    /// Answers that others had got before.
    pub shared: usize,
    pub tunnels: usize,
    /// Requests that no origin can bear, and that were answered for it.
    pub poison: usize,
    /// Requests on streams of HTTP/2, and those of them that were refused unseen.
    pub streams: usize,
    pub unprocessed: usize,
    /// Bytes sent by origins without a request, and answers to requests that they became.
    pub junk: usize,
    pub taken_for_answers: usize,
}

impl Ledger {
    pub fn shared(rules: Rules) -> Shared {
        Rc::new(RefCell::new(Self { rules, ..Self::default() }))
    }

    /// Enters a request; gives its tag.
    pub fn ask(&mut self, method: &str, body: Vec<u8>, flaw: Flaw) -> usize {
        let outcome = Outcome::Unsent;
        let method = method.to_owned();
        self.requests.push(Request {
            method,
            body,
            flaw,
            poison: false,
            version: Version::Http11,
            trailers: false,
            tunnel: None,
            written: false,
            outcome,
            same_as: self.requests.len(),
            attempts: Vec::new(),
        });
        self.requests.len() - 1
    }

    /// An origin understood the head of a request; gives the number of the attempt.
    pub fn attempt(&mut self, origin: u8, head: &Head) -> usize {
        let tag = tag(head.target()).unwrap_or_else(|| panic!("origin {origin} got a request nobody made: {head:?}"));
        assert!(tag < self.requests.len(), "origin {origin} got a request nobody made: {head:?}");
        let number = self.attempts.len();
        let http = self.rules.http;
        let request = &mut self.requests[tag];
        if http {
            assert!(!matches!(request.flaw, Flaw::Head(_)), "a malformed request reached origin {origin}: {head:?}");
            // For what many ask for, any of them may have come first.
            check_forwarded(head, Some(request.version).filter(|_| !self.popular.contains(&tag)));
        }
        assert_eq!(request.method, head.method(), "the method of request {tag} changed on its way");
        if !is_idempotent(&request.method) {
            assert!(request.attempts.is_empty(), "{} {tag} reached origins twice", request.method);
        }
        self.tally.retried += usize::from(!request.attempts.is_empty());
        request.attempts.push(number);
        let attempt = Attempt {
            tag,
            origin,
            status: 0,
            body: Vec::new(),
            interim: 0,
            trailers: false,
            whole: false,
            heard: false,
            shareable: false,
            key: head.field("sec-websocket-key").map(str::to_owned),
            answers: 0,
        };
        self.attempts.push(attempt);
        number
    }

    /// An origin heard a part of a request's body, or with `all` the rest of it.
    pub fn heard(&mut self, attempt: usize, body: &[u8], trailers: &[(String, String)], all: bool) {
        let attempt = &mut self.attempts[attempt];
        let (tag, request) = (attempt.tag, &self.requests[attempt.tag]);
        let flawed = request.flaw != Flaw::None && self.rules.http;
        assert!(!(flawed && all), "request {tag} is complete at an origin, with {:?}", request.flaw);
        assert!(request.body.starts_with(body), "the body of request {tag} changed on its way");
        if all {
            assert_eq!(body.len(), request.body.len(), "the body of request {tag} was cut short, cleanly");
            assert!(request.written, "request {tag} is complete at an origin, but its client did not finish it");
            let sent: &[(String, String)] = if request.trailers { &[trailer(request.version)] } else { &[] };
            assert_eq!(trailers, sent, "the trailers of request {tag} changed on their way");
            attempt.heard = true;
        }
    }

    /// An origin will not hear the rest of a request that it meant to hear out.
    pub fn left_off(&self, attempt: usize) {
        let tag = self.attempts[attempt].tag;
        let request = &self.requests[tag];
        let given_up = !request.written || request.outcome == Outcome::GivenUp;
        let reason = !self.rules.prompt || !self.rules.polite || given_up || request.flaw != Flaw::None;
        assert!(reason, "request {tag} was never finished towards its origin, and nothing was wrong");
    }

    /// A client got a complete response to request `tag`.
    pub fn answered(&mut self, tag: usize, response: &Message) {
        assert_eq!(self.requests[tag].outcome, Outcome::Waiting, "request {tag} was not asked, or answered before");
        let status = response.status();
        match self.attempt_of(tag, response) {
            Some(number) => {
                let attempt = &mut self.attempts[number];
                let whose = format!("request {tag}, origin {}", attempt.origin);
                attempt.answers += 1;
                assert!(attempt.answers == 1 || attempt.shareable, "{whose}: an answer for one was given to two");
                self.tally.shared += usize::from(attempt.answers > 1);
                let attempt = &self.attempts[number];
                assert!(attempt.whole, "{whose}: a response that broke off became a complete one: {response}");
                assert_eq!(attempt.status, status, "{whose}: status");
                let bodiless = self.requests[tag].method == "HEAD" || status == 204 || status == 304;
                let expected = if bodiless { &[][..] } else { &attempt.body };
                assert!(expected == response.body, "{whose}: {} of {} bytes", response.body.len(), expected.len());
                // One `100 Continue` may be the proxy's own, others may come from an attempt that failed afterwards.
                let first = self.requests[tag].same_as;
                let sent: usize =
                    self.requests[first].attempts.iter().map(|number| self.attempts[*number].interim).sum();
                assert!(response.interim.len() <= sent + 1, "{whose}: more 1xx than were sent");
                if self.rules.http {
                    check_returned(response, self.requests[tag].version, attempt, &whose);
                }
                self.tally.answered += 1;
            }
            None => self.refused(tag, response),
        }
        self.requests[tag].outcome = Outcome::Answered(status);
    }

    /// Checks the bytes that came through the tunnel that request `tag` asked for; true when they are complete. `head`
    /// is the 101.
    pub fn tunnelled(&mut self, tag: usize, head: &Message, heard: &[u8]) -> bool {
        let attempt = self.attempt_of(tag, head).expect("only an origin switches protocols");
        assert_eq!(self.attempts[attempt].status, 101, "request {tag}: a tunnel that its origin did not open");
        let Some(sent) = &self.requests[tag].tunnel else { panic!("request {tag} asked for no tunnel: {head}") };
        let expected = [&greeting(attempt)[..], sent].concat();
        assert!(expected.starts_with(heard), "request {tag}: bytes in a tunnel changed on their way");
        let all = heard.len() == expected.len();
        if all {
            self.requests[tag].outcome = Outcome::Answered(101);
            self.tally.tunnels += 1;
        }
        all
    }

    /// A complete response that no origin made.
    fn refused(&mut self, tag: usize, response: &Message) {
        let (request, status) = (&self.requests[tag], response.status());
        check_own_answer(response, request);
        assert!(self.rules.http, "request {tag}: a response from nowhere: {response}");
        match request.flaw {
            Flaw::Head(rule) | Flaw::Body(rule) => {
                assert!((400..=505).contains(&status), "request {tag} breaks {rule:?} and got {status}");
            }
            Flaw::None => {
                if status == 418 && !self.rules.prompt {
                    self.tally.taken_for_answers += 1;
                    return assert!(self.tally.taken_for_answers <= self.tally.junk, "418 from nowhere");
                }
                let poison = request.poison && status == 502;
                assert!(!self.rules.calm || poison, "request {tag} got {status}, and nothing was wrong: {response}");
                assert!([408, 413, 502, 503, 504].contains(&status), "request {tag} is well-formed and got {status}");
            }
        }
        self.tally.poison += usize::from(request.poison);
        self.tally.refused += 1;
    }

    /// A client's connection, or the stream, ended before the response to request `tag` was complete.
    pub fn cut(&mut self, tag: usize, response: &Message) {
        let request = &self.requests[tag];
        assert_eq!(request.outcome, Outcome::Waiting, "request {tag} was not asked, or answered before");
        let flawed = request.version == Version::Http2 && request.flaw != Flaw::None;
        assert!(flawed || !self.rules.calm, "request {tag}: nothing was wrong, and it was cut off: {response}");
        if let Some(attempt) = self.attempt_of(tag, response) {
            let attempt = &self.attempts[attempt];
            assert!(attempt.body.starts_with(&response.body), "request {tag}: bytes that its origin did not send");
        }
        self.requests[tag].outcome = Outcome::Cut;
        self.tally.cut += 1;
    }

    /// The proxy says that it has not looked at request `tag`: its client may send it again, whatever it asks for.
    pub fn unprocessed(&mut self, tag: usize) {
        let request = &mut self.requests[tag];
        assert_eq!(request.outcome, Outcome::Waiting, "request {tag} was not asked, or answered before");
        // For what many ask for, any of them may have come.
        let is_popular = self.popular.contains(&tag);
        let reached = request.attempts.len();
        assert!(reached == 0 || is_popular, "request {tag} was not processed, and is at an origin");
        (request.outcome, request.written) = (Outcome::Unsent, request.written && is_popular);
        self.tally.unprocessed += 1;
    }

    /// Its client does not want the answer any more.
    pub fn give_up(&mut self, tag: usize) {
        let request = &mut self.requests[tag];
        assert_eq!(request.outcome, Outcome::Waiting, "request {tag} was not asked, or answered before");
        request.outcome = Outcome::GivenUp;
    }

    /// Which attempt a response claims to come from; it has to be one for this request.
    fn attempt_of(&self, tag: usize, response: &Message) -> Option<usize> {
        let attempt: usize = response.field("x-attempt")?.parse().expect("origins write numbers");
        let whose = self.attempts[attempt].tag;
        assert_eq!(whose, self.requests[tag].same_as, "the response to request {whose} was given to request {tag}");
        Some(attempt)
    }

    /// When all is over.
    pub fn close(&mut self) {
        assert_eq!(self.busy, 0, "clients are still waiting");
        let waiting = self.requests.iter().position(|request| request.outcome == Outcome::Waiting);
        assert_eq!(waiting, None, "a request was forgotten");
        self.tally.given_up = self.requests.iter().filter(|request| request.outcome == Outcome::GivenUp).count();
    }
}

/// The tag in a target, also in absolute form.
pub fn tag(target: &str) -> Option<usize> {
    target.split_once("/t/")?.1.split('?').next()?.parse().ok()
}

/// The first bytes of an origin in a tunnel, before it sends everything back.
pub fn greeting(attempt: usize) -> Vec<u8> {
    format!("welcome to {attempt}\n").into_bytes()
}

/// RFC 9110 §9.2.2, as far as the clients here go.
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
}

/// A body that can be told from every other one, and each part of it from every other part.
pub fn body(who: &str, tag: usize, len: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(len + 32);
    while body.len() < len {
        body.extend(format!("{who} {tag} at {}\n", body.len()).into_bytes());
    }
    body.truncate(len);
    body
}
