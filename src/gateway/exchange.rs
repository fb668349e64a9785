//! One request and its commands: content becomes lines, lines become commands, outcomes become content, in order.
//!
//! ```text
//!   content ──▶ unsplit ──▶ line ──▶ ask ──┐        ┌── outcome, in any order
//!                                          ▼        ▼
//!                          first ──▶ [ told │ ? │ told │ ? ]   at most WINDOW, and WEIGHT
//!                                       │
//!                                       ╰──▶ content, once it is the turn of this line
//! ```
//!
//! A request with one command gets the status of that command. With several, the first of them is answered before the last has been
//! heard: the status is 200, and each line says how its command went.

use super::{
    outcome::{ERROR, Executed, Outcome},
    respond::{Asked, Head, JSON, JSON_LINES, TEXT, numbers, told},
    route::Show,
};
use crate::{
    buf::Output,
    client::{Answer, Error, MAX_REQUEST, Names, Request},
    http::{BodyLength, BodyWriter, Fields, Status},
    service::{
        Command,
        lines::{Line, Lines},
    },
    time::Now,
};
use std::collections::VecDeque;

/// Commands of one request that wait for their answers, or for their turn.
pub(super) const WINDOW: usize = 64;

/// Bytes of these and of their answers. A few long ones cost as much as many short ones.
const WEIGHT: usize = 64 * 1024;

/// No more is written while so much waits for the client.
pub(super) const HIGH_WATER: usize = 64 * 1024;

/// The meaning of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// There is one command, and the content says nothing.
    Fixed(&'static str, Show),
    /// Each is to be sent back.
    Echo,
    /// Each is a command.
    Commands,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) asked: Asked,
    form: Form,
    /// For the log.
    pub(super) request: String,
    pub(super) begun: Now,
    lines: Lines,
    unsplit: Vec<u8>,
    /// The content ended in the middle of a line, so far.
    mid_line: bool,
    /// All of the request is here.
    heard: bool,
    /// Outcomes, the first of them that of command number `first`.
    slots: VecDeque<Slot>,
    first: u64,
    /// Lines that were commands, so far, and those of them that failed.
    pub(super) commands: u64,
    pub(super) failed: u64,
    /// Lines of outcomes that were written.
    told: u64,
    /// Of content that has begun.
    writer: Option<BodyWriter>,
    /// The status that was sent.
    pub(super) status: Option<Status>,
}

/// The place of one command.
#[derive(Debug)]
struct Slot {
    /// Bytes of the command.
    asked: usize,
    /// The text that it has sent back, if that could be taken for an error.
    echoed: Option<String>,
    outcome: Option<Outcome>,
}

impl Slot {
    fn weight(&self) -> usize {
        self.asked + self.outcome.as_ref().map_or(0, |outcome| outcome.text.len())
    }
}

/// How an exchange goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More has to come: content, or outcomes.
    Wait,
    /// The response is complete.
    Done,
    /// It has begun, and cannot be completed.
    Broken,
}

/// Hands on a command with its number.
pub(super) trait Asks {
    fn ask(&mut self, number: u64, request: Request);
}

impl Exchange {
    /// A request whose first command gets the number `first`.
    pub(super) fn new(asked: Asked, form: Form, request: String, first: u64, begun: Now) -> Self {
        Self {
            asked,
            form,
            request,
            begun,
            lines: Lines::new(MAX_REQUEST),
            unsplit: Vec::new(),
            mid_line: false,
            heard: false,
            slots: VecDeque::new(),
            first,
            commands: 0,
            failed: 0,
            told: 0,
            writer: None,
            status: None,
        }
    }

