//! Runs the gateway: one event loop for HTTP clients, a thread for each connection to the command server.

use super::{Commands, Done, Gateway, GatewayArgs};
use crate::{
    cli::{self, Failure},
    client::{Client, Event, Request, Server, demo},
    net::{
        Driver, DriverConfig, Sessions, Traffic, descriptors,
        signals::{self, Signal},
    },
    units::Counted,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Connections to one command server, which take turns.
struct Clients {
    clients: Vec<Client>,
    turn: AtomicUsize,
}

impl Clients {
    fn start(server: &Server, args: &GatewayArgs) -> io::Result<Self> {
        let start = |number: usize| {
            let watcher = move |event| note(number, &event);
            Client::connect_later(server.clone(), args.client_config(), watcher)
        };
        let clients = (1..=args.connections.get()).map(start).collect::<io::Result<_>>()?;
        Ok(Self { clients, turn: AtomicUsize::new(0) })
    }

    /// Nothing more is asked.
    fn end(&self) {
        self.clients.iter().for_each(Client::close);
    }
}

impl Commands for Clients {
    fn ask(&self, request: Request, done: Done) {
        let turn = self.turn.fetch_add(1, Relaxed) % self.clients.len();
        self.clients[turn].submit(request, done);
    }
}

/// News of a connection to the command server.
fn note(number: usize, event: &Event) {
    match event {
        Event::Connected => tracing::info!("connection {number} to the command server is established"),
        Event::Lost { cause, again } => tracing::warn!("connection {number}: {cause}; again in {:?}", again.after),
        Event::GaveUp { tries, cause } => {
            let tries = Counted(u64::from(*tries), "try");
            tracing::warn!("connection {number}: {cause}; {tries} failed: again with the next request");
        }
        Event::Breaker(state) => tracing::warn!("connection {number}: the breaker is {state:?}"),
        Event::Late { id } => tracing::debug!("connection {number}: the answer to #{id} came too late"),
    }
}

/// Runs until a signal ends it.
///
/// # Errors
///
/// An address that cannot be listened on, or no threads or descriptors left: one line that says what to do.
pub fn run(args: &GatewayArgs) -> Result<(), Failure> {
    let _log = cli::start_logging(&args.listen.log_level);
    descriptors::raise_limit()?;
    let driver = args.driver.choose()?;
    let own = if args.backend.is_none() { Some(demo::command_server()?) } else { None };
    let server = match (&args.backend, &own) {
        (Some(backend), _) => Server::from(backend.clone()),
        (None, Some(own)) => Server::from(own.address()),
        (None, None) => return Err(Failure::Usage("no command server: add --backend HOST:PORT".to_owned())),
    };
    let listener = args.listen.open()?;
    let address = listener.local_addr()?;
    let clients = Arc::new(Clients::start(&server, args)?);
    let (commands, config) = (Arc::clone(&clients), Arc::new(args.config()));
    let traffic = Arc::new(Traffic::default());
    let sessions = Sessions::new(move |_, now| Gateway::new(Arc::clone(&config), Arc::clone(&commands), now))
        .counting(Arc::clone(&traffic));
    let calls = sessions.calls();
    let mut gateway = Driver::new(&driver, sessions, DriverConfig::default())?;
    calls.wake(gateway.remote());
    gateway.listen(listener)?;
    let (remote, within, counted) = (gateway.remote(), args.listen.drain_timeout, Arc::clone(&traffic));
    let _signals = signals::watch(move |signal| match signal {
        Signal::Stop => remote.drain(within),
        Signal::User1 => report(&counted),
    })?;
    cli::ready(address);
    tracing::info!("{driver}");
    greet(address, &server, own.is_some());
    gateway.run()?;
    clients.end();
    report(&traffic);
    Ok(())
}

fn greet(address: std::net::SocketAddr, server: &Server, own: bool) {
    let whose = if own { ", which runs in this process" } else { "" };
    tracing::info!("listening on http://{address}, command server: {}{whose}", server.name());
    tracing::info!("try: curl http://{address}/ping");
    tracing::info!(
        "try: printf 'PING\\nDELAY 500 slow\\nECHO quick\\n' | curl -N --data-binary @- http://{address}/command"
    );
}

/// The work so far, on SIGUSR1 and at the end.
fn report(traffic: &Traffic) {
    tracing::info!("{}", traffic.volume());
}
