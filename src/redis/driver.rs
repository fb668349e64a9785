//! The thread of a client: one socket, one mailbox, one clock. It may wait for the network, because nobody waits for it.

use super::{
    link::{Event, Link, Next, command},
    mail::{Shared, WAKER},
    wire::Wire,
};
use crate::net::clock;
use mio::{Events, Interest, Poll, Token};
use std::{io::ErrorKind, mem, sync::Arc, time::Duration};

const SOCKET: Token = Token(1);

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// Reads in one turn: a server that never stops sending must not keep the mailbox from being looked at.
const READS: usize = 16;

pub(super) struct Driver<T> {
    link: Link<T>,
    poll: Poll,
    shared: Arc<Shared<T>>,
    listener: Box<dyn FnMut(Event<T>) -> Next<T> + Send>,
    wire: Option<Wire>,
    /// Whether the kernel has not said that there is nothing to read.
    readable: bool,
    was_up: bool,
}

impl<T> Driver<T> {
    pub(super) fn new(
        link: Link<T>,
        poll: Poll,
        shared: Arc<Shared<T>>,
        listener: Box<dyn FnMut(Event<T>) -> Next<T> + Send>,
    ) -> Self {
        Self { link, poll, shared, listener, wire: None, readable: false, was_up: false }
    }

    /// Until the client is dropped.
    pub(super) fn run(mut self) {
        let (mut events, mut buffer) = (Events::with_capacity(4), vec![0; READ]);
        while self.turn(&mut buffer) {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != ErrorKind::Interrupted
            {
                return tracing::error!("{}: cannot wait for events: {error}", self.link.settings().target);
            }
            for event in &events {
                if event.token() == SOCKET {
                    self.readable |= event.is_readable() || event.is_error() || event.is_read_closed();
                } else {
                    debug_assert_eq!(event.token(), WAKER);
                }
            }
        }
    }

    /// Does all that can be done now. `false`: it was the last turn.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
        self.read(buffer);
        self.link.expire(clock::now().instant);
        let goes_on = self.take_mail();
        if self.link.wants_connection(clock::now().instant) {
            self.connect();
        }
        self.tell();
        self.write();
        if self.link.is_away() {
            self.wire = None;
        }
        // The connection may have broken as it was written to.
        self.tell();
        if !goes_on {
            self.send_last();
        }
        goes_on
    }

    fn patience(&self) -> Option<Duration> {
        if self.readable && self.wire.is_some() {
            return Some(Duration::ZERO);
        }
        let left = self.link.deadline()?.saturating_duration_since(clock::now().instant);
        // mio counts in milliseconds: rounded down, the last one would be spent spinning.
        Some(left + Duration::from_micros(999))
    }

    fn take_mail(&mut self) -> bool {
        let (bytes, tags, reset, stop) = {
            let mut mail = self.shared.lock();
            let taken = (mem::take(&mut mail.bytes), mem::take(&mut mail.tags));
            mail.unanswered = self.link.unanswered() + taken.1.len();
            (taken.0, taken.1, mail.reset.take(), mail.stop)
        };
        let now = clock::now().instant;
        if !tags.is_empty() {
            self.link.ask(&bytes, tags, now);
        }
        if let Some(why) = reset
            && !self.link.is_away()
        {
            self.link.lost(why, now);
        }
        !stop
    }

    fn connect(&mut self) {
        let target = &self.link.settings().target;
        let made = Wire::open(target, clock::now().wall).and_then(|mut wire| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(wire.stream(), SOCKET, interest).map_err(|error| error.to_string())?;
            Ok(wire)
        });
        let now = clock::now().instant;
        match made {
            Ok(wire) => {
                (self.wire, self.readable) = (Some(wire), false);
                self.link.connected(now);
            }
            Err(why) => self.link.lost(&why, now),
        }
    }

    fn write(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        if let Err(why) = wire.write(&mut self.link.output) {
            self.link.lost(&why, clock::now().instant);
        }
    }

    fn read(&mut self, buffer: &mut [u8]) {
        for _ in 0..READS {
            let Some(wire) = self.wire.as_mut().filter(|_| self.readable) else { return };
            let now = clock::now();
            match wire.read(buffer, now.wall) {
                Ok(Some(said)) => self.link.received(said, now.instant),
                Ok(None) => self.readable = false,
                Err(why) => self.link.lost(&why, now.instant),
            }
            if self.link.is_away() {
                self.wire = None;
            }
        }
    }

    /// Hands out what has happened, and puts it into the log if it is news.
    fn tell(&mut self) {
        while let Some(event) = self.link.events.pop_front() {
            let (target, meanwhile) = (&self.link.settings().target, self.link.settings().meanwhile);
            match &event {
                Event::Up if self.was_up => tracing::info!("{target} is back"),
                Event::Up => tracing::info!("{target} answers"),
                Event::Down(why) => tracing::warn!("{target}: {why}; {meanwhile}, and it is tried again"),
                Event::Answer(..) | Event::Push(_) => {}
            }
            match &event {
                Event::Up => {
                    self.was_up = true;
                    self.shared.lock().is_up = true;
                }
                Event::Down(_) => self.shared.lock().is_up = false,
                Event::Answer(..) | Event::Push(_) => {}
            }
            for (words, tag) in (self.listener)(event) {
                self.link.ask(&command(&words), vec![tag], clock::now().instant);
            }
        }
        let unsent = self.link.output.len() + self.wire.as_ref().map_or(0, Wire::unsent);
        let mut mail = self.shared.lock();
        (mail.unanswered, mail.unsent) = (self.link.unanswered(), unsent);
    }

    /// The process ends.
    fn send_last(&mut self) {
        let Some(wire) = self.wire.take() else { return };
        if self.link.output.is_empty() && wire.unsent() == 0 {
            return;
        }
        if let Err(error) = wire.send_last(&self.link.output) {
            tracing::debug!(%error, "the last commands for Redis were not sent");
        }
    }
}
