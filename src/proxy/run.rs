//! Runs a plan: listeners, one thread per worker, signals, a clean end.

use super::{
    BackendSpec, Desk, Plan, Proxy, ProxyArgs, admin,
    demo::Demo,
    greeting::Places,
    secured::{Secured, TlsArgs},
};
use crate::{
    app::{App, ListenerId},
    backend::{Addresses, Backend, BackendId},
    cli::{self, Failure},
    net::{
        Driver, DriverConfig, ListenOptions, Reactor, Remote, clock, descriptors, listen,
        listen::listen_together,
        resolve, secrets,
        signals::{self, Signal, Watch},
    },
    pool::Slots,
    tls::Terminator,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

/// Descriptors of the process as such: standard streams, signals, what libraries open for a moment.
const DESCRIPTORS_ASIDE: usize = 32;

/// Descriptors of an event loop: epoll, waker, timer, listener. With io_uring it is one less.
const DESCRIPTORS_PER_LOOP: usize = 4;

/// Each worker's second listener.
const TLS_LISTENER: ListenerId = ListenerId(1);

/// Connections to the admin listener at once: a supervisor, a collector of statistics, a few people. Each has a descriptor set
/// aside, so that it is answered even if clients and backends have taken all others.
const ADMINS: usize = 16;

/// How long visitors of the admin listener have at the very end to take their answers.
const ADMIN_FAREWELL: Duration = Duration::from_millis(250);

/// Clients per worker unless told otherwise, where descriptors allow: about 25 MB when all of them idle.
const MAX_CLIENTS: usize = 50_000;

/// Runs the proxy that `compose` makes of milestone 1, until a signal ends it.
///
/// # Errors
///
/// Wrong flags, an address that cannot be listened on, a name that does not resolve: one line that says what to do.
pub fn run(args: &ProxyArgs, compose: impl FnOnce(Plan) -> Plan) -> Result<(), Failure> {
    check_admin(args)?;
    let _log = cli::start_logging(&args.listen.log_level);
    let mut plan = compose(Plan::new(args.config()));
    let mut secured = prepare_tls(args, plan.take_tls(), plan.speaks_http2())?;
    let _reload = secured.as_ref().map(watch_certificates).transpose()?;
    let forward = plan.is_forward();
    let demo = if args.backend.is_empty() && !forward { Some(Demo::start(plan.demo_backends())?) } else { None };
    let backends = match &demo {
        Some(demo) => demo.addresses.iter().enumerate().map(|(index, address)| demo_backend(index, *address)).collect(),
        None => resolve_all(&args.backend)?,
    };
    plan.check(&backends).and_then(|()| plan.check_listener(args.listen.listen)).map_err(Failure::Usage)?;
    let driver = args.driver.choose()?;
    let workers = args.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let aside = descriptors_aside(workers, backends.len(), args.admin.is_some(), secured.is_some());
    let upstreams = plan.most_upstreams(&backends);
    let (max_connections, pipes) = clients_per_worker(args.max_connections, workers, aside, upstreams);
    let config = DriverConfig { max_connections, pipes, ..DriverConfig::default() };
    let listeners = listen_together(&args.listen.options(), workers)?;
    let address = listeners[0].local_addr()?;
    if let Some(secured) = &mut secured {
        secured.listen(workers)?;
        plan.speaks_tls(secured.shared.clone(), secured.servers.clone(), secured.address().map(|at| at.port()));
    }
    let admin = args.admin.map(|admin| listen(&ListenOptions::set_by("--admin", admin))).transpose()?;
    let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose()?;
    let paths = admin::paths(plan.caches());
    let (proxies, slots) = plan.build(backends.clone(), workers, clock::now(), rand::random());
    let desk = admin.map(|listener| open_desk(proxies[0].desk(), listener)).transpose()?;
    let mut running = Running::new(desk);
    for (proxy, listener) in proxies.into_iter().zip(listeners) {
        match &mut secured {
            None => running.start(Driver::new(&driver, proxy, config)?, [Some(listener)], &slots, |proxy| proxy)?,
            Some(secured) => {
                let terminator = Terminator::new(proxy, TLS_LISTENER, secured.shared.clone(), clock::now().instant)
                    .with_servers(secured.servers.clone());
                let listeners = [Some(listener), secured.take_listener()];
                running.start(Driver::new(&driver, terminator, config)?, listeners, &slots, Terminator::into_app)?;
            }
        }
    }
    let drain = running.drain(args.listen.drain_timeout);
    let _stop = signals::watch(drain.clone())?;
    let places = Places { plain: address, forward, admin: admin_address.map(|at| (at, paths)), tls: secured.as_ref() };
    places.announce();
    tracing::info!("{driver}");
    places.greet(&backends, workers, demo.is_some());
    running.wait(drain)
}

/// Reads the certificates, before anything listens. The process holds private keys from then on.
fn prepare_tls(args: &ProxyArgs, tls: Option<TlsArgs>, http2: bool) -> Result<Option<Secured>, Failure> {
    let Some(tls) = tls else {
        // Before milestone 5, there is no TLS.
        return match args.backend.iter().find(|backend| backend.secure.is_some()) {
            None => Ok(None),
            Some(backend) => Err(Failure::Usage(format!(
                "--backend {}: this milestone speaks plain HTTP with backends; milestone5 speaks TLS with them, too",
                backend.name()
            ))),
        };
    };
    tls.check(args.listen.listen).map_err(Failure::Usage)?;
    secrets::keep_out_of_core_dumps()?;
    Secured::prepare(&tls, &args.backend, http2, args.listen.backlog).map(Some)
}

/// Reloads certificates on SIGHUP and when their files change, from the moment on that they have been read.
fn watch_certificates(secured: &Secured) -> Result<Watch, Failure> {
    let reload = secured.watch()?;
    // An error would mean that the thread has panicked: then it has said so.
    Ok(signals::watch_for_reload(move || {
        let _ = reload.send(());
    })?)
}

/// Statistics are for the operator: they leave the machine only if two flags say so.
fn check_admin(args: &ProxyArgs) -> Result<(), Failure> {
    match args.admin {
        Some(admin) if !admin.ip().is_loopback() && !args.admin_public => Err(Failure::Usage(format!(
            "--admin {admin} can be reached by others: use 127.0.0.1:{}, or add --admin-public",
            admin.port()
        ))),
        Some(admin) if admin == args.listen.listen && admin.port() != 0 => {
            Err(Failure::Usage(format!("--listen and --admin are both {admin}: each needs a port of its own")))
        }
        _ => Ok(()),
    }
}

fn demo_backend(index: usize, address: SocketAddr) -> Backend {
    let id = BackendId(u16::try_from(index).unwrap_or(u16::MAX));
    Backend { id, name: format!("demo-{}", index + 1), addresses: address.into(), weight: 1, max: None, secured: None }
}

fn resolve_all(specs: &[BackendSpec]) -> Result<Vec<Backend>, Failure> {
    let backend = |(index, spec): (usize, &BackendSpec)| {
        let addresses = Addresses::new(&resolve::resolve(&spec.authority)?);
        let id = u16::try_from(index).map_err(|_| Failure::Usage("more than 65535 backends".to_owned()))?;
        Ok(spec.backend(BackendId(id), addresses))
    };
    specs.iter().enumerate().map(backend).collect()
}

/// Descriptors that must not be clients' or upstream connections'.
fn descriptors_aside(workers: usize, backends: usize, admin: bool, tls: bool) -> usize {
    let desk = if admin { DESCRIPTORS_PER_LOOP + ADMINS } else { 0 };
    // A health check of each backend may be under way.
    let listeners = if tls { workers } else { 0 };
    DESCRIPTORS_ASIDE + workers * DESCRIPTORS_PER_LOOP + listeners + backends + desk
}

/// How many clients a worker takes: as many as asked for, if there are descriptors for them. And how many pipes.
fn clients_per_worker(
    asked: Option<NonZeroUsize>,
    workers: usize,
    aside: usize,
    upstreams: Option<usize>,
) -> (usize, usize) {
    let limit = descriptors::raise_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of descriptors could not be raised");
        u64::MAX
    });
    let left = limit.saturating_sub(aside as u64);
    let (clients, pipes) = affordable(asked.map_or(MAX_CLIENTS, NonZeroUsize::get), workers, left, upstreams);
    if asked.is_some_and(|asked| clients < asked.get()) {
        tracing::warn!(limit, clients, "too few descriptors for --max-connections: raise the limit with `ulimit -n`");
    }
    (clients, pipes)
}

