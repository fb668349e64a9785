//! The parts as a program would use them.

use crate::support::{
    lines::{LineServer, Reply},
    process::{PATIENCE, now, wait_until},
    raw::{SilentAddress, in_parallel, refusing_address},
};
use socket_patterns::{
    client::{Cause, Client, Config, ConnectionPool, Error, Event, HeartbeatConfig, Policy, Request, Server},
    pool::PoolConfig,
    resilience::{Backoff, BreakerConfig},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

fn pay(n: usize) -> Request {
    Request::new(format!("PAY {n}")).unwrap()
}

fn pool_of(server: &LineServer, pool: PoolConfig) -> ConnectionPool {
    ConnectionPool::new(server.address, pool, Config::default())
}

#[test]
fn connections_that_died_while_they_idled_are_found_at_checkout() {
    let mut server = LineServer::start(|_, _| Reply::Answer);
    let pool = pool_of(&server, PoolConfig { max: 4, ..PoolConfig::default() });
    let held: Vec<_> = (0..4).map(|_| pool.checkout(Duration::from_secs(20)).unwrap()).collect();
    drop(held);
    assert_eq!(pool.stats().idle, 4);
    server.kill();
    server.revive();
    // Not one of these may be sent twice, and not one is lost.
    for n in 0..4 {
        assert_eq!(pool.ask(&pay(n)).unwrap().text, format!("done PAY {n}"));
        assert_eq!(server.executed(&format!("PAY {n}")), 1);
    }
    let stats = pool.stats();
    assert_eq!((stats.opened, stats.closed.total(), stats.idle), (5, 4, 1));
}

#[test]
fn threads_share_a_few_connections() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let pool = pool_of(&server, PoolConfig { max: 3, ..PoolConfig::default() });
    in_parallel(16, |thread| {
        for n in 0..50 {
            let request = pay(thread * 50 + n);
            assert_eq!(pool.ask(&request).unwrap().text, format!("done {}", request.text()));
        }
    });
    let stats = pool.stats();
    assert!(server.connections() <= 3 && stats.opened <= 3, "{stats:?}");
    assert_eq!((server.total(), stats.busy), (800, 0));
}

#[test]
fn a_full_pool_has_a_line_and_the_line_has_limits() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let config =
        PoolConfig { max: 1, queue: Some(1), queue_timeout: Duration::from_millis(50), ..PoolConfig::default() };
    let pool = pool_of(&server, config);
    let held = pool.checkout(Duration::from_secs(20)).unwrap();
    assert!(matches!(pool.checkout(Duration::from_secs(20)), Err(Cause::NoneFree)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.checkout(Duration::from_secs(20)).map(|conn| conn.asked()));
        drop(held);
        // It idled for no time: either the one that waits got it, or it came too late to wait.
        assert!(matches!(waiting.join().unwrap(), Ok(0) | Err(Cause::NoneFree)));
    });
    assert!(pool.checkout(Duration::from_secs(20)).is_ok(), "what was granted and not taken is not lost");
    let none = pool_of(&server, PoolConfig { queue: Some(0), ..config });
    let _held = none.checkout(Duration::from_secs(20)).unwrap();
    assert!(matches!(none.checkout(Duration::from_secs(20)), Err(Cause::QueueFull)));
}

#[test]
fn a_client_serves_many_threads_over_one_connection() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let client = Client::connect(server.address, Config::default()).unwrap();
    in_parallel(16, |thread| {
        for n in 0..50 {
            let request = pay(thread * 50 + n);
            assert_eq!(client.ask(request.clone()).unwrap().text, format!("done {}", request.text()));
        }
    });
    assert_eq!((server.total(), server.connections()), (800, 1));
    let stats = client.finish();
    assert_eq!((stats.answered, stats.connections), (800, 1));
    assert!(matches!(client.ask(pay(0)), Err(Error::NotSent(Cause::Closed))));
}

#[test]
fn a_client_that_is_dropped_reports_what_it_leaves() {
    let server = LineServer::start(|_, _| Reply::Silence);
    let policy = Policy { deadline: Duration::from_secs(3600), tries: 1 };
    let client = Client::connect(server.address, Config { policy, ..Config::default() }).unwrap();
    let (sender, receiver) = channel();
    client.submit(pay(1), move |result| sender.send(result).unwrap());
    wait_until("the request to arrive", || server.total() == 1);
    drop(client);
    assert!(matches!(receiver.recv().unwrap(), Err(Error::MaybeExecuted { cause: Cause::Closed, .. })));
}

