//! Which server, as users write it: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` with TLS.

use super::secured::Files;
use crate::net::address::HostPort;
use clap::ArgMatches;
use std::{fmt, str::FromStr};

/// The port that Redis has unless it is told otherwise.
const PORT: u16 = 6379;

/// A server, and what to say to it first.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub to: HostPort,
    /// Without one, a password is that of the user `default`.
    pub user: Option<String>,
    /// It wants none, or it is this.
    pub password: Option<String>,
    /// The number of the database.
    pub database: u32,
    /// Connections have TLS, by these files.
    pub secure: Option<Files>,
}

impl Target {
    /// Whether the server that this flag names is one without TLS.
    #[must_use]
    pub fn is_plain(matches: &ArgMatches, flag: &str) -> bool {
        matches.get_one::<Self>(flag).is_some_and(|target| target.secure.is_none())
    }

    /// The same with these files, if connections to it have TLS.
    #[must_use]
    pub fn with_files(self, files: Files) -> Self {
        Self { secure: self.secure.map(|_| files), ..self }
    }

    /// Tries the files, if connections have TLS, and returns what the operator should know of them.
    ///
    /// # Errors
    ///
    /// Which one cannot be used, and why.
    pub fn check_files(&self) -> Result<Vec<String>, String> {
        let Some(files) = &self.secure else { return Ok(Vec::new()) };
        files.callee(&self.to)?;
        Ok(files.warnings())
    }

    fn scheme(&self) -> &'static str {
        if self.secure.is_some() { SECURE } else { PLAIN }
    }
}

const PLAIN: &str = "redis://";
const SECURE: &str = "rediss://";

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "write redis://HOST:PORT, or redis://USER:PASSWORD@HOST:PORT/DATABASE; rediss://HOST:PORT is with TLS";
        let secure = text.strip_prefix(SECURE);
        let rest = secure.or_else(|| text.strip_prefix(PLAIN)).ok_or(FORM)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or(("", login))) {
            None => (None, None),
            Some((user, password)) => (Some(user).filter(|user| !user.is_empty()), Some(password)),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let to = if has_port { host.to_owned() } else { format!("{host}:{PORT}") };
        let database = if path.is_empty() { Ok(0) } else { path.parse() };
        Ok(Self {
            to: to.parse::<HostPort>().map_err(|error| error.to_string())?,
            user: user.map(decoded).transpose()?,
            password: password.map(decoded).transpose()?,
            database: database.map_err(|_| format!("{path:?} is no number of a database: {FORM}"))?,
            secure: secure.map(|_| Files::default()),
        })
    }
}

/// Text with its `%40` and the like (RFC 3986 §2.1): a password may have any characters.
fn decoded(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or("a % in a password is written %25")?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| "a % in a password is written %25")?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "the user or the password is not UTF-8".to_owned())
}

/// Without the password: this gets into logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scheme(), self.to)?;
        if self.database > 0 { write!(f, "/{}", self.database) } else { Ok(()) }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_users_write_them() {
        let cases = [
            ("redis://localhost", Ok(("localhost:6379", None, None, 0))),
            ("redis://[::1]", Ok(("[::1]:6379", None, None, 0))),
            ("redis://127.0.0.1:7000/", Ok(("127.0.0.1:7000", None, None, 0))),
            ("redis://h:1/15", Ok(("h:1", None, None, 15))),
            ("redis://:a%40b@h:1", Ok(("h:1", None, Some("a@b"), 0))),
            ("redis://secret@h:1", Ok(("h:1", None, Some("secret"), 0))),
            ("redis://ann:x@y@[::1]:1/2", Ok(("[::1]:1", Some("ann"), Some("x@y"), 2))),
            ("h:1", Err("write redis://HOST:PORT")),
            ("rediss://ann:x@h/2", Ok(("h:6379", Some("ann"), Some("x"), 2))),
            ("redisss://h", Err("rediss://HOST:PORT is with TLS")),
            ("redis://h:1/x", Err("\"x\" is no number of a database")),
            ("redis://:%4@h", Err("is written %25")),
            ("redis://:%zz@h", Err("is written %25")),
            ("redis://", Err("the host is missing")),
        ];
        for (text, expected) in cases {
            match (text.parse::<Target>(), expected) {
                (Ok(target), Ok((to, user, password, database))) => {
                    assert_eq!(target.to.to_string(), to);
                    assert_eq!((target.user.as_deref(), target.password.as_deref()), (user, password), "{text}");
                    assert_eq!(target.database, database);
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn one_letter_more_or_less_are_tls_or_not() {
        let secure: Target = "rediss://h".parse().unwrap();
        let files = Files { ca: Some("ca.pem".into()), ..Files::default() };
        assert_eq!((secure.to_string().as_str(), &secure.secure), ("rediss://h:6379", &Some(Files::default())));
        assert_eq!(secure.with_files(files.clone()).secure, Some(files.clone()));
        let plain: Target = "redis://h".parse().unwrap();
        assert_eq!(plain.with_files(files).secure, None, "it has none that could be used");
    }

    #[test]
    fn the_password_is_not_shown() {
        let target: Target = "redis://ann:secret@h:1/2".parse().unwrap();
        assert_eq!(
            (target.to_string(), format!("{target:?}")),
            ("redis://h:1/2".to_owned(), "redis://h:1/2".to_owned())
        );
    }
}
