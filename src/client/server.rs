//! The place of the server: fixed addresses, or those that its name has at the moment.
//!
//! A server that comes back after an outage often comes back elsewhere: on another machine, in another container. So a
//! name is looked up anew for every connection, and all addresses that it has are tried, one after the other
//! ([`Dial`]). All of that takes no longer than one try to connect may take.
//!
//! The system's resolver blocks, for much longer than that if a name server is down. So it is asked on a thread of its own,
//! and an answer that comes too late is not waited for.
//!
//! ```
//! use socket_patterns::client::{Client, Config, Request, Server, demo};
//!
//! // A register of our own instead of DNS: it knows an old address, at which nobody is any more, and a new one.
//! let (gone, there) = (demo::command_server()?.address(), demo::command_server()?);
//! let addresses = vec![gone, there.address()];
//! let server = Server::found_by("commands", move || Ok(addresses.clone()));
//! let client = Client::connect(server, Config::default())?;
//! assert_eq!(client.ask(Request::new("PING")?)?.text, "PONG");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::Cause;
use crate::{
    backend::Addresses,
    net::{
        self,
        address::{Host, HostPort},
        clock, connect, resolve,
    },
    resilience::{DeadlineBudget, Dial},
};
use std::{
    fmt, io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

/// The result of looking for it: its addresses, best first, of which there is at least one.
pub(super) type Found = Result<Vec<SocketAddr>, net::Error>;

/// The server of a client. Copies share the memory of the address that worked last.
#[derive(Clone)]
pub struct Server {
    name: Arc<str>,
    place: Place,
    worked: Arc<Mutex<Option<SocketAddr>>>,
}

#[derive(Clone)]
enum Place {
    Fixed(Arc<[SocketAddr]>),
    Sought(Arc<dyn Fn() -> Found + Send + Sync>),
}

impl Server {
    /// A server that `find` finds, for names that are not in DNS. It is called before every connection, on a thread of its
    /// own, and may block. `name` is for messages.
    #[must_use]
    pub fn found_by(
        name: &str,
        find: impl Fn() -> Result<Vec<SocketAddr>, net::Error> + Send + Sync + 'static,
    ) -> Self {
        Self::at(name, Place::Sought(Arc::new(find)))
    }

    fn at(name: &str, place: Place) -> Self {
        Self { name: name.into(), place, worked: Arc::default() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Looks it up and calls `done`: before this returns, if that needs no looking, else on another thread.
    ///
    /// # Errors
    ///
    /// The system has no room for another thread.
    pub(super) fn look_up(&self, done: impl FnOnce(Found) + Send + 'static) -> io::Result<()> {
        let name = self.name.clone();
        let done = move |found: Found| {
            done(match found {
                Ok(addresses) if addresses.is_empty() => Err(unknown(&name, io::ErrorKind::NotFound)),
                found => found,
            });
        };
        match &self.place {
            Place::Fixed(addresses) => {
                done(Ok(addresses.to_vec()));
                Ok(())
            }
            Place::Sought(find) => {
                let find = find.clone();
                resolve::spawn(move || find(), done)
            }
        }
    }

    /// Connects within `timeout`, and waits for it; tells to which address.
    ///
    /// # Errors
    ///
    /// It has no address, or what the last one said.
    pub(super) fn connect(&self, timeout: Duration) -> Result<(SocketAddr, TcpStream), net::Error> {
        let now = || clock::now().instant;
        let budget = DeadlineBudget::new(timeout, now());
        let (sender, found) = mpsc::channel();
        // If the result comes too late, the receiver is gone.
        let begun = self.look_up(move |found| drop(sender.send(found)));
        begun.map_err(|source| net::Error::Resolve { host: self.name.to_string(), source })?;
        let late = |_| Err(unknown(&self.name, io::ErrorKind::TimedOut));
        let mut dial = self.dial(&found.recv_timeout(timeout).unwrap_or_else(late)?, budget);
        // There is at least one address: if none is tried, the time is over.
        let mut failed = unknown(&self.name, io::ErrorKind::TimedOut);
        while let Some((address, share)) = dial.next(now()) {
            match connect::connect(address, share) {
                Ok(stream) => {
                    self.remember(address);
                    return Ok((address, stream));
                }
                Err(error) if dial.failed(error.kind()) => failed = error,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    /// How the addresses that were found are tried: the one that worked last comes first, if it is still one of them.
    pub(super) fn dial(&self, found: &[SocketAddr], budget: DeadlineBudget) -> Dial {
        let addresses = Addresses::new(found);
        let worked = *self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = worked.and_then(|worked| addresses.list().iter().position(|address| *address == worked)) {
            addresses.remember(index);
        }
        Dial::new(&addresses, budget)
    }

    /// A connection to this address was opened.
    pub(super) fn remember(&self, address: SocketAddr) {
        *self.worked.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

fn unknown(name: &str, kind: io::ErrorKind) -> net::Error {
    net::Error::Resolve { host: name.to_owned(), source: kind.into() }
}

/// Why there is no connection, without the details of where to.
pub(super) fn cause_of(error: &net::Error) -> Cause {
    match error {
        net::Error::Resolve { .. } if error.kind() != io::ErrorKind::TimedOut => Cause::Unresolved,
        _ => Cause::Connect(error.kind()),
    }
}

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Self::from(&[address][..])
    }
}

/// Several addresses of one server.
impl From<&[SocketAddr]> for Server {
    fn from(addresses: &[SocketAddr]) -> Self {
        let name = addresses.first().map_or_else(|| "a server without an address".to_owned(), ToString::to_string);
        Self::at(&name, Place::Fixed(addresses.into()))
    }
}

impl From<HostPort> for Server {
    fn from(at: HostPort) -> Self {
        match at.host {
            Host::Ip(ip) => Self::from(SocketAddr::new(ip, at.port)),
            Host::Name(_) => Self::found_by(&at.to_string(), move || resolve::resolve(&at)),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn the_address_that_worked_is_tried_first_wherever_it_is_found_next() {
        let addresses: Vec<SocketAddr> = (1..=3).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let server = Server::from(&addresses[..]);
        let first = |found: &[SocketAddr]| {
            let now = clock::now().instant;
            server.dial(found, DeadlineBudget::new(PATIENCE, now)).next(now).map(|(address, _)| address)
        };
        assert_eq!(first(&addresses), Some(addresses[0]));
        server.clone().remember(addresses[2]);
        assert_eq!((first(&addresses), first(&addresses[1..])), (Some(addresses[2]), Some(addresses[2])));
        assert_eq!(first(&addresses[..2]), Some(addresses[0]), "it is gone");
    }

    #[test]
    fn the_next_address_is_tried_when_one_refuses() {
        let (there, address) = listener();
        let refusing = listener().1;
        let server = Server::from(&[refusing, address, refusing][..]);
        let (to, stream) = server.connect(PATIENCE).unwrap();
        assert_eq!((to, there.accept().unwrap().1), (address, stream.local_addr().unwrap()));
        drop(there);
        let error = server.connect(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
    }

    #[test]
    fn a_caller_without_time_left_is_not_told_that_the_name_is_wrong() {
        let (_there, address) = listener();
        let error = Server::from(address).connect(Duration::ZERO).unwrap_err();
        assert!(matches!(cause_of(&error), Cause::Connect(io::ErrorKind::TimedOut)), "{error}");
    }

    #[test]
    fn a_name_that_is_not_found_in_time_is_not_waited_for() {
        let (release, held) = mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let server = Server::found_by("slow.example:80", move || {
            let _ = held.lock().unwrap().recv();
            Ok(Vec::new())
        });
        let error = server.connect(Duration::from_millis(20)).unwrap_err();
        assert!(matches!(cause_of(&error), Cause::Connect(io::ErrorKind::TimedOut)), "{error}");
        drop(release);
        let error = server.connect(PATIENCE).unwrap_err();
        assert!(matches!(cause_of(&error), Cause::Unresolved) && error.to_string().contains("slow.example"), "{error}");
        let nobody = Server::from(&[][..]);
        assert!(matches!(nobody.connect(PATIENCE), Err(net::Error::Resolve { .. })));
    }
}
