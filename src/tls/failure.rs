//! The reasons for which a handshake or a protected connection fails: one word or a few for each, in logs and counters.

use crate::app::Insecure;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Why a protected connection did not come about, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// It speaks HTTP without TLS.
    PlainHttp,
    /// The handshake took too long.
    Late,
    /// The handshake has more bytes than one needs.
    TooLarge,
    /// The client went before the handshake was over.
    Gone,
    /// It had said nothing when the proxy was told to end.
    Draining,
    /// It made room for another connection.
    Crowded,
    /// No certificate is for the name that it asked for.
    UnrecognizedName,
    /// No version of the protocol in common.
    Version,
    /// No cipher suite, group or signature scheme in common.
    Incompatible,
    /// No application protocol in common.
    Alpn,
    /// A certificate of the client's is asked for, and it has none.
    NoClientCertificate,
    /// The client's certificate is not accepted.
    ClientCertificate,
    /// A message that breaks the format.
    Malformed,
    /// A message at the wrong time, or against the rules.
    Misbehaved,
    /// A record that cannot be decrypted.
    Undecryptable,
    /// The client gave up, and said why.
    Alert(&'static str),
    /// The stream ended without `close_notify`: somebody on the way may have cut it off.
    Truncated,
    /// A server answers without TLS.
    PlainServer,
    /// The server closed the connection before the handshake was over.
    ServerGone,
    /// The server had not finished the handshake when the connection was given up: it was late, or no longer needed.
    GivenUp,
    /// The server's certificate is not accepted.
    Server(Distrust),
    /// A failure of our own.
    Internal,
}

/// The fault of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Distrust {
    /// It was valid until a time in the past.
    Expired,
    /// It will be valid.
    NotYet,
    /// It is for other names.
    OtherNames,
    /// No authority that is trusted has signed it.
    UnknownAuthority,
    /// A signature in it, or the one with which the server proves that it has the key, is wrong.
    Signature,
    /// Something else: an algorithm, its purpose.
    Otherwise,
}

impl Failure {
    /// For logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain HTTP on the TLS port",
            Self::Late => "handshake timeout",
            Self::TooLarge => "handshake too large",
            Self::Gone => "client gone in the handshake",
            Self::Draining => "draining",
            Self::Crowded => "gave way to another connection",
            Self::UnrecognizedName => "unrecognized name",
            Self::Version => "no version in common",
            Self::Incompatible => "no cipher suite or group in common",
            Self::Alpn => "no application protocol in common",
            Self::NoClientCertificate => "no client certificate",
            Self::ClientCertificate => "client certificate refused",
            Self::Malformed => "malformed message",
            Self::Misbehaved => "protocol violation",
            Self::Undecryptable => "record does not decrypt",
            Self::Alert(alert) => alert,
            Self::Truncated => "ended without close_notify",
            Self::PlainServer => "backend speaks no TLS",
            Self::ServerGone => "backend closed in the handshake",
            Self::GivenUp => "given up in the handshake",
            Self::Server(Distrust::Expired) => "backend certificate has expired",
            Self::Server(Distrust::NotYet) => "backend certificate is not valid yet",
            Self::Server(Distrust::OtherNames) => "backend certificate for other names",
            Self::Server(Distrust::UnknownAuthority) => "backend certificate of an unknown authority",
            Self::Server(Distrust::Signature) => "backend certificate with a wrong signature",
            Self::Server(Distrust::Otherwise) => "backend certificate not accepted",
            Self::Internal => "internal error",
        }
    }

    /// As the application is told.
    pub(super) fn insecure(self) -> Insecure {
        match self {
            Self::Server(_) => Insecure::Certificate(self.as_str()),
            Self::Alert(alert) => Insecure::Alert(alert),
            _ => Insecure::Protocol(self.as_str()),
        }
    }

    /// A failure of a connection to a server.
    pub(super) fn of_server(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(why) => Self::Server(distrust(why)),
            Error::NoCertificatesPresented | Error::UnsupportedNameType => Self::Server(Distrust::Otherwise),
            other => Self::from(other),
        }
    }
}

fn distrust(why: &CertificateError) -> Distrust {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYet,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Distrust::OtherNames,
        CertificateError::UnknownIssuer => Distrust::UnknownAuthority,
        CertificateError::BadSignature => Distrust::Signature,
        _ => Distrust::Otherwise,
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::AlertReceived(alert) => Self::Alert(alert_name(*alert)),
            Error::PeerIncompatible(why) => incompatible(why),
            Error::NoApplicationProtocol => Self::Alpn,
            Error::NoCertificatesPresented => Self::NoClientCertificate,
            Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => Self::ClientCertificate,
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Self::Malformed,
            Error::DecryptError => Self::Undecryptable,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::UnsupportedNameType => Self::Misbehaved,
            _ => Self::Internal,
        }
    }
}

fn incompatible(why: &PeerIncompatible) -> Failure {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        // Up to TLS 1.1 a client has no list of the signatures that it verifies, and rustls misses that before it looks at the version.
        // A client of TLS 1.2 that leaves the list out means SHA-1 (RFC 5246 §7.4.1.4.1): today there is none.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Failure::Version,
        _ => Failure::Incompatible,
    }
}

/// The name of an alert (RFC 8446 §6). A peer that does not trust our certificate says so by one of these.
fn alert_name(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UserCanceled => "alert user_canceled",
        AlertDescription::HandshakeFailure => "alert handshake_failure",
        AlertDescription::BadCertificate => "alert bad_certificate",
        AlertDescription::UnsupportedCertificate => "alert unsupported_certificate",
        AlertDescription::CertificateRevoked => "alert certificate_revoked",
        AlertDescription::CertificateExpired => "alert certificate_expired",
        AlertDescription::CertificateUnknown => "alert certificate_unknown",
        AlertDescription::UnknownCA => "alert unknown_ca",
        AlertDescription::ProtocolVersion => "alert protocol_version",
        AlertDescription::DecryptError => "alert decrypt_error",
        AlertDescription::BadRecordMac => "alert bad_record_mac",
        AlertDescription::UnexpectedMessage => "alert unexpected_message",
        AlertDescription::InternalError => "alert internal_error",
        AlertDescription::CertificateRequired => "alert certificate_required",
        AlertDescription::AccessDenied => "alert access_denied",
        AlertDescription::UnrecognisedName => "alert unrecognized_name",
        AlertDescription::NoApplicationProtocol => "alert no_application_protocol",
        _ => "another alert",
    }
}
