//! A certificate chain and its key, read from PEM files and tried before anything relies on them.
//!
//! A pair that does not work is found here, with a sentence that says which file is wrong and why, and not by the first client.
//! The key signs a text, and the certificate's public key has to accept the signature, just as in a handshake.

use crate::app::Names;
use rustls::{
    SignatureScheme,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::{CertifiedKey, SigningKey},
};
use rustls_pemfile::Item;
use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};
use webpki::EndEntityCert;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, oid_registry::OID_X509_COMMON_NAME, prelude::FromDer,
};

/// The time before a certificate's end in which a warning is due. Certificates of 90 days are renewed with a third left.
pub const WARNING: Duration = Duration::from_secs(30 * 24 * 3600);

/// A chain and its key that work together.
#[derive(Debug, Clone)]
pub struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is for.
    pub names: Arc<Names>,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is.
    pub not_after: SystemTime,
}

/// Which of the two files is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// The chain.
    Certificate,
    /// The key.
    Key,
}

/// A reason why a pair cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file is damaged.
    Pem(File),
    /// There is no certificate in the file.
    NoCertificate,
    /// The certificate at this place of the chain, counted from 1, cannot be read.
    Unreadable(usize),
    /// The certificate at this place did not sign the one before it.
    Order(usize),
    /// It names no host and no address.
    NoNames,
    /// It was valid until then.
    Expired(SystemTime),
    /// It will be valid from then on.
    NotYet(SystemTime),
    /// There is no key in the file.
    NoKey,
    /// There is more than one key in the file.
    Keys,
    /// The key is protected by a password.
    Encrypted,
    /// The key is of a kind that is not known here.
    Unsupported,
    /// The key does not belong to the certificate.
    Mismatch,
}

impl Problem {
    /// The file to look at.
    #[must_use]
    pub fn file(&self) -> File {
        match self {
            Self::Pem(file) => *file,
            Self::NoCertificate
            | Self::Unreadable(_)
            | Self::Order(_)
            | Self::NoNames
            | Self::Expired(_)
            | Self::NotYet(_) => File::Certificate,
            Self::NoKey | Self::Keys | Self::Encrypted | Self::Unsupported | Self::Mismatch => File::Key,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |time: &SystemTime| humantime::format_rfc3339_seconds(*time).to_string();
        match self {
            Self::Pem(_) => f.write_str("is not a PEM file, or a damaged one"),
            Self::NoCertificate => f.write_str("has no certificate in it (-----BEGIN CERTIFICATE-----)"),
            Self::Unreadable(at) => write!(f, "certificate {at} in it cannot be read"),
            Self::Order(at) => write!(
                f,
                "certificate {at} in it did not sign the one before it: the server's own comes first, then the one that \
                 signed it, and so on"
            ),
            Self::NoNames => f.write_str("the certificate names no host (subjectAltName): no client accepts it"),
            Self::Expired(at) => {
                write!(f, "the certificate has expired on {}: renew it, or add --allow-expired", date(at))
            }
            Self::NotYet(at) => {
                write!(f, "the certificate is valid from {} on: wait, or add --allow-expired", date(at))
            }
            Self::NoKey => f.write_str("has no private key in it (-----BEGIN PRIVATE KEY-----)"),
            Self::Keys => f.write_str("has more than one private key in it"),
            Self::Encrypted => f.write_str(
                "the key in it is protected by a password: write it without one with `openssl pkey -in FILE -out NEW`",
            ),
            Self::Unsupported => {
                f.write_str("the key in it is neither RSA (2048 bits or more), nor ECDSA, nor Ed25519")
            }
            Self::Mismatch => f.write_str("the key does not belong to the certificate"),
        }
    }
}

impl Pair {
    /// Reads a pair and tries it. `now`: what the dates are compared with; `None`: they do not count.
    ///
    /// # Errors
    ///
    /// The first [`Problem`].
    pub fn read(
        certificate: &[u8],
        key: &[u8],
        now: Option<SystemTime>,
        provider: &CryptoProvider,
    ) -> Result<Self, Problem> {
        Self::of(chain(certificate)?, private_key(key)?, now, provider)
    }

    /// Reads a pair that is shown to servers: no host need be named in it, and whether its dates are good is theirs to say.
    ///
    /// # Errors
    ///
    /// As [`Pair::read`].
    pub fn of_client(certificate: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Self, Problem> {
        Self::new(chain(certificate)?, private_key(key)?, None, provider)
    }

    /// A pair that is not in files.
    ///
    /// # Errors
    ///
    /// As [`Pair::read`].
    pub fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        now: Option<SystemTime>,
        provider: &CryptoProvider,
    ) -> Result<Self, Problem> {
        let pair = Self::new(chain, key, now, provider)?;
        let unnamed = pair.names.hosts().is_empty() && pair.names.addresses().is_empty();
        if unnamed { Err(Problem::NoNames) } else { Ok(pair) }
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        now: Option<SystemTime>,
        provider: &CryptoProvider,
    ) -> Result<Self, Problem> {
        let facts = check_chain(&chain, provider)?;
        if let Some(now) = now {
            if now > facts.not_after {
                return Err(Problem::Expired(facts.not_after));
            }
            if now < facts.not_before {
                return Err(Problem::NotYet(facts.not_before));
            }
        }
        let key = provider.key_provider.load_private_key(key).map_err(|_| Problem::Unsupported)?;
        if !fits(&*key, &chain[0], provider) {
            return Err(Problem::Mismatch);
        }
        Ok(Self {
            key: Arc::new(CertifiedKey::new(chain, key)),
            names: Arc::new(facts.names),
            not_before: facts.not_before,
            not_after: facts.not_after,
        })
    }

