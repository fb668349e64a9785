//! A proxy as it was asked for, by flags or by a file: everything that is known before it touches the system.

use super::{
    BackendSpec, LogArgs, Plan, ProxyArgs,
    secured::{Prepared, Secured, TlsArgs},
};
use crate::{
    backend::{Addresses, Backend, BackendId},
    cli::Failure,
    net::{ListenOptions, resolve, secrets},
};
use std::{net::SocketAddr, time::Duration};

/// The advice of an error about an address of a file.
const IN_FILE: &str = "`address` in [[listen]]";

/// Without a file, there is no occasion.
const NEVER: Duration = Duration::MAX;

/// A proxy as it was asked for.
#[derive(Debug)]
pub struct Setup {
    pub(super) args: ProxyArgs,
    pub(super) plan: Plan,
    /// Where it listens without TLS, and with it.
    pub(super) plain: Vec<ListenOptions>,
    pub(super) secure: Vec<ListenOptions>,
    /// Where it logs, and in which form.
    pub(super) log: LogArgs,
    /// Which of them, in this order, hear from a trusted proxy first whose connection it is.
    pub(super) announced: Vec<bool>,
    /// Backends of its own that it starts.
    pub(super) demo: Option<usize>,
    /// How long the next process may take to begin.
    pub(super) upgrade_timeout: Duration,
    /// How long the addresses of a server's name count before it is asked for again.
    pub(super) resolve_interval: Duration,
    /// Says to people what to try, when it runs.
    pub(super) saying: Option<fn()>,
}

impl Setup {
    /// As flags say: one listener, and one for TLS if the plan has any.
    pub(super) fn of_flags(args: &ProxyArgs, plan: Plan) -> Result<Self, Failure> {
        let secure = match plan.tls_args() {
            Some(tls) => {
                tls.check(args.listen.listen).map_err(Failure::Usage)?;
                vec![tls.options(args.listen.backlog)]
            }
            None => Vec::new(),
        };
        let demo = (args.backend.is_empty() && !plan.is_forward()).then(|| plan.demo_backends());
        Ok(Self {
            args: args.clone(),
            plain: vec![args.listen.options()],
            secure,
            log: LogArgs::default(),
            announced: Vec::new(),
            demo,
            plan,
            upgrade_timeout: NEVER,
            resolve_interval: NEVER,
            saying: None,
        })
    }

    /// As a file says: with these backends, and any number of listeners, each with whether the PROXY protocol is spoken there.
    #[must_use]
    pub fn of_file(
        args: &ProxyArgs,
        plan: Plan,
        backends: Vec<BackendSpec>,
        plain: &[(SocketAddr, bool)],
        secure: &[(SocketAddr, bool)],
    ) -> Self {
        let backlog = args.listen.backlog;
        let listen =
            |(address, _): &(SocketAddr, bool)| ListenOptions { backlog, ..ListenOptions::set_by(IN_FILE, *address) };
        let mut args = args.clone();
        args.backend = backends;
        Self {
            args,
            plan,
            plain: plain.iter().map(listen).collect(),
            secure: secure.iter().map(listen).collect(),
            log: LogArgs::default(),
            announced: plain.iter().chain(secure).map(|(_, announced)| *announced).collect(),
            demo: None,
            upgrade_timeout: NEVER,
            resolve_interval: NEVER,
            saying: None,
        }
    }

    /// The same; another process has so much time to begin.
    #[must_use]
    pub fn with_upgrade_timeout(self, upgrade_timeout: Duration) -> Self {
        Self { upgrade_timeout, ..self }
    }

    /// The same; names of servers are asked for again after so much time.
    #[must_use]
    pub fn with_resolve_interval(self, resolve_interval: Duration) -> Self {
        Self { resolve_interval, ..self }
    }

    /// The same; it logs as these flags say.
    #[must_use]
    pub fn logging(self, log: &LogArgs) -> Self {
        Self { log: log.clone(), ..self }
    }

