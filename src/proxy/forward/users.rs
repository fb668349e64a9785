//! The users of this proxy: `Proxy-Authorization: Basic` (RFC 9110 §11.7, RFC 7617) against a file of users.
//!
//! ```text
//!   alice:8b1fe6fcb5c2…    SHA-256 of `alice:PASSWORD`, in hexadecimal
//! ```
//!
//! A browser sends the password with each request, so it is verified for each request, on the thread of the event loop. A hash that is slow by
//! design would take a tenth of a second there, or on a thread of its own that anybody can keep busy with wrong guesses. A fast hash
//! is as good if nobody can guess the password: so the passwords have to be random and long, as `openssl rand -base64 18` makes
//! them. One that a person made up can be found by trying, once the file is lost.
//!
//! SIGHUP has the file read again. Requests from then on are judged by what it says now; a tunnel that is open stays open.

use crate::{
    cli,
    http::{Fields, basic_credentials},
};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

/// Users of one proxy. Each request is compared with all of them.
const MOST_USERS: usize = 1000;

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// The users in a file.
#[derive(Debug)]
pub struct Users {
    file: PathBuf,
    known: RwLock<Known>,
}

/// The users, each as the digest of its name and password. Neither is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    digests: Vec<[u8; DIGEST]>,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The mistake, and its line.
    pub fn load(path: &str) -> Result<Self, String> {
        let file = PathBuf::from(path);
        Ok(Self { known: RwLock::new(Known::load(&file)?), file })
    }

    /// Reads the file again. If it is wrong, that is said, and the users stay those that they were.
    pub(in crate::proxy) fn reload(&self) {
        match Known::load(&self.file) {
            Ok(known) => {
                tracing::info!(file = %self.file.display(), users = known.digests.len(), "users read again");
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
            }
            Err(error) => tracing::error!("the users stay as they were: {error}"),
        }
    }

    /// Whether a request with these fields is that of a user.
    #[must_use]
    pub fn admit(&self, fields: &Fields) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).admit(fields)
    }
}

impl Known {
    fn load(file: &Path) -> Result<Self, String> {
        let path = file.display();
        let bytes = std::fs::read(file).map_err(|error| format!("cannot read {path}: {error}"))?;
        let text = cli::file::text(file, bytes)?;
        Self::parse(&text).map_err(|problem| format!("{path}, {problem}"))
    }

    /// Reads lines of `NAME:DIGEST`. Empty lines, and those that begin with `#`, do not count.
    ///
    /// # Errors
    ///
    /// As [`Users::load`].
    fn parse(text: &str) -> Result<Self, String> {
        let (mut digests, mut names) = (Vec::new(), HashSet::new());
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (name, digest) = line.split_once(':').ok_or(format!("line {number}: write NAME:DIGEST"))?;
            if !names.insert(name) {
                return Err(format!("line {number}: {name} is there twice"));
            }
            let digest = hexadecimal(digest).ok_or_else(|| {
                format!("line {number}: the digest is no SHA-256: printf %s '{name}:PASSWORD' | sha256sum")
            })?;
            digests.push(digest);
        }
        match digests.len() {
            0 => Err("line 1: there is no user".to_owned()),
            1..=MOST_USERS => Ok(Self { digests }),
            many => Err(format!("line {MOST_USERS}: {many} users are more than {MOST_USERS}")),
        }
    }

    /// Whether a request with these fields is that of a user. It takes as long for a name that is known as for another one.
    fn admit(&self, fields: &Fields) -> bool {
        let Some(credentials) = basic_credentials(fields, "proxy-authorization") else { return false };
        let heard = digest(&SHA256, &credentials);
        let is = |known: &[u8; DIGEST]| verify_slices_are_equal(known, heard.as_ref()).is_ok();
        self.digests.iter().fold(false, |found, known| found | is(known))
    }
}

