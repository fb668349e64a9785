//! Where a proxy listens: the sockets, which worker has which of them, and how another configuration changes that.
//!
//! At each address, each worker has a listener of its own. The sockets are kept here, too: a listener that is closed while connections
//! wait in its queue resets them, so the next process gets the same sockets.

use crate::{
    app::ListenerId,
    cli::Failure,
    net::{
        ListenOptions, Remote, StillOpen,
        handover::{Inherited, Place},
        listen::listen_together,
    },
};
use std::{
    net::{SocketAddr, TcpListener},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The first number of listeners that speak TLS. Those with lower numbers do not.
pub(super) const FIRST_SECURE: ListenerId = ListenerId(128);

/// The numbers of listeners that hear from a trusted proxy first whose connection it is: the second half of either kind.
pub(super) const ANNOUNCED: [Range<u8>; 2] = [64..128, 192..255];

/// Addresses as a configuration has them: without TLS, with it, and which of both, in this order, are announced.
pub(super) type Asked<'a> = (&'a [ListenOptions], &'a [ListenOptions], &'a [bool]);

/// Whether TLS is spoken, and whether connections are announced.
type Use = (bool, bool);

/// One address.
#[derive(Debug)]
struct Port {
    /// As the configuration has it: its port may be 0.
    asked: SocketAddr,
    /// As the system has it.
    at: SocketAddr,
    id: ListenerId,
    /// As a rule one for each worker; of another process, as many as that had.
    sockets: Vec<TcpListener>,
}

impl Port {
    fn is_secure(&self) -> bool {
        self.id >= FIRST_SECURE
    }

    fn is_announced(&self) -> bool {
        ANNOUNCED.iter().any(|ids| ids.contains(&self.id.0))
    }

    fn use_of(&self) -> Use {
        (self.is_secure(), self.is_announced())
    }

    /// Those of a worker: each socket is somebody's, and each worker has one.
    fn of_worker(&self, worker: usize, workers: usize) -> impl Iterator<Item = &TcpListener> {
        let all = self.sockets.len();
        let own = move |(number, _): &(usize, &TcpListener)| number % workers == worker || *number == worker % all;
        self.sockets.iter().enumerate().filter(own).map(|(_, socket)| socket)
    }

    /// With the sockets of another process, if it had some for this.
    fn open(
        options: &ListenOptions,
        id: ListenerId,
        workers: usize,
        inherited: Vec<TcpListener>,
    ) -> Result<Self, Failure> {
        let sockets = if inherited.is_empty() { listen_together(options, workers)? } else { inherited };
        Ok(Self { asked: options.address, at: sockets[0].local_addr()?, id, sockets })
    }
}

/// All addresses, in the order of the configuration: first those without TLS.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    list: Arc<Mutex<Vec<Port>>>,
    workers: usize,
    /// Others may follow, so the sockets are kept beside those that the workers have.
    keeps: bool,
}

/// Another set of addresses, of which the new ones are bound already.
#[derive(Debug)]
pub(super) struct Planned {
    list: Vec<Planning>,
    /// The port of the first that speaks TLS.
    pub(super) secure_port: Option<u16>,
}

#[derive(Debug)]
enum Planning {
    /// One that there is, under its number.
    Stays(ListenerId),
    /// One that there is, and that speaks TLS from now on, or no longer.
    Changes(ListenerId, ListenerId),
    New(Port),
}

impl Ports {
    /// Listens at these addresses. `keeps`: others may follow.
    ///
    /// # Errors
    ///
    /// One of them cannot be listened on.
    pub(super) fn open(
        asked: Asked<'_>,
        (workers, keeps): (usize, bool),
        inherited: &mut Inherited,
    ) -> Result<Self, Failure> {
        let ports = Self { list: Arc::default(), workers, keeps };
        let Planned { list, .. } = ports.plan(asked, inherited)?;
        let new = |planning| if let Planning::New(port) = planning { Some(port) } else { None };
        *ports.lock() = list.into_iter().filter_map(new).collect();
        Ok(ports)
    }

    /// The listeners of the next worker, which has this number.
    pub(super) fn of_worker(&self, worker: usize) -> Result<Vec<(ListenerId, TcpListener)>, Failure> {
        let mut all = Vec::new();
        for port in &mut *self.lock() {
            if self.keeps {
                for socket in port.of_worker(worker, self.workers) {
                    all.push((port.id, socket.try_clone()?));
                }
            } else {
                all.extend(port.sockets.pop().map(|socket| (port.id, socket)));
            }
        }
        Ok(all)
    }

    /// All sockets, with their places.
    pub(super) fn with_sockets<R>(&self, f: impl FnOnce(&[(Place, &TcpListener)]) -> R) -> R {
        let ports = self.lock();
        let mut all = Vec::new();
        for (at, port) in ports.iter().enumerate() {
            let before = ports[..at].iter().map(|port| (port.asked, port.is_secure()));
            let place = place(port.asked, port.is_secure(), before);
            all.extend(port.sockets.iter().map(|socket| (place.clone(), socket)));
        }
        f(&all)
    }

