//! The parts of the protocol that are allowed: versions, cipher suites, groups.
//!
//! TLS 1.2 and 1.3 with authenticated encryption and forward secrecy, and nothing older: rustls has nothing else. Compression,
//! renegotiation and data before the handshake's end (0-RTT, which can be replayed) are not there either.

use super::Failure;
use clap::ValueEnum;
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite as suite, kx_group},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use std::sync::Arc;

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246) and 1.3.
    #[default]
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446) alone.
    #[value(name = "1.3")]
    Tls13,
}

/// The rules of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// The oldest version.
    pub least: MinVersion,
    /// A name that no certificate is for is refused.
    pub strict: bool,
    /// HTTP/2 is offered, before HTTP/1.1.
    pub http2: bool,
    /// MQTT is offered, in place of HTTP.
    pub mqtt: bool,
}

/// HTTP/1.1, as a protocol that is offered (ALPN).
pub const HTTP11: &[u8] = b"http/1.1";
/// MQTT. Most clients ask for no protocol at all.
const MQTT: &[u8] = b"mqtt";
/// HTTP/2. Our order goes before the client's.
pub const HTTP2: &[u8] = b"h2";

/// The suites in our order, which goes before the client's, and the groups.
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            suite::TLS13_AES_256_GCM_SHA384,
            suite::TLS13_AES_128_GCM_SHA256,
            suite::TLS13_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        // The first withstands quantum computers: who records traffic today shall not read it with one of tomorrow's.
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}

/// Both versions, the newer one first.
static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The versions from this one on.
pub(super) fn versions(least: MinVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        MinVersion::Tls12 => &VERSIONS,
        MinVersion::Tls13 => &VERSIONS[..1],
    }
}

/// A configuration that lacks the certificate and the tickets: each connection adds its own view of them.
///
/// # Errors
///
/// The client certificates' authorities cannot be used.
pub(super) fn template(
    provider: &Arc<CryptoProvider>,
    rules: Rules,
    authorities: Option<RootCertStore>,
) -> Result<ServerConfig, Failure> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(rules.least))
        .map_err(|error| Failure::from(&error))?;
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|_| Failure::ClientCertificate)?,
        ),
    };
    let mut config = builder.with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = match (rules.mqtt, rules.http2) {
        (true, _) => vec![MQTT.to_vec()],
        (false, true) => vec![HTTP2.to_vec(), HTTP11.to_vec()],
        (false, false) => vec![HTTP11.to_vec()],
    };
    Ok(config)
}
