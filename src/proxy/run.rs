//! Runs a plan: listeners, one thread per worker, signals, a clean end.

use super::{
    Desk, Plan, Proxy, ProxyArgs,
    admin::{self, Reloads},
    blueprint::{Blueprint, Endpoints},
    demo::Demo,
    forward::Users,
    greeting::Places,
    keeper::{Keeper, Own, Source, admin_place, warn},
    network::Network,
    orders::Orders,
    ports::{ANNOUNCED, FIRST_SECURE, Ports},
    proxy_protocol::Recipient,
    resolving::Resolving,
    room::{ADMINS, clients_per_worker, descriptors_aside},
    running::Running,
    secured::{Certificates, Secured, as_it_is},
    setup::Setup,
    tally::Tally,
    versions::Current,
    watchdog,
    wishes::{Wish, Wishes},
};
use crate::{
    app::{App, ListenerId},
    backend::{Backend, BackendId},
    cli::{self, Failure},
    net::{
        Driver, DriverChoice, DriverConfig, ListenOptions, Reactor, clock,
        handover::Inherited,
        listen,
        signals::{self, Signal, Watch},
        supervisor::{self, State},
    },
    pool::Slots,
    tls::Terminator,
};
use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{Arc, mpsc::Receiver},
    thread,
    time::Duration,
};

/// Runs the proxy that `compose` makes of milestone 1, until a signal ends it.
///
/// # Errors
///
/// Wrong flags, an address that cannot be listened on, a name that does not resolve: one line that says what to do.
pub fn run(args: &ProxyArgs, compose: impl FnOnce(Plan) -> Plan) -> Result<(), Failure> {
    serve(Setup::of_flags(args, compose(Plan::new(args.config())))?, None)
}

/// Runs a proxy until a signal ends it. SIGHUP has it read its next configuration from `source`, if there is one.
///
/// # Errors
///
/// As [`run`].
pub fn serve(setup: Setup, source: Option<Box<dyn Source>>) -> Result<(), Failure> {
    let mut inherited = if source.is_some() { Inherited::take() } else { Inherited::default() };
    setup.check_admin()?;
    let (_log, lines, log_places) = setup.log.start(&setup.args.listen.log_level)?;
    let secured = prepare_files(&setup, source.as_deref())?;
    let certificates = secured.as_ref().map(|secured| watch_files(secured, source.as_deref())).transpose()?;
    let (wishes, wished) = Wishes::new();
    let asks = source.is_some().then_some(&wishes);
    let _reload = watch_for_reload(asks, certificates.as_ref(), setup.plan.users())?;
    let demo = setup.demo.map(Demo::start).transpose()?;
    let mut names = asks.map(|wishes| Resolving::by_the_system(setup.resolve_interval, wishes.clone()));
    let found = endpoints(&setup, demo.as_ref(), names.as_mut(), certificates.as_ref())?;
    let (orders, Endpoints { backends, counts }) = passed_on(&setup, found, &inherited.notes());
    let Setup { args, mut plan, plain, secure, announced, saying, upgrade_timeout, resolve_interval, log, .. } = setup;
    plan.logs_to(log.access_log(lines));
    plan.place(&counts);
    plan.check(&backends).and_then(|()| plan.check_listener(args.listen.listen)).map_err(Failure::Usage)?;
    let driver = args.driver.choose()?;
    let workers = args.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let config = room(&args, &plan, &backends, workers, plain.len() + secure.len());
    let ports = Ports::open((&plain, &secure, &announced), (workers, source.is_some()), &mut inherited)?;
    let (plain, secure) = ports.addresses();
    if let Some(secured) = &secured {
        plan.speaks_tls(secured.shared.clone(), secured.servers.clone(), secure.first().map(SocketAddr::port));
    }
    plan.reloads(asks.cloned());
    let (listener, admin) = open_admin(args.admin, &mut inherited)?;
    let admin_address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let paths = admin::paths(plan.caches(), source.is_some());
    let (forward, sites, around) = (plan.is_forward(), plan.site_names(), Announced::new(&announced, plan.trust()));
    let blueprint = Blueprint { plan: plan.clone(), servers: args.backend };
    let (proxies, slots) = plan.build_under(orders.clone(), backends.clone(), workers, clock::now(), rand::random());
    let (current, tally) = (proxies[0].current(), proxies[0].tally());
    let desk = listener.map(|listener| open_desk(proxies[0].desk(), listener, asks)).transpose()?;
    let start = Start { driver: &driver, config, slots: &slots, announced: around.as_ref() };
    let running = start.all(proxies, &ports, desk, secured.as_ref())?;
    watchdog::watch(current.clone(), running.workers())?;
    let drain = running.drain(ports.clone(), args.listen.drain_timeout);
    let _upgrade = asks.map(watch_for_upgrade).transpose()?;
    if let (Some(source), Some(names)) = (source, names) {
        let trust = around.as_ref().map(Announced::trust);
        let own = Own { certificates, ports, admin, upgrade_timeout, trust, resolve_interval, blueprint, names };
        keep(source, (own, orders), current, &running, drain.clone(), wished)?;
    }
    let _stop = signals::watch(hear(drain.clone(), log_places, tally))?;
    let admin = admin_address.map(|at| (at, &*paths));
    let places = Places { plain, secure, forward, sites, admin, tls: secured.as_ref() };
    say_that_it_runs(&places, &mut inherited);
    places.greet(&driver, &backends, workers, demo.is_some());
    saying.into_iter().for_each(|say| say());
    running.wait(drain)
}

