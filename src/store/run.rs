//! Runs the store: one event loop on the thread that calls, and one thread that writes the file.

use super::{
    StoreArgs,
    engine::Engine,
    file::Folder,
    server::{Server, Wishes},
    writer::Writer,
};
use crate::{
    cli::{self, DataFolder, Failure},
    net::{
        Driver, DriverConfig, Remote, Traffic, clock,
        signals::{self, Signal},
    },
};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// Clients beyond the limit that are told so at the same time.
const TOLD: usize = 32;

/// Runs until a signal ends it.
///
/// # Errors
///
/// An address that cannot be listened on, a file that is damaged, no descriptors left: one line that says what to do.
pub fn run(args: &StoreArgs) -> Result<(), Failure> {
    let _log = cli::start_logging(&args.listen.log_level);
    let driver = args.driver.choose()?;
    let mut config = args.config()?;
    config.max_clients = cli::clients_per_worker(config.max_clients, 1);
    let place = if args.in_memory { None } else { Some(DataFolder::open(args.data.as_deref(), "store")?) };
    let listener = args.listen.open()?;
    let address = listener.local_addr()?;
    config.port = address.port();
    config.address = address.to_string();
    config.directory = place.as_ref().map(|place| place.path().display().to_string()).unwrap_or_default();
    let (max_clients, fsync) = (config.max_clients, config.fsync);
    let now = clock::now();
    let mut engine = Engine::new(config, rand::random(), format!("{:040x}", rand::random::<u128>()), now);
    let loaded = match &place {
        Some(place) => Some(load(place.path(), &mut engine)?),
        None => None,
    };
    let (traffic, wishes) = (Arc::new(Traffic::default()), Arc::new(Wishes::default()));
    let server = Server::new(engine, Arc::clone(&traffic), Arc::clone(&wishes), Box::new(resident));
    let limits = DriverConfig { max_connections: max_clients + TOLD, pipes: 0, ..DriverConfig::default() };
    let mut event_loop = Driver::new(&driver, server, limits)?;
    event_loop.listen(listener)?;
    let remote = event_loop.remote();
    let writer = match loaded {
        Some((folder, size)) => Some(Writer::start(folder, size, fsync, remote.clone())?),
        None => None,
    };
    let within = args.listen.drain_timeout;
    let stop = remote.clone();
    event_loop.app_mut().attach(writer, Box::new(move || stop.drain(within)));
    let _signals = watch(remote, wishes, within)?;
    cli::ready(address);
    tracing::info!("{driver}");
    greet(address, place.as_ref());
    let mut server = event_loop.run()?;
    server.report();
    // The writer ends first: then its directory may go.
    drop(server);
    drop(place);
    Ok(())
}

fn watch(remote: Remote, wishes: Arc<Wishes>, within: std::time::Duration) -> Result<signals::Watch, Failure> {
    let watch = signals::watch(move |signal| match signal {
        Signal::Stop => remote.drain(within),
        Signal::User1 => {
            wishes.report.store(true, Relaxed);
            remote.wake();
        }
    })?;
    Ok(watch)
}

fn load(path: &Path, engine: &mut Engine) -> Result<(Folder, u64), Failure> {
    let begun = clock::now().instant;
    let folder = Folder::open(path).map_err(Failure::Run)?;
    let size = folder.load(engine).map_err(Failure::Run)?;
    if size > 0 {
        let keys: usize = engine.keys.dbs.iter().map(|db| db.keys.len()).sum();
        let took = clock::now().instant.saturating_duration_since(begun);
        tracing::info!("{keys} keys from {size} bytes in {took:.1?}");
    }
    Ok((folder, size))
}

/// Bytes of this process in memory; 0 where only other ways than Linux's would tell.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * PAGE
}

fn greet(address: SocketAddr, place: Option<&DataFolder>) {
    tracing::info!("listening on {address}");
    match place {
        None => tracing::info!("nothing is kept on the disk, as --in-memory says"),
        Some(place) => tracing::info!("changes are kept in {place}"),
    }
    let (ip, port) = (address.ip(), address.port());
    tracing::info!("try: redis-cli -h {ip} -p {port} set greeting hello");
    tracing::info!("try: printf 'GET greeting\\r\\n' | nc -q 1 {ip} {port}");
    tracing::info!("try: redis-benchmark -h {ip} -p {port} -t set,get -n 100000 -q");
}
