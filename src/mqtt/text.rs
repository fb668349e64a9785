//! UTF-8 encoded strings (1.5.3 in 3.1.1, 1.5.4 in 5), checked once.

use super::Error;
use bytes::Bytes;
use std::{fmt, ops::Deref, str};

/// UTF-8 without U+0000, part of the packet that it came in: a clone copies nothing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text(Bytes);

impl Text {
    /// Checks bytes [MQTT-1.5.4-1, MQTT-1.5.4-2].
    ///
    /// # Errors
    ///
    /// They are no UTF-8, surrogates included, or have U+0000 in them.
    pub fn new(bytes: Bytes) -> Result<Self, Error> {
        if str::from_utf8(&bytes).is_err() {
            return Err(Error::malformed("a string is not UTF-8"));
        }
        if memchr::memchr(0, &bytes).is_some() {
            return Err(Error::malformed("a string contains U+0000"));
        }
        Ok(Self(bytes))
    }

    /// Its bytes, by reference.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// A copy that does not keep the packet in memory that it came in.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // Checked by `new`; a slip there would show as an empty string, not as undefined behaviour.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// For our own texts: U+0000 is left out.
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::from(text.replace('\0', "")))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
