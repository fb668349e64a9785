//! The flags of everything that listens.

use super::LogFilter;
use crate::net::{self, ListenOptions, address::parse_listener};
use crate::units::{duration, number};
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

/// Flattened into every server's flags: where to listen, how to stop, how much to say.
#[derive(Debug, Clone, clap::Args)]
pub struct ListenArgs {
    /// Address to listen on; with port 0 the system chooses one, and the READY line tells which.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,
    /// Connections that may wait in the kernel until they are accepted.
    #[arg(long, value_name = "N", default_value = "1024", value_parser = number::<u32>(1..=65_535))]
    pub backlog: u32,
    /// How long running work may take to finish after SIGINT or SIGTERM; a second signal ends it at once.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// off, error, warn, info, debug or trace; also by module: info,socket_patterns::proxy=debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: LogFilter,
}

impl ListenArgs {
    /// Opens the listener that the flags ask for.
    ///
    /// # Errors
    ///
    /// Those of [`net::listen()`]; they say what to do.
    pub fn open(&self) -> Result<TcpListener, net::Error> {
        net::listen(&self.options())
    }

    /// How to listen, for programs that open several listeners.
    #[must_use]
    pub fn options(&self) -> ListenOptions {
        ListenOptions { backlog: self.backlog, ..ListenOptions::set_by("--listen", self.listen) }
    }
}

/// Reads an address to listen on for clap: see [`parse_listener`].
///
/// # Errors
///
/// A line that says what to write instead.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    // clap names the text itself.
    parse_listener(text).map_err(|error| match error {
        net::Error::Address { problem, .. } => problem.to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Server {
        #[command(flatten)]
        listen: ListenArgs,
    }

    fn parse(flags: &[&str]) -> Result<ListenArgs, clap::Error> {
        Server::try_parse_from([&["server"], flags].concat()).map(|server| server.listen)
    }

    #[test]
    fn without_flags_it_listens_on_loopback() {
        let args = parse(&[]).unwrap();
        assert_eq!((args.listen.to_string().as_str(), args.backlog), ("127.0.0.1:8080", 1024));
        assert_eq!(args.drain_timeout, Duration::from_secs(10));
    }

    #[test]
    fn they_open_a_listener_or_say_which_of_them_is_wrong() {
        let listener = parse(&["--listen", "localhost:0"]).unwrap().open().unwrap();
        let taken = listener.local_addr().unwrap();
        assert!(taken.port() > 0);
        let error = parse(&["--listen", &taken.to_string()]).unwrap().open().unwrap_err();
        assert!(error.to_string().ends_with("is in use: choose another with --listen"), "{error}");
    }

    #[test]
    fn flags_are_read_and_wrong_ones_refused() {
        let args =
            parse(&["--listen", "[::1]:0", "--backlog", "1", "--drain-timeout", "250ms", "--log-level", "debug"]);
        let args = args.unwrap();
        assert_eq!((args.listen.port(), args.backlog, args.drain_timeout.as_millis()), (0, 1, 250));
        const WRONG: &[(&[&str], &str)] = &[
            (&["--listen", "8080"], "a port alone needs a colon"),
            (&["--listen", "example.com:8080"], "give the IP address"),
            (&["--listen", "127.0.0.1:65536"], "the port is a number from 0 to 65535"),
            (&["--backlog", "0"], "must be at least 1"),
            (&["--backlog", "65536"], "must be at most 65535"),
            (&["--drain-timeout", "10"], "write 30s or 250ms"),
            (&["--log-level", "loud"], "write off, error, warn, info, debug or trace"),
        ];
        for (flags, hint) in WRONG {
            let error = parse(flags).unwrap_err();
            assert!(error.to_string().contains(hint), "{flags:?}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
