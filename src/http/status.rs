//! How a request ended (RFC 9110 §15).

use std::fmt;

/// A status code: any three digits that do not start with 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal)*) => {
        impl Status {
            $(#[doc = concat!($code, " ", $reason, ".")] pub const $name: Self = Self($code);)*

            /// The phrase that the registry gives the code; empty for one it does not know.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    100 CONTINUE "Continue"
    101 SWITCHING_PROTOCOLS "Switching Protocols"
    102 PROCESSING "Processing"
    103 EARLY_HINTS "Early Hints"
    200 OK "OK"
    201 CREATED "Created"
    202 ACCEPTED "Accepted"
    203 NON_AUTHORITATIVE "Non-Authoritative Information"
    204 NO_CONTENT "No Content"
    205 RESET_CONTENT "Reset Content"
    206 PARTIAL_CONTENT "Partial Content"
    207 MULTI_STATUS "Multi-Status"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 FOUND "Found"
    303 SEE_OTHER "See Other"
    304 NOT_MODIFIED "Not Modified"
    307 TEMPORARY_REDIRECT "Temporary Redirect"
    308 PERMANENT_REDIRECT "Permanent Redirect"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    402 PAYMENT_REQUIRED "Payment Required"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required"
    408 REQUEST_TIMEOUT "Request Timeout"
    409 CONFLICT "Conflict"
    410 GONE "Gone"
    411 LENGTH_REQUIRED "Length Required"
    412 PRECONDITION_FAILED "Precondition Failed"
    413 CONTENT_TOO_LARGE "Content Too Large"
    414 URI_TOO_LONG "URI Too Long"
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type"
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable"
    417 EXPECTATION_FAILED "Expectation Failed"
    421 MISDIRECTED_REQUEST "Misdirected Request"
    422 UNPROCESSABLE_CONTENT "Unprocessable Content"
    425 TOO_EARLY "Too Early"
    426 UPGRADE_REQUIRED "Upgrade Required"
    428 PRECONDITION_REQUIRED "Precondition Required"
    429 TOO_MANY_REQUESTS "Too Many Requests"
    431 FIELDS_TOO_LARGE "Request Header Fields Too Large"
    451 UNAVAILABLE_FOR_LEGAL_REASONS "Unavailable For Legal Reasons"
    500 INTERNAL_SERVER_ERROR "Internal Server Error"
    501 NOT_IMPLEMENTED "Not Implemented"
    502 BAD_GATEWAY "Bad Gateway"
    503 SERVICE_UNAVAILABLE "Service Unavailable"
    504 GATEWAY_TIMEOUT "Gateway Timeout"
    505 VERSION_NOT_SUPPORTED "HTTP Version Not Supported"
    507 INSUFFICIENT_STORAGE "Insufficient Storage"
    508 LOOP_DETECTED "Loop Detected"
    511 NETWORK_AUTHENTICATION_REQUIRED "Network Authentication Required"
}

impl Status {
    /// `None` unless `100 <= code <= 999`. A code above 599 is no error: a recipient treats it as 500 (RFC 9110 §15).
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 999 { Some(Self(code)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether another response follows for the same request (1xx; 101 is among them, though nothing follows it).
    #[must_use]
    pub const fn is_interim(self) -> bool {
        self.0 < 200
    }

    /// 2xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        200 <= self.0 && self.0 < 300
    }

    /// Whether a response with it never has content, whatever its fields say (RFC 9112 §6.3 rule 1).
    #[must_use]
    pub const fn is_bodiless(self) -> bool {
        self.is_interim() || matches!(self.0, 204 | 304)
    }

    /// Whether a response with it may carry `Content-Length` (RFC 9110 §8.6) or `Transfer-Encoding` (RFC 9112 §6.1).
    #[must_use]
    pub const fn may_declare_length(self) -> bool {
        !(self.is_interim() || self.0 == 204)
    }

    /// The three digits, for a status line.
    #[must_use]
    pub const fn digits(self) -> [u8; 3] {
        [digit(self.0 / 100), digit(self.0 / 10), digit(self.0)]
    }
}

const fn digit(n: u16) -> u8 {
    b'0' + (n % 10) as u8
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        for (code, valid) in
            [(0, false), (99, false), (100, true), (599, true), (600, true), (999, true), (1000, false)]
        {
            assert_eq!(Status::new(code).is_some(), valid, "{code}");
        }
        assert_eq!(Status::FIELDS_TOO_LARGE.digits(), *b"431");
        assert_eq!((Status::NOT_FOUND.reason(), Status(299).reason()), ("Not Found", ""));
    }

    #[test]
    fn which_never_have_content() {
        for (code, interim, bodiless, length) in [
            (100, true, true, false),
            (199, true, true, false),
            (200, false, false, true),
            (204, false, true, false),
            (205, false, false, true),
            (304, false, true, true),
            (404, false, false, true),
        ] {
            let status = Status(code);
            assert_eq!(
                (status.is_interim(), status.is_bodiless(), status.may_declare_length()),
                (interim, bodiless, length),
                "{code}"
            );
        }
    }
}