/// Waits that suit a test.
fn quick() -> Config {
    let ms = Duration::from_millis;
    let backoff = Backoff { base: ms(5), factor: 2.0, cap: ms(20), jitter: 0.0 };
    Config { backoff, reconnects: 10_000, ..Config::default() }
}

/// A name, and where it points.
fn name(addresses: &[SocketAddr]) -> (Server, Arc<Mutex<Vec<SocketAddr>>>) {
    let place = Arc::new(Mutex::new(addresses.to_vec()));
    let shared = place.clone();
    (Server::found_by("commands", move || Ok(shared.lock().unwrap().clone())), place)
}

/// A client, and what it says about its connection.
fn watched(to: impl Into<Server>, config: Config) -> (Client, Receiver<Event>) {
    let (sender, events) = channel();
    // Fails when the test is over.
    let client = Client::connect_watched(to, config, move |event| drop(sender.send(event))).unwrap();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), Event::Connected));
    (client, events)
}

fn why_lost(events: &Receiver<Event>) -> Cause {
    match events.recv_timeout(PATIENCE).unwrap() {
        Event::Lost { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_comes_back_elsewhere_is_found_there() {
    let (old, new) = (LineServer::start(|_, _| Reply::Answer), LineServer::start(|_, _| Reply::Answer));
    let (server, place) = name(&[old.address]);
    let (client, events) = watched(server.clone(), quick());
    let pool = ConnectionPool::new(server, PoolConfig::default(), quick());
    assert_eq!(client.ask(pay(1)).unwrap().text, "done PAY 1");
    assert_eq!(pool.ask(&pay(2)).unwrap().text, "done PAY 2");
    // The first of its new addresses refuses.
    *place.lock().unwrap() = vec![refusing_address(), new.address];
    old.kill();
    assert!(matches!(why_lost(&events), Cause::Ended));
    assert_eq!(client.ask(pay(3)).unwrap().text, "done PAY 3");
    assert_eq!(pool.ask(&pay(4)).unwrap().text, "done PAY 4");
    assert_eq!((old.total(), new.total()), (2, 2));
}

#[test]
fn a_name_that_nobody_knows_is_asked_for_again() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let (unknown, place) = name(&[]);
    let refused = Client::connect(unknown.clone(), quick()).unwrap_err();
    assert!(refused.to_string().starts_with("no address for \"commands\""), "{refused}");
    let (sender, events) = channel();
    let client = Client::connect_later(unknown.clone(), quick(), move |event| drop(sender.send(event))).unwrap();
    assert!(matches!(why_lost(&events), Cause::Unresolved));
    let pool = ConnectionPool::new(unknown, PoolConfig::default(), Config { reconnects: 1, ..quick() });
    let Err(Error::NotSent(Cause::GaveUp { last, .. })) = pool.ask(&pay(1)) else { panic!() };
    assert!(matches!(*last, Cause::Unresolved));
    place.lock().unwrap().push(server.address);
    assert_eq!(client.ask(pay(2)).unwrap().text, "done PAY 2");
    assert_eq!(pool.ask(&pay(3)).unwrap().text, "done PAY 3");
}

#[test]
fn a_resolver_that_never_answers_is_not_waited_for_and_not_asked_twice() {
    let mut server = LineServer::start(|_, _| Reply::Answer);
    let (address, asked) = (server.address, Arc::new(AtomicUsize::new(0)));
    let (release, held) = channel::<()>();
    let (count, held) = (asked.clone(), Mutex::new(held));
    let name = Server::found_by("commands", move || {
        if count.fetch_add(1, SeqCst) > 0 {
            // Fails when the test is over.
            let _ = held.lock().unwrap().recv();
        }
        Ok(vec![address])
    });
    let (client, events) = watched(name, Config { connect_timeout: Duration::from_millis(500), ..quick() });
    server.kill();
    server.revive();
    assert!(matches!(why_lost(&events), Cause::Ended));
    for _ in 0..2 {
        assert!(matches!(why_lost(&events), Cause::Connect(std::io::ErrorKind::TimedOut)));
    }
    assert_eq!(asked.load(SeqCst), 2);
    drop(release);
    assert_eq!(client.ask(pay(1)).unwrap().text, "done PAY 1");
}

#[test]
fn an_address_that_says_nothing_leaves_time_for_the_next() {
    let (server, silent) = (LineServer::start(|_, _| Reply::Answer), SilentAddress::new());
    let config = Config { connect_timeout: PATIENCE, ..quick() };
    let began = now();
    let both = [silent.address, server.address];
    let pool = ConnectionPool::new(&both[..], PoolConfig::default(), Config { reconnects: 0, ..config });
    assert_eq!(pool.ask(&pay(1)).unwrap().text, "done PAY 1");
    let client = Client::connect_later(&both[..], Config { reconnects: 0, ..config }, |_| {}).unwrap();
    assert_eq!(client.ask(pay(2)).unwrap().text, "done PAY 2");
    // Each began with the silent one, and turned to the next a quarter of a second later.
    assert!(began.elapsed() >= Duration::from_millis(500), "both began with the silent one");
}

/// A server that answers until it is told to say nothing more, and a pool that asks before each use of a connection.
fn asking(heartbeat: HeartbeatConfig) -> (LineServer, Arc<AtomicBool>, ConnectionPool) {
    let silent = Arc::new(AtomicBool::new(false));
    let shared = silent.clone();
    let server = LineServer::start(move |_, _| if shared.load(SeqCst) { Reply::Silence } else { Reply::Answer });
    let config = Config { heartbeat: Some(heartbeat), reconnects: 2, ..quick() };
    let pool = ConnectionPool::new(server.address, PoolConfig::default(), config);
    (server, silent, pool)
}

#[test]
fn a_connection_that_idled_is_asked_before_a_request_is_risked_on_it() {
    let timeout = Duration::from_secs(20);
    for (interval, heartbeats) in [(Duration::ZERO, 2), (Duration::from_secs(3600), 0)] {
        let (server, _, pool) = asking(HeartbeatConfig { interval, timeout });
        for n in 0..3 {
            assert_eq!(pool.ask(&pay(n)).unwrap().text, format!("done PAY {n}"));
        }
        // Not the first time: a new connection has not idled.
        assert_eq!((server.executed("HEARTBEAT"), server.connections()), (heartbeats, 1));
    }
}

#[test]
fn a_pool_sends_nothing_to_a_server_that_is_silent() {
    let beat = HeartbeatConfig { interval: Duration::ZERO, timeout: Duration::from_millis(50) };
    let (server, silent, pool) = asking(beat);
    let held: Vec<_> = (0..3).map(|_| pool.checkout(PATIENCE).unwrap()).collect();
    drop(held);
    silent.store(true, SeqCst);
    let began = now();
    let Err(Error::NotSent(Cause::GaveUp { last, .. })) = pool.ask(&pay(1)) else { panic!() };
    assert!(matches!(*last, Cause::Silent), "{last:?}");
    // Three tries, one heartbeat each: those that idled are given up with the first, and a new one is asked as well.
    assert!(began.elapsed() < Duration::from_secs(10));
    wait_until("three heartbeats", || server.executed("HEARTBEAT") == 3);
    assert_eq!((server.executed("PAY 1"), pool.stats().idle), (0, 0));
    silent.store(false, SeqCst);
    assert_eq!(pool.ask(&pay(2)).unwrap().text, "done PAY 2");
    assert_eq!(server.executed("HEARTBEAT"), 4, "it has to answer once");
    let (first, second) = (pool.checkout(PATIENCE).unwrap(), pool.checkout(PATIENCE).unwrap());
    assert_eq!((first.asked(), second.asked(), server.executed("HEARTBEAT")), (1, 0, 5), "and is believed again");
}

/// A request that has less time than a heartbeat may take learns nothing from a missing answer to it.
#[test]
fn a_deadline_before_the_heartbeats_is_no_sign_of_death() {
    let (server, silent, pool) = asking(HeartbeatConfig { interval: Duration::ZERO, timeout: PATIENCE });
    assert_eq!(pool.ask(&pay(1)).unwrap().text, "done PAY 1");
    silent.store(true, SeqCst);
    assert!(matches!(pool.checkout(Duration::from_millis(50)), Err(Cause::TimedOut)));
    wait_until("a heartbeat", || server.executed("HEARTBEAT") == 1);
    drop(pool.checkout(PATIENCE).unwrap());
    assert_eq!((server.executed("HEARTBEAT"), pool.stats().opened), (1, 2));
}

#[test]
fn a_callback_that_panics_leaves_nobody_waiting_for_ever() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let client = Arc::new(Client::connect(server.address, Config::default()).unwrap());
    client.submit(pay(1), |_| panic!("as the program of somebody else may"));
    let (sender, results) = channel();
    let asking = client.clone();
    let ask = move || (2..4).for_each(|n| drop(sender.send(asking.ask(pay(n)))));
    std::thread::Builder::new().spawn(ask).unwrap();
    for _ in 2..4 {
        let result = results.recv_timeout(PATIENCE).expect("it waits for ever");
        let cause = result.as_ref().err().and_then(Error::cause);
        assert!(matches!(cause, Some(Cause::Closed)), "{result:?}");
    }
}

#[test]
fn closing_a_pool_ends_the_wait_for_a_connection() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let pool = pool_of(&server, PoolConfig { max: 1, ..PoolConfig::default() });
    let held = pool.checkout(PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.checkout(PATIENCE).map(|_| ()));
        wait_until("somebody to stand in line", || pool.stats().waiting == 1);
        pool.close();
        assert!(matches!(waiting.join().unwrap(), Err(Cause::Closed)));
    });
    assert!(matches!(pool.checkout(PATIENCE), Err(Cause::Closed)));
    drop(held);
    assert_eq!((pool.stats().waiting, pool.stats().busy), (0, 0));
}