    /// The number of the next command.
    pub(super) fn next_number(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Whether it takes more of the request.
    pub(super) fn hears(&self) -> bool {
        !self.heard && self.unsplit.is_empty() && self.has_room()
    }

    /// Whether one more command may be asked. A single one always may.
    fn has_room(&self) -> bool {
        self.slots.is_empty()
            || self.slots.len() < WINDOW && self.slots.iter().map(Slot::weight).sum::<usize>() < WEIGHT
    }

    /// Whether a part of the request is missing, and nothing else is waited for.
    pub(super) fn waits_for_client(&self) -> bool {
        !self.heard && self.slots.iter().all(|slot| slot.outcome.is_some())
    }

    /// Whether a command of the request was executed, as far as its outcomes are here. One of several is enough.
    pub(super) fn executed(&self) -> Executed {
        let each = || self.slots.iter().map(|slot| slot.outcome.as_ref().map_or(Executed::Unknown, |it| it.executed));
        match () {
            () if each().any(|one| one == Executed::Yes) => Executed::Yes,
            () if each().any(|one| one == Executed::Unknown) => Executed::Unknown,
            () => Executed::No,
        }
    }

    /// A piece of content.
    pub(super) fn content(&mut self, data: &[u8]) {
        if !matches!(self.form, Form::Fixed(..)) {
            self.unsplit.extend_from_slice(data);
            self.mid_line = data.last() != Some(&b'\n');
        }
    }

    /// The request is complete. Its last line may have no end of its own.
    pub(super) fn end(&mut self, names: &Names, asks: &mut impl Asks) {
        self.heard = true;
        match self.form {
            Form::Fixed(command, _) => self.command(command.to_owned(), names, asks),
            Form::Echo | Form::Commands if self.mid_line => self.unsplit.push(b'\n'),
            Form::Echo | Form::Commands => {}
        }
    }

    /// An outcome has come.
    pub(super) fn tell(&mut self, number: u64, result: Result<Answer, Error>) {
        let slot = number.checked_sub(self.first).and_then(|place| self.slots.get_mut(usize::try_from(place).ok()?));
        if let Some(slot) = slot {
            slot.outcome = Some(Outcome::of(result, slot.echoed.take().as_deref()));
        }
    }

    /// Asks what can be asked and writes what can be written, until there is no more of either.
    pub(super) fn go_on(&mut self, names: &Names, asks: &mut impl Asks, now: Now, output: &mut Output) -> Next {
        loop {
            self.split(names, asks);
            let before = self.slots.len();
            if let Some(end) = self.write(now, output) {
                return end;
            }
            if self.slots.len() == before || self.unsplit.is_empty() {
                return Next::Wait;
            }
        }
    }

    fn split(&mut self, names: &Names, asks: &mut impl Asks) {
        let unsplit = std::mem::take(&mut self.unsplit);
        let mut rest = &unsplit[..];
        while self.has_room()
            && let Some(line) = self.lines.next(&mut rest)
        {
            match line {
                Line::TooLong => self.refuse("a command is at most 8170 bytes long"),
                Line::Text(text) => match (String::from_utf8(text.into_owned()), self.form) {
                    (Err(_), _) => self.refuse("a command is text in UTF-8"),
                    (Ok(text), Form::Commands) if text.trim().is_empty() => {}
                    (Ok(text), Form::Echo) => self.command(format!("ECHO {text}"), names, asks),
                    (Ok(text), Form::Commands | Form::Fixed(..)) => self.command(text, names, asks),
                },
            }
        }
        self.unsplit = rest.to_vec();
    }

    fn command(&mut self, text: String, names: &Names, asks: &mut impl Asks) {
        match Request::new(text).map(|request| request.idempotent_if(names)) {
            Ok(request) if request.name().eq_ignore_ascii_case("QUIT") => {
                self.refuse("QUIT would end the connection that all clients share");
            }
            Ok(request) => {
                let number = self.next_number();
                self.commands += 1;
                self.slots.push_back(Slot { asked: request.text().len(), echoed: echoed(&request), outcome: None });
                asks.ask(number, request);
            }
            Err(error) => self.slot(Outcome::from(&error)),
        }
    }

    fn refuse(&mut self, rule: &str) {
        self.slot(Outcome::invalid(rule));
    }

    fn slot(&mut self, outcome: Outcome) {
        self.commands += 1;
        self.slots.push_back(Slot { asked: 0, echoed: None, outcome: Some(outcome) });
    }

    /// Whether no command is still to come.
    fn is_whole(&self) -> bool {
        self.heard && self.unsplit.is_empty()
    }

    /// Writes outcomes whose turn it is. `Some`: that was the end.
    fn write(&mut self, now: Now, output: &mut Output) -> Option<Next> {
        if self.writer.is_none() {
            match (self.commands, self.is_whole()) {
                (0, true) => {
                    self.one(&Outcome::invalid("no command in the content"), now, output);
                    return Some(Next::Done);
                }
                (1, true) => {
                    let outcome = self.take()?;
                    self.one(&outcome, now, output);
                    return Some(Next::Done);
                }
                // It may be the only one.
                (0 | 1, _) => return None,
                (_, _) => self.begin(now, output),
            }
        }
        while output.len() < HIGH_WATER
            && let Some(outcome) = self.take()
        {
            if self.piece(&outcome, output).is_none() {
                return Some(Next::Broken);
            }
        }
        let is_over = self.is_whole() && self.slots.is_empty();
        is_over.then(|| {
            // Nothing was declared that could be missed.
            let _ = self.writer.take().map(|mut writer| writer.end(output, &Fields::new()));
            Next::Done
        })
    }

    /// The next outcome, if it is here.
    fn take(&mut self) -> Option<Outcome> {
        let outcome = self.slots.front_mut()?.outcome.take()?;
        self.slots.pop_front();
        self.first += 1;
        self.failed += u64::from(!outcome.is_success());
        Some(outcome)
    }

    /// The only outcome is the response.
    fn one(&mut self, outcome: &Outcome, now: Now, output: &mut Output) {
        let json = |outcome: &Outcome| (outcome.status, JSON, told(outcome, None));
        let (status, kind, content) = match self.form {
            _ if !outcome.is_success() => json(outcome),
            Form::Commands => json(outcome),
            Form::Echo | Form::Fixed(_, Show::Line) => (outcome.status, TEXT, line(&outcome.text)),
            Form::Fixed(_, Show::Numbers) => match numbers(&outcome.text) {
                Some(content) => (outcome.status, JSON, content),
                None => json(&Outcome::nonsense(outcome.executed)),
            },
        };
        let length = BodyLength::Exact(content.len() as u64);
        let head = Head { retry_after: outcome.retry_after, ..Head::new(status, kind, length) };
        head.write(self.asked, now.wall, output);
        self.status = Some(status);
        if !self.asked.head_only {
            output.extend(&content);
        }
    }

    /// Several outcomes: the response begins before all are known.
    fn begin(&mut self, now: Now, output: &mut Output) {
        let length = self.asked.unknown_length();
        self.asked.reuse &= length == BodyLength::Chunked;
        let kind = if self.form == Form::Echo { TEXT } else { JSON_LINES };
        Head::new(Status::OK, kind, length).write(self.asked, now.wall, output);
        self.status = Some(Status::OK);
        self.writer = Some(BodyWriter::of(length));
    }

    /// One outcome of several. `None`: text has no place for a failure.
    fn piece(&mut self, outcome: &Outcome, output: &mut Output) -> Option<()> {
        let piece = match self.form {
            Form::Echo if outcome.is_success() => line(&outcome.text),
            Form::Echo | Form::Fixed(..) => return None,
            Form::Commands => {
                self.told += 1;
                told(outcome, Some(self.told))
            }
        };
        self.writer.as_mut()?.data(output, &piece).ok()
    }
}

/// The text that a command has sent back, if it begins as an error does.
fn echoed(request: &Request) -> Option<String> {
    let text = Command::sent_back(request.text()).filter(|text| text.starts_with(ERROR.as_bytes()))?;
    str::from_utf8(text).ok().map(str::to_owned)
}

fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}
