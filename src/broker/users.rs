//! The file of users: their passwords, and the topics that are theirs.
//!
//! ```text
//! [users.ann]
//! password = "$argon2id$…"            # broker --hash-password
//! publish = ["home/%u/#"]             # %u: the user's name, %c: the client identifier
//! subscribe = ["home/#", "$SYS/#"]
//!
//! [anonymous]                         # without it, clients need a name
//! subscribe = ["public/#"]
//! ```

use super::{
    core::Refusal,
    password::{self, Ask},
    rights::Rights,
};
use crate::{
    cli::file::{located, of_toml},
    mqtt::{Filter, Reason, check_name},
};
use bytes::Bytes;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, fs, path::Path, sync::Arc};

/// A hash of no one's password: whether a user exists must not show in the time that an answer takes.
const NO_ONE: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IHRoYXQ$5jWdqrIi3Nzqqp8xIVlLKrhPQzBHIoyJ3bMLVkFd5Yo";

/// Those who may connect.
#[derive(Debug, Default)]
pub(crate) enum Users {
    /// There is no file: everybody, to everything.
    #[default]
    All,
    Listed(List),
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    #[serde(default)]
    users: BTreeMap<String, User>,
    anonymous: Option<Topics>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    password: String,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Topics {
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

/// No hash gets into a log.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("publish", &self.publish)
            .field("subscribe", &self.subscribe)
            .finish_non_exhaustive()
    }
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// One line with file, line and column.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let list: List = toml::from_str(&text).map_err(|error| {
            let (place, problem) = of_toml(&error);
            located(path, &text, place.map(|place| place.start), &problem)
        })?;
        list.check().map_err(|problem| format!("{}: {problem}", path.display()))?;
        Ok(Self::Listed(list))
    }

    /// Whether a client may connect. `Some`: if that is its password.
    ///
    /// # Errors
    ///
    /// It may not.
    pub(super) fn ask(&self, user: Option<&str>, password: Option<&Bytes>) -> Result<Option<Ask>, Refusal> {
        let Self::Listed(list) = self else { return Ok(None) };
        let Some(user) = user else {
            let why = "a user name and a password are needed";
            let refusal = Refusal { reason: Reason::NOT_AUTHORIZED, why };
            return if list.anonymous.is_some() { Ok(None) } else { Err(refusal) };
        };
        let hash = list.users.get(user).map_or(NO_ONE, |user| &user.password).to_owned();
        Ok(Some(Ask { hash, password: password.cloned().unwrap_or_default() }))
    }

    /// The rights of a client that may connect.
    pub(super) fn rights(&self, user: Option<&str>, client: &str) -> Arc<Rights> {
        let Self::Listed(list) = self else { return Arc::new(Rights::All) };
        let listed = user.and_then(|user| list.users.get(user)).map(|user| (&user.publish, &user.subscribe));
        let anonymous = || list.anonymous.as_ref().map(|topics| (&topics.publish, &topics.subscribe));
        let topics = if user.is_some() { listed } else { anonymous() };
        let none = Vec::new();
        let (publish, subscribe) = topics.unwrap_or((&none, &none));
        Arc::new(Rights::of(publish, subscribe, user.unwrap_or_default(), client))
    }
}

impl List {
    fn check(&self) -> Result<(), String> {
        for (name, user) in &self.users {
            check_name(name).map_err(|_| format!("users.{name}: a name without +, # and not empty is needed"))?;
            if !password::is_hash(&user.password) {
                return Err(format!("users.{name}: password is no hash: make one with --hash-password"));
            }
        }
        let of_users = self.users.values().flat_map(|user| user.publish.iter().chain(&user.subscribe));
        let of_others = self.anonymous.iter().flat_map(|topics| topics.publish.iter().chain(&topics.subscribe));
        for filter in of_users.chain(of_others) {
            Filter::new(filter.as_str().into()).map_err(|error| format!("{filter}: {error}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{password::Verdict, *};
    use std::io::Write as _;

    fn read(text: &str) -> Result<Users, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Users::read(file.path()).map_err(|error| error.rsplit('/').next().unwrap().to_owned())
    }

    #[test]
    fn users_have_passwords_and_topics() {
        let hash = password::hash(b"secret").unwrap();
        let users = read(&format!(
            "[users.ann]\npassword = \"{hash}\"\npublish = [\"home/%u/#\"]\n[anonymous]\nsubscribe = [\"public/#\"]\n"
        ))
        .unwrap();
        let judge = |user: &str, password: &'static str| {
            password::judge(users.ask(Some(user), Some(&Bytes::from_static(password.as_bytes()))).unwrap().unwrap())
        };
        assert_eq!(judge("ann", "secret"), Verdict::Right);
        assert_eq!(judge("ann", "secreT"), Verdict::Wrong);
        assert_eq!(judge("bob", "secret"), Verdict::Wrong);
        assert!(password::is_hash(NO_ONE), "it takes as long as another");
        assert!(users.ask(None, None).unwrap().is_none());
        let ann = users.rights(Some("ann"), "c");
        assert!(ann.may_publish("home/ann/x") && !ann.may_publish("home/bob/x") && !ann.may_subscribe("public/x"));
        assert!(users.rights(None, "c").may_subscribe("public/x"));
        let closed = read("").unwrap();
        assert_eq!(closed.ask(None, None).err().map(|refusal| refusal.reason), Some(Reason::NOT_AUTHORIZED));
    }

    #[test]
    fn mistakes_have_a_place_or_a_name() {
        const CASES: &[(&str, &str)] = &[
            ("[users.ann]\npasword = \"x\"\n", "unknown field `pasword`"),
            ("[users.ann]\npassword = \"secret\"\n", "users.ann: password is no hash: make one with --hash-password"),
            ("[anonymous]\npublish = [\"a#\"]\n", "a#: a wildcard that is not a whole level"),
            ("[users.\"a+\"]\npassword = \"x\"\n", "a name without +"),
        ];
        for (text, expected) in CASES {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
