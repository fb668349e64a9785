//! People with `nc` or telnet: a line is a command or a message, and so is the answer.

use super::{
    house::House,
    mailbox::End,
    talk::{Config, Talk},
};
use crate::{
    buf::Output,
    service::lines::{Line, Lines},
    session::{self, CloseReason, Session, Waker, Wants},
    time::{Instant, Now},
};
use std::{mem, sync::Arc, time::Duration};

/// Output beyond which no more is fetched from the queue and no line is answered.
const HIGH_WATER: usize = 16 * 1024;

/// How long a client that did not read has to take what was sent to it and the word that it was too slow.
const LAST_WORD: Duration = Duration::from_secs(10);

/// The word.
const TOO_SLOW: &str = "you read too slowly, and the queue of what you have to be told is full: come back with /resume";

/// One client with lines.
#[derive(Debug)]
pub(super) struct LineClient {
    talk: Talk,
    lines: Lines,
    output: Output,
    held: Vec<u8>,
    idle: Duration,
    now: Now,
    heard: Instant,
    ended: bool,
    closed: Option<CloseReason>,
    /// A client that was too slow has time until then.
    give_up: Option<Instant>,
    answered: u32,
}

impl LineClient {
    pub(super) fn begin(
        house: &Arc<House>,
        config: &Config,
        waker: Option<Waker>,
        now: Now,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            talk: Talk::begin(house, config, waker, now)?,
            lines: Lines::new(config.line),
            output: Output::new(),
            held: Vec::new(),
            idle: config.idle,
            now,
            heard: now.instant,
            ended: false,
            closed: None,
            give_up: None,
            answered: 0,
        })
    }

    /// Answers lines until one has to wait; returns what was not looked at.
    fn hear<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        while self.closed.is_none() && self.output.len() < HIGH_WATER && !input.is_empty() {
            if !self.talk.may_talk(self.now) {
                return input;
            }
            match self.lines.next(&mut input) {
                None => return &[],
                Some(Line::TooLong) => self.talk.refuse("that line is too long"),
                Some(Line::Text(line)) => self.talk.line(&line, self.now),
            }
            self.answered += 1;
            self.fill();
        }
        if self.closed.is_some() { &[] } else { input }
    }

    /// Fetches what the client has to be told, as far as there is room.
    fn fill(&mut self) {
        if self.closed.is_some() || self.output.len() >= HIGH_WATER {
            return;
        }
        let output = &mut self.output;
        match self.talk.tell(HIGH_WATER, |event| output.push(event.line())) {
            None => {}
            Some(End::Over(reason)) => self.closed = Some(reason),
            Some(End::Full) => {
                self.output.extend(format!("! {TOO_SLOW}\n").as_bytes());
                self.closed = Some(CloseReason::Protocol("reads too slowly"));
                self.give_up = Some(self.now.instant + LAST_WORD);
            }
        }
    }

    fn resume(&mut self) {
        self.fill();
        let held = mem::take(&mut self.held);
        self.held = self.hear(&held).to_vec();
    }
}

impl Session for LineClient {
    fn receive(&mut self, input: &[u8], now: Now) {
        (self.now, self.heard) = (now, now.instant);
        if self.held.is_empty() {
            self.held = self.hear(input).to_vec();
        } else if !session::hold(&mut self.held, input) {
            self.closed = Some(CloseReason::Protocol("too many lines at once"));
        }
    }

    fn receive_end(&mut self, now: Now) {
        self.now = now;
        self.ended = true;
    }

    fn output(&mut self) -> &mut Output {
        if self.output.is_empty() {
            self.resume();
        }
        &mut self.output
    }

    fn wants(&self) -> Wants {
        match self.closed {
            Some(reason) => Wants::Close(reason),
            None if !self.held.is_empty() => Wants::Flush,
            None if self.ended => Wants::Close(CloseReason::PeerFinished),
            None => Wants::Input,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.closed.is_some() {
            return self.give_up;
        }
        let idle = self.heard + self.idle;
        Some(self.talk.wait.filter(|_| !self.held.is_empty()).map_or(idle, |wait| wait.min(idle)))
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        self.now = now;
        if self.give_up.is_some_and(|at| at <= now.instant) {
            self.output.clear();
            self.closed = Some(CloseReason::TooSlow);
        } else if self.closed.is_none() && self.heard + self.idle <= now.instant {
            self.output.extend(b"* you have said nothing for a long time: goodbye\n");
            self.closed = Some(CloseReason::Idle);
        } else if self.output.is_empty() {
            self.resume();
        }
    }

    fn woken(&mut self, now: Now) {
        self.now = now;
        self.fill();
    }

    fn answered(&mut self) -> u32 {
        mem::take(&mut self.answered)
    }
}