    /// Where it listens without TLS, and with it.
    pub(super) fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let ports = self.lock();
        let at = |secure| ports.iter().filter(|port| port.is_secure() == secure).map(|port| port.at).collect();
        (at(false), at(true))
    }

    /// Listens at the addresses that are new. Nothing is accepted there yet, and those that there are do not notice.
    ///
    /// # Errors
    ///
    /// One of them cannot be listened on.
    pub(super) fn plan(
        &self,
        (plain, secure, announced): Asked<'_>,
        inherited: &mut Inherited,
    ) -> Result<Planned, Failure> {
        let ports = self.lock();
        let mut kept: Vec<ListenerId> = Vec::new();
        let mut taken: Vec<ListenerId> = ports.iter().map(|port| port.id).collect();
        let (mut list, mut secure_port) = (Vec::new(), None);
        let mut earlier: Vec<(SocketAddr, bool)> = Vec::new();
        let all = plain.iter().map(|options| (options, false)).chain(secure.iter().map(|options| (options, true)));
        let announced = announced.iter().copied().chain(std::iter::repeat(false));
        let all = all.zip(announced).map(|((options, secure), announced)| (options, (secure, announced)));
        // First those that stay what they are: where the system chooses the port, there may be several.
        let mut same: Vec<Option<&Port>> = Vec::new();
        for (options, of) in all.clone() {
            let is = |port: &&Port| port.asked == options.address && port.use_of() == of;
            let port = ports.iter().filter(is).find(|port| !kept.contains(&port.id));
            kept.extend(port.map(|port| port.id));
            same.push(port);
        }
        for ((options, of @ (secure, _)), same) in all.zip(same) {
            let other = || ports.iter().find(|port| port.asked == options.address && !kept.contains(&port.id));
            let same = same.or_else(other);
            kept.extend(same.map(|port| port.id));
            let planning = match same {
                Some(port) if port.use_of() == of => Planning::Stays(port.id),
                other => {
                    let id = free(&taken, of);
                    taken.push(id);
                    match other {
                        Some(port) => Planning::Changes(port.id, id),
                        None => {
                            let place = place(options.address, secure, earlier.iter().copied());
                            let sockets = inherited.listeners(&place);
                            Planning::New(Port::open(options, id, self.workers, sockets)?)
                        }
                    }
                }
            };
            let at = if let Planning::New(port) = &planning { Some(port.at) } else { same.map(|port| port.at) };
            if secure {
                secure_port = secure_port.or(at.map(|at| at.port()));
            }
            list.push(planning);
            earlier.push((options.address, secure));
        }
        Ok(Planned { list, secure_port })
    }

    /// Puts it in place. Tells where it listens now, and did not before, with TLS or without. Listeners that end hold `open` until then.
    pub(super) fn change(&self, planned: Planned, workers: &[Remote], open: &StillOpen) -> Vec<(SocketAddr, bool)> {
        let mut ports = self.lock();
        let mut before = std::mem::take(&mut *ports);
        let mut new = Vec::new();
        for planning in planned.list {
            let mut take = |id| before.iter().position(|port| port.id == id).map(|at| before.swap_remove(at));
            let port = match planning {
                Planning::Stays(id) => take(id),
                Planning::Changes(id, other) => take(id).map(|port| {
                    workers.iter().for_each(|worker| worker.rename(id, other));
                    Port { id: other, ..port }
                }),
                Planning::New(port) => {
                    for (number, worker) in workers.iter().enumerate() {
                        for socket in port.of_worker(number, workers.len()) {
                            match socket.try_clone() {
                                Ok(socket) => worker.listen(port.id, socket),
                                Err(error) => tracing::error!(%error, "a worker has no listener at {}", port.at),
                            }
                        }
                    }
                    new.push((port.at, port.is_secure()));
                    Some(port)
                }
            };
            ports.extend(port);
        }
        // The rest is listened on no more.
        close(before, workers, open);
        new
    }

    /// Others go on at all addresses: the workers accept what waits, and close their listeners, which hold `open` until then.
    pub(super) fn leave(&self, workers: &[Remote], open: &StillOpen) {
        close(std::mem::take(&mut *self.lock()), workers, open);
    }

    /// The end: the workers close their listeners, and so does this.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Port>> {
        // A panic in a holder would leave a list that is shorter, not wrong.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close(ports: Vec<Port>, workers: &[Remote], open: &StillOpen) {
    for port in ports {
        drop(port.sockets);
        workers.iter().for_each(|worker| worker.close_listener(port.id, open.clone()));
    }
}

/// The place of a listener, behind these others.
fn place(asked: SocketAddr, secure: bool, before: impl Iterator<Item = (SocketAddr, bool)>) -> Place {
    let number = before.filter(|other| *other == (asked, secure)).count();
    Place { kind: if secure { "tls" } else { "plain" }, asked, number }
}

/// The lowest number that is free. A configuration has fewer listeners than there are numbers.
fn free(taken: &[ListenerId], (secure, announced): Use) -> ListenerId {
    let half = &ANNOUNCED[usize::from(secure)];
    let plain = if secure { FIRST_SECURE.0..half.start } else { 0..half.start };
    let mut ids = if announced { half.clone() } else { plain }.map(ListenerId);
    ids.find(|id| !taken.contains(id)).unwrap_or(ListenerId(half.start))
}
