//! A backend as the user writes it.

use crate::{
    backend::{Addresses, Backend, BackendId},
    http::Authority,
    net::{
        self,
        address::{Host, HostPort},
    },
    units::{MAX_COUNT, number},
};
use std::str::FromStr;

/// A backend as the user writes it: `[https://]HOST:PORT[,weight=N][,max=N][,name=HOST]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSpec {
    /// Host and port, not resolved yet.
    pub authority: HostPort,
    /// Share of the traffic, at least 1.
    pub weight: u32,
    /// Most connections open to it at once; `None`: `--pool-max`.
    pub max: Option<usize>,
    /// The name for which its certificate has to be, a host's or an address; `None`: it is spoken to in plain.
    pub secure: Option<String>,
}

impl FromStr for BackendSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "write HOST:PORT, or HOST:PORT,weight=3,max=50";
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let (authority, secure) = match first.strip_prefix("https://") {
            Some(rest) => {
                let authority = authority(&with_port(rest))?;
                let name = bare(&authority.host);
                (authority, Some(name))
            }
            None => (authority(first)?, None),
        };
        let mut spec = Self { authority, weight: 1, max: None, secure };
        for part in parts {
            match part.split_once('=') {
                Some(("weight", weight)) => {
                    spec.weight = number(1..=1000)(weight).map_err(|problem| format!("weight: {problem}"))?;
                }
                Some(("max", max)) => {
                    spec.max = Some(number(1..=MAX_COUNT)(max).map_err(|problem| format!("max: {problem}"))?);
                }
                Some(("name", _)) if spec.secure.is_none() => {
                    return Err("name= is the name in a certificate: it goes with https://".to_owned());
                }
                Some(("name", name)) => {
                    spec.secure = Some(host_name(name).map_err(|problem| format!("name: {problem}"))?)
                }
                // Another backend, by the look of it.
                _ if part.parse::<HostPort>().is_ok() || part.contains("://") => return Err(ONE_EACH.to_owned()),
                _ => return Err(format!("'{part}' is neither weight=N nor max=N: {HINT}")),
            }
        }
        Ok(spec)
    }
}

impl BackendSpec {
    /// For logs and `/stats`, where no two backends have the same name.
    pub(super) fn name(&self) -> String {
        match &self.secure {
            None => self.authority.to_string(),
            Some(name) if *name == bare(&self.authority.host) => format!("https://{}", self.authority),
            Some(name) => format!("https://{},name={name}", self.authority),
        }
    }

    /// The backend, with number `id` and at these addresses.
    pub(super) fn backend(&self, id: BackendId, addresses: Addresses) -> Backend {
        let host = |name: &String| if name.contains(':') { format!("[{name}]") } else { name.clone() };
        let secured = self.secure.as_ref().map(|name| match self.authority.port {
            HTTPS => host(name),
            port => format!("{}:{port}", host(name)),
        });
        let secured = secured.map(String::into_boxed_str);
        Backend { id, name: self.name(), addresses, weight: self.weight, max: self.max, secured }
    }
}

const ONE_EACH: &str = "one backend for each flag: write --backend HOST:PORT --backend HOST:PORT";

/// The port of an `https` URI that names none (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// A host without the brackets of an address.
fn bare(host: &Host) -> String {
    match host {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    }
}

/// The authority of an `https` URI, its port written out.
fn with_port(text: &str) -> String {
    let (authority, slash) = match text.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (text, String::new()),
    };
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    if has_port || authority.is_empty() { text.to_owned() } else { format!("{authority}:{HTTPS}{slash}") }
}

/// Reads the host and port of a backend. Common mistakes are answered with the words to write instead.
fn authority(text: &str) -> Result<HostPort, String> {
    if ["unix:", "unix//", "/", "./"].iter().any(|start| text.starts_with(start)) {
        return Err("backends are spoken to over TCP, not over Unix sockets: write HOST:PORT".to_owned());
    }
    if text.contains(char::is_whitespace) {
        let several = text.split_whitespace().count() > 1;
        return Err(if several { ONE_EACH.to_owned() } else { "leave out the space".to_owned() });
    }
    let plain = text.strip_prefix("http://").unwrap_or(text);
    if let Some((authority, path)) = plain.split_once('/')
        && !plain.contains("://")
        && !path.trim_matches('/').is_empty()
    {
        return Err(format!("a backend has no path, each request brings its own: write {authority}"));
    }
    plain.trim_end_matches('/').parse().map_err(|error: net::Error| match error {
        // clap names the text itself.
        net::Error::Address { problem, .. } => problem.to_owned(),
        other => other.to_string(),
    })
}

