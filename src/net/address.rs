//! Addresses as users write them: `127.0.0.1:8080`, `[::1]:8080`, `localhost:3000`, `:8080`.

use super::Error;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// The longest name that DNS can hold (RFC 1035 §2.3.4), without its last dot.
const MAX_NAME: usize = 253;

/// A host and a port to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Who.
    pub host: Host,
    /// Never 0.
    pub port: u16,
}

/// Who: by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// Needs no resolver.
    Ip(IpAddr),
    /// To be resolved; see [`super::resolve`].
    Name(String),
}

/// Where to listen: an IP address or `localhost`, and a port, which may be 0 for any free one. `:8080` means all IPv4
/// addresses of this machine.
///
/// # Errors
///
/// [`Error::Address`].
pub fn parse_listener(text: &str) -> Result<SocketAddr, Error> {
    let (host, port) = split(text, "a port alone needs a colon, as in :8080")?;
    let ip = match host {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        _ => match parse_host(text, host)? {
            Host::Ip(ip) => ip,
            Host::Name(name) if name.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
            Host::Name(_) => return Err(wrong(text, "give the IP address to listen on, as in 127.0.0.1:8080")),
        },
    };
    Ok(SocketAddr::new(ip, port))
}

impl FromStr for HostPort {
    type Err = Error;

    /// `HOST:PORT`, where HOST is a name, an IPv4 address or an IPv6 address in brackets.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (host, port) = split(text, NO_HOST)?;
        if port == 0 {
            return Err(wrong(text, "port 0 can be listened on but not connected to"));
        }
        Ok(Self { host: parse_host(text, host)?, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

const NO_HOST: &str = "the host is missing, as in localhost:3000";

/// The text before the last colon, and the port after it. `port_alone` is what is wrong with a number and nothing else.
fn split<'t>(text: &'t str, port_alone: &'static str) -> Result<(&'t str, u16), Error> {
    if text.contains("://") {
        return Err(wrong(text, "leave out the scheme, as in localhost:3000"));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let problem = match text.parse::<u16>() {
            Ok(_) => port_alone,
            Err(_) => "the port is missing, as in localhost:3000",
        };
        return Err(wrong(text, problem));
    };
    if text.starts_with('[') && text.ends_with(']') {
        return Err(wrong(text, "the port is missing, as in [::1]:3000"));
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(wrong(text, "an IPv6 address needs brackets, as in [::1]:8080"));
    }
    // Not `parse` alone: it would take "+80".
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits => Ok((host, port)),
        _ => Err(wrong(text, "the port is a number from 0 to 65535")),
    }
}

fn parse_host(text: &str, host: &str) -> Result<Host, Error> {
    if let Some(inner) = host.strip_prefix('[') {
        let ip = inner.strip_suffix(']').and_then(|inner| inner.parse().ok());
        return ip.map(|ip| Host::Ip(IpAddr::V6(ip))).ok_or_else(|| wrong(text, "brackets hold an IPv6 address"));
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match host {
        "" => Err(wrong(text, NO_HOST)),
        _ if host.len() > MAX_NAME || !host.bytes().all(plain) => Err(wrong(text, "no host can have that name")),
        // Text that looks like an IPv4 address but is none ("300.1.1.1", "1.2.3") must not become a question to a
        // resolver.
        _ if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            Err(wrong(text, "an IPv4 address has four numbers from 0 to 255"))
        }
        _ => Ok(Host::Name(host.to_owned())),
    }
}

fn wrong(text: &str, problem: &'static str) -> Error {
    Error::Address { text: text.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners() {
        let cases = [
            ("127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("[::1]:80", Ok("[::1]:80")),
            ("[::]:0", Ok("[::]:0")),
            (":8080", Ok("0.0.0.0:8080")),
            ("localhost:65535", Ok("127.0.0.1:65535")),
            ("LocalHost:1", Ok("127.0.0.1:1")),
            ("8080", Err("a port alone needs a colon")),
            ("localhost", Err("the port is missing")),
            ("", Err("the port is missing")),
            (":", Err("the port is a number")),
            (":65536", Err("the port is a number")),
            (":+80", Err("the port is a number")),
            (":-1", Err("the port is a number")),
            ("::1:80", Err("an IPv6 address needs brackets")),
            ("[::1:80", Err("brackets hold an IPv6 address")),
            ("[::1]", Err("the port is missing, as in [::1]:3000")),
            ("[127.0.0.1]:80", Err("brackets hold an IPv6 address")),
            ("[]:80", Err("brackets hold an IPv6 address")),
            ("1.2.3:80", Err("an IPv4 address has four numbers")),
            ("256.1.1.1:80", Err("an IPv4 address has four numbers")),
            ("example.org:80", Err("give the IP address to listen on")),
            ("http://localhost:80", Err("leave out the scheme")),
        ];
        for (text, expected) in cases {
            match (parse_listener(text), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected),
                (Err(error), Err(problem)) => {
                    assert!(error.is_usage() && error.to_string().contains(problem), "{text:?}: {error}");
                }
                (got, _) => panic!("{text:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn backends() {
        for text in ["127.0.0.1:3000", "[2001:db8::1]:443", "localhost:3000", "a-b.example_1.org:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        let long = "a".repeat(MAX_NAME);
        assert!(format!("{long}:80").parse::<HostPort>().is_ok());
        for (text, problem) in
            [("3000", NO_HOST), (":3000", NO_HOST), ("[::1]", "the port is missing, as in [::1]:3000")]
        {
            let error = text.parse::<HostPort>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        for text in ["localhost:0", ":3000", "host name:80", "h/x:80", "höst:80", "h:80/path", &format!("{long}a:80")]
        {
            assert!(text.parse::<HostPort>().is_err(), "{text:?}");
        }
    }
}
