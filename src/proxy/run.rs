//! Runs a plan: listeners, one thread per worker, signals, a clean end.

use super::{
    Desk, Plan, Proxy, ProxyArgs, admin,
    demo::Demo,
    greeting::Places,
    network::Network,
    proxy_protocol::Recipient,
    room::{ADMINS, clients_per_worker, descriptors_aside},
    running::Running,
    secured::Secured,
    setup::Setup,
};
use crate::{
    app::{App, ListenerId},
    backend::{Backend, BackendId},
    cli::{self, Failure},
    net::{
        Driver, DriverChoice, DriverConfig, ListenOptions, Reactor, clock, listen,
        listen::listen_together,
        signals::{self, Watch},
    },
    pool::Slots,
    tls::Terminator,
};
use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    thread,
    time::Duration,
};

/// Runs the proxy that `compose` makes of milestone 1, until a signal ends it.
///
/// # Errors
///
/// Wrong flags, an address that cannot be listened on, a name that does not resolve: one line that says what to do.
pub fn run(args: &ProxyArgs, compose: impl FnOnce(Plan) -> Plan) -> Result<(), Failure> {
    serve(Setup::of_flags(args, compose(Plan::new(args.config())))?)
}

/// Runs a proxy until a signal ends it.
///
/// # Errors
///
/// As [`run`].
pub fn serve(setup: Setup) -> Result<(), Failure> {
    setup.check_admin()?;
    let _log = cli::start_logging(&setup.args.listen.log_level);
    let secured = setup.prepare_tls()?;
    secured.iter().flat_map(|secured| &secured.warnings).for_each(|warning| tracing::warn!("{warning}"));
    let _reload = secured.as_ref().map(watch_certificates).transpose()?;
    let demo = setup.demo.map(Demo::start).transpose()?;
    let backends = match &demo {
        Some(demo) => demo.addresses.iter().enumerate().map(|(index, address)| demo_backend(index, *address)).collect(),
        None => setup.resolve()?,
    };
    let Setup { args, mut plan, plain, secure, announced, saying, .. } = setup;
    plan.check(&backends).and_then(|()| plan.check_listener(args.listen.listen)).map_err(Failure::Usage)?;
    let driver = args.driver.choose()?;
    let workers = args.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let config = room(&args, &plan, &backends, workers, plain.len() + secure.len());
    let mut listeners = Listeners::default();
    let plain = plain.iter().map(|options| listeners.open(options, workers)).collect::<Result<Vec<_>, Failure>>()?;
    let first_secure = listeners.next_id();
    let secure = secure.iter().map(|options| listeners.open(options, workers)).collect::<Result<Vec<_>, Failure>>()?;
    if let Some(secured) = &secured {
        plan.speaks_tls(secured.shared.clone(), secured.servers.clone(), secure.first().map(SocketAddr::port));
    }
    let admin = args.admin.map(|admin| listen(&ListenOptions::set_by("--admin", admin))).transpose()?;
    let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose()?;
    let paths = admin::paths(plan.caches());
    let (forward, sites) = (plan.is_forward(), plan.site_names());
    let announced = Announced::new(&announced, &plan);
    let (proxies, slots) = plan.build(backends.clone(), workers, clock::now(), rand::random());
    let desk = admin.map(|listener| open_desk(proxies[0].desk(), listener)).transpose()?;
    let mut running = Running::new(desk);
    for proxy in proxies {
        let start = Start { driver: &driver, config, slots: &slots, announced: announced.as_ref() };
        start.worker(&mut running, proxy, listeners.next(), secured.as_ref().map(|secured| (secured, first_secure)))?;
    }
    let drain = running.drain(args.listen.drain_timeout);
    let _stop = signals::watch(drain.clone())?;
    let admin = admin_address.map(|at| (at, paths));
    let places = Places { plain, secure, forward, sites, admin, tls: secured.as_ref() };
    places.announce();
    tracing::info!("{driver}");
    places.greet(&backends, workers, demo.is_some());
    saying.into_iter().for_each(|say| say());
    running.wait(drain)
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
    fn new(announced: &[bool], plan: &Plan) -> Option<Self> {
        let listeners = (0..).map(ListenerId).zip(announced).filter(|(_, announced)| **announced);
        let listeners: Vec<ListenerId> = listeners.map(|(id, _)| id).collect();
        let (trusted, patience) = plan.trust();
        (!listeners.is_empty()).then_some(Self { listeners, trusted, patience })
    }

    fn around<A: App>(&self, app: A) -> Recipient<A> {
        Recipient::new(app, self.listeners.clone(), self.trusted.clone(), self.patience)
    }
}