/// A name as it may stand in `Host`, without a port: ports do not tell one page from another.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    match Authority::parse(text.as_bytes()) {
        Ok(Authority { host, port: None }) if host == text => Ok(host.to_owned()),
        _ => Err("write a host name without a port, for example proxy-1.internal".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends() {
        let spec = |authority: &str, weight, max| {
            Ok(BackendSpec { authority: authority.parse().unwrap(), weight, max, secure: None })
        };
        let cases: &[(&str, Result<BackendSpec, &str>)] = &[
            ("localhost:3000", spec("localhost:3000", 1, None)),
            ("[::1]:80,weight=3", spec("[::1]:80", 3, None)),
            ("10.0.0.1:80,max=50,weight=1000", spec("10.0.0.1:80", 1000, Some(50))),
            ("http://localhost:3000/", spec("localhost:3000", 1, None)),
            ("localhost", Err("the port is missing, as in localhost:3000")),
            ("[::1]", Err("the port is missing, as in [::1]:3000")),
            ("::1", Err("an IPv6 address needs brackets, as in [::1]:8080")),
            (":80", Err("the host is missing, as in localhost:3000")),
            ("3000", Err("the host is missing, as in localhost:3000")),
            ("a:0", Err("port 0 can be listened on but not connected to")),
            ("", Err("the port is missing, as in localhost:3000")),
            ("h:3000/path", Err("a backend has no path, each request brings its own: write h:3000")),
            ("http://h:3000/a/b", Err("a backend has no path, each request brings its own: write h:3000")),
            ("http://h/", Err("the port is missing, as in localhost:3000")),
            ("ftp://h:1", Err("leave out the scheme, as in localhost:3000")),
            ("unix:/x", Err("backends are spoken to over TCP, not over Unix sockets: write HOST:PORT")),
            ("/run/x.sock", Err("backends are spoken to over TCP, not over Unix sockets: write HOST:PORT")),
            ("a:1 b:2", Err("one backend for each flag")),
            ("a:1,b:2", Err("one backend for each flag")),
            (" a:1", Err("leave out the space")),
            ("a:1,weight=0", Err("weight: must be at least 1")),
            ("a:1,weight=1001", Err("weight: must be at most 1000")),
            ("a:1,weight=much", Err("weight: not a whole number")),
            ("a:1,max=0", Err("max: must be at least 1")),
            ("a:1,max=-1", Err("max: must be at least 1")),
            ("a:1,wait=3", Err("'wait=3' is neither")),
        ];
        check(cases);
    }

    #[test]
    fn secured_backends() {
        let secure = |authority: &str, name: &str| {
            let authority = authority.parse().unwrap();
            Ok(BackendSpec { authority, weight: 1, max: None, secure: Some(name.to_owned()) })
        };
        let cases: &[(&str, Result<BackendSpec, &str>)] = &[
            ("https://h", secure("h:443", "h")),
            ("https://h/", secure("h:443", "h")),
            ("https://h:8443/", secure("h:8443", "h")),
            ("https://[::1]", secure("[::1]:443", "::1")),
            ("https://[::1]:8443", secure("[::1]:8443", "::1")),
            ("https://10.0.0.1:8443,name=a.example", secure("10.0.0.1:8443", "a.example")),
            ("https://", Err("the port is missing")),
            ("https://h/x", Err("a backend has no path")),
            ("https://::1", Err("an IPv6 address needs brackets")),
            ("https://h,name=", Err("name: write a host name")),
            ("https://h,name=a:1", Err("name: write a host name")),
            ("https://h,https://i", Err("one backend for each flag")),
            ("h:1,name=a", Err("name= is the name in a certificate")),
        ];
        check(cases);
    }

    fn check(cases: &[(&str, Result<BackendSpec, &str>)]) {
        for (text, expected) in cases {
            match (text.parse::<BackendSpec>(), expected) {
                (Ok(spec), Ok(expected)) => assert_eq!(spec, *expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.starts_with(*expected), "{text}: {error}"),
                (result, expected) => panic!("{text}: {result:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_secured_backend_has_its_scheme_in_its_name_and_the_verified_host_in_its_authority() {
        for (text, name, authority) in [
            ("h:80,weight=2", "h:80", "h:80"),
            ("https://h", "https://h:443", "h"),
            ("https://h:8443,weight=2", "https://h:8443", "h:8443"),
            ("https://[::1]:8443", "https://[::1]:8443", "[::1]:8443"),
            ("https://10.0.0.1,name=a.example", "https://10.0.0.1:443,name=a.example", "a.example"),
        ] {
            let spec: BackendSpec = text.parse().unwrap();
            let backend = spec.backend(BackendId(0), Addresses::new(&[]));
            assert_eq!((backend.name.as_str(), backend.authority()), (name, authority), "{text}");
            assert_eq!(backend.secured.is_some(), spec.secure.is_some(), "{text}");
        }
    }
}
