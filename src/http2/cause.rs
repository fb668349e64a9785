//! Why a stream or a connection ends: one value for the wire, the log and the counters.

use super::hpack;
use crate::http;
use std::fmt;

/// An error code as it stands in `RST_STREAM` and `GOAWAY` (RFC 9113 §7). One that is unknown is no error itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($code:literal $name:ident)*) => {
        impl ErrorCode {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub const $name: Self = Self($code);)*

            /// The name of the standard.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "unknown",
                }
            }
        }
    };
}

codes! {
    0x0 NO_ERROR
    0x1 PROTOCOL_ERROR
    0x2 INTERNAL_ERROR
    0x3 FLOW_CONTROL_ERROR
    0x4 SETTINGS_TIMEOUT
    0x5 STREAM_CLOSED
    0x6 FRAME_SIZE_ERROR
    0x7 REFUSED_STREAM
    0x8 CANCEL
    0x9 COMPRESSION_ERROR
    0xa CONNECT_ERROR
    0xb ENHANCE_YOUR_CALM
    0xc INADEQUATE_SECURITY
    0xd HTTP_1_1_REQUIRED
}

/// The rule that a peer broke, or the flood that it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    // Frames (RFC 9113 §3.4, §4, §6).
    /// Other bytes than the preface of a client.
    BadPreface,
    /// Another frame than SETTINGS at the beginning.
    NoSettings,
    /// A frame longer than we said that we take.
    FrameTooLarge,
    /// A frame of another length than its type has.
    FrameLength,
    /// A frame of a stream on stream 0.
    OnConnection,
    /// A frame of the connection on a stream.
    OnStream,
    /// Padding that is as long as its frame, or longer.
    Padding,
    /// Another frame in the middle of a field block, or a continuation of another stream's.
    BlockInterrupted,
    /// A continuation of no field block.
    NoBlock,
    /// A promise: clients cannot make one (RFC 9113 §8.4), and we want none.
    Push,
    /// A setting with a value that it cannot have.
    BadSetting,
    /// A setting that makes a window larger than 2^31 - 1.
    SettingOverflow,
    /// A priority for a stream that cannot be (RFC 9218 §7.1).
    PriorityOfNothing,
    /// A field block that cannot be decoded.
    Compression(hpack::Error),

    // Streams (RFC 9113 §5.1, §6.9).
    /// A frame on a stream that has not begun.
    Idle,
    /// A stream whose number is the other side's to give, or not greater than those before.
    StreamNumber,
    /// A frame on a stream whose sender has ended it.
    StreamClosed,
    /// More streams at once than we said.
    TooManyStreams,
    /// A window that grows by nothing.
    ZeroIncrement,
    /// A window beyond 2^31 - 1.
    WindowOverflow,
    /// Content beyond the window.
    WindowExceeded,

    // Messages (RFC 9113 §8).
    /// A field name with a capital letter.
    UppercaseName,
    /// White space at an end of a value.
    SpaceAroundValue,
    /// A pseudo-field that has no meaning here.
    UnknownPseudo,
    /// A pseudo-field for the second time.
    PseudoTwice,
    /// A pseudo-field behind a field.
    PseudoLate,
    /// A pseudo-field in a trailer section.
    PseudoInTrailers,
    /// A request or response without one that it must have, or with one that its method does not take.
    PseudoMissing,
    /// A `:status` that is not three digits, or 101.
    BadStatus,
    /// A field about a connection (RFC 9113 §8.2.2).
    ConnectionField,
    /// A `TE` other than `trailers`.
    BadTe,
    /// A `Host` that names another server than `:authority`.
    HostMismatch,
    /// More or less content than `content-length` says.
    LengthMismatch,
    /// A second field section that does not end its message, or an interim response that does.
    WrongEnd,
    /// A fault by the rules for all versions of HTTP.
    Message(http::Error),

    // Floods (RFC 9113 §10.5).
    /// Requests that are given up as soon as they are made.
    RapidReset,
    /// Errors that make us reset streams.
    MadeUsReset,
    /// Streams that are refused because there are too many.
    StreamFlood,
    /// Field blocks in many pieces.
    ContinuationFlood,
    /// A field block that is longer than any list of fields that we take.
    BlockTooLarge,
    /// A small field block that stands for a huge list of fields.
    HpackBomb,
    /// DATA without data.
    EmptyData,
    /// Content in tiny pieces.
    TinyData,
    /// PING.
    PingFlood,
    /// SETTINGS.
    SettingsFlood,
    /// PRIORITY and PRIORITY_UPDATE.
    PriorityFlood,
    /// WINDOW_UPDATE out of proportion to what was sent.
    WindowFlood,
    /// Frames of unknown types.
    UnknownFlood,
    /// Answers to frames that the peer does not read.
    Unread,
    /// A window without room for what was asked for, for too long.
    ZeroWindow,
    /// A field block of which the rest does not come.
    LateBlock,
}