#[test]
fn a_pool_that_was_closed_does_not_say_that_it_tries_again() {
    let silent = SilentAddress::new();
    let (sender, events) = channel();
    let sender = Mutex::new(sender);
    let config = Config { connect_timeout: Duration::from_secs(1), ..quick() };
    let watcher = move |event| sender.lock().unwrap().send(event).unwrap();
    let pool = ConnectionPool::watched(silent.address, PoolConfig::default(), config, watcher);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| pool.ask(&pay(1)));
        wait_until("it is at it", || pool.stats().busy == 1);
        let before = events.try_iter().count();
        pool.close();
        assert!(matches!(asking.join().unwrap(), Err(Error::NotSent(Cause::Closed))));
        assert_eq!(events.try_iter().count(), 0, "after {before} before");
    });
}

#[test]
fn a_line_that_is_too_long_is_no_failure_of_the_server() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let breaker = BreakerConfig { failures: 1, ..BreakerConfig::default() };
    let policy = Policy { deadline: Duration::from_millis(50), tries: 1 };
    let config = Config { breaker: Some(breaker), policy, ..quick() };
    let pool = ConnectionPool::new(server.address, PoolConfig { max: 1, ..PoolConfig::default() }, config);
    let held = pool.checkout(PATIENCE).unwrap();
    let Err(Error::NotSent(cause)) = pool.ask(&pay(1)) else { panic!() };
    assert_eq!(cause.to_string(), "no connection was free in time");
    drop(held);
    let mut conn = pool.checkout(PATIENCE).unwrap();
    assert_eq!(conn.ask(&pay(2), PATIENCE).unwrap(), "done PAY 2");
    drop(conn);
    let refused = pool.ask(&pay(3));
    assert!(!matches!(refused, Err(Error::NotSent(Cause::BreakerOpen { .. }))), "{refused:?}");
}

#[test]
fn a_pool_may_be_waited_for_for_ever() {
    let server = LineServer::start(|_, _| Reply::Answer);
    let never = Duration::MAX;
    let heartbeat = HeartbeatConfig { interval: Duration::ZERO, timeout: never };
    let config = Config {
        heartbeat: Some(heartbeat),
        policy: Policy { deadline: never, tries: 1 },
        connect_timeout: never,
        ..quick()
    };
    let pool = ConnectionPool::new(
        server.address,
        PoolConfig { max: 1, queue_timeout: never, ..PoolConfig::default() },
        config,
    );
    pool.warm_up().unwrap();
    std::thread::scope(|scope| {
        let mut held = pool.checkout(never).unwrap();
        let waiting = scope.spawn(|| pool.ask(&pay(2)).unwrap().text);
        wait_until("somebody to stand in line", || pool.stats().waiting == 1);
        assert_eq!(held.ask(&pay(1), never).unwrap(), "done PAY 1");
        drop(held);
        assert_eq!(waiting.join().unwrap(), "done PAY 2");
    });
}
