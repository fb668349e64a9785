//! People with a browser: each message of a WebSocket is a line, each event a message in JSON.

use super::{
    event::Event,
    house::House,
    mailbox::End,
    talk::{Config, Talk},
};
use crate::{
    buf::Output,
    session::{self, CloseReason, Session, Waker, Wants},
    time::{Instant, Now},
    websocket::{CloseCode, Message, Opcode, Reader, close_frame, frame},
};
use bytes::Bytes;
use std::{mem, sync::Arc, time::Duration};

/// Output beyond which no more is fetched from the queue and no message is answered.
const HIGH_WATER: usize = 16 * 1024;

/// Silence after which a client is asked whether it is there; as long again without an answer, and it is lost. Shorter than the minute
/// after which many routers forget a connection.
const PING: Duration = Duration::from_secs(30);

/// How long a client that did not read has to take the word that it was too slow.
const LAST_WORD: Duration = Duration::from_secs(10);

/// One client with a WebSocket.
#[derive(Debug)]
pub(crate) struct SocketClient {
    talk: Talk,
    reader: Reader,
    output: Output,
    held: Vec<u8>,
    now: Now,
    heard: Instant,
    /// It was asked whether it is there.
    asked: bool,
    /// It takes what it is sent, so it is there: its answer may stand behind much that it has to read first.
    takes: bool,
    ended: bool,
    closed: Option<CloseReason>,
    /// A client that was too slow has time until then.
    give_up: Option<Instant>,
    answered: u32,
}

impl SocketClient {
    /// `answer`: the response to the handshake.
    pub(crate) fn begin(
        house: &Arc<House>,
        config: &Config,
        waker: Option<Waker>,
        answer: Bytes,
        now: Now,
    ) -> Result<Self, &'static str> {
        let talk = Talk::begin(house, config, waker, now)?;
        let mut output = Output::new();
        output.push(answer);
        Ok(Self {
            talk,
            reader: Reader::new(config.line),
            output,
            held: Vec::new(),
            now,
            heard: now.instant,
            asked: false,
            takes: false,
            ended: false,
            closed: None,
            give_up: None,
            answered: 0,
        })
    }

    /// Answers messages until one has to wait; returns what was not looked at.
    fn hear<'i>(&mut self, mut input: &'i [u8]) -> &'i [u8] {
        while self.closed.is_none() && self.output.len() < HIGH_WATER && !input.is_empty() {
            if !self.talk.may_talk(self.now) {
                return input;
            }
            match self.reader.next(&mut input) {
                Ok(None) => return &[],
                Ok(Some(Message::Text(text))) => {
                    self.talk.line(text.as_bytes(), self.now);
                    self.answered += 1;
                }
                Ok(Some(Message::Binary(_))) => {
                    self.close(CloseCode::UNSUPPORTED, "text only", CloseReason::Protocol("binary message"))
                }
                Ok(Some(Message::Ping(payload))) => self.output.push(frame(Opcode::Pong, &payload)),
                Ok(Some(Message::Pong(_))) => {}
                Ok(Some(Message::Close(code))) => {
                    self.close(code.unwrap_or(CloseCode::NORMAL), "", CloseReason::PeerAsked)
                }
                Err(fault) => self.close(fault.code(), fault.as_str(), CloseReason::Protocol(fault.as_str())),
            }
            self.fill();
        }
        if self.closed.is_some() { &[] } else { input }
    }

    /// Says why, and that nothing follows.
    fn close(&mut self, code: CloseCode, why: &str, reason: CloseReason) {
        self.output.push(close_frame(code, why));
        self.closed = Some(reason);
    }

    /// Fetches what the client has to be told, as far as there is room.
    fn fill(&mut self) {
        if self.closed.is_some() || self.output.len() >= HIGH_WATER {
            return;
        }
        let output = &mut self.output;
        match self.talk.tell(HIGH_WATER, |event| output.push(message(event))) {
            None => {}
            Some(End::Over(CloseReason::Draining)) => self.close(CloseCode::GOING_AWAY, "", CloseReason::Draining),
            Some(End::Over(reason)) => self.close(CloseCode::NORMAL, "", reason),
            Some(End::Full) => {
                self.close(CloseCode::POLICY, "you read too slowly", CloseReason::Protocol("reads too slowly"));
                self.give_up = Some(self.now.instant + LAST_WORD);
            }
        }
    }

    fn resume(&mut self) {
        self.fill();
        let held = mem::take(&mut self.held);
        self.held = self.hear(&held).to_vec();
    }

    /// When the silence has lasted too long for the next step.
    fn silent_at(&self) -> Instant {
        self.heard + if self.asked { 2 * PING } else { PING }
    }
}

/// An event as a message: the same bytes for all who are told it.
fn message(event: &Event) -> Bytes {
    event.json(|json| frame(Opcode::Text, &json))
}

impl Session for SocketClient {
    fn receive(&mut self, input: &[u8], now: Now) {
        (self.now, self.heard, self.asked) = (now, now.instant, false);
        if self.held.is_empty() {
            self.held = self.hear(input).to_vec();
        } else if !session::hold(&mut self.held, input) {
            self.close(CloseCode::POLICY, "too much at once", CloseReason::Protocol("too many messages at once"));
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
        let silent = self.silent_at();
        Some(self.talk.wait.filter(|_| !self.held.is_empty()).map_or(silent, |wait| wait.min(silent)))
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn taken(&mut self) {
        self.takes = true;
    }

    fn expire(&mut self, now: Now) {
        self.now = now;
        if mem::take(&mut self.takes) {
            (self.heard, self.asked) = (now.instant, false);
        }
        if self.give_up.is_some_and(|at| at <= now.instant) {
            self.output.clear();
            self.closed = Some(CloseReason::TooSlow);
        } else if self.closed.is_none() && self.silent_at() <= now.instant {
            if self.asked {
                self.close(CloseCode::POLICY, "no answer to a ping", CloseReason::Idle);
            } else {
                self.asked = true;
                self.output.push(frame(Opcode::Ping, b""));
            }
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
