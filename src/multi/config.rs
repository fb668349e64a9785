//! The configuration file: its keys, their defaults, and what is said of a mistake: the file, the line, the column, and what to write
//! instead.

use crate::{
    cli::{LogFilter, address, file},
    net::{DriverKind, descriptors},
    service::{http::Name, line_session::LineLimits},
    units::{Counted, duration, grouped, nonzero_duration, size},
};
use clap::ValueEnum as _;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    ops::Range,
    path::Path,
    str::FromStr as _,
    time::Duration,
};
use toml::Spanned;

/// Descriptors of the process as such: standard streams, signals, event loops, listeners.
const DESCRIPTORS_ASIDE: usize = 32;

/// All that the file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    #[serde(default = "info", deserialize_with = "log_level")]
    pub(super) log_level: LogFilter,
    #[serde(default = "ten_seconds", deserialize_with = "time")]
    pub(super) drain_timeout: Duration,
    #[serde(default, deserialize_with = "driver")]
    pub(super) driver: DriverKind,
    pub(super) http: Option<HttpPart>,
    pub(super) command: Option<CommandPart>,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct HttpPart {
    pub(super) listen: Spanned<Address>,
    pub(super) backlog: Backlog,
    #[serde(deserialize_with = "clients")]
    pub(super) max_clients: NonZeroUsize,
    #[serde(deserialize_with = "nonzero_time")]
    pub(super) idle_timeout: Duration,
    #[serde(deserialize_with = "name")]
    pub(super) name: Name,
}

/// `[command]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CommandPart {
    pub(super) listen: Spanned<Address>,
    pub(super) backlog: Backlog,
    #[serde(deserialize_with = "clients")]
    pub(super) max_clients: NonZeroUsize,
    #[serde(deserialize_with = "nonzero_time")]
    pub(super) idle_timeout: Duration,
    #[serde(deserialize_with = "bytes")]
    pub(super) line_max: usize,
}

const CLIENTS: NonZeroUsize = NonZeroUsize::new(1000).expect("1,000 is not 0");

impl Default for HttpPart {
    fn default() -> Self {
        let usual = crate::service::HttpConfig::default();
        Self {
            listen: Spanned::new(0..0, Address::on(8080)),
            backlog: Backlog::default(),
            max_clients: CLIENTS,
            idle_timeout: usual.idle,
            name: usual.name,
        }
    }
}

impl Default for CommandPart {
    fn default() -> Self {
        let LineLimits { line, idle } = LineLimits::default();
        Self {
            listen: Spanned::new(0..0, Address::on(8081)),
            backlog: Backlog::default(),
            max_clients: CLIENTS,
            idle_timeout: idle,
            line_max: line,
        }
    }
}