    /// The same with a certificate made on the spot, for these hosts and this machine.
    #[must_use]
    pub fn self_signed<'a>(mut self, hosts: impl Iterator<Item = &'a String>) -> Self {
        self.plan = self.plan.certified_for(hosts.cloned().collect());
        self
    }

    /// The same; when it runs, `say` tells people what to try.
    #[must_use]
    pub fn saying(self, say: fn()) -> Self {
        Self { saying: Some(say), ..self }
    }

    /// Finds what is wrong as far as that can be known without listening and without asking for a name: contradictions, and files
    /// that cannot be used. Gives what the operator should know.
    ///
    /// # Errors
    ///
    /// The first mistake: one line that says what to do.
    pub fn check(&self) -> Result<Vec<String>, Failure> {
        self.check_admin()?;
        self.log.check()?;
        let unresolved = (0..).map(BackendId).zip(&self.args.backend);
        let backends: Vec<Backend> = unresolved.map(|(id, spec)| spec.backend(id, Addresses::new(&[]))).collect();
        self.plan.check(&backends).map_err(Failure::Usage)?;
        let mut warnings = self.plan.check_stores().map_err(Failure::Usage)?;
        let Some(secured) = self.prepare_tls()? else { return Ok(warnings) };
        warnings.extend_from_slice(&secured.warnings);
        if !self.secure.is_empty() {
            let uncovered = self.plan.hosts().filter(|(_, host)| !secured.covers(host));
            warnings.extend(uncovered.map(|(site, host)| {
                format!("site {site}: no certificate is for {host}: over TLS, requests for it are answered with 421")
            }));
        }
        Ok(warnings)
    }

    /// Reads the certificates, before anything listens. The process holds private keys from then on.
    pub(super) fn prepare_tls(&self) -> Result<Option<Secured>, Failure> {
        let Some(tls) = self.tls_args()? else { return Ok(None) };
        secrets::keep_out_of_core_dumps()?;
        Secured::prepare(tls, self.plan.trusting(tls, &self.args.backend), self.plan.speaks_http2()).map(Some)
    }

    /// Reads the certificates of a configuration that is to follow.
    pub(super) fn prepare_next_tls(&self) -> Result<Option<Prepared>, Failure> {
        let Some(tls) = self.tls_args()? else { return Ok(None) };
        Prepared::read(tls, self.plan.trusting(tls, &self.args.backend), self.plan.speaks_http2()).map(Some)
    }

    fn tls_args(&self) -> Result<Option<&TlsArgs>, Failure> {
        let Some(tls) = self.plan.tls_args() else {
            // Before milestone 5, there is no TLS.
            return match self.args.backend.iter().find(|backend| backend.secure.is_some()) {
                None => Ok(None),
                Some(backend) => Err(Failure::Usage(format!(
                    "--backend {}: this milestone speaks plain HTTP with backends; milestone5 speaks TLS with them, too",
                    backend.name()
                ))),
            };
        };
        Ok(Some(tls))
    }

    /// Statistics are for the operator: they leave the machine only if two flags say so.
    pub(super) fn check_admin(&self) -> Result<(), Failure> {
        let mut listens = self.plain.iter().chain(&self.secure);
        let mut taken = |admin: &SocketAddr| admin.port() != 0 && listens.any(|listen| listen.address == *admin);
        match self.args.admin {
            Some(admin) if !admin.ip().is_loopback() && !self.args.admin_public => Err(Failure::Usage(format!(
                "--admin {admin} can be reached by others: use 127.0.0.1:{}, or add --admin-public",
                admin.port()
            ))),
            Some(admin) if taken(&admin) => {
                Err(Failure::Usage(format!("--listen and --admin are both {admin}: each needs a port of its own")))
            }
            _ => Ok(()),
        }
    }

    /// The backends of a proxy that stays what it is, each with all addresses of its name.
    pub(super) fn resolve(&self) -> Result<Vec<Backend>, Failure> {
        let backend = |(index, spec): (usize, &BackendSpec)| {
            let addresses = Addresses::new(&resolve::resolve(&spec.authority)?);
            let id = u16::try_from(index).map_err(|_| Failure::Usage("more than 65535 backends".to_owned()))?;
            Ok(spec.backend(BackendId(id), addresses))
        };
        self.args.backend.iter().enumerate().map(backend).collect()
    }
}
