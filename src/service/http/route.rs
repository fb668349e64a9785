//! The resource that a request target names, and the methods that it allows.

use crate::http::Status;
use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

/// The resources, with what their path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// `/`: the name of the server.
    Welcome,
    /// `/health`: for probes.
    Health,
    /// `/bytes/N`: that many bytes, with their length declared.
    Bytes(u64),
    /// `/chunked/N`: that many bytes, in chunks.
    Chunked(u64),
    /// `/delay/MS`: an answer after that time.
    Delay(Duration),
    /// `/max-age/SECONDS`: an answer that caches may keep for that time.
    MaxAge(u32),
    /// `/cpu/MS`: an answer after computing for that time.
    Cpu(Duration),
    /// `/status/CODE`: an answer with that status.
    Status(Status),
    /// `/headers`: the request's head as text.
    Headers,
    /// `/echo`: the request's body, as it arrives.
    Echo,
    /// `/upload`: how long the request's body was.
    Upload,
    /// `*`: the server as a whole (RFC 9110 §9.3.7).
    Server,
}

/// The list on `/`: a path of each kind that answers a GET.
pub(super) const TRY_GET: [&str; 8] =
    ["/health", "/headers", "/bytes/1000", "/chunked/1000", "/delay/500", "/cpu/500", "/max-age/60", "/status/503"];

/// And of each kind that takes a body only.
pub(super) const TRY_POST: [&str; 2] = ["/echo", "/upload"];

/// Why a target names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// Nothing has this path.
    Unknown,
    /// The path ends in something that is not a number, or one out of range. The text says what it may be.
    Number(&'static str),
}

/// Milliseconds. A proxy waits a minute for an answer and then gives up; longer than five is a mistake in the URL.
const MAX_DELAY: u64 = 300_000;

/// Milliseconds. A delay costs us nothing, but this is a processor that others cannot have: enough to see what that does.
const MAX_CPU: u64 = 10_000;

/// Seconds: one year. A response that is fresh for longer is as good as fresh for ever.
const MAX_MAX_AGE: u64 = 31_536_000;

impl Route {
    /// The resource that the path of a target names, `*` included. A query makes no difference, and neither does it
    /// whether letters and digits are percent-encoded.
    pub(super) fn of(path: &str) -> Result<Self, NoRoute> {
        let path = &*decoded(path);
        if path == "*" {
            return Ok(Self::Server);
        }
        let path = path.strip_prefix('/').ok_or(NoRoute::Unknown)?;
        match path.split_once('/') {
            None => match path {
                "" => Ok(Self::Welcome),
                "health" => Ok(Self::Health),
                "headers" => Ok(Self::Headers),
                "echo" => Ok(Self::Echo),
                "upload" => Ok(Self::Upload),
                _ => Err(NoRoute::Unknown),
            },
            Some(("bytes", length)) => number(length, 0..=u64::MAX, "bytes/N: N bytes").map(Self::Bytes),
            Some(("chunked", length)) => number(length, 0..=u64::MAX, "chunked/N: N bytes").map(Self::Chunked),
            Some(("delay", time)) => number(time, 0..=MAX_DELAY, "delay/MS: at most 300000 milliseconds")
                .map(|milliseconds| Self::Delay(Duration::from_millis(milliseconds))),
            Some(("max-age", seconds)) => {
                number(seconds, 0..=MAX_MAX_AGE, "max-age/SECONDS: at most 31536000, a year").map(Self::MaxAge)
            }
            Some(("cpu", time)) => number(time, 0..=MAX_CPU, "cpu/MS: at most 10000 milliseconds")
                .map(|milliseconds| Self::Cpu(Duration::from_millis(milliseconds))),
            // An interim status (1xx) is not an answer.
            Some(("status", code)) => {
                const USAGE: &str = "status/CODE: 200 to 599";
                let status = number(code, 200..=599, USAGE).map(Status::new)?;
                status.map(Self::Status).ok_or(NoRoute::Number(USAGE))
            }
            Some(_) => Err(NoRoute::Unknown),
        }
    }

    /// The methods it allows.
    pub(super) fn allow(self) -> &'static [&'static str] {
        match self {
            Self::Bytes(_) | Self::Chunked(_) | Self::MaxAge(_) => &["GET", "HEAD"],
            Self::Echo | Self::Upload => &["POST", "PUT"],
            Self::Server => &["OPTIONS"],
            // A proxy treats requests by their method; these resources answer all methods, so that this can be tried.
            Self::Welcome | Self::Health | Self::Delay(_) | Self::Cpu(_) | Self::Status(_) | Self::Headers => {
                &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
            }
        }
    }

    /// Whether any of them allows `method`.
    pub(super) fn is_implemented(method: &str) -> bool {
        [Self::Welcome, Self::Server].into_iter().any(|route| route.allows(method))
    }

    /// Whether it allows `method`.
    pub(super) fn allows(self, method: &str) -> bool {
        self.allow().contains(&method)
    }
}

