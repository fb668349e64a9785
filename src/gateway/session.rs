//! One client's connection: requests in, responses out, in order, one request at a time.

use super::{
    exchange::{Asks, Exchange, Form, HIGH_WATER, Next},
    outcome::{Executed, Outcome},
    respond::{Asked, Head, JSON, TEXT, told},
    route::{NoRoute, Route, WELCOME},
};
use crate::{
    buf::Output,
    client::{Answer, Error, Names, Request},
    http::{
        BodyLength, Limits, Method, ReadPhase, RequestEvent, RequestHead, RequestReader, Status, expects_continue,
        persistent_without_tunnels,
    },
    session::{self, ANSWERS, CloseReason, Session, Waker, Wants},
    time::{Instant, Now},
};
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Called with what became of a command, once, on any thread.
pub type Done = Box<dyn FnOnce(Result<Answer, Error>) + Send>;

/// The way to the command server.
pub trait Commands: Send + Sync {
    /// Has a command executed. Must not wait.
    fn ask(&self, request: Request, done: Done);
}

/// The settings that all sessions share.
#[derive(Debug, Clone)]
pub struct Config {
    /// How much of anything a request may hold.
    pub limits: Limits,
    /// Commands that may be executed twice.
    pub idempotent: Names,
    /// Silence between two requests after which the connection is closed.
    pub idle: Duration,
    /// How long a request's head may take.
    pub head: Duration,
    /// How long a client may neither send the content that is waited for nor take what is sent.
    pub stall: Duration,
}

impl Default for Config {
    /// As the servers of this project: see [`HttpConfig`](crate::service::HttpConfig).
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            idempotent: Names::default(),
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            stall: Duration::from_secs(30),
        }
    }
}

/// A client's connection to the gateway. It runs under drivers that have wakers.
pub struct Gateway<C> {
    config: Arc<Config>,
    line: Line<C>,
    reader: RequestReader,
    state: State,
    output: Output,
    /// Heard, but not yet looked at.
    held: Vec<u8>,
    ended: bool,
    now: Now,
    /// Since when the client has owed us something.
    since: Instant,
    /// It took some of an answer since.
    taken: bool,
    answered: u32,
    /// The number of the next command.
    next: u64,
}

/// Results of commands, by their numbers.
type Inbox = Mutex<Vec<(u64, Result<Answer, Error>)>>;

/// The way of commands there and back.
struct Line<C> {
    commands: Arc<C>,
    inbox: Arc<Inbox>,
    waker: Option<Waker>,
}

impl<C: Commands> Asks for Line<C> {
    fn ask(&mut self, number: u64, request: Request) {
        let (inbox, waker) = (Arc::clone(&self.inbox), self.waker.clone());
        let done = move |result| {
            inbox.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
            waker.iter().for_each(Waker::wake);
        };
        self.commands.ask(request, Box::new(done));
    }
}

/// Where the connection is.
#[derive(Debug, Default)]
enum State {
    /// In a request's head, or between two requests.
    #[default]
    Reading,
    /// In a request's content that nobody wants, before this answer.
    Skipping(Asked, Head, Vec<u8>),
    Asking(Box<Exchange>),
    Closed(CloseReason),
}

impl<C: Commands> Gateway<C> {
    /// A connection that was just accepted.
    pub fn new(config: Arc<Config>, commands: Arc<C>, now: Now) -> Self {
        Self {
            config,
            line: Line { commands, inbox: Arc::default(), waker: None },
            reader: RequestReader::new(),
            state: State::Reading,
            output: Output::new(),
            held: Vec::new(),
            ended: false,
            now,
            since: now.instant,
            taken: false,
            answered: 0,
            next: 0,
        }
    }

    fn hears(&self) -> bool {
        let has_room = self.output.len() < HIGH_WATER;
        match &self.state {
            State::Reading | State::Skipping(..) => has_room,
            State::Asking(exchange) => has_room && exchange.hears(),
            State::Closed(_) => false,
        }
    }

    /// Hears `input` until an answer has to be waited for; returns what was not looked at.
    fn hear<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        let enough = self.answered.saturating_add(ANSWERS);
        while self.hears() && self.answered < enough {
            match self.reader.next(&mut input, &self.config.limits) {
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
            (State::Reading, RequestEvent::Head(head, length)) => self.begin(&head, length),
            (State::Skipping(asked, head, content), RequestEvent::Data(_)) => State::Skipping(asked, head, content),
            (State::Skipping(asked, head, content), RequestEvent::End(_)) => self.answer(asked, &head, &content),
            (State::Asking(mut exchange), RequestEvent::Data(data)) => {
                exchange.content(data);
                State::Asking(exchange)
            }
            (State::Asking(mut exchange), RequestEvent::End(_)) => {
                exchange.end(&self.config.idempotent, &mut self.line);
                State::Asking(exchange)
            }
            (state, event) => {
                debug_assert!(false, "{state:?} hears no {event:?}: a reader says head, data, end");
                state
            }
        };
        self.go_on();
    }

