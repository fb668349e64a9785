//! The other broker: `mqtt://user:password@host:port`.

use crate::net::{self, address::HostPort, resolve::resolve};
use std::{net::SocketAddr, str::FromStr};

/// The port of MQTT.
const PORT: u16 = 1883;

/// Where the other broker is, as the user says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    to: HostPort,
    user_name: Option<String>,
    password: Option<Vec<u8>>,
}

/// Where the other broker is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// For messages; without the password.
    pub(crate) name: String,
    /// At least one.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("name", &self.name).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest =
            text.strip_prefix("mqtt://").ok_or("say it as mqtt://HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT")?;
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let host = host.strip_suffix('/').unwrap_or(host);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
        let host = if has_port { host.to_owned() } else { format!("{host}:{PORT}") };
        let to = host.parse().map_err(|error: net::Error| error.to_string())?;
        let (user_name, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            None => (None, None),
            Some((name, "")) => (Some(text_of(name)?), None),
            Some((name, password)) => (Some(text_of(name)?), Some(decoded(password)?)),
        };
        Ok(Self { to, user_name, password })
    }
}

impl Place {
    /// Looks its name up, which blocks.
    ///
    /// # Errors
    ///
    /// One line: there is no such name.
    pub(crate) fn resolve(&self) -> Result<Target, net::Error> {
        let (user_name, password) = (self.user_name.clone(), self.password.clone());
        Ok(Target { name: self.to.to_string(), addresses: resolve(&self.to)?, user_name, password })
    }
}

fn text_of(part: &str) -> Result<String, String> {
    String::from_utf8(decoded(part)?).map_err(|_| "the user name is not UTF-8".to_owned())
}

/// `%40` stands for `@`, and so on.
fn decoded(part: &str) -> Result<Vec<u8>, String> {
    const WRONG: &str = "% stands before two hexadecimal digits: write %25 for a % itself";
    let (mut bytes, mut out) = (part.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(WRONG);
        out.push((digit()? * 16 + digit()?) as u8);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_host_and_perhaps_a_user() {
        for (text, to, user, password) in [
            ("mqtt://localhost", "localhost:1883", None, None),
            ("mqtt://10.0.0.1:1884/", "10.0.0.1:1884", None, None),
            ("mqtt://ann@[::1]:1", "[::1]:1", Some("ann"), None),
            ("mqtt://ann:a%40b%3a@broker.example:1", "broker.example:1", Some("ann"), Some("a@b:")),
        ] {
            let place: Place = text.parse().unwrap();
            let password = password.map(|password: &str| password.as_bytes().to_vec());
            assert_eq!(place.to.to_string(), to);
            assert_eq!((place.user_name.as_deref(), place.password), (user, password), "{text}");
        }
        for text in ["localhost", "mqtts://localhost", "mqtt://", "mqtt://a:b:c:d", "mqtt://a:%4@b", "mqtt://a:0"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
