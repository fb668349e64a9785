//! One client's connection: requests in, responses out, in order, one request at a time.

use super::{
    Files, Question, Reply, Shared,
    answer::{Answered, Pieces, respond},
    found::Found,
    line::Line,
    listing::Listing,
    log::Record,
    path::Place,
    respond::{Asked, Own, Request},
};
use crate::{
    buf::{FilePart, Output},
    http::{
        BodyLength, Method, ReadPhase, RequestEvent, RequestHead, RequestReader, Status, expects_continue,
        persistent_without_tunnels,
    },
    session::{self, ANSWERS, CloseReason, Session, Waker, Wants},
    time::{Instant, Now},
};
use std::{mem, net::IpAddr, sync::Arc};

/// Bytes of responses that may wait before the next request is looked at.
const HIGH_WATER: usize = 64 * 1024;

/// A client's connection to the file server. It runs under drivers that have wakers.
#[derive(Debug)]
pub struct FileSession<F> {
    shared: Arc<Shared<F>>,
    client: Option<IpAddr>,
    reader: RequestReader,
    state: State,
    output: Output,
    /// Heard, but not yet looked at.
    held: Vec<u8>,
    ended: bool,
    now: Now,
    /// Since when somebody owes something: the client, or the disk.
    since: Instant,
    /// The client took some of an answer since.
    taken: bool,
    answered: u32,
    line: Line,
}

/// Where the connection is.
#[derive(Debug, Default)]
enum State {
    /// In a request's head, or between two requests.
    #[default]
    Reading,
    /// In a request's content, which is not wanted.
    Skipping(Request),
    /// Waiting for the reply to a question of that number.
    Asking(Box<Request>, u64),
    /// The content of a response is on its way to the driver.
    Sending(Pieces, Asked),
    Closed(CloseReason),
}

impl<F: Files> FileSession<F> {
    /// A connection that was just accepted, of a client at that address.
    pub fn new(shared: Arc<Shared<F>>, client: Option<IpAddr>, now: Now) -> Self {
        Self {
            shared,
            client,
            reader: RequestReader::new(),
            state: State::Reading,
            output: Output::new(),
            held: Vec::new(),
            ended: false,
            now,
            since: now.instant,
            taken: false,
            answered: 0,
            line: Line::default(),
        }
    }

    fn hears(&self) -> bool {
        matches!(self.state, State::Reading | State::Skipping(_)) && self.output.len() < HIGH_WATER
    }