/// Each client may need a descriptor here and one towards a backend. Clients must not take the backends' share: then no
/// request could be forwarded, and backends that cannot be reached for want of a descriptor would count as dead.
/// So half of the `left` ones are set aside, or as many as there can be `upstreams` over all workers, if that is less.
/// A pipe has two; where descriptors are few, they have better uses.
fn affordable(asked: usize, workers: usize, left: u64, upstreams: Option<usize>) -> (usize, usize) {
    let workers = workers.max(1);
    let share = left / workers as u64;
    let share = usize::try_from(share).unwrap_or(usize::MAX);
    let pipes = DriverConfig::default().pipes.min(share / 32);
    // Connections that are being closed have left the books and not yet the table of descriptors.
    let closing = share / 64;
    let upstreams = upstreams.map_or(usize::MAX, |most| most.div_ceil(workers).saturating_add(closing));
    let aside = (share / 2 - pipes).min(upstreams);
    (asked.min(share - 2 * pipes - aside).max(1), pipes)
}

/// The admin listener's event loop. It has few connections, so the kind of the driver does not matter.
fn open_desk(desk: Desk, listener: TcpListener) -> Result<Reactor<Desk>, Failure> {
    let config = DriverConfig { max_connections: ADMINS, spare: ADMINS, pipes: 0, ..DriverConfig::default() };
    let mut reactor = Reactor::new(desk, config)?;
    reactor.listen(listener)?;
    Ok(reactor)
}

/// The workers that run, and the admin listener's thread.
struct Running {
    workers: Vec<(Remote, thread::JoinHandle<io::Result<Proxy>>)>,
    /// Where each worker says, by its number, that it has ended.
    ended: (Sender<usize>, Receiver<usize>),
    desk: Option<Reactor<Desk>>,
}

