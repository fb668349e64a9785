//! Faults of messages. Every case names its rule: for the log, the counters and the error page.

use super::Status;
use std::fmt;

/// Why a message is refused. After any of these it is not known where the next message starts: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Error {
    // Lines (RFC 9112 §2.2, §5).
    /// A line feed without a carriage return before it. We could accept it; a peer behind us might not see a line there.
    BareLf,
    /// A carriage return without a line feed after it (RFC 9112 §2.2).
    BareCr,
    /// A NUL byte in a field line (RFC 9110 §5.5).
    Nul,
    /// More empty lines before a request than [`super::limits::MAX_EMPTY_LINES`].
    TooManyEmptyLines,
    /// A field line that starts with white space: obsolete line folding (RFC 9112 §5.2), or a line before the first
    /// field (RFC 9112 §2.2).
    ObsFold,
    /// White space between a field's name and its colon, in a request (RFC 9112 §5.1). In a response it is removed.
    SpaceBeforeColon,
    /// A field line without a colon.
    NoColon,
    /// A field name that is not a token (RFC 9110 §5.1).
    BadFieldName,
    /// A control character in a field value (RFC 9110 §5.5).
    BadFieldValue,

    // Start lines (RFC 9112 §3, §4).
    /// A request line that is not three parts with single spaces between (RFC 9112 §3).
    BadRequestLine,
    /// A method that is not a token (RFC 9110 §9.1).
    BadMethod,
    /// No space within the length of a request line. RFC 9112 §3 suggests 501 for a method too long; without a space
    /// after it, it is not known to be one.
    NoMethod,
    /// A request target with a byte that may not stand there, or in a form that its method does not take (RFC 9112 §3.2).
    BadTarget,
    /// An absolute target of a scheme other than `http` and `https`.
    BadScheme,
    /// A user name in a target (RFC 9110 §4.2.4).
    UserInfo,
    /// A version that is not `HTTP/` digit `.` digit (RFC 9112 §2.3).
    BadVersion,
    /// A major version other than 1 (RFC 9110 §15.6.6).
    UnsupportedVersion,
    /// A status line that is not version, space, three digits (RFC 9112 §4).
    BadStatusLine,

    // Host (RFC 9110 §7.2, RFC 9112 §3.2).
    /// HTTP/1.1 without a `Host` field.
    NoHost,
    /// More than one `Host` field.
    SeveralHosts,
    /// A `Host` that is not `uri-host [":" port]`, or empty.
    BadHost,
    /// A `Host` that names another authority than the target of `CONNECT` does.
    HostMismatch,

    // Framing (RFC 9112 §6).
    /// `Content-Length` and `Transfer-Encoding`: one hop would trust the first, the next hop the second (RFC 9112 §6.3).
    LengthAndCoding,
    /// Several `Content-Length` values, differing or not (RFC 9112 §6.3).
    SeveralLengths,
    /// A `Content-Length` that is not plain digits (RFC 9110 §8.6).
    BadLength,
    /// A `Content-Length` above [`super::limits::MAX_LENGTH`]: the next hop may read it as negative.
    LengthTooLarge,
    /// A `Transfer-Encoding` that is not a list of plain tokens (RFC 9112 §6.1, §7).
    BadCoding,
    /// A `Transfer-Encoding` whose last coding is not `chunked`: its end is unknowable (RFC 9112 §6.3).
    NotChunked,
    /// `chunked` more than once (RFC 9112 §7.1).
    ChunkedTwice,
    /// A coding that is well formed and not implemented (RFC 9112 §6.1).
    UnknownCoding,
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 §6.1).
    CodingInHttp10,
    /// Content in a `TRACE` request (RFC 9110 §9.3.8).
    ContentInTrace,

    // Chunks (RFC 9112 §7.1).
    /// A chunk size that is not hexadecimal digits, or is followed by something else than an extension or the line's end.
    BadChunkSize,
    /// A chunk size above [`super::limits::MAX_LENGTH`].
    ChunkTooLarge,
    /// A chunk extension against the grammar (RFC 9112 §7.1.1).
    BadChunkExtension,
    /// A chunk that is not followed by a line break: it is longer or shorter than it said.
    BadChunkEnd,

    // Limits.
    /// A request line longer than [`super::Limits::request_line`].
    RequestLineTooLong,
    /// A head longer than [`super::Limits::head`].
    HeadTooLarge,
    /// More field lines than [`super::Limits::fields`].
    TooManyFields,
    /// More members of `Connection` than [`super::limits::MAX_CONNECTION_OPTIONS`].
    TooManyOptions,
    /// A body longer than [`super::Limits::body`].
    BodyTooLarge,
    /// A chunk's size line longer than [`super::Limits::chunk_line`].
    ChunkLineTooLong,
    /// More bytes of chunk extensions in one body than [`super::Limits::chunk_extensions`].
    ExtensionsTooLarge,
    /// A trailer section longer than [`super::Limits::trailers`].
    TrailersTooLarge,

    // Ends and order.
    /// The peer stopped in the middle of a message (RFC 9112 §8).
    UnexpectedEnd,
    /// A response that no request asked for (RFC 9112 §9.2).
    Unsolicited,

    // Our own side.
    /// More bytes were given to a [`super::BodyWriter`] than its head declared.
    MoreThanDeclared,
    /// Fewer.
    LessThanDeclared,
}

