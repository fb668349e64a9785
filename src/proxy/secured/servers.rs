//! TLS with backends: whose word counts for who they are, and what they get to see of us.

use super::read;
use crate::{
    net::secrets,
    proxy::backend_spec::BackendSpec,
    tls::{File, MinVersion, Pair, Server, Trust, provider},
    units::{Flags, Pointless},
};
use clap::Args;
use rustls::crypto::CryptoProvider;
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

/// Flags of milestone 5: TLS towards backends.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS to backends (--backend https://HOST)")]
pub struct ServerArgs {
    /// Authorities in PEM, one of which has to have signed the certificate of each backend [default: those that this system trusts]
    ///
    /// A backend that vouches for itself is trusted if its own certificate is in the file. There is no way to trust any certificate. The
    /// file is read again like those of certificates. The system's authorities are read again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    backend_ca: Option<PathBuf>,

    /// The oldest version of TLS that is spoken with backends
    #[arg(long, value_name = "1.2|1.3", default_value = "1.2", hide_possible_values = true)]
    backend_tls_min: MinVersion,

    /// A certificate in PEM, and those that vouch for it, for backends that ask for one
    #[arg(long, value_name = "FILE", requires = "backend_key")]
    backend_certificate: Option<PathBuf>,

    /// The private key of --backend-certificate
    #[arg(long, value_name = "FILE", requires = "backend_certificate")]
    backend_key: Option<PathBuf>,
}

impl Flags for ServerArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

/// Backends that are spoken to by the same rules.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Trusting {
    /// The upstream that they belong to, where there are several.
    pub(in crate::proxy) upstream: Option<String>,
    pub(in crate::proxy) args: ServerArgs,
    pub(in crate::proxy) backends: Vec<BackendSpec>,
}

impl Trusting {
    fn is_secure(&self) -> bool {
        self.backends.iter().any(|backend| backend.secure.is_some())
    }

    /// A problem of its flags and files, with the upstream's name in front.
    fn told(&self, problem: String) -> String {
        match &self.upstream {
            Some(name) => format!("upstream {name}: {problem}"),
            None => problem,
        }
    }
}

/// The backends with TLS, and the files that decide about them.
#[derive(Debug)]
pub(super) struct ServerFiles {
    /// Empty if no backend speaks TLS.
    groups: Vec<Trusting>,
    provider: Arc<CryptoProvider>,
}

/// The backends as the files say.
#[derive(Debug, Default)]
pub(super) struct LoadedServers {
    /// By their places in the list; `None` where connections are plain.
    pub(super) list: Vec<Option<Arc<Server>>>,
    /// The hash of all that was read. If it is the same as before, so are the backends.
    pub(super) content: u64,
}

impl ServerFiles {
    /// # Errors
    ///
    /// A flag means nothing without a backend with TLS.
    pub(super) fn of(groups: Vec<Trusting>) -> Result<Self, String> {
        for group in groups.iter().filter(|group| !group.is_secure()) {
            group.args.check_unused().map_err(|problem| group.told(problem))?;
        }
        let groups = if groups.iter().any(Trusting::is_secure) { groups } else { Vec::new() };
        Ok(Self { groups, provider: Arc::new(provider()) })
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.groups.iter().flat_map(|group| {
            let ServerArgs { backend_ca, backend_certificate, backend_key, .. } = &group.args;
            [backend_ca, backend_certificate, backend_key].into_iter().flatten()
        })
    }

    /// Reads everything, and tries it.
    ///
    /// # Errors
    ///
    /// Which flag or file is wrong, and why.
    pub(super) fn load(&self, now: SystemTime, warnings: &mut Vec<String>) -> Result<LoadedServers, String> {
        if self.groups.is_empty() {
            return Ok(LoadedServers::default());
        }
        let (mut content, mut list) = (DefaultHasher::new(), Vec::new());
        for group in &self.groups {
            if !group.is_secure() {
                list.extend(group.backends.iter().map(|_| None));
                continue;
            }
            let mut own_warnings = Vec::new();
            let trust =
                self.trust(group, now, &mut content, &mut own_warnings).map_err(|problem| group.told(problem))?;
            warnings.extend(own_warnings.into_iter().map(|warning| group.told(warning)));
            for backend in &group.backends {
                list.push(server(backend, &trust)?);
            }
        }
        Ok(LoadedServers { list, content: content.finish() })
    }

