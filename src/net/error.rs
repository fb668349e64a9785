//! What went wrong with a socket, and what to do about it.

use std::{fmt, io, net::SocketAddr};

/// A call that failed. Displayed, it is one line that names what was tried and what helps.
#[derive(Debug)]
pub enum Error {
    /// The text is no address to listen on or to connect to.
    Address {
        /// What the user wrote.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No address is known for the name.
    Resolve {
        /// The host's name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The backlog of a listener is out of range.
    Backlog(u32),
    /// No listener at the address.
    Listen {
        /// Where it was to listen.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No connection to the address.
    Connect {
        /// Where to.
        to: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The limit of open files cannot be read or raised.
    Descriptors(io::Error),
    /// Signals cannot be waited for.
    Signals(io::Error),
}

impl Error {
    /// Whether the user's words are wrong (exit code 2) rather than the circumstances (exit code 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Backlog(_))
    }

    /// What the system said, in its own categories.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Address { .. } | Self::Backlog(_) => io::ErrorKind::InvalidInput,
            Self::Resolve { source, .. } | Self::Listen { source, .. } | Self::Connect { source, .. } => source.kind(),
            Self::Descriptors(source) | Self::Signals(source) => source.kind(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { text, problem } => write!(f, "{text:?} is not an address: {problem}"),
            Self::Resolve { host, source } => {
                write!(f, "no address for {host:?}: {source}; check the spelling, or give an IP address")
            }
            Self::Backlog(backlog) => write!(f, "a backlog of {backlog} is not possible: choose 1 to {}", i32::MAX),
            Self::Listen { at, source } => listen_failed(f, *at, source),
            Self::Connect { to, source } => connect_failed(f, *to, source),
            Self::Descriptors(source) => {
                write!(f, "cannot raise the limit of open files: {source}; raise it with `ulimit -n`")
            }
            Self::Signals(source) => write!(f, "cannot wait for signals: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { .. } | Self::Backlog(_) => None,
            Self::Resolve { source, .. } | Self::Listen { source, .. } | Self::Connect { source, .. } => Some(source),
            Self::Descriptors(source) | Self::Signals(source) => Some(source),
        }
    }
}

fn listen_failed(f: &mut fmt::Formatter<'_>, at: SocketAddr, source: &io::Error) -> fmt::Result {
    let port = at.port();
    match source.kind() {
        io::ErrorKind::AddrInUse => write!(f, "port {port} is in use: choose another with --listen"),
        io::ErrorKind::PermissionDenied => {
            write!(
                f,
                "port {port} needs privileges: choose one above 1023 with --listen, or run with CAP_NET_BIND_SERVICE"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            write!(f, "{} is not an address of this machine: choose one with --listen, or 0.0.0.0 for all", at.ip())
        }
        _ => write!(f, "cannot listen on {at}: {source}"),
    }
}

fn connect_failed(f: &mut fmt::Formatter<'_>, to: SocketAddr, source: &io::Error) -> fmt::Result {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => write!(f, "nothing listens on {to}: start the server, or check the port"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            write!(f, "{to} does not answer: check the address, or a firewall in between")
        }
        _ => write!(f, "cannot connect to {to}: {source}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn every_failure_says_what_to_do() {
        let at: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let listen = |kind: io::ErrorKind| Error::Listen { at, source: kind.into() };
        let connect = |kind: io::ErrorKind| Error::Connect { to: at, source: kind.into() };
        let cases = [
            (listen(io::ErrorKind::AddrInUse), "port 80 is in use: choose another with --listen"),
            (
                listen(io::ErrorKind::PermissionDenied),
                "port 80 needs privileges: choose one above 1023 with --listen, or run with CAP_NET_BIND_SERVICE",
            ),
            (
                listen(io::ErrorKind::AddrNotAvailable),
                "127.0.0.1 is not an address of this machine: choose one with --listen, or 0.0.0.0 for all",
            ),
            (
                connect(io::ErrorKind::ConnectionRefused),
                "nothing listens on 127.0.0.1:80: start the server, or check the port",
            ),
            (
                connect(io::ErrorKind::TimedOut),
                "127.0.0.1:80 does not answer: check the address, or a firewall in between",
            ),
            (Error::Backlog(0), "a backlog of 0 is not possible: choose 1 to 2147483647"),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.source().is_none(), error.is_usage());
        }
    }
}
