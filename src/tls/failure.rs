//! The reasons for which a handshake or a protected connection fails: one word or a few for each, in logs and counters.

use rustls::{AlertDescription, Error, PeerIncompatible};

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
    /// A failure of our own.
    Internal,
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
            Self::Internal => "internal error",
        }
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
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Failure::Version,
        _ => Failure::Incompatible,
    }
}

/// The name of an alert (RFC 8446 §6). A client that does not trust our certificate says so by one of these.
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
        _ => "another alert",
    }
}
