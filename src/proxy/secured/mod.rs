//! TLS for the clients of a proxy: which certificates, from which files, on which listener. And for its backends: whom to trust.
//!
//! ```text
//!   flags ──▶ Files ──read, tried──▶ Store ──▶ tls::Shared ◀── one Terminator a worker
//!               │            ──▶ LoadedServers ──▶ tls::Servers ◀── the same Terminator
//!               ╰── reload.rs: SIGHUP, or the files have changed ──▶ others of both
//! ```

mod args;
mod demo;
mod files;
mod redirect;
mod reload;
mod servers;

pub use args::TlsArgs;
pub use redirect::Redirect;
pub use servers::ServerArgs;
pub(super) use servers::Trusting;

use crate::{
    cli::Failure,
    net::clock,
    tls::{Servers, Shared, Tickets},
};
use files::{Files, Loaded, Stamp};
pub use reload::Teller;
pub(super) use reload::{Certificates, as_it_is};
use std::{fs, io, path::Path, sync::Arc};

/// All that a client gets that speaks HTTP without TLS to the TLS listener.
const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 86\r\n\
     Connection: close\r\n\r\n400 Bad Request\nthis port speaks TLS, and the request came without it: write https://\n";

/// Certificates that were read and tried, and are not in place yet.
pub(super) struct Prepared {
    files: Arc<Files>,
    /// The files as they looked when they were read.
    stamp: Stamp,
    loaded: Loaded,
}

impl Prepared {
    /// Reads and tries the certificates that the flags name, for clients and for these backends. `http2`: it is offered to clients.
    ///
    /// # Errors
    ///
    /// A file that cannot be used: which one, and why.
    pub(super) fn read(args: &TlsArgs, backends: Vec<Trusting>, http2: bool) -> Result<Self, Failure> {
        let files = Arc::new(Files::of(args, backends, http2).map_err(Failure::Usage)?);
        // Before they are read: what changes meanwhile is noticed later.
        let stamp = files.stamp();
        let loaded = files.load(clock::now().wall).map_err(Failure::Usage)?;
        Ok(Self { files, stamp, loaded })
    }

    /// Things that the operator should know.
    pub(super) fn warnings(&self) -> &[String] {
        &self.loaded.warnings
    }
}

/// The TLS side of a proxy that is about to run.
pub(super) struct Secured {
    pub(super) shared: Arc<Shared>,
    /// The backends with which it is spoken, too.
    pub(super) servers: Arc<Servers>,
    files: Arc<Files>,
    stamp: Stamp,
    /// The hash of the files that decide about backends.
    content: u64,
    /// Things that the operator should know.
    pub(super) warnings: Vec<String>,
}

impl Secured {
    /// As [`Prepared::read`], in place.
    pub(super) fn prepare(args: &TlsArgs, backends: Vec<Trusting>, http2: bool) -> Result<Self, Failure> {
        let Prepared { files, stamp, loaded } = Prepared::read(args, backends, http2)?;
        let shared =
            Shared::new(loaded.store, Tickets::new(args.ticket_lifetime), args.tls_handshake_timeout, PLAIN_ANSWER);
        Ok(Self {
            shared: Arc::new(shared),
            servers: Arc::new(Servers::new(loaded.servers.list)),
            files,
            stamp,
            content: loaded.servers.content,
            warnings: loaded.warnings,
        })
    }

    /// Whether the certificate is one that was made on the spot.
    pub(super) fn is_self_signed(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether a certificate is for that host, which may begin with `*.`.
    pub(super) fn covers(&self, host: &str) -> bool {
        self.shared.store().ends().any(|(names, _)| names.cover(host))
    }

    /// The names of each certificate, and when it ends.
    pub(super) fn describe(&self) -> String {
        self.shared.store().describe()
    }

    /// Reloads the certificates when their files change, and when it is asked to.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(super) fn watch(&self, teller: Teller) -> io::Result<Certificates> {
        let targets = reload::Targets {
            shared: self.shared.clone(),
            servers: self.servers.clone(),
            content: self.content,
            list: self.servers.list(),
            places: None,
            teller,
        };
        reload::start(self.files.clone(), self.stamp.clone(), targets)
    }
}

/// Reads a file that a flag names.
fn read(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{flag} {}: cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_announces_its_length() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