    fn begin(&mut self, head: &RequestHead, length: BodyLength) -> State {
        let mut asked = Asked {
            version: head.version,
            head_only: head.method == Method::Head,
            reuse: !self.ended && persistent_without_tunnels(head).is_ok(),
        };
        let form = match Route::of(head) {
            Ok(Route::Welcome) => {
                let length = BodyLength::Exact(WELCOME.len() as u64);
                return State::Skipping(asked, Head::new(Status::OK, TEXT, length), WELCOME.as_bytes().to_vec());
            }
            Ok(Route::Fixed(command, show)) => Form::Fixed(command, show),
            Ok(Route::Echo) => Form::Echo,
            Ok(Route::Commands) => Form::Commands,
            Err(why) => return self.no_route(asked, why, length),
        };
        if expects_continue(head) && length != BodyLength::Empty {
            self.output.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        asked.head_only &= matches!(form, Form::Fixed(..));
        let request = format!("{} {}", head.method, head.target());
        State::Asking(Box::new(Exchange::new(asked, form, request, self.next, self.now)))
    }

    /// Content of such a request is not read: the connection ends behind the answer.
    fn no_route(&mut self, mut asked: Asked, why: NoRoute, length: BodyLength) -> State {
        let (mut head, content) = own_error(why.status(), why.as_str(), Executed::No);
        if let NoRoute::Method(allow) = why {
            head.allow = Some(allow);
        }
        if length == BodyLength::Empty {
            return State::Skipping(asked, head, content);
        }
        asked.reuse = false;
        self.answer(asked, &head, &content);
        State::Closed(CloseReason::Protocol("content was not asked for"))
    }

    /// An answer of the gateway itself.
    fn answer(&mut self, asked: Asked, head: &Head, content: &[u8]) -> State {
        head.write(asked, self.now.wall, &mut self.output);
        if !asked.head_only {
            self.output.extend(content);
        }
        self.answered += 1;
        after(asked)
    }

    /// Takes outcomes, and goes on with the exchange.
    fn go_on(&mut self) {
        let State::Asking(exchange) = &mut self.state else { return };
        let told = mem::take(&mut *self.line.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        if !told.is_empty() {
            // The client owes us nothing for the time that it waited.
            self.since = self.now.instant;
        }
        for (number, result) in told {
            if let Err(error) = &result {
                tracing::info!(request = %exchange.request, "no answer from the command server: {error}");
            }
            exchange.tell(number, result);
        }
        let next = exchange.go_on(&self.config.idempotent, &mut self.line, self.now, &mut self.output);
        self.next = exchange.next_number();
        if next == Next::Wait {
            return;
        }
        note(exchange, self.now, next);
        let asked = exchange.asked;
        self.answered += 1;
        self.since = self.now.instant;
        self.state = match next {
            Next::Broken => State::Closed(CloseReason::Protocol("a command failed in the middle of the answer")),
            Next::Wait | Next::Done => after(asked),
        };
    }

    /// Answers a request that cannot be read to its end, unless its answer has begun: then the missing end of that has to tell.
    fn refuse(&mut self, status: Status, why: &str, reason: CloseReason) {
        let asked = match &self.state {
            State::Reading => Some((Asked::UNKNOWN, Executed::No)),
            State::Skipping(asked, ..) => Some((*asked, Executed::No)),
            State::Asking(exchange) => exchange.status.is_none().then(|| (exchange.asked, exchange.executed())),
            State::Closed(_) => None,
        };
        if let Some((asked, executed)) = asked {
            let (head, content) = own_error(status, why, executed);
            self.answer(Asked { reuse: false, ..asked }, &head, &content);
        }
        self.state = State::Closed(reason);
    }

    /// Keeps for later what came although nothing was asked for.
    fn hold(&mut self, input: &[u8]) {
        if !session::hold(&mut self.held, input) {
            self.state = State::Closed(CloseReason::Protocol("too many requests at once"));
        }
    }

    /// Goes on with what was held.
    fn resume(&mut self) {
        self.go_on();
        // Even if nothing is held: the reader may have to say that a request is complete.
        if self.hears() {
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

/// An error of which the command server does not know, and what became of the commands before it.
fn own_error(status: Status, why: &str, executed: Executed) -> (Head, Vec<u8>) {
    let content = told(&Outcome { status, executed, ..Outcome::invalid(why) }, None);
    (Head::new(status, JSON, BodyLength::Exact(content.len() as u64)), content)
}

/// The state behind a complete response.
fn after(asked: Asked) -> State {
    if asked.reuse { State::Reading } else { State::Closed(CloseReason::PeerAsked) }
}

/// One line in the log for each request that asked for commands.
fn note(exchange: &Exchange, now: Now, next: Next) {
    let Exchange { request, commands, failed, .. } = exchange;
    let ms = now.instant.saturating_duration_since(exchange.begun.instant).as_secs_f64() * 1e3;
    let status = exchange.status.map_or(0, Status::code);
    let whole = next == Next::Done;
    tracing::info!("request={request:?} status={status} commands={commands} failed={failed} whole={whole} ms={ms:.3}");
}

impl<C: Commands> Session for Gateway<C> {
    fn attach(&mut self, waker: &dyn Fn() -> Waker) {
        self.line.waker = Some(waker());
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

    fn wants(&self) -> Wants {
        match self.state {
            State::Closed(reason) => Wants::Close(reason),
            _ if !self.output.is_empty() || !self.held.is_empty() || !self.hears() => Wants::Flush,
            _ => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = match &self.state {
            State::Closed(_) => return None,
            _ if !self.output.is_empty() => self.config.stall,
            State::Reading if self.reader.phase() == ReadPhase::Idle => self.config.idle,
            State::Reading => self.config.head,
            State::Skipping(..) => self.config.stall,
            State::Asking(exchange) if exchange.waits_for_client() => self.config.stall,
            // Each command has a deadline of its own.
            State::Asking(_) => return None,
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
        if mem::take(&mut self.taken) {
            self.since = now.instant;
            return;
        }
        let unread = !self.output.is_empty();
        match self.state {
            _ if unread => self.state = State::Closed(CloseReason::TooSlow),
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
