//! Runs the file server: an event loop for each worker, and the threads that ask the file system.

use super::{Disk, FileArgs, FileSession, Kept, Root, Shared, Way, kept::MAX_DESCRIPTORS};
use crate::{
    cli::{self, Failure},
    net::{
        Driver, DriverChoice, DriverConfig, Remote, Sessions, Traffic, Volume, descriptors,
        listen::listen_together,
        signals::{self, Signal},
    },
};
use std::{
    io, mem,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

/// Descriptors of the process as such: standard streams, signals, the log.
const DESCRIPTORS_ASIDE: usize = 32;

/// Descriptors of an event loop beside those of its clients: epoll, waker, timer, listener, pipes; and the files that it keeps.
const DESCRIPTORS_PER_LOOP: usize = 4 + 2 * PIPES + MAX_DESCRIPTORS;

/// A file on its way may pass through one.
const PIPES: usize = 16;

/// Descriptors of a thread that asks the file system: the directory, the file, its neighbours, a directory that is listed.
const DESCRIPTORS_PER_THREAD: usize = 8;

/// Clients per worker unless told otherwise, where descriptors allow.
const MAX_CLIENTS: usize = 10_000;

/// Where each worker says how it ended.
type Ended = mpsc::Sender<io::Result<()>>;

/// Runs until a signal ends it.
///
/// # Errors
///
/// A directory that cannot be served, an address that cannot be listened on, no threads or descriptors left: one line that says what to
/// do.
pub fn run(args: &FileArgs) -> Result<(), Failure> {
    let root = Root::new(&args.directory).map_err(|error| unusable(&args.directory, &error))?;
    let _log = cli::start_logging(&args.listen.log_level);
    let driver = args.driver.choose()?;
    let workers = args.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let config = DriverConfig { max_connections: clients(args, workers)?, pipes: PIPES, ..DriverConfig::default() };
    let listeners = listen_together(&args.listen.options(), workers)?;
    let address = listeners[0].local_addr()?;
    let way = root.way();
    let kept: Vec<Arc<Kept>> = (0..workers).map(|_| Arc::new(Kept::new(args.keep))).collect();
    let disk = Arc::new(Disk::start(root, args.disk(), kept.clone())?);
    let (sender, ended) = mpsc::channel();
    let mut running = Vec::new();
    for (kept, listener) in kept.into_iter().zip(listeners) {
        let shared = Arc::new(Shared { config: args.config(), files: Arc::clone(&disk), kept });
        running.push(start(shared, &driver, config, listener, &sender)?);
    }
    drop(sender);
    let running = Arc::new(running);
    let (told, within) = (Arc::clone(&running), args.listen.drain_timeout);
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => {
            tracing::info!("draining: running responses have {within:?}; a second signal ends at once");
            told.iter().for_each(|worker| worker.remote.drain(within));
        }
        Signal::User1 => report(&told),
    })?;
    cli::ready(address);
    tracing::info!("{driver}");
    greet(&args.directory, address, way);
    let result = wait(&ended, &running);
    report(&running);
    result
}

/// One event loop that runs.
struct Running {
    remote: Remote,
    traffic: Arc<Traffic>,
}

/// Starts an event loop on a thread of its own.
fn start(
    shared: Arc<Shared<Disk>>,
    driver: &DriverChoice,
    config: DriverConfig,
    listener: TcpListener,
    ended: &Ended,
) -> Result<Running, Failure> {
    let traffic = Arc::new(Traffic::default());
    let session =
        move |origin: crate::app::Origin, now| FileSession::new(Arc::clone(&shared), Some(origin.peer.ip()), now);
    let sessions = Sessions::new(session).counting(Arc::clone(&traffic));
    let calls = sessions.calls();
    let mut driver = Driver::new(driver, sessions, config)?;
    let remote = driver.remote();
    calls.wake(remote.clone());
    driver.listen(listener)?;
    let panicked = Err(io::Error::other("its thread panicked, which is a bug"));
    let mut end = End { ended: ended.clone(), result: panicked };
    thread::Builder::new().name("worker".to_owned()).spawn(move || {
        end.result = driver.run().map(drop);
        drop(end);
    })?;
    Ok(Running { remote, traffic })
}

/// Tells that an event loop has ended, also if its thread panics.
struct End {
    ended: Ended,
    result: io::Result<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        // Fails only if nobody waits any more.
        let _ = self.ended.send(mem::replace(&mut self.result, Ok(())));
    }
}

/// Until all event loops have ended. One that fails takes the others along: a supervisor starts a whole process again.
fn wait(ended: &mpsc::Receiver<io::Result<()>>, running: &[Running]) -> Result<(), Failure> {
    let mut result = Ok(());
    while let Ok(end) = ended.recv() {
        if let Err(error) = end {
            result = result.and(Err(Failure::Run(format!("an event loop has ended: {error}"))));
            running.iter().for_each(|worker| worker.remote.stop());
        }
    }
    result
}

/// How many clients a worker takes: each may have a file open besides its connection.
fn clients(args: &FileArgs, workers: usize) -> Result<usize, Failure> {
    let limit = descriptors::raise_limit()?;
    let threads = args.disk_threads.get() * DESCRIPTORS_PER_THREAD;
    let aside = DESCRIPTORS_ASIDE + workers * DESCRIPTORS_PER_LOOP + threads;
    let left = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(aside);
    let affordable = left / workers / 2;
    let asked = args.max_connections.map_or(MAX_CLIENTS, NonZeroUsize::get);
    if affordable == 0 {
        return Err(Failure::Usage(format!(
            "{workers} workers and {} threads for the disk need more than {limit} descriptors: raise the limit with `ulimit -n`, or \
             start fewer",
            args.disk_threads
        )));
    }
    if args.max_connections.is_some() && affordable < asked {
        tracing::warn!(
            limit,
            affordable,
            "too few descriptors for --max-connections: raise the limit with `ulimit -n`"
        );
    }
    Ok(asked.min(affordable))
}

fn unusable(directory: &Path, error: &io::Error) -> Failure {
    let name = directory.display();
    Failure::Usage(match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{name}: there is no such directory: give one that is there, as in `file-server docs`")
        }
        io::ErrorKind::NotADirectory => format!("{name} is a file: give the directory that it is in"),
        io::ErrorKind::PermissionDenied => {
            format!("{name} may not be read by this user: allow it (`chmod o+rx {name}`), or run as a user who may")
        }
        _ => format!("{name}: {error}"),
    })
}

fn greet(directory: &Path, address: SocketAddr, way: Way) {
    let shown = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    tracing::info!("listening on http://{address}, serving {}", shown.display());
    if way == Way::Steps {
        tracing::info!("this system has no openat2: symbolic links are not followed");
    }
    tracing::info!("try: curl http://{address}/");
    tracing::info!("try: curl -H 'Accept: application/json' http://{address}/");
}

/// The work so far, on SIGUSR1 and at the end.
fn report(running: &[Running]) {
    let volume = running.iter().map(|worker| worker.traffic.volume()).fold(Volume::default(), |sum, one| sum + one);
    let cut_short: u64 = running.iter().map(|worker| worker.traffic.cut_short()).sum();
    tracing::info!("{volume}, {cut_short} of them because a file could not be read to its end");
}
