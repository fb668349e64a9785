//! A file of users and the hashes of their passwords, as `htpasswd -B` writes it.
//!
//! ```text
//!   ann:$2y$10$GhM1…      bcrypt                        htpasswd -nB ann
//!   bob:$argon2id$v=19…   argon2id, argon2i, argon2d    argon2 SALT -id -e
//! ```
//!
//! These hashes are slow by design: a lost file is of little use. MD5 and SHA-1, which old files have, are refused.

use argon2::{Argon2, Params, PasswordHash, PasswordVerifier as _};
use aws_lc_rs::digest::{SHA256, digest};
use std::{collections::HashMap, fmt};

/// Users of one file.
const MOST_USERS: usize = 10_000;

/// The greatest cost of bcrypt, as a power of two: about four seconds.
const MOST_ROUNDS: u32 = 16;

/// The greatest memory of argon2, in KiB, and how often it goes through it.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 64;

/// Users, each with the hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Passwords {
    hashes: HashMap<Box<str>, Hash>,
    /// One of them. A name that is unknown takes as long as it does.
    any: Hash,
    /// Of the file's text: another file, other users.
    digest: [u8; 32],
}

#[derive(Clone, PartialEq, Eq)]
enum Hash {
    Bcrypt(Box<str>),
    Argon2(Box<str>),
}

impl Passwords {
    /// Reads lines of `NAME:HASH`. Empty lines, and those that begin with `#`, do not count.
    ///
    /// # Errors
    ///
    /// The mistake, and its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut hashes, mut any) = (HashMap::new(), None);
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (name, hash) = line.split_once(':').ok_or(format!("line {number}: write NAME:HASH"))?;
            let hash = Hash::read(hash.trim_end()).map_err(|problem| format!("line {number}: {problem}"))?;
            any.get_or_insert_with(|| hash.clone());
            if name.is_empty() {
                return Err(format!("line {number}: there is no name"));
            }
            if hashes.insert(Box::from(name), hash).is_some() {
                return Err(format!("line {number}: {name} is there twice"));
            }
        }
        if hashes.len() > MOST_USERS {
            return Err(format!("{} users are more than {MOST_USERS}", hashes.len()));
        }
        let any = any.ok_or("there is no user: htpasswd -B -c FILE NAME makes one")?;
        let mut of_text = [0; 32];
        of_text.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Ok(Self { hashes, any, digest: of_text })
    }

    /// Tells it from other files.
    pub(super) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Whether these are a user, a colon, and that user's password. It takes a tenth of a second.
    pub(super) fn verify(&self, credentials: &[u8]) -> bool {
        let (name, password) = match credentials.iter().position(|byte| *byte == b':') {
            Some(colon) => (&credentials[..colon], &credentials[colon + 1..]),
            None => (credentials, &[][..]),
        };
        let known = std::str::from_utf8(name).ok().and_then(|name| self.hashes.get(name));
        let right = known.unwrap_or(&self.any).verify(password);
        right && known.is_some()
    }
}

impl Hash {
    fn read(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("$argon2") {
            let hash = PasswordHash::new(text).map_err(|_| "this is no hash of argon2")?;
            let params = Params::try_from(&hash).map_err(|_| "this is no hash of argon2")?;
            return match hash.hash {
                _ if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES => {
                    Err("the hash takes more than 256 MiB or 64 passes: each login would")
                }
                Some(_) => Ok(Self::Argon2(text.into())),
                None => Err("this is no hash of argon2"),
            };
        }
        if ["$2y$", "$2b$", "$2a$"].iter().any(|start| text.starts_with(start)) {
            let parts: bcrypt::HashParts = text.parse().map_err(|_| "this is no hash of bcrypt")?;
            return if parts.get_cost() > MOST_ROUNDS {
                Err("the cost of the hash is more than 16: each login would take that long")
            } else {
                Ok(Self::Bcrypt(text.into()))
            };
        }
        Err("the hash is neither bcrypt nor argon2: htpasswd -B FILE NAME makes one of bcrypt")
    }

    fn verify(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
        }
    }
}

/// Shows no hashes.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.hashes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file with room for the hashes.
    const FILE: &str = "# users\nANN\n\nBOB\nCAT\n";

    /// The hash that a system's `crypt` makes of `secret`.
    const OF_THE_SYSTEM: &str = "cat:$2y$04$DQUFBQUFBQUFBQUFBQUFBOvloasPCb6U/MniSGxRyDBMIxb1Nc/4O";

    /// A file in which ann has the password `secret`, and bob `hunter2`.
    pub(in crate::proxy) fn file() -> String {
        let ann = bcrypt::hash_with_salt("secret", 4, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoY);
        let params = Params::new(64, 1, 1, None).unwrap();
        let argon2 = Argon2::from(params);
        let bob = argon2::PasswordHasher::hash_password_with_salt(&argon2, b"hunter2", b"0123456789abcdef").unwrap();
        FILE.replace("ANN", &format!("ann:{ann}")).replace("BOB", &format!("bob:{bob}")).replace("CAT", OF_THE_SYSTEM)
    }

    #[test]
    fn a_user_and_its_password_go_together() {
        let users = Passwords::parse(&file()).unwrap();
        for (credentials, right) in [
            ("ann:secret", true),
            ("bob:hunter2", true),
            ("cat:secret", true),
            ("cat:Secret", false),
            ("ann:hunter2", false),
            ("bob:secret", false),
            ("ann:secret ", false),
            ("ann:", false),
            ("ann", false),
            (":secret", false),
            // Its hash is the one that is tried for it.
            ("eve:secret", false),
            ("Ann:secret", false),
            ("ann:se\0cret", false),
        ] {
            assert_eq!(users.verify(credentials.as_bytes()), right, "{credentials}");
        }
        assert!(!users.verify(b"\xff:secret"));
        assert!(!format!("{users:?}").contains('$'));
    }

    #[test]
    fn files_that_are_wrong_say_where() {
        let whole = file();
        let bcrypt = whole.lines().find_map(|line| line.strip_prefix("ann:")).unwrap();
        let twice = format!("ann:{bcrypt}\nann:{bcrypt}\n");
        let slow = format!("ann:{}", bcrypt.replace("$04$", "$17$"));
        for (text, problem) in [
            ("", "there is no user"),
            ("# nobody\n", "there is no user"),
            ("\nann\n", "line 2: write NAME:HASH"),
            ("ann:secret", "line 1: the hash is neither bcrypt nor argon2"),
            ("ann:$apr1$x$y", "line 1: the hash is neither bcrypt nor argon2"),
            ("ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "neither bcrypt nor argon2"),
            ("ann:$2y$10$short", "line 1: this is no hash of bcrypt"),
            ("ann:$argon2id$v=19$m=64", "line 1: this is no hash of argon2"),
            ("ann:$argon2id$v=19$m=9999999,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "256 MiB"),
            (&slow, "line 1: the cost of the hash is more than 16"),
            (&twice, "line 2: ann is there twice"),
            (&format!(":{bcrypt}"), "line 1: there is no name"),
        ] {
            let error = Passwords::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text} {error}");
            assert!(!error.contains("$2y$"), "{error}");
        }
    }
}
