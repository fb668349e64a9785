//! From files to certificates that can be shown. Everything is tried before it is used, and a message names the file that is wrong.

use super::{
    args::TlsArgs,
    demo, read,
    servers::{LoadedServers, ServerFiles, Trusting},
};
use crate::{
    net::secrets,
    tls::{File, Pair, Rules, Store, provider},
};
use rustls::crypto::CryptoProvider;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// Where certificates and keys are, and the rules for them.
#[derive(Debug)]
pub(super) struct Files {
    pairs: Vec<(PathBuf, PathBuf)>,
    client_ca: Option<PathBuf>,
    servers: ServerFiles,
    /// Of a certificate that is made on the spot.
    demo_hosts: Vec<String>,
    allow_expired: bool,
    rules: Rules,
    provider: Arc<CryptoProvider>,
}

/// The files as they look from outside: another one of these, and something has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(Option<SystemTime>, u64, u64)>>);

impl Stamp {
    /// For tests.
    #[cfg(test)]
    pub(super) fn of_marks(marks: &[u64]) -> Self {
        Self(marks.iter().map(|mark| Some((None, *mark, 0))).collect())
    }
}

/// Certificates that work.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) store: Store,
    pub(super) servers: LoadedServers,
    /// Things that the operator should know.
    pub(super) warnings: Vec<String>,
}

impl Files {
    /// Those that the flags name for clients, and those for these backends. `http2`: it is offered to clients.
    ///
    /// # Errors
    ///
    /// A flag that means nothing.
    pub(super) fn of(args: &TlsArgs, backends: Vec<Trusting>, http2: bool) -> Result<Self, String> {
        Ok(Self {
            pairs: args.certificate.iter().cloned().zip(args.key.iter().cloned()).collect(),
            client_ca: args.client_ca.clone(),
            servers: ServerFiles::of(backends)?,
            demo_hosts: args.demo_hosts.clone(),
            allow_expired: args.allow_expired,
            rules: Rules { least: args.tls_min, strict: args.sni_strict, http2, mqtt: false },
            provider: Arc::new(provider()),
        })
    }

    /// Whether these make the same certificate on the spot, for the same use.
    pub(super) fn makes_the_same(&self, other: &Self) -> bool {
        self.is_empty()
            && other.is_empty()
            && (&self.demo_hosts, self.rules, &self.client_ca) == (&other.demo_hosts, other.rules, &other.client_ca)
    }

    /// Whether no certificate is in a file.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The files as they look now.
    pub(super) fn stamp(&self) -> Stamp {
        use std::os::unix::fs::MetadataExt as _;
        let paths = self.pairs.iter().flat_map(|(certificate, key)| [certificate, key]).chain(&self.client_ca);
        let paths = paths.chain(self.servers.paths());
        let look = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok(), metadata.len(), metadata.ino()))
        };
        Stamp(paths.map(look).collect())
    }

    /// Reads everything, and tries it.
    ///
    /// # Errors
    ///
    /// Which file is wrong, and why.
    pub(super) fn load(&self, now: SystemTime) -> Result<Loaded, String> {
        let mut warnings = Vec::new();
        let mut pairs = Vec::with_capacity(self.pairs.len().max(1));
        for (certificate, key) in &self.pairs {
            pairs.push(self.load_pair(certificate, key, now, &mut warnings)?);
        }
        if pairs.is_empty() {
            let pair = demo::self_signed(&self.demo_hosts, now, &self.provider);
            pairs.push(pair.map_err(|problem| format!("no certificate could be made: {problem}"))?);
        }
        let client_ca = self.client_ca.as_deref().map(|path| read("--client-ca", path)).transpose()?;
        let store = Store::new(&pairs, client_ca.as_deref(), self.rules, &self.provider);
        let name = || self.client_ca.as_deref().unwrap_or(Path::new("-")).display().to_string();
        let store = store.map_err(|problem| format!("--client-ca {}: {problem}", name()))?;
        let servers = self.servers.load(now, &mut warnings)?;
        Ok(Loaded { store, servers, warnings })
    }

    fn load_pair(
        &self,
        certificate: &Path,
        key: &Path,
        now: SystemTime,
        warnings: &mut Vec<String>,
    ) -> Result<Pair, String> {
        let (chain, secret) = (read("--certificate", certificate)?, read("--key", key)?);
        let dates = Some(now).filter(|_| !self.allow_expired);
        let pair = Pair::read(&chain, &secret, dates, &self.provider).map_err(|problem| match problem.file() {
            File::Certificate => format!("--certificate {}: {problem}", certificate.display()),
            File::Key => format!("--key {}: {problem}", key.display()),
        })?;
        if pair.ends_soon(now) {
            let end = humantime::format_rfc3339_seconds(pair.not_after);
            let verb = if pair.not_after < now { "has expired on" } else { "ends on" };
            warnings.push(format!("--certificate {}: the certificate {verb} {end}", certificate.display()));
        }
        if secrets::others_may_read(key) {
            let path = key.display();
            warnings.push(format!("--key {path}: other users can read this file: `chmod 600 {path}`"));
        }
        Ok(pair)
    }
}
