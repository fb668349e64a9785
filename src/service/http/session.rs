//! One connection: requests in, responses out, in order, one at a time.

use super::{
    HttpConfig,
    pattern::Pattern,
    plan::{Answer, Content, Plan, Reply},
    respond::{Asked, Head, unknown_length},
};
use crate::{
    buf::Output,
    http::{
        BodyLength, BodyWriter, Method, ReadPhase, RequestEvent, RequestHead, RequestReader, Status, Version,
        expects_continue, persistent_without_tunnels,
    },
    service::HIGH_WATER,
    session::{self, ANSWERS, CloseReason, Session, Wants, Work, Worked},
    time::{Instant, Now},
};
use std::{mem, sync::Arc};

/// An HTTP/1.1 server's side of one connection.
///
/// It answers one request at a time: while an answer waits for its time or for the peer to read, later requests are
/// held, and nothing more is read. Content is made as the peer takes it, whenever [`Session::output`] is asked and empty;
/// so a driver has to ask until it stays empty.
#[derive(Debug)]
pub struct Http {
    config: Arc<HttpConfig>,
    reader: RequestReader,
    state: State,
    output: Output,
    /// Heard, but not yet looked at: the answer to what came before is not finished.
    held: Vec<u8>,
    /// The peer sends nothing more.
    ended: bool,
    /// The time of the last call that told it.
    now: Now,
    /// Since when the peer has owed us something: the next request, the rest of one, room for our answer.
    since: Instant,
    /// The peer took some of an answer since. That is told without a time, so `since` could not be moved then.
    taken: bool,
    /// Answers begun since the driver asked for their number.
    answered: u32,
}

/// Where in an exchange the connection is.
#[derive(Debug, Default)]
enum State {
    /// In a request's head, or between two requests.
    #[default]
    Reading,
    /// In a request's content, of which so much was heard and forgotten.
    Receiving { asked: Asked, reply: Reply, content: u64 },
    /// In a request's content, which goes back as it comes.
    Echoing { asked: Asked, writer: BodyWriter },
    /// The request is read, and its answer is not due.
    Waiting { asked: Asked, answer: Answer, until: Instant },
    /// The request is read, and this has to be computed before it is answered.
    Working { asked: Asked, work: Work },
    /// The answer does not fit the output at once.
    Sending { asked: Asked, pattern: Pattern },
    /// Nothing is heard any more.
    Closed(CloseReason),
}

impl Http {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(config: Arc<HttpConfig>, now: Now) -> Self {
        Self {
            config,
            reader: RequestReader::new(),
            state: State::Reading,
            output: Output::new(),
            held: Vec::new(),
            ended: false,
            now,
            since: now.instant,
            taken: false,
            answered: 0,
        }
    }

