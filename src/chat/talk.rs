//! One connection's part in the hall, whatever its protocol: its person, its queue, and how fast it may talk.

use super::{
    event::Event,
    hall::{PersonId, Token},
    house::House,
    mailbox::{End, Mailbox},
    origin::Origin,
};
use crate::{
    resilience::TokenBucket,
    session::Waker,
    time::{Instant, Now},
};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// The settings that all connections share.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Bytes of a line, its end not counted. A message of a WebSocket may be so long, too.
    pub(crate) line: usize,
    /// Bytes that may wait for a client that does not read. One more, and it is told and let go.
    pub(crate) queue: usize,
    /// Lines a second, in the long run. A client that talks faster is read more slowly; nothing is lost.
    pub(crate) rate: NonZeroU32,
    /// Lines at once.
    pub(crate) burst: NonZeroU32,
    /// Silence of a client with lines after which it is sent away.
    pub(crate) idle: Duration,
    /// Pages that may connect beside the server's own.
    pub(crate) origins: Vec<Origin>,
    /// Makes tokens.
    pub(crate) token: fn() -> Token,
}

/// A person's connection. Dropped, it is lost, unless the person has quit.
#[derive(Debug)]
pub(super) struct Talk {
    house: Arc<House>,
    mailbox: Arc<Mailbox>,
    id: PersonId,
    bucket: TokenBucket,
    /// Nothing is heard before.
    pub(super) wait: Option<Instant>,
    events: Vec<Arc<Event>>,
}

impl Talk {
    /// # Errors
    ///
    /// The hall has no place, in words for the peer.
    pub(super) fn begin(
        house: &Arc<House>,
        config: &Config,
        waker: Option<Waker>,
        now: Now,
    ) -> Result<Self, &'static str> {
        let mailbox = Mailbox::new(config.queue, waker);
        let id = house.arrive(&mailbox, (config.token)(), now)?;
        let bucket = TokenBucket::new(config.rate, config.burst, now.instant);
        Ok(Self { house: Arc::clone(house), mailbox, id, bucket, wait: None, events: Vec::new() })
    }

    /// Whether a line may be heard now. If not, [`Talk::wait`] tells when.
    pub(super) fn may_talk(&mut self, now: Now) -> bool {
        if self.mailbox.is_busy() {
            // The answer wakes the session.
            self.wait = None;
            return false;
        }
        // A copy: the token is taken by the line, when it is complete.
        self.wait = { self.bucket }.try_take(1, now.instant).err().map(|wait| now.instant + wait);
        self.wait.is_none()
    }

    /// A line, in any bytes.
    pub(super) fn line(&mut self, line: &[u8], now: Now) {
        // It was there: see `may_talk`.
        let _ = self.bucket.try_take(1, now.instant);
        match std::str::from_utf8(line) {
            Ok(line) => self.id = self.house.line(self.id, &self.mailbox, line, now),
            Err(_) => self.refuse("that line is not UTF-8"),
        }
    }

    pub(super) fn refuse(&self, why: &str) {
        self.house.refuse(self.id, &self.mailbox, why);
    }

    /// Takes events of about `most` bytes, and calls `tell` with each. `Some`: nothing follows them.
    pub(super) fn tell(&mut self, most: usize, mut tell: impl FnMut(&Event)) -> Option<End> {
        let end = self.mailbox.take(most, &mut self.events);
        self.events.drain(..).for_each(|event| tell(&event));
        end
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.house.lose(self.id, &self.mailbox);
    }
}
