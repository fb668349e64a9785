//! Whether a server is the one that was meant, by its certificate.
//!
//! An authority that is trusted has to have signed it. A certificate that stands itself in the file of `--backend-ca` is trusted as it
//! is, as OpenSSL and what is built on it have it: servers inside a house often vouch for themselves, and the library takes none that
//! calls itself an authority (`openssl req -x509` makes such) for a server's own. Names and dates have to be right in both cases.

use super::pair;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::{sync::Arc, time::Duration};

/// Verifies with authorities, and knows some certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) authorities: Arc<WebPkiServerVerifier>,
    pub(super) known: Arc<[CertificateDer<'static>]>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.known.contains(end_entity) {
            return verify_known(end_entity, server_name, now);
        }
        self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// The certificate is the very one that the operator has: there is no signature to look at, but the dates and the names. That the server
/// has the key to it is proved by the handshake.
fn verify_known(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let (not_before, not_after) = pair::validity(certificate).ok_or(CertificateError::BadEncoding)?;
    let unix = |seconds: u64| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    if now.as_secs() < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: unix(not_before) }.into());
    }
    if now.as_secs() > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after: unix(not_after) }.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    Ok(ServerCertVerified::assertion())
}
