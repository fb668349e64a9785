//! Runs the chat: an event loop for each worker, one house for all.

use super::{
    ChatArgs,
    cluster::{self, Cluster},
    house::House,
    parts::{Door, Parts},
};
use crate::{
    cli::{self, DataFolder, Failure},
    disk::Folder,
    net::{
        Driver, DriverChoice, DriverConfig, Remote, Traffic, clock,
        listen::listen_together,
        signals::{self, Signal},
    },
    redis::{Next, Redis, Target},
    units::Counted,
};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// How often those are looked for who have not come back in time.
const TICK: Duration = Duration::from_secs(1);

/// Runs until a signal ends it.
///
/// # Errors
///
/// An address that cannot be listened on, or no threads or descriptors left: one line that says what to do.
pub fn run(args: &ChatArgs) -> Result<(), Failure> {
    let _log = cli::start_logging(&args.listen.log_level);
    let driver = args.driver.choose()?;
    let workers = args.workers.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let clients = cli::clients_per_worker(args.max_clients.get(), workers);
    let cluster = args.cluster()?;
    let place = DataFolder::open(args.data.as_deref(), "chat")?;
    let folder = Folder::open(place.path(), "server").map_err(Failure::Run)?;
    let Parts { writer, guard, door } = Parts::new(args, Arc::new(folder), clock::now())?;
    let (house, traffic) = (Arc::clone(&door.house), Arc::clone(&door.traffic));
    let listeners = listen_together(&args.listen.options(), workers)?;
    let address = listeners[0].local_addr()?;
    let mut running = Running::new();
    for listener in listeners {
        running.start(&driver, listener, clients, &door)?;
    }
    let (told, counted) = (Arc::clone(&house), Arc::clone(&traffic));
    let (remotes, within) = (running.remotes.clone(), args.listen.drain_timeout);
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => {
            told.close();
            remotes.iter().for_each(|remote| remote.drain(within));
        }
        Signal::User1 => report(&told, &counted),
    })?;
    if let Some(target) = &cluster {
        join(target, args.history(), &house)?;
    }
    let keeper = Keeper::start(&house)?;
    let guards = guard.start()?;
    let writer = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
    cli::ready(address);
    tracing::info!("{driver}");
    greet(address, workers, &place);
    let result = running.wait();
    drop(keeper);
    house.leave_company();
    house.let_go();
    // An error means that it has panicked: then it has said so.
    guards.into_iter().chain([writer]).for_each(|thread| drop(thread.join()));
    report(&house, &traffic);
    result
}

/// Makes this one of several servers that behave as one.
fn join(target: &Target, history: usize, house: &Arc<House>) -> io::Result<()> {
    let me = format!("{:016x}", rand::random::<u64>());
    let told = Arc::clone(house);
    let settings = cluster::settings(target.clone(), &me);
    let start = || {
        Redis::start(settings, move |event| {
            told.heard(event, clock::now());
            Next::new()
        })
    };
    house.join_company(&me, Cluster::new(&me, history), start)
}

/// The workers.
struct Running {
    remotes: Vec<Remote>,
    ended: (mpsc::Sender<io::Result<()>>, mpsc::Receiver<io::Result<()>>),
}

impl Running {
    fn new() -> Self {
        Self { remotes: Vec::new(), ended: mpsc::channel() }
    }

    fn start(
        &mut self,
        driver: &DriverChoice,
        listener: TcpListener,
        max_connections: usize,
        door: &Door,
    ) -> Result<(), Failure> {
        let sessions = door.worker();
        let calls = sessions.calls();
        let config = DriverConfig { max_connections, pipes: 0, ..DriverConfig::default() };
        let mut worker = Driver::new(driver, sessions, config)?;
        calls.wake(worker.remote());
        worker.listen(listener)?;
        let number = self.remotes.len();
        self.remotes.push(worker.remote());
        let end = End { ended: self.ended.0.clone(), result: Err(io::Error::other("a worker panicked")) };
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let mut end = end;
            end.result = worker.run().map(drop);
        })?;
        Ok(())
    }

    /// Until all workers have ended. One that fails takes the others along: a supervisor starts a whole process again.
    fn wait(self) -> Result<(), Failure> {
        let mut result = Ok(());
        for end in self.ended.1.iter().take(self.remotes.len()) {
            if let Err(error) = end {
                result = result.and(Err(Failure::Run(format!("a worker has ended: {error}"))));
                self.remotes.iter().for_each(Remote::stop);
            }
        }
        result
    }
}

/// Tells that a worker has ended, also if its thread panics.
struct End {
    ended: mpsc::Sender<io::Result<()>>,
    result: io::Result<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        // Fails only if no one waits any more.
        let _ = self.ended.send(result);
    }
}

/// Tells the house what time it is, until it is dropped.
struct Keeper(Option<mpsc::Sender<()>>, Option<thread::JoinHandle<()>>);

impl Keeper {
    fn start(house: &Arc<House>) -> io::Result<Self> {
        let (sender, stop) = mpsc::channel::<()>();
        let house = Arc::clone(house);
        let keep = move || {
            while stop.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                house.tick(clock::now());
            }
        };
        let thread = thread::Builder::new().name("keeper".to_owned()).spawn(keep)?;
        Ok(Self(Some(sender), Some(thread)))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0 = None;
        // An error means that it has panicked: then it has said so.
        self.1.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn greet(address: SocketAddr, workers: usize, place: &DataFolder) {
    tracing::info!("listening on {address}, {}", Counted(workers as u64, "worker"));
    tracing::info!("accounts and histories are in {place}");
    tracing::info!("try: nc {} {}   and then /join lobby", address.ip(), address.port());
    tracing::info!("try: http://{address}/ in a browser");
}

/// The work so far, on SIGUSR1 and at the end.
fn report(house: &House, traffic: &Traffic) {
    let (state, volume) = (house.state(), traffic.volume());
    if state.servers > 0 {
        tracing::info!("one of {} that behave as one", Counted(state.servers as u64 + 1, "server"));
    }
    tracing::info!(
        "{} here and {} away, {}, {} said, {} too slow, {} heard, {} received, {} sent, {} failed",
        Counted(state.hall.people as u64, "client"),
        state.hall.away,
        Counted(state.hall.rooms as u64, "room"),
        Counted(state.hall.said, "message"),
        Counted(state.slow, "client"),
        Counted(volume.answered, "line"),
        Counted(volume.received, "byte"),
        Counted(volume.sent, "byte"),
        Counted(volume.failed, "connection"),
    );
}