fn hexadecimal(text: &str) -> Option<[u8; DIGEST]> {
    let digits = text.as_bytes();
    let mut digest = [0; DIGEST];
    if digits.len() != 2 * DIGEST {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s 'alice:secret' | sha256sum`, and something else.
    const FILE: &str = "# users\n\
        alice:3d11dc479c08e3b368773103d64766c2e420ce39727932fcf2d8f4d9d599be59\n\n\
        bob:0\n";

    fn file(users: &[&str]) -> String {
        let hex =
            |user: &&str| digest(&SHA256, user.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let line = |user: &&str| {
            let digits: String = hex(user);
            format!("{}:{digits}\n", user.split_once(':').unwrap().0)
        };
        users.iter().map(line).collect()
    }

    fn admits(value: &str) -> bool {
        let users = Known::parse(&file(&["alice:secret", "bob:", "c:\u{e4}:x"])).unwrap();
        users.admit(&[("Proxy-Authorization", value)].into_iter().collect())
    }

    #[test]
    fn credentials() {
        for (value, admitted) in [
            // alice:secret
            ("Basic YWxpY2U6c2VjcmV0", true),
            ("bASIC   YWxpY2U6c2VjcmV0", true),
            // bob:
            ("Basic Ym9iOg==", true),
            ("Basic Ym9iOg=", true),
            ("Basic Ym9iOg", true),
            // c:ä:x
            ("Basic YzrDpDp4", true),
            // alice:secreT, alice:secret2, alice, :secret
            ("Basic YWxpY2U6c2VjcmVU", false),
            ("Basic YWxpY2U6c2VjcmV0Mg==", false),
            ("Basic YWxpY2U=", false),
            ("Basic OnNlY3JldA==", false),
            ("BasicYWxpY2U6c2VjcmV0", false),
            ("Bearer YWxpY2U6c2VjcmV0", false),
            ("Basic YWxpY2U6c2VjcmV0===", false),
            ("Basic YWxp Y2U6c2VjcmV0", false),
            ("Basic YWxpY2U6c2VjcmV0A", false),
            ("Basic", false),
            ("Basic ", false),
            ("", false),
        ] {
            assert_eq!(admits(value), admitted, "{value:?}");
        }
    }

    #[test]
    fn a_file_as_the_tools_of_a_system_make_it() {
        let (alice, _) = FILE.split_once("bob").unwrap();
        let users = Known::parse(alice).unwrap();
        assert!(users.admit(&[("Proxy-Authorization", "Basic YWxpY2U6c2VjcmV0")].into_iter().collect()));
        assert!(!users.admit(&[("Proxy-Authorization", "Basic Ym9iOg==")].into_iter().collect()));
    }

    #[test]
    fn one_line_of_credentials_and_no_more() {
        let users = Known::parse(&file(&["alice:secret"])).unwrap();
        let good = ("Proxy-Authorization", "Basic YWxpY2U6c2VjcmV0");
        for (fields, admitted) in [
            (&[good][..], true),
            (&[good, good], false),
            (&[good, ("proxy-authorization", "Basic eDp5")], false),
            (&[("Authorization", good.1)], false),
            (&[], false),
        ] {
            assert_eq!(users.admit(&fields.iter().copied().collect()), admitted, "{fields:?}");
        }
    }

    #[test]
    fn files_that_are_wrong_say_where() {
        let many = |count: usize| -> String {
            let users: Vec<String> = (0..count).map(|n| format!("u{n}:p")).collect();
            file(&users.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert!(Known::parse(&many(MOST_USERS)).is_ok());
        let short = format!("a:{}", "0".repeat(63));
        let (no_digit, twice) = (format!("a:{}", "g".repeat(64)), file(&["a:b", "a:c"]));
        for (text, problem) in [
            (FILE, "line 4: the digest is no SHA-256"),
            ("", "there is no user"),
            ("# nobody\n", "there is no user"),
            ("\nalice\n", "line 2: write NAME:DIGEST"),
            (&short, "no SHA-256"),
            (&no_digit, "no SHA-256"),
            (&twice, "line 2: a is there twice"),
            (&many(MOST_USERS + 1), "1001 users are more than 1000"),
        ] {
            let error = Known::parse(text).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert!(Users::load("/no/such/file").unwrap_err().contains("cannot read /no/such/file"));
    }
}
