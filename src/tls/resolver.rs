//! One connection's view of the certificates: which one it was given, and by which name it asked.
//!
//! The library asks for a certificate when it has read the ClientHello, and for tickets before and after. Its first
//! answer decides about the rest: a ticket is sealed for the certificate that this connection was given, and opened for no other.

use super::{
    store::{Site, Store},
    tickets::Tickets,
};
use crate::app::canonical;
use rustls::{
    ServerConfig,
    pki_types::UnixTime,
    server::{ClientHello, ProducesTickets, ResolvesServerCert},
    sign::CertifiedKey,
    time_provider::TimeProvider,
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// The choice for one connection.
#[derive(Debug)]
pub(super) struct Choice {
    store: Arc<Store>,
    tickets: Arc<Tickets>,
    /// The time, in seconds since 1970, as the connection was last told.
    now: AtomicU64,
    asked: OnceLock<Asked>,
}

/// The client's question and our answer.
#[derive(Debug)]
pub(super) struct Asked {
    /// In lower case.
    pub(super) name: Option<Box<str>>,
    /// `None`: it was refused.
    pub(super) site: Option<Arc<Site>>,
}

impl Choice {
    pub(super) fn new(store: Arc<Store>, tickets: Arc<Tickets>) -> Arc<Self> {
        Arc::new(Self { store, tickets, now: AtomicU64::new(0), asked: OnceLock::new() })
    }

    /// The configuration of the connection.
    pub(super) fn config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let mut config = self.store.template.clone();
        config.cert_resolver = self.clone();
        config.ticketer = self.clone();
        config.time_provider = self.clone();
        Arc::new(config)
    }

    /// The time, for what follows.
    pub(super) fn set_clock(&self, wall: SystemTime) {
        let seconds = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.now.store(seconds, Ordering::Relaxed);
    }

    /// The question, once it was asked.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.asked.get()
    }

    fn site(&self) -> Option<&Site> {
        self.asked.get()?.site.as_deref()
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A second hello, after we asked for another group, has to be for the same name (RFC 8446 §4.1.2): the first one counts.
        let asked = self.asked.get_or_init(|| Asked {
            name: hello.server_name().map(|name| canonical(name).into_boxed_str()),
            site: self.store.find(hello.server_name(), hello.signature_schemes()).cloned(),
        });
        asked.site.as_ref().map(|site| site.key.clone())
    }
}

impl ProducesTickets for Choice {
    fn enabled(&self) -> bool {
        self.tickets.lifetime() > 0
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.seal(plain, &self.site()?.identity, self.now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.tickets.open(cipher, &self.site()?.identity, self.now())
    }
}

impl TimeProvider for Choice {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.now())))
    }
}
