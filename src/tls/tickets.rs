//! Session tickets (RFC 8446 §2.2, RFC 5077): what the next connection needs to resume this one, sealed for ourselves and kept by the
//! client.
//!
//! ```text
//!   ticket:  name of the key, 16 │ nonce, 12 │ sealed: seconds since 1970, 8 │ the session │ tag, 16
//! ```
//!
//! A thief of a key can read all connections whose tickets it sealed, so keys live for a bounded time, in memory alone, and all
//! workers share them: a client meets another worker with each connection. The identity of the certificate goes into the seal. So a
//! ticket never resumes under another certificate than the one that its client has seen.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Bytes of a key's name. Names are drawn, so that two processes do not take each other's tickets for their own.
const NAME: usize = 16;
/// Bytes of the time at which a ticket was made.
const TIME: usize = 8;

/// Seals and opens tickets, for all workers.
#[derive(Debug)]
pub struct Tickets {
    lifetime: u64,
    keys: Mutex<Keys>,
}

/// Two keys: one seals, both open.
#[derive(Debug, Default)]
struct Keys {
    current: Option<Key>,
    previous: Option<Key>,
}

struct Key {
    name: [u8; NAME],
    aead: RandomizedNonceKey,
    /// When it began to seal, in seconds since 1970.
    since: u64,
}

impl Tickets {
    /// Tickets that are good for `lifetime`; zero: there are none.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime: lifetime.as_secs(), keys: Mutex::default() }
    }

    /// For how many seconds a ticket is good.
    #[must_use]
    pub fn lifetime(&self) -> u32 {
        u32::try_from(self.lifetime).unwrap_or(u32::MAX)
    }

    /// Seals a session at `now`, in seconds since 1970. `None`: there is no randomness, and so no ticket.
    #[must_use]
    pub fn seal(&self, session: &[u8], identity: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.rotate(now, self.lifetime)?;
        let key = keys.current.as_ref()?;
        let mut sealed = Vec::with_capacity(TIME + session.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&now.to_be_bytes());
        sealed.extend_from_slice(session);
        let nonce = key.aead.seal_in_place_append_tag(Aad::from(identity), &mut sealed).ok()?;
        Some([&key.name[..], nonce.as_ref(), &sealed].concat())
    }

    /// Opens a ticket that a client brings. `None`: it is not ours, too old, or was given out under another identity.
    #[must_use]
    pub fn open(&self, ticket: &[u8], identity: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.both().find(|key| key.name == name)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = key.aead.open_in_place(nonce, Aad::from(identity), &mut sealed).ok()?;
        let (made, session) = plain.split_first_chunk::<TIME>()?;
        (now.saturating_sub(u64::from_be_bytes(*made)) < self.lifetime).then(|| session.to_vec())
    }
}

impl Keys {
    fn both(&self) -> impl Iterator<Item = &Key> {
        self.current.iter().chain(&self.previous)
    }

    /// A key seals for one lifetime, and opens for another: as long as its last ticket is good. Then it is forgotten.
    fn rotate(&mut self, now: u64, lifetime: u64) -> Option<()> {
        let fresh = |key: &Key, lifetimes: u64| now < key.since.saturating_add(lifetime.saturating_mul(lifetimes));
        if self.current.as_ref().is_none_or(|key| !fresh(key, 1)) {
            self.previous = self.current.replace(Key::new(now)?).filter(|key| fresh(key, 2));
        }
        self.previous.take_if(|key| !fresh(key, 2));
        Some(())
    }
}

impl Key {
    fn new(since: u64) -> Option<Self> {
        let (mut name, mut secret) = ([0; NAME], [0; 32]);
        rand::fill(&mut name).ok()?;
        rand::fill(&mut secret).ok()?;
        let aead = RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()?;
        Some(Self { name, aead, since })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the secret.
        f.debug_struct("Key").field("since", &self.since).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_ticket_opens_for_its_lifetime_and_not_a_second_longer() {
        let tickets = Tickets::new(HOUR);
        for made in [1_000_000, 1_000_001, 1_003_599, 1_003_600, 1_010_000] {
            let ticket = tickets.seal(b"session", b"site", made).unwrap();
            assert_eq!(tickets.open(&ticket, b"site", made).as_deref(), Some(&b"session"[..]));
            assert_eq!(tickets.open(&ticket, b"site", made + 3599).as_deref(), Some(&b"session"[..]), "{made}");
            assert_eq!(tickets.open(&ticket, b"site", made + 3600), None, "{made}");
        }
    }

    #[test]
    fn a_ticket_outlives_one_change_of_keys_and_not_two() {
        let tickets = Tickets::new(HOUR);
        let ticket = tickets.seal(b"session", b"site", 1000).unwrap();
        let second = tickets.seal(b"session", b"site", 1000 + 3600).unwrap();
        assert_ne!(ticket[..NAME], second[..NAME], "another key");
        // A clock that was set back does not make it better: its key is there.
        assert!(tickets.open(&ticket, b"site", 1000).is_some());
        tickets.seal(b"session", b"site", 1000 + 2 * 3600).unwrap();
        assert!(tickets.open(&ticket, b"site", 1000).is_none(), "its key is forgotten");
        assert!(tickets.open(&second, b"site", 1000 + 3600).is_some());
    }

    #[test]
    fn only_a_ticket_of_ours_and_of_the_same_certificate_opens() {
        let tickets = Tickets::new(HOUR);
        let ticket = tickets.seal(b"session", b"site", 1000).unwrap();
        assert_eq!(tickets.open(&ticket, b"other", 1000), None);
        assert_eq!(Tickets::new(HOUR).open(&ticket, b"site", 1000), None);
        for cut in 0..ticket.len() {
            assert_eq!(tickets.open(&ticket[..cut], b"site", 1000), None, "cut at {cut}");
        }
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert_eq!(tickets.open(&damaged, b"site", 1000), None, "byte {at}");
        }
        assert!(!ticket.windows(7).any(|window| window == b"session"));
    }

    #[test]
    fn no_secret_is_shown() {
        let tickets = Tickets::new(HOUR);
        tickets.seal(b"session", b"site", 1000).unwrap();
        assert!(!format!("{tickets:?}").contains("aead"));
    }
}
