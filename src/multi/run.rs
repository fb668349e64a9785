//! Runs what the file says: a listener and an event loop for each protocol, until a signal or a failure ends all of them.

use super::Config;
use crate::{
    cli::{self, Failure},
    net::{
        Driver, DriverChoice, DriverConfig, ListenOptions, Remote, Sessions, Traffic, listen,
        signals::{self, Signal},
    },
    service::{Command, Http, HttpConfig, line_session::LineLimits},
    session::Session,
    time::Now,
    units::{Flags, Pointless},
};
use clap::Args;
use std::{
    fs, io, mem,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

/// The flags of the program.
#[derive(Debug, Clone, Args)]
pub struct MultiArgs {
    /// The configuration file. Without it, both protocols listen on the loopback: HTTP on port 8080, commands on 8081
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the file and end: 0 if it is right
    #[arg(long, requires = "config")]
    check: bool,
}

impl Flags for MultiArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

/// One protocol that runs.
struct Running {
    name: &'static str,
    address: SocketAddr,
    remote: Remote,
    traffic: Arc<Traffic>,
}

/// Where each event loop says how it ended.
type Ended = mpsc::Sender<(&'static str, io::Result<()>)>;

/// Runs until a signal ends it.
///
/// # Errors
///
/// A file that is wrong, an address that cannot be listened on, no threads or descriptors left.
pub fn run(args: &MultiArgs) -> Result<(), Failure> {
    let config = read(args)?;
    config.check_descriptors().map_err(Failure::Usage)?;
    if args.check {
        cli::say("the configuration is right\n");
        return Ok(());
    }
    let _log = cli::start_logging(&config.log_level);
    let driver = config.driver.choose()?;
    let (sender, ended) = mpsc::channel();
    let mut running = Vec::new();
    if let Some(part) = &config.http {
        let shared = HttpConfig { name: part.name.clone(), idle: part.idle_timeout, ..HttpConfig::default() };
        let (shared, place) = (Arc::new(shared), place(part.listen.get_ref().0, part.backlog.0));
        let open = move |now| Http::new(Arc::clone(&shared), now);
        running.push(start("http", &driver, listen(&place)?, part.max_clients.get(), open, &sender)?);
    }
    if let Some(part) = &config.command {
        let limits = LineLimits { line: part.line_max, idle: part.idle_timeout };
        let place = place(part.listen.get_ref().0, part.backlog.0);
        let open = move |now| Command::session_within(limits, now);
        running.push(start("command", &driver, listen(&place)?, part.max_clients.get(), open, &sender)?);
    }
    drop(sender);
    let running = Arc::new(running);
    let (told, within) = (Arc::clone(&running), config.drain_timeout);
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => told.iter().for_each(|one| one.remote.drain(within)),
        Signal::User1 => told.iter().for_each(report),
    })?;
    announce(&running);
    tracing::info!("{driver}");
    let result = wait(&ended, &running);
    running.iter().for_each(report);
    result
}

fn read(args: &MultiArgs) -> Result<Config, Failure> {
    let Some(file) = &args.config else { return Ok(Config::default()) };
    let bytes = fs::read(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    let text = cli::file::text(file, bytes).map_err(Failure::Usage)?;
    Config::of(file, &text).map_err(Failure::Usage)
}

fn place(address: SocketAddr, backlog: u32) -> ListenOptions {
    ListenOptions { backlog, ..ListenOptions::set_by("listen", address) }
}

/// Starts the event loop of one protocol on a thread of its own.
fn start<S: Session + Send + 'static>(
    name: &'static str,
    driver: &DriverChoice,
    listener: TcpListener,
    max_connections: usize,
    open: impl Fn(Now) -> S + Send + 'static,
    ended: &Ended,
) -> Result<Running, Failure> {
    let address = listener.local_addr()?;
    let traffic = Arc::new(Traffic::default());
    let sessions = Sessions::new(move |_, now| open(now)).counting(Arc::clone(&traffic));
    let config = DriverConfig { max_connections, ..DriverConfig::default() };
    let mut driver = Driver::new(driver, sessions, config)?;
    driver.listen(listener)?;
    let remote = driver.remote();
    let panicked = Err(io::Error::other("its thread panicked"));
    let end = End { name, ended: ended.clone(), result: panicked };
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let mut end = end;
        end.result = driver.run().map(drop);
    })?;
    Ok(Running { name, address, remote, traffic })
}

/// Tells that an event loop has ended, also if its thread panics.
struct End {
    name: &'static str,
    ended: Ended,
    result: io::Result<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        let result = mem::replace(&mut self.result, Ok(()));
        // Fails only if nobody waits any more.
        let _ = self.ended.send((self.name, result));
    }
}

/// Until all event loops have ended. One that fails takes the others along: half a server would look like a whole one.
fn wait(ended: &mpsc::Receiver<(&'static str, io::Result<()>)>, running: &[Running]) -> Result<(), Failure> {
    let mut result = Ok(());
    while let Ok((name, end)) = ended.recv() {
        if let Err(error) = end {
            result = result.and(Err(Failure::Run(format!("{name} has ended: {error}"))));
            running.iter().for_each(|one| one.remote.stop());
        }
    }
    result
}

fn announce(running: &[Running]) {
    for one in running {
        match one.name {
            "http" => cli::ready(one.address),
            _ => cli::ready_command(one.address),
        }
    }
    for one in running {
        tracing::info!("{} on {}", one.name, one.address);
        match one.name {
            "http" => tracing::info!("try: curl http://{}/health", one.address),
            _ => tracing::info!("try: echo PING | client --connect {}", one.address),
        }
    }
}

/// The work of one protocol so far.
fn report(one: &Running) {
    tracing::info!("{}: {}", one.name, one.traffic.volume());
}