/// The backends: those of the demo, the servers with what their names stand for at the moment, or servers whose names stand for the same
/// as long as the process runs.
fn endpoints(
    setup: &Setup,
    demo: Option<&Demo>,
    names: Option<&mut Resolving>,
    certificates: Option<&Certificates>,
) -> Result<Endpoints, Failure> {
    let servers = &setup.args.backend;
    let endpoints = match (demo, names) {
        (Some(demo), _) => return Ok(Endpoints::single(demo_backends(demo))),
        (None, None) => return Ok(Endpoints::single(setup.resolve()?)),
        (None, Some(names)) => {
            names.find(servers);
            names.take_change();
            names.endpoints(servers)
        }
    };
    if let Some(certificates) = certificates {
        let ids: Vec<BackendId> = endpoints.backends.iter().map(|backend| backend.id).collect();
        certificates.place(endpoints.by_server(&ids));
    }
    Ok(endpoints)
}

/// The orders of the process before this one, as far as they are about servers of this configuration, and the servers with the weights that
/// were ordered.
fn passed_on(setup: &Setup, endpoints: Endpoints, notes: &[u8]) -> (Orders, Endpoints) {
    let passed = Orders::of_bytes(notes).unwrap_or_else(|error| {
        tracing::warn!(%error, "the orders about servers that counted before cannot be read, and end");
        Orders::default()
    });
    let blueprint = Blueprint { plan: setup.plan.clone(), servers: setup.args.backend.clone() };
    let (mut orders, told) = passed.under(&blueprint.servers(&endpoints));
    told.iter().for_each(|line| tracing::info!("upgrade: {line}"));
    let weighted = endpoints.clone().weighted(&blueprint, &orders);
    let mut placed = blueprint.plan.clone();
    placed.place(&endpoints.counts);
    match placed.check(&weighted.backends) {
        Err(why) if placed.check(&endpoints.backends).is_ok() => {
            tracing::warn!("upgrade: the weights that were ordered end: {why}");
            orders = orders.without_weights();
            (orders, endpoints)
        }
        _ => (orders, weighted),
    }
}

/// The handler of signals: SIGUSR1 opens the files of the log again, and tells the work so far.
fn hear(
    mut drain: impl FnMut(Signal) + Send + 'static,
    log_places: cli::Places,
    tally: Tally,
) -> impl FnMut(Signal) + Send + 'static {
    move |signal| match signal {
        Signal::Stop => drain(signal),
        Signal::User1 => {
            log_places.open_again();
            tracing::info!("{tally}");
        }
    }
}

