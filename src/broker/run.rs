//! Runs the broker: one event loop, one thread that writes, a few that know passwords.

use super::{
    BrokerArgs, guard,
    parts::Parts,
    password,
    secured::{self, Secured},
    shared::{Call, Shared},
    writer::Writer,
};
use crate::{
    app::App,
    cli::{self, DataFolder, Failure},
    disk::Folder,
    net::{
        Driver, DriverChoice, DriverConfig, clock,
        signals::{self, Signal},
    },
    tls::Terminator,
};
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
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
    let folder = Folder::open(place.path(), "broker").map_err(Failure::Run)?;
    let Parts { app, writer, shared } = Parts::new(args, Arc::new(folder), clock::now())?;
    let secured = args.tls.prepare(args.listen.backlog, clock::now().wall)?;
    // From now on: without it, the signal would end the process.
    let _reload = secured.as_ref().map(Secured::watch).transpose()?;
    let listener = args.listen.open()?;
    let tls_listener = secured.as_ref().map(Secured::open).transpose()?;
    let addresses = (listener.local_addr()?, tls_listener.as_ref().map(TcpListener::local_addr).transpose()?);
    let listeners = [Some(listener), tls_listener].into_iter().flatten().collect();
    let ready = || {
        cli::ready(addresses.0);
        addresses.1.into_iter().for_each(cli::ready_tls);
        tracing::info!("{driver}");
        greet(addresses, &place);
    };
    match secured {
        None => serve(args, &driver, app, (writer, shared), listeners, ready),
        Some(secured) => {
            let terminator = Terminator::new(app, secured::LISTENER, secured.shared, clock::now().instant);
            serve(args, &driver, terminator, (writer, shared), listeners, ready)
        }
    }
}

/// Runs the event loop and the other threads until all of them have ended.
fn serve<A: App>(
    args: &BrokerArgs,
    driver: &DriverChoice,
    app: A,
    (writer, shared): (Writer, Arc<Shared>),
    listeners: Vec<TcpListener>,
    ready: impl FnOnce(),
) -> Result<(), Failure> {
    let max_connections = cli::clients_per_worker(args.max_clients.get(), 1);
    let mut worker = Driver::new(driver, app, DriverConfig { max_connections, pipes: 0, ..DriverConfig::default() })?;
    let (asks, asked) = mpsc::sync_channel(guard::QUEUE);
    let remote = worker.remote();
    shared.attach(Box::new(move |call| match call {
        Call::Wake => remote.wake(),
        Call::Stop => remote.stop(),
    }));
    shared.attach_guards(asks);
    for listener in listeners {
        worker.listen(listener)?;
    }
    let (remote, told, within) = (worker.remote(), Arc::clone(&shared), args.listen.drain_timeout);
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => remote.drain(within),
        Signal::User1 => told.report(),
    })?;
    let guards = guard::start(&shared, asked)?;
    let writer = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
    ready();
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

fn greet((address, tls): (SocketAddr, Option<SocketAddr>), place: &DataFolder) {
    tracing::info!("listening on {address}, MQTT 3.1.1 and 5");
    if let Some(tls) = tls {
        tracing::info!("listening on {tls}, the same over TLS");
    }
    tracing::info!("sessions and messages are in {place}");
    let (ip, port) = (address.ip(), address.port());
    tracing::info!("try: mosquitto_sub -h {ip} -p {port} -t 'sensors/#' -v");
    tracing::info!("try: mosquitto_pub -h {ip} -p {port} -t sensors/kitchen -m 21.5 -q 1");
}
