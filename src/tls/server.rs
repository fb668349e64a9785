//! The servers that connections are opened to: which name each of them has to prove, and to whose satisfaction.
//!
//! ```text
//!   Trust   which authorities count, what we show of ourselves         one for all servers
//!   Server  a name, verified by a Trust, and the sessions with it      one for each identity: address, name, authorities
//! ```
//!
//! Sessions are kept with the server and never shared: a session that is resumed shows no certificate, so it must not come from a
//! connection to another server of the same name, or from one whose certificate another authority has signed.

use super::{Counters, MinVersion, Pair, Problem, pair, settings::versions, verifier::Verifier};
use crate::app::{ServerId, canonical};
use rustls::{
    ClientConfig, ConfigBuilder, Error, RootCertStore,
    client::{Resumption, UnbufferedClientConnection, WantsClientCert, WebPkiServerVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::SingleCertAndKey,
    time_provider::TimeProvider,
};
use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Tickets that are kept of each server: as many as the library keeps of one. A server gives two or so with each handshake, and each is
/// used once.
const TICKETS: usize = 8;

/// The authorities that have to vouch for servers, and what servers get to see of us.
#[derive(Debug, Clone)]
pub struct Trust {
    verifier: Arc<Verifier>,
    least: MinVersion,
    own: Option<Pair>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Trusts these authorities, those that can be read of them: a system's list may have one that is too old for that.
    ///
    /// # Errors
    ///
    /// None can be read.
    pub fn in_authorities(
        list: Vec<CertificateDer<'static>>,
        least: MinVersion,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Problem> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(list);
        Self::new(roots, Arc::new([]), least, provider)
    }

    /// Trusts the certificates in this PEM file: authorities, and servers that vouch for themselves.
    ///
    /// # Errors
    ///
    /// Something else is in it.
    pub fn in_file(pem: &[u8], least: MinVersion, provider: &Arc<CryptoProvider>) -> Result<Self, Problem> {
        let list = pair::chain(pem)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in list.iter().enumerate() {
            roots.add(certificate.clone()).map_err(|_| Problem::Unreadable(index + 1))?;
        }
        Self::new(roots, list.into(), least, provider)
    }

    fn new(
        roots: RootCertStore,
        known: Arc<[CertificateDer<'static>]>,
        least: MinVersion,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Problem> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let authorities = builder.build().map_err(|_| Problem::NoCertificate)?;
        let verifier = Arc::new(Verifier { authorities, known });
        Ok(Self { verifier, least, own: None, provider: provider.clone() })
    }

    pub(super) fn verifier(&self) -> Arc<Verifier> {
        self.verifier.clone()
    }

    /// The certificate that servers get to see, if they ask for one.
    pub(super) fn own(&self) -> Option<&Pair> {
        self.own.as_ref()
    }

    /// Shows servers this certificate, if they ask for one.
    #[must_use]
    pub fn showing(self, own: Pair) -> Self {
        Self { own: Some(own), ..self }
    }
}

/// The configuration of connections to servers that get to see `own` if they ask for a certificate.
pub(super) fn showing(builder: ConfigBuilder<ClientConfig, WantsClientCert>, own: Option<&Pair>) -> ClientConfig {
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.key.clone()))),
    }
}

/// A server as it is verified.
pub struct Server {
    name: ServerName<'static>,
    /// For the log.
    shown: Box<str>,
    config: Arc<ClientConfig>,
    clock: Arc<Clock>,
}

/// Never the sessions.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Server {
    /// The server of this name, a host's or an address. The log calls it `shown`. `None`: nothing can have that name.
    #[must_use]
    pub fn new(name: &str, shown: &str, trust: &Trust) -> Option<Self> {
        let name = ServerName::try_from(canonical(name)).ok()?;
        let clock = Arc::new(Clock::default());
        let builder = ClientConfig::builder_with_details(trust.provider.clone(), clock.clone());
        // The library calls each verifier of one's own dangerous. This one trusts nothing that the operator has not named.
        let builder = builder
            .with_protocol_versions(versions(trust.least))
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(trust.verifier.clone());
        let mut config = showing(builder, trust.own());
        config.alpn_protocols = vec![super::HTTP11.to_vec()];
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        Some(Self { name, shown: shown.into(), config: Arc::new(config), clock })
    }

    /// The state of a new connection to it.
    pub(super) fn connection(&self) -> Result<UnbufferedClientConnection, Error> {
        UnbufferedClientConnection::new(self.config.clone(), self.name.clone())
    }

    /// The time, for what follows. All workers say the same.
    pub(super) fn set_clock(&self, wall: SystemTime) {
        self.clock.set(wall);
    }
}

/// For logs.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// In seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    pub(super) fn set(&self, wall: SystemTime) {
        let seconds = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.0.store(seconds, Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Relaxed))))
    }
}

/// All servers that a proxy knows, by their numbers.
#[derive(Debug, Default)]
pub struct Servers {
    /// Locked for as long as it takes to clone a reference: once for each connection.
    list: RwLock<Vec<Option<Arc<Server>>>>,
    has_some: AtomicBool,
    /// Counts of what became of connections to them.
    pub counters: Counters,
}

impl Servers {
    /// The places are those of [`ServerId`]; `None` where connections are plain.
    #[must_use]
    pub fn new(list: Vec<Option<Arc<Server>>>) -> Self {
        let has_some = list.iter().any(Option::is_some).into();
        Self { list: RwLock::new(list), has_some, counters: Counters::default() }
    }

    /// Whether all connections have been plain so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_some.load(Relaxed)
    }

    /// Those that are in their places now.
    #[must_use]
    pub fn list(&self) -> Vec<Option<Arc<Server>>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts others in their places: connections that begin from now on are verified by them, and resume no session from before.
    pub fn replace(&self, list: Vec<Option<Arc<Server>>>) {
        self.has_some.fetch_or(list.iter().any(Option::is_some), Relaxed);
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
    }

    pub(super) fn get(&self, id: ServerId) -> Option<Arc<Server>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).get(usize::from(id.0))?.clone()
    }
}
