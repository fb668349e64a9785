//! Runs the broker: one event loop, one thread that writes, a few that know passwords.

use super::{BrokerArgs, guard, journal::Folder, parts::Parts, password, shared::Call};
use crate::{
    cli::{self, DataFolder, Failure},
    net::{
        Driver, DriverConfig, clock,
        signals::{self, Signal},
    },
};
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};

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
    let place = DataFolder::open(args.data.as_deref(), "broker")?;
    let folder = Folder::open(place.path()).map_err(Failure::Run)?;
    let parts = Parts::new(args, Arc::new(folder), clock::now())?;
    let listener = args.listen.open()?;
    let address = listener.local_addr()?;
    let max_connections = cli::clients_per_worker(args.max_clients.get(), 1);
    let Parts { app, writer, shared } = parts;
    let mut worker = Driver::new(&driver, app, DriverConfig { max_connections, pipes: 0, ..DriverConfig::default() })?;
    let (asks, asked) = mpsc::sync_channel(guard::QUEUE);
    let remote = worker.remote();
    shared.attach(Box::new(move |call| match call {
        Call::Wake => remote.wake(),
        Call::Stop => remote.stop(),
    }));
    shared.attach_guards(asks);
    worker.listen(listener)?;
    let (remote, told, within) = (worker.remote(), Arc::clone(&shared), args.listen.drain_timeout);
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => remote.drain(within),
        Signal::User1 => told.report(),
    })?;
    let guards = guard::start(&shared, asked)?;
    let writer = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
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

fn greet(address: SocketAddr, place: &DataFolder) {
    tracing::info!("listening on {address}, MQTT 3.1.1 and 5");
    tracing::info!("sessions and messages are in {place}");
    let (ip, port) = (address.ip(), address.port());
    tracing::info!("try: mosquitto_sub -h {ip} -p {port} -t 'sensors/#' -v");
    tracing::info!("try: mosquitto_pub -h {ip} -p {port} -t sensors/kitchen -m 21.5 -q 1");
}