    /// Hears `input` until an answer has to be waited for; returns what was not looked at.
    fn hear<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        let enough = self.answered.saturating_add(ANSWERS);
        while self.hears() && self.answered < enough {
            match self.reader.next(&mut input, &self.shared.config.limits) {
                Ok(Some(event)) => self.on(event),
                Ok(None) => break,
                Err(error) => self.refuse(error.status(), error.as_str(), CloseReason::Protocol(error.as_str())),
            }
        }
        if matches!(self.state, State::Closed(_)) { &[] } else { input }
    }

    fn on(&mut self, event: RequestEvent<'_>) {
        self.since = self.now.instant;
        self.state = match (mem::take(&mut self.state), event) {
            (State::Reading, RequestEvent::Head(head, length)) => self.begin(head, length),
            (State::Skipping(request), RequestEvent::Data(_)) => State::Skipping(request),
            (State::Skipping(request), RequestEvent::End(_)) => self.handle(request),
            (state, event) => {
                debug_assert!(false, "{state:?} hears no {event:?}: a reader says head, data, end");
                state
            }
        };
    }

    fn begin(&mut self, head: RequestHead, length: BodyLength) -> State {
        let mut asked = Asked {
            version: head.version,
            head_only: head.method == Method::Head,
            reuse: persistent_without_tunnels(&head).map_err(|_| CloseReason::PeerAsked),
        };
        // Content that need not come is not asked for; that of a method that is not there may be long. Both might come all the
        // same: what follows the answer could be that or a request (RFC 9110 §10.1.1).
        let is_read = matches!(head.method, Method::Get | Method::Head | Method::Options);
        let ends = length != BodyLength::Empty && (!is_read || expects_continue(&head));
        if ends {
            asked.reuse = Err(CloseReason::Protocol("content was not asked for"));
        }
        let request = Request { head, asked, began: self.now.instant, again: false };
        if ends { self.handle(request) } else { State::Skipping(request) }
    }

    /// The request was read.
    fn handle(&mut self, request: Request) -> State {
        match request.head.method {
            Method::Get | Method::Head => {}
            Method::Options => return self.own(&request, Own::options()),
            _ => return self.own(&request, Own::method_not_allowed()),
        }
        let path = request.head.parsed_target().path();
        match self.shared.kept.find(path, self.now.instant) {
            Some(found) => self.respond(request, &found, true),
            None => self.look(request),
        }
    }

    /// Asks what is there now.
    fn look(&mut self, request: Request) -> State {
        let target = request.head.parsed_target();
        let question = match Place::of(target.path()) {
            Ok(place) => {
                let lists = self.shared.config.listing && place.is_directory();
                let listing = lists.then(|| Listing::of(target.query(), &request.head.fields));
                Question::Look { place, listing }
            }
            Err(why) => {
                tracing::debug!(path = target.path(), "stands for nothing: {}", why.as_str());
                Question::Missing
            }
        };
        self.ask(request, question)
    }

    fn ask(&mut self, request: Request, question: Question) -> State {
        self.since = self.now.instant;
        let number = self.line.ask(&*self.shared.files, question);
        State::Asking(Box::new(request), number)
    }

    /// Goes on with the reply to a question.
    fn reply(&mut self, request: Request, reply: Reply) -> State {
        let path = request.head.parsed_target().path();
        match reply {
            Reply::Found(found) => {
                self.shared.kept.keep(path, &found, self.now.instant);
                let may_pack = !request.again;
                self.respond(request, &found, may_pack)
            }
            Reply::Packed(found) if !found.is_current() => self.look(Request { again: true, ..request }),
            Reply::Packed(found) => self.respond(request, &found, true),
            Reply::Busy(found) => self.respond(request, &found, false),
            Reply::Missing(Some(page)) => self.respond(request, &page, false),
            Reply::Missing(None) => self.own(&request, Own::not_found()),
            Reply::Listing(form, content) => self.own(&request, Own::listing(form, content)),
            Reply::NeedsSlash(place) => {
                let location = Own::moved(place, request.head.parsed_target().query());
                self.own(&request, location)
            }
            Reply::Refused(refusal) => self.own(&request, Own::refused(refusal)),
        }
    }

    /// Answers with a file.
    fn respond(&mut self, request: Request, found: &Arc<Found>, may_pack: bool) -> State {
        let Request { head, asked, began, .. } = &request;
        let boundary = self.shared.config.boundary;
        match respond(head, found, asked, may_pack, boundary, self.now.wall, &mut self.output) {
            Answered::Whole { status, length, mut pieces } => {
                self.note(head, status, length, *began);
                let is_whole = pieces.flush(&mut self.output);
                let asked = *asked;
                if is_whole { self.after(asked) } else { State::Sending(pieces, asked) }
            }
            Answered::Own(own) => self.own(&request, own),
            Answered::Pack => match Place::of(head.parsed_target().path()) {
                Ok(place) => self.ask(request, Question::Pack { place, found: Arc::clone(found) }),
                // It was found at a place.
                Err(_) => self.respond(request, found, false),
            },
        }
    }

    fn own(&mut self, request: &Request, own: Own) -> State {
        let status = own.status;
        let length = own.write(&request.asked, self.now.wall, &mut self.output);
        self.note(&request.head, status, length, request.began);
        self.after(request.asked)
    }

    fn note(&self, head: &RequestHead, status: Status, length: u64, began: Instant) {
        if self.shared.config.access_log {
            let took = self.now.instant.saturating_duration_since(began);
            Record { client: self.client, head, status, length, took }.write();
        }
    }

    /// The state behind a complete response.
    fn after(&mut self, asked: Asked) -> State {
        self.answered += 1;
        self.since = self.now.instant;
        match asked.reuse {
            Ok(()) => State::Reading,
            Err(reason) => State::Closed(reason),
        }
    }

    /// Answers a request that cannot be read to its end.
    fn refuse(&mut self, status: Status, why: &str, reason: CloseReason) {
        let asked = match &self.state {
            State::Reading => Some(Asked::unknown(reason)),
            State::Skipping(request) => Some(Asked { reuse: Err(reason), ..request.asked }),
            // The answer before it is not complete: its missing end has to tell.
            State::Asking(..) | State::Sending(..) | State::Closed(_) => None,
        };
        if let Some(asked) = asked {
            Own::text(status, why).write(&asked, self.now.wall, &mut self.output);
            self.answered += 1;
        }
        self.state = State::Closed(reason);
    }

    /// Takes the reply that is waited for, if it is there.
    fn take_reply(&mut self) {
        if !matches!(self.state, State::Asking(..)) {
            return;
        }
        for (number, reply) in self.line.take() {
            self.state = match mem::take(&mut self.state) {
                State::Asking(request, waits) if waits == number => self.reply(*request, reply),
                // The reply came too late: its request was answered when its time was over.
                state => state,
            };
        }
    }

    /// Keeps for later what came although nothing was asked for.
    fn hold(&mut self, input: &[u8]) {
        if !session::hold(&mut self.held, input) {
            self.state = State::Closed(CloseReason::Protocol("too many requests at once"));
        }
    }

    /// Goes on where an answer had to be waited for.
    fn resume(&mut self) {
        self.take_reply();
        if let State::Sending(pieces, asked) = &mut self.state
            && pieces.flush(&mut self.output)
        {
            let asked = *asked;
            self.state = self.after(asked);
        }
        if !self.held.is_empty() && self.hears() {
            let held = mem::take(&mut self.held);
            self.held = self.hear(&held).to_vec();
        }
        self.settle();
    }

    /// Draws the consequence of the client's end, once everything before it was heard.
    fn settle(&mut self) {
        if !self.ended || !self.held.is_empty() || !self.hears() {
            return;
        }
        match self.reader.end() {
            Ok(()) => self.state = State::Closed(CloseReason::PeerFinished),
            Err(error) => self.refuse(error.status(), error.as_str(), CloseReason::Protocol(error.as_str())),
        }
    }
}