    /// Hears `input` until an answer has to be waited for; returns what was not looked at.
    fn hear<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        let enough = self.answered.saturating_add(ANSWERS);
        while self.state.hears() && self.output.len() < HIGH_WATER && self.answered < enough {
            match self.reader.next(&mut input, &self.config.limits) {
                Ok(Some(event)) => self.on(event),
                Ok(None) => break,
                Err(error) => self.refuse(error.status(), error.as_str(), CloseReason::Protocol(error.as_str())),
            }
        }
        if matches!(self.state, State::Closed(_)) { &[] } else { input }
    }

    /// The one transition that a request's bytes make.
    fn on(&mut self, event: RequestEvent<'_>) {
        use RequestEvent::{Data, End};
        self.since = self.now.instant;
        self.state = match (mem::take(&mut self.state), event) {
            (State::Reading, RequestEvent::Head(head, length)) => self.begin(&head, length),
            (State::Receiving { asked, reply, content }, Data(data)) => {
                State::Receiving { asked, reply, content: content + data.len() as u64 }
            }
            (State::Receiving { asked, reply, content }, End(_)) => self.reply(asked, reply, content),
            (State::Echoing { asked, mut writer }, Data(data)) => {
                writer.data(&mut self.output, data).expect("nothing was declared that could be exceeded");
                State::Echoing { asked, writer }
            }
            (State::Echoing { asked, mut writer }, End(trailers)) => {
                writer.end(&mut self.output, &trailers).expect("nothing was declared that could be missed");
                State::after(asked)
            }
            (state, event) => {
                debug_assert!(false, "{state:?} hears no {event:?}: a reader says head, data, end");
                state
            }
        };
    }

    fn begin(&mut self, head: &RequestHead, length: BodyLength) -> State {
        let plan = Plan::of(head, &self.config);
        let mut asked = Asked {
            version: head.version,
            head_only: head.method == Method::Head,
            reuse: persistent_without_tunnels(head).map_err(|_| CloseReason::PeerAsked),
        };
        let mut continues = true;
        if expects_continue(head) && length != BodyLength::Empty {
            continues = plan.uses_content();
            if continues {
                self.output.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
            } else {
                // Answered without asking for the content, which may come all the same: what follows could be either
                // that or a request (RFC 9110 §10.1.1).
                asked.reuse = Err(CloseReason::Protocol("content was not asked for"));
            }
        }
        match plan {
            Plan::Echo => self.echo(asked),
            Plan::Read(reply) if continues => State::Receiving { asked, reply, content: 0 },
            Plan::Read(reply) => self.reply(asked, reply, 0),
        }
    }

    fn echo(&mut self, mut asked: Asked) -> State {
        let length = unknown_length(asked.version);
        self.write_head(&mut asked, Head { status: Status::OK, field: None, length: Some(length) });
        State::Echoing { asked, writer: BodyWriter::of(length) }
    }

    fn reply(&mut self, asked: Asked, reply: Reply, content: u64) -> State {
        match reply {
            Reply::Count => self.answer(
                asked,
                Answer::text(
                    Status::OK,
                    format!("{content} {} received\n", if content == 1 { "byte" } else { "bytes" }),
                ),
            ),
            Reply::Work(work) => State::Working { asked, work },
            Reply::Answer(delay, answer) if delay.is_zero() => self.answer(asked, answer),
            Reply::Answer(delay, answer) => State::Waiting { asked, answer, until: self.now.instant + delay },
        }
    }

    fn answer(&mut self, mut asked: Asked, answer: Answer) -> State {
        let head = answer.head(asked.version);
        self.write_head(&mut asked, head);
        match (answer.content, head.length) {
            (_, None) => State::after(asked),
            _ if asked.head_only => State::after(asked),
            (Content::Text(text), Some(_)) => {
                self.output.push(text);
                State::after(asked)
            }
            (Content::Declared(bytes) | Content::Chunked(bytes), Some(length)) => {
                self.send(asked, Pattern::new(bytes, length))
            }
        }
    }

    fn send(&mut self, asked: Asked, mut pattern: Pattern) -> State {
        if pattern.fill(&mut self.output) { State::after(asked) } else { State::Sending { asked, pattern } }
    }

    fn write_head(&mut self, asked: &mut Asked, head: Head) {
        if head.length == Some(BodyLength::UntilClose) {
            // The peer asked in a version that knows no other end.
            asked.reuse = asked.reuse.and(Err(CloseReason::PeerAsked));
        }
        self.answered += 1;
        head.write(*asked, &self.config.name, self.now.wall, &mut self.output);
    }

    /// Answers a request that cannot be read to its end, unless its answer has begun: then the missing end of that has to
    /// tell.
    fn refuse(&mut self, status: Status, why: &str, reason: CloseReason) {
        self.state = match mem::take(&mut self.state) {
            State::Reading => {
                let asked = Asked { version: Version::Http11, head_only: false, reuse: Err(reason) };
                self.answer(asked, Answer::refusal(status, why))
            }
            // Of that request the head was understood: without content in the answer to a HEAD (RFC 9110 §9.3.2).
            State::Receiving { asked, .. } => {
                self.answer(Asked { reuse: Err(reason), ..asked }, Answer::refusal(status, why))
            }
            State::Echoing { .. }
            | State::Waiting { .. }
            | State::Working { .. }
            | State::Sending { .. }
            | State::Closed(_) => State::Closed(reason),
        };
    }

    /// Keeps for later what came although we asked for nothing.
    fn hold(&mut self, input: &[u8]) {
        if !session::hold(&mut self.held, input) {
            self.state = State::Closed(CloseReason::Protocol("too many requests at once"));
        }
    }

    /// Goes on where a full output made it stop.
    fn resume(&mut self) {
        self.state = match mem::take(&mut self.state) {
            State::Sending { asked, pattern } => {
                self.taken = true;
                self.send(asked, pattern)
            }
            state => state,
        };
        if !self.held.is_empty() && self.state.hears() {
            self.taken = true;
            let held = mem::take(&mut self.held);
            self.held = self.hear(&held).to_vec();
        }
        self.settle();
    }

    /// Draws the consequence of the peer's end, once everything before it was heard.
    fn settle(&mut self) {
        if !self.ended || !self.held.is_empty() || !self.state.hears() {
            return;
        }
        match self.reader.end() {
            Ok(()) => self.state = State::Closed(CloseReason::PeerFinished),
            Err(error) => self.refuse(error.status(), error.as_str(), CloseReason::Protocol(error.as_str())),
        }
    }

    /// The deadline has passed, and the peer has not moved.
    fn give_up(&mut self) {
        let unread = !self.output.is_empty();
        self.state = match mem::take(&mut self.state) {
            State::Waiting { asked, answer, .. } => self.answer(asked, answer),
            State::Reading if self.reader.phase() == ReadPhase::Idle && !unread => State::Closed(CloseReason::Idle),
            state @ (State::Reading | State::Receiving { .. }) if !unread => {
                self.state = state;
                return self.refuse(Status::REQUEST_TIMEOUT, "the request took too long", CloseReason::TooSlow);
            }
            // It has no deadline of its own, and so none that could pass.
            state @ State::Working { .. } => state,
            State::Closed(reason) => State::Closed(reason),
            // It does not read, or its answer has begun: nothing that we could still say would reach it whole.
            State::Reading | State::Receiving { .. } | State::Echoing { .. } | State::Sending { .. } => {
                self.output.clear();
                State::Closed(CloseReason::TooSlow)
            }
        };
    }
}