impl Cause {
    /// The code that goes to the peer.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        use Cause::*;
        match self {
            FrameTooLarge | FrameLength => ErrorCode::FRAME_SIZE_ERROR,
            SettingOverflow | WindowOverflow | WindowExceeded => ErrorCode::FLOW_CONTROL_ERROR,
            Compression(_) => ErrorCode::COMPRESSION_ERROR,
            StreamClosed => ErrorCode::STREAM_CLOSED,
            TooManyStreams => ErrorCode::REFUSED_STREAM,
            _ if self.is_flood() => ErrorCode::ENHANCE_YOUR_CALM,
            _ => ErrorCode::PROTOCOL_ERROR,
        }
    }

    /// Whether each frame for itself was allowed, and there were too many.
    #[must_use]
    pub fn is_flood(self) -> bool {
        self.flood().is_some()
    }

    fn flood(self) -> Option<&'static str> {
        Some(match self {
            Self::RapidReset => "rapid reset",
            Self::MadeUsReset => "made-you-reset",
            Self::StreamFlood => "stream flood",
            Self::ContinuationFlood => "continuation flood",
            Self::BlockTooLarge => "field block too large",
            Self::HpackBomb => "HPACK bomb",
            Self::EmptyData => "empty data flood",
            Self::TinyData => "tiny data flood",
            Self::PingFlood => "ping flood",
            Self::SettingsFlood => "settings flood",
            Self::PriorityFlood => "priority flood",
            Self::WindowFlood => "window update flood",
            Self::UnknownFlood => "unknown frame flood",
            Self::Unread => "answers not read",
            Self::ZeroWindow => "zero window held",
            Self::LateBlock => "field block too slow",
            _ => return None,
        })
    }

    /// The status for a request with this fault, where it is answered before its stream is reset (RFC 9113 §8.1.1).
    #[must_use]
    pub fn status(self) -> http::Status {
        match self {
            Self::Message(error) => error.status(),
            _ => http::Status::BAD_REQUEST,
        }
    }

    /// A few words that stay the same: the name of its counter, and what the log says.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        use Cause::*;
        match self {
            BadPreface => "bad HTTP/2 preface",
            NoSettings => "no SETTINGS first",
            FrameTooLarge => "frame too large",
            FrameLength => "frame of a wrong length",
            OnConnection => "frame of a stream on stream 0",
            OnStream => "frame of the connection on a stream",
            Padding => "padding longer than its frame",
            BlockInterrupted => "field block interrupted",
            NoBlock => "continuation of nothing",
            Push => "push promise",
            BadSetting => "bad setting",
            SettingOverflow => "setting overflows a window",
            PriorityOfNothing => "priority of a stream that cannot be",
            Compression(error) => compression(error),
            Idle => "frame on an idle stream",
            StreamNumber => "bad stream number",
            StreamClosed => "frame on a closed stream",
            TooManyStreams => "too many streams",
            ZeroIncrement => "window grows by nothing",
            WindowOverflow => "window overflow",
            WindowExceeded => "content beyond the window",
            UppercaseName => "capital letter in a field name",
            SpaceAroundValue => "white space around a field value",
            UnknownPseudo => "unknown pseudo-field",
            PseudoTwice => "pseudo-field twice",
            PseudoLate => "pseudo-field behind a field",
            PseudoInTrailers => "pseudo-field in trailers",
            PseudoMissing => "pseudo-fields do not fit the method",
            BadStatus => "bad :status",
            ConnectionField => "field of a connection",
            BadTe => "te other than trailers",
            HostMismatch => "host and :authority disagree",
            LengthMismatch => "content does not fit content-length",
            WrongEnd => "field section with or without an end",
            Message(error) => error.as_str(),
            other => other.flood().unwrap_or_default(),
        }
    }
}

fn compression(error: hpack::Error) -> &'static str {
    match error {
        hpack::Error::Truncated => "field block cut off",
        hpack::Error::IntegerTooLarge => "HPACK integer too large",
        hpack::Error::BadHuffman => "bad Huffman code",
        hpack::Error::BadIndex => "bad HPACK index",
        hpack::Error::LateSizeUpdate => "late HPACK table size",
        hpack::Error::TableTooLarge => "HPACK table too large",
        hpack::Error::Bomb => "HPACK bomb",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<hpack::Error> for Cause {
    fn from(error: hpack::Error) -> Self {
        match error {
            hpack::Error::Bomb => Self::HpackBomb,
            error => Self::Compression(error),
        }
    }
}

impl From<http::Error> for Cause {
    fn from(error: http::Error) -> Self {
        Self::Message(error)
    }
}

/// How far an error reaches: its stream, wherever the standard lets the others live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Stream(Cause),
    Connection(Cause),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_standard() {
        assert_eq!(ErrorCode::NO_ERROR.as_str(), "NO_ERROR");
        assert_eq!(ErrorCode(0xd).as_str(), "HTTP_1_1_REQUIRED");
        assert_eq!(ErrorCode(0xe).as_str(), "unknown");
    }

    #[test]
    fn causes_have_the_code_of_their_kind() {
        for (cause, code) in [
            (Cause::FrameLength, ErrorCode::FRAME_SIZE_ERROR),
            (Cause::SettingOverflow, ErrorCode::FLOW_CONTROL_ERROR),
            (Cause::from(hpack::Error::BadIndex), ErrorCode::COMPRESSION_ERROR),
            (Cause::from(hpack::Error::Bomb), ErrorCode::ENHANCE_YOUR_CALM),
            (Cause::TooManyStreams, ErrorCode::REFUSED_STREAM),
            (Cause::from(http::Error::BadTarget), ErrorCode::PROTOCOL_ERROR),
            (Cause::RapidReset, ErrorCode::ENHANCE_YOUR_CALM),
        ] {
            assert_eq!(cause.code(), code, "{cause}");
        }
        assert_eq!(Cause::from(http::Error::HeadTooLarge).status(), http::Status::FIELDS_TOO_LARGE);
        assert_eq!(Cause::PseudoLate.status(), http::Status::BAD_REQUEST);
    }
}