/// The start of workers: only those layers are around a proxy that it needs.
struct Start<'a> {
    driver: &'a DriverChoice,
    config: DriverConfig,
    slots: &'a Slots,
    announced: Option<&'a Announced>,
}

/// Where the PROXY protocol is spoken, and by whom.
struct Announced {
    listeners: Vec<ListenerId>,
    trusted: Vec<Network>,
    patience: Duration,
}

impl Announced {
    /// `None`: nowhere.
    fn new(announced: &[bool], (trusted, patience): (Vec<Network>, Duration)) -> Option<Self> {
        let listeners = || ANNOUNCED.into_iter().flatten().map(ListenerId).collect();
        announced.contains(&true).then(|| Self { listeners: listeners(), trusted, patience })
    }

    fn trust(&self) -> (Vec<Network>, Duration) {
        (self.trusted.clone(), self.patience)
    }

    fn around<A: App>(&self, app: A) -> Recipient<A> {
        Recipient::new(app, self.listeners.clone(), self.trusted.clone(), self.patience)
    }
}

impl Start<'_> {
    /// All workers, and the admin listener.
    fn all(
        &self,
        proxies: Vec<Proxy>,
        ports: &Ports,
        desk: Option<Reactor<Desk>>,
        secured: Option<&Secured>,
    ) -> Result<Running, Failure> {
        let mut running = Running::new(desk);
        for (worker, proxy) in proxies.into_iter().enumerate() {
            self.worker(&mut running, proxy, ports.of_worker(worker)?, secured)?;
        }
        Ok(running)
    }

    fn worker(
        &self,
        running: &mut Running,
        proxy: Proxy,
        listeners: Vec<(ListenerId, TcpListener)>,
        secured: Option<&Secured>,
    ) -> Result<(), Failure> {
        let Some(secured) = secured else {
            return match self.announced {
                None => self.start(running, proxy, listeners, |proxy| proxy),
                Some(announced) => self.start(running, announced.around(proxy), listeners, Recipient::into_app),
            };
        };
        let terminator = Terminator::new(proxy, FIRST_SECURE, secured.shared.clone(), clock::now().instant)
            .with_servers(secured.servers.clone());
        match self.announced {
            None => self.start(running, terminator, listeners, Terminator::into_app),
            Some(announced) => {
                let into = |recipient: Recipient<Terminator<Proxy>>| recipient.into_app().into_app();
                self.start(running, announced.around(terminator), listeners, into)
            }
        }
    }

    fn start<A: App + Send + 'static>(
        &self,
        running: &mut Running,
        app: A,
        listeners: Vec<(ListenerId, TcpListener)>,
        into: fn(A) -> Proxy,
    ) -> Result<(), Failure> {
        running.start(Driver::new(self.driver, app, self.config)?, listeners, self.slots, into)
    }
}

/// Starts the thread that changes the proxy while it runs.
fn keep(
    source: Box<dyn Source>,
    (own, orders): (Own, Orders),
    current: Arc<Current>,
    running: &Running,
    mut drain: impl FnMut(Signal) + Send + 'static,
    wished: Receiver<Wish>,
) -> Result<(), Failure> {
    let loops = (running.workers(), running.desk());
    let keeper = Keeper::new(source, current, own, orders, loops, Box::new(move || drain(Signal::Stop)));
    Ok(keeper.start(wished)?)
}

/// To programs that wait for it.
fn say_that_it_runs(places: &Places<'_>, inherited: &mut Inherited) {
    places.announce();
    // The old process names this one to a service manager as soon as it hears of it: then all has been said here.
    supervisor::tell(State::Ready);
    inherited.ready();
}

/// Tries the files that the configuration names: those for stores, and those of certificates, which are read.
fn prepare_files(setup: &Setup, source: Option<&dyn Source>) -> Result<Option<Secured>, Failure> {
    let mut warnings = setup.plan.check_stores().map_err(Failure::Usage)?;
    let secured = setup.prepare_tls()?.inspect(|secured| warnings.extend_from_slice(&secured.warnings));
    warn(&warnings, source);
    Ok(secured)
}