impl State {
    /// The request is answered: the next one, or none.
    fn after(asked: Asked) -> Self {
        match asked.reuse {
            Ok(()) => Self::Reading,
            Err(reason) => Self::Closed(reason),
        }
    }

    /// Whether the next bytes of the peer belong to it.
    fn hears(&self) -> bool {
        matches!(self, Self::Reading | Self::Receiving { .. } | Self::Echoing { .. })
    }
}

impl Session for Http {
    fn receive(&mut self, input: &[u8], now: Now) {
        self.now = now;
        if self.reader.phase() == ReadPhase::Idle {
            // The first bytes of a request: its time starts.
            self.since = now.instant;
        }
        if self.held.is_empty() {
            self.held = self.hear(input).to_vec();
        } else if !matches!(self.state, State::Closed(_)) {
            self.hold(input);
        }
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
            State::Sending { .. } => Wants::Flush,
            State::Working { work, .. } => Wants::Work(work),
            // With nothing to flush this means: until the deadline, nothing.
            State::Waiting { .. } if self.ended => Wants::Flush,
            _ if !self.output.is_empty() || !self.held.is_empty() => Wants::Flush,
            _ => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let patience = match &self.state {
            State::Reading if self.reader.phase() == ReadPhase::Idle => self.config.idle,
            State::Reading => self.config.head,
            State::Receiving { .. } | State::Echoing { .. } | State::Sending { .. } => self.config.stall,
            State::Waiting { until, .. } => return Some(*until),
            // The driver's to know: how long it may take depends on who else has something to compute.
            State::Working { .. } | State::Closed(_) => return None,
        };
        Some(self.since + patience)
    }

    fn promised(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            _ => None,
        }
    }

    fn expire(&mut self, now: Now) {
        self.now = now;
        if self.deadline().is_none_or(|at| now.instant < at) {
            return;
        }
        if mem::take(&mut self.taken) && !matches!(self.state, State::Waiting { .. }) {
            self.since = now.instant;
            return;
        }
        self.give_up();
        if matches!(self.state, State::Closed(_)) {
            self.held = Vec::new();
        }
    }

    fn worked(&mut self, worked: Worked, now: Now) {
        self.now = now;
        self.state = match mem::take(&mut self.state) {
            State::Working { asked, work } => self.answer(asked, Answer::worked(work, worked)),
            state => state,
        };
        // The peer owes us nothing for the time that we took.
        self.since = now.instant;
    }

    fn taken(&mut self) {
        self.taken = true;
    }

    fn answered(&mut self) -> u32 {
        mem::take(&mut self.answered)
    }
}

#[cfg(test)]
mod tests;
