//! A file of users and the hashes of their passwords, as `htpasswd -B` writes it.
//!
//! ```text
//!   ann:$2y$10$GhM1…      bcrypt                        htpasswd -nB ann
//!   bob:$argon2id$v=19…   argon2id, argon2i, argon2d    argon2 SALT -id -e
//! ```
//!
//! These hashes are slow by design: a lost file is of little use. MD5 and SHA-1, which old files have, are refused.
//!
//! The time of an answer must not tell whether there is such a user. So the password of a name that is unknown is compared with the hash of
//! another user. A file may have hashes of different cost, older and newer ones: then each unknown name has one of these costs, always
//! the same, as each user has. Which one it is depends on the hashes, which no client knows.

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
    /// The first one of each cost. A name that is unknown takes as long as one of them.
    by_cost: Vec<Hash>,
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
        let (mut hashes, mut by_cost) = (HashMap::new(), Vec::<Hash>::new());
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (name, hash) = line.split_once(':').ok_or(format!("line {number}: write NAME:HASH"))?;
            let hash = Hash::read(hash.trim_end()).map_err(|problem| format!("line {number}: {problem}"))?;
            if by_cost.iter().all(|other| other.cost() != hash.cost()) {
                by_cost.push(hash.clone());
            }
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
        if by_cost.is_empty() {
            return Err("there is no user: htpasswd -B -c FILE NAME makes one".to_owned());
        }
        let mut of_text = [0; 32];
        of_text.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Ok(Self { hashes, by_cost, digest: of_text })
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
        // Chosen for users as well, so that the choice itself takes no time that they do not take.
        let Some(stand_in) = self.stand_in(name) else { return false };
        let right = known.unwrap_or(stand_in).verify(password);
        right && known.is_some()
    }

    /// The hash that an unknown name is compared with. Each cost bids for the name, and the highest bid wins: another user of a known cost
    /// changes nothing, and one of a new cost only what the new cost wins.
    fn stand_in(&self, name: &[u8]) -> Option<&Hash> {
        let bid = |hash: &&Hash| {
            let bid = digest(&SHA256, &[hash.text().as_bytes(), b"\n", name].concat());
            bid.as_ref().first_chunk::<8>().copied()
        };
        self.by_cost.iter().max_by_key(bid)
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

    fn text(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2(text) => text,
        }
    }

    /// The part of it that says how much it costs: all before the salt.
    fn cost(&self) -> &str {
        let text = self.text();
        match self {
            // `$2y$10$`: the letter makes no difference.
            Self::Bcrypt(_) => text.get(4..6).unwrap_or_default(),
            Self::Argon2(_) => text.rsplitn(3, '$').nth(2).unwrap_or_default(),
        }
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

    /// Else a name that answers more slowly, or more quickly, than all unknown ones would be a user.
    #[test]
    fn unknown_names_cost_what_users_cost_and_each_name_always_the_same() {
        let more = bcrypt::hash_with_salt("x", 5, [9; 16]).unwrap().format_for_version(bcrypt::Version::TwoB);
        let users = Passwords::parse(&(file() + "dan:" + &more + "\n")).unwrap();
        let costs: Vec<&str> = users.by_cost.iter().map(Hash::cost).collect();
        assert_eq!(costs, ["04", "$argon2id$v=19$m=64,t=1,p=1", "05"]);
        let names: Vec<String> = (0..600).map(|number| format!("name{number}")).collect();
        let cost_of = |users: &Passwords, name: &str| users.stand_in(name.as_bytes()).unwrap().cost().to_owned();
        for cost in costs {
            let share = names.iter().filter(|name| cost_of(&users, name) == cost).count();
            assert!((150..250).contains(&share), "{cost}: {share} of 600");
        }
        // A user that comes later moves no name, so that no name shows by this that it is unknown.
        let eve = more.replace("$2b$", "$2y$").replace("x", "y");
        let later = Passwords::parse(&(file() + "dan:" + &more + "\neve:" + &eve + "\n")).unwrap();
        assert!(names.iter().all(|name| cost_of(&later, name) == cost_of(&users, name)));
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