/// Reloads certificates when their files change.
fn watch_files(secured: &Secured, source: Option<&dyn Source>) -> Result<Certificates, Failure> {
    Ok(secured.watch(source.map_or_else(as_it_is, Source::teller))?)
}

fn warn_of_unused(inherited: &Inherited) {
    for unused in inherited.unused() {
        tracing::warn!("a socket for {unused} was passed to this process, and nothing in the configuration is for it");
    }
}

/// How much each worker takes on, that listens at so many addresses.
fn room(args: &ProxyArgs, plan: &Plan, backends: &[Backend], workers: usize, addresses: usize) -> DriverConfig {
    let aside = descriptors_aside(workers, backends.len(), args.admin.is_some(), addresses.saturating_sub(1));
    let upstreams = plan.most_upstreams(backends);
    let (max_connections, pipes) = clients_per_worker(args.max_connections, workers, aside, upstreams);
    DriverConfig { max_connections, pipes, tells_local: plan.announces(), ..DriverConfig::default() }
}

/// SIGHUP asks for the next configuration, or for certificates and users where there is none, from the moment on that they have been read.
fn watch_for_reload(
    wishes: Option<&Wishes>,
    certificates: Option<&Certificates>,
    users: Option<Arc<Users>>,
) -> Result<Option<Watch>, Failure> {
    let watch = match (wishes.cloned(), certificates.cloned()) {
        (Some(wishes), _) => signals::watch_for_reload(move || wishes.reload(None))?,
        (None, None) if users.is_none() => return Ok(None),
        (None, certificates) => signals::watch_for_reload(move || {
            certificates.iter().for_each(Certificates::reload);
            users.iter().for_each(|users| users.reload());
        })?,
    };
    Ok(Some(watch))
}

fn watch_for_upgrade(wishes: &Wishes) -> Result<Watch, Failure> {
    let wishes = wishes.clone();
    Ok(signals::watch_for_upgrade(move || wishes.upgrade())?)
}

/// The admin listener, of another process or our own, and a copy of it with its address as the configuration has it.
#[expect(clippy::type_complexity, reason = "it is taken apart at once")]
fn open_admin(
    at: Option<SocketAddr>,
    inherited: &mut Inherited,
) -> Result<(Option<TcpListener>, Option<(SocketAddr, TcpListener)>), Failure> {
    let open = |at| match inherited.listeners(&admin_place(at)).pop() {
        Some(socket) => Ok::<_, Failure>(socket),
        None => Ok(listen(&ListenOptions::set_by("--admin", at))?),
    };
    let admin = at.map(open).transpose()?;
    let copy = admin.as_ref().map(TcpListener::try_clone).transpose()?;
    warn_of_unused(inherited);
    Ok((admin, at.zip(copy)))
}

fn demo_backends(demo: &Demo) -> Vec<Backend> {
    demo.addresses.iter().enumerate().map(|(index, address)| demo_backend(index, *address)).collect()
}

fn demo_backend(index: usize, address: SocketAddr) -> Backend {
    let id = BackendId(u16::try_from(index).unwrap_or(u16::MAX));
    Backend { id, name: format!("demo-{}", index + 1), addresses: address.into(), weight: 1, max: None, secured: None }
}

/// The admin listener's event loop. It has few connections, so the kind of the driver does not matter.
fn open_desk(mut desk: Desk, listener: TcpListener, wishes: Option<&Wishes>) -> Result<Reactor<Desk>, Failure> {
    let config = DriverConfig { max_connections: ADMINS, spare: ADMINS, pipes: 0, ..DriverConfig::default() };
    let mut waker = None;
    if let Some(wishes) = wishes {
        let (reloads, place) = Reloads::new(wishes.clone());
        (desk, waker) = (desk.reloading(reloads), Some(place));
    }
    let mut reactor = Reactor::new(desk, config)?;
    waker.into_iter().for_each(|place| drop(place.set(reactor.remote())));
    reactor.listen(listener)?;
    Ok(reactor)
}
