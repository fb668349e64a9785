//! Runs the broker: one event loop, one thread that writes, a few that know passwords.

use super::{BrokerArgs, app::Broker, core::Core, guard, journal::Journal, password, shared::Shared};
use crate::{
    cli::{self, Failure},
    net::{
        Driver, DriverConfig, clock, descriptors,
        signals::{self, Signal},
    },
};
use std::{
    env, fs,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

/// Descriptors of the process as such: standard streams, signals, the event loop, the listener, files.
const DESCRIPTORS_ASIDE: u64 = 64;

/// Runs until a signal ends it.
///
/// # Errors
///
/// An address that cannot be listened on, a directory that cannot be used, or no threads or descriptors left: one line that says what to do.
pub fn run(args: &BrokerArgs) -> Result<(), Failure> {
    if args.hash_password {
        return hash_password();
    }
    let _log = cli::start_logging(&args.listen.log_level);
    let driver = args.driver.choose()?;
    let config = args.config()?;
    let place = Place::of(args.data.as_deref())?;
    let (journal, image) = Journal::open(place.path(), args.sync).map_err(Failure::Run)?;
    let core = Core::restore(args.limits(), image, clock::now());
    let listener = args.listen.open()?;
    let address = listener.local_addr()?;
    let (records, written) = mpsc::channel();
    let shared = Arc::new(Shared::default());
    let store = Box::new(move |batch| records.send(batch).is_ok());
    let broker = Broker::new(core, config, store, Arc::clone(&shared));
    let max_connections = clients(args.max_clients.get());
    let mut worker =
        Driver::new(&driver, broker, DriverConfig { max_connections, pipes: 0, ..DriverConfig::default() })?;
    let (asks, asked) = mpsc::sync_channel(guard::QUEUE);
    shared.attach(worker.remote(), asks);
    worker.listen(listener)?;
    let (remote, told, within) = (worker.remote(), Arc::clone(&shared), args.listen.drain_timeout);
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => remote.drain(within),
        Signal::User1 => told.report(),
    })?;
    let guards = guard::start(&shared, asked)?;
    let told = Arc::clone(&shared);
    let writer =
        thread::Builder::new().name("journal".to_owned()).spawn(move || journal.run(&written, |n| told.store(n)))?;
    cli::ready(address);
    tracing::info!("{driver}");
    greet(address, &place);
    // With the broker the way to the writer ends, which then comes to its end.
    let ended = worker.run().map(drop);
    shared.let_go();
    // An error means that it has panicked: then it has said so.
    guards.into_iter().chain([writer]).for_each(|thread| drop(thread.join()));
    ended?;
    Ok(())
}

fn hash_password() -> Result<(), Failure> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Usage(
            "write a password to standard input: echo secret | broker --hash-password".to_owned(),
        ));
    }
    let hash =
        password::hash(password.as_bytes()).ok_or(Failure::Run("the password could not be hashed".to_owned()))?;
    writeln!(io::stdout(), "{hash}")?;
    Ok(())
}

/// Where sessions and messages are.
enum Place {
    Given(PathBuf),
    /// Removed at the end, if there is an end to it.
    Temporary(PathBuf),
}

impl Place {
    fn of(given: Option<&Path>) -> io::Result<Self> {
        if let Some(folder) = given {
            return Ok(Self::Given(folder.to_owned()));
        }
        let folder = env::temp_dir().join(format!("broker-{:016x}", rand::random::<u64>()));
        // It must not be there: another user may have made it.
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self::Temporary(folder))
    }

    fn path(&self) -> &Path {
        let (Self::Given(folder) | Self::Temporary(folder)) = self;
        folder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Temporary(folder) = self
            && let Err(error) = fs::remove_dir_all(&*folder)
        {
            tracing::warn!("{} could not be removed: {error}", folder.display());
        }
    }
}

/// Fewer than asked for if there are no descriptors for them.
fn clients(asked: usize) -> usize {
    let limit = descriptors::raise_limit().unwrap_or_else(|error| {
        tracing::warn!(%error, "the limit of descriptors could not be raised");
        u64::MAX
    });
    let most = usize::try_from(limit.saturating_sub(DESCRIPTORS_ASIDE)).unwrap_or(usize::MAX).max(1);
    if most < asked {
        tracing::warn!(
            limit,
            clients = most,
            "too few descriptors for --max-clients: raise the limit with `ulimit -n`"
        );
    }
    asked.min(most)
}

fn greet(address: SocketAddr, place: &Place) {
    tracing::info!("listening on {address}, MQTT 3.1.1 and 5");
    match place {
        Place::Given(folder) => tracing::info!("sessions and messages are in {}", folder.display()),
        Place::Temporary(folder) => {
            tracing::info!(
                "sessions and messages are in {}, and go with this process: keep them with --data DIR",
                folder.display()
            );
        }
    }
    let (ip, port) = (address.ip(), address.port());
    tracing::info!("try: mosquitto_sub -h {ip} -p {port} -t 'sensors/#' -v");
    tracing::info!("try: mosquitto_pub -h {ip} -p {port} -t sensors/kitchen -m 21.5 -q 1");
}
