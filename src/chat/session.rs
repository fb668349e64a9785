//! A connection that was just accepted, and what it turns out to be.

use super::{house::House, lines::LineClient, talk::Config};
use crate::{
    buf::Output,
    session::{CloseReason, Session, Waker, Wants},
    time::Now,
};
use std::{sync::Arc, time::Instant};

/// One client.
#[derive(Debug)]
pub(super) struct Chat {
    house: Arc<House>,
    config: Arc<Config>,
    waker: Option<Waker>,
    now: Now,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its driver has not called yet.
    New,
    Lines(Box<LineClient>),
    /// It was told why, in what is left.
    Refused(Output),
}

impl Chat {
    pub(super) fn new(house: Arc<House>, config: Arc<Config>, now: Now) -> Self {
        Self { house, config, waker: None, now, state: State::New }
    }

    fn begin(&mut self) {
        self.state = match LineClient::begin(&self.house, &self.config, self.waker.clone(), self.now) {
            Ok(client) => State::Lines(Box::new(client)),
            Err(why) => {
                let mut output = Output::new();
                output.extend(format!("! {why}\n").as_bytes());
                State::Refused(output)
            }
        };
    }
}

impl Session for Chat {
    fn receive(&mut self, input: &[u8], now: Now) {
        if let State::Lines(client) = &mut self.state {
            client.receive(input, now);
        }
    }

    fn receive_end(&mut self, now: Now) {
        if let State::Lines(client) = &mut self.state {
            client.receive_end(now);
        }
    }

    fn output(&mut self) -> &mut Output {
        if matches!(self.state, State::New) {
            self.begin();
        }
        match &mut self.state {
            State::Lines(client) => client.output(),
            State::Refused(output) => output,
            State::New => unreachable!("it has begun"),
        }
    }

    fn wants(&self) -> Wants {
        match &self.state {
            State::New => Wants::Input,
            State::Lines(client) => client.wants(),
            State::Refused(_) => Wants::Close(CloseReason::Protocol("the hall is full")),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Lines(client) => client.deadline(),
            State::New | State::Refused(_) => None,
        }
    }

    fn promised(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, now: Now) {
        if let State::Lines(client) = &mut self.state {
            client.expire(now);
        }
    }

    fn attach(&mut self, waker: &dyn Fn() -> Waker) {
        self.waker = Some(waker());
    }

    fn woken(&mut self, now: Now) {
        if let State::Lines(client) = &mut self.state {
            client.woken(now);
        }
    }

    fn answered(&mut self) -> u32 {
        match &mut self.state {
            State::Lines(client) => client.answered(),
            State::New | State::Refused(_) => 0,
        }
    }
}
