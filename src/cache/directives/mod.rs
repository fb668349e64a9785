//! The directives of messages about caching: `Cache-Control`, `Pragma`, `CDN-Cache-Control` (RFC 9111 §5, RFC 5861, RFC
//! 8246, RFC 9213).
//!
//! A directive that cannot be read never makes a response live longer. Where the standards leave open what a mistake
//! means:
//!
//! | written | read as | why |
//! |---|---|---|
//! | `max-age=1h`, `max-age=-1`, `max-age=1.5`, `max-age`, `max-age = 5` | 0 | §4.2.1: invalid freshness information is stale |
//! | `max-age=5, max-age=9` | 0 | §4.2.1: the first or stale; whoever wrote two does not know which |
//! | `max-age=5, max-age=5` | 5 | nothing to choose |
//! | `max-age="5"` | 5 | §5.2: both forms of an argument |
//! | more than 2³¹ | 2³¹ | §1.2.2 |
//! | `stale-while-revalidate=x` | absent | an unreadable permission is none |
//! | `no-store=1`, `no-store; x` | `no-store` | a restriction holds, whatever follows it |
//! | `public; x` | absent | a permission must be written as one |
//! | `no-cache="a,,b"` | fields a and b | empty members of a list are skipped (RFC 9110 §5.6.1) |
//! | `no-cache=""`, `private="a b"` | without an argument | the wider meaning is the careful one |
//! | a quoted string without an end | `no-store` | it may have swallowed one |

mod arguments;
mod request;
mod response;
mod structured;

pub(super) use request::WHO_ASKS;
pub use request::{MaxStale, RequestDirectives, names_client};
pub use response::{FieldNames, ResponseDirectives};

use std::time::Duration;

/// A `delta-seconds`: whole seconds, at most 2³¹ (RFC 9111 §1.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(u32);

impl Seconds {
    /// No lifetime at all.
    pub const ZERO: Self = Self(0);
    /// The longest lifetime; it stands for all longer ones.
    pub const MAX: Self = Self(1 << 31);

    /// At most [`Self::MAX`].
    #[must_use]
    pub fn new(seconds: u64) -> Self {
        Self(u32::try_from(seconds).map_or(Self::MAX.0, |seconds| seconds.min(Self::MAX.0)))
    }

    /// Digits and nothing else, any number of them. `None` for anything that is not a non-negative integer.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        Some(Self::new(digits.iter().fold(0, number)))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// As a span of time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}
