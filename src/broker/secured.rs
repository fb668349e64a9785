//! TLS for clients, on a listener of its own: the certificate and its key, read and tried before the broker starts.

use crate::{
    app::ListenerId,
    cli::{self, Failure},
    net::{
        self, ListenOptions, clock, secrets,
        signals::{self, Watch},
    },
    tls::{File, Pair, Rules, Shared, Store, Tickets, provider},
};
use clap::Args;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The listener of TLS: the one without it comes first.
pub(super) const LISTENER: ListenerId = ListenerId(1);

/// How long a client may resume its TLS session without a full handshake.
const TICKETS: Duration = Duration::from_secs(6 * 3600);

/// For a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// The flags of TLS.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Address to listen on for MQTT over TLS (mqtts), beside --listen; with port 0 the system chooses one, and the READY-TLS line tells which
    #[arg(long, value_name = "ADDR", value_parser = cli::address, requires = "certificate")]
    tls_listen: Option<SocketAddr>,
    /// A certificate and those that vouch for it, in PEM, the broker's own first; read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "key", requires = "tls_listen")]
    certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM, without a password
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

/// The TLS side of a broker that is about to run.
pub(super) struct Secured {
    address: SocketAddr,
    backlog: u32,
    pub(super) shared: Arc<Shared>,
    files: Files,
}

/// A certificate and its key, which are read at the start, and again on SIGHUP.
#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl TlsArgs {
    /// Reads and tries the files, if TLS is wanted.
    ///
    /// # Errors
    ///
    /// A file that cannot be used: which one, and why.
    pub(super) fn prepare(&self, backlog: u32, now: SystemTime) -> Result<Option<Secured>, Failure> {
        let (Some(address), Some(certificate), Some(key)) = (self.tls_listen, &self.certificate, &self.key) else {
            return Ok(None);
        };
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let store = files.load(now).map_err(Failure::Usage)?;
        secrets::keep_out_of_core_dumps()?;
        let shared = Arc::new(Shared::new(store, Tickets::new(TICKETS), PATIENCE, ""));
        Ok(Some(Secured { address, backlog, shared, files }))
    }
}

impl Secured {
    /// Opens the listener.
    pub(super) fn open(&self) -> Result<TcpListener, net::Error> {
        net::listen(&ListenOptions { backlog: self.backlog, ..ListenOptions::set_by("--tls-listen", self.address) })
    }

    /// Reads the files again on each SIGHUP. A handshake that has begun keeps its certificate, and so do connections that are open.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(super) fn watch(&self) -> Result<Watch, net::Error> {
        let (shared, files) = (Arc::clone(&self.shared), self.files.clone());
        signals::watch_for_reload(move || match files.load(clock::now().wall) {
            Ok(store) => {
                shared.replace(store);
                shared.counters.reloaded(true);
                tracing::info!("certificates reloaded: {}", shared.store().describe());
            }
            Err(why) => shared.keep(&why),
        })
    }
}

impl Files {
    /// Both, if they fit each other and have not ended.
    fn load(&self, now: SystemTime) -> Result<Store, String> {
        let Self { certificate, key } = self;
        let read = |flag: &str, path: &Path| {
            fs::read(path).map_err(|error| format!("{flag} {}: cannot be read: {error}", path.display()))
        };
        let (chain, secret) = (read("--certificate", certificate)?, read("--key", key)?);
        let provider = Arc::new(provider());
        let pair = Pair::read(&chain, &secret, Some(now), &provider).map_err(|problem| match problem.file() {
            File::Certificate => format!("--certificate {}: {problem}", certificate.display()),
            File::Key => format!("--key {}: {problem}", key.display()),
        })?;
        if pair.ends_soon(now) {
            tracing::warn!("--certificate {}: the certificate ends soon", certificate.display());
        }
        if secrets::others_may_read(key) {
            let path = key.display();
            tracing::warn!("--key {path}: other users can read this file: `chmod 600 {path}`");
        }
        let rules = Rules { mqtt: true, ..Rules::default() };
        Store::new(&[pair], None, rules, &provider)
            .map_err(|problem| format!("--certificate {}: {problem}", certificate.display()))
    }
}
