//! How much of anything a peer may send before it is refused.

/// Empty lines tolerated before a request line. RFC 9112 §2.2 asks for at least one (old clients end a body with a line
/// break too many); no known client sends more than two.
pub const MAX_EMPTY_LINES: u8 = 4;

/// The longest body, or chunk, that is believed. Many programs keep lengths in signed 64 bits and would read a longer one as
/// negative: as no body, or as one without an end. So it is refused, and nothing longer is ever passed on.
pub const MAX_LENGTH: u64 = i64::MAX as u64;

/// Members of `Connection`, empty ones included. Real ones have three at most. Each is compared with names of fields, so that
/// thousands of them would cost far more than they cost to send. More: 400.
pub const MAX_CONNECTION_OPTIONS: usize = 32;

/// Bounds of one message. Passed to every call, so that a connection does not carry them while idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head: start line, field lines and the empty line. More: 431.
    pub head: usize,
    /// Bytes of a request line, without its line break. More: 414.
    pub request_line: usize,
    /// Field lines in a head, or in a trailer section. More: 431.
    pub fields: usize,
    /// Bytes of content, without chunk framing. More: 413.
    pub body: u64,
    /// Bytes of one chunk's size line, with its extensions and without its line break. More: 400.
    pub chunk_line: usize,
    /// Bytes of chunk extensions in one body. They carry nothing for us, and one byte of content each time could bring
    /// a line of them (RFC 9112 §7.1.1). More: 400.
    pub chunk_extensions: usize,
    /// Bytes of a trailer section, with the empty line. More: 431.
    pub trailers: usize,
}

impl Limits {
    /// Twice what nginx and Apache give one field, as much as Node.js gives them all.
    pub const HEAD: usize = 16 * 1024;
    /// RFC 9112 §3 recommends at least 8000.
    pub const REQUEST_LINE: usize = 8 * 1024;
    /// Apache's and Tomcat's default. Browsers send about 20.
    pub const FIELDS: usize = 100;
    /// The greatest length there can be: a body is never held whole, so its length costs no memory.
    pub const BODY: u64 = MAX_LENGTH;
    /// A size is 16 digits; the rest is for extensions, which no known program uses.
    pub const CHUNK_LINE: usize = 1024;
    /// As hyper allows.
    pub const CHUNK_EXTENSIONS: usize = 16 * 1024;
    /// Signatures and status codes are short.
    pub const TRAILERS: usize = 8 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Self::HEAD,
            request_line: Self::REQUEST_LINE,
            fields: Self::FIELDS,
            body: Self::BODY,
            chunk_line: Self::CHUNK_LINE,
            chunk_extensions: Self::CHUNK_EXTENSIONS,
            trailers: Self::TRAILERS,
        }
    }
}
