//! All certificates of a listener, and which of them a client gets to see: by the name that it asks for (SNI, RFC 6066 §3).
//!
//! ```text
//!   asks for             gets
//!   shop.example         the certificate that names shop.example, else the one that names *.example
//!   a.shop.example       the one that names a.shop.example or *.shop.example, never *.example: the star is one label
//!   anything else, or nothing: the first certificate, or with `--sni-strict` the alert unrecognized_name
//! ```
//!
//! Of several certificates for one name, the first whose key the client can verify is shown: one ECDSA, one RSA.

use super::{
    Failure, Pair, Problem,
    pair::chain,
    settings::{Rules, template},
};
use crate::app::{Names, canonical};
use aws_lc_rs::digest::{Context, SHA256};
use rustls::{RootCertStore, ServerConfig, SignatureScheme, crypto::CryptoProvider, sign::CertifiedKey};
use std::{collections::HashMap, sync::Arc, time::SystemTime};

/// The certificates, ready to be shown. Immutable: a reload makes another one.
#[derive(Debug)]
pub struct Store {
    sites: Vec<Arc<Site>>,
    /// By name; the values are places in `sites`.
    exact: HashMap<String, Vec<usize>>,
    /// By the name behind `*.`.
    wild: HashMap<String, Vec<usize>>,
    strict: bool,
    pub(super) template: ServerConfig,
}

/// One certificate.
#[derive(Debug)]
pub struct Site {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: Arc<Names>,
    /// A hash of the certificate, and of what client certificates are verified with: tickets are good for this alone.
    pub(super) identity: [u8; 32],
    /// When it ends.
    pub(super) not_after: SystemTime,
}

impl Store {
    /// A store of these pairs, in this order; there has to be one. `client_ca`: certificates in PEM, one of which has to have signed
    /// each client's.
    ///
    /// # Errors
    ///
    /// `client_ca` holds something else.
    pub fn new(
        pairs: &[Pair],
        client_ca: Option<&[u8]>,
        rules: Rules,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Problem> {
        let authorities = client_ca.map(authorities).transpose()?;
        let template = template(provider, rules, authorities).map_err(|_: Failure| Problem::Unreadable(1))?;
        let (mut exact, mut wild) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (place, pair) in pairs.iter().enumerate() {
            for host in pair.names.hosts() {
                match host.strip_prefix("*.") {
                    Some(parent) => wild.entry(parent.to_owned()).or_default().push(place),
                    None => exact.entry(host.clone()).or_default().push(place),
                }
            }
        }
        let site = |pair: &Pair| {
            let (key, names) = (pair.key.clone(), pair.names.clone());
            Arc::new(Site { key, names, identity: identity(pair, client_ca), not_after: pair.not_after })
        };
        Ok(Self { sites: pairs.iter().map(site).collect(), exact, wild, strict: rules.strict, template })
    }

    /// The certificate for a client that asks for `name`, and can verify `schemes`. `None`: it is refused.
    pub(super) fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<Site>> {
        let places = name.and_then(|name| self.places(&canonical(name)));
        let Some(places) = places else {
            return if self.strict { None } else { self.sites.first() };
        };
        let suits = |place: &&usize| self.sites[**place].key.key.choose_scheme(schemes).is_some();
        let place = places.iter().find(suits).or(places.first())?;
        self.sites.get(*place)
    }

    fn places(&self, name: &str) -> Option<&Vec<usize>> {
        let parent = || name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        self.exact.get(name).or_else(|| self.wild.get(parent()?))
    }

    /// Each certificate's names and its end, in order: for statistics.
    pub fn ends(&self) -> impl Iterator<Item = (&Names, SystemTime)> {
        self.sites.iter().map(|site| (&*site.names, site.not_after))
    }

    /// The same in words: for the log.
    #[must_use]
    pub fn describe(&self) -> String {
        let date = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        let one = |(names, end): (&Names, SystemTime)| format!("{names} (until {})", date(end));
        self.ends().map(one).collect::<Vec<_>>().join(", ")
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in chain(pem)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|_| Problem::Unreadable(index + 1))?;
    }
    Ok(roots)
}

fn identity(pair: &Pair, client_ca: Option<&[u8]>) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(pair.certificate());
    hash.update(client_ca.unwrap_or_default());
    hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}