    /// The certificate itself, without those that vouch for it.
    pub(super) fn certificate(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], |certificate| certificate.as_ref())
    }

    /// Whether it ends soon, or has ended.
    #[must_use]
    pub fn ends_soon(&self, now: SystemTime) -> bool {
        self.not_after < now + WARNING
    }
}

/// All certificates of a PEM file, in order.
pub(super) fn chain(mut pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Result<Vec<_>, _> = rustls_pemfile::certs(&mut pem).collect();
    let chain = chain.map_err(|_| Problem::Pem(File::Certificate))?;
    if chain.is_empty() { Err(Problem::NoCertificate) } else { Ok(chain) }
}

/// The one key of a PEM file: PKCS#8, PKCS#1 (RSA) or SEC1 (EC).
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    let items: Result<Vec<_>, _> = rustls_pemfile::read_all(&mut &*pem).collect();
    let keys = items.map_err(|_| Problem::Pem(File::Key))?.into_iter().filter_map(|item| match item {
        Item::Pkcs8Key(key) => Some(PrivateKeyDer::Pkcs8(key)),
        Item::Pkcs1Key(key) => Some(PrivateKeyDer::Pkcs1(key)),
        Item::Sec1Key(key) => Some(PrivateKeyDer::Sec1(key)),
        _ => None,
    });
    let mut keys: Vec<_> = keys.collect();
    let encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| memchr::memmem::find(pem, mark.as_bytes()).is_some()) {
        return Err(Problem::Encrypted);
    }
    match (keys.pop(), keys.len()) {
        (None, _) => Err(Problem::NoKey),
        (Some(key), 0) => Ok(key),
        (Some(_), _) => Err(Problem::Keys),
    }
}

/// The statements of a certificate.
struct Facts {
    names: Names,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// Each certificate has to be issued by the next one. Clients would refuse another order, or find the way by luck.
fn check_chain(chain: &[CertificateDer<'_>], provider: &CryptoProvider) -> Result<Facts, Problem> {
    let mut parsed = Vec::with_capacity(chain.len());
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Problem::Unreadable(index + 1))?;
        parsed.push(certificate);
    }
    for (index, pair) in parsed.windows(2).enumerate() {
        if pair[0].issuer().as_raw() != pair[1].subject().as_raw() || !has_signed(&pair[1], &pair[0], provider) {
            return Err(Problem::Order(index + 2));
        }
    }
    let leaf = parsed.first().ok_or(Problem::NoCertificate)?;
    let names = names(leaf).ok_or(Problem::Unreadable(1))?;
    let validity = leaf.validity();
    Ok(Facts {
        names,
        not_before: time(validity.not_before.timestamp()),
        not_after: time(validity.not_after.timestamp()),
    })
}

/// Whether the key of the one certificate has signed the other: an authority that was renewed with another key has the same name. A
/// signature of a kind that is not known here passes: clients may know it.
fn has_signed(issuer: &X509Certificate<'_>, signed: &X509Certificate<'_>, provider: &CryptoProvider) -> bool {
    let kind = signed.signature_algorithm.algorithm.as_bytes();
    let (key, text, signature) =
        (&issuer.public_key().subject_public_key.data, signed.tbs_certificate.as_ref(), &signed.signature_value.data);
    // One kind of signature has several entries: one for each kind of key.
    let known = provider.signature_verification_algorithms.all.iter();
    let mut of_kind =
        known.filter(|algorithm| object_identifier(&algorithm.signature_alg_id()) == Some(kind)).peekable();
    of_kind.peek().is_none() || of_kind.any(|algorithm| algorithm.verify_signature(key, text, signature).is_ok())
}

/// The object identifier at the front of an algorithm's description in DER.
fn object_identifier(description: &[u8]) -> Option<&[u8]> {
    match description {
        [6, len, rest @ ..] => rest.get(..usize::from(*len)),
        _ => None,
    }
}

/// From when until when a certificate is valid, in seconds since 1970.
pub(super) fn validity(der: &[u8]) -> Option<(u64, u64)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    Some((seconds(validity.not_before.timestamp()), seconds(validity.not_after.timestamp())))
}

/// A time in seconds since 1970. One before that counts as 1970: no clock is set to then.
fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The hosts and addresses of a certificate. Its common name does not count (RFC 9525 §2).
fn names(certificate: &X509Certificate<'_>) -> Option<Names> {
    let Some(listed) = certificate.subject_alternative_name().ok()? else { return Some(Names::default()) };
    let (mut hosts, mut addresses) = (Vec::new(), Vec::new());
    for name in &listed.value.general_names {
        match name {
            GeneralName::DNSName(host) => hosts.push((*host).to_owned()),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Some(Names::new(hosts, addresses))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// The subject of a client's certificate: its common name, or all of it if it has none.
pub(super) fn subject(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let common = subject.iter_by_oid(&OID_X509_COMMON_NAME).next().and_then(|name| name.as_str().ok());
    Some(common.map_or_else(|| subject.to_string(), str::to_owned))
}

/// Whether a signature of the key is one that the certificate's public key accepts.
fn fits(key: &dyn SigningKey, certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> bool {
    const TEXT: &[u8] = b"a key fits a certificate if the one verifies what the other signs";
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    let known = provider.signature_verification_algorithms;
    let schemes: Vec<SignatureScheme> = known.mapping.iter().map(|(scheme, _)| *scheme).collect();
    let Some(signer) = key.choose_scheme(&schemes) else { return false };
    let Ok(signature) = signer.sign(TEXT) else { return false };
    let Some((_, algorithms)) = known.mapping.iter().find(|(scheme, _)| *scheme == signer.scheme()) else {
        return false;
    };
    algorithms.iter().any(|algorithm| certificate.verify_signature(*algorithm, TEXT, &signature).is_ok())
}
