//! TLS to a server: the files that say whose word counts for it, and what it gets to see of us.

use crate::{
    net::{
        address::{Host, HostPort},
        secrets,
    },
    tls::{Callee, File, MinVersion, Pair, Trust, Vouching, provider},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The files that decide about a connection. They are read again for each one, so a file that was renewed counts from the next one on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The flag of the server. Those of the files begin so, too: `--store`, `--store-ca`.
    pub flag: &'static str,
    /// Authorities in PEM, one of which has to vouch for the server. Without it, those that this system trusts.
    pub ca: Option<PathBuf>,
    /// A certificate and its key, for a server that asks for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Files {
    /// The server that has to prove to be the one of that name, or of that address.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub(super) fn callee(&self, to: &HostPort) -> Result<Arc<Callee>, String> {
        let provider = Arc::new(provider());
        let flag = self.flag;
        let trust = match &self.ca {
            Some(path) => Trust::in_file(&read(&format!("{flag}-ca"), path)?, MinVersion::Tls12, &provider)
                .map_err(|problem| format!("{flag}-ca {}: {problem}", path.display()))?,
            None => {
                let system = rustls_native_certs::load_native_certs().certs;
                Trust::in_authorities(system, MinVersion::Tls12, &provider).map_err(|_| {
                    format!("this system trusts no authority (is a package named ca-certificates installed?): give {flag}-ca FILE")
                })?
            }
        };
        let trust = match &self.own {
            None => trust,
            Some((certificate, key)) => {
                let (chain, secret) =
                    (read(&format!("{flag}-certificate"), certificate)?, read(&format!("{flag}-key"), key)?);
                let own = Pair::of_client(&chain, &secret, &provider).map_err(|problem| match problem.file() {
                    File::Certificate => format!("{flag}-certificate {}: {problem}", certificate.display()),
                    File::Key => format!("{flag}-key {}: {problem}", key.display()),
                })?;
                trust.showing(own)
            }
        };
        let name = match &to.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        // No session is resumed: a connection lasts as long as both ends do.
        let callee = Callee::new(&name, Vouching::Trusted(trust), &[], 0);
        callee.map(Arc::new).ok_or_else(|| format!("{flag}: no certificate can be for {name}"))
    }

    /// Things that the operator should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let open = self.own.iter().map(|(_, key)| key).filter(|key| secrets::others_may_read(key));
        open.map(|key| {
            let path = key.display();
            format!("{}-key {path}: other users can read this file: `chmod 600 {path}`", self.flag)
        })
        .collect()
    }
}

/// Reads a file that a flag names.
fn read(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{flag} {}: cannot be read: {error}", path.display()))
}
