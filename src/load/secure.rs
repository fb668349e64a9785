//! The flags about TLS, and the server that they make.

use crate::{
    load::Target,
    net::address::Host,
    tls::{Callee, MinVersion, Trust, Vouching, provider},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The flags about TLS.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SecureArgs {
    /// https: file with the certificates of the authorities that may have signed the server's (PEM) [default: the system's].
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// https: take any certificate, of any authority and for any server.
    #[arg(long)]
    pub insecure: bool,
    /// https: a full handshake for each connection, instead of resumed sessions.
    #[arg(long)]
    pub no_resume: bool,
}

/// A server that is spoken to with TLS.
#[derive(Debug, Clone)]
pub struct Security {
    host: String,
    vouching: Vouching,
    resume: bool,
    protocol: &'static [u8],
}

/// Tickets of each client: a server gives one or two with each handshake, and each is used once.
const TICKETS: usize = 2;

impl SecureArgs {
    /// Whether one of the flags was given.
    pub(super) fn is_given(&self) -> bool {
        self.ca.is_some() || self.insecure || self.no_resume
    }

    /// The server at the target, with which HTTP/2 is spoken, or HTTP/1.1.
    ///
    /// # Errors
    ///
    /// A file with certificates that cannot be read, or has none; no file, and a system without authorities; a name that no
    /// certificate can have.
    pub(super) fn security(&self, target: &Target, http2: bool) -> Result<Security, String> {
        let vouching = if self.insecure { Vouching::Nobody } else { Vouching::Trusted(trust(self.ca.as_deref())?) };
        let host = match &target.at.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        };
        let protocol = if http2 { b"h2" } else { crate::tls::HTTP11 };
        let security = Security { host, vouching, resume: !self.no_resume, protocol };
        match security.callee(1) {
            Some(_) => Ok(security),
            None => Err(format!("no certificate can be for the name {}", security.host)),
        }
    }
}

impl Security {
    /// The server, as so many clients share what they know of it.
    pub(super) fn callee(&self, clients: usize) -> Option<Callee> {
        let sessions = if self.resume { TICKETS * clients } else { 0 };
        Callee::new(&self.host, self.vouching.clone(), &[self.protocol], sessions)
    }
}

/// The authorities in a file, or the system's. A server's own certificate in the file is trusted as it is.
fn trust(file: Option<&Path>) -> Result<Trust, String> {
    let provider = Arc::new(provider());
    let Some(file) = file else {
        let list = rustls_native_certs::load_native_certs().certs;
        return Trust::in_authorities(list, MinVersion::Tls12, &provider).map_err(|_| {
            "this system has no authorities for certificates: give the server's with --ca FILE, or --insecure"
                .to_owned()
        });
    };
    let shown = file.display();
    let pem = fs::read(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    Trust::in_file(&pem, MinVersion::Tls12, &provider).map_err(|problem| format!("--ca {shown}: {problem}"))
}
