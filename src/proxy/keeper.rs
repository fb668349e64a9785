//! The thread that changes a proxy while it runs: it reads the next configuration, and puts all of it in place or nothing.
//!
//! ```text
//!   SIGHUP ───────╮
//!   POST /reload ─┴─▶ read ─▶ check ─▶ certificates ─▶ names ─▶ listeners ─▶ ids ─▶ in place ─▶ every worker has adopted it
//!                       ╰───────┴──────────┴────────────┴──────────┴─────────┴─▶ one message, and everything stays as it was
//! ```
//!
//! SIGUSR2 asks for more than that: another process of the program, perhaps of a newer version, takes over (`net/handover.rs`).
//!
//! Names of servers are asked for again from time to time, and when all addresses of one fail (`server_names.rs`). An address that comes or
//! goes is put in place in the same way, as the same configuration with other servers (`blueprint.rs`).
//!
//! No event loop waits for any of that: files and names may be slow.

mod servers;

use super::{
    Plan, Setup,
    blueprint::{Blueprint, Endpoints},
    network::Network,
    orders::Orders,
    ports::Ports,
    resolving::Resolving,
    secured::{Certificates, Prepared, Teller, as_it_is},
    shared::Shared,
    versions::Current,
    wishes::Wish,
};
use crate::{
    app::ListenerId,
    backend::{Backend, BackendId},
    cli::Failure,
    net::{
        Remote, StillOpen, clock,
        handover::{Inherited, Place, Successor},
        supervisor::{self, State},
    },
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Weak,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How long the workers may take to adopt a configuration, or to close listeners, before that is said. A turn of an event loop takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The place that configurations come from.
pub trait Source: Send {
    /// Reads the next one.
    ///
    /// # Errors
    ///
    /// The first mistake: one line that names its place.
    fn read(&mut self) -> Result<Next, Failure>;

    /// Tells messages about files that the configuration names of their places in it.
    fn teller(&self) -> Teller;

    /// A failure of the configuration that was read last, told of its place.
    fn placed(&self, failure: Failure) -> Failure;

    /// The configuration that was read last is in place.
    fn accept(&mut self);
}

/// About the files that are named in the configuration, with their places in it.
pub(super) fn warn(warnings: &[String], source: Option<&dyn Source>) {
    let tell = source.map_or_else(as_it_is, Source::teller);
    warnings.iter().for_each(|warning| tracing::warn!("{}", tell(warning)));
}

/// A configuration that is to follow.
#[derive(Debug)]
pub struct Next {
    /// All of it.
    pub setup: Setup,
    /// The differences in meaning, one a line.
    pub changes: Vec<String>,
    /// Things that only the start of a process changes, one a line.
    pub fixed: Vec<String>,
}

/// All that a configuration is put in place with.
pub(super) struct Keeper {
    source: Box<dyn Source>,
    current: Arc<Current>,
    own: Own,
    /// Another process has taken over.
    has_successor: bool,
    /// Begins the end of this process.
    drain: Box<dyn FnMut() + Send>,
    /// The event loops of the workers, and that of the admin listener.
    workers: Vec<Remote>,
    desk: Option<Remote>,
    /// Older configurations, as long as requests run under them.
    older: Vec<Weak<Shared>>,
    /// The ids of the backends that each server is.
    places: Vec<Vec<BackendId>>,
    /// The words of an operator about servers.
    orders: Orders,
}

/// The things of a process that configurations change.
pub(super) struct Own {
    /// `None`: no listener and no backend spoke TLS at the start.
    pub(super) certificates: Option<Certificates>,
    pub(super) ports: Ports,
    /// The admin listener, with its address as the configuration has it.
    pub(super) admin: Option<(SocketAddr, TcpListener)>,
    /// How long the next process may take to begin.
    pub(super) upgrade_timeout: Duration,
    /// The proxies that may announce connections, and their time. `None`: no listener had the PROXY protocol at the start.
    pub(super) trust: Option<(Vec<Network>, Duration)>,
    /// How long the addresses of a name count.
    pub(super) resolve_interval: Duration,
    /// The configuration in place, and what its servers' names stand for.
    pub(super) blueprint: Blueprint,
    pub(super) names: Resolving,
}

/// The place of the admin listener.
pub(super) fn admin_place(asked: SocketAddr) -> Place {
    Place { kind: "admin", asked, number: 0 }
}

impl Keeper {
    /// With the orders that are followed from the start, the event loops of the workers, and that of the admin listener. `drain` begins the end of this process.
    pub(super) fn new(
        source: Box<dyn Source>,
        current: Arc<Current>,
        own: Own,
        orders: Orders,
        (workers, desk): (Vec<Remote>, Option<Remote>),
        drain: Box<dyn FnMut() + Send>,
    ) -> Self {
        // At the start, ids follow each other like the backends.
        let endpoints = own.names.endpoints(&own.blueprint.servers);
        let ids: Vec<BackendId> = endpoints.backends.iter().map(|backend| backend.id).collect();
        let places = endpoints.by_server(&ids);
        Self { source, current, own, has_successor: false, drain, workers, desk, older: Vec::new(), places, orders }
    }

    /// Runs until no one can wish for anything any more.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(super) fn start(mut self, wishes: Receiver<Wish>) -> io::Result<()> {
        let work = move || {
            loop {
                let wish = match self.follow_names() {
                    Some(within) => wishes.recv_timeout(within),
                    None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match wish {
                    Ok(wish) => self.grant(wish),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        thread::Builder::new().name("reload".to_owned()).spawn(work).map(drop)
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Reload(answer) => {
                supervisor::tell(State::Reloading);
                let outcome = self.reload();
                supervisor::tell(State::Ready);
                if let Some(answer) = answer {
                    answer(outcome);
                }
            }
            Wish::Order(change, followed) => followed(self.order(change)),
            Wish::Upgrade => self.upgrade(),
            Wish::Answered => {}
            Wish::Failed => self.ask_for_failing(),
        }
    }

    /// Counts the outcome, too.
    fn reload(&mut self) -> Result<Vec<String>, String> {
        let outcome = self.reload_and_tell();
        let shared = self.current.get();
        shared.outcomes.iter().for_each(|outcomes| outcomes.count(outcome.is_ok(), clock::now().wall));
        outcome
    }

    fn reload_and_tell(&mut self) -> Result<Vec<String>, String> {
        let began = clock::now().instant;
        match self.try_reload() {
            Ok(lines) => {
                lines.iter().for_each(|line| tracing::info!("reload: {line}"));
                let took = clock::now().instant.saturating_duration_since(began).as_millis();
                let version = self.current.get().version;
                tracing::info!(version, differences = lines.len(), took_ms = took, "reloaded");
                Ok(lines)
            }
            Err(failure) => {
                let failure = self.source.placed(failure);
                tracing::error!("not reloaded: {failure}; everything stays as it was");
                Err(failure.to_string())
            }
        }
    }

    fn try_reload(&mut self) -> Result<Vec<String>, Failure> {
        self.check_that_it_goes_on().map_err(Failure::Run)?;
        let Next { setup, mut changes, fixed } = self.source.read()?;
        let outcome = self.put(setup);
        self.own.names.keep(&self.own.blueprint.servers, self.own.resolve_interval);
        let certificates = outcome?;
        self.source.accept();
        changes.extend(certificates);
        changes.extend(fixed);
        Ok(changes)
    }

    /// Puts a configuration in place. Tells what has changed about certificates.
    fn put(&mut self, setup: Setup) -> Result<Vec<String>, Failure> {
        setup.check_admin()?;
        let prepared = setup.prepare_next_tls()?;
        if prepared.is_some() && self.own.certificates.is_none() {
            return Err(Failure::Usage(
                "TLS is new here, and a proxy that has begun without it cannot begin with it: start it again"
                    .to_owned(),
            ));
        }
        let (upgrade_timeout, resolve_interval) = (setup.upgrade_timeout, setup.resolve_interval);
        if setup.announced.contains(&true) && self.own.trust != Some(setup.plan.trust()) {
            return Err(Failure::Usage(
                "proxy-protocol is new here, or other proxies are trusted with it: that takes a new start, kill -USR2"
                    .to_owned(),
            ));
        }
        if setup.plan.announces() && !self.own.blueprint.plan.announces() {
            return Err(Failure::Usage(
                "proxy-protocol is new here for servers, and the addresses of clients that are connected are not known: that takes a \
                 new start, kill -USR2"
                    .to_owned(),
            ));
        }
        let servers = setup.args.backend;
        self.own.names.find(&servers);
        let blueprint = Blueprint { plan: setup.plan, servers };
        let endpoints = self.own.names.endpoints(&blueprint.servers);
        let (orders, told) = self.orders.under(&blueprint.servers(&endpoints));
        let endpoints = endpoints.weighted(&blueprint, &orders);
        let old = self.current.get();
        let Blueprint { mut plan, servers } = blueprint;
        plan.place(&endpoints.counts);
        plan.check(&endpoints.backends).map_err(Failure::Usage)?;
        let planned =
            self.own.ports.plan((&setup.plain, &setup.secure, &setup.announced), &mut Inherited::default())?;
        if let Some(tls) = &old.tls {
            plan.speaks_tls(tls.clone(), old.servers.clone(), planned.secure_port);
        }
        let blueprint = Blueprint { plan: plan.clone(), servers };
        let (shared, places) = self.succeed(plan, endpoints, orders.clone(), &old).map_err(Failure::Usage)?;
        // From here on nothing can fail.
        (self.own.upgrade_timeout, self.own.resolve_interval) = (upgrade_timeout, resolve_interval);
        (self.own.blueprint, self.orders) = (blueprint, orders);
        // All that is known of names is in place with this.
        self.own.names.take_change();
        let mut lines = self.install(shared, &old, prepared, places);
        lines.extend(told);
        // Last, so that the first connection there meets what it was opened for.
        let (open, closed) = StillOpen::new();
        let at = self.own.ports.change(planned, &self.workers, &open).into_iter();
        drop(open);
        // When this is over, nobody meets a listener as it was.
        Self::say_unless(closed.wait(PATIENCE) && self.current.wait_for_all_done(|| self.wake(), PATIENCE));
        lines.extend(at.map(|(at, secure)| format!("listening on {}://{at}", if secure { "https" } else { "http" })));
        Ok(lines)
    }

    /// The configuration that follows, and the ids of the backends that each server is.
    fn succeed(
        &mut self,
        plan: Plan,
        endpoints: Endpoints,
        orders: Orders,
        old: &Arc<Shared>,
    ) -> Result<(Shared, Vec<Vec<BackendId>>), String> {
        plan.check(&endpoints.backends)?;
        self.older.retain(|version| version.strong_count() > 0);
        let is_taken = |id| self.is_taken(old, id);
        let (shared, ids) = plan.succeed(endpoints.backends.clone(), orders, old, &is_taken, clock::now().instant)?;
        Ok((shared, endpoints.by_server(&ids)))
    }

    fn install(
        &mut self,
        shared: Shared,
        old: &Arc<Shared>,
        prepared: Option<Prepared>,
        places: Vec<Vec<BackendId>>,
    ) -> Vec<String> {
        for (group, id) in shared.groups.members() {
            let Backend { max, .. } = shared.backends[id.index()];
            shared.slots.place(id, max.or(group.pool.limit()));
        }
        shared.follow_orders(clock::now().instant);
        // First the certificates: a site that is new is not asked for before.
        let lines = match (&self.own.certificates, prepared) {
            (Some(certificates), Some(prepared)) => {
                warn(prepared.warnings(), Some(&*self.source));
                certificates.install(prepared, places.clone(), self.source.teller())
            }
            (Some(certificates), None) => {
                certificates.place(places.clone());
                Vec::new()
            }
            (None, _) => Vec::new(),
        };
        self.places = places;
        self.older.push(Arc::downgrade(old));
        let version = shared.version;
        self.current.set(Arc::new(shared));
        self.wake();
        Self::say_unless(self.current.wait(version, PATIENCE));
        lines
    }

    fn wake(&self) {
        self.workers.iter().chain(&self.desk).for_each(Remote::wake);
    }

    fn say_unless(all_have: bool) {
        if !all_have {
            tracing::warn!("a worker has not begun with the new configuration after {PATIENCE:?}: it is busy");
        }
    }

    fn check_that_it_goes_on(&self) -> Result<(), String> {
        let is_ending = self.has_successor || self.current.get().draining.load(Relaxed);
        if is_ending { Err("this process finishes what runs, and then it ends".to_owned()) } else { Ok(()) }
    }

    /// Lets another process of the program take over: it gets the sockets, and this one finishes what runs. If it does not come up, this
    /// one goes on.
    fn upgrade(&mut self) {
        if let Err(why) = self.check_that_it_goes_on() {
            return tracing::error!("not upgraded: {why}");
        }
        let begun = self.own.ports.with_sockets(|sockets| {
            let admin = self.own.admin.iter().map(|(asked, socket)| (admin_place(*asked), socket));
            Successor::start(sockets.iter().cloned().chain(admin), self.orders.to_bytes())
        });
        let outcome = begun.map_err(|error| format!("it cannot be started: {error}")).and_then(|successor| {
            tracing::info!("upgrade: process {} begins", successor.id());
            successor.wait(self.own.upgrade_timeout)
        });
        match outcome {
            Ok(process) => {
                supervisor::tell(State::Successor(process));
                self.has_successor = true;
                if !self.stop_accepting() {
                    tracing::warn!("this process may still accept connections after {PATIENCE:?}: it is busy");
                }
                tracing::info!("upgraded: process {process} has taken over; this one finishes what runs");
                (self.drain)();
            }
            Err(why) => tracing::error!("not upgraded: {why}; this process goes on"),
        }
    }

    /// Closes every listener, that of the admin, too. `false`: one of them was still open when the time for that was over.
    fn stop_accepting(&mut self) -> bool {
        let (open, closed) = StillOpen::new();
        self.own.ports.leave(&self.workers, &open);
        if let Some((_, socket)) = self.own.admin.take() {
            drop(socket);
            self.desk.iter().for_each(|desk| desk.close_listener(ListenerId(0), open.clone()));
        }
        drop(open);
        closed.wait(PATIENCE)
    }

    /// Whether an id means a backend that was taken out, and is still talked to.
    fn is_taken(&self, old: &Shared, id: BackendId) -> bool {
        let is_member = |version: &Weak<Shared>| version.upgrade().is_some_and(|it| it.groups.health_of(id).is_some());
        old.load.of(id) > 0 || old.slots.open(id).is_some_and(|open| open > 0) || self.older.iter().any(is_member)
    }
}
