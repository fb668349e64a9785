//! The reasons for which a server that we have called is none for us, or does not want us, by their names.

use super::Failure;
use rustls::{AlertDescription, CertificateError, Error};
use std::fmt;

/// Why a connection to a server did not come about, or broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its certificate is not accepted.
    Certificate(&'static str),
    /// The server gave up, and said so by this alert.
    Alert(&'static str),
    /// The protocol was broken in another way.
    Protocol(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => write!(f, "certificate {why}"),
            Self::Alert(name) => write!(f, "TLS alert {name}"),
            Self::Protocol(why) => write!(f, "TLS: {why}"),
        }
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(why) => Self::Certificate(distrust(why)),
            Error::NoCertificatesPresented => Self::Certificate("missing"),
            Error::AlertReceived(alert) => Self::Alert(alert_name(*alert)),
            other => Self::Protocol(Failure::from(other).as_str()),
        }
    }
}

/// Behind the word "certificate".
fn distrust(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "is for other names",
        CertificateError::UnknownIssuer => "of an unknown authority",
        CertificateError::BadSignature => "has a wrong signature",
        CertificateError::Revoked => "was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "is for another purpose",
        CertificateError::BadEncoding => "cannot be read",
        _ => "is not accepted",
    }
}

/// The name of an alert (RFC 8446 §6).
fn alert_name(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CloseNotify => "close_notify",
        AlertDescription::UserCanceled => "user_canceled",
        AlertDescription::UnexpectedMessage => "unexpected_message",
        AlertDescription::BadRecordMac => "bad_record_mac",
        AlertDescription::RecordOverflow => "record_overflow",
        AlertDescription::HandshakeFailure => "handshake_failure",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::IllegalParameter => "illegal_parameter",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::DecodeError => "decode_error",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::ProtocolVersion => "protocol_version",
        AlertDescription::InsufficientSecurity => "insufficient_security",
        AlertDescription::InternalError => "internal_error",
        AlertDescription::InappropriateFallback => "inappropriate_fallback",
        AlertDescription::MissingExtension => "missing_extension",
        AlertDescription::UnsupportedExtension => "unsupported_extension",
        AlertDescription::UnrecognisedName => "unrecognized_name",
        AlertDescription::UnknownPSKIdentity => "unknown_psk_identity",
        AlertDescription::CertificateRequired => "certificate_required",
        AlertDescription::NoApplicationProtocol => "no_application_protocol",
        _ => "of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_by_their_names() {
        for (error, name) in [
            (Error::AlertReceived(AlertDescription::UnknownCA), "TLS alert unknown_ca"),
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), "TLS alert no_application_protocol"),
            (CertificateError::UnknownIssuer.into(), "certificate of an unknown authority"),
            (CertificateError::Expired.into(), "certificate has expired"),
            (CertificateError::NotValidForName.into(), "certificate is for other names"),
            (Error::DecryptError, "TLS: record does not decrypt"),
        ] {
            assert_eq!(Refusal::from(&error).to_string(), name);
        }
    }
}