impl<F: Files> Session for FileSession<F> {
    fn attach(&mut self, waker: &dyn Fn() -> Waker) {
        self.line.attach(waker());
    }

    fn woken(&mut self, now: Now) {
        self.now = now;
        self.resume();
    }

    fn receive(&mut self, input: &[u8], now: Now) {
        self.now = now;
        if matches!(self.state, State::Reading) && self.reader.phase() == ReadPhase::Idle {
            self.since = now.instant;
        }
        if !self.held.is_empty() || !self.hears() {
            return self.hold(input);
        }
        self.held = self.hear(input).to_vec();
        self.settle();
    }

    fn receive_end(&mut self, now: Now) {
        self.now = now;
        self.ended = true;
        self.settle();
    }

    fn output(&mut self) -> &mut Output {
        if self.output.is_empty() {
            self.resume();
        }
        &mut self.output
    }

    fn file(&mut self) -> Option<FilePart> {
        let State::Sending(pieces, asked) = &mut self.state else { return None };
        let part = pieces.part()?;
        let asked = *asked;
        self.taken = true;
        if pieces.flush(&mut self.output) {
            self.state = self.after(asked);
        }
        Some(part)
    }

    fn wants(&self) -> Wants {
        match self.state {
            State::Closed(reason) => Wants::Close(reason),
            _ if !self.output.is_empty() || !self.held.is_empty() || !self.hears() => Wants::Flush,
            _ => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let config = &self.shared.config;
        let patience = match &self.state {
            State::Closed(_) => return None,
            State::Asking(..) => config.disk,
            _ if !self.output.is_empty() => config.idle,
            State::Reading if self.reader.phase() == ReadPhase::Idle => config.idle,
            State::Reading | State::Skipping(_) => config.head,
            State::Sending(..) => config.idle,
        };
        Some(self.since + patience)
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        self.now = now;
        if self.deadline().is_none_or(|at| now.instant < at) {
            return;
        }
        match mem::take(&mut self.state) {
            State::Asking(request, _) => {
                tracing::warn!(path = request.head.parsed_target().path(), "the disk took too long");
                self.state = self.own(&request, Own::later("the disk took too long"));
                return;
            }
            state => self.state = state,
        }
        if mem::take(&mut self.taken) {
            self.since = now.instant;
            return;
        }
        let unread = !self.output.is_empty();
        match self.state {
            _ if unread => self.state = State::Closed(CloseReason::TooSlow),
            State::Sending(..) => self.state = State::Closed(CloseReason::TooSlow),
            State::Reading if self.reader.phase() == ReadPhase::Idle => self.state = State::Closed(CloseReason::Idle),
            _ => self.refuse(Status::REQUEST_TIMEOUT, "the request took too long", CloseReason::TooSlow),
        }
        if unread {
            self.output.clear();
        }
        self.held = Vec::new();
    }

    fn taken(&mut self) {
        self.taken = true;
    }

    fn answered(&mut self) -> u32 {
        mem::take(&mut self.answered)
    }
}
