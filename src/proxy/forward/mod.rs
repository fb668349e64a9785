//! The part of a proxy that makes it a forward proxy: its clients name the server.
//!
//! ```text
//!  GET http://a.example/x ──▶ wanted.rs ──▶ names.rs ──▶ guard.rs ──▶ origins.rs ──▶ pool, exchange
//!  CONNECT a.example:443      which host,   which        which of     which id, for
//!                             which port    addresses    them         as long as it is used
//! ```
//!
//! Where a reverse proxy asks its balancer which backend it is, an exchange here asks [`Forward::find`]. All else is the
//! same: an origin is a [`Backend`] that was not known before.
//!
//! One lock keeps what all workers know. A request for a server that is known holds it for one look into a table; a name is
//! resolved on a thread of its own (`system.rs`), and the workers that wait for it get mail.

mod args;
mod denied;
mod guard;
mod names;
mod origins;
mod places;
mod reserved;
mod system;
mod users;
mod wanted;

pub use args::ForwardArgs;
pub use denied::Denied;
pub use guard::Guard;
pub(super) use origins::TUNNELS;
pub use places::{NameRules, Pattern, Place, Trust};
pub use reserved::Reserved;
pub(super) use system::System;
pub use users::Users;
pub(super) use wanted::refusal;
pub use wanted::{Host, host};

use super::questions::Look;
use crate::{
    backend::Backend,
    cache::{Mail, Ticket},
    http::{RequestHead, basic_user},
    time::Instant,
};
use names::{Answer, Names, names};
use origins::{Origins, of_tunnel};
use std::{
    fmt::{self, Write as _},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wanted::Wanted;

/// The ports that clients are connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// For tunnels.
    pub connect: Vec<u16>,
    /// For plain HTTP, beside 80 and those from 1024 on.
    pub http: Vec<u16>,
}

/// The first port that is not well-known. Servers on lower ports speak other protocols, and some of these
/// take an HTTP request for commands: mail is sent so.
const FIRST_FREE_PORT: u16 = 1024;

impl Default for Ports {
    fn default() -> Self {
        Self { connect: vec![443], http: Vec::new() }
    }
}

impl Ports {
    /// Whether a tunnel may lead there.
    #[must_use]
    pub fn is_for_connect(&self, port: u16) -> bool {
        self.connect.contains(&port)
    }

    /// Whether plain HTTP may be spoken there.
    #[must_use]
    pub fn is_for_http(&self, port: u16) -> bool {
        port == 80 || port >= FIRST_FREE_PORT || self.http.contains(&port)
    }
}

/// Where clients may go, and which clients.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Addresses and names.
    pub guard: Guard,
    /// Ports.
    pub ports: Ports,
    /// The clients; `None`: all that reach this proxy.
    pub users: Option<Arc<Users>>,
}

impl Rules {
    /// The user that a request is of which was let in, where there are users.
    pub(super) fn user(&self, head: &RequestHead) -> Option<Box<str>> {
        self.users.as_ref().and_then(|_| basic_user(&head.fields, "proxy-authorization"))
    }
}

/// Hears the addresses of a name, best first, or why there are none.
pub type Done = Box<dyn FnOnce(Result<Vec<IpAddr>, Denied>) + Send>;

/// Finds the addresses of names.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Has `name` asked for, and `done` called once, perhaps before this returns. It must not block: it is called on the thread of
    /// an event loop.
    fn ask(&self, name: &str, done: Done);
}

/// The servers that the clients of all workers name.
pub(super) struct Forward {
    guard: Guard,
    resolver: Arc<dyn Resolver>,
    book: Mutex<Book>,
    /// For exchanges that wait for a name.
    pub(super) mail: Mail,
}

#[derive(Debug)]
struct Book {
    names: Names,
    origins: Origins,
    /// The name that is looked for, as it is kept.
    spelled: String,
}