impl Start<'_> {
    fn worker(
        &self,
        running: &mut Running,
        proxy: Proxy,
        listeners: Vec<TcpListener>,
        secured: Option<(&Secured, ListenerId)>,
    ) -> Result<(), Failure> {
        let Some((secured, first_secure)) = secured else {
            return match self.announced {
                None => self.start(running, proxy, listeners, |proxy| proxy),
                Some(announced) => self.start(running, announced.around(proxy), listeners, Recipient::into_app),
            };
        };
        let terminator = Terminator::new(proxy, first_secure, secured.shared.clone(), clock::now().instant)
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
        listeners: Vec<TcpListener>,
        into: fn(A) -> Proxy,
    ) -> Result<(), Failure> {
        running.start(Driver::new(self.driver, app, self.config)?, listeners, self.slots, into)
    }
}

/// How much each worker takes on, that listens at so many addresses.
fn room(args: &ProxyArgs, plan: &Plan, backends: &[Backend], workers: usize, addresses: usize) -> DriverConfig {
    let aside = descriptors_aside(workers, backends.len(), args.admin.is_some(), addresses.saturating_sub(1));
    let upstreams = plan.most_upstreams(backends);
    let (max_connections, pipes) = clients_per_worker(args.max_connections, workers, aside, upstreams);
    DriverConfig { max_connections, pipes, ..DriverConfig::default() }
}

/// The listeners of all workers: at each address, each worker has one of its own.
#[derive(Default)]
struct Listeners(Vec<Vec<TcpListener>>);

impl Listeners {
    /// Opens one for each worker, and tells the address.
    fn open(&mut self, options: &ListenOptions, workers: usize) -> Result<SocketAddr, Failure> {
        let opened = listen_together(options, workers)?;
        let address = opened[0].local_addr()?;
        self.0.push(opened);
        Ok(address)
    }

    /// The number that the next one gets from each driver, which numbers them in this order.
    fn next_id(&self) -> ListenerId {
        ListenerId(u8::try_from(self.0.len()).unwrap_or(u8::MAX))
    }

    /// Those of the next worker.
    fn next(&mut self) -> Vec<TcpListener> {
        self.0.iter_mut().filter_map(Vec::pop).collect()
    }
}

/// Reloads certificates on SIGHUP and when their files change, from the moment on that they have been read.
fn watch_certificates(secured: &Secured) -> Result<Watch, Failure> {
    let reload = secured.watch()?;
    // An error would mean that the thread has panicked: then it has said so.
    Ok(signals::watch_for_reload(move || {
        let _ = reload.send(());
    })?)
}

fn demo_backend(index: usize, address: SocketAddr) -> Backend {
    let id = BackendId(u16::try_from(index).unwrap_or(u16::MAX));
    Backend { id, name: format!("demo-{}", index + 1), addresses: address.into(), weight: 1, max: None, secured: None }
}

/// The admin listener's event loop. It has few connections, so the kind of the driver does not matter.
fn open_desk(desk: Desk, listener: TcpListener) -> Result<Reactor<Desk>, Failure> {
    let config = DriverConfig { max_connections: ADMINS, spare: ADMINS, pipes: 0, ..DriverConfig::default() };
    let mut reactor = Reactor::new(desk, config)?;
    reactor.listen(listener)?;
    Ok(reactor)
}
