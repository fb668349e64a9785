//! Errors of sockets, and what to do about each.

use super::connect;
use nix::errno::Errno;
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

/// A call that failed. Displayed, it is one line that names what was tried and what helps.
#[derive(Debug)]
pub enum Error {
    /// The text is no address to listen on or to connect to.
    Address {
        /// The text as the user wrote it.
        text: String,
        /// The mistake in it.
        problem: &'static str,
    },
    /// No address is known for the name.
    Resolve {
        /// The host's name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The backlog of a listener is out of range.
    Backlog(u32),
    /// No listener at the address.
    Listen {
        /// Where it was to listen.
        at: SocketAddr,
        /// The flag with which the user chose that address; `None`: the program did.
        flag: Option<&'static str>,
        /// The system's error.
        source: io::Error,
    },
    /// No connection to the address.
    Connect {
        /// Where to.
        to: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The limit of open files cannot be read or raised.
    Descriptors(io::Error),
    /// The kernel does not do I/O for us (io_uring).
    IoUring(io::Error),
    /// Signals cannot be waited for.
    Signals(io::Error),
}

impl Error {
    /// Whether the user's words are wrong (exit code 2) rather than the circumstances (exit code 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Backlog(_) => true,
            Self::IoUring(source) => why_no_io_uring(source).is_some(),
            _ => false,
        }
    }

    /// The system's error, in its own categories.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Address { .. } | Self::Backlog(_) => io::ErrorKind::InvalidInput,
            Self::Connect { source, .. } => connect::kind_of(source),
            Self::Resolve { source, .. } | Self::Listen { source, .. } => source.kind(),
            Self::Descriptors(source) | Self::Signals(source) | Self::IoUring(source) => source.kind(),
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
            Self::Listen { at, flag, source } => listen_failed(f, *at, *flag, source),
            Self::Connect { to, source } => connect_failed(f, *to, source),
            Self::Descriptors(source) => {
                write!(f, "cannot raise the limit of open files: {source}; raise it with `ulimit -n`")
            }
            Self::IoUring(source) => match why_no_io_uring(source) {
                Some(why) => {
                    write!(f, "io_uring is not available: {why}; use --driver epoll, or event-driven, instead")
                }
                None => write!(f, "cannot set up io_uring: {}", Advised(source)),
            },
            Self::Signals(source) => write!(f, "cannot wait for signals: {}", Advised(source)),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { .. } | Self::Backlog(_) => None,
            Self::Resolve { source, .. } | Self::Listen { source, .. } | Self::Connect { source, .. } => Some(source),
            Self::Descriptors(source) | Self::IoUring(source) | Self::Signals(source) => Some(source),
        }
    }
}

/// Why this system will never have what is needed; `None` if it was bad luck.
fn why_no_io_uring(source: &io::Error) -> Option<&'static str> {
    match source.kind() {
        io::ErrorKind::Unsupported => Some("this kernel has none"),
        io::ErrorKind::PermissionDenied => {
            Some("it is forbidden here, by a container's seccomp profile or by `sysctl kernel.io_uring_disabled`")
        }
        io::ErrorKind::InvalidInput => Some("this kernel is older than Linux 6.0"),
        _ => None,
    }
}

/// The system's message, and advice where the message alone does not help.
pub(crate) struct Advised<'e>(pub(crate) &'e io::Error);

impl fmt::Display for Advised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE) => f.write_str("; raise the limit with `ulimit -n`"),
            _ => Ok(()),
        }
    }
}

