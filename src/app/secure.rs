//! The protection of a connection, as far as an application decides or tells something by it.

use std::{fmt, net::IpAddr, sync::Arc};

/// How an accepted connection is protected (TLS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secure {
    /// The protocol's version: `1.2` or `1.3`.
    pub version: &'static str,
    /// How the key was agreed on: `X25519MLKEM768`. `-`: it comes from an earlier connection alone.
    pub key_exchange: &'static str,
    /// The cipher suite.
    pub suite: &'static str,
    /// The name that the client asked for (SNI, RFC 6066 §3), in lower case.
    pub server_name: Option<Box<str>>,
    /// The protocol that both chose (ALPN, RFC 7301).
    pub alpn: Option<Box<str>>,
    /// An earlier connection was resumed, so that no certificate was shown on this one.
    pub resumed: bool,
    /// The names of the certificate: what may be asked for on this connection.
    pub names: Arc<Names>,
    /// The subject of the client's certificate.
    pub client: Option<Box<str>>,
}

/// Why a connection that was to be protected did not come about. The word in it is for logs and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    /// The server did not prove that it is the one that was meant: its certificate is not accepted.
    Certificate(&'static str),
    /// The server gave up, and said so by an alert.
    Alert(&'static str),
    /// The handshake came to nothing in another way.
    Protocol(&'static str),
}

impl Insecure {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let (Self::Certificate(word) | Self::Alert(word) | Self::Protocol(word)) = self;
        word
    }
}

/// The names that a certificate is for (RFC 6125, RFC 9525): hosts, `*.` and a host, addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// In lower case, without a dot at the end.
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Names as a certificate lists them.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = String>, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            hosts: hosts.into_iter().map(|host| canonical(&host)).collect(),
            addresses: addresses.into_iter().collect(),
        }
    }

    /// The hosts, in lower case; one may begin with `*.`.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Whether a host, as it stands in a URI, is one of them. `*.` stands for exactly one label.
    #[must_use]
    pub fn cover(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        self.hosts.iter().any(|name| match (name.strip_prefix("*."), parent) {
            (Some(suffix), Some(parent)) => suffix.eq_ignore_ascii_case(parent),
            (Some(_), None) => false,
            (None, _) => name.eq_ignore_ascii_case(host),
        })
    }
}

/// For logs: `a.example *.b.example 192.0.2.7`.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(|host| host as &dyn fmt::Display);
        let addresses = self.addresses.iter().map(|address| address as &dyn fmt::Display);
        for (index, name) in hosts.chain(addresses).enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// A host name as names are compared: in lower case, without the dot of the root at its end.
#[must_use]
pub fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_covers_its_names_and_one_label_for_a_star() {
        let hosts = ["a.example", "*.b.example", "X.Example."].map(str::to_owned);
        let names = Names::new(hosts, ["192.0.2.7".parse().unwrap(), "2001:db8::1".parse().unwrap()]);
        for (host, covered) in [
            ("a.example", true),
            ("A.EXAMPLE", true),
            ("a.example.", true),
            ("x.example", true),
            ("example", false),
            ("b.example", false),
            ("c.b.example", true),
            ("C.b.Example.", true),
            ("d.c.b.example", false),
            (".b.example", false),
            ("*.b.example", true),
            ("evil-a.example", false),
            ("a.example.evil", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("[2001:db8::1]", true),
            ("[2001:DB8:0::1]", true),
            ("[::1]", false),
            ("", false),
            (".", false),
        ] {
            assert_eq!(names.cover(host), covered, "{host}");
        }
    }
}