impl Error {
    /// The status that a server answers to a request with this fault. For a fault in a response, a gateway answers
    /// [`Status::BAD_GATEWAY`] whatever the fault is.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::UnknownCoding => Status::NOT_IMPLEMENTED,
            Self::UnsupportedVersion => Status::VERSION_NOT_SUPPORTED,
            Self::RequestLineTooLong => Status::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailersTooLarge => Status::FIELDS_TOO_LARGE,
            Self::BodyTooLarge | Self::LengthTooLarge | Self::ChunkTooLarge => Status::CONTENT_TOO_LARGE,
            Self::BadStatusLine | Self::Unsolicited => Status::BAD_GATEWAY,
            Self::MoreThanDeclared | Self::LessThanDeclared => Status::INTERNAL_SERVER_ERROR,
            _ => Status::BAD_REQUEST,
        }
    }

    /// The rule that was broken, in a few words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BareLf => "bare line feed",
            Self::BareCr => "bare carriage return",
            Self::Nul => "NUL in a field",
            Self::TooManyEmptyLines => "too many empty lines before the request",
            Self::ObsFold => "folded field line",
            Self::SpaceBeforeColon => "space before the colon",
            Self::NoColon => "field line without a colon",
            Self::BadFieldName => "malformed field name",
            Self::BadFieldValue => "control character in a field value",
            Self::BadRequestLine => "malformed request line",
            Self::BadMethod => "malformed method",
            Self::NoMethod => "no end of a method",
            Self::BadTarget => "malformed request target",
            Self::BadScheme => "scheme other than http and https",
            Self::UserInfo => "user name in the target",
            Self::BadVersion => "malformed version",
            Self::UnsupportedVersion => "unsupported version",
            Self::BadStatusLine => "malformed status line",
            Self::NoHost => "no host",
            Self::SeveralHosts => "several hosts",
            Self::BadHost => "malformed host",
            Self::HostMismatch => "host and target disagree",
            Self::LengthAndCoding => "content-length and transfer-encoding",
            Self::SeveralLengths => "several content-lengths",
            Self::BadLength => "malformed content-length",
            Self::LengthTooLarge => "content-length too large",
            Self::BadCoding => "malformed transfer-encoding",
            Self::NotChunked => "transfer-encoding does not end in chunked",
            Self::ChunkedTwice => "chunked twice",
            Self::UnknownCoding => "unknown transfer-coding",
            Self::CodingInHttp10 => "transfer-encoding in HTTP/1.0",
            Self::ContentInTrace => "content in a TRACE request",
            Self::BadChunkSize => "malformed chunk size",
            Self::ChunkTooLarge => "chunk size too large",
            Self::BadChunkExtension => "malformed chunk extension",
            Self::BadChunkEnd => "chunk does not end where it said",
            Self::RequestLineTooLong => "request line too long",
            Self::HeadTooLarge => "head too large",
            Self::TooManyFields => "too many fields",
            Self::TooManyOptions => "too many connection options",
            Self::BodyTooLarge => "body too large",
            Self::ChunkLineTooLong => "chunk size line too long",
            Self::ExtensionsTooLarge => "chunk extensions too large",
            Self::TrailersTooLarge => "trailers too large",
            Self::UnexpectedEnd => "unexpected end",
            Self::Unsolicited => "unsolicited response",
            Self::MoreThanDeclared => "body longer than declared",
            Self::LessThanDeclared => "body shorter than declared",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_their_own_status() {
        for (error, status) in [
            (Error::RequestLineTooLong, 414),
            (Error::HeadTooLarge, 431),
            (Error::TooManyFields, 431),
            (Error::BodyTooLarge, 413),
            (Error::LengthTooLarge, 413),
            (Error::ChunkTooLarge, 413),
            (Error::TooManyOptions, 400),
            (Error::UnknownCoding, 501),
            (Error::UnsupportedVersion, 505),
            (Error::LengthAndCoding, 400),
        ] {
            assert_eq!(error.status().code(), status, "{error}");
        }
    }
}
