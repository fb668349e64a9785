//! Where log lines go: stderr, a file, or the system's log.

use crate::net::datagram::Collector;
use std::{fmt, path::PathBuf, str::FromStr};

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// The stream that the program was started with.
    #[default]
    Stderr,
    /// A file, which is appended to, and is opened again when that is asked for. It may be a FIFO.
    File(PathBuf),
    /// The system's log, or one of another machine (RFC 5424).
    Syslog(Collector),
}

/// Where programs of this machine leave what is to be logged.
const LOCAL: &str = "/dev/log";

const HINT: &str =
    "write stderr, syslog, syslog:/PATH, syslog:ADDRESS:PORT, or the path of a file, with a slash or a dot in it";

impl Place {
    /// Whether `text` stands for a file. A word alone does not: it would more likely be another place, misspelt.
    #[must_use]
    pub fn is_file(text: &str) -> bool {
        text.contains(['/', '.']) && !text.starts_with("syslog:")
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("syslog:") {
            _ if text == "stderr" => Ok(Self::Stderr),
            _ if text == "syslog" => Ok(Self::Syslog(Collector::Local(LOCAL.into()))),
            Some(path) if path.starts_with('/') => Ok(Self::Syslog(Collector::Local(path.into()))),
            Some(address) => {
                address.parse().map(|address| Self::Syslog(Collector::Udp(address))).map_err(|_| HINT.to_owned())
            }
            None if Self::is_file(text) && !text.ends_with('/') && !text.contains(char::is_control) => {
                Ok(Self::File(text.into()))
            }
            None => Err(HINT.to_owned()),
        }
    }
}

/// As it is written.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Syslog(collector) => write!(f, "syslog:{collector}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for (text, place, shown) in [
            ("stderr", Place::Stderr, "stderr"),
            ("access.log", Place::File("access.log".into()), "access.log"),
            ("/var/log/a", Place::File("/var/log/a".into()), "/var/log/a"),
            ("syslog", Place::Syslog(Collector::Local("/dev/log".into())), "syslog:/dev/log"),
            ("syslog:/run/x", Place::Syslog(Collector::Local("/run/x".into())), "syslog:/run/x"),
            (
                "syslog:[::1]:514",
                Place::Syslog(Collector::Udp(([0, 0, 0, 0, 0, 0, 0, 1], 514).into())),
                "syslog:[::1]:514",
            ),
        ] {
            assert_eq!(text.parse(), Ok(place.clone()), "{text}");
            assert_eq!(place.to_string(), shown);
        }
        for wrong in
            ["", "stdout", "Stderr", "log", "syslog:", "syslog:host:514", "syslog:127.0.0.1", "logs/", "a.\u{7}"]
        {
            assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
        }
    }
}