/// The server that a request is for.
#[derive(Debug)]
pub(super) enum Found {
    /// This one, at addresses that the guard lets pass.
    Origin(Arc<Backend>),
    /// Its name is being asked for: a ticket comes by mail.
    Asked,
    /// None.
    Denied(Denied),
}

impl Forward {
    /// With up to `origins` servers at once, beside those of tunnels.
    pub(super) fn new(guard: Guard, origins: u16, resolver: Arc<dyn Resolver>, mail: Mail) -> Self {
        let book = Book { names: names(), origins: Origins::new(origins), spelled: String::new() };
        Self { guard, resolver, book: Mutex::new(book), mail }
    }

    /// Finds the server of a request from `client`. The exchange `who` gets mail if that has to wait: then it looks again.
    pub(super) fn find(self: &Arc<Self>, head: &RequestHead, client: IpAddr, who: Ticket, now: Instant) -> Found {
        let wanted = match Wanted::of(head) {
            Ok(wanted) => wanted,
            Err(denied) => return Found::Denied(denied),
        };
        let name = match self.lock().look(&wanted, &self.guard, client, who, now) {
            Ok(found) => return found,
            Err(name) => name,
        };
        let this = self.clone();
        let asked = name.clone();
        self.resolver.ask(&name, Box::new(move |answer| this.answered(&asked, answer.map(Arc::from))));
        Found::Asked
    }

    fn answered(&self, name: &str, answer: Answer) {
        let waiting = self.lock().names.answered(name, answer);
        self.mail.post(&waiting);
    }

    /// The servers that are known, but for those of tunnels: for statistics.
    pub(super) fn list(&self) -> Vec<Arc<Backend>> {
        self.lock().origins.list()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // A panic under the lock would leave a name that is asked for in vain, or a place that is not used: nothing worse.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// `Err`: this name has to be asked for.
    fn look(
        &mut self,
        wanted: &Wanted<'_>,
        guard: &Guard,
        client: IpAddr,
        who: Ticket,
        now: Instant,
    ) -> Result<Found, String> {
        spell(&mut self.spelled, wanted);
        if !wanted.tunnel
            && let Some(origin) = self.origins.find(&self.spelled, now)
        {
            return Ok(Found::Origin(origin));
        }
        let trust = match guard.names.judge(wanted.host) {
            Ok(trust) => trust,
            Err(denied) => return Ok(Found::Denied(denied)),
        };
        let (addresses, until) = match wanted.host {
            Host::Ip(address) => (guard.filter(&[address], trust), None),
            Host::Name(_) => {
                let name = self.spelled.rsplit_once(':').map_or("", |(name, _)| name);
                match self.names.look(name, client, who, now) {
                    Look::Ask => return Err(name.to_owned()),
                    Look::Wait => return Ok(Found::Asked),
                    Look::Busy => return Ok(Found::Denied(Denied::ManyNames)),
                    Look::Known(answer, until) => {
                        (answer.and_then(|addresses| guard.filter(&addresses, trust)), Some(until))
                    }
                }
            }
        };
        let found = addresses.and_then(|addresses| {
            let at: Vec<SocketAddr> = addresses.iter().map(|address| (*address, wanted.port).into()).collect();
            if wanted.tunnel {
                Ok(of_tunnel(&self.spelled, &at))
            } else {
                self.origins.enter(&self.spelled, &at, until, now)
            }
        });
        Ok(found.map_or_else(Found::Denied, Found::Origin))
    }
}

/// Host in lower case, and port: one spelling for one server.
fn spell(out: &mut String, wanted: &Wanted<'_>) {
    out.clear();
    // Writing to a string does not fail.
    let _ = match wanted.host {
        Host::Ip(address) => write!(out, "{}", SocketAddr::new(address, wanted.port)),
        Host::Name(name) => {
            out.extend(name.chars().map(|letter| letter.to_ascii_lowercase()));
            write!(out, ":{}", wanted.port)
        }
    };
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("guard", &self.guard).field("book", &self.book).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
