//! Passwords and their hashes (argon2id, RFC 9106). To look at one takes a tenth of a second and 19 MiB.

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use bytes::Bytes;
use std::fmt;

/// A password to be looked at.
pub(crate) struct Ask {
    pub(super) hash: String,
    pub(super) password: Bytes,
}

/// No password gets into a log.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").finish_non_exhaustive()
    }
}

/// Whether it is the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
}

/// Whether a password is the one of the hash.
pub(crate) fn judge(ask: Ask) -> Verdict {
    let right = Argon2::default().verify_password(&ask.password, ask.hash.as_str());
    if right.is_ok() { Verdict::Right } else { Verdict::Wrong }
}

/// The hash of a password, for the file of users.
pub(crate) fn hash(password: &[u8]) -> Option<String> {
    Argon2::default().hash_password(password).ok().map(|hash| hash.to_string())
}

/// Whether a text is a hash.
pub(crate) fn is_hash(text: &str) -> bool {
    argon2::PasswordHash::new(text).is_ok()
}