fn listen_failed(
    f: &mut fmt::Formatter<'_>,
    at: SocketAddr,
    flag: Option<&'static str>,
    source: &io::Error,
) -> fmt::Result {
    let (ip, port) = (at.ip(), at.port());
    let choose =
        |what: &str, more: &str| flag.map_or_else(String::new, |flag| format!(": choose {what} with {flag}{more}"));
    // Only what clients use is meant to be reached from everywhere.
    let everywhere = |all: &str| if flag == Some("--listen") { format!(", or {all} for all") } else { String::new() };
    match source.kind() {
        io::ErrorKind::AddrInUse if port == 0 => write!(f, "no port of {ip} is free"),
        io::ErrorKind::AddrInUse => write!(f, "port {port} is in use{}", choose("another", "")),
        io::ErrorKind::PermissionDenied => {
            let how = choose("one above 1023", ", or run with CAP_NET_BIND_SERVICE");
            write!(f, "port {port} needs privileges{how}")
        }
        io::ErrorKind::AddrNotAvailable => {
            write!(f, "{ip} is not an address of this machine{}", choose("one", &everywhere("0.0.0.0")))
        }
        io::ErrorKind::InvalidInput if is_link_local(ip) => {
            write!(f, "{ip} is an address in one network only{}", choose("another", &everywhere("[::]")))
        }
        _ => {
            let by = flag.map_or_else(String::new, |flag| format!(", as {flag} says"));
            write!(f, "cannot listen on {at}{by}: {}", Advised(source))
        }
    }
}

fn connect_failed(f: &mut fmt::Formatter<'_>, to: SocketAddr, source: &io::Error) -> fmt::Result {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => write!(f, "nothing listens on {to}: start the server, or check the port"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            write!(f, "{to} does not answer: check the address, or a firewall in between")
        }
        io::ErrorKind::InvalidInput if is_link_local(to.ip()) => {
            write!(f, "{} is an address in one network only: give another, or a name", to.ip())
        }
        _ => write!(f, "cannot connect to {to}: {}", Advised(source)),
    }
}

/// Whether an address names a machine only together with a network interface (RFC 4291 §2.5.6). Interfaces are not
/// taken here.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn every_failure_says_what_to_do() {
        let at: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let listen = |kind: io::ErrorKind| Error::Listen { at, flag: Some("--listen"), source: kind.into() };
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
            (
                Error::Listen {
                    at: "[fe80::1]:80".parse().unwrap(),
                    flag: Some("--listen"),
                    source: Errno::EINVAL.into(),
                },
                "fe80::1 is an address in one network only: choose another with --listen, or [::] for all",
            ),
            (
                Error::Connect { to: "[fe80::1]:80".parse().unwrap(), source: Errno::EINVAL.into() },
                "fe80::1 is an address in one network only: give another, or a name",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.source().is_none(), error.is_usage());
        }
    }

    #[test]
    fn a_listener_that_fails_names_the_flag_that_chose_its_address() {
        let at: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let admin = |kind: io::ErrorKind| Error::Listen { at, flag: Some("--admin"), source: kind.into() };
        let cases = [
            (admin(io::ErrorKind::AddrInUse), "port 80 is in use: choose another with --admin"),
            (
                admin(io::ErrorKind::PermissionDenied),
                "port 80 needs privileges: choose one above 1023 with --admin, or run with CAP_NET_BIND_SERVICE",
            ),
            (
                admin(io::ErrorKind::AddrNotAvailable),
                "127.0.0.1 is not an address of this machine: choose one with --admin",
            ),
            (
                Error::Listen {
                    at: "127.0.0.1:0".parse().unwrap(),
                    flag: Some("--listen"),
                    source: io::ErrorKind::AddrInUse.into(),
                },
                "no port of 127.0.0.1 is free",
            ),
            (
                Error::Listen { at, flag: Some("--admin"), source: Errno::EMFILE.into() },
                "cannot listen on 127.0.0.1:80, as --admin says: Too many open files (os error 24); raise the limit with `ulimit -n`",
            ),
            (
                Error::Listen { at, flag: None, source: io::ErrorKind::PermissionDenied.into() },
                "port 80 needs privileges",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_kernel_without_io_uring_is_the_users_choice_and_one_without_memory_is_not() {
        let cases = [
            (Errno::ENOSYS, true, "this kernel has none"),
            (Errno::EPERM, true, "it is forbidden here"),
            (Errno::EINVAL, true, "older than Linux 6.0"),
            (Errno::ENOMEM, false, "cannot set up io_uring"),
            (Errno::EMFILE, false, "cannot set up io_uring"),
        ];
        for (errno, usage, text) in cases {
            let error = Error::IoUring(errno.into());
            assert_eq!(error.is_usage(), usage, "{errno}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
