//! The parts as a program would use them.

use crate::support::{
    lines::{LineServer, Reply},
    raw::in_parallel,
};
use socket_patterns::{
    client::{Cause, Client, Config, ConnectionPool, Error, Policy, Request},
    pool::PoolConfig,
};
use std::time::Duration;

fn pay(n: usize) -> Request {
    Request::new(format!("PAY {n}")).unwrap()
}

fn pool_of(server: &LineServer, pool: PoolConfig) -> ConnectionPool {
    ConnectionPool::new(&[server.address], pool, Config::default())
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
    let config = PoolConfig { max: 1, queue: 1, queue_timeout: Duration::from_millis(50), ..PoolConfig::default() };
    let pool = pool_of(&server, config);
    let held = pool.checkout(Duration::from_secs(20)).unwrap();
    assert!(matches!(pool.checkout(Duration::from_secs(20)), Err(Cause::TimedOut)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.checkout(Duration::from_secs(20)).map(|conn| conn.asked()));
        drop(held);
        // It idled for no time: either the one that waits got it, or it came too late to wait.
        assert!(matches!(waiting.join().unwrap(), Ok(0) | Err(Cause::TimedOut)));
    });
    assert!(pool.checkout(Duration::from_secs(20)).is_ok(), "what was granted and not taken is not lost");
    let none = pool_of(&server, PoolConfig { queue: 0, ..config });
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
    let (sender, receiver) = std::sync::mpsc::channel();
    client.submit(pay(1), move |result| sender.send(result).unwrap());
    crate::support::process::wait_until("the request to arrive", || server.total() == 1);
    drop(client);
    assert!(matches!(receiver.recv().unwrap(), Err(Error::MaybeExecuted { cause: Cause::Closed, .. })));
}