impl Running {
    fn new(desk: Option<Reactor<Desk>>) -> Self {
        Self { workers: Vec::new(), ended: channel(), desk }
    }

    /// Starts a worker; `into` finds the proxy in what has run.
    fn start<A: App + Send + 'static>(
        &mut self,
        mut driver: Driver<A>,
        listeners: impl IntoIterator<Item = Option<TcpListener>>,
        slots: &Slots,
        into: fn(A) -> Proxy,
    ) -> Result<(), Failure> {
        let index = self.workers.len();
        for listener in listeners.into_iter().flatten() {
            driver.listen(listener)?;
        }
        let remote = driver.remote();
        let waker = remote.clone();
        slots.attach(index, Arc::new(move || waker.wake()));
        let end = End(index, self.ended.0.clone());
        let work = move || {
            let _end = end;
            driver.run().map(into)
        };
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(work)?;
        self.workers.push((remote, thread));
        Ok(())
    }

    /// The handler of signals: SIGINT and SIGTERM end every worker after its requests.
    fn drain(&self, within: Duration) -> impl FnMut(Signal) + Clone + Send + 'static {
        let remotes: Vec<Remote> = self.workers.iter().map(|(remote, _)| remote.clone()).collect();
        move |signal| {
            if signal == Signal::Stop {
                tracing::info!("draining: running requests have {within:?}; a second signal ends at once");
                remotes.iter().for_each(|remote| remote.drain(within));
            }
        }
    }

    /// Until every worker has ended, and then the admin listener. A worker that fails ends the others, too, after their
    /// requests: then a supervisor starts a whole process again.
    fn wait(self, mut drain: impl FnMut(Signal)) -> Result<(), Failure> {
        let desk = self.desk.map(attend).transpose()?;
        let mut threads: Vec<_> = self.workers.into_iter().map(|(_, thread)| Some(thread)).collect();
        let (mut result, mut cut_off) = (Ok(()), 0);
        for index in self.ended.1.iter().take(threads.len()) {
            let Some(thread) = threads[index].take() else { continue };
            let failure = match thread.join() {
                Ok(Ok(proxy)) => {
                    cut_off += proxy.cut_off_at_end();
                    continue;
                }
                Ok(Err(error)) => format!("worker {index} failed: {error}"),
                Err(_) => format!(
                    "worker {index} panicked, which is a bug: start the proxy again, and report it with the lines above \
                     (RUST_BACKTRACE=1 adds where)"
                ),
            };
            tracing::error!("{failure}; the other workers finish their requests, then the process ends with 1");
            result = Err(Failure::Run(failure));
            drain(Signal::Stop);
        }
        match cut_off {
            0 if result.is_err() => {}
            0 => tracing::info!("drained: every request was answered"),
            requests => tracing::warn!(
                requests,
                "cut off after --drain-timeout: each has a line with failure=\"drain timeout\""
            ),
        }
        if let Some((remote, thread)) = desk {
            remote.drain(ADMIN_FAREWELL);
            let _ = thread.join();
        }
        result
    }
}

/// Runs the admin listener until it is told to end. Should it fail, the proxy goes on without it.
fn attend(desk: Reactor<Desk>) -> io::Result<(Remote, thread::JoinHandle<()>)> {
    let remote = desk.remote();
    let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
        if let Err(error) = desk.run() {
            tracing::error!(%error, "the admin listener has failed; the proxy goes on without it");
        }
    })?;
    Ok((remote, thread))
}

/// Says that a worker has ended, however it did.
struct End(usize, Sender<usize>);

impl Drop for End {
    fn drop(&mut self) {
        // An error means that the receiver is gone: the process is about to end.
        let _ = self.1.send(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{affordable, descriptors_aside};

    #[test]
    fn clients_leave_descriptors_for_backends() {
        for (asked, workers, left, upstreams, expected) in [
            (50_000, 1, u64::MAX, None, (50_000, 64)),
            (50_000, 2, 200_256, None, (50_000, 64)),
            (50_000, 2, 200_253, None, (49_999, 64)),
            (50_000, 4, 960, None, (113, 7)),
            (50_000, 1, 0, None, (1, 0)),
            // A pool that cannot grow beyond its limit needs no more than that.
            (50_000, 2, 20_000, Some(1024), (9204, 64)),
            (50_000, 2, 20_000, Some(100_000), (4936, 64)),
            (50_000, 4, 960, Some(1024), (113, 7)),
        ] {
            assert_eq!(affordable(asked, workers, left, upstreams), expected, "{asked} {workers} {left} {upstreams:?}");
        }
    }
    #[test]
    fn the_descriptors_of_the_process_itself_grow_with_it() {
        assert_eq!(descriptors_aside(1, 1, false, false), 37);
        assert_eq!(descriptors_aside(1, 1, true, false), 57);
        assert_eq!(descriptors_aside(2, 1, true, true), 63);
        assert_eq!(descriptors_aside(64, 100, true, false), 408);
    }
}