/// The same path with letters, digits and `-._~` as themselves: encoded they mean the same (RFC 3986 §6.2.2.2), others do not.
fn decoded(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('%');
    let first = parts.next().unwrap_or_default();
    if first.len() == path.len() {
        return Cow::Borrowed(path);
    }
    let mut decoded = first.to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.map(char::from).filter(|char| char.is_ascii_alphanumeric() || "-._~".contains(*char)) {
            Some(char) => decoded.extend([char.encode_utf8(&mut [0; 4]), &part[2..]]),
            None => decoded.extend(["%", part]),
        }
    }
    Cow::Owned(decoded)
}

/// Plain digits: `parse` alone would take a sign.
fn number<T: TryFrom<u64>>(digits: &str, range: RangeInclusive<u64>, usage: &'static str) -> Result<T, NoRoute> {
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
    let number = number.filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
    number.ok_or(NoRoute::Number(usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        const DELAY: NoRoute = NoRoute::Number("delay/MS: at most 300000 milliseconds");
        const CPU: NoRoute = NoRoute::Number("cpu/MS: at most 10000 milliseconds");
        const STATUS: NoRoute = NoRoute::Number("status/CODE: 200 to 599");
        const BYTES: NoRoute = NoRoute::Number("bytes/N: N bytes");
        const CASES: &[(&str, Result<Route, NoRoute>)] = &[
            ("/", Ok(Route::Welcome)),
            ("/health", Ok(Route::Health)),
            ("/health/", Err(NoRoute::Unknown)),
            ("/Health", Err(NoRoute::Unknown)),
            ("/%68%65%61%6C%74%68", Ok(Route::Health)),
            ("/%68ealt%6", Err(NoRoute::Unknown)),
            ("/%2Fhealth%", Err(NoRoute::Unknown)),
            ("%2Fhealth", Err(NoRoute::Unknown)),
            ("/bytes/%+1", Err(BYTES)),
            ("/bytes/1%30", Ok(Route::Bytes(10))),
            ("/headers", Ok(Route::Headers)),
            ("/echo", Ok(Route::Echo)),
            ("/upload", Ok(Route::Upload)),
            ("*", Ok(Route::Server)),
            ("", Err(NoRoute::Unknown)),
            ("//", Err(NoRoute::Unknown)),
            ("/bytes", Err(NoRoute::Unknown)),
            ("/bytes/", Err(BYTES)),
            ("/bytes/0", Ok(Route::Bytes(0))),
            ("/bytes/18446744073709551615", Ok(Route::Bytes(u64::MAX))),
            ("/bytes/18446744073709551616", Err(BYTES)),
            ("/bytes/+1", Err(BYTES)),
            ("/bytes/1/2", Err(BYTES)),
            ("/chunked/10", Ok(Route::Chunked(10))),
            ("/max-age/31536000", Ok(Route::MaxAge(31_536_000))),
            ("/max-age/31536001", Err(NoRoute::Number("max-age/SECONDS: at most 31536000, a year"))),
            ("/delay/300000", Ok(Route::Delay(Duration::from_secs(300)))),
            ("/delay/300001", Err(DELAY)),
            ("/delay/soon", Err(DELAY)),
            ("/cpu/0", Ok(Route::Cpu(Duration::ZERO))),
            ("/cpu/10000", Ok(Route::Cpu(Duration::from_secs(10)))),
            ("/cpu/10001", Err(CPU)),
            ("/cpu/-1", Err(CPU)),
            ("/cpu", Err(NoRoute::Unknown)),
            ("/status/199", Err(STATUS)),
            ("/status/200", Ok(Route::Status(Status::OK))),
            ("/status/503", Ok(Route::Status(Status::SERVICE_UNAVAILABLE))),
            ("/status/600", Err(STATUS)),
        ];
        for (path, expected) in CASES {
            assert_eq!(Route::of(path), *expected, "{path:?}");
        }
    }

    #[test]
    fn every_kind_of_path_is_listed_once() {
        // A new route does not compile until it has a number, and its number is missing below until it is listed.
        let number = |route: Route| match route {
            Route::Health => 0,
            Route::Bytes(_) => 1,
            Route::Chunked(_) => 2,
            Route::Delay(_) => 3,
            Route::MaxAge(_) => 4,
            Route::Cpu(_) => 5,
            Route::Status(_) => 6,
            Route::Headers => 7,
            Route::Echo => 8,
            Route::Upload => 9,
            Route::Welcome => panic!("it is the list"),
            Route::Server => panic!("it has no path"),
        };
        let route = |path: &&str| Route::of(path).unwrap();
        let mut listed: Vec<_> = TRY_GET.iter().chain(&TRY_POST).map(route).map(number).collect();
        listed.sort_unstable();
        assert_eq!(listed, (0..10).collect::<Vec<_>>());
        assert!(TRY_GET.iter().map(route).all(|route| route.allows("GET")));
        assert!(TRY_POST.iter().map(route).all(|route| route.allows("POST") && !route.allows("GET")));
    }

    #[test]
    fn methods() {
        assert!(Route::Bytes(1).allows("HEAD") && !Route::Bytes(1).allows("POST"));
        assert!(Route::Echo.allows("POST") && !Route::Echo.allows("GET"));
        assert!(Route::Status(Status::OK).allows("DELETE") && !Route::Status(Status::OK).allows("delete"));
        assert!(!Route::Welcome.allows("") && !Route::Welcome.allows("GET, HEAD") && !Route::Welcome.allows("CONNECT"));
    }
}
