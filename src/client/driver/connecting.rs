//! One try to connect: the server is looked up, then its addresses are tried in turn.

use super::{Driver, SOCKET, lock};
use crate::{
    client::{
        Cause,
        server::{Found, cause_of},
    },
    net::{clock, connect},
    resilience::{DeadlineBudget, Dial},
    time::Instant,
};
use mio::{Interest, net::TcpStream};
use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

/// How far it is.
#[derive(Debug)]
pub(super) enum Try {
    /// None is wanted.
    No,
    /// Where is the server?
    LookUp(DeadlineBudget),
    /// Is it at this address?
    Address {
        /// Which one.
        address: SocketAddr,
        /// The others.
        dial: Dial,
        /// When the next one is tried.
        until: Instant,
    },
}

impl Driver {
    /// Begins.
    pub(super) fn begin_try(&mut self) {
        self.attempt = Try::LookUp(DeadlineBudget::new(self.connect_timeout, clock::now().instant));
        // The answer to the question of an earlier try is as good, and one that is never answered is asked but once.
        if self.looking {
            return;
        }
        self.looking = true;
        let (mail, waker) = (Arc::clone(&self.mail), Arc::clone(&self.waker));
        let begun = self.server.look_up(move |found| {
            lock(&mail).found = Some(found);
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "the client's thread cannot be woken");
            }
        });
        if let Err(error) = begun {
            self.looking = false;
            self.fail_try(Cause::Connect(error.kind()));
        }
    }

    /// The server was looked up.
    pub(super) fn found(&mut self, found: Found) {
        self.looking = false;
        // The try that asked for it may be over; the result is of use only to one that waits for it.
        let Try::LookUp(budget) = self.attempt else { return };
        match found {
            Ok(addresses) => self.next_address(self.server.dial(&addresses, budget)),
            Err(error) => self.fail_try(cause_of(&error)),
        }
    }

    /// Tries the next address.
    fn next_address(&mut self, mut dial: Dial) {
        let now = clock::now().instant;
        while let Some((address, share)) = dial.next(now) {
            let begun = TcpStream::connect(address).and_then(|mut stream| {
                self.poll.registry().register(&mut stream, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
                Ok(stream)
            });
            match begun {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.established = false;
                    (self.writable, self.readable) = (false, false);
                    self.attempt = Try::Address { address, dial, until: now + share };
                    return;
                }
                Err(error) => {
                    dial.failed(connect::kind_of(&error));
                }
            }
        }
        self.fail_try(Cause::Connect(dial.verdict()));
    }

    /// How did the connection go that was begun?
    pub(super) fn check_connected(&mut self) {
        let Some(stream) = &self.stream else { return };
        let failed = match (stream.take_error(), stream.peer_addr()) {
            (Ok(None), Ok(_)) => {
                if let Try::Address { address, .. } = &self.attempt {
                    self.server.remember(*address);
                }
                return self.established();
            }
            (Ok(None), Err(error)) if error.kind() == ErrorKind::NotConnected => return self.check_late(),
            (Ok(Some(error)) | Err(error), _) | (Ok(None), Err(error)) => connect::kind_of(&error),
        };
        self.give_up_address(failed);
    }

    /// Whether an address has said nothing for too long.
    fn check_late(&mut self) {
        if self.next_try().is_some_and(|until| until <= clock::now().instant) {
            self.give_up_address(ErrorKind::TimedOut);
        }
    }

    fn give_up_address(&mut self, failed: ErrorKind) {
        self.stream = None;
        if let Try::Address { mut dial, .. } = std::mem::replace(&mut self.attempt, Try::No) {
            dial.failed(failed);
            self.next_address(dial);
        }
    }

    fn fail_try(&mut self, cause: Cause) {
        self.attempt = Try::No;
        self.link.connect_failed(cause, clock::now().instant);
    }

    /// When the next address is tried, if the present one says nothing until then.
    pub(super) fn next_try(&self) -> Option<Instant> {
        if let Try::Address { until, .. } = &self.attempt { Some(*until) } else { None }
    }
}