    fn trust(
        &self,
        group: &Trusting,
        now: SystemTime,
        content: &mut DefaultHasher,
        warnings: &mut Vec<String>,
    ) -> Result<Trust, String> {
        let args = &group.args;
        let trust = args.trust(&self.provider, content, warnings)?;
        Ok(match (&args.backend_certificate, &args.backend_key) {
            (Some(certificate), Some(key)) => {
                trust.showing(own(certificate, key, now, &self.provider, content, warnings)?)
            }
            _ => trust,
        })
    }
}

/// The server that a backend has to prove to be, if connections to it are protected.
fn server(backend: &BackendSpec, trust: &Trust) -> Result<Option<Arc<Server>>, String> {
    let Some(name) = &backend.secure else { return Ok(None) };
    let server = Server::new(name, &backend.name(), trust);
    let wrong = || format!("--backend {}: no certificate can be for this name", backend.name());
    server.map(|server| Some(Arc::new(server))).ok_or_else(wrong)
}

impl ServerArgs {
    fn check_unused(&self) -> Result<(), String> {
        let given = [("--backend-ca", &self.backend_ca), ("--backend-certificate", &self.backend_certificate)];
        match given.iter().find(|(_, path)| path.is_some()) {
            Some((flag, _)) => Err(format!("{flag} means nothing without a backend with https://")),
            None => Ok(()),
        }
    }

    fn trust(
        &self,
        provider: &Arc<CryptoProvider>,
        content: &mut DefaultHasher,
        warnings: &mut Vec<String>,
    ) -> Result<Trust, String> {
        if let Some(path) = &self.backend_ca {
            let pem = read("--backend-ca", path)?;
            let trust = Trust::in_file(&pem, self.backend_tls_min, provider);
            pem.hash(content);
            return trust.map_err(|problem| format!("--backend-ca {}: {problem}", path.display()));
        }
        let native = rustls_native_certs::load_native_certs();
        warnings.extend(native.errors.iter().map(|error| format!("authorities of this system: {error}")));
        native.certs.hash(content);
        Trust::in_authorities(native.certs, self.backend_tls_min, provider).map_err(|_| {
            "this system trusts no authority (is a package named ca-certificates installed?): give --backend-ca FILE"
                .to_owned()
        })
    }
}

/// The pair that backends get to see.
fn own(
    certificate: &Path,
    key: &Path,
    now: SystemTime,
    provider: &CryptoProvider,
    content: &mut DefaultHasher,
    warnings: &mut Vec<String>,
) -> Result<Pair, String> {
    let (chain, secret) = (read("--backend-certificate", certificate)?, read("--backend-key", key)?);
    let pair = Pair::of_client(&chain, &secret, provider).map_err(|problem| match problem.file() {
        File::Certificate => format!("--backend-certificate {}: {problem}", certificate.display()),
        File::Key => format!("--backend-key {}: {problem}", key.display()),
    })?;
    // The key fits: another key has another certificate.
    chain.hash(content);
    if pair.ends_soon(now) {
        let end = humantime::format_rfc3339_seconds(pair.not_after);
        let verb = if pair.not_after < now { "has expired on" } else { "ends on" };
        warnings.push(format!("--backend-certificate {}: the certificate {verb} {end}", certificate.display()));
    }
    if secrets::others_may_read(key) {
        let path = key.display();
        warnings.push(format!("--backend-key {path}: other users can read this file: `chmod 600 {path}`"));
    }
    Ok(pair)
}