impl Default for Config {
    /// Without a file: both protocols on the loopback.
    fn default() -> Self {
        Self {
            log_level: info(),
            drain_timeout: ten_seconds(),
            driver: DriverKind::default(),
            http: Some(HttpPart::default()),
            command: Some(CommandPart::default()),
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(pub(super) SocketAddr);

impl Address {
    fn on(port: u16) -> Self {
        Self((Ipv4Addr::LOCALHOST, port).into())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, address).map(Self)
    }
}

/// Connections that wait in the kernel, 1 to 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backlog(pub(super) u32);

impl Default for Backlog {
    fn default() -> Self {
        Self(1024)
    }
}

impl<'de> Deserialize<'de> for Backlog {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(from)?;
        let number = u16::try_from(number).ok().filter(|number| *number > 0);
        number.map(|number| Self(number.into())).ok_or_else(|| D::Error::custom("write a number from 1 to 65535"))
    }
}

fn info() -> LogFilter {
    LogFilter::from_str("info").expect("info is a level")
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// Reads a text as a flag of the same name would.
fn read<'de, D: Deserializer<'de>, T, E: std::fmt::Display>(
    from: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn log_level<'de, D: Deserializer<'de>>(from: D) -> Result<LogFilter, D::Error> {
    read(from, LogFilter::from_str)
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read(from, duration)
}

fn nonzero_time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read(from, nonzero_duration)
}

fn clients<'de, D: Deserializer<'de>>(from: D) -> Result<NonZeroUsize, D::Error> {
    let number = usize::try_from(i64::deserialize(from)?).ok().and_then(NonZeroUsize::new);
    number.ok_or_else(|| D::Error::custom("write a number that is at least 1"))
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    read(from, |text| {
        size::<usize>(text).and_then(|size| if size > 0 { Ok(size) } else { Err("write at least 1".into()) })
    })
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
    read(from, Name::from_str)
}

fn driver<'de, D: Deserializer<'de>>(from: D) -> Result<DriverKind, D::Error> {
    read(from, |text| DriverKind::from_str(text, false).map_err(|_| "write auto, epoll or io-uring"))
}

impl Config {
    /// Reads and checks the text of a file.
    ///
    /// # Errors
    ///
    /// One line: `multi.toml:3:10: what is wrong, and what to write`.
    pub fn of(path: &Path, text: &str) -> Result<Self, String> {
        let located =
            |span: Option<Range<usize>>, problem: &str| file::located(path, text, span.map(|span| span.start), problem);
        let config: Self = toml::from_str(text).map_err(|error| {
            let (span, message) = file::of_toml(&error);
            let meant = meant(&message).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
            located(span, &format!("{message}{meant}"))
        })?;
        config.check().map_err(|(span, problem)| located(span, &problem))?;
        Ok(config)
    }

    /// Rules about several keys together.
    fn check(&self) -> Result<(), (Option<Range<usize>>, String)> {
        let listens = [self.http.as_ref().map(|part| &part.listen), self.command.as_ref().map(|part| &part.listen)];
        match listens {
            [None, None] => Err((None, "nothing is to be served: add [http] or [command]".to_owned())),
            [Some(http), Some(command)] if http.get_ref() == command.get_ref() && command.get_ref().0.port() != 0 => {
                // One of them may be where it is by default.
                let span = [command, http].map(Spanned::span).into_iter().find(|span| !span.is_empty());
                let address = command.get_ref().0;
                Err((span, format!("[http] and [command] both listen on {address}: each needs a port of its own")))
            }
            _ => Ok(()),
        }
    }

    /// Whether this process may have descriptors for all clients that the file allows.
    pub(super) fn check_descriptors(&self) -> Result<(), String> {
        let limit = descriptors::raise_limit().map_err(|error| error.to_string())?;
        let parts =
            [self.http.as_ref().map(|part| part.max_clients), self.command.as_ref().map(|part| part.max_clients)];
        let clients: usize = parts.into_iter().flatten().fold(0, |sum, clients| sum.saturating_add(clients.get()));
        let needed = clients.saturating_add(DESCRIPTORS_ASIDE) as u64;
        if needed <= limit {
            return Ok(());
        }
        Err(format!(
            "max-clients are {} in all, which takes {}, and this process may have {}: lower them, or raise the limit with `ulimit -n`",
            grouped(clients as u64),
            Counted(needed, "descriptor"),
            grouped(limit),
        ))
    }
}

/// The key that was meant, if a message is about an unknown one: it names that first, and then those that there are.
fn meant(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    file::nearest(unknown, quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Config, String> {
        Config::of(Path::new("multi.toml"), text)
    }

    #[test]
    fn keys_that_are_left_out_are_as_without_a_file() {
        let config = of("[http]\n[command]\n").unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        let one = of("[command]\nlisten = \"[::1]:0\"\nline-max = \"1k\"\nidle-timeout = \"5m\"").unwrap();
        let command = one.command.unwrap();
        assert!(one.http.is_none());
        assert_eq!((command.listen.get_ref().0.to_string().as_str(), command.line_max), ("[::1]:0", 1024));
        assert_eq!(command.idle_timeout, Duration::from_secs(300));
    }

    /// Each mistake is told with its place and with what to write.
    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            ("", ": nothing is to be served: add [http] or [command]"),
            ("[http]\nlisen = \"127.0.0.1:1\"", ":2:1: unknown field `lisen`, expected one of"),
            ("[http]\nlisen = \"127.0.0.1:1\"", "did you mean `listen`?"),
            ("[htp]\n", ":1:2: unknown field `htp`"),
            ("[http]\nlisten = \"8080\"", ":2:10: a port alone needs a colon"),
            ("[http]\nlisten = 8080", ":2:10: invalid type: integer `8080`, expected a string"),
            ("[http]\n\n  idle-timeout = \"10\"\n", ":3:18: write 30s or 250ms"),
            ("[http]\nidle-timeout = \"0s\"", ":2:16: must be longer than zero"),
            ("[command]\nidle-timeout = \"0ms\"", ":2:16: must be longer than zero"),
            ("[http]\nmax-clients = 0", ":2:15: write a number that is at least 1"),
            ("[command]\nmax-clients = -1", ":2:15: write a number that is at least 1"),
            ("[http]\nbacklog = -1", ":2:11: write a number from 1 to 65535"),
            ("[http]\nbacklog = 70000", ":2:11: write a number from 1 to 65535"),
            ("[http]\nname = \"ü ü\"", ":2:8: write 1 to 64 letters"),
            ("[command]\nline-max = \"0\"", ":2:12: write at least 1"),
            ("[command]\nline-max = \"many\"", ":2:12: "),
            ("log-level = \"loud\"\n[http]", ":1:13: write off, error, warn"),
            ("driver = \"fast\"\n[http]", ":1:10: write auto, epoll or io-uring"),
            ("drain-timeout = \"1 year\"\n[http]", ":1:17: "),
            ("[http]\nlisten = \"127.0.0.1:1\n", ":2:"),
            ("[http]\n[http]\n", ":2:"),
            ("[http\n", ":1:"),
            ("ä = 1\n", ":1:1: "),
            (
                "[http]\nlisten = \"127.0.0.1:1\"\n[command]\nlisten = \"127.0.0.1:1\"",
                ":4:10: [http] and [command] both listen",
            ),
            ("[http]\nlisten = \"127.0.0.1:8081\"\n[command]\n", ":2:10: [http] and [command] both listen"),
        ];
        for (text, expected) in cases {
            let error = of(text).expect_err(text);
            assert!(error.starts_with("multi.toml:") && error.contains(expected), "{text:?}\n{error}");
            assert!(!error.contains('\n'), "one line: {error:?}");
        }
        assert!(
            of("[http]\nlisten = \"127.0.0.1:0\"\n[command]\nlisten = \"127.0.0.1:0\"").is_ok(),
            "the system chooses"
        );
    }
}
